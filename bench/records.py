"""What durable records cost: spool, sealing, recorder, proofs, verification.

    python -m bench.records

Runs in a folder of its own beside the system's temporary files; the rows say on which file system.
"""

import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Protocol

import uvloop
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bench.packs import measure_checks
from bench.recorder import CONTENT, ORIGIN, entry, measure_recorder, measure_recorder_on_postgresql
from bench.report import Row, report, row
from bench.rig import file_system
from guiju.core.ids import new_id
from guiju.core.keys import create_keys
from guiju.core.layout import DataFolder
from guiju.records.keys.sealing import new_subject_key, seal
from guiju.records.log.merkle import inclusion_path, leaf_hash, root_from_inclusion
from guiju.records.log.tiles import TileReader, TileWriter
from guiju.records.spool.segment import list_segments, read_segment
from guiju.records.spool.writer import SpoolWriter

CLIENTS: Final = 32
ENTRY_BYTES: Final = 2_500
PACED_PER_S: Final = 7_000
LEAVES: Final = 200_000
TURNS: Final = 5


class Appends(Protocol):
    """What the load is put on."""

    def append(self, raw_entry: bytes) -> "asyncio.Future[None]":
        """Take one entry."""


class NoSpool:
    """Answers at once: what the load itself costs."""

    def append(self, raw_entry: bytes) -> "asyncio.Future[None]":
        """Take one entry and keep nothing."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.set_result(None)
        return future


async def closed_loop(spool: Appends, entry: bytes, count: int) -> None:
    """32 clients, each appends again as soon as it is answered."""

    async def client() -> None:
        for _ in range(count // CLIENTS):
            await spool.append(entry)

    await asyncio.gather(*[client() for _ in range(CLIENTS)])


async def paced(spool: Appends, entry: bytes, per_s: int, seconds: float) -> list[float]:
    """32 clients on a timetable; return the waits in seconds."""
    loop = asyncio.get_running_loop()
    waits: list[float] = []

    async def client(number: int) -> None:
        at = loop.time() + number / per_s
        end = at + seconds
        while at < end:
            at += CLIENTS / per_s
            if (rest := at - loop.time()) > 0:
                await asyncio.sleep(rest)
            begun = time.perf_counter()
            await spool.append(entry)
            waits.append(time.perf_counter() - begun)

    await asyncio.gather(*[client(number) for number in range(CLIENTS)])
    return waits


async def measure_spool(folder: Path) -> list[Row]:
    """Durable appends: how many, at what cost, and how long one waits."""
    key = X25519PrivateKey.generate()
    spool = SpoolWriter(folder, key.public_key().public_bytes_raw(), worker="bench")
    entry = os.urandom(ENTRY_BYTES)
    await spool.append(entry)
    rates, costs, nets, waits = [], [], [], []
    for _ in range(TURNS):
        begun, cpu = time.perf_counter(), time.process_time()
        await closed_loop(spool, entry, 16_000)
        rates.append(16_000 / (time.perf_counter() - begun))
        costs.append((time.process_time() - cpu) / 16_000 * 1e6)
        spent = []
        for each in (NoSpool(), spool):
            cpu = time.process_time()
            found = await paced(each, entry, PACED_PER_S, 1.0)
            spent.append((time.process_time() - cpu) / len(found) * 1e6)
        nets.append(spent[1] - spent[0])
        waits += found
    alone = []
    for _ in range(200):
        await asyncio.sleep(0.005)
        begun = time.perf_counter()
        await spool.append(entry)
        alone.append((time.perf_counter() - begun) * 1e3)
    await spool.close()
    begun, count = time.perf_counter(), 0
    for path in list_segments(folder):
        count += sum(1 for _ in read_segment(path, key.private_bytes_raw()))
    read_per_s = count / (time.perf_counter() - begun)
    waits.sort()
    name = f"spool: {CLIENTS} clients, {ENTRY_BYTES:,} bytes"
    return [
        row(f"{name}, closed loop: durable appends", statistics.median(rates), "1/s", at_least=20_000),
        row(f"{name}, closed loop: CPU an append", statistics.median(costs), "µs", at_most=10),
        row(f"{name}, {PACED_PER_S:,}/s: CPU an append", statistics.median(nets), "µs"),
        row(f"{name}, {PACED_PER_S:,}/s: wait p50", waits[len(waits) // 2] * 1e3, "ms"),
        row(f"{name}, {PACED_PER_S:,}/s: wait p99", waits[len(waits) * 99 // 100] * 1e3, "ms"),
        row("spool: wait of an append after idleness p50", statistics.median(alone), "ms"),
        row("spool: frames read and opened", read_per_s, "1/s"),
    ]


def measure_sealing() -> list[Row]:
    """AES-256-GCM for one record's content, and for one frame of the spool."""
    content, cipher, identity = os.urandom(CONTENT), AESGCM(new_subject_key()), new_id()
    frame, name = os.urandom(ENTRY_BYTES), identity.encode()
    return [
        row("sealing 2,000 bytes under a subject's key", _us(lambda: seal(cipher, identity, content)), "µs", at_most=30),
        row("sealing a frame of 2,500 bytes", _us(lambda: cipher.encrypt(bytes(12), frame, name)), "µs", at_most=8),
    ]


def measure_proofs(folder: Path) -> list[Row]:
    """Inclusion proofs from tiles on disk, cold: a new reader for each."""
    leaves = [number.to_bytes(32, "big") for number in range(LEAVES)]
    writer = TileWriter(folder)
    begun = time.perf_counter()
    writer.extend(leaves)
    tiles_per_s = LEAVES / (time.perf_counter() - begun)
    root, costs = writer.root(), []
    for number in range(200):
        index = number * 7919 % LEAVES
        begun = time.perf_counter()
        path = inclusion_path(index, LEAVES, TileReader(folder, LEAVES).subtree)
        costs.append((time.perf_counter() - begun) * 1e3)
        if root_from_inclusion(leaf_hash(leaves[index]), index, LEAVES, path) != root:
            raise SystemExit("a proof does not hold")
    return [
        row("ledger: leaves into tiles, one batch", tiles_per_s, "1/s"),
        row(f"ledger: inclusion proof among {LEAVES:,} p50", statistics.median(costs), "ms", at_most=1),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write `bench/out/records.json`; return 1 when a bar is missed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print(f"records on {file_system(folder)}", file=sys.stderr)
        data = DataFolder(folder / "data")
        create_keys(data.keys)
        rows = uvloop.run(measure_spool(folder / "spool"))
        rows += measure_sealing()
        rows += measure_proofs(folder / "ledger")
        rows += measure_recorder_on_postgresql()
        rows += measure_recorder(data, "SQLite")
        rows += measure_checks(data, ORIGIN, entry)
    return 1 if report("records", rows) else 0


def _us(work: Callable[[], object]) -> float:
    """Return the CPU time of one call in microseconds: the quickest of several turns."""
    turns = []
    for _ in range(TURNS):
        begun = time.process_time()
        for _ in range(5_000):
            work()
        turns.append((time.process_time() - begun) / 5_000 * 1e6)
    return min(turns)


if __name__ == "__main__":
    sys.exit(main())
