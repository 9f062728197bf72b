"""Clients that send, hold or leave out more than their share: each gets what it is owed, and no more of the server than that."""

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from guiju.gateway import inbound
from guiju.gateway.request import LET_GO_BYTES, WHOLE
from guiju.gateway.server import Server
from guiju.gateway.tests.rig import wait_for
from guiju.gateway.tests.served import Served, get, read_all, serving
from guiju.gateway.tests.test_inbound import answers

LONG = bytes(2**24)
"""More than the sockets between take."""
IDLE_S = 60.0
seen: list[str] = []
held: list[asyncio.Event] = []


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Answers at once; `/waits` when the test says so."""
    path = scope["path"]
    seen.append(path)
    if path == "/waits":
        held.append(asyncio.Event())
        await held[-1].wait()
    if path == "/stream":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(len(LONG) >> 18):
            await send({"type": "http.response.body", "body": LONG[: 2**18], "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    else:
        closes = [(b"connection", b"close")] if path.endswith("closes") else []
        await send({"type": WHOLE, "status": 200, "headers": closes, "body": LONG if path.startswith("/long") else b"told"})
    seen.append(f"{path} sent")


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
    assert [path for path in seen if " " not in path] == ["/waits"] * waits + ["/echo"] * inbound.WAITING


# ── answers that nobody reads, or that somebody reads slowly ────────────────────────────────────────────────────────────


class Clock:
    """The time that connections are told; they are looked at when the test says so, not once a second."""

    def __init__(self, served: Served) -> None:
        self.now = 0.0
        self._served = served

    def look(self, after_s: float) -> None:
        """Let time pass and have the only connection looked at."""
        (connection,) = list(self._served.server.server_state.connections) or (None,)
        self.now += after_s
        if isinstance(connection, inbound.Connection):
            if not self.now - after_s:
                self.now += connection.loop.time()
            looked = threading.Event()
            connection.loop.call_soon_threadsafe(connection.close_if_late, self.now, IDLE_S)
            connection.loop.call_soon_threadsafe(looked.set)
            assert looked.wait(20)


@pytest.fixture
def clock(served: Served, monkeypatch: pytest.MonkeyPatch) -> Clock:
    monkeypatch.setattr(Server, "on_tick", uvicorn.Server.on_tick)
    return Clock(served)


def narrow(served: Served, sent: bytes) -> socket.socket:
    """Return a connection that takes little ahead of its reader."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**14)
    client.settimeout(10)
    client.connect(served.address)
    client.sendall(sent)
    return client


def unsent(connection: inbound.Connection) -> int:
    return connection.transport.get_write_buffer_size()


def settled(connection: inbound.Connection) -> int:
    """Return what waits for the client when the sockets between take no more."""
    before, now = -1, unsent(connection)
    while before != now:
        time.sleep(0.05)
        before, now = now, unsent(connection)
    return now


@pytest.mark.parametrize("path", ["/long", "/stream"])
def test_a_client_that_takes_nothing_is_let_go(served: Served, clock: Clock, path: str) -> None:
    """Guarded: the `abort` of a client that took nothing in `close_if_late`; an answer under way does not protect it."""
    with narrow(served, get(path) + get(path)):
        wait_for(lambda: path in seen)
        connection = connection_of(served)
        wait_for(lambda: connection.is_full)
        settled(connection)
        assert seen in (["/long", "/long sent", "/long"], ["/stream"])
        told = []
        for after_s in (1, IDLE_S - 1, 2):
            clock.look(after_s)
            told.append(connection.stalled)
        assert told == [False, False, True]
        wait_for(lambda: not served.server.server_state.tasks)


