"""Gateways and a recorder under load, with a database that may be SQLite or PostgreSQL; something is done to them meanwhile.

What the clients saw is compared with what is on record afterwards.
"""

import asyncio
import contextlib
import json
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from guiju.records.spool.segment import list_segments
from guiju.records.tests.postgresql import PostgreSQL

CLIENTS = 12
PIECES = ["今天", "天气", "晴好，", "适合", "出门", "散步。"] * 4
PYTHON = sys.executable
WORKERS = ("gateway-0", "gateway-1")


@dataclass
class Seen:
    """What the clients saw: answers received whole, streams begun, how long answers took and when they began."""

    whole: list[str] = field(default_factory=list)
    begun: list[str] = field(default_factory=list)
    runs: list[list[str]] = field(default_factory=list)
    """Answers received one after the other over one connection, and so from one worker."""
    waits: list[tuple[float, float]] = field(default_factory=list)
    """(when it was asked, seconds until it was whole) of each whole answer."""
    broken: int = 0
    refused: Counter[int] = field(default_factory=Counter)


@dataclass
class Found:
    """What is on record, held against what was seen; every list is empty when the promises were kept."""

    records: int
    missing_numbers: list[int]
    lost: list[str]
    doubled: list[str]
    not_begun: list[str]
    not_ended: list[str]
    out_of_order: list[str]
    verified: bool
    report: str

    def faults(self) -> dict[str, object]:
        """Return what is wrong, by name; empty when nothing is."""
        lists = ("missing_numbers", "lost", "doubled", "not_begun", "not_ended", "out_of_order")
        return {name: getattr(self, name) for name in lists if getattr(self, name)} | ({} if self.verified else {"verify": self.report})


