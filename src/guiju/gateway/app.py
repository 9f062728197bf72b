"""The live side as one ASGI application: routes, the bundle in force, the sweeper that ends waits."""

import asyncio
import contextlib
import hashlib
import logging
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from guiju.core.clock import now_us
from guiju.core.errors import GuijuError
from guiju.core.ids import new_id
from guiju.core.keys import load_accepted_public_keys
from guiju.core.layout import DataFolder
from guiju.gateway import errors
from guiju.gateway.bundle import Bundle, current_hash, load_bundle
from guiju.gateway.call import RECORD_BYTES, Call, Receive, Scope, Send
from guiju.gateway.exchange import Exchange
from guiju.gateway.exports import Export
from guiju.gateway.guard import GuardClient
from guiju.gateway.live import Live, LiveService, compile_bundle
from guiju.gateway.moderations import Moderation
from guiju.records.entry import Entry, encode_entry
from guiju.records.heart import worker_beat
from guiju.records.spool.backlog import Backlog, measure_backlog
from guiju.records.spool.writer import SpoolWriter

if TYPE_CHECKING:
    from guiju.gateway.media.desk import MediaDesk

SWEEP_S: Final = 0.25
_SLOW_S: Final = 0.5
_MODELS: Final = "/v1/models"
_MODEL: Final = "/v1/models/"
_MODELS_KEPT_S: Final = 30.0
_LOOK_AGAIN_S: Final = 5.0
_BACKLOG_KEPT_S: Final = 1.0
_ENCODE: Final = msgspec.json.Encoder().encode
_NOT_ANSWERS: Final = frozenset(("gateway.moderation.examined", "gateway.export.delivered", "gateway.export.withheld"))
"""Left out of heartbeats: what they tell is compared with the records of answers, refusals and failures (`records/keeping/watch.py`)."""

log = logging.getLogger("guiju.gateway")


