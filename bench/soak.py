"""What the service survives, at length: `make soak`, or `python -m bench.soak [--kills N] [--outage-s S]`.

More than 500 times a worker, the recorder or PostgreSQL (fsync on) is killed under load; then a PostgreSQL is taken away for a
minute. Progress goes to standard error; the rows go to `bench/out/soak.json`. Ends with status 1 when a promise was not kept.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from bench.report import Row, report, row
from guiju.records.tests.postgresql import running
from tests.disturbances import Kills, Outage, with_progress
from tests.under_load import Found, Seen, Site, under_load


def measure_kills(say: Callable[[str], None], wanted: int) -> list[Row]:
    """Kill at random, then hold the records against what clients saw."""
    kills, begun = Kills(wanted), time.monotonic()
    with tempfile.TemporaryDirectory() as name, running() as postgresql:
        say(f"kills: {wanted} of workers, recorder and PostgreSQL")
        site = Site(Path(name), postgresql)
        seen = asyncio.run(under_load(site, with_progress(kills, say)))
        say("kills: comparing records with what clients saw")
        found = site.judge(seen)
    _tell_faults(found)
    return [
        row("kills under load", kills.killed.total(), "SIGKILLs", at_least=500),
        *[row(f"kills: {victim}", count, "SIGKILLs") for victim, count in sorted(kills.killed.items())],
        row("kills: answers received whole", len(seen.whole), "answers"),
        row("kills: connections broken by them", seen.broken, ""),
        *_judged("kills", seen, found),
        row("kills: took", time.monotonic() - begun, "s"),
    ]


def measure_outage(say: Callable[[str], None], seconds: float) -> list[Row]:
    """Take the database away; compare the answers' times with those before."""
    outage = Outage(seconds, before_s=min(seconds, 20.0))
    with tempfile.TemporaryDirectory() as name, running() as postgresql:
        say(f"outage: PostgreSQL away for {seconds:.0f} s")
        site = Site(Path(name), postgresql)
        seen = asyncio.run(under_load(site, outage))
        found = site.judge(seen)
    _tell_faults(found)
    return [
        row("outage: PostgreSQL away", outage.from_to[1] - outage.from_to[0], "s"),
        row("outage: answers received whole meanwhile", outage.answers_during, "answers"),
        row("outage: answers refused or broken", seen.broken + seen.refused.total(), "answers", at_most=0),
        *[
            row(f"outage: {what} p{share * 100:.0f}", outage.percentile_ms(seen, share, during=during), "ms")
            for share in (0.5, 0.99)
            for during, what in ((False, "answer before it"), (True, "answer during it"))
        ],
        row("outage: backlog at its end", outage.ready_during["spool"]["waiting_bytes"], "bytes"),
        row("outage: drained, load going on, after", outage.drained_after_s, "s"),
        *_judged("outage", seen, found),
    ]


def main() -> int:
    """Do both, print the table, write the rows; return 1 when a promise was not kept."""
    parser = argparse.ArgumentParser(prog="bench.soak", description="What the service survives, at length.")
    parser.add_argument("--kills", type=int, default=520)
    parser.add_argument("--outage-s", type=float, default=60.0)
    options = parser.parse_args()
    console, begun = Console(stderr=True), time.monotonic()

    def say(text: str) -> None:
        console.print(f"[dim]{time.monotonic() - begun:5.0f} s[/] {text}", highlight=False)

    rows = measure_outage(say, options.outage_s) + measure_kills(say, options.kills)
    return 1 if report("soak", rows) else 0


def _judged(name: str, seen: Seen, found: Found) -> list[Row]:
    return [
        row(f"{name}: records", found.records, "records"),
        row(f"{name}: answers lost", len(found.lost) + len(found.not_begun) + len(found.not_ended), "answers", at_most=0),
        row(f"{name}: answers recorded twice", len(found.doubled), "answers", at_most=0),
        row(f"{name}: numbers missing or used twice", len(found.missing_numbers), "records", at_most=0),
        row(f"{name}: out of order, of {len(seen.runs)} connections", len(found.out_of_order), "", at_most=0),
        row(f"{name}: ledger does not verify", 0 if found.verified else 1, "", at_most=0),
    ]


def _tell_faults(found: Found) -> None:
    for name, fault in found.faults().items():
        print(f"{name}: {str(fault)[:2000]}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
