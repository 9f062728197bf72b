"""HTTP/1.1 to one upstream: a pool of connections, an answer that is read as it comes.

Only what a gateway needs, at a quarter of what a general client costs: one POST or GET at a time on a connection, the
request written with one call, the answer parsed by the parser that uvicorn uses, no object for each piece. Redirects are not
followed, cookies not kept, proxies not asked. Whatever goes wrong on the wire is an OSError.
"""

import asyncio
import ssl
import time
import zlib
from collections import deque
from typing import Any, Final
from urllib.parse import urlsplit

import httptools

IDLE_S: Final = 30.0
"""A connection that nobody used for longer is closed, not tried."""
BUFFER_BYTES: Final = 2**18
"""So much is read ahead of who takes it; then the upstream waits."""
HEAD_BYTES: Final = 2**16
UNPACKED_BYTES: Final = 2**24
"""A packed body of which more than this waits, however many pieces it came in, is no answer."""


class AnswerBroken(OSError):
    """The upstream's answer is no HTTP, or ended before its end; the text says which."""


class StaleConnection(OSError):
    """The server had closed a pooled connection before it took the request: it may be sent again on a new one."""


class Answer:
    """What an upstream answers: status and headers at once, the body by `readany` or `read`. `close` it at any time."""

    __slots__ = ("_connection", "_pieces", "_problem", "_size", "_unpacker", "_waiter", "complete", "headers", "status")

    def __init__(self, connection: "Connection") -> None:
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        """By lower-case name; of a name that comes twice, the last."""
        self.complete = False
        self._connection: Connection | None = connection
        self._pieces: list[bytes] = []
        self._size = 0
        self._problem: OSError | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._unpacker: Any = None

    @property
    def content_type(self) -> str:
        """The media type without its parameters, in lower case."""
        return self.headers.get(b"content-type", b"").partition(b";")[0].strip().lower().decode("latin-1")

    async def readany(self) -> bytes:
        """Return what has come since, at least a byte; empty at the end. Raises OSError when the answer breaks off."""
        while not self._pieces:
            if self._problem is not None:
                raise self._problem
            if self.complete:
                return b""
            await self._more()
        return self._taken()

    def _taken(self) -> bytes:
        pieces = self._pieces
        raw = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self._pieces = []
        if self._size > BUFFER_BYTES and self._connection is not None:
            self._connection.resume()
        self._size = 0
        return raw

    async def read(self, limit_bytes: int) -> bytes | None:
        """Return the whole body, or None when it is larger than the limit. Raises OSError when the answer breaks off."""
        if self.complete and len(self._pieces) == 1:  # nearly always
            raw = self._taken()
            return raw if len(raw) <= limit_bytes else None
        body, size = [], 0
        while raw := await self.readany():
            body.append(raw)
            size += len(raw)
            if size > limit_bytes:
                return None
        return body[0] if len(body) == 1 else b"".join(body)

    def close(self) -> None:
        """Let go of the answer. One that is not complete takes its connection with it: the upstream sees that it may stop."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abort()

    async def _more(self) -> None:
        waiter = self._waiter = asyncio.get_running_loop().create_future()
        try:
            await waiter
        finally:
            self._waiter = None

    # ── what the connection says ────────────────────────────────────────────────────────────────────────────────────

    def take(self, raw: bytes) -> int:
        """Keep a piece of the body; return how much waits. Raises AnswerBroken for a body that cannot be unpacked."""
        if self._unpacker is not None:
            raw = self._unpacked(raw)
        if raw:
            self._pieces.append(raw)
            self._size += len(raw)
            if self._waiter is not None and not self._waiter.done():
                self._waiter.set_result(None)
        return self._size

    def end(self, problem: OSError | None = None) -> None:
        """Say that nothing more comes."""
        if self._unpacker is not None and problem is None and not self._unpacker.eof:
            problem = AnswerBroken("the packed body ended before its end")
        self._problem = problem
        self.complete = problem is None
        self._connection = None
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def unpack(self) -> None:
        """Unpack a body that was packed although nobody asked for it."""
        encoding = self.headers.get(b"content-encoding", b"identity").strip().lower()
        if encoding in (b"gzip", b"x-gzip", b"deflate"):
            self._unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32)
        elif encoding != b"identity":
            known = encoding.decode() if encoding in (b"br", b"zstd", b"compress") else "none that is known"
            raise AnswerBroken(f"its content encoding is {known}, which was not asked for")

    def _unpacked(self, raw: bytes) -> bytes:
        """Return a piece unpacked. The pieces of one read come without a pause between them, so what waits counts.

        One gzip member is a body. RFC 1952 §2.2 allows several, but nobody sends them who was asked for no packing at all, and zlib keeps
        what follows the first, copying all of it for each piece.
        """
        unpacker = self._unpacker
        room = UNPACKED_BYTES - self._size
        try:
            unpacked: bytes = unpacker.decompress(raw, room) if room > 0 else b""
        except zlib.error as problem:
            raise AnswerBroken(f"its packed body is damaged ({problem})") from None
        if room <= 0 or unpacker.unconsumed_tail:
            raise AnswerBroken(f"its packed body grows beyond {UNPACKED_BYTES} bytes at once")
        if unpacker.unused_data:
            raise AnswerBroken("something follows the end of its packed body")
        return unpacked


class Connection(asyncio.Protocol):
    """One connection of a pool; it carries one exchange at a time."""

    __slots__ = (
        "_answer",
        "_asked",
        "_begun",
        "_interim",
        "_parser",
        "_paused",
        "_pool",
        "_received",
        "_sized",
        "_transport",
        "idle_since",
        "used",
    )

    def __init__(self, pool: "Pool") -> None:
        self.idle_since = 0.0
        self.used = False
        """Whether it has carried an exchange before."""
        self._pool = pool
        self._parser = httptools.HttpResponseParser(self)
        self._answer: Answer | None = None
        self._asked: asyncio.Future[None] | None = None
        self._begun = self._interim = self._sized = self._paused = False
        self._received = 0
        self._transport: asyncio.Transport

    async def ask(self, request: bytes) -> Answer:
        """Send a request and return its answer once the head is here. Raises OSError; StaleConnection before the first byte."""
        answer = self._answer = Answer(self)
        self._begun = self._interim = self._sized = False
        self._received = 0
        asked = self._asked = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        try:
            await asked
        except asyncio.CancelledError:
            answer.close()  # not the connection: it may carry the next exchange already
            raise
        return answer

    @property
    def is_open(self) -> bool:
        """Whether it can carry a request, as far as anybody knows."""
        return not self._transport.is_closing()

    def abort(self) -> None:
        """End the connection and whatever it carries."""
        self._transport.abort()
        self._end(AnswerBroken("it was given up"))

    def resume(self) -> None:
        """Read on: what waited was taken."""
        if self._paused:
            self._paused = False
            self._transport.resume_reading()

    # ── what the loop says ──────────────────────────────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = transport  # type: ignore[assignment]  # uvloop's own class

    def data_received(self, data: bytes) -> None:
        """Parse what has come."""
        if self._answer is None:
            self._transport.abort()  # nobody asked: whatever it is, it must not be taken for the next answer
            return
        if not self._begun:
            self._received += len(data)
            if self._received > HEAD_BYTES + BUFFER_BYTES:
                self._fail(AnswerBroken("its head does not end"))
                return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError as problem:
            cause = problem.__context__
            self._fail(cause if isinstance(cause, OSError) else AnswerBroken(f"its answer is no HTTP ({cause or problem})"))
        except httptools.HttpParserError as problem:
            self._fail(AnswerBroken(f"its answer is no HTTP ({problem})"))

    def connection_lost(self, problem: Exception | None) -> None:
        """End what was under way. An answer without a length ends here, and in order."""
        self._pool.lost(self)
        if self._answer is None:
            return
        if self._begun and not self._sized and problem is None:
            self._end(None)
        elif self.used and not self._received and self._asked is not None:
            self._end(StaleConnection("a pooled connection was closed"))
        else:
            self._end(AnswerBroken(f"the connection broke ({type(problem).__name__})" if problem else "the connection was closed"))

    # ── what the parser says ────────────────────────────────────────────────────────────────────────────────────────

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header."""
        if self._answer is not None and not self._begun:
            self._answer.headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        """Hand the answer to who asked."""
        answer, status = self._answer, self._parser.get_status_code()
        if answer is None:
            raise AnswerBroken("it answered twice")
        if status < 200:
            self._interim = True
            answer.headers.clear()
            return
        self._begun = True
        self._sized = b"content-length" in answer.headers or b"transfer-encoding" in answer.headers or status in (204, 304)
        answer.status = status
        if b"content-encoding" in answer.headers:
            answer.unpack()
        asked, self._asked = self._asked, None
        if asked is not None and not asked.done():
            asked.set_result(None)

    def on_body(self, raw: bytes) -> None:
        """Keep a piece of the body."""
        if self._answer is not None and self._answer.take(raw) > BUFFER_BYTES:
            self._paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        """End the answer; the connection is free again."""
        if self._interim:
            self._interim = False
            return
        keeps = self._sized and self._parser.should_keep_alive()
        self._end(None)
        if keeps and not self._transport.is_closing():
            self.resume()
            self.used = True
            self._pool.free(self)
        else:
            self._transport.close()

    def _fail(self, problem: OSError) -> None:
        self._transport.abort()
        self._end(problem)

    def _end(self, problem: OSError | None) -> None:
        answer, self._answer = self._answer, None
        asked, self._asked = self._asked, None
        if answer is None:
            return
        answer.end(problem)
        self._pool.ended()
        if problem is not None and asked is not None and not asked.done():
            asked.set_exception(problem)


