"""One request of a client and its answer, as an ASGI application sees them; its connection (`inbound.py`) reads and writes."""

import asyncio
from typing import TYPE_CHECKING, Any, Final

from guiju.gateway.head import BODILESS, STATUS_LINES, head_lines

if TYPE_CHECKING:
    from guiju.gateway.inbound import Connection

WHOLE: Final = "guiju.response.whole"
"""A message for `send`: status, headers without a length, and the whole body; nothing comes before or after it."""
LET_GO_BYTES: Final = 2**24
"""So much of a body that is still on its way when its answer has left is let go, on a connection that stays; after more it is closed."""


class Request:
    """One request and its answer: `receive` and `send` of ASGI. One `receive` at a time."""

    whole = False
    """Its body has come to its end."""
    gone = False
    """Its client has left, or went on with what is no body."""
    complete = False
    """Its answer has left."""
    started = False
    _told = False
    _size = _let_go_bytes = 0
    _expects: bool | None = None
    _waiter: asyncio.Future[None] | None = None
    _head = b""
    _chunked = False
    _left = -1
    """What is missing of an answer with a length; -1 for one without."""

    def __init__(self, connection: "Connection", scope: dict[str, Any], *, keeps: bool) -> None:
        self.scope = scope
        self.keeps = keeps
        """Whether the connection stays open after the answer."""
        self._connection = connection
        self._pieces: list[bytes] = []

    async def receive(self) -> dict[str, Any]:
        """Return what has come of the body since, waiting for it; after its end, wait until the client leaves.

        The last message says whether it was let go because it took nothing any more (`stalled`).
        """
        connection = self._connection
        while not (self.gone or self.complete):
            if self._pieces or (self.whole and not self._told):
                pieces, self._pieces, self._size, self._told = self._pieces, [], 0, self.whole
                connection.read_on()
                return {"type": "http.request", "body": pieces[0] if len(pieces) == 1 else b"".join(pieces), "more_body": not self.whole}
            if self._expects is None and not self.started:
                self._expects = self._asks_first()
                if self._expects and not self.whole:
                    connection.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self._waiter = connection.loop.create_future()
            await self._waiter
        return {"type": "http.disconnect", "stalled": connection.stalled}

    def _asks_first(self) -> bool:
        """Tell whether the client may keep its body back until it hears that it is wanted. Source: RFC 9110 §10.1.1."""
        asks = any(name == b"expect" and value.strip().lower() == b"100-continue" for name, value in self.scope["headers"])
        return asks and bool(self.scope["http_version"] == "1.1")

    async def send(self, message: Any) -> None:
        """Take the head, or a part of the body, of the answer. Raises RuntimeError for what is no proper answer."""
        if self._connection.is_full and not self.gone:
            await self._connection.drained()
        if self.gone:
            return
        if not self.started:
            if message["type"] == WHOLE:
                self._answer_whole(message["status"], message["headers"], message["body"])
                return
            if message["type"] != "http.response.start":
                raise RuntimeError(f"an answer begins with its head, not with {message['type']}")
            self._head = self._head_of(message["status"], message["headers"])
            self.started = True
        elif self.complete or message["type"] != "http.response.body":
            raise RuntimeError(f"{message['type']} is no part of an answer here")
        else:
            self._write(message.get("body", b""), more=message.get("more_body", False))

    def _answer_whole(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        lines = head_lines(headers)
        if not self.whole and self._expects is None and self._asks_first():
            self.keeps = False  # whether a body or a request follows cannot be known
        if not self.keeps or b"connection: close\r\n" in lines:
            self.keeps = False
            lines = lines.replace(b"connection: close\r\n", b"") + b"connection: close\r\n"
        if status in BODILESS:
            head, body = b"%s%s\r\n" % (STATUS_LINES[status], lines), b""
        else:
            head = b"%s%scontent-length: %d\r\n\r\n" % (STATUS_LINES[status], lines, len(body))
        self.started = self.complete = True  # not before there is a head: without one, a refusal can still be sent
        self._connection.transport.write(head if self.scope["method"] == "HEAD" else head + body)
        self.wake()
        self._connection.answered(self)

    def _head_of(self, status: int, headers: list[tuple[bytes, bytes]]) -> bytes:
        lines = head_lines(headers)
        for name, value in headers:
            if name == b"content-length":
                self._left = int(value)
            elif name == b"connection" and value.strip().lower() == b"close":
                self.keeps = False
        if not self.whole and self._expects is None and self._asks_first():
            self.keeps = False
        scope = self.scope
        bodiless = scope["method"] == "HEAD" or status in BODILESS
        self._chunked = self._left < 0 and not bodiless and scope["http_version"] == "1.1"
        if self._left < 0 and not bodiless and not self._chunked:
            self.keeps = False  # for an old client, the end of the connection is the end of the answer
        if not self.keeps and b"connection: close\r\n" not in lines:
            lines += b"connection: close\r\n"
        if self._chunked:
            lines += b"transfer-encoding: chunked\r\n"
        if bodiless:
            self._left = 0
        return b"%s%s\r\n" % (STATUS_LINES[status], lines)

    def _write(self, body: bytes, *, more: bool) -> None:
        piece, self._head = self._head, b""
        if self._chunked:
            if body:
                piece += b"%x\r\n%s\r\n" % (len(body), body)
            if not more:
                piece += b"0\r\n\r\n"
        elif self.scope["method"] != "HEAD":
            if self._left >= 0:
                self._left -= len(body)
                if self._left < 0:
                    raise RuntimeError("the body is longer than its head says")
            piece += body
        if piece:
            self._connection.transport.write(piece)
        if not more:
            if self._left > 0:
                raise RuntimeError("the body is shorter than its head says")
            self.complete = True
            self.wake()
            self._connection.answered(self)

    @property
    def has_begun(self) -> bool:
        """Whether something of the answer has left."""
        return self.started and not self._head

    # ── what the connection says ────────────────────────────────────────────────────────────────────────────────────

    def take(self, piece: bytes) -> int:
        """Keep a piece of the body; return how much waits. What comes after the answer is let go.

        Raises ValueError where more than LET_GO_BYTES come then.
        """
        if self.complete:
            self._let_go_bytes += len(piece)
            if self._let_go_bytes > LET_GO_BYTES:
                raise ValueError("its body goes on behind its answer")
            return 0
        if self.gone:
            return 0
        self._pieces.append(piece)
        self._size += len(piece)
        if self._waiter is not None:
            self.wake()
        return self._size

    def lose(self) -> None:
        """Say that nothing more comes from the client."""
        self.gone = not self.complete
        self.wake()

    def wake(self) -> None:
        """Let `receive` look again."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
