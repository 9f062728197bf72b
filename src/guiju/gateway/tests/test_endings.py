"""How a stream ends when something of ours fails: with an error, `[DONE]`, and one closing record.

Guarded lines: the `try` around `note_flags` in `Exchange._note_flags` and its `if self._flagged`, the `raise` in `_end_stream`, the `except`
in `_cut`, `self.deadline = 0.0` before `await opened`, `self._closing or new_id()` in `Call._record`, and `errors.INTERNAL` in `_fail`.
"""

import asyncio
import errno
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest

from guiju.core.errors import GuijuError
from guiju.gateway.app import SWEEP_S, Gateway, create_gateway
from guiju.gateway.tests.client import Heard, hear
from guiju.gateway.tests.held import Asked, HeldSpool, run, until
from guiju.gateway.tests.rig import ScriptedUpstream
from guiju.gateway.tests.rig import Site as GatewaySite
from guiju.records.entry import Entry
from guiju.records.spool import growing
from guiju.records.spool.writer import SPOOL_UNWRITABLE, SpoolWriter
from guiju.records.tests.site import RECORD, make_site


def broken(*_: object, **__: object) -> None:
    raise ZeroDivisionError("screening is broken")


def gateway_of(site: GatewaySite, could_not_examine: Literal["stop", "deliver"] = "stop") -> Gateway:
    services = tuple(
        msgspec.structs.replace(each, policy=msgspec.structs.replace(each.policy, could_not_examine=could_not_examine))
        for each in site.bundle.services
    )
    site.publish(msgspec.structs.replace(site.bundle, services=services))
    return create_gateway(site.folder.root, "test")


def stream(gateway: Gateway, model: str, fails: Callable[[int], bool] = lambda number: False) -> tuple[Heard, list[Entry]]:
    """Ask for a stream; the commits fail whose number is said to. Return what the client heard, and what was appended."""
    heard: list[Heard] = []
    entries: list[Entry] = []

    async def scene(spool: HeldSpool) -> None:
        asked = Asked(gateway, model=model, stream=True)
        async with asyncio.timeout(20):
            while not asked.task.done():
                await asyncio.sleep(0.01)
                for number, (_, future) in enumerate(spool.waiting):
                    if not future.done() and fails(number):
                        future.set_exception(GuijuError(SPOOL_UNWRITABLE, reason="no space", folder="spool"))
                    elif not future.done():
                        future.set_result(None)
        await asked.task
        assert asked.sent[-1] == {"type": "http.response.body", "body": b""}
        heard.append(hear(asked.body))
        entries.extend(spool.entries)

    run(gateway, scene)
    assert heard[0].dones == 1
    return heard[0], entries


def output_of(entry: Entry) -> Any:
    return entry.metadata["output"]