@pytest.mark.parametrize("path", ["/long", "/stream", "/long/closes"])
def test_a_client_that_reads_slowly_gets_its_answer(served: Served, clock: Clock, path: str) -> None:
    """Guarded: what `close_if_late` does where something was taken. It all lasts much longer than `KEEP_S`."""
    with narrow(served, get(path)) as client:
        wait_for(lambda: path in seen)
        connection = connection_of(served)
        wait_for(lambda: connection.is_full)
        received, looks = 0, 0
        while received < len(LONG):
            before = unsent(connection)
            clock.look(IDLE_S - 1)
            while received < len(LONG) and unsent(connection) == before:
                piece = client.recv(2**16)
                assert piece
                received += len(piece)
            looks += 1
        assert looks * (IDLE_S - 1) > inbound.KEEP_S
        assert not connection.stalled


def test_time_for_the_next_head_begins_when_the_answer_was_taken(served: Served, clock: Clock) -> None:
    """Guarded: the new `_deadline` in `close_if_late`."""
    with narrow(served, get("/long")) as client:
        wait_for(lambda: "/long sent" in seen)
        connection = connection_of(served)
        clock.look(1)
        received = 0
        while received < len(LONG) // 2:
            received += len(client.recv(2**18))
        clock.look(inbound.KEEP_S + 1)
        while received < len(LONG):
            received += len(client.recv(2**18))
        wait_for(lambda: not unsent(connection))
        clock.look(inbound.KEEP_S + 1)
        clock.look(inbound.KEEP_S - 1)
        client.sendall(get("/echo"))
        wait_for(lambda: "/echo sent" in seen)
        while not client.recv(2**10).endswith(b"told"):
            pass
        clock.look(1)
        clock.look(2 * inbound.KEEP_S)
        assert client.recv(1) == b""


def test_a_long_answer_before_a_refusal_is_not_cut(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guarded: the look at what waits in `_let_go`."""
    monkeypatch.setattr(inbound, "LINGER_S", 0.01)
    with narrow(served, get("/long") + b"rubbish\r\n\r\n") as client:
        wait_for(lambda: "/long sent" in seen)
        connection = connection_of(served)
        first = connection._timer
        wait_for(lambda: connection._timer is not first)  # it was looked at, and waits on
        received = read_all(client)
    assert [status for status, _ in answers(received)] == [200, 400]


# ── bodies that nobody wants ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", ["/echo", "/stream"])
def test_a_request_behind_a_body_that_was_left_out_is_not_taken_for_it(served: Served, path: str) -> None:
    """Guarded: `_asks_first` in `_answer_whole` and in `_head_of`. The client heard that its body is not wanted, and goes on."""
    received = served.talk(get(path, "POST", "1.1", "content-length: 50", "expect: 100-continue") + get("/next"))
    head = received.partition(b"\r\n\r\n")[0]
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"connection: close" in head
    assert seen == [path, f"{path} sent"]


def test_a_body_as_large_as_may_be_is_let_go(served: Served) -> None:
    """A refusal at the head does not cost the connection, nor its reader the refusal, where the body may be 10 MiB."""
    size = 10 * 2**20
    sent = get("/echo", "POST", "1.1", f"content-length: {size}") + bytes(size) + get("/closes")
    assert [status for status, _ in answers(served.talk(sent))] == [200, 200]


def test_a_body_that_goes_on_behind_its_answer_ends_the_connection(served: Served) -> None:
    """Guarded: the look at `LET_GO_BYTES` in `take`."""
    with served.connect(get("/echo", "POST", "1.1", "content-length: 1000000000")) as client:
        wait_for(lambda: "/echo sent" in seen)
        sent = 0
        with contextlib.suppress(OSError):  # the server lets go of it
            while sent < 200_000_000:
                sent += client.send(bytes(2**16))
        assert LET_GO_BYTES < sent < 100_000_000


def test_the_answer_before_a_body_that_goes_on_is_not_lost(served: Served) -> None:
    """Guarded: `_linger` after a complete answer in `_refuse`; closing at once would be a reset."""
    with served.connect(
        get("/echo", "POST", "1.1", "content-length: 1000000000") + bytes(LET_GO_BYTES + inbound.LINGER_BYTES - 2**17)
    ) as client:
        received = b""
        while piece := client.recv(2**16):  # a reset would raise
            received += piece
    assert [status for status, _ in answers(received)] == [200]
