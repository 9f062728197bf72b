"""HTTP/1.1 with one client: requests are read as they come and answered in order, and an answer leaves in one piece.

ASGI for an application that answers, and nothing else: no upgrades, no access log, no address that a header claims. Parsed by llhttp in its
strict mode (httptools): a request whose end is in doubt is refused, and whatever follows it on the connection is not read. One task
serves a connection, request after request; there is no timer for each request either: `close_if_late` is called once a second.

Source: RFC 9110; RFC 9112 (§3.2, §6.1 and §11.2: what could be read in two ways is refused).
"""

import asyncio
import logging
import urllib.parse
from collections import deque
from typing import Any, Final

import httptools
import uvicorn
from uvicorn.server import ServerState

from guiju.core.errors import ErrorCode, GuijuError
from guiju.gateway.errors import HTTP_HEAD_TOO_LARGE, HTTP_INVALID, HTTP_PIPELINED, error_body
from guiju.gateway.head import STATUS_LINES
from guiju.gateway.request import Request

KEEP_S: Final = 75.0
"""Within this time after a connection was opened, or after its client took its last answer, the next head must be here, whole; or else it
is closed.
"""
HEAD_BYTES: Final = 2**16
"""So much may come that is neither a whole head nor a part of a body: heads, trailers, extensions of chunks."""
HEADERS: Final = 128
WAITING: Final = 32
"""So many requests may wait for their turn on one connection; more are refused when those have their answers."""
BUFFER_BYTES: Final = 2**16
"""So much of a body is read ahead of who takes it; then the client waits."""
LINGER_S: Final = 2.0
LINGER_BYTES: Final = 2**20
"""A client that still sends when its answer has left is listened to for a moment, so that the answer is not lost in a reset."""

_HOST_BYTES: Final = b"!$%&'()*+,-.0123456789:;=ABCDEFGHIJKLMNOPQRSTUVWXYZ[]_abcdefghijklmnopqrstuvwxyz~"
_OFFERS: Final = frozenset((b"upgrade", b"http2-settings"))

log = logging.getLogger("guiju.gateway")


