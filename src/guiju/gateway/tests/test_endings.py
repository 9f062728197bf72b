"""How a stream ends when something of ours fails: with an error, `[DONE]`, and one closing record.

Guarded lines: the `try` around `note_flags` in `Exchange._note_flags` and its `if self._flagged`, the `raise` in `_end_stream`, the `except`
in `_cut`, and `self.deadline = 0.0` before `await opened`.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Literal

import msgspec
import pytest

from guiju.core.errors import GuijuError
from guiju.gateway.app import SWEEP_S, Gateway, create_gateway
from guiju.gateway.tests.client import Heard, hear
from guiju.gateway.tests.held import Asked, HeldSpool, run, until
from guiju.gateway.tests.rig import Site as GatewaySite
from guiju.records.entry import Entry
from guiju.records.spool.writer import SPOOL_UNWRITABLE


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
    monkeypatch.setattr("guiju.gateway.stream.flags_in_answer", broken)
    heard, entries = stream(gateway_of(own_site), "ok")
    assert (heard.finishes, [error["code"] for error in heard.errors]) == ({}, ["not_examined"])
    assert [entry.kind for entry in entries] == ["gateway.answer.opened", "gateway.answer.interrupted"]
    closing = entries[1]
    assert (closing.metadata["reason"], closing.metadata["detail"]) == ("NOT-EXAMINED", "ZeroDivisionError")
    assert output_of(closing)["flags"] == "not_examined"
    assert (output_of(closing)["outcome"], output_of(closing)["reason"]) == ("could_not_examine", "ZeroDivisionError")


def test_and_is_delivered_with_a_note_where_the_policy_says_that(own_site: GatewaySite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("guiju.gateway.stream.flags_in_answer", broken)
    heard, entries = stream(gateway_of(own_site, "deliver"), "ok")
    assert (heard.finishes, heard.errors) == ({0: "stop"}, [])
    assert [entry.kind for entry in entries] == ["gateway.answer.opened", "gateway.answer.delivered"]
    assert output_of(entries[1])["flags"] == "not_examined"
    assert output_of(entries[1])["outcome"] == "could_not_examine"


def test_a_stream_that_was_stopped_stays_so_when_its_flags_cannot_be_looked_for(
    own_site: GatewaySite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Taken back to an error, it would lose the retraction of what had left."""
    monkeypatch.setattr("guiju.gateway.stream.flags_in_answer", broken)
    heard, entries = stream(gateway_of(own_site), "strays")
    assert (heard.finishes, heard.errors, len(heard.retractions)) == ({0: "content_filter"}, [], 1)
    assert entries[1].kind == "gateway.answer.stopped"
    assert (output_of(entries[1])["outcome"], output_of(entries[1])["flags"]) == ("hit", "not_examined")


@pytest.mark.parametrize("model", ["reset_middle", "reset_after_finish", "not_json"])
def test_an_upstream_that_fails_while_screening_does_leaves_its_record(
    own_site: GatewaySite, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    monkeypatch.setattr("guiju.gateway.stream.flags_in_answer", broken)
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


def test_an_answer_whose_end_is_recorded_twice_has_its_flags_once(own_site: GatewaySite) -> None:
    heard, entries = stream(gateway_of(own_site), "flags", lambda number: number == 1)
    assert [error["code"] for error in heard.errors] == ["spool_unwritable"]
    assert [entry.kind for entry in entries] == ["gateway.answer.opened", "gateway.answer.delivered", "gateway.answer.interrupted"]
    assert entries[1].metadata["answer"] == entries[2].metadata["answer"] == entries[0].id
    assert len(output_of(entries[1])["hits"]) == len(output_of(entries[2])["hits"]) == 1


def test_a_whole_spool_that_fails_after_an_upstream_that_left_ends_the_stream(own_site: GatewaySite) -> None:
    heard, entries = stream(gateway_of(own_site), "reset_after_finish", lambda number: number > 0)
    assert [error["code"] for error in heard.errors] == ["spool_unwritable"]
    assert len(entries) == 3


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
