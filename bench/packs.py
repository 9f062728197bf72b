"""What checking costs: a pack of 200,000 records, by `guiju verify` and by the file that runs alone; the whole ledger.

Part of `python -m bench records`.
"""

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from bench.recorder import fill
from bench.report import Row, row
from guiju.core.keys import load_site_public_key
from guiju.core.layout import DataFolder
from guiju.records.entry import Entry
from guiju.records.offline.packcheck import check_pack
from guiju.records.offline.single import single_file

RECORDS: Final = 200_000
TURNS: Final = 3


def measure_checks(data: DataFolder, origin: str, make_entry: Callable[[int], Entry]) -> list[Row]:
    """Fill a site up to 200,000 records, pack them all, and check pack and ledger; the best of three turns counts."""
    from guiju.records.models import Record
    from guiju.records.packs.pack import Selection, write_pack
    from guiju.records.recorder.recording import Recorder
    from guiju.records.verify import verify_ledger

    recorder = Recorder(data, origin)
    while (missing := RECORDS - Record.objects.count()) > 0:
        asyncio.run(fill(data, min(missing, 20_000), make_entry))
        _drain(recorder.step)
    out, alone = data.root / "pack.zip", data.root / "verify.py"
    begun = time.perf_counter()
    made = write_pack(out, Selection(), actor="person:bench")
    written = time.perf_counter() - begun
    alone.write_text(single_file())
    key = load_site_public_key(data.keys)
    command = [sys.executable, "-I", "-S", str(alone), str(out), "--public-key", str(data.keys / "site.pub")]
    pack_s, pack_fails = _best(lambda: not check_pack(out, trusted=key.public_bytes_raw()).ok)
    alone_s, alone_fails = _best(lambda: subprocess.run(command, check=False, capture_output=True).returncode != 0)
    site_s, site_fails = _best(lambda: not verify_ledger(data, origin, key).ok)
    return [
        row(f"pack: {made.records:,} records written and checked", made.records / written, "records/s"),
        row("pack: size", _size(out) / made.records, "bytes/record"),
        row("verify: pack", made.records / pack_s, "records/s", at_least=100_000),
        row("verify: pack, by the single file with plain Python", made.records / alone_s, "records/s"),
        row("verify: whole ledger", made.records / site_s, "records/s", at_least=100_000),
        row("verify: checks that fail", pack_fails + alone_fails + site_fails, "", at_most=0),
    ]


def _drain(step: Callable[[], int]) -> None:
    """Record all that has come; the recorder of the measurement before may still hold the lease for some seconds."""
    from guiju.records.recorder.recording import LeaseLost

    while True:
        try:
            if not step():
                return
        except LeaseLost:
            time.sleep(0.5)


def _best(check: Callable[[], bool]) -> tuple[float, int]:
    """Return the seconds of the quickest of several turns, and how many of them failed."""
    spent, failed = [], 0
    for _ in range(TURNS):
        begun = time.perf_counter()
        failed += check()
        spent.append(time.perf_counter() - begun)
    return min(spent), failed


def _size(path: Path) -> int:
    return path.stat().st_size
