"""The HTTP server in front of a gateway: uvicorn, without what nobody reads, and with answers that leave in one piece.

uvicorn writes the head of an answer and what follows it apart: two system calls, and every header checked by itself. Here the head waits
for the first bytes of the body, which the gateway has at hand, and is checked as a whole. What goes over the wire is the same.
"""

import contextlib
import re
import signal
from collections.abc import Iterator
from typing import Any, Final, Literal

import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

_HEADERS: Final = re.compile(rb"(?:[!#$%&'*+\-.^_`|~0-9a-z]+: [\t\x20-\x7e\x80-\xff]*\r\n)*")
"""Names in small letters, as ASGI asks for, and values that hold no line end and nothing else that would end them."""


class Reply(RequestResponseCycle):
    """One request and its answer; the head of the answer is written together with what follows it."""

    _head = b""

    async def send(self, message: Any) -> None:
        """Take the head, or a part of the body, of the answer. Raises RuntimeError for what is no proper answer."""
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if not self.response_started:
            if message["type"] != "http.response.start":
                raise RuntimeError(f"an answer begins with its head, not with {message['type']}")
            self._head = self._head_of(message)
            self.response_started = True
            self.waiting_for_100_continue = False
        elif self.response_complete or message["type"] != "http.response.body":
            raise RuntimeError(f"{message['type']} is no part of an answer here")
        else:
            self._write(message.get("body", b""), more=message.get("more_body", False))

    def _head_of(self, message: Any) -> bytes:
        headers = message["headers"]
        closes = False
        for name, value in headers:
            if name == b"content-length":
                self.chunked_encoding = False
                self.expected_content_length = int(value)
            elif name == b"connection":
                closes = value.strip().lower() == b"close"
        lines = b"".join([b"%s: %s\r\n" % (name, value) for name, value in headers])
        if lines.count(b"\n") != len(headers) or not _HEADERS.fullmatch(lines):
            raise RuntimeError("a header that is none")
        if closes:
            self.keep_alive = False
        elif not self.keep_alive:
            lines += b"connection: close\r\n"
        status = message["status"]
        if self.chunked_encoding is None and self.scope["method"] != "HEAD" and status not in (204, 304):
            self.chunked_encoding = True
            lines += b"transfer-encoding: chunked\r\n"
        return b"%s%s\r\n" % (STATUS_LINE[status], lines)

    def _write(self, body: bytes, *, more: bool) -> None:
        piece, self._head = self._head, b""
        if self.scope["method"] == "HEAD":
            self.expected_content_length = 0
        elif self.chunked_encoding:
            if body:
                piece += b"%x\r\n%s\r\n" % (len(body), body)
            if not more:
                piece += b"0\r\n\r\n"
        else:
            self.expected_content_length -= len(body)
            if self.expected_content_length < 0:
                raise RuntimeError("the body is longer than its head says")
            piece += body
        if piece:
            self.transport.write(piece)
        if not more:
            if self.expected_content_length:
                raise RuntimeError("the body is shorter than its head says")
            self.response_complete = True
            self.message_event.set()
            if not self.keep_alive:
                self.transport.close()
            self.on_response()


class Connection(HttpToolsProtocol):
    """One connection of a client."""

    def on_headers_complete(self) -> None:
        """Begin with the request; its answer is a `Reply`."""
        super().on_headers_complete()
        if self.cycle is not None:
            self.cycle.__class__ = Reply  # uvicorn has no other way to say which class it is to be; nothing of it has run yet


class Server(uvicorn.Server):
    """uvicorn that leaves Ctrl-C to the supervisor and ends with status 0 after a drain."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, "should_exit", True))
        yield


def server_config(
    application: Any, *, drain_ms: int, lifespan: Literal["on", "off"] = "on", protocol: type[HttpToolsProtocol] = Connection
) -> uvicorn.Config:
    """Return the options of the server in front of a gateway: fast parser and loop, nothing that nobody reads.

    Headers of a proxy are not believed: nothing here depends on the address a request seems to come from.
    """
    return uvicorn.Config(
        application,
        http=protocol,
        loop="uvloop",
        lifespan=lifespan,
        ws="none",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        backlog=4096,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=drain_ms // 1000,
    )
