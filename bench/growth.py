"""Growth: what appending and proving cost while the ledger and the tables grow. `python -m bench.growth [--ten-million]`

At each size the ledger is built in a folder of its own (leaves straight into tiles, not synced: that is not what is measured), taken
up again as a recorder does, and then extended by batches as a recorder's, each durable and under a signed checkpoint. Proofs are made by
a new reader each, as a request does, and checked. The tables of SQLite grow in one database, through the recorder's own functions.
Writes `bench/out/growth.json` and the curve `docs/pictures/growth.svg`.
"""

import argparse
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final

from bench.report import Row, report, row
from guiju.core.keys import create_keys, load_signing_keys
from guiju.core.layout import DataFolder
from guiju.records.log.merkle import inclusion_path, leaf_hash, root_from_inclusion, root_of
from guiju.records.log.note import Checkpoint, sign_checkpoint
from guiju.records.log.tiles import WIDTH, TileReader, TileWriter, tile_path, write_checkpoint

SIZES: Final = (10_000, 100_000, 1_000_000)
LARGEST: Final = 10_000_000
TABLE_SIZES: Final = (10_000, 100_000, 1_000_000)
BATCH: Final = 1_000
BATCHES: Final = 20
PROOFS: Final = 400
PICTURE: Final = Path(__file__).parent.parent / "docs" / "pictures" / "growth.svg"
_ORIGIN: Final = "guiju.local/ledger"


def leaf(number: int) -> bytes:
    """Return the data of a leaf: as long as a record's."""
    return sha256(number.to_bytes(8, "big")).digest()


