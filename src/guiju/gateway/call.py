"""A call: one request with a key, from its first byte to the record that it leaves. What every `POST` of the API has in common.

Who asks, the body within its limits, one closing record that is durable before the last byte, the reply, and the endings that are none:
what a call does in between is its own (`exchange.py` answers chats, `moderations.py` examines).
"""

import asyncio
import hashlib
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from guiju.core.clock import now_us
from guiju.core.errors import GuijuError
from guiju.core.ids import new_id
from guiju.core.pseudonyms import pseudonym_of
from guiju.gateway import errors
from guiju.gateway.bundle import Key, Service, Waiver
from guiju.gateway.connections import Answer
from guiju.gateway.live import SEEN_AT_MOST, Live, LiveService
from guiju.gateway.request import WHOLE
from guiju.gateway.waiver import DELIVERIES, HEADER, SUPPLIED, find_waiver, waived
from guiju.labelling.values import Label
from guiju.records.entry import Entry, encode_entry
from guiju.records.spool.segment import ENTRY_LIMIT_BYTES

if TYPE_CHECKING:
    from guiju.gateway.app import Gateway

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

DECODE: Final = msgspec.json.Decoder(dict[str, Any]).decode
_PACK: Final = msgspec.msgpack.Encoder().encode
_JSON: Final = (b"content-type", b"application/json")
LARGE_CHARACTERS: Final = 200_000
"""Longer texts are examined off the loop, so that one user's novel does not make the others wait."""
_SEALED_LIMIT: Final = ENTRY_LIMIT_BYTES - 2**20
RECORD_BYTES: Final = 4_096
"""What a short answer and its metadata need in a record, generously."""
_CONTENT_LIMIT: Final = 2**16
"""Of a body that could not be read, this many bytes are kept for the record."""

log = logging.getLogger("guiju.gateway")


