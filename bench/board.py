"""The board and `guiju check` with ten services and a million records. `python -m bench.board [--records N]`

The records go in by the recorder's own functions; a tenth of each service's are no plain deliveries, and two services have none of theirs among the latest. The page is what
a signed-in person is given, by Django's own client; the command is a process of its own, from its start to its end. Writes `bench/out/board.json`.
"""

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bench.report import OUT, report, row

RECORDS: Final = 1_000_000
SERVICES: Final = 10
BATCH: Final = 1_000
RUNS: Final = 5
_OTHERS: Final = ("gateway.answer.stopped", "gateway.input.refused", "gateway.upstream.failed", "gateway.request.rejected")


def settings_file() -> str:
    """Return settings with ten services on one upstream."""
    parts = ['[[upstream]]\nname = "up"\nbase_url = "http://127.0.0.1:9/v1"\n']
    parts += [
        f'[[service]]\nid = "s{number}"\nname_zh = "服务{number}"\nname_en = "Service {number}"\nupstreams = ["up"]\n\n'
        '[service.label]\ncontent_producer = "001191110102MACQD9K64010000"\n'
        for number in range(SERVICES)
    ]
    return "\n".join(parts)


def furnish(root: Path, count: int) -> None:
    """Make a data folder with keys, the starter library in force, a bundle, and so many records."""
    from guiju.core.keys import create_keys
    from guiju.core.layout import DataFolder

    data = DataFolder(root)
    create_keys(data.keys)
    data.settings.write_text(settings_file())
    for path in (data.bundles, data.spool, data.run, data.ledger):
        path.mkdir(parents=True, exist_ok=True)
    from guiju.web import configure_django

    configure_django(data.root, data.settings)
    from django.core.management import call_command
    from django.db import connection, transaction
    from django.db.backends.signals import connection_created

    from guiju.records.recorder.bulk import give_room

    connection_created.connect(give_room)  # as the recorder does
    connection.close()
    call_command("migrate", verbosity=0)
    from django.contrib.auth import get_user_model

    from guiju.core.clock import now_us
    from guiju.core.ids import new_id
    from guiju.core.master_keys import load_master_keys
    from guiju.obligations import flow
    from guiju.obligations.loading import shipped_catalogue
    from guiju.records.entry import Entry
    from guiju.records.keeping.sweep import keep_rules
    from guiju.records.recorder.ingest import write_entries
    from guiju.screening import flow as screening
    from guiju.screening.libraries.library import starter_library

    get_user_model().objects.create_superuser("owner", password=os.urandom(8).hex())
    keep_rules()
    screening.activate_library(screening.import_library("starter.csv", starter_library().csv, "person:bench").version, "person:bench")
    whole = {fact.id: (fact.choices[0].id,) for fact in shipped_catalogue().facts.values()}
    for number in range(SERVICES):
        flow.answer_profile(f"s{number}", whole, "person:bench")
        flow.determine_scope(f"s{number}", "person:officer")
    masters, chance, content = load_master_keys(data.keys), random.Random(1), os.urandom(200)
    metadata: dict[str, object] = {
        "model": "m",
        "label": {"produce_id": "x", "explicit": "suffix"},
        "bundle": "0" * 16,
        "duration_us": 1_000,
    }
    for batch in range(count // BATCH):
        entries = []
        for number in range(BATCH):
            # Two services lie behind all others: their newest records are far from the head of the table.
            service = chance.randrange(2) if batch < count // BATCH // 20 else chance.randrange(2, SERVICES)
            kind = chance.choice(_OTHERS) if number % 10 == 0 else "gateway.answer.delivered"
            entries.append(Entry(new_id(), now_us(), kind, f"s{service}", "key-1", f"u-{number % 300}", (), metadata, content))
        entries.append(
            Entry(new_id(), now_us(), "gateway.worker.alive", "", "w-0", "", (), {"writer": "w", "beat": batch, "services": {}}, b"")
        )
        with transaction.atomic():
            write_entries(entries, masters)
        if batch % 100 == 99:
            print(f"board: {(batch + 1) * BATCH:,} records", file=sys.stderr)


def measure(root: Path) -> dict[str, list[float]]:
    """Return how long the page and the command took, in seconds, each run."""
    from django.contrib.auth import get_user_model
    from django.test import Client

    client = Client(HTTP_HOST="127.0.0.1")
    client.force_login(get_user_model().objects.get(username="owner"))
    found: dict[str, list[float]] = {"page": [], "duty": [], "check": []}
    for _ in range(RUNS):
        for name, path in (("page", "/console/board/"), ("duty", "/console/board/s0/GAI-12.1/")):
            begun = time.perf_counter()
            answer = client.get(path)
            found[name].append(time.perf_counter() - begun)
            if answer.status_code != 200:
                raise SystemExit(f"{path} answers {answer.status_code}")
    for _ in range(RUNS):
        begun = time.perf_counter()
        done = subprocess.run([sys.executable, "-m", "guiju.cli", "check", "--data", str(root), "--json"], check=False, capture_output=True)
        found["check"].append(time.perf_counter() - begun)
        if done.returncode not in (0, 1) or done.stdout.count(b'"service"') < SERVICES:
            raise SystemExit(done.stderr.decode())
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write the rows; return 1 when a bar is missed."""
    parser = argparse.ArgumentParser(prog="bench.board", description="The board and guiju check over many records.")
    parser.add_argument("--records", type=int, default=RECORDS)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(dir=OUT.parent) as name:
        root = Path(name)
        furnish(root, options.records)
        found = measure(root)
    bars = options.records >= RECORDS
    size = f"{SERVICES} services, {options.records:,} records"
    rows = [
        row(f"{size}: the board, first", found["page"][0], "s", **({"at_most": 1} if bars else {})),
        row(f"{size}: the board, median", statistics.median(found["page"]), "s", **({"at_most": 1} if bars else {})),
        row(f"{size}: one duty, median", statistics.median(found["duty"]), "s"),
        row(f"{size}: guiju check, slowest of {RUNS}", max(found["check"]), "s", **({"at_most": 3} if bars else {})),
    ]
    return 1 if report("board", rows) else 0


if __name__ == "__main__":
    sys.exit(main())