def build(folder: Path, size: int) -> None:
    """Write the tiles of a log of so many leaves, level by level, without waiting for the disk."""
    row_hashes: list[bytes] = []
    for number in range((size + WIDTH - 1) // WIDTH):
        data = [leaf(index) for index in range(number * WIDTH, min((number + 1) * WIDTH, size))]
        _put(folder / tile_path("entries", number, len(data)), b"".join(b"\0\x20" + each for each in data))
        row_hashes += [leaf_hash(each) for each in data]
    level = 0
    while row_hashes:
        for number in range((len(row_hashes) + WIDTH - 1) // WIDTH):
            part = row_hashes[number * WIDTH : (number + 1) * WIDTH]
            _put(folder / tile_path(level, number, len(part)), b"".join(part))
        row_hashes = [root_of(row_hashes[at : at + WIDTH]) for at in range(0, len(row_hashes) - WIDTH + 1, WIDTH)]
        level += 1


def measure_ledger(folder: Path, size: int) -> dict[str, float]:
    """Return what one append and one proof cost at this size, in microseconds and milliseconds."""
    data = DataFolder(folder)
    create_keys(data.keys)
    build(data.ledger, size)
    begun = time.perf_counter()
    writer = TileWriter.resume(data.ledger, size)
    resumed_ms = (time.perf_counter() - begun) * 1e3
    keys = load_signing_keys(data.keys)
    costs, at = [], size
    for _ in range(BATCHES):
        leaves = [leaf(number) for number in range(at, at + BATCH)]
        begun = time.perf_counter()
        writer.extend(leaves)
        write_checkpoint(data.ledger, sign_checkpoint(Checkpoint(_ORIGIN, writer.size, writer.root()), *keys))
        writer.prune()
        costs.append((time.perf_counter() - begun) / BATCH * 1e6)
        at += BATCH
    root, proofs = writer.root(), []
    chance = random.Random(1)
    for _ in range(PROOFS):
        index = chance.randrange(at)
        begun = time.perf_counter()
        path = inclusion_path(index, at, TileReader(data.ledger, at).subtree)
        proofs.append((time.perf_counter() - begun) * 1e3)
        if root_from_inclusion(leaf_hash(leaf(index)), index, at, path) != root:
            raise SystemExit("a proof does not hold")
    return {
        "append_us": statistics.median(costs),
        "proof_p50_ms": statistics.median(proofs),
        "proof_p99_ms": statistics.quantiles(proofs, n=100)[98],
        "resume_ms": resumed_ms,
    }


def measure_tables(folder: Path) -> Iterator[tuple[int, dict[str, float]]]:
    """Yield, for each size of one growing SQLite database, what writing a record and finding one cost."""
    data = DataFolder(folder)
    create_keys(data.keys)
    from guiju.web import configure_django

    configure_django(data.root)
    from django.core.management import call_command
    from django.db import connection, transaction
    from django.db.backends.signals import connection_created

    from guiju.records.recorder.bulk import give_room

    connection_created.connect(give_room)  # as the recorder does
    connection.close()
    call_command("migrate", verbosity=0)
    from guiju.core.clock import now_us
    from guiju.core.ids import new_id
    from guiju.core.master_keys import load_master_keys
    from guiju.records.entry import Entry
    from guiju.records.models import Record
    from guiju.records.recorder.ingest import write_entries

    masters = load_master_keys(data.keys)
    content = os.urandom(200)
    ids: list[str] = []

    def write(count: int) -> list[float]:
        costs = []
        for _ in range(count // BATCH):
            entries = [
                Entry(new_id(), now_us(), "gateway.answer.delivered", "chat", "key-1", f"u-{number % 300}", (), {"model": "m"}, content)
                for number in range(BATCH)
            ]
            ids.append(entries[0].id)
            begun = time.perf_counter()
            with transaction.atomic():
                write_entries(entries, masters)
            costs.append((time.perf_counter() - begun) / BATCH * 1e6)
        return costs

    kept = 0
    for size in TABLE_SIZES:
        write(size - kept)
        costs = write(BATCHES * BATCH)
        kept = size + BATCHES * BATCH
        finding = []
        for id in random.Random(2).choices(ids, k=PROOFS):
            begun = time.perf_counter()
            if Record.objects.filter(id=id).first() is None:
                raise SystemExit("a record is not found")
            finding.append((time.perf_counter() - begun) * 1e3)
        yield size, {"append_us": statistics.median(costs), "find_ms": statistics.median(finding)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write the rows and the curve; return 1 when a bar is missed."""
    parser = argparse.ArgumentParser(prog="bench.growth", description="What appending and proving cost as the ledger grows.")
    parser.add_argument("--ten-million", action="store_true", help="the ledger at ten million leaves too: minutes, and 700 MB of disk")
    options = parser.parse_args(arguments)
    sizes = (*SIZES, LARGEST) if options.ten_million else SIZES
    rows: list[Row] = []
    # The tables first: what the ledger's many small files leave the disk to do would be charged to them.
    tables: dict[int, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(dir=_disk()) as name:
        for size, found in measure_tables(Path(name)):
            print(f"growth: tables of {size:,}", file=sys.stderr)
            tables[size] = found
            rows += [
                row(f"tables of {size:,}: append, SQLite", found["append_us"], "µs"),
                row(f"tables of {size:,}: a record by its id", found["find_ms"], "ms"),
            ]
    ledgers: dict[int, dict[str, float]] = {}
    for size in sizes:
        print(f"growth: ledger of {size:,}", file=sys.stderr)
        with tempfile.TemporaryDirectory(dir=_disk()) as name:
            found = ledgers[size] = measure_ledger(Path(name), size)
        rows += [
            row(f"ledger of {size:,}: append, durable and signed", found["append_us"], "µs"),
            row(f"ledger of {size:,}: inclusion proof p50", found["proof_p50_ms"], "ms", at_most=1),
            row(f"ledger of {size:,}: inclusion proof p99", found["proof_p99_ms"], "ms"),
            row(f"ledger of {size:,}: taken up by a new recorder", found["resume_ms"], "ms"),
        ]
    least, most = sizes[0], sizes[-1]
    rows.append(
        row(f"ledger: append at {most:,} ÷ at {least:,}", ledgers[most]["append_us"] / ledgers[least]["append_us"], "", at_most=1.5)
    )
    grown = tables[TABLE_SIZES[-1]]["append_us"] / tables[TABLE_SIZES[0]]["append_us"]
    rows.append(row(f"tables: append at {TABLE_SIZES[-1]:,} ÷ at {TABLE_SIZES[0]:,}", grown, "", at_most=1.5))
    PICTURE.write_text(draw(ledgers, tables))
    return 1 if report("growth", rows) else 0


def draw(ledgers: dict[int, dict[str, float]], tables: dict[int, dict[str, float]]) -> str:
    """Return the curves as SVG: sizes on a logarithmic axis, microseconds on a linear one that begins at zero."""
    curves = [
        ("一条证明 a proof, p50", "#7a3b9d", {size: found["proof_p50_ms"] * 1e3 for size, found in ledgers.items()}),
        ("入账 append to the ledger", "#0b6e4f", {size: found["append_us"] for size, found in ledgers.items()}),
        ("入库 append to SQLite", "#b3541e", {size: found["append_us"] for size, found in tables.items()}),
    ]
    top = max(value for *_, points in curves for value in points.values()) * 1.15
    width, height, left, floor = 780, 330, 64, 272

    def place(size: int, value: float) -> tuple[float, float]:
        share = (len(str(size)) - 5) / 3
        return round(left + 20 + share * (width - left - 80), 1), round(floor - value / top * (floor - 56), 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="13" role="img">',
        "<title>Cost of one append and one proof by size</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    for step in range(5):
        y = round(floor - step / 4 * (floor - 56), 1)
        parts.append(f'<line x1="{left}" x2="{width - 20}" y1="{y}" y2="{y}" stroke="#dddddd"/>')
        parts.append(f'<text x="{left - 8}" y="{y + 4}" text-anchor="end" fill="#555555">{top * step / 4:.0f} µs</text>')
    for size in sorted({*ledgers, *tables}):
        x, _ = place(size, 0)
        parts.append(f'<text x="{x}" y="{floor + 32}" text-anchor="middle" fill="#555555">{size:,}</text>')
    for number, (name, colour, points) in enumerate(curves):
        line = " ".join(f"{x},{y}" for x, y in (place(size, value) for size, value in sorted(points.items())))
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for size, value in sorted(points.items()):
            x, y = place(size, value)
            parts.append(f'<circle cx="{x}" cy="{y}" r="4" fill="{colour}"/>')
            below = number == 1  # the lowest curve: its figures would lie on the one above it
            parts.append(f'<text x="{x}" y="{y + (17 if below else -9)}" text-anchor="middle" fill="{colour}">{value:.0f}</text>')
        x = left + number * 225
        parts.append(f'<circle cx="{x + 6}" cy="24" r="5" fill="{colour}"/><text x="{x + 16}" y="29" fill="#222222">{name}</text>')
    parts.append(f'<text x="{(left + width) / 2}" y="{height - 6}" text-anchor="middle" fill="#555555">记录数 records</text></svg>')
    return "\n".join(parts) + "\n"


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _disk() -> Path:
    """Return a folder on disk: in memory a durable write costs nothing."""
    found = Path(__file__).parent / "out"
    found.mkdir(exist_ok=True)
    return found


if __name__ == "__main__":
    sys.exit(main())