class Call(ABC):
    """One request on its way through. Made for each request; the only state there is."""

    # What a call may come to hold. Most never do, so these are defaults of the class, not set one by one.
    deadline = 0.0
    """When the sweeper ends the wait at hand (monotonic seconds); 0 for no wait."""
    waits_for = ""
    expired = False
    gone = False
    received_bytes = 0
    _service: Service | None = None
    _key: Key | None = None
    _user = ""
    _grant = ""
    """What the request names to have no explicit label."""
    _waiver: Waiver | None = None
    _label = Label()
    """How this answer is labelled: as the service says, but for what was waived."""
    """Who asks, as the service named them; never recorded."""
    _subject = ""
    """Who asks, as records name them: a pseudonym."""
    _body = b""
    _language = b""
    _response: Answer | None = None
    _watcher: asyncio.Task[None] | None = None
    _opened = False
    _closing = ""
    """The number of the record that closes a call whose beginning is on record."""
    _recording = False
    _closed = False

    def __init__(self, gateway: "Gateway", scope: Scope, receive: Receive, send: Send) -> None:
        self.gateway = gateway
        self.scope = scope
        self.id = new_id()
        self.begun = time.monotonic()
        self.task = asyncio.current_task(gateway.loop)
        self._receive = receive
        self._send = send
        self._live: Live = gateway.live

    async def run(self) -> None:
        """Take the request to its end. Raises nothing but cancellation by the server."""
        exchanges = self.gateway.exchanges
        exchanges.add(self)
        try:
            try:
                await self._serve()
            except GuijuError as error:
                await self._fail(error)
            except Exception:
                log.exception("exchange %s failed", self.id)
                await self._fail(GuijuError(errors.INTERNAL))
        except asyncio.CancelledError:
            if not (self.gone or self.expired):
                if not self._recording:
                    await self._fail(GuijuError(errors.STOPPING))
                raise
            if self.task is not None:
                self.task.uncancel()
            if self.gone:
                await self._abandoned("CLIENT-LEFT")
            elif self.waits_for == "client":
                self.gone = True
                await self._abandoned("CLIENT-STALLED")
            else:
                await self._fail(self._late())
        finally:
            exchanges.discard(self)
            if self._watcher is not None:
                self._watcher.cancel()
            if self._response is not None:
                self._response.close()

    @abstractmethod
    async def _serve(self) -> None:
        """Do what was asked. An error that it raises is told and recorded by `_fail`."""

    @abstractmethod
    async def _fail(self, error: GuijuError) -> None:
        """Tell the client what happened, after the record of it is durable."""

    @abstractmethod
    def _metadata(self) -> dict[str, object]:
        """Return what the record says beside who and when."""

    async def watch(self) -> None:
        """Notice that the client has gone and end the call; to be awaited by nobody, once the body is there."""
        while (message := await self._receive())["type"] != "http.disconnect":
            pass
        if not self._recording and self.task is not None:
            if message.get("stalled"):
                self.expired, self.waits_for = True, "client"
            else:
                self.gone = True
            self.task.cancel()

    def watch_if_slow(self) -> None:  # noqa: B027  # a call that never waits for others has nobody to watch
        """Begin to watch the client of a call that takes long; called by the sweeper."""

    def _late(self) -> GuijuError:
        """Return the error of a wait that took too long."""
        return GuijuError(errors.BODY_CUT, size=self.received_bytes)

    async def _abandoned(self, reason: str) -> None:
        """The client has left or takes nothing any more: there is nothing to send, but the record is owed."""
        self.deadline = 0.0
        if self._closed:
            return
        metadata = self._metadata() | {"reason": reason}
        await self._quietly(self._record("gateway.answer.interrupted", metadata, {"request": self._body} if self._body else None))

    def _authenticate(self) -> LiveService:
        headers = dict(self.scope["headers"])  # of a name that comes twice, the last
        token, declared = headers.get(b"authorization", b""), headers.get(b"content-length", b"")
        self._language = headers.get(b"accept-language", b"")
        if b"x-guiju-user" in headers:
            self._user = headers[b"x-guiju-user"].decode("utf-8", "replace")
        if HEADER in headers:
            self._grant = headers[HEADER].decode("ascii", "replace")
        live = self._live
        known = live.seen.get(token)
        if known is None:
            if token[:7].lower() != b"bearer " or len(token) == 7:
                raise GuijuError(errors.KEY_MISSING)
            known = live.keys.get(hashlib.sha256(token[7:].strip()).digest())
            if known is None:
                raise GuijuError(errors.KEY_UNKNOWN)
            if len(live.seen) < SEEN_AT_MOST:
                live.seen[token] = known
        self._key, service = known
        if self._key.revoked:
            raise GuijuError(errors.KEY_REVOKED, key=self._key.id)
        limits = live.bundle.limits
        if len(self.gateway.exchanges) > limits.concurrent_requests:
            raise GuijuError(errors.BUSY, limit=limits.concurrent_requests, retry_after="1")
        if declared.isdigit() and int(declared) > limits.body_bytes:
            raise GuijuError(errors.BODY_TOO_LARGE, limit=limits.body_bytes)
        return service

    async def _request(self) -> dict[str, Any]:
        body = await self._read_body()
        try:
            return DECODE(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as problem:
            raise GuijuError(errors.BODY_NOT_JSON, reason=problem) from None
        except RecursionError:
            raise GuijuError(errors.BODY_NOT_JSON, reason="nested too deeply") from None

    async def _read_body(self) -> bytes:
        limits = self._live.bundle.limits
        self._wait(limits.body_idle_ms, "body")
        message = await self._receive()
        body: bytes = message.get("body", b"")
        if message.get("more_body"):
            pieces = [body]
            size = self.received_bytes = len(body)
            while message.get("more_body"):
                self._wait(limits.body_idle_ms, "body")
                message = await self._receive()
                pieces.append(message.get("body", b""))
                size += len(pieces[-1])
                self.received_bytes = size
                if size > limits.body_bytes:
                    raise GuijuError(errors.BODY_TOO_LARGE, limit=limits.body_bytes)
            body = b"".join(pieces)
        self.deadline = 0.0
        if message["type"] == "http.disconnect":
            self.gone = True
            raise GuijuError(errors.BODY_CUT, size=self.received_bytes)
        self._body = body
        return body

    def _name(self, request: dict[str, Any]) -> None:
        """Take who asks: the header, `safety_identifier`, `user`; the first that is there. Raises FIELD-INVALID."""
        user = self._user or request.get("safety_identifier") or request.get("user") or ""
        if not isinstance(user, str):
            raise field_invalid("user", "字符串", "a string")
        self._subject = self._pseudonym(user) if user else ""
        assert self._service is not None
        self._label = self._service.label
        if self._grant:
            self._waiver = find_waiver(self._live.waivers, self._grant, self._service.id, self._subject)
            self._label = waived(self._label)

    def _pseudonym(self, user: str) -> str:
        assert self._service is not None
        return pseudonym_of(self._live.bundle.pseudonym_key, self._service.id, user)

    def _kept(self, error: GuijuError) -> dict[str, object] | None:
        """Return what the record of a failure seals of the request; nothing of somebody without a key."""
        if not (self._body and self._key):
            return None
        return {"request": self._body[:_CONTENT_LIMIT] if error.code is errors.BODY_NOT_JSON else self._body}

    async def _refuse(
        self, kind: str, error: GuijuError, status: int, metadata: dict[str, object], content: Mapping[str, object] | None
    ) -> None:
        """Record an error, then tell it."""
        code = error.code
        body = errors.error_body(code, error.facts | errors.delivery(False))  # an answer that began ends as a stream does
        try:
            await self._record(kind, metadata, content)
        except GuijuError as problem:  # without a record not even this leaves; the client hears of the spool instead
            log.error("exchange %s left no record: %s", self.id, problem)
            status, body = problem.code.status, errors.error_body(problem.code, self._spool_facts(problem))
        headers = [(b"retry-after", str(error.facts.get("retry_after", "1")).encode())] if status in (429, 503) else []
        if code is errors.BODY_TOO_LARGE or code is errors.BODY_CUT:
            headers.append((b"connection", b"close"))
        if self._service is None:
            self.gateway.exchanges.discard(self)  # it was not let in: while its client takes the reply, it is in nobody's way
        if not self.gone:
            await self._reply(status, body, headers)

    def _spool_facts(self, problem: GuijuError) -> dict[str, Any]:
        """Return the facts of a spool's error as a user may see them: the log names the folder, the answer does not."""
        return {**problem.facts, "folder": "spool", "record": self.id}

    async def _quietly(self, recording: Awaitable[None]) -> bool:
        """Await a recording; tell whether it succeeded. A spool that cannot be written must not end in a traceback."""
        try:
            await recording
        except GuijuError as problem:
            log.error("exchange %s left no record: %s", self.id, problem)
            return False
        return True

    # ── record and reply ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _record(self, kind: str, metadata: dict[str, object], content: Mapping[str, object] | None) -> None:
        """Write the closing record and return when it is durable. Raises SPOOL-UNWRITABLE or SPOOL-FULL."""
        self._recording = True  # from here on a client that leaves changes nothing
        identity = self.id
        if self._opened:
            # One for good: an entry that the disk refused late may have been read all the same, and an answer has one end.
            identity = self._closing = self._closing or new_id()
            metadata["answer"] = self.id
        try:
            supplied = self._log_supply(identity) if self._waiver is not None and kind in DELIVERIES else None
            written = self._append(kind, metadata, content, identity)
            try:
                await written
                if supplied is not None:
                    await supplied
            except asyncio.CancelledError:
                # A server that waits no longer. The spool tells it when the entry is written: what is on record as sent is sent.
                if written.cancelled() or self.task is None:
                    raise
                self.task.uncancel()
                for each in (supplied, written):
                    if each is not None:
                        each.result()
        except GuijuError:
            self._recording = False
            raise
        self._closed = True
        self.gateway.count(kind, self._service.id if self._service else "")

    def _log_supply(self, record: str) -> "asyncio.Future[None]":
        """Log the recipient of content without the explicit label. Source: Labelling Measures Art. 9."""
        assert self._waiver is not None
        facts: dict[str, object] = {"supply": self._waiver.id, "agreement": self._waiver.agreement, "produce_id": self.id, "record": record}
        return self._append(SUPPLIED, facts, None, new_id())

    def _append(
        self, kind: str, metadata: dict[str, object], content: Mapping[str, object] | None, entry_id: str
    ) -> "asyncio.Future[None]":
        service, key = self._service, self._key
        subject = self._subject or (f"key-{key.id}" if key else "")
        actor = f"key-{key.id}" if key else "anonymous"
        sealed = _PACK(content) if content else b""
        if len(sealed) > _SEALED_LIMIT:  # a spool takes no larger entry, and the record is owed
            metadata["content_omitted_bytes"] = len(sealed)
            sealed = b""
        entry = Entry(entry_id, now_us(), kind, service.id if service else "", actor, subject, (), metadata, sealed)
        return self.gateway.spool.append(encode_entry(entry), owed=self._opened)

    async def _reply(self, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
        await self._send({"type": WHOLE, "status": status, "headers": [_JSON, (b"x-request-id", self.id.encode()), *headers], "body": body})

    def _wait(self, limit_ms: int, what: str) -> None:
        self.waits_for = what
        self.deadline = time.monotonic() + limit_ms / 1000


def field_invalid(param: str, wanted_zh: str, wanted_en: str) -> GuijuError:
    """Return the error of a field that is not what it must be."""
    return GuijuError(errors.FIELD_INVALID, param=param, wanted_zh=wanted_zh, wanted_en=wanted_en)