def test_a_stream_whose_flags_cannot_be_looked_for_stops_where_the_policy_says_so(
    own_site: GatewaySite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("guiju.gateway.stream.AnswerStream.note_flags", broken)
    heard, entries = stream(gateway_of(own_site), "ok")
    assert (heard.finishes, [error["code"] for error in heard.errors]) == ({}, ["not_examined"])
    assert [entry.kind for entry in entries] == ["gateway.answer.opened", "gateway.answer.interrupted"]
    closing = entries[1]
    assert (closing.metadata["reason"], closing.metadata["detail"]) == ("NOT-EXAMINED", "ZeroDivisionError")
    assert output_of(closing)["flags"] == "not_examined"
    assert (output_of(closing)["outcome"], output_of(closing)["reason"]) == ("could_not_examine", "ZeroDivisionError")


def test_and_is_delivered_with_a_note_where_the_policy_says_that(own_site: GatewaySite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("guiju.gateway.stream.AnswerStream.note_flags", broken)
    heard, entries = stream(gateway_of(own_site, "deliver"), "ok")
    assert (heard.finishes, heard.errors) == ({0: "stop"}, [])
    assert [entry.kind for entry in entries] == ["gateway.answer.opened", "gateway.answer.delivered"]
    assert output_of(entries[1])["flags"] == "not_examined"
    assert output_of(entries[1])["outcome"] == "could_not_examine"


def test_a_stream_that_was_stopped_stays_so_when_its_flags_cannot_be_looked_for(
    own_site: GatewaySite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Taken back to an error, it would lose the retraction of what had left."""
    monkeypatch.setattr("guiju.gateway.stream.AnswerStream.note_flags", broken)
    heard, entries = stream(gateway_of(own_site), "strays")
    assert (heard.finishes, heard.errors, len(heard.retractions)) == ({0: "content_filter"}, [], 1)
    assert entries[1].kind == "gateway.answer.stopped"
    assert (output_of(entries[1])["outcome"], output_of(entries[1])["flags"]) == ("hit", "not_examined")


@pytest.mark.parametrize("model", ["reset_middle", "reset_after_finish", "not_json"])
def test_an_upstream_that_fails_while_screening_does_leaves_its_record(
    own_site: GatewaySite, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    monkeypatch.setattr("guiju.gateway.stream.AnswerStream.note_flags", broken)
    heard, entries = stream(gateway_of(own_site), model)
    assert len(heard.errors) == 1
    assert [entry.kind for entry in entries] == ["gateway.answer.opened", "gateway.answer.interrupted"]


def test_an_upstream_that_fails_where_what_is_held_cannot_be_decided_leaves_its_record(
    own_site: GatewaySite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("guiju.screening.matching.gate.Gate.finish", broken)
    heard, entries = stream(gateway_of(own_site), "reset_middle")
    assert [error["code"] for error in heard.errors] == ["upstream_broken"]
    assert [entry.kind for entry in entries] == ["gateway.answer.opened", "gateway.answer.interrupted"]


def test_an_answer_whose_end_is_recorded_twice_has_one_number_for_it_and_its_flags_once(own_site: GatewaySite) -> None:
    heard, entries = stream(gateway_of(own_site), "flags", lambda number: number == 1)
    assert [error["code"] for error in heard.errors] == ["spool_unwritable"]
    assert [entry.kind for entry in entries] == ["gateway.answer.opened", "gateway.answer.delivered", "gateway.answer.interrupted"]
    assert entries[1].id == entries[2].id != entries[0].id
    assert entries[1].metadata["answer"] == entries[2].metadata["answer"] == entries[0].id
    assert len(output_of(entries[1])["hits"]) == len(output_of(entries[2])["hits"]) == 1


def test_a_whole_spool_that_fails_after_an_upstream_that_left_ends_the_stream(own_site: GatewaySite) -> None:
    heard, entries = stream(gateway_of(own_site), "reset_after_finish", lambda number: number > 0)
    assert [error["code"] for error in heard.errors] == ["spool_unwritable"]
    assert len(entries) == 3


def test_a_fault_of_ours_is_not_recorded_as_the_request_s(own_site: GatewaySite, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = gateway_of(own_site)
    monkeypatch.setattr("guiju.gateway.exchange.refusal_of", broken)

    async def scene(spool: HeldSpool) -> None:
        asked = Asked(gateway, model="plain")
        await until(lambda: spool.waiting)
        spool.waiting[0][1].set_result(None)
        await asked.task
        assert (asked.status, [entry.kind for entry in spool.entries]) == (500, ["gateway.answer.interrupted"])
        assert spool.entries[0].metadata["error"] == "INTERNAL"

    run(gateway, scene)


def test_a_slow_spool_is_not_told_as_an_upstream_that_is_late(own_site: GatewaySite) -> None:
    gateway = gateway_of(own_site)

    async def scene(spool: HeldSpool) -> None:
        await gateway.start()
        asked = Asked(gateway, model="hang_after_finish", stream=True)
        await until(lambda: spool.waiting)
        (exchange,) = gateway.exchanges
        late = time.monotonic() + 0.5 + 4 * SWEEP_S  # what the upstream has for its first byte, and the sweeper's turns
        await until(lambda: time.monotonic() > late)
        assert not exchange.expired
        spool.waiting[0][1].set_result(None)
        await until(lambda: len(spool.waiting) == 2)
        spool.waiting[1][1].set_result(None)
        await asked.task
        assert [entry.kind for entry in spool.entries] == ["gateway.answer.opened", "gateway.answer.delivered"]
        assert hear(asked.body).finishes == {0: "stop"}

    run(gateway, scene)


def test_a_commit_that_is_refused_late_leaves_one_end_on_record(
    upstream: ScriptedUpstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The recorder reads what the disk then says that it did not take: that end stands, and the other one is kept aside and told."""
    records = make_site(tmp_path / "data")
    gateway = gateway_of(GatewaySite(tmp_path / "data", upstream.url))
    read = threading.Event()
    write_durably = growing.write_durably
    writes = iter(range(100))

    def late(descriptor: int, content: bytes, offset: int) -> None:
        if next(writes) != 1:
            write_durably(descriptor, content, offset)
            return
        os.pwrite(descriptor, content, offset)
        assert read.wait(60)
        raise OSError(errno.EIO, "late")

    monkeypatch.setattr(growing, "write_durably", late)
    recorder = records.start(RECORD)

    def kinds() -> list[str]:
        return [kind for _, _, kind, _ in records.look()["records"]]

    async def play() -> None:
        spool = SpoolWriter(gateway._data.spool, gateway.live.bundle.recorder_public_key, worker="test", beside=False)
        gateway.spool = spool
        asked = Asked(gateway, model="ok", stream=True)
        await _until_on_record(kinds, 2)
        read.set()
        await asked.task
        heard = hear(asked.body)
        assert [error["code"] for error in heard.errors] == ["spool_unwritable"]
        await _until_on_record(kinds, 3)
        await gateway.stop()

    try:
        asyncio.run(play())
    finally:
        read.set()
        recorder.terminate()
        recorder.communicate(timeout=60)
    found = records.look()
    opened, delivered, damaged = found["records"]
    assert [opened[2], delivered[2], damaged[2]] == ["gateway.answer.opened", "gateway.answer.delivered", "records.entry.damaged"]
    assert delivered[3]["answer"] == opened[1]
    told = damaged[3]
    assert (told["reason"], told["entry"], told["entry_kind"]) == ("its id was used before", delivered[1], "gateway.answer.interrupted")
    assert found["open"] == 0
    assert [step for step in found["steps"] if step[0] != "holds"] == []


async def _until_on_record(kinds: Callable[[], list[str]], count: int) -> None:
    async with asyncio.timeout(60):
        while len(await asyncio.to_thread(kinds)) < count:
            pass
