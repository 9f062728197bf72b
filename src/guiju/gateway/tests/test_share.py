"""Clients that send, hold or leave out more than their share: each gets what it is owed, and no more of the server than that."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from guiju.gateway import inbound
from guiju.gateway.request import WHOLE
from guiju.gateway.tests.rig import wait_for
from guiju.gateway.tests.served import Served, get, read_all, serving
from guiju.gateway.tests.test_inbound import answers

seen: list[str] = []
held: list[asyncio.Event] = []


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Answers at once; `/waits` when the test says so."""
    path = scope["path"]
    seen.append(path)
    if path == "/waits":
        held.append(asyncio.Event())
        await held[-1].wait()
    await send({"type": WHOLE, "status": 200, "headers": [], "body": b"told"})


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving(application) as running:
        yield running


@pytest.fixture(autouse=True)
def _fresh(served: Served) -> Iterator[None]:
    seen.clear()
    held.clear()
    yield
    wait_for(lambda: not served.server.server_state.connections)


def connection_of(served: Served) -> inbound.Connection:
    """Return the only connection there is."""
    (found,) = served.server.server_state.connections
    assert isinstance(found, inbound.Connection)
    return found


# ── more requests than may wait ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("waits", [False, True])
def test_more_requests_than_may_wait_are_refused_behind_those(served: Served, waits: bool) -> None:
    """Guarded: the look at `WAITING` in `on_headers_complete`. One read holds thousands of heads."""
    with served.connect(get("/waits") if waits else b"") as client:
        wait_for(lambda: held or not waits)
        client.sendall(get("/echo") * 5_000)
        if waits:
            connection = connection_of(served)
            wait_for(lambda: connection._refusal)
            connection.loop.call_soon_threadsafe(held[0].set)
        found = answers(read_all(client))
    assert [status for status, _ in found] == [200] * (inbound.WAITING + waits) + [429]
    error = json.loads(found[-1][1])["error"]
    assert (error["code"], error["type"]) == ("http_pipelined", "rate_limit_error")
    assert seen == ["/waits"] * waits + ["/echo"] * inbound.WAITING
