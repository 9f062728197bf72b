"""What guards cost: nothing where there are none, and where there is one, hardly more than its own time.

    python -m bench.guard

One worker, one model server on loopback that begins to answer at once, one guard that takes 20 ms. Clients ask one after the other, the services in
turns; the time to the first text of a stream is read beside that of a service without a guard, and beside the guard's own.
"""

import asyncio
import hashlib
import http.client
import socket
import statistics
import sys
import threading
import time
from typing import Final

import msgspec

from bench import rig
from bench.corpus import ANSWER
from bench.report import Row, report, row
from guiju.core.keys import load_accepted_public_keys, load_site_key
from guiju.core.layout import DataFolder
from guiju.gateway.bundle import Guard, GuardUse, current_hash, load_bundle, publish_bundle

GUARD_MS: Final = 20
ROUNDS: Final = 150
_WAYS: Final = {"no guard": "bench", "input waits": "wait", "both ways": "strict", "alongside": "along"}
_SAFE: Final = msgspec.json.encode(
    {"model": "g", "choices": [{"message": {"content": "Safety: Safe\nCategories: None"}, "finish_reason": "stop"}]}
)


def main() -> int:
    """Measure and report; return the exit status."""
    rig.prepare(240)
    with rig.upstream() as model, _guard() as port, rig.data_folder(model.port) as folder:
        _with_guards(folder, port)
        with rig.worker(folder) as worker:
            rows = _rows(worker.port, port)
    return 1 if report("guard", rows) else 0


def _with_guards(folder: DataFolder, port: int) -> None:
    """Put the bundle in force with services beside its own: one for each way of using a guard."""
    before = load_bundle(folder.bundles, current_hash(folder.bundles), *load_accepted_public_keys(folder.keys))
    (plain,), (key,) = before.services, before.keys
    both = Guard(name="g", kind="qwen3guard", base_url=f"http://127.0.0.1:{port}/v1", model="g")
    first = msgspec.structs.replace(both, name="i", directions="input")
    uses = {
        "wait": GuardUse(guards=("i",)),
        "strict": GuardUse(guards=("g",)),
        "along": GuardUse(guards=("g",), input="alongside", release="alongside"),
    }
    services = [msgspec.structs.replace(plain, id=name, guard=use) for name, use in uses.items()]
    keys = [msgspec.structs.replace(key, id=name, service=name, sha256=_digest(name)) for name in uses]
    bundle = msgspec.structs.replace(
        before, services=(plain, *services), keys=(msgspec.structs.replace(key, sha256=_digest("bench")), *keys), guards=(both, first)
    )
    publish_bundle(bundle, folder.bundles, load_site_key(folder.keys))


def _digest(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


def _rows(worker: int, guard: int) -> list[Row]:
    first: dict[str, list[float]] = {way: [] for way in _WAYS}
    own: list[float] = []
    asked = http.client.HTTPConnection("127.0.0.1", guard, timeout=20)
    client = http.client.HTTPConnection("127.0.0.1", worker, timeout=20)
    for turn in range(ROUNDS + 10):
        for way, key in _WAYS.items():
            taken = _first_text_ms(client, key)
            if turn >= 10:
                first[way].append(taken)
        begun = time.perf_counter()
        asked.request("POST", "/v1/chat/completions", b"{}")
        asked.getresponse().read()
        own.append((time.perf_counter() - begun) * 1000)
    plain, guard_ms = statistics.median(first["no guard"]), statistics.median(own)
    rows = [row("time to first text, no guard, p50", plain, "ms"), row("the guard asked directly, p50", guard_ms, "ms")]
    for way in list(_WAYS)[1:]:
        taken = statistics.median(first[way])
        rows.append(row(f"time to first text, {way}, p50", taken, "ms"))
    # Model and guard are asked at the same time, so what counts is what is left over the longer of the two.
    wait = statistics.median(first["input waits"])
    rows.append(row("input waits: more than the guard's own time, p50", wait - max(guard_ms, plain), "ms", at_most=1.0))
    strict = statistics.median(first["both ways"])
    rows.append(
        row("both ways: more than the guard's own time: the first clause, and its examination, p50", strict - max(guard_ms, plain), "ms")
    )
    rows.append(row("alongside: more than without a guard, p50", statistics.median(first["alongside"]) - plain, "ms", at_most=1.0))
    return rows


def _first_text_ms(client: http.client.HTTPConnection, key: str) -> float:
    """Return the time to the first text of a stream; its rest is read before the next."""
    body = {"model": "bench,pieces=40,gap_ms=1,first_ms=1", "stream": True, "messages": [{"role": "user", "content": ANSWER[:200]}]}
    begun, first = time.perf_counter(), 0.0
    client.request("POST", "/v1/chat/completions", msgspec.json.encode(body), {"Authorization": f"Bearer {key}"})
    answer, seen = client.getresponse(), b""
    while raw := answer.read1():
        seen += raw
        if not first and (at := seen.find(b'"content":"')) >= 0 and seen.find(b'"content":"', at + 1) >= 0:
            first = (time.perf_counter() - begun) * 1000  # the first is the role's, which is empty
    assert first, f"{key}: {seen[:200]!r}"
    return first


class _guard:  # noqa: N801  # used like a function
    """A guard in a thread that says "safe" after 20 ms; gives its port."""

    def __enter__(self) -> int:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        server = asyncio.run_coroutine_threadsafe(asyncio.start_server(_answer, "127.0.0.1", 0), self._loop).result(5)
        listener: socket.socket = server.sockets[0]
        return int(listener.getsockname()[1])

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            size = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            await reader.readexactly(size)
            await asyncio.sleep(GUARD_MS / 1000)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(_SAFE), _SAFE))
    except (asyncio.IncompleteReadError, OSError):
        writer.close()


if __name__ == "__main__":
    sys.exit(main())
