"""The server writes whole answers in one piece, and no answer that is none."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from guiju.gateway.server import Server, server_config

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
    listener = socket.create_server(("127.0.0.1", 0))
    server = Server(server_config(application, drain_ms=2_000, lifespan="off"))
    server.capture_signals = _nothing  # type: ignore[method-assign, assignment]  # a thread takes no signals
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])), daemon=True)
    thread.start()

    def say(sent: bytes) -> bytes:
        with socket.create_connection(listener.getsockname(), timeout=10) as connection:
            connection.sendall(sent)
            received = b""
            while piece := connection.recv(2**16):
                received += piece
            return received

    yield say
    server.should_exit = True
    thread.join(10)
    assert not thread.is_alive()


class _nothing:  # noqa: N801  # used as a context manager in the place of a function
    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


def _get(path: str, method: str = "GET", version: str = "1.1", *headers: str) -> bytes:
    lines = "".join(f"{header}\r\n" for header in headers)
    return f"{method} {path} HTTP/{version}\r\nhost: x\r\n{lines}\r\n".encode()


def test_the_head_and_what_follows_it_are_one_write(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    writes: list[bytes] = []
    from guiju.gateway import server

    kept = server.Reply._write

    def noting(reply: Any, body: bytes, *, more: bool) -> None:
        transport = reply.transport

        class Noting:
            def write(self, data: bytes) -> None:
                writes.append(data)
                transport.write(data)

            def __getattr__(self, name: str) -> Any:
                return getattr(transport, name)

        reply.transport = Noting()
        try:
            kept(reply, body, more=more)
        finally:
            reply.transport = transport

    monkeypatch.setattr(server.Reply, "_write", noting)
    answer = talk(_get("/whole", "GET", "1.1", "connection: close"))
    assert writes == [answer]
    assert answer == b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nwhole"


def test_an_answer_without_a_length_goes_in_chunks(talk: Talk) -> None:
    answer = talk(_get("/parts", "GET", "1.1", "connection: close"))
    assert answer.endswith(b"transfer-encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n")


def test_requests_in_one_packet_are_answered_in_order(talk: Talk) -> None:
    answer = talk(_get("/whole") + _get("/parts") + _get("/closes"))
    assert [answer.count(b"HTTP/1.1 200 OK"), answer.find(b"whole") < answer.find(b"one") < answer.find(b"connection: close")] == [3, True]


def test_head_gets_no_body(talk: Talk) -> None:
    answer = talk(_get("/whole", "HEAD", "1.1", "connection: close"))
    assert answer == b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\n"


@pytest.mark.parametrize("path", ["/split", "/capital", "/headless"])
def test_what_is_no_head_is_never_sent(talk: Talk, path: str) -> None:
    """In `_head_of`, without the count of the lines, a value could bring a header of its own."""
    answer = talk(_get(path, "GET", "1.1", "connection: close"))
    assert b"x-b" not in answer
    assert answer.startswith(b"HTTP/1.1 500 ")


@pytest.mark.parametrize("path", ["/long", "/breaks"])
def test_of_an_answer_that_breaks_at_once_nothing_leaves(talk: Talk, path: str) -> None:
    assert talk(_get(path)) == b""


def test_a_body_that_is_too_short_ends_the_connection(talk: Talk) -> None:
    assert talk(_get("/short")).endswith(b"content-length: 20\r\n\r\nshorter")


def test_a_second_answer_is_not_sent(talk: Talk) -> None:
    assert talk(_get("/twice")).count(b"HTTP/1.1") == 1


def test_an_old_client_is_let_go(talk: Talk) -> None:
    assert talk(_get("/whole", "GET", "1.0")).endswith(b"connection: close\r\n\r\nwhole")
