"""The server writes whole answers in one piece, and no answer that is none."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from guiju.gateway import inbound
from guiju.gateway.request import WHOLE
from guiju.gateway.tests.served import get, serving

Talk = Callable[[bytes], bytes]
HEAD = {"type": "http.response.start", "status": 200}


async def _answer(send: Any, headers: list[tuple[bytes, bytes]], *parts: bytes) -> None:
    await send(HEAD | {"headers": headers})
    for number, part in enumerate(parts):
        await send({"type": "http.response.body", "body": part, "more_body": number < len(parts) - 1})


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Answers as its path says."""
    await receive()
    match scope["path"]:
        case "/whole":
            await _answer(send, [(b"content-length", b"5")], b"whole")
        case "/at-once" | "/at-once/twice" | "/at-once/late" | "/at-once/closes" | "/at-once/split":
            more = {"/at-once/closes": [(b"connection", b"close")], "/at-once/split": [(b"x-a", b"a\r\nx-b: b")]}.get(scope["path"], [])
            if scope["path"].endswith("late"):
                await send(HEAD | {"headers": [(b"content-length", b"5")]})
            for _ in range(2 if scope["path"].endswith("twice") else 1):
                await send({"type": WHOLE, "status": 200, "headers": [(b"x-a", b"a"), *more], "body": b"whole"})
        case path if path.startswith("/status/"):
            await send({"type": WHOLE, "status": int(path[8:]), "headers": [], "body": b"told"})
        case path if path.startswith("/begun/"):
            await send({"type": "http.response.start", "status": int(path[7:]), "headers": []})
            await send({"type": "http.response.body", "body": b"told"})
        case "/parts":
            await _answer(send, [(b"x-of", b"three")], b"one", b"", b"two", b"")
        case "/closes":
            await _answer(send, [(b"content-length", b"0"), (b"connection", b"close")], b"")
        case "/split":
            await _answer(send, [(b"x-a", b"a\r\nx-b: b"), (b"content-length", b"0")], b"")
        case "/capital":
            await _answer(send, [(b"X-A", b"a"), (b"content-length", b"0")], b"")
        case "/long":
            await _answer(send, [(b"content-length", b"2")], b"longer")
        case "/short":
            await _answer(send, [(b"content-length", b"20")], b"shorter")
        case "/twice":
            await _answer(send, [(b"content-length", b"0")], b"")
            await _answer(send, [(b"content-length", b"0")], b"")
        case "/headless":
            await send({"type": "http.response.body", "body": b"x"})
        case "/breaks":
            await send(HEAD | {"headers": []})
            raise ValueError("between head and body")


@pytest.fixture(scope="module")
def talk() -> Iterator[Talk]:
    """Send bytes on a new connection and return all that comes until the server closes it, or is quiet after a whole answer."""
    with serving(application) as served:
        yield served.talk


def test_the_head_and_what_follows_it_are_one_write(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    writes: list[bytes] = []
    made = inbound.Connection.connection_made

    def connection_made(connection: Any, transport: Any) -> None:
        class Noting:
            def write(self, data: bytes) -> None:
                writes.append(data)
                transport.write(data)

            def __getattr__(self, name: str) -> Any:
                return getattr(transport, name)

        made(connection, Noting())  # type: ignore[arg-type]

    monkeypatch.setattr(inbound.Connection, "connection_made", connection_made)
    answer = talk(get("/whole", "GET", "1.1", "connection: close"))
    assert writes == [answer]
    assert answer == b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nwhole"


def test_an_answer_without_a_length_goes_in_chunks(talk: Talk) -> None:
    answer = talk(get("/parts", "GET", "1.1", "connection: close"))
    assert answer.endswith(b"transfer-encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n")


def test_requests_in_one_packet_are_answered_in_order(talk: Talk) -> None:
    answer = talk(get("/whole") + get("/parts") + get("/closes"))
    assert [answer.count(b"HTTP/1.1 200 OK"), answer.find(b"whole") < answer.find(b"one") < answer.find(b"connection: close")] == [3, True]


def test_head_gets_no_body(talk: Talk) -> None:
    answer = talk(get("/whole", "HEAD", "1.1", "connection: close"))
    assert answer == b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\n"


def test_an_answer_in_one_message(talk: Talk) -> None:
    """The guarded lines are those of `_answer_whole`: what closes, what has no body, what comes before it or after it."""
    begins, ends = b"HTTP/1.1 200 OK\r\nx-a: a\r\n", b"content-length: 5\r\n\r\n"
    closing = begins + b"connection: close\r\n" + ends
    assert (
        talk(get("/at-once") + get("/at-once", "HEAD") + get("/at-once/closes"))
        == begins + ends + b"whole" + begins + ends + closing + b"whole"
    )
    assert talk(get("/at-once", "GET", "1.0")) == closing + b"whole"
    assert talk(get("/at-once/twice")) == begins + ends + b"whole"
    assert talk(get("/at-once/late")) == b""


@pytest.mark.parametrize("path", ["/split", "/capital", "/headless", "/at-once/split"])
def test_what_is_no_head_is_never_sent(talk: Talk, path: str) -> None:
    """In `_head_of`, without the count of the lines, a value could bring a header of its own."""
    answer = talk(get(path, "GET", "1.1", "connection: close"))
    assert b"x-b" not in answer
    assert answer.startswith(b"HTTP/1.1 500 ")


@pytest.mark.parametrize("status", [419, 444, 498, 499, 599, 999])
def test_a_status_without_a_phrase_is_a_status(talk: Talk, status: int) -> None:
    """Guarded: `__missing__` of `STATUS_LINES`. Model servers and proxies have statuses of their own."""
    begins = b"HTTP/1.1 %d \r\n" % status
    whole = talk(get(f"/status/{status}") + get(f"/status/{status}", "GET", "1.1", "connection: close"))
    assert whole == begins + b"content-length: 4\r\n\r\ntold" + begins + b"connection: close\r\ncontent-length: 4\r\n\r\ntold"
    assert talk(get(f"/begun/{status}", "GET", "1.0")) == begins + b"connection: close\r\n\r\ntold"


@pytest.mark.parametrize("status", [0, 99, 100, 101, 199, 1000])
@pytest.mark.parametrize("kind", ["status", "begun"])
def test_what_is_no_status_is_an_error_of_ours(talk: Talk, kind: str, status: int) -> None:
    """Guarded: the order in `_answer_whole`. Flags that are set before the head is made would end this with nothing at all."""
    assert talk(get(f"/{kind}/{status}")).startswith(b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n")


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_without_a_body_is_not_followed_by_one(talk: Talk, status: int) -> None:
    """Guarded: `BODILESS` in `_answer_whole`. The client would take the body for its next answer."""
    answer = talk(get(f"/status/{status}") + get("/closes"))
    assert b"told" not in answer
    assert answer.count(b"\r\n\r\nHTTP/1.1 200 OK\r\n") == 1


@pytest.mark.parametrize("path", ["/long", "/breaks"])
def test_of_an_answer_that_breaks_at_once_nothing_leaves(talk: Talk, path: str) -> None:
    assert talk(get(path)) == b""


def test_a_body_that_is_too_short_ends_the_connection(talk: Talk) -> None:
    assert talk(get("/short")).endswith(b"content-length: 20\r\n\r\nshorter")


def test_a_second_answer_is_not_sent(talk: Talk) -> None:
    assert talk(get("/twice")).count(b"HTTP/1.1") == 1


def test_an_old_client_is_let_go(talk: Talk) -> None:
    assert talk(get("/whole", "GET", "1.0")).endswith(b"connection: close\r\n\r\nwhole")
