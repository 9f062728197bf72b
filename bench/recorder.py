"""The recorder: from spool frames to rows, tiles and a signed checkpoint, durably committed, in one process.

    python -m bench.recorder DATA

is for a process of its own, on the database that GUIJU_SETTINGS names: its rows go to standard output as JSON.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from bench.report import Row, row
from guiju.core.clock import now_us
from guiju.core.ids import new_id
from guiju.core.keys import create_keys, load_recorder_public_key, load_site_public_key
from guiju.core.layout import DataFolder
from guiju.records.entry import Entry, encode_entry
from guiju.records.spool.writer import SpoolWriter

RECORDS: Final = 40_000
CONTENT: Final = 2_000
ORIGIN: Final = "guiju.local/ledger"  # that of the default settings, which packs are made under
_AT_ONCE: Final = 1_000
_BARS: Final = {"SQLite": 20_000, "PostgreSQL": 10_000}


def measure_recorder(data: DataFolder, database: str) -> list[Row]:
    """The whole way from spool to signed checkpoint, then the check of it all. Makes Django ready in this process."""
    from django.core.management import call_command

    from guiju.web import configure_django

    configure_django(data.root)
    call_command("migrate", verbosity=0)
    from guiju.records.models import Record
    from guiju.records.recorder.process import spare_the_collector
    from guiju.records.recorder.recording import Recorder
    from guiju.records.verify import verify_ledger

    asyncio.run(fill(data, RECORDS))
    recorder = Recorder(data, ORIGIN)
    spare_the_collector()  # as the recorder's process does
    begun, cpu = time.perf_counter(), time.process_time()
    while recorder.step():
        pass
    spent, cpu = time.perf_counter() - begun, time.process_time() - cpu
    whole = verify_ledger(data, ORIGIN, load_site_public_key(data.keys)).ok
    count = Record.objects.count()
    return [
        row(f"recorder, {database}: entries without a record", RECORDS - count, "records", at_most=0),
        row(f"recorder, {database}: spool to rows and signed checkpoint", RECORDS / spent, "records/s", at_least=_BARS[database]),
        row(f"recorder, {database}: CPU a record", cpu / RECORDS * 1e6, "µs"),
        row(f"recorder, {database}: steps of verify that fail", 0 if whole else 1, "", at_most=0),
    ]


def measure_recorder_on_postgresql() -> list[Row]:
    """The same on a PostgreSQL of its own, durable as it comes; in a process of its own, because Django knows one database."""
    from guiju.records.tests.postgresql import running

    with tempfile.TemporaryDirectory() as name, running() as postgresql:
        folder = Path(name)
        postgresql.create_database("guiju")
        create_keys(DataFolder(folder / "data").keys)
        settings = folder / "guiju.toml"
        settings.write_text('[database]\nurl = "postgresql://postgres@/guiju"\n')
        environment = os.environ | {"GUIJU_SETTINGS": str(settings), "PGHOST": postgresql.host}
        command = [sys.executable, "-m", "bench.recorder", str(folder / "data")]
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, cwd=Path(__file__).parent.parent)
        return msgspec.json.decode(done.stdout, type=list[Row])


def entry(number: int) -> Entry:
    """Return an entry as a gateway writes them: three hundred people, 2 kB of content."""
    metadata: dict[str, object] = {
        "bundle": "0123456789abcdef",
        "library": "0123456789abcdef",
        "model": "model",
        "duration_us": 123_456,
        "input": {"outcome": "pass", "bytes": 900},
        "output": {"outcome": "pass", "released_characters": 400, "hits": []},
        "label": {"produce_id": "01M853W2H31Q8MJM2MAD8F0FDM", "explicit": "suffix"},
        "usage": {"prompt_tokens": 100, "completion_tokens": 300},
    }
    return Entry(new_id(), now_us(), "gateway.answer.delivered", "chat", "key-1", f"u-{number % 300}", (), metadata, os.urandom(CONTENT))


async def fill(data: DataFolder, count: int, make_entry: Callable[[int], Entry] = entry) -> None:
    """Put so many entries into the spool, a thousand at a time."""
    spool = SpoolWriter(data.spool, load_recorder_public_key(data.keys).public_bytes_raw(), worker="bench")
    for start in range(0, count, _AT_ONCE):
        await asyncio.gather(*[spool.append(encode_entry(make_entry(number))) for number in range(min(_AT_ONCE, count - start))])
    await spool.close()


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(measure_recorder(DataFolder(Path(sys.argv[1])), "PostgreSQL")))
