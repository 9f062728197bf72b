"""Hostile, odd and unlucky clients: what could be read in two ways is refused, and every connection ends."""

import asyncio
import contextlib
import json
import random
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from guiju.gateway import inbound
from guiju.gateway.tests.rig import wait_for
from guiju.gateway.tests.served import Served, get, read_all, serving

POST = b"POST /echo HTTP/1.1\r\nhost: x\r\n"
NEXT = get("/smuggled")
PIECES = 500
seen: list[str] = []


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Tells what it was asked; some paths answer early, late or never."""
    path = scope["path"]
    seen.append(path)
    if path.startswith("/early"):
        await _say(send, b"early", *([(b"connection", b"close")] if path == "/early/close" else []))
        return
    if path == "/flood":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for number in range(PIECES):
            await send({"type": "http.response.body", "body": bytes(2**15), "more_body": True})
            seen.append(f"flood {number}")
        await send({"type": "http.response.body", "body": b""})
        return
    if path == "/begins":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
    body, more, pieces = b"", True, 0
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            seen.append(f"{path} cut at {len(body)}")
            return
        body += message["body"]
        pieces += 1
        more = message["more_body"]
    if path == "/slow":
        await asyncio.sleep(0.4)
    if path == "/waits":
        seen.append(f"{path} {(await receive())['type']}")
        return
    if path == "/cancelled":
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().call_soon(task.cancel)
        try:
            await asyncio.sleep(5)
        except asyncio.CancelledError:
            task.uncancel()
    told = {
        "method": scope["method"],
        "path": path,
        "query": scope["query_string"].decode(),
        "body": body[:1_000].decode("latin-1"),
        "size": len(body),
        "headers": [[name.decode(), value.decode("latin-1")] for name, value in scope["headers"]],
    }
    await _say(send, json.dumps(told).encode())


async def _say(send: Any, body: bytes, *headers: tuple[bytes, bytes]) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body)), *headers]})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving(application) as running:
        yield running


@pytest.fixture(autouse=True)
def _fresh() -> None:
    seen.clear()


def answers(raw: bytes) -> list[tuple[int, bytes]]:
    """Return (status, body) of each answer in what a server sent; every one has a length."""
    found = []
    while raw:
        head, _, rest = raw.partition(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        size = next(int(line[16:]) for line in lines if line.startswith(b"content-length:"))
        found.append((int(head.split()[1]), rest[:size]))
        assert len(rest) >= size
        raw = rest[size:]
    return found


def test_the_answers_here_are_read(served: Served) -> None:
    """The judge is judged: two proper requests in one packet are two answers."""
    found = answers(served.talk(get("/echo?a=b") + get("/%65cho", "GET", "1.1", "connection: close")))
    assert [(status, json.loads(body)["path"], json.loads(body)["query"]) for status, body in found] == [
        (200, "/echo", "a=b"),
        (200, "/echo", ""),
    ]


# ── what could be read in two ways ──────────────────────────────────────────────────────────────────────────────────────

CHUNKED = POST + b"transfer-encoding: chunked\r\n"
TWOFOLD = {
    "length and chunks": CHUNKED + b"content-length: 5\r\n\r\n0\r\n\r\n",
    "chunks and length": POST + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": POST + b"content-length: 5\r\ncontent-length: 6\r\n\r\nhello",
    "one length twice": POST + b"content-length: 5\r\ncontent-length: 5\r\n\r\nhello",
    "a list of lengths": POST + b"content-length: 5, 5\r\n\r\nhello",
    "a length with a sign": POST + b"content-length: +5\r\n\r\nhello",
    "a length below nothing": POST + b"content-length: -5\r\n\r\nhello",
    "a hexadecimal length": POST + b"content-length: 0x5\r\n\r\nhello",
    "an empty length": POST + b"content-length: \r\n\r\n",
    "a length before a blank": POST + b"content-length : 5\r\n\r\nhello",
    "a length that overflows": POST + b"content-length: 18446744073709551621\r\n\r\nhello",
    "an unknown coding": POST + b"transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
    "no coding": POST + b"transfer-encoding: identity\r\n\r\n",
    "chunks that are not last": POST + b"transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "a coding twice": CHUNKED + b"transfer-encoding: identity\r\n\r\n0\r\n\r\n",
    "chunks of chunks": POST + b"transfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "a coding behind a control": POST + b"transfer-encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "line feeds alone": b"POST /echo HTTP/1.1\nhost: x\n\n",
    "a line feed alone": b"POST /echo HTTP/1.1\r\nhost: x\ny: z\r\n\r\n",
    "a line feed at the end": b"POST /echo HTTP/1.1\r\nhost: x\r\n\n",
    "a folded header": POST + b"y: a\r\n b\r\n\r\n",
    "a folded first header": b"POST /echo HTTP/1.1\r\n host: x\r\n\r\n",
    "a zero in a header": POST + b"y: a\0b\r\n\r\n",
    "a carriage return in a header": POST + b"y: a\rz: b\r\n\r\n",
    "a header without a colon": POST + b"xyz\r\n\r\n",
    "a chunk that overflows": CHUNKED + b"\r\nfffffffffffffffff\r\n",
    "a chunk with 0x": CHUNKED + b"\r\n0x5\r\nhello\r\n0\r\n\r\n",
    "a chunk below nothing": CHUNKED + b"\r\n-5\r\nhello\r\n0\r\n\r\n",
    "a chunk that ends in a line feed": CHUNKED + b"\r\n5\nhello\r\n0\r\n\r\n",
    "a chunk that is longer than it says": CHUNKED + b"\r\n5\r\nhelloX\r\n0\r\n\r\n",
    "a line feed in an extension": CHUNKED + b"\r\n5;a\nb\r\nhello\r\n0\r\n\r\n",
    "a length in a trailer": CHUNKED + b"\r\n5\r\nhello\r\n0\r\ncontent-length: 3\r\n\r\n",
    "a coding in a trailer": CHUNKED + b"\r\n5\r\nhello\r\n0\r\ntransfer-encoding: chunked\r\n\r\n",
    "a blank in the target": b"GET /a b HTTP/1.1\r\nhost: x\r\n\r\n",
    "a byte that is no target": b"GET /\xe8\xb5\x8c HTTP/1.1\r\nhost: x\r\n\r\n",
    "HTTP 0.9": b"GET /echo\r\n\r\n",
    "HTTP 1.2": b"GET /echo HTTP/1.2\r\n\r\n",
    "HTTP 2.0": b"GET /echo HTTP/2.0\r\n\r\n",
    "HTTP 2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "a method in small letters": b"get /echo HTTP/1.1\r\nhost: x\r\n\r\n",
    "no method": b"FROB /echo HTTP/1.1\r\nhost: x\r\n\r\n",
    "a tunnel": b"CONNECT x:443 HTTP/1.1\r\nhost: x\r\n\r\n",
    "no host": b"GET /echo HTTP/1.1\r\n\r\n",
    "no host for a whole target": b"GET http://x/echo HTTP/1.1\r\n\r\n",
    "two hosts": POST + b"host: x\r\n\r\n",
    "two hosts of an old client": b"GET /echo HTTP/1.0\r\nhost: x\r\nhost: y\r\n\r\n",
    "a host with a path": b"GET /echo HTTP/1.1\r\nhost: x/y\r\n\r\n",
    "a host with a user": b"GET /echo HTTP/1.1\r\nhost: a@x\r\n\r\n",
    "a host with a blank": b"GET /echo HTTP/1.1\r\nhost: x y\r\n\r\n",
    "a host of an old client that is none": b"GET /echo HTTP/1.0\r\nhost: x/y\r\n\r\n",
    "chunks of an old client": b"POST /echo HTTP/1.0\r\nhost: x\r\nconnection: keep-alive\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "a length and chunks of an old client": b"POST /echo HTTP/1.0\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "too many headers": POST + b"y: z\r\n" * (inbound.HEADERS + 1) + b"\r\n",
}


@pytest.mark.parametrize("name", TWOFOLD)
@pytest.mark.parametrize("first", [b"", get("/echo")], ids=["alone", "behind another"])
def test_what_could_be_read_in_two_ways_is_refused(served: Served, name: str, first: bytes) -> None:
    """In `data_received`, were the error not to end the connection, what follows would be the next request.

    Hosts and chunks of old clients: the two looks in `on_headers_complete` before the target.
    """
    found = answers(served.talk(first + TWOFOLD[name] + NEXT))
    assert [status for status, _ in found] == ([200, 400] if first else [400])
    error = json.loads(found[-1][1])["error"]
    assert (error["code"], error["type"]) == ("http_invalid", "invalid_request_error")
    assert "/smuggled" not in seen


@pytest.mark.parametrize("host", ["x", "", "x:8080", "[::1]:8080", "a_b-c.example.com.", "xn--fiqs8s", "%41", "127.0.0.1"])
def test_what_names_a_host_is_taken(served: Served, host: str) -> None:
    sent = b"GET /echo HTTP/1.1\r\nHost: %s \r\nconnection: close\r\n\r\n" % host.encode()
    told = json.loads(answers(served.talk(sent))[0][1])["headers"]
    assert [value.strip() for name, value in told if name == "host"] == [host]


def test_an_old_client_need_not_name_a_host(served: Served) -> None:
    assert answers(served.talk(b"POST /echo HTTP/1.0\r\ncontent-length: 5\r\n\r\nhello"))[0][0] == 200


def test_a_refusal_is_never_taken_for_the_answer_of_a_request_before_it(served: Served) -> None:
    found = answers(served.talk(get("/slow") + get("/echo") + b"rubbish\r\n\r\n"))
    assert [status for status, _ in found] == [200, 200, 400]
    assert [json.loads(body)["path"] for _, body in found[:2]] == ["/slow", "/echo"]


def test_an_answer_that_has_begun_is_not_followed_by_a_refusal(served: Served) -> None:
    with served.connect(CHUNKED.replace(b"/echo", b"/begins") + b"\r\n") as client:
        wait_for(lambda: "/begins" in seen)
        received = client.recv(2**16)
        client.sendall(b"rubbish\r\n" + NEXT)
        received += read_all(client)
    assert received.endswith(b"5\r\nbegun\r\n")
    assert seen == ["/begins", "/begins cut at 0"]


@pytest.mark.parametrize("cut", [1, 7])
def test_a_body_that_turns_into_rubbish_is_cut_for_the_application(served: Served, cut: int) -> None:
    with served.connect(CHUNKED + b"\r\n5\r\nhello\r\n") as client:
        wait_for(lambda: "/echo" in seen)
        for piece in (b"rubbish"[:cut], b"\r\n", NEXT):
            client.sendall(piece)
        assert [status for status, _ in answers(read_all(client))] == [400]
    wait_for(lambda: "/echo cut at 5" in seen)
    assert seen == ["/echo", "/echo cut at 5"]


def test_trailers_are_nobodys_headers(served: Served) -> None:
    """In `on_header`, without the look at `_in_head`, a body could name its user."""
    sent = (
        CHUNKED
        + b"\r\n5\r\nhello\r\n0\r\nx-guiju-user: eve\r\nauthorization: Bearer eve\r\n\r\n"
        + get("/echo", "GET", "1.1", "connection: close")
    )
    found = [json.loads(body) for _, body in answers(served.talk(sent))]
    assert [each["body"] for each in found] == ["hello", ""]
    assert not any(b"eve".decode() in value for each in found for _, value in each["headers"])


def test_after_close_nothing_is_read(served: Served) -> None:
    assert len(answers(served.talk(get("/echo", "GET", "1.1", "connection: close") + NEXT))) == 1
    assert seen == ["/echo"]


@pytest.mark.parametrize("where", ["head", "name", "target", "trailer", "extension"])
def test_heads_that_do_not_end_are_refused(served: Served, where: str) -> None:
    begin, more, status = {
        "head": (POST, b"y: " + b"z" * 900 + b"\r\n", 431),
        "name": (POST, b"y" * 1000, 431),
        "target": (b"GET /", b"a" * 1000, 431),
        "trailer": (CHUNKED + b"\r\n5\r\nhello\r\n0\r\n", b"y: " + b"z" * 900 + b"\r\n", 431),
        "extension": (CHUNKED + b"\r\n5", b";y=" + b"z" * 900, 431),
    }[where]
    with served.connect(begin) as client:
        client.settimeout(5)
        try:
            for _ in range(2 * inbound.HEAD_BYTES // len(more)):
                client.sendall(more)
        except OSError:
            pass  # it was refused meanwhile
        assert [each for each, _ in answers(read_all(client))] == [status]


def test_random_bytes_harm_nobody(served: Served) -> None:
    for seed in range(60):
        chance = random.Random(seed)
        sent = bytearray(CHUNKED + b"\r\n5\r\nhello\r\n0\r\n\r\n" + POST + b"content-length: 5\r\n\r\nhello" + NEXT)
        for _ in range(chance.randint(1, 5)):
            sent[chance.randrange(len(sent))] = chance.randrange(256)
        with served.connect(bytes(sent)) as client:
            client.shutdown(socket.SHUT_WR)
            read_all(client)
    assert [status for status, _ in answers(served.talk(get("/echo", "GET", "1.1", "connection: close")))] == [200]


# ── requests as they come ───────────────────────────────────────────────────────────────────────────────────────────────


class Wire:
    """What a connection writes to."""

    def __init__(self) -> None:
        self.written = b""
        self.closed = False

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    abort = close

    def is_closing(self) -> bool:
        return self.closed

    def get_extra_info(self, name: str) -> None:
        return None

    def pause_reading(self) -> None: ...

    resume_reading = write_eof = pause_reading


def test_requests_may_be_cut_anywhere(served: Served) -> None:
    sent = (
        POST
        + b"content-length: 5\r\n\r\nhello"
        + CHUNKED
        + b"\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"
        + get("/echo?z", "GET", "1.1", "connection: close")
    )

    async def answered(*pieces: bytes) -> bytes:
        connection = inbound.Connection(served.server.config, served.server.server_state.__class__(), {})
        wire = Wire()
        connection.connection_made(wire)  # type: ignore[arg-type]
        for piece in pieces:
            connection.data_received(piece)
            for _ in range(5):
                await asyncio.sleep(0)
        while not wire.closed:  # noqa: ASYNC110  # nothing tells us of it but the wire
            await asyncio.sleep(0)
        connection.connection_lost(None)
        return wire.written

    async def every_cut() -> None:
        whole = await answered(sent)
        assert [json.loads(body)["size"] for _, body in answers(whole)] == [5, 5, 0]
        for cut in range(1, len(sent)):
            assert await answered(sent[:cut], sent[cut:]) == whole
        assert await answered(*(sent[at : at + 1] for at in range(len(sent)))) == whole

    asyncio.run(every_cut())


def test_many_requests_at_once_are_answered_in_order(served: Served) -> None:
    many = inbound.WAITING - 1
    sent = b"".join(b"POST /echo?%d HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%s" % (n, n, b"x" * n) for n in range(many))
    found = answers(served.talk(sent + get("/echo", "GET", "1.1", "connection: close")))
    assert [(json.loads(body)["query"], json.loads(body)["size"]) for _, body in found[:many]] == [(str(n), n) for n in range(many)]
    assert len(found) == many + 1


def test_a_large_body_behind_another_request_arrives_whole(served: Served) -> None:
    """In `_serve`, without `read_on` when the turn of a request comes, its body would never be read."""
    size = 3 * 2**20
    with served.connect(get("/slow")) as client:
        wait_for(lambda: "/slow" in seen)
        client.sendall(POST + b"content-length: %d\r\nconnection: close\r\n\r\n" % size)
        wait_for(lambda: any(each._paused for each in served.server.server_state.connections))  # type: ignore[union-attr]  # our own
        client.sendall(b"x" * size)
        assert [json.loads(body)["size"] for _, body in answers(read_all(client))] == [0, size]


def test_100_continue_is_said_where_the_body_is_wanted(served: Served) -> None:
    with served.connect(POST + b"content-length: 5\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n") as client:
        assert client.recv(2**16) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"hello")
        assert answers(read_all(client))[0][0] == 200
    early = get("/early", "POST", "1.1", "content-length: 5", "expect: 100-continue", "connection: close")
    assert answers(served.talk(early)) == [(200, b"early")]


@pytest.mark.parametrize(
    "offer",
    ["connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk", "connection: Upgrade\r\nupgrade: websocket"],
)
def test_an_offer_of_another_protocol_is_not_taken_up(served: Served, offer: str) -> None:
    """In `on_headers_complete`, without the look for an offer, a body would be taken for the next request."""
    hidden = NEXT
    sent = get("/echo", "POST", "1.1", *offer.split("\r\n"), f"content-length: {len(hidden)}") + hidden
    found = answers(served.talk(sent + get("/echo", "GET", "1.1", "connection: close")))
    assert [(status, json.loads(body)["size"]) for status, body in found] == [(200, len(hidden)), (200, 0)]
    assert "/smuggled" not in seen


def test_targets_in_their_other_forms(served: Served) -> None:
    asked = [get("http://x/echo?a"), get("*", "OPTIONS"), get("/", "GET", "1.1", "connection: close")]
    assert [json.loads(body)["path"] for _, body in answers(served.talk(b"".join(asked)))] == ["/echo", "*", "/"]


def test_an_old_client_gets_no_chunks(served: Served) -> None:
    answer = served.talk(get("/flood", "GET", "1.0", "connection: keep-alive"))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"connection: close" in head
    assert b"chunked" not in head
    assert body == bytes(2**15) * PIECES


def test_a_cancellation_that_was_handled_does_not_reach_the_next_request(served: Served) -> None:
    found = answers(served.talk(get("/cancelled") + get("/slow") + get("/echo", "GET", "1.1", "connection: close")))
    assert [json.loads(body)["path"] for _, body in found] == ["/cancelled", "/slow", "/echo"]


# ── clients that leave, wait, or take nothing ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("half", [True, False])
def test_a_client_that_leaves_is_noticed(served: Served, half: bool) -> None:
    client = served.connect(get("/waits"))
    wait_for(lambda: "/waits" in seen)
    if half:
        client.shutdown(socket.SHUT_WR)
    else:
        client.close()
    wait_for(lambda: "/waits http.disconnect" in seen)
    client.close()
    wait_for(lambda: not served.server.server_state.connections and not served.server.server_state.tasks)


def test_a_client_that_takes_nothing_stops_the_application(served: Served) -> None:
    """In `send`, without the wait for `drained`, all of it would lie in memory."""
    with served.connect(get("/flood", "GET", "1.1", "connection: close")) as client:
        wait_for(lambda: "flood 1" in seen)
        before = -1
        while before != len(seen):
            before = len(seen)
            time.sleep(0.1)
        assert len(seen) < 400
        assert len(read_all(client)) > PIECES * 2**15
    assert "flood 499" in seen


def test_an_answer_before_the_end_of_a_body_is_not_lost(served: Served) -> None:
    with served.connect(get("/early/close", "POST", "1.1", "content-length: 100000000")) as client:
        client.sendall(b"x" * 500_000)
        received = b""
        while piece := client.recv(2**16):  # in `_linger`, with `close` in the place of `write_eof` this would be a reset
            received += piece
        assert answers(received) == [(200, b"early")]


def test_a_body_that_nobody_wants_is_not_read_for_ever(served: Served) -> None:
    with served.connect(get("/early/close", "POST", "1.1", "content-length: 100000000")) as client:
        sent = 0
        try:
            while sent < 100_000_000:
                sent += client.send(bytes(2**16))
        except OSError:
            pass  # the server let go of it
        assert sent < 50_000_000
    wait_for(lambda: not served.server.server_state.connections)


def test_a_body_that_nobody_wants_does_not_end_a_connection_that_stays(served: Served) -> None:
    sent = get("/early", "POST", "1.1", "content-length: 1000000") + b"x" * 1_000_000
    assert [body for _, body in answers(served.talk(sent + get("/early/close")))] == [b"early", b"early"]


@pytest.mark.parametrize("sent", [b"", b"GET /echo HT", POST + b"y: ", POST, get("/early", "POST", "1.1", "content-length: 9") + b"half"])
def test_a_connection_on_which_nothing_comes_is_closed(served: Served, sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbound, "KEEP_S", 0.5)
    begun = time.monotonic()
    with served.connect(sent) as client:
        read_all(client)
    assert 0.4 < time.monotonic() - begun < 5


def test_a_head_that_drips_is_cut(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes that come do not prolong the time for a head."""
    monkeypatch.setattr(inbound, "KEEP_S", 0.5)
    begun = time.monotonic()
    with served.connect(POST) as client:
        with contextlib.suppress(OSError):  # the server lets go of it
            while time.monotonic() - begun < 10:
                client.sendall(b"y: z\r\n")
                time.sleep(0.05)
        assert time.monotonic() - begun < 5


def test_a_slow_answer_is_not_cut(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither by its own deadline, which `_serve` takes away, nor by another: `close_if_late` looks whether one is under way."""
    monkeypatch.setattr(inbound, "KEEP_S", 0.01)
    with served.connect(get("/waits")) as client:
        client.settimeout(2.5)
        with pytest.raises(TimeoutError):
            client.recv(1)


def test_a_drain_ends_what_is_idle_and_finishes_what_is_not() -> None:
    with serving(application) as served:
        idle, busy = served.connect(), served.connect(get("/slow") + get("/slow"))
        wait_for(lambda: "/slow" in seen)
        begun = time.monotonic()
        served.stop()
        assert read_all(idle) == b""
        received = read_all(busy)
        assert [status for status, _ in answers(received)] == [200]
        assert b"connection: close" in received
        assert time.monotonic() - begun < 5
        idle.close()
        busy.close()
    assert seen.count("/slow") == 1
