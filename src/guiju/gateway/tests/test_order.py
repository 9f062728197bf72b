"""Promise 3 in its order: the record is durable first, then the last byte leaves. A spool that we answer for shows it.

The guarded lines are in `exchange.py`: `await self._record(…)` before the tail in `_close_stream`, before `_reply` in
`_deliver_whole` and in `_fail`, and `await opened` in `_deliver_stream`.
"""

import asyncio
import json
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import pytest

from guiju.core.errors import GuijuError
from guiju.gateway.app import Gateway, create_gateway
from guiju.gateway.tests.client import hear
from guiju.gateway.tests.rig import KEYS, Site
from guiju.records.entry import decode_entry
from guiju.records.spool.writer import SPOOL_UNWRITABLE


class HeldSpool:
    """A spool whose commits end when the test says so."""

    def __init__(self) -> None:
        self.waiting: list[tuple[str, asyncio.Future[None]]] = []

    def refuse_if_full(self, size_bytes: int) -> None:
        pass

    def append(self, raw: bytes, *, owed: bool) -> "asyncio.Future[None]":
        del owed
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting.append((decode_entry(raw).kind, future))
        return future

    async def close(self) -> None:
        pass


class Asked:
    """One request given to the application itself, without a server between."""

    def __init__(self, gateway: Gateway, **request: Any) -> None:
        self.sent: list[MutableMapping[str, Any]] = []
        body = json.dumps({"messages": [{"role": "user", "content": "hi"}], **request}).encode()
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1/chat/completions",
            "headers": [(b"authorization", f"Bearer {KEYS['main']}".encode())],
        }
        received = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def receive() -> MutableMapping[str, Any]:
            message = next(received, None)
            if message is None:
                await asyncio.Event().wait()
            assert message is not None
            return message

        async def send(message: MutableMapping[str, Any]) -> None:
            self.sent.append(message)

        self.task = asyncio.create_task(gateway(scope, receive, send))

    @property
    def status(self) -> int:
        return next((message["status"] for message in self.sent if "status" in message), 0)

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)


async def until(condition: Any) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  # what is waited for is in another object's hands
            await asyncio.sleep(0.01)


async def settle() -> None:
    """Let the application do whatever it would do if nothing held it."""
    for _ in range(20):
        await asyncio.sleep(0.005)


@pytest.fixture
def gateway(own_site: Site) -> Gateway:
    own_site.publish()
    return create_gateway(own_site.folder.root, "test")


def run(gateway: Gateway, scene: Any) -> None:
    async def play() -> None:
        spool = HeldSpool()
        gateway.spool = spool  # type: ignore[assignment]
        try:
            await scene(spool)
        finally:
            await gateway.stop()

    asyncio.run(play())


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