class Site:
    """A data folder after a first start that was stopped again, with an API key; two workers and a recorder to start and kill."""

    def __init__(self, folder: Path, postgresql: PostgreSQL | None = None) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.postgresql = postgresql
        self.upstream_port = free_port()
        self.environment = environment(self.data) | ({"PGHOST": postgresql.host} if postgresql else {})
        self.log = folder / "log"
        (folder / "guiju.toml").write_text(
            ('[database]\nurl = "postgresql://postgres@/guiju"\n\n' if postgresql else "")
            + f'[[upstream]]\nname = "test"\nbase_url = "http://127.0.0.1:{self.upstream_port}/v1"\nmodels = ["m"]\n\n'
            '[[service]]\nid = "chat"\nname_zh = "对话"\nname_en = "Chat"\n\n[service.label]\ncontent_producer = "test-provider"\n'
        )
        if postgresql is not None:
            postgresql.create_database("guiju")
        self._first_start()
        self.key = (self.data / "keys" / "playground.key").read_text().strip()
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(1024)
        self.port: int = self.listener.getsockname()[1]
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.started: dict[str, float] = {}
        self.logged_before: dict[str, int] = {}

    def start(self, name: str) -> None:
        """Start `gateway-0`, `gateway-1` or `recorder`."""
        number = str(self.listener.fileno())
        self.logged_before[name] = self.log.stat().st_size if self.log.exists() else 0
        command = ["guiju.records.recorder"] if name == "recorder" else ["guiju.gateway.worker", "--fd", number, "--number", name[-1]]
        with self.log.open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [PYTHON, "-m", *command, "--data", str(self.data)],
                env=self.environment,
                pass_fds=(self.listener.fileno(),),
                stderr=log,
                stdout=log,
            )
        self.started[name] = time.monotonic()

    def kill(self, name: str) -> None:
        self.processes[name].send_signal(signal.SIGKILL)
        self.processes[name].wait()
        self.start(name)

    def stop(self) -> None:
        """Stop the workers, wait until everything is on record, then stop the recorder."""
        for name in WORKERS:
            self.processes[name].terminate()
        for name in WORKERS:  # a worker told to stop before it came up dies of the signal: nothing was under way
            assert self.processes[name].wait(60) in (0, -signal.SIGTERM), name
        # Killed last, the recorder is only coming up now. It is told to stop once it is at work and the spool is empty: what it
        # lost is missing from the records, and what it leaves lying never lets this end.
        recorder = self.processes["recorder"]
        deadline = time.monotonic() + 120
        while list_segments(self.data / "spool") or not self._at_work("recorder"):
            assert recorder.poll() is None, f"the recorder ended with {recorder.returncode}"
            assert time.monotonic() < deadline, "the spool is not drained"
            time.sleep(0.02)
        recorder.terminate()
        left = recorder.wait(60)
        assert left == 0, (left, self.log.read_text()[-2000:])

    def _at_work(self, name: str) -> bool:
        """Tell whether the newest process of this name has said that it is ready."""
        said = self.log.read_bytes()[self.logged_before[name] :].splitlines()
        return any(line.endswith(b" ready") and name.encode() in line for line in said)

    def ready(self) -> dict[str, Any]:
        """Return what a worker says at /readyz."""
        with socket.create_connection(("127.0.0.1", self.port), 10) as asked:
            asked.sendall(b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            raw = b""
            while piece := asked.recv(65_536):
                raw += piece
        told: dict[str, Any] = json.loads(raw.partition(b"\r\n\r\n")[2])
        return told

    def read_records(self) -> list[tuple[int, str, str, dict[str, Any]]]:
        """Return (number, id, kind, metadata) of every record in order."""
        query = 'SELECT "index", id, kind, body FROM records_record ORDER BY "index"'
        if self.postgresql is None:
            with contextlib.closing(sqlite3.connect(self.data / "guiju.sqlite3")) as database:
                rows: list[Any] = database.execute(query).fetchall()
        else:
            with self.postgresql.connect("guiju") as server:
                rows = server.execute(query.encode()).fetchall()
        return [(number, identity, kind, json.loads(bytes(body))["metadata"]) for number, identity, kind, body in rows]

    def judge(self, seen: Seen) -> Found:
        """Hold the records against what was seen, and verify the ledger."""
        rows = self.read_records()
        opened = Counter(identity for _, identity, kind, _ in rows if kind == "gateway.answer.opened")
        begun_at = {identity: number for number, identity, _, _ in rows}
        closed: Counter[str] = Counter()
        delivered: Counter[str] = Counter()
        ended_at: dict[str, int] = {}
        for number, identity, kind, metadata in rows:
            if kind.startswith("gateway.") and kind != "gateway.answer.opened":
                answer = metadata.get("answer", identity)
                closed[answer] += 1
                delivered[answer] += kind == "gateway.answer.delivered"
                ended_at[answer] = number
        command = [PYTHON, "-m", "guiju.cli", "verify", "--data", str(self.data)]
        verified = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        numbers = [number for number, *_ in rows]
        in_order = [(run, [ended_at.get(answer, -1) for answer in run]) for run in seen.runs]
        return Found(
            records=len(rows),
            missing_numbers=sorted(set(range(len(rows))) ^ set(numbers)),
            lost=[answer for answer in seen.whole if not delivered[answer]],
            doubled=[answer for answer, count in (closed + opened).items() if max(closed[answer], opened[answer]) > 1 and count],
            not_begun=[answer for answer in seen.begun if not opened[answer]],
            not_ended=[answer for answer in {*seen.begun, *opened} if not closed[answer]],
            out_of_order=[run[0] for run, places in in_order if places != sorted(places)]
            + [answer for answer in opened if begun_at[answer] > ended_at.get(answer, begun_at[answer])],
            verified=verified.returncode == 0,
            report=verified.stdout,
        )

    def close(self) -> None:
        """End what still runs."""
        for process in self.processes.values():
            if process.poll() is None:
                process.kill()
                process.wait()
        self.listener.close()

    def _first_start(self) -> None:
        port = free_port()
        options = {"--data": self.data, "--settings": self.folder / "guiju.toml", "--port": port, "--console-port": 0}
        command = [PYTHON, "-m", "guiju.cli", "serve", *[str(part) for option in options.items() for part in option]]
        with (self.folder / "first-start.log").open("wb") as log:
            process = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)
            try:
                deadline = time.monotonic() + 60
                while time.monotonic() < deadline and process.poll() is None:
                    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as probe:
                        probe.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
                        if b"200" in probe.recv(64):
                            break
                    time.sleep(0.1)
            finally:
                process.terminate()
                assert process.wait(60) == 0, (self.folder / "first-start.log").read_text()


