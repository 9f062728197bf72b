"""Promise 3: nothing leaves unrecorded. Gateways and recorder are killed (SIGKILL) at random instants under load, 200 times.

Afterwards every answer that a client received whole has exactly one closing record, every stream of which a client saw a
byte has its beginning and exactly one end on record, no index is missing, and the ledger verifies.

Guarded lines: `await self._append(…)` in `Exchange._record` before the last bytes are sent (without it answers are
missing here), `os.fdatasync`'s place in the spool, the cursor that the recorder saves in the transaction of the records
(without it records are doubled), and `await opened` before the first byte of a stream.
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
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from guiju.records.segment import list_segments

KILLS = 200
CLIENTS = 12
PIECES = ["今天", "天气", "晴好，", "适合", "出门", "散步。"] * 4
PYTHON = sys.executable

pytestmark = pytest.mark.slow


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(data: Path) -> dict[str, str]:
    settings = {"GUIJU_DATA": str(data), "GUIJU_SETTINGS": str(data.parent / "guiju.toml"), "DJANGO_SETTINGS_MODULE": "guiju.web.settings"}
    return {**os.environ, **settings, "GUIJU_OWNER_PASSWORD": "correct horse battery staple"}


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
                    event = (
                        b"data: "
                        + json.dumps({**base, "object": "chat.completion.chunk", "choices": [{"index": 0, **choice}]}).encode()
                        + b"\n\n"
                    )
                    writer.write(b"%x\r\n" % len(event) + event + b"\r\n")
                    await asyncio.sleep(random.uniform(0, 0.01))
                writer.write(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")
            await writer.drain()
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


class Seen:
    """What the clients saw: answers received whole, streams begun."""

    def __init__(self) -> None:
        self.whole: list[str] = []
        self.begun: list[str] = []
        self.broken = 0


async def client(url: str, key: str, seen: Seen, until: asyncio.Event) -> None:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
        while not until.is_set():
            streams = random.random() < 0.5
            body = {
                "model": "m",
                "stream": streams,
                "user": f"user-{random.randrange(5)}",
                "messages": [{"role": "user", "content": "你好"}],
            }
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
            except (aiohttp.ClientError, OSError, KeyError, TimeoutError):
                seen.broken += 1
                await asyncio.sleep(0.01)


class Server:
    """Two gateway workers on one socket, and the recorder; each can be killed and is started anew."""

    def __init__(self, data: Path, listener: socket.socket) -> None:
        number = str(listener.fileno())
        self.commands = {
            name: [PYTHON, "-m", "guiju.gateway.worker", "--data", str(data), "--fd", number, "--number", name[-1]]
            for name in ("gateway-0", "gateway-1")
        }
        self.commands["recorder"] = [PYTHON, "-m", "guiju.records.recorder", "--data", str(data)]
        self.environment = environment(data)
        self.data = data
        self.listener = listener
        self.log = (data.parent / "log").open("ab")
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.started: dict[str, float] = {}
        for name in self.commands:
            self.start(name)

    def start(self, name: str) -> None:
        self.processes[name] = subprocess.Popen(
            self.commands[name], env=self.environment, pass_fds=(self.listener.fileno(),), stderr=self.log, stdout=self.log
        )
        self.started[name] = time.monotonic()

    def kill(self, name: str) -> None:
        self.processes[name].send_signal(signal.SIGKILL)
        self.processes[name].wait()
        self.start(name)

    def stop(self) -> None:
        workers = ("gateway-0", "gateway-1")
        for name in workers:
            self.processes[name].terminate()
        for name in workers:  # a worker told to stop before it came up dies of the signal: nothing was under way
            assert self.processes[name].wait(60) in (0, -signal.SIGTERM), name
        # Killed last, the recorder is only coming up now. It is told to stop once the spool is empty: what it lost is missing
        # from the records, and what it leaves lying never lets this end.
        deadline = time.monotonic() + 60
        while list_segments(self.data.joinpath("spool")):
            assert self.processes["recorder"].poll() is None, "the recorder ended"
            assert time.monotonic() < deadline, "the spool is not drained"
            time.sleep(0.02)
        self.processes["recorder"].terminate()
        assert self.processes["recorder"].wait(60) == 0
        self.log.close()


async def killing(server: Server, seen: Seen) -> Counter[str]:
    """Kill something at random instants, never before it had the time to come up and serve."""
    killed: Counter[str] = Counter()
    while sum(killed.values()) < KILLS:
        draw = random.random()
        names = (
            ["gateway-0", "gateway-1", "recorder"]
            if draw < 0.05
            else ["recorder"]
            if draw < 0.15
            else [random.choice(["gateway-0", "gateway-1"])]
        )
        for name in names:
            wait_s = server.started[name] + random.uniform(0.7, 1.3) - time.monotonic()
            await asyncio.sleep(max(0.0, wait_s))
        whole = len(seen.whole)
        deadline = time.monotonic() + 20
        while len(seen.whole) < whole + 3 and time.monotonic() < deadline:  # noqa: ASYNC110  # under load: answers are coming
            await asyncio.sleep(0.002)
        await asyncio.sleep(random.uniform(0, 0.03))
        for name in names:
            server.kill(name)
            killed[name] += 1
    return killed


async def run(data: Path, key: str, upstream_port: int) -> tuple[Seen, Counter[str]]:
    model = await asyncio.start_server(upstream, "127.0.0.1", upstream_port)
    seen, until = Seen(), asyncio.Event()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1024)
        server = Server(data, listener)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1/chat/completions"
        clients = [asyncio.create_task(client(url, key, seen, until)) for _ in range(CLIENTS)]
        try:
            killed = await killing(server, seen)
        finally:
            until.set()
            await asyncio.wait(clients, timeout=40)
            await asyncio.to_thread(server.stop)
    model.close()
    await asyncio.sleep(0.2)  # the connections of the last workers end
    return seen, killed


def prepared(folder: Path, upstream_port: int) -> tuple[Path, str]:
    """A data folder after a first start that was stopped again, and an API key."""
    data, settings = folder / "data", folder / "guiju.toml"
    settings.write_text(
        f'[[upstream]]\nname = "test"\nbase_url = "http://127.0.0.1:{upstream_port}/v1"\nmodels = ["m"]\n\n'
        '[[service]]\nid = "chat"\nname_zh = "对话"\nname_en = "Chat"\n\n[service.label]\ncontent_producer = "test-provider"\n'
    )
    port = free_port()
    command = [
        PYTHON,
        "-m",
        "guiju.cli",
        "serve",
        "--data",
        str(data),
        "--settings",
        str(settings),
        "--port",
        str(port),
        "--console-port",
        "0",
    ]
    with (folder / "first-start.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment(data), stdout=log, stderr=log)
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
            assert process.wait(60) == 0, (folder / "first-start.log").read_text()
    return data, (data / "keys" / "playground.key").read_text().strip()


def test_killed_two_hundred_times_no_answer_is_without_its_record(tmp_path: Path) -> None:
    upstream_port = free_port()
    data, key = prepared(tmp_path, upstream_port)
    seen, killed = asyncio.run(run(data, key, upstream_port))
    log = (tmp_path / "log").read_text()

    with contextlib.closing(sqlite3.connect(data / "guiju.sqlite3")) as database:
        rows = database.execute('SELECT "index", id, kind, body FROM records_record ORDER BY "index"').fetchall()
    assert [row[0] for row in rows] == list(range(len(rows)))
    opened = Counter(row[1] for row in rows if row[2] == "gateway.answer.opened")
    closed: Counter[str] = Counter()
    delivered: Counter[str] = Counter()
    for _, identity, kind, body in rows:
        if kind.startswith("gateway.") and kind != "gateway.answer.opened":
            answer = json.loads(body)["metadata"].get("answer", identity)
            closed[answer] += 1
            delivered[answer] += kind == "gateway.answer.delivered"

    assert sum(killed.values()) >= KILLS
    assert len(seen.whole) > KILLS * 3, (len(seen.whole), seen.broken, log[-2000:])
    assert [answer for answer in seen.whole if delivered[answer] != 1] == []
    assert [answer for answer in seen.begun if opened[answer] != 1 or closed[answer] != 1] == []
    assert [answer for answer, count in closed.items() if count != 1] == []
    assert set(opened) <= set(closed)
    verified = subprocess.run(
        [PYTHON, "-m", "guiju.cli", "verify", "--data", str(data)], env=environment(data), capture_output=True, check=False
    )
    assert verified.returncode == 0, verified.stdout.decode()
    assert "Traceback" not in log, log[-3000:]
