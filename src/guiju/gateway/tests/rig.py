"""A worker as it really runs: its own process on a free port, a data folder, an upstream we script, the spool read back."""

import asyncio
import hashlib
import http.client
import json
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from guiju.core.keys import create_keys, load_pseudonym_key, load_recorder_key, load_recorder_public_key, load_site_key
from guiju.core.layout import DataFolder
from guiju.gateway.bundle import Bundle, Key, LibraryEntry, Limits, Service, Upstream, publish_bundle
from guiju.labelling.values import Label
from guiju.records.entry import Entry, decode_entry
from guiju.records.spool.segment import Frame, SegmentReader, list_segments

KEYS = {"main": "sk-main", "narrow": "sk-narrow", "bare": "sk-bare"}
REVOKED = "sk-revoked"
TERM = "赌博"
HANGING = ("hang_head", "hang_body", "hang_first", "hang_middle", "hang_after_role", "hang_after_finish")
"""Models that are asked of an upstream with short timeouts; the others have time, however busy the machine is."""
LIBRARY = (
    LibraryEntry("kw-1", TERM, "A.1.h", "block", ("赌博罪",)),
    LibraryEntry("kw-2", "sell drugs", "A.1.f"),
    LibraryEntry("kw-3", "flagged words", "A.1.f", "flag"),
)
LIMITS = Limits(
    body_bytes=2 * 2**20, answer_bytes=2**20, body_idle_ms=400, client_idle_ms=600, concurrent_requests=200, drain_ms=3_000
)  # fmt: skip


class Site:
    """A data folder with its keys; `publish` puts a bundle in force."""

    def __init__(self, root: Path, upstream_url: str) -> None:
        self.folder = DataFolder(root)
        self.folder.root.mkdir(parents=True, exist_ok=True)
        create_keys(self.folder.keys)
        self._told = 0
        up = Upstream(name="up", base_url=upstream_url, first_byte_timeout_ms=20_000, idle_timeout_ms=20_000, rename={"public": "internal"})
        hasty = Upstream(name="hasty", base_url=upstream_url, models=HANGING, first_byte_timeout_ms=500, idle_timeout_ms=500)
        closed = Upstream(name="closed", base_url=f"http://127.0.0.1:{closed_port()}/v1", models=("nobody",))
        label = Label(text="（AI 生成）", content_producer="test-provider")
        self.bundle = Bundle(
            issued_at="2026-11-23T00:00:00Z",
            services=(
                Service(id="main", name_zh="主", name_en="main", upstreams=("hasty", "closed", "up"), label=label),
                Service(id="narrow", name_zh="窄", name_en="narrow", upstreams=("hasty",), label=label),
                Service(
                    id="bare",
                    name_zh="裸",
                    name_en="bare",
                    upstreams=("up",),
                    label=Label(mode="interface", content_producer="test-provider"),
                ),
            ),
            upstreams=(up, hasty, closed),
            keys=(
                *(Key(id=f"k-{name}", sha256=hashlib.sha256(secret.encode()).digest(), service=name) for name, secret in KEYS.items()),
                Key(id="k-revoked", sha256=hashlib.sha256(REVOKED.encode()).digest(), service="main", revoked=True),
            ),
            limits=LIMITS,
            library_version="library-1",
            library=LIBRARY,
            recorder_public_key=load_recorder_public_key(self.folder.keys).public_bytes_raw(),
            pseudonym_key=load_pseudonym_key(self.folder.keys),
        )

    def publish(self, bundle: Bundle | None = None) -> str:
        self.bundle = bundle or self.bundle
        return publish_bundle(self.bundle, self.folder.bundles, load_site_key(self.folder.keys))

    def entries(self) -> list[Entry]:
        """Return everything on record, as the recorder would read it."""
        key = load_recorder_key(self.folder.keys)
        found: list[Entry] = []
        for path in list_segments(self.folder.spool):
            reader = SegmentReader(path, key)
            try:
                while frames := reader.read(256, 2**26, final=False):
                    found += [decode_entry(frame.raw) for frame in frames if isinstance(frame, Frame)]
            finally:
                reader.close()
        return found

    def new_entries(self) -> list[Entry]:
        """Return what has come on record since the last call, without heartbeats, for tests that share a worker."""
        entries = [entry for entry in self.entries() if entry.kind != "gateway.worker.alive"]
        new, self._told = entries[self._told :], len(entries)
        return new

    def closing(self, record: str) -> Entry:
        """Return the one closing record of an exchange."""
        found = [
            entry
            for entry in self.entries()
            if record in (entry.id, entry.metadata.get("answer")) and entry.kind != "gateway.answer.opened"
        ]
        assert len(found) == 1, found
        return found[0]