async def under_load(site: Site, disturb: Callable[[Site, Seen], Awaitable[None]], clients: int = CLIENTS) -> Seen:
    """Run workers, recorder and clients while `disturb` does its work; return what the clients saw once all is on record."""
    model = await asyncio.start_server(upstream, "127.0.0.1", site.upstream_port)
    seen, until = Seen(), asyncio.Event()
    url = f"http://127.0.0.1:{site.port}/v1/chat/completions"
    try:
        for name in (*WORKERS, "recorder"):
            site.start(name)
        asking = [asyncio.create_task(client(url, site.key, seen, until)) for _ in range(clients)]
        try:
            await disturb(site, seen)
        finally:
            until.set()
            await asyncio.wait(asking, timeout=40)
        await asyncio.to_thread(site.stop)
    finally:
        site.close()
        model.close()
    await asyncio.sleep(0.2)  # the connections of the last workers end
    return seen


async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A model server: whole answers at once, streams in pieces a few milliseconds apart."""
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            request = json.loads(await reader.readexactly(length))
            base = {"id": "chatcmpl-1", "created": 1, "model": request["model"]}
            if not request.get("stream"):
                message = {"role": "assistant", "content": "".join(PIECES)}
                body = json.dumps(
                    {**base, "object": "chat.completion", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
                ).encode()
                await asyncio.sleep(random.uniform(0, 0.02))
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
            else:
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
                deltas: list[dict[str, Any]] = [{"delta": {"content": piece}, "finish_reason": None} for piece in PIECES]
                for choice in [*deltas, {"delta": {}, "finish_reason": "stop"}]:
                    if writer.is_closing():
                        break
                    told = {**base, "object": "chat.completion.chunk", "choices": [{"index": 0, **choice}]}
                    event = b"data: " + json.dumps(told).encode() + b"\n\n"
                    writer.write(b"%x\r\n" % len(event) + event + b"\r\n")
                    await asyncio.sleep(random.uniform(0, 0.01))
                writer.write(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")
            await writer.drain()
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def client(url: str, key: str, seen: Seen, until: asyncio.Event) -> None:
    """Ask one question after the other over one connection at a time, half of them for a stream."""
    mine: list[str] = []

    async def connected(*_: object) -> None:
        nonlocal mine
        mine = []
        seen.runs.append(mine)

    connections = aiohttp.TraceConfig()
    connections.on_connection_create_end.append(connected)
    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=1), trace_configs=[connections]) as session:
        while not until.is_set():
            streams = random.random() < 0.5
            body = {
                "model": "m",
                "stream": streams,
                "user": f"user-{random.randrange(5)}",
                "messages": [{"role": "user", "content": "你好"}],
            }
            asked_at = time.monotonic()
            try:
                async with session.post(url, json=body, headers={"Authorization": f"Bearer {key}"}) as response:
                    answer = response.headers["x-request-id"]
                    if streams:
                        raw = b""
                        async for piece in response.content.iter_any():
                            if not raw:
                                seen.begun.append(answer)
                            raw += piece
                        complete = raw.endswith(b"data: [DONE]\n\n") and b'"error"' not in raw
                    else:
                        complete = "choices" in json.loads(await response.read())
                    if complete and response.status == 200:
                        seen.whole.append(answer)
                        mine.append(answer)
                        seen.waits.append((asked_at, time.monotonic() - asked_at))
                    elif response.status != 200:
                        seen.refused[response.status] += 1
            except (aiohttp.ClientError, OSError, KeyError, TimeoutError):
                seen.broken += 1
                await asyncio.sleep(0.01)


def environment(data: Path) -> dict[str, str]:
    settings = {"GUIJU_DATA": str(data), "GUIJU_SETTINGS": str(data.parent / "guiju.toml"), "DJANGO_SETTINGS_MODULE": "guiju.web.settings"}
    return {**os.environ, **settings, "GUIJU_OWNER_PASSWORD": "correct horse battery staple"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