class Pool:
    """Connections to one origin, at most `limit` exchanges at a time; who comes later waits. Made on first use of a loop."""

    def __init__(self, base_url: str, *, limit: int, connect_timeout_s: float) -> None:
        url = urlsplit(base_url)
        self._tls = url.scheme == "https"
        self._host = url.hostname or ""
        self._port = url.port or (443 if self._tls else 80)
        self.authority = url.netloc.rpartition("@")[2].encode("idna" if not url.netloc.isascii() else "ascii")
        self._connect_timeout_s = connect_timeout_s
        self._free = limit
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._idle: deque[Connection] = deque()
        self._context: ssl.SSLContext | None = None
        self._sweeper: asyncio.TimerHandle | None = None

    async def ask(self, request: bytes) -> Answer:
        """Send a request and return its answer once the head is here. Raises OSError, TimeoutError when nobody accepts."""
        if self._free > 0:  # nobody waits then
            self._free -= 1
        else:
            await self._wait_for_place()
        connection = self._pooled()
        if connection is not None:
            try:
                return await connection.ask(request)
            except StaleConnection:
                if self._free > 0:
                    self._free -= 1
                else:
                    await self._wait_for_place()
        try:
            connection = await self._connected()
        except BaseException:
            self.ended()
            raise
        return await connection.ask(request)

    def close(self) -> None:
        """Close what is idle; answers under way keep their connections until they end."""
        while self._idle:
            self._idle.pop().abort()
        if self._sweeper is not None:
            self._sweeper.cancel()

    # ── what connections say ────────────────────────────────────────────────────────────────────────────────────────

    def ended(self) -> None:
        """An exchange has ended: who has waited longest gets its place."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self._free += 1

    def free(self, connection: Connection) -> None:
        """Keep a connection for the next exchange."""
        connection.idle_since = time.monotonic()
        self._idle.append(connection)
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().call_later(IDLE_S, self._sweep)

    def lost(self, connection: Connection) -> None:
        """Forget a connection that has ended."""
        if connection in self._idle:
            self._idle.remove(connection)

    async def _wait_for_place(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self.ended()  # it was given the place already
            raise

    def _pooled(self) -> Connection | None:
        """Return the connection used last, if one is still good."""
        oldest = time.monotonic() - IDLE_S
        while self._idle:
            connection = self._idle.pop()
            if connection.idle_since > oldest and connection.is_open:
                return connection
            connection.abort()
        return None

    async def _connected(self) -> Connection:
        loop = asyncio.get_running_loop()
        if self._tls and self._context is None:
            self._context = await loop.run_in_executor(None, ssl.create_default_context)  # reads the system's certificates
        async with asyncio.timeout(self._connect_timeout_s):
            _, connection = await loop.create_connection(
                lambda: Connection(self), self._host, self._port, ssl=self._context, server_hostname=self._host if self._tls else None
            )
        return connection

    def _sweep(self) -> None:
        self._sweeper = None
        oldest = time.monotonic() - IDLE_S
        while self._idle and self._idle[0].idle_since <= oldest:
            self._idle.popleft().abort()
        if self._idle:
            self._sweeper = asyncio.get_running_loop().call_later(IDLE_S, self._sweep)