class Connection(asyncio.Protocol):
    """One connection of a client. uvicorn makes it, counts it among its connections, and calls `shutdown` to drain."""

    def __init__(
        self, config: uvicorn.Config, server_state: ServerState, app_state: dict[str, Any], _loop: asyncio.AbstractEventLoop | None = None
    ) -> None:
        self.loop = _loop or asyncio.get_running_loop()
        self.transport: asyncio.Transport
        self.is_full = False
        """The client takes nothing for the moment."""
        self.stalled = False
        """It was let go because it took nothing for too long."""
        self._application = config.loaded_app
        self._state = server_state
        self._parser = httptools.HttpRequestParser(self)
        self._base: dict[str, Any] = {}
        self._task: asyncio.Task[None] | None = None
        self._idle: asyncio.Future[None] | None = None
        self._emptied: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._current: Request | None = None
        self._newest: Request | None = None
        self._requests: deque[Request] = deque()
        self._deadline = self._moved_at = 0.0
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._in_head = True
        self._offers = self._paused = self._deaf = self._closes = self._lost = False
        self._overhead_bytes = self._discarded_bytes = self._unsent_bytes = 0
        self._refusal = b""

    # ── what the loop and the server say ────────────────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = transport  # type: ignore[assignment]  # uvloop's own class
        self._state.connections.add(self)  # type: ignore[arg-type]  # it knows its own protocols only
        self._deadline = self.loop.time() + KEEP_S
        client, server = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        self._base = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "scheme": "http",
            "root_path": "",
            "client": client[:2] if isinstance(client, tuple) else None,
            "server": server[:2] if isinstance(server, tuple) else None,
        }

    def data_received(self, data: bytes) -> None:
        """Parse what has come."""
        if self._deaf:
            self._discard(len(data))
            return
        self._overhead_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            self._decline(data[offer.args[0] :])
        except httptools.HttpParserError as problem:
            cause = problem.__context__
            if isinstance(cause, GuijuError):
                self._refuse(cause.code, **cause.facts)
            else:
                self._refuse(HTTP_INVALID, reason=str(cause or problem)[:100])
        else:
            if self._overhead_bytes > HEAD_BYTES:
                self._refuse(HTTP_HEAD_TOO_LARGE, limit=HEAD_BYTES)

    def connection_lost(self, problem: Exception | None) -> None:
        """Tell whoever waits for the client that it has gone."""
        self._state.connections.discard(self)
        self._lost = self._closes = self._deaf = True
        self._requests.clear()
        if self._current is not None:
            self._current.lose()
        for waiter in (self._idle, self._emptied):
            if waiter is not None and not waiter.done():
                waiter.set_result(None)
        if self._timer is not None:
            self._timer.cancel()
        del self._parser  # it holds this connection

    def pause_writing(self) -> None:
        """The client does not take what is sent."""
        self.is_full = True

    def resume_writing(self) -> None:
        """It does again."""
        self.is_full = False
        if self._emptied is not None and not self._emptied.done():
            self._emptied.set_result(None)

    def shutdown(self) -> None:
        """End after the answer under way; at once when there is none."""
        self._closes = True
        if self._current is not None and not self._current.complete:
            self._current.keeps = False
        elif self._requests:
            self._requests[0].keeps = False
        else:
            self._end()

    def close_if_late(self, now: float, idle_s: float) -> None:
        """Let go of a client that took no byte of what waits for it for `idle_s`, or whose next head has not come in time.

        `now` is the loop's time. To be called once a second: an answer itself keeps no clock for its client.
        """
        unsent_bytes = self.transport.get_write_buffer_size()
        if unsent_bytes != self._unsent_bytes:
            self._unsent_bytes, self._moved_at = unsent_bytes, now
            if self._deadline:
                self._deadline = now + KEEP_S  # the answer was given to the transport, but its client is still about to take it
        elif unsent_bytes:
            if now > self._moved_at + idle_s:
                self.stalled = True
                self.transport.abort()
        elif self._deadline and now > self._deadline and self._current is None:
            self.transport.abort()

    # ── what the parser says ────────────────────────────────────────────────────────────────────────────────────────

    def on_url(self, url: bytes) -> None:
        """Keep a part of the target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; the trailers of a body are nobody's headers."""
        if self._in_head:
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Begin with the request."""
        parser, headers, url = self._parser, self._headers, self._url
        self._offers = parser.should_upgrade()
        if self._offers:
            return  # the parser stops here, see `_decline`
        self._overhead_bytes, self._in_head, self._headers, self._url = 0, False, [], b""
        if len(headers) > HEADERS:
            raise ValueError(f"it has more than {HEADERS} headers")
        version = parser.get_http_version()
        if version != "1.1" and version != "1.0":
            raise ValueError(f"its version is {version}")
        if len(self._requests) == WAITING:
            raise GuijuError(HTTP_PIPELINED, limit=WAITING)
        hosts = [value for name, value in headers if name == b"host"]
        if len(hosts) != 1 or hosts[0].translate(None, _HOST_BYTES):
            _refuse_host(hosts, version)
        if version == "1.0" and any(name == b"transfer-encoding" for name, _ in headers):
            raise ValueError("chunks are not for HTTP/1.0")
        path, _, query = url.partition(b"?") if url[:1] == b"/" and b"#" not in url else _target(url)
        text = path.decode("ascii")
        scope = self._base.copy()
        scope["http_version"] = version
        scope["method"] = parser.get_method().decode()
        scope["path"] = urllib.parse.unquote(text) if "%" in text else text
        scope["raw_path"], scope["query_string"], scope["headers"] = path, query, headers
        request = self._newest = Request(self, scope, keeps=parser.should_keep_alive() and not self._closes)
        self._requests.append(request)
        if self._current is not None:
            self._pause()  # it is read on when its turn comes
        elif self._idle is not None:
            if not self._idle.done():
                self._idle.set_result(None)
        elif self._task is None:
            self._task = self.loop.create_task(self._serve())
            self._state.tasks.add(self._task)
            self._task.add_done_callback(self._state.tasks.discard)

    def on_body(self, piece: bytes) -> None:
        """Keep a piece of the body."""
        self._overhead_bytes = 0
        assert self._newest is not None
        if self._newest.take(piece) > BUFFER_BYTES:
            self._pause()

    def on_message_complete(self) -> None:
        """The body of the request has ended."""
        if self._offers:
            return
        self._in_head = True
        assert self._newest is not None
        self._newest.whole = True
        self._newest.wake()

    # ── requests, one after the other ───────────────────────────────────────────────────────────────────────────────

    async def _serve(self) -> None:
        """Answer requests until the connection ends. Cancelled by a server that does not wait any longer."""
        application, requests = self._application, self._requests
        try:
            while True:
                while not requests:
                    if self._deaf:
                        return
                    self._idle = self.loop.create_future()
                    await self._idle
                request = self._current = requests.popleft()
                self._deadline, self._idle = 0.0, None
                self.read_on()
                try:
                    await application(request.scope, request.receive, request.send)
                except Exception:
                    log.exception("the application failed")
                    self._give_up(request)
                if not (request.complete or request.gone):
                    self._give_up(request)
                self._current = None
                self.read_on()
        except BaseException:
            self._end()
            raise

    def answered(self, request: Request) -> None:
        """An answer has left: wait for the next request, or close."""
        if request.keeps and not self._closes:
            self._deadline = self.loop.time() + KEEP_S
            if self._refusal and not self._requests:
                self._linger(self._refusal)
        elif request.whole:
            self._end()
        else:
            self._linger()

    def read_on(self) -> None:
        """Read again, unless a request waits for its turn."""
        if self._paused and not self._requests:
            self._paused = False
            self.transport.resume_reading()

    async def drained(self) -> None:
        """Return when the client takes again, or has gone."""
        while self.is_full and not self._lost:
            self._emptied = self.loop.create_future()
            await self._emptied

    def _pause(self) -> None:
        if not self._paused:
            self._paused = True
            self.transport.pause_reading()

    def _give_up(self, request: Request) -> None:
        """End an answer that will not be finished: with a status where nothing of it has left."""
        if not (request.started or request.gone or self.transport.is_closing()):
            self.transport.write(STATUS_LINES[500] + b"content-length: 0\r\nconnection: close\r\n\r\n")
        self._end()
        if self.is_full:
            self.transport.abort()  # its client takes nothing; closing would wait for that

    def _end(self) -> None:
        """Close; requests that wait are not answered, and their client sees that."""
        self._closes = self._deaf = True
        self._requests.clear()
        self._deadline = self.loop.time() + KEEP_S
        self.transport.close()

    def _linger(self, last: bytes = b"") -> None:
        """Send this, say that nothing more comes, and listen for a moment to a client that still sends."""
        self._closes = self._deaf = True
        self._requests.clear()
        if not self.transport.is_closing():
            self.transport.write(last)
            self.transport.write_eof()
            self._timer = self.loop.call_later(LINGER_S, self._let_go)
            self.read_on()

    def _let_go(self) -> None:
        """End a client that still sends; but not while it takes its answer, which may be long (see `close_if_late`)."""
        if self.transport.get_write_buffer_size():
            self._timer = self.loop.call_later(LINGER_S, self._let_go)
        else:
            self.transport.abort()

    def _discard(self, size_bytes: int) -> None:
        self._discarded_bytes += size_bytes
        if self._discarded_bytes > LINGER_BYTES:
            self._pause()

    def _decline(self, rest: bytes) -> None:
        """An offer to speak another protocol is not taken up: the head is read again without it, and what follows as its body."""
        parser, headers, url = self._parser, self._headers, self._url
        self._parser, self._headers, self._url = httptools.HttpRequestParser(self), [], b""
        if parser.get_method() == b"CONNECT":
            self._refuse(HTTP_INVALID, reason="there is nothing to connect to here")
            return
        lines = [b"%s %s HTTP/%s\r\n" % (parser.get_method(), url, parser.get_http_version().encode())]
        for name, value in headers:
            if name == b"connection":
                kept = [each for each in value.split(b",") if each.strip().lower() not in _OFFERS]
                lines.append(b"connection: %s\r\n" % b",".join(kept))
            elif name not in _OFFERS:
                lines.append(b"%s: %s\r\n" % (name, value))
        self.data_received(b"".join(lines) + b"\r\n" + rest)

    def _refuse(self, code: ErrorCode, **facts: object) -> None:
        """Refuse what cannot be read for sure: nothing after it is read. Requests before it are answered first."""
        self._deaf = True
        body = error_body(code, facts)
        head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
        refusal = STATUS_LINES[code.status] + head + body
        request, current = self._newest, self._current
        if request is not None and not request.whole:
            if request.complete:  # what follows an answer would be taken for the next one
                self._linger()
                return
            if request is current:
                begun = request.has_begun
                request.lose()
                if begun:
                    self._end()
                else:
                    self._linger(refusal)
                return
            self._requests.remove(request)
        if self._requests or (current is not None and not current.complete):
            self._refusal = refusal
        else:
            self._linger(refusal)


def _refuse_host(hosts: list[bytes], version: str) -> None:
    """Raise ValueError for hosts that do not tell for sure whom a request is for. HTTP/1.0 may name none."""
    if len(hosts) > 1 or (not hosts and version != "1.0"):
        raise ValueError(f"it has {len(hosts)} Host headers")
    if hosts and hosts[0].strip(b" \t").translate(None, _HOST_BYTES):  # the parser leaves the blanks behind a value
        raise ValueError("its Host is none")


def _target(url: bytes) -> tuple[bytes, bytes, bytes]:
    """Return path and query of a target in another form than the usual. Raises HttpParserError."""
    if url == b"*":
        return url, b"", b""
    parsed = httptools.parse_url(url)
    return parsed.path or b"/", b"", parsed.query or b""