class Gateway:
    """One worker's application. `start` before the first request, `stop` after the last."""

    def __init__(self, data: DataFolder, worker: str) -> None:
        self.exchanges: set[Call] = set()
        self.loop: asyncio.AbstractEventLoop | None = None
        """The loop that it was started in: kept, because asking for it costs a microsecond each time."""
        self._data = data
        self._worker = worker
        self._counts: Counter[str] = Counter()
        self._answers: Counter[str] = Counter()
        self._beats = 0
        self._models: dict[str, tuple[float, list[dict[str, Any]] | GuijuError]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._backlog = (-_BACKLOG_KEPT_S, Backlog())
        self._media: MediaDesk | None = None
        digest = current_hash(data.bundles)
        self.live: Live = compile_bundle(self._load(digest), digest, None)
        self._hear_guards()
        bundle = self.live.bundle
        self.spool = SpoolWriter(
            data.spool, bundle.recorder_public_key, worker=worker, limit_bytes=bundle.limits.spool_bytes, active=self.exchanges.__len__
        )

    async def start(self) -> None:
        """Begin to watch the bundle and the clocks."""
        self.loop = asyncio.get_running_loop()
        if self._data.media.is_dir():
            self.media_desk()  # there may be files whose time is over
        self._tasks = [asyncio.create_task(each) for each in (self._sweep(), self._follow_bundle(), self._beat())]

    async def stop(self) -> None:
        """Commit what the spool holds and close the connections."""
        for task in self._tasks:
            task.cancel()
        if self._beats:
            await self._leave_beat(last=True)
        await self.spool.close()
        if self._media is not None:
            await self._media.close()
        for client in self.live.clients.values():
            client.close()
        for guard in self.live.guards.values():
            guard.close()

    def count(self, kind: str, service: str) -> None:
        """Count a record of this kind, shown by /healthz, and of this service, told by heartbeats."""
        self._counts[kind] += 1
        if service and kind not in _NOT_ANSWERS:
            self._answers[service] += 1

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path = scope["path"]
            if path == "/v1/chat/completions" and scope["method"] == "POST":
                await Exchange(self, scope, receive, send).run()
            elif path == "/v1/moderations" and scope["method"] == "POST":
                await Moderation(self, scope, receive, send).run()
            elif path == "/v1/exports" and scope["method"] == "POST":
                await Export(self, scope, receive, send).run()
            elif (path == _MODELS or path.startswith(_MODEL)) and path != _MODEL and scope["method"] == "GET":
                await self._list_models(scope, send, path.removeprefix(_MODEL) if path != _MODELS else "")
            elif path == "/healthz":
                await _reply(send, 200, _ENCODE(self._state()))
            elif path == "/readyz":
                await self._ready(send)
            else:
                await self._route_media(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)

    async def _route_media(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Calls that are about files: what they need is loaded when the first of them comes."""
        from guiju.gateway.media.addresses import serve_file
        from guiju.gateway.media.routes import find_call, is_hosted

        made = find_call(scope["method"], scope["path"])
        if made is not None:
            await made(self, scope, receive, send).run()
        elif is_hosted(scope["method"], scope["path"]):
            await serve_file(self.media_desk(), scope, send, self.live.bundle.limits.client_idle_ms)
        else:
            facts = {"method": scope["method"], "path": scope["path"][:100]}
            await _reply(send, errors.PATH_UNKNOWN.status, errors.error_body(errors.PATH_UNKNOWN, facts))

    def media_desk(self) -> "MediaDesk":
        """Return what calls about files share, with the settings in force."""
        from guiju.gateway.media.desk import MediaDesk

        if self._media is None:
            self._media = MediaDesk(self._data.media, self._data.keys, self.live.bundle.media)
        self._media.use(self.live.bundle.media)
        return self._media

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await self.start()
                await send({"type": "lifespan.startup.complete"})
            else:
                await self.stop()
                await send({"type": "lifespan.shutdown.complete"})
                return

    def _state(self) -> dict[str, object]:
        live = self.live
        return {
            "status": "ok",
            "worker": self._worker,
            "bundle": live.digest[:16],
            "library": live.snapshot.version[:16],
            "terms": len(live.snapshot.entries),
            "in_progress": len(self.exchanges),
            "records": dict(self._counts),
        } | ({"guards": {name: client.state for name, client in live.guards.items()}} if live.guards else {})

    async def _ready(self, send: Send) -> None:
        """Tell whether requests are taken: `ok`; `degraded`, when records wait for the recorder; `full`, with 503, when they cannot wait."""
        now = time.monotonic()
        if now - self._backlog[0] > _BACKLOG_KEPT_S:
            found = await asyncio.to_thread(measure_backlog, self._data.spool, self._data.run, now_us())
            self._backlog = (now, found)
        backlog, spool = self._backlog[1], self.spool
        status = "degraded" if backlog.late else "ok"
        try:
            spool.refuse_if_full(RECORD_BYTES)
        except GuijuError:
            status = "full"
        waiting = {
            "waiting_bytes": backlog.size_bytes,
            "waiting_segments": backlog.segments,
            "oldest_ms": int(backlog.oldest_s * 1000),
            "used_bytes": spool.used_bytes,
            "limit_bytes": spool.limit_bytes,
        }
        await _reply(send, 503 if status == "full" else 200, _ENCODE(self._state() | {"status": status, "spool": waiting}))

    async def _list_models(self, scope: Scope, send: Send, name: str) -> None:
        """Answer with the models that the service of the key offers, or with the one of this name, which may hold slashes."""
        token = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        sent = token[7:].strip() if token[:7].lower() == b"bearer " else b""
        known = self.live.keys.get(hashlib.sha256(sent).digest())
        if known is None or known[0].revoked:
            code = errors.KEY_REVOKED if known else errors.KEY_UNKNOWN if sent else errors.KEY_MISSING
            await _reply(send, code.status, errors.error_body(code, {"key": known[0].id if known else ""}))
            return
        try:
            models, problem = await self._offered(known[1], name)
            if name and name not in models:
                raise problem or GuijuError(errors.MODEL_UNKNOWN, model=name[:100], param="model")
            if problem is not None and not models:
                raise problem
        except GuijuError as error:
            await _reply(send, error.code.status, errors.error_body(error.code, error.facts))
            return
        await _reply(send, 200, _ENCODE(models[name] if name else {"object": "list", "data": list(models.values())}))

    async def _offered(self, service: LiveService, name: str) -> tuple[dict[str, dict[str, Any]], GuijuError | None]:
        """Return what the service's upstreams offer, by name, with what kept one of them from being asked: it hides only its own models.

        A `name` that is in the settings, or was found, is looked for no further.
        """
        models: dict[str, dict[str, Any]] = {}
        problem: GuijuError | None = None
        for client in sorted(service.upstreams, key=lambda client: not client.upstream.models):  # those that need not be asked
            if name in models:
                break
            upstream = client.upstream
            listed: list[dict[str, Any]]
            if upstream.models:
                listed = [{"id": name, "object": "model", "created": 0, "owned_by": upstream.name} for name in upstream.models]
            else:
                at, found = self._models.get(upstream.name, (-_MODELS_KEPT_S, []))
                if time.monotonic() - at > (_LOOK_AGAIN_S if isinstance(found, GuijuError) else _MODELS_KEPT_S):
                    try:
                        found = await client.models()
                    except GuijuError as error:
                        log.warning(
                            "the models of upstream %s are not listed: %s, %s", upstream.name, error.code.code, error.facts["reason"]
                        )
                        found = GuijuError(errors.MODELS_UNLISTED, upstream=upstream.name, cause=error.code.code)
                    self._models[upstream.name] = (time.monotonic(), found)
                if isinstance(found, GuijuError):
                    problem = found
                    continue
                listed = found
            for model in listed:
                models.setdefault(model["id"], model)
        return models, problem

    async def _sweep(self) -> None:
        """End waits that took too long. One pass over all exchanges is cheaper than a timer for each wait.

        Whether a client still takes what it is sent is told by its connection (`Connection.close_if_late`), byte by byte: here only whole
        pieces are seen, and a client that is slow would be taken for one that stalls.
        """
        while True:
            await asyncio.sleep(SWEEP_S)
            now = time.monotonic()
            for exchange in list(self.exchanges):
                late = exchange.deadline and now > exchange.deadline and exchange.waits_for != "client"
                if late and not exchange.expired and exchange.task is not None:
                    exchange.expired = True
                    exchange.task.cancel()
                elif now - exchange.begun > _SLOW_S:
                    exchange.watch_if_slow()

    async def _beat(self) -> None:
        """Leave a heartbeat on record now and then: silence can then be told from nothing happening."""
        while True:
            await asyncio.sleep(self.live.bundle.limits.heartbeat_ms / 1000)
            self._beats += 1
            await self._leave_beat()

    async def _leave_beat(self, *, last: bool = False) -> None:
        entry = worker_beat(self.spool.id, self._worker, self._beats, self._answers, last=last)
        try:
            await self.spool.append(encode_entry(entry), owed=True)
        except GuijuError as problem:  # the disk; answers meet it as well, and are refused
            log.warning("no heartbeat: %s", problem)

    def _hear_guards(self, before: Live | None = None) -> None:
        """Hear of guards that become unavailable, and of their return; close those that are no longer in force."""
        for client in self.live.guards.values():
            client.tell = self._tell_of_guard
        for name, client in before.guards.items() if before is not None else ():
            if self.live.guards.get(name) is not client:
                client.close()

    def _tell_of_guard(self, client: GuardClient, available: bool, reason: str) -> None:
        kind = "screening.guard.available" if available else "screening.guard.unavailable"
        guard = client.guard
        metadata: dict[str, object] = {"guard": guard.name, "kind": guard.kind, "model": guard.model}
        if not available:
            metadata |= {"reason": reason, "not_asked_ms": guard.breaker_open_ms}
        entry = Entry(new_id(), now_us(), kind, "", self._worker, "", (), metadata)
        self._counts[kind] += 1
        try:
            written = self.spool.append(encode_entry(entry), owed=True)
        except GuijuError as problem:  # the disk; answers meet it as well, and are refused
            log.warning("no record of guard %s: %s", guard.name, problem)
            return
        written.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def _follow_bundle(self) -> None:
        """Put a new bundle in force within a second; keep the old one when the new one is not good."""
        refused, again_at = "", 0.0
        while True:
            await asyncio.sleep(SWEEP_S)
            digest = ""
            try:
                digest = current_hash(self._data.bundles)
                if digest == self.live.digest or (digest == refused and time.monotonic() < again_at):
                    continue
                before, self.live = self.live, await asyncio.to_thread(self._compiled, digest)
                self._hear_guards(before)
                self.spool.limit_bytes = self.live.bundle.limits.spool_bytes
                log.info("bundle %s in force (library %s)", digest[:16], self.live.snapshot.version[:16])
            except Exception as problem:  # a bad bundle must not end the watch; a bad moment of the disk passes
                again_at = time.monotonic() + _LOOK_AGAIN_S
                if (digest or "none") != refused:
                    refused = digest or "none"
                    log.error("bundle %s not taken, %s stays in force: %s", refused[:16], self.live.digest[:16], problem)

    def _compiled(self, digest: str) -> Live:
        return compile_bundle(self._load(digest), digest, self.live)

    def _load(self, digest: str) -> Bundle:
        # The keys are read each time: the site key may have changed since this worker started.
        return load_bundle(self._data.bundles, digest, *load_accepted_public_keys(self._data.keys))


async def _reply(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)), (b"x-request-id", new_id().encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    with contextlib.suppress(OSError):
        await send({"type": "http.response.body", "body": body})


def create_gateway(folder: Path, worker: str) -> Gateway:
    """Return the application of one worker for a data folder. Raises BUNDLE-INVALID and the KEY- errors."""
    return Gateway(DataFolder(folder), worker)
