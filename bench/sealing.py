"""What sealing costs: a record's content, a rotation of the master key, one subject searched, exported, erased.

    python -m bench.sealing [RECORDS]

RECORDS (20,000 without) all belong to one subject. SQLite, in a folder of its own; the rows say on which file system.
"""

import os
import statistics
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bench.report import Row, report, row
from bench.rig import file_system
from guiju.core.clock import now_us
from guiju.core.ids import new_id
from guiju.core.keys import create_keys
from guiju.core.layout import DataFolder
from guiju.records.entry import Entry
from guiju.records.keys.sealing import new_subject_key, seal

RECORDS: Final = 20_000
SUBJECTS: Final = 20_000
CONTENT: Final = 2_000
BATCH: Final = 1_000
TURNS: Final = 5
ACTOR: Final = "person:bench"
SUBJECT: Final = "u-bench"


def measure_seal() -> list[Row]:
    """CPU of sealing 2,000 bytes: the quickest of several turns."""
    content, cipher, identity = os.urandom(CONTENT), AESGCM(new_subject_key()), new_id()
    turns = []
    for _ in range(TURNS):
        begun = time.process_time()
        for _ in range(5_000):
            seal(cipher, identity, content)
        turns.append((time.process_time() - begun) / 5_000 * 1e6)
    return [row(f"sealing {CONTENT:,} bytes under a subject's key: CPU", min(turns), "µs", at_most=30)]


def measure_writing(data: DataFolder) -> list[Row]:
    """What sealed content adds to writing a record, over and above the same record without any."""
    from django.db import transaction

    from guiju.core.master_keys import load_master_keys
    from guiju.records.recorder.ingest import write_entries

    masters = load_master_keys(data.keys)
    costs: dict[int, list[float]] = {0: [], CONTENT: []}
    for _ in range(TURNS):
        for size, spent in costs.items():
            entries = [_entry(f"u-{number % 300}", os.urandom(size)) for number in range(BATCH)]
            cpu = time.process_time()
            with transaction.atomic():
                write_entries(entries, masters)
            spent.append((time.process_time() - cpu) / BATCH * 1e6)
    added = statistics.median(costs[CONTENT]) - statistics.median(costs[0])
    return [row(f"recorder: CPU that {CONTENT:,} bytes of content add to a record (sealing, hash, row on SQLite)", added, "µs")]


def measure_rotation(data: DataFolder) -> list[Row]:
    """Subject keys wrapped anew."""
    from guiju.core.master_keys import load_master_keys
    from guiju.records.keys.master_key import rotate_master_key
    from guiju.records.keys.sealing import wrap
    from guiju.records.models import SubjectKey

    masters = load_master_keys(data.keys)
    key = masters.get(masters.current)
    SubjectKey.objects.bulk_create(
        [
            SubjectKey(subject=name, master=masters.current, wrapped=wrap(new_subject_key(), key, name))
            for name in map("r-{}".format, range(SUBJECTS))
        ]
    )
    begun = time.perf_counter()
    rotated = rotate_master_key(ACTOR)
    return [row(f"master key: {rotated.wrapped:,} subject keys wrapped anew", rotated.wrapped / (time.perf_counter() - begun), "1/s")]


def measure_subject(data: DataFolder, records: int) -> list[Row]:
    """One subject's records searched, exported and erased."""
    from django.db import transaction

    from guiju.core.master_keys import load_master_keys
    from guiju.records.access.opening import open_subject
    from guiju.records.recorder.ingest import write_entries
    from guiju.records.subjects import search
    from guiju.records.subjects.erasure import erase_subject
    from guiju.records.subjects.personal_data import begin_export, list_members

    masters = load_master_keys(data.keys)
    content = msgspec.msgpack.encode(
        {"request": b'{"messages": [{"role": "user", "content": "%s"}]}' % (b"q" * 900), "answer": {"text": "a" * 900}}
    )
    for _ in range(records // BATCH):
        with transaction.atomic():
            write_entries([_entry(SUBJECT, content) for _ in range(BATCH)], masters)
    open_subject(SUBJECT, actor=ACTOR, reason="measurement")
    search.begin_search(SUBJECT, "needle", actor=ACTOR)
    begun, after, done, slowest = time.perf_counter(), -1, 0, 0.0
    while True:
        at = time.perf_counter()
        step = search.search(SUBJECT, "needle", actor=ACTOR, after=after, done=done)
        slowest = max(slowest, time.perf_counter() - at)
        if step.after is None:
            break
        after, done = step.after, step.done
    rows = [
        row(f"search: contents of a subject with {records:,} records", records / (time.perf_counter() - begun), "1/s"),
        row("search: slowest step", slowest, "s"),
    ]
    export = begin_export(SUBJECT, actor=ACTOR, reason="measurement", opened=True)
    begun, size = time.perf_counter(), 0
    for _, pieces in list_members(export):
        size += sum(map(len, pieces))
    rows.append(row(f"export: JSON and pages in two languages, {size / 1e6:,.0f} MB", records / (time.perf_counter() - begun), "records/s"))
    tracemalloc.start()
    members = list_members(export)
    sum(map(len, next(members)[1]))  # all of the JSON
    for _ in range(5):  # and some pages: memory is looked at, which slows everything down
        sum(map(len, next(members)[1]))
    rows.append(row("export: most memory held", tracemalloc.get_traced_memory()[1] / 1e6, "MB"))
    tracemalloc.stop()
    begun = time.perf_counter()
    erase_subject(SUBJECT, actor=ACTOR, reason="measurement")
    return [*rows, row(f"erasure of {records:,} records: key, certificate, and all sealed bytes", time.perf_counter() - begun, "s")]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write `bench/out/sealing.json`; return 1 when a bar is missed."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    records = int(given[0]) if given else RECORDS
    with tempfile.TemporaryDirectory() as name:
        data = DataFolder(Path(name) / "data")
        create_keys(data.keys)
        (data.root / "guiju.toml").write_text("[records]\nerasure_people = 1\n")
        print(f"sealing on {file_system(Path(name))}", file=sys.stderr)
        from django.core.management import call_command

        from guiju.web import configure_django

        configure_django(data.root)
        call_command("migrate", verbosity=0)
        rows = [*measure_seal(), *measure_writing(data), *measure_rotation(data), *measure_subject(data, records)]
    return 1 if report("sealing", rows) else 0


def _entry(subject: str, content: bytes) -> Entry:
    metadata: dict[str, object] = {"model": "model", "output": {"outcome": "pass", "hits": []}, "duration_us": 123_456}
    return Entry(new_id(), now_us(), "gateway.answer.delivered", "chat", "key-1", subject, (), metadata, content)


if __name__ == "__main__":
    sys.exit(main())