class Worker:
    """A gateway worker in its own process."""

    def __init__(self, site: Site, log: Path, go: int | None = None) -> None:
        """With `go`, a pipe's end, it only gets ready until the other end is closed."""
        self.site = site
        self.log = log
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen(1024)
        self.port: int = listener.getsockname()[1]
        command = [sys.executable, "-m", "guiju.gateway.worker", "--data", str(site.folder.root), "--fd", str(listener.fileno())]
        passed = [listener.fileno()]
        if go is not None:
            command += ["--go", str(go)]
            passed.append(go)
        with log.open("wb") as errors:
            self.process = subprocess.Popen(command, pass_fds=passed, stderr=errors)
        listener.close()
        try:
            wait_for(self.catches_sigterm if go is not None else lambda: self.get("/healthz").status == 200)
        except BaseException:
            self.stop()
            raise

    def catches_sigterm(self) -> bool:
        """Tell whether SIGTERM is no longer just the end of it."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        caught = next(line for line in status.splitlines() if line.startswith("SigCgt:")).split()[1]
        return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(15)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def get(self, path: str, key: str | None = None) -> "Reply":
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return self.ask("GET", path, b"", headers)

    def chat(self, model: str = "ok", *, key: str | None = "sk-main", headers: dict[str, str] | None = None, **request: Any) -> "Reply":
        request = {"model": model, "messages": [{"role": "user", "content": "你好"}], **request}
        return self.post(json.dumps(request, ensure_ascii=False).encode(), key=key, headers=headers)

    def post(self, body: bytes, *, key: str | None = "sk-main", headers: dict[str, str] | None = None) -> "Reply":
        sent = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {}), **(headers or {})}
        return self.ask("POST", "/v1/chat/completions", body, sent)

    def ask(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> "Reply":
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=15)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return Reply(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())
        finally:
            connection.close()

    def connect(self, request: bytes) -> socket.socket:
        """Send raw bytes and return the open socket."""
        client = socket.create_connection(("127.0.0.1", self.port), timeout=15)
        client.sendall(request)
        return client

    def raw_chat(self, model: str, **request: Any) -> bytes:
        body = json.dumps({"model": model, "messages": [{"role": "user", "content": "你好"}], **request}, ensure_ascii=False).encode()
        return raw_head(len(body)) + body


def raw_head(length: int | None) -> bytes:
    framing = f"Content-Length: {length}" if length is not None else "Transfer-Encoding: chunked"
    return (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer {KEYS['main']}\r\nContent-Type: application/json\r\n{framing}\r\n\r\n"
    ).encode()  # fmt: skip


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def wait_for(condition: Callable[[], object], seconds: float = 20.0) -> None:
    """Poll until the condition holds; an OSError counts as not yet."""
    end = time.monotonic() + seconds
    while True:
        try:
            if condition():
                return
        except (OSError, http.client.HTTPException):
            pass
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)


def closed_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
        return port


# ── the upstream ────────────────────────────────────────────────────────────────────────────────────────────────────────

Behaviour = Callable[["Call"], Awaitable[None]]


@dataclass
class Call:
    """One request as the upstream got it, and the way to answer it."""

    head: str
    body: bytes
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    closes: bool = False

    @property
    def request(self) -> dict[str, Any]:
        return json.loads(self.body)  # type: ignore[no-any-return]

    @property
    def model(self) -> str:
        """The model that is asked for, in JSON or in a form."""
        field = re.search(rb'name="model"\r\n\r\n([^\r]*)', self.body)
        return field[1].decode() if field else str(self.request["model"])

    async def send(self, raw: bytes) -> None:
        self.writer.write(raw)
        await self.writer.drain()

    async def reply(self, status: int, body: bytes, content_type: str = "application/json", *more: str) -> None:
        lines = [f"HTTP/1.1 {status} X", f"Content-Type: {content_type}", f"Content-Length: {len(body)}", *more]
        await self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    async def stream(self, *pieces: bytes) -> None:
        """Begin a stream; it ends with the connection."""
        self.closes = True
        await self.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
        for piece in pieces:
            await self.send(piece)
            await asyncio.sleep(0)

    async def hang(self) -> None:
        """Wait until the other side closes."""
        while await self.reader.read(1000):
            pass

    def reset(self) -> None:
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


@dataclass
class ScriptedUpstream:
    """A model server in a thread of the test. What it does is looked up by the model of the request."""

    behaviours: dict[str, Behaviour]
    calls: list[Call] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    """Models whose connection the gateway has closed."""

    def __post_init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(asyncio.start_server(self._serve, "127.0.0.1", 0), self._loop).result(5)
        self.port: int = self._server.sockets[0].getsockname()[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def close(self) -> None:
        async def end() -> None:
            self._server.close()
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            await asyncio.sleep(0.05)

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                sizes = [line.split(":")[1] for line in head.lower().split("\r\n") if line.startswith("content-length:")]
                body = await reader.readexactly(int(sizes[0])) if sizes else b""
                call = Call(head, body, reader, writer)
                self.calls.append(call)
                path = head.split(" ", 2)[1].split("?")[0].removeprefix("/v1")
                if head.startswith("GET") and path in self.behaviours:
                    await self.behaviours[path](call)
                    continue
                if head.startswith("GET"):
                    models = [{"id": "listed", "object": "model", "created": 7, "owned_by": "upstream", "x": "y"}]
                    await call.reply(200, json.dumps({"object": "list", "data": models}).encode())
                    continue
                name = call.model
                try:
                    await self.behaviours[name](call)
                finally:
                    self.left.append(name)
                if call.closes or writer.is_closing():
                    return
        except (asyncio.IncompleteReadError, OSError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
