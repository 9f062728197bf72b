"""Promise 3 in its order: the record is durable first, then the last byte leaves. A spool that we answer for shows it.

The guarded lines are in `exchange.py`: `await self._record(…)` before the tail in `_close_stream`, before `_reply` in
`_deliver_whole` and in `_fail`, and `await opened` in `_deliver_stream`.
"""

import asyncio
import json
from pathlib import Path

import pytest

from guiju.core.errors import GuijuError
from guiju.gateway.app import Gateway, create_gateway
from guiju.gateway.tests.client import hear
from guiju.gateway.tests.held import Asked, HeldSpool, run, settle, until
from guiju.gateway.tests.rig import Site
from guiju.records.spool.writer import SPOOL_UNWRITABLE


@pytest.fixture
def gateway(own_site: Site) -> Gateway:
    own_site.publish()
    return create_gateway(own_site.folder.root, "test")


def test_a_stream_begins_and_ends_after_its_records(gateway: Gateway) -> None:
    async def scene(spool: HeldSpool) -> None:
        asked = Asked(gateway, model="ok", stream=True)
        await until(lambda: spool.waiting)
        await settle()
        assert [kind for kind, _ in spool.waiting] == ["gateway.answer.opened"]
        assert asked.sent == []
        spool.waiting[0][1].set_result(None)
        await until(lambda: len(spool.waiting) == 2)
        await settle()
        before = hear(asked.body)
        assert before.text() == "你好，世界\n\n（AI 生成）"
        assert (before.finishes, before.usage, before.dones) == ({}, None, 0)
        spool.waiting[1][1].set_result(None)
        await asked.task
        after = hear(asked.body)
        assert (after.finishes, after.dones) == ({0: "stop"}, 1)

    run(gateway, scene)


@pytest.mark.parametrize(
    ("model", "kind", "status"),
    [
        ("ok", "gateway.answer.delivered", 200),
        ("strays", "gateway.answer.stopped", 200),
        ("refuse_500", "gateway.upstream.failed", 502),
        ("", "gateway.request.rejected", 400),
    ],
)
def test_a_whole_answer_and_every_error_leave_after_their_record(gateway: Gateway, model: str, kind: str, status: int) -> None:
    async def scene(spool: HeldSpool) -> None:
        asked = Asked(gateway, model=model)
        await until(lambda: spool.waiting)
        await settle()
        assert [kind for kind, _ in spool.waiting] == [kind]
        assert asked.sent == []
        spool.waiting[0][1].set_result(None)
        await asked.task
        assert asked.status == status

    run(gateway, scene)


@pytest.mark.parametrize("streams", [False, True])
def test_an_answer_whose_record_fails_does_not_leave(gateway: Gateway, streams: bool, tmp_path: Path) -> None:
    async def scene(spool: HeldSpool) -> None:
        asked = Asked(gateway, model="ok", stream=streams)
        opened = 0
        while not asked.task.done():
            await asyncio.sleep(0.01)
            for kind, future in spool.waiting:
                if not future.done() and kind == "gateway.answer.opened":
                    future.set_result(None)
                    opened += 1
                elif not future.done():
                    future.set_exception(GuijuError(SPOOL_UNWRITABLE, reason="no space", folder=tmp_path))
        await asked.task
        assert str(tmp_path) not in asked.body.decode()
        if streams:
            heard = hear(asked.body)
            assert opened == 1
            assert [error["code"] for error in heard.errors] == ["spool_unwritable"]
            assert (heard.finishes, heard.dones) == ({}, 1)
        else:
            assert asked.status == 503
            assert json.loads(asked.body)["error"]["code"] == "spool_unwritable"
        assert asked.sent[-1].get("more_body", False) is False

    run(gateway, scene)


def broken(*_: object, **__: object) -> None:
    raise ZeroDivisionError("screening is broken")


def test_a_whole_answer_that_could_not_be_examined_does_not_leave(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """Could not examine is never pass. Red when `_unexamined` is not raised in `_deliver_whole`."""
    monkeypatch.setattr("guiju.gateway.exchange.whole_answer", broken)

    async def scene(spool: HeldSpool) -> None:
        asked = Asked(gateway, model="ok")
        await until(lambda: spool.waiting)
        kind, future = spool.waiting[0]
        assert kind == "gateway.answer.stopped"
        future.set_result(None)
        await asked.task
        assert asked.status == 503
        assert json.loads(asked.body)["error"]["code"] == "not_examined"
        assert "世界" not in asked.body.decode()

    run(gateway, scene)


def test_a_stream_that_could_not_be_examined_ends_without_another_character(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """Red when `fail` decides what the gates hold although they are what is broken."""
    monkeypatch.setattr("guiju.screening.matching.gate.Gate.feed", broken)
    monkeypatch.setattr("guiju.screening.matching.gate.Gate.finish", broken)

    async def scene(spool: HeldSpool) -> None:
        asked = Asked(gateway, model="ok", stream=True)
        await until(lambda: spool.waiting)
        spool.waiting[0][1].set_result(None)
        await until(lambda: len(spool.waiting) == 2)
        spool.waiting[1][1].set_result(None)
        await asked.task
        assert "not_examined" in asked.body.decode()
        assert "世界" not in asked.body.decode()

    run(gateway, scene)
