"""The gateway against its bars: `python -m bench.gateway [--quick]`.

One worker with everything on (10,000 terms, both directions, labels, durable sealed records) beside the bare pass-through,
in turns: what else the machine does then falls on both. Ratios are made inside a turn; the table shows their median and how far they spread.
"""

import argparse
import contextlib
import os
import signal
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import uvloop
from rich.console import Console

from bench import leak, rig
from bench.corpus import ANSWER
from bench.load import Seen, ask_each, chat, drive
from bench.report import Row, report, row
from guiju.core.layout import DataFolder

CONNECTIONS: Final = 32
PACED_STREAMS: Final = 50
MANY_STREAMS: Final = 1_000
_MANY: Final = "bench,pieces=20,gap_ms=250,first_ms=500"


@dataclass(frozen=True, slots=True)
class Plan:
    """How long each part takes."""

    rounds: int
    measure_s: float
    paced_rounds: int
    paced_s: float
    starts: int


FULL: Final = Plan(rounds=7, measure_s=3.0, paced_rounds=4, paced_s=4.0, starts=5)
QUICK: Final = Plan(rounds=3, measure_s=1.0, paced_rounds=1, paced_s=2.0, starts=3)


@dataclass(slots=True)
class Turns:
    """What one server did in its turns."""

    seen: list[Seen] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    """Processor time for each answer."""
    busy: list[float] = field(default_factory=list)
    """Share of its core that the server used."""

    def rates(self) -> list[float]:
        """Return answers per second, turn by turn."""
        return [each.rate for each in self.seen]

    def latency_ms(self, share: float) -> list[float]:
        """Return, turn by turn, the latency that this share of the answers stayed under."""
        return [percentile(each.latencies_ms, share) for each in self.seen]

    def first_ms(self, share: float) -> list[float]:
        """Return the same for the first text of a stream."""
        return [percentile(each.first_ms, share) for each in self.seen]

    def errors(self) -> int:
        """Return how many requests failed."""
        return sum(each.errors.total() for each in self.seen)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that `share` of the values stay under; not a number when there are none."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else float("nan")


def turn(
    server: rig.Server, turns: Turns, request: bytes, connections: int, *, warm_s: float, measure_s: float, spread_s: float = 0.0
) -> None:
    """Let one server have its turn."""
    cpu_s: list[float] = []
    seen = uvloop.run(
        drive(
            server.port,
            request,
            connections,
            warm_s=warm_s,
            measure_s=measure_s,
            spread_s=spread_s,
            mark=lambda: cpu_s.append(server.cpu_s()),
        )
    )
    used = cpu_s[1] - cpu_s[0]
    turns.seen.append(seen)
    turns.cpu_ms.append(used / seen.answers * 1000 if seen.answers else float("nan"))
    turns.busy.append(used / seen.seconds)


def added(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Return the median of what the turns of the one have more than those of the other."""
    return statistics.median(mine - other for mine, other in zip(ours, theirs, strict=True))


def ratio_rows(name: str, ours: Sequence[float], theirs: Sequence[float], *, at_least: float | None = None) -> list[Row]:
    """Return the median of the turns' ratios and how far they spread."""
    ratios = [mine / other for mine, other in zip(ours, theirs, strict=True)]
    return [
        row(name, statistics.median(ratios), "×", at_least=at_least),
        row(f"{name}, lowest turn", min(ratios), "×"),
        row(f"{name}, highest turn", max(ratios), "×"),
    ]


def measure_full_load(plan: Plan, guiju: rig.Server, bare: rig.Server, kept: list[Seen], *, stream: bool) -> list[Row]:
    """Return throughput, latency and processor time with 32 connections that ask without pause."""
    request = chat("bench", stream=stream)
    ours, theirs = Turns(), Turns()
    for number in range(plan.rounds):
        pair = [(bare, theirs), (guiju, ours)]
        for server, turns in pair if number % 2 else reversed(pair):
            turn(server, turns, request, CONNECTIONS, warm_s=0.5, measure_s=plan.measure_s)
    kept += ours.seen
    what = "stream of 100 pieces at once" if stream else "whole answer"
    rows = ratio_rows(f"{what}: throughput, guiju ÷ bare", ours.rates(), theirs.rates(), at_least=None if stream else 0.7)
    rows += ratio_rows(f"{what}: processor time, bare ÷ guiju", theirs.cpu_ms, ours.cpu_ms)[:1]
    for label, turns in (("guiju", ours), ("bare", theirs)):
        bar = (3.0 if stream else 1.0) if turns is ours else None
        rows += [
            row(f"{what}: {label}, processor time", statistics.median(turns.cpu_ms), "ms/answer", at_most=bar),
            row(f"{what}: {label}, answers", statistics.median(turns.rates()), "1/s"),
            row(f"{what}: {label}, latency p50", statistics.median(turns.latency_ms(0.5)), "ms"),
            row(f"{what}: {label}, latency p99", statistics.median(turns.latency_ms(0.99)), "ms"),
            row(f"{what}: {label}, share of its core used", statistics.median(turns.busy), "cores"),
            row(f"{what}: {label}, errors", turns.errors(), "answers", at_most=0),
        ]
    return rows


def measure_one_at_a_time(plan: Plan, guiju: rig.Server, bare: rig.Server, kept: list[Seen]) -> list[Row]:
    """Return what guiju adds to a whole answer when nobody else asks."""
    ours, theirs = Turns(), Turns()
    for _ in range(plan.paced_rounds):
        turn(bare, theirs, chat("bench", stream=False), 1, warm_s=0.2, measure_s=plan.measure_s / 3)
        turn(guiju, ours, chat("bench", stream=False), 1, warm_s=0.2, measure_s=plan.measure_s / 3)
    kept += ours.seen
    return [
        row("whole answer, one client: added latency p50, against bare", added(ours.latency_ms(0.5), theirs.latency_ms(0.5)), "ms"),
        row("whole answer, one client: added latency p99, against bare", added(ours.latency_ms(0.99), theirs.latency_ms(0.99)), "ms"),
    ]


def measure_paced(plan: Plan, guiju: rig.Server, bare: rig.Server, direct: rig.Server, kept: list[Seen]) -> list[Row]:
    """Return the time to the first text of 50 streams at a time, pieces 20 ms apart, and what a stream costs then.

    A model takes its time for the first piece, and guiju makes the opening record durable meanwhile. The second part has a
    model that takes none.
    """
    rows: list[Row] = []
    for pieces, first_ms, what, bar in ((100, 50, "50 paced streams", 2.0), (25, 0, "50 paced streams, first piece at once", None)):
        ours, theirs, none = Turns(), Turns(), Turns()
        for _ in range(plan.paced_rounds):
            for server, turns in ((direct, none), (bare, theirs), (guiju, ours)):
                request = chat(f"bench,pieces={pieces},gap_ms=20,first_ms={first_ms}", stream=True)
                turn(server, turns, request, PACED_STREAMS, warm_s=0.2, measure_s=plan.paced_s, spread_s=pieces * 0.02)
        kept += ours.seen
        rows += [
            row(f"{what}: added time to first text, p50", added(ours.first_ms(0.5), none.first_ms(0.5)), "ms", at_most=bar),
            row(f"{what}: added time to first text, p99", added(ours.first_ms(0.99), none.first_ms(0.99)), "ms"),
            row(f"{what}: of that more than bare, p50", added(ours.first_ms(0.5), theirs.first_ms(0.5)), "ms"),
            row(f"{what}: of that more than bare, p99", added(ours.first_ms(0.99), theirs.first_ms(0.99)), "ms"),
            row(f"{what}: errors", ours.errors(), "answers", at_most=0),
        ]
        if pieces == 100:
            rows += [
                row(f"{what}: guiju, processor time", statistics.median(ours.cpu_ms), "ms/answer"),
                row(f"{what}: bare, processor time", statistics.median(theirs.cpu_ms), "ms/answer"),
            ]
    return rows


def measure_many_streams(guiju: rig.Server, kept: list[Seen]) -> list[Row]:
    """Return whether 1,000 streams at a time arrive whole on one worker: every character, the label, the end."""
    cpu_s = guiju.cpu_s()
    seen = uvloop.run(ask_each(guiju.port, [chat(_MANY, stream=True)] * MANY_STREAMS, MANY_STREAMS, spread_s=1.0))
    busy = (guiju.cpu_s() - cpu_s) / seen.seconds
    kept.append(seen)
    case = leak.Case("content", "", 0)
    changed = sum(not leak.received(case, body)[0].startswith(ANSWER[:80]) for body in seen.bodies)
    return [
        row("1,000 streams on one worker: at one time", seen.in_flight, "streams", at_least=MANY_STREAMS),
        row("1,000 streams on one worker: errors", seen.errors.total(), "streams", at_most=0),
        row("1,000 streams on one worker: text changed or cut", changed, "streams", at_most=0),
        row("1,000 streams on one worker: share of its core used", busy, "cores"),
        row("1,000 streams on one worker: memory", guiju.memory_mb(), "MB"),
    ]


def measure_leaks(guiju: rig.Server, bare: rig.Server) -> list[Row]:
    """Return what of a term reaches the client, for every way of cutting it; pieces together and one by one.

    The bare pass-through is judged too: it lets everything out, so a judgement that finds nothing there is blind.
    """
    numbered = list(enumerate(leak.CASES))
    rows: list[Row] = []
    found: dict[str, list[leak.Finding]] = {}
    for pace in ("", ",gap_ms=2"):
        seen = uvloop.run(ask_each(guiju.port, [chat(f"bench,case={number}{pace}", stream=True) for number, _ in numbered], 16))
        for (_, case), body in zip(numbered, seen.bodies, strict=True):
            found.setdefault(f"{case.name}, streamed", []).append(leak.judge_stream(case, body))
    seen = uvloop.run(ask_each(guiju.port, [chat(f"bench,case={number}", stream=False) for number, _ in numbered], 16))
    for (_, case), body in zip(numbered, seen.bodies, strict=True):
        found.setdefault(f"{case.name}, whole", []).append(leak.judge_whole(case, body))
    for name, findings in found.items():
        rows.append(row(f"leaks, {name} ({len(findings)} answers)", sum(each.leaked for each in findings), "characters", at_most=0))
    seen = uvloop.run(ask_each(bare.port, [chat(f"bench,case={number}", stream=True) for number, _ in numbered], 16))
    unmoderated = [leak.judge_stream(case, body) for (_, case), body in zip(numbered, seen.bodies, strict=True)]
    everything = [finding for findings in found.values() for finding in findings]
    return [
        *rows,
        row("leaks: share of straying answers that leak through bare", *_caught(unmoderated), at_least=1),
        row("leaks: clean characters that did not arrive", sum(each.missing for each in everything), "characters", at_most=0),
        row("leaks: answers without their end ([DONE], finish reason)", sum(not each.ended for each in everything), "answers", at_most=0),
    ]


def _caught(unmoderated: Sequence[leak.Finding]) -> tuple[float, str]:
    strays = [finding for finding, case in zip(unmoderated, leak.CASES, strict=True) if not case.near_miss]
    return sum(finding.leaked > 0 for finding in strays) / len(strays), "×"


def measure_start(plan: Plan, upstream: rig.Server) -> list[Row]:
    """Return how long a worker takes to its first answer, and how much memory it has then."""
    seconds, memory = [], []
    with rig.data_folder(upstream.port) as folder:
        for _ in range(plan.starts):
            with rig.worker(folder) as server:
                seconds.append(server.started_s)
                memory.append(server.memory_mb())
    return [
        row("worker: start to first 200 on /healthz", statistics.median(seconds), "s", at_most=1.5),
        row("worker: memory when idle", max(memory), "MB", at_most=120),
    ]


def measure_kill(upstream: rig.Server) -> list[Row]:
    """Return how many answers that clients hold whole have no record after SIGKILL under full load."""
    with rig.data_folder(upstream.port) as folder, rig.worker(folder) as server:

        def kill() -> None:
            os.kill(server.process.pid, signal.SIGKILL)

        marks = iter((lambda: None, kill))

        def mark() -> None:
            next(marks)()

        seen = uvloop.run(drive(server.port, chat("bench", stream=False), CONNECTIONS, warm_s=0.2, measure_s=1.0, mark=mark))
        recorded = rig.answers_recorded(folder)
    return [
        row("kill -9 under load: answers received", len(seen.ids), "answers", at_least=1),
        row("kill -9 under load: answers received without a record", sum(recorded[each] != 1 for each in seen.ids), "answers", at_most=0),
    ]


def count_records(folder: DataFolder, kept: Sequence[Seen]) -> list[Row]:
    """Return whether each answer of the measurements has its one record, after the worker has ended."""
    recorded = rig.answers_recorded(folder)
    ids = [each for seen in kept for each in seen.ids]
    return [
        row("records: answers received", len(ids), "answers", at_least=1),
        row("records: answers without exactly one record", sum(recorded[each] != 1 for each in ids), "answers", at_most=0),
    ]


def measure(plan: Plan, say: Callable[[str], None]) -> list[Row]:
    """Run everything and return the rows."""
    rows: list[Row] = []
    kept: list[Seen] = []
    with rig.upstream() as upstream:
        say("start and memory of a worker")
        rows += measure_start(plan, upstream)
        with rig.data_folder(upstream.port) as folder:
            with rig.bare(upstream.port) as bare, rig.worker(folder) as guiju:
                say(f"records on {rig.file_system(folder.root)}; full load, whole answers")
                rows += measure_full_load(plan, guiju, bare, kept, stream=False)
                say("full load, streams")
                rows += measure_full_load(plan, guiju, bare, kept, stream=True)
                rows.append(row("worker: memory after full load", guiju.memory_mb(), "MB"))
                say("one client at a time")
                rows += measure_one_at_a_time(plan, guiju, bare, kept)
                say("50 paced streams")
                rows += measure_paced(plan, guiju, bare, upstream, kept)
                say("1,000 streams")
                rows += measure_many_streams(guiju, kept)
                say("leaks")
                rows += measure_leaks(guiju, bare)
            say("records of all that")
            rows += count_records(folder, kept)
        say("kill -9")
        rows += measure_kill(upstream)
    return rows


@contextlib.contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """Yield what tells people, on standard error, what is being measured now."""
    console = Console(stderr=True)
    begun = time.monotonic()
    yield lambda text: console.print(f"[dim]{time.monotonic() - begun:5.0f} s[/] {text}", highlight=False)


def run(*, quick: bool) -> list[Row]:
    """Measure, print, write `out/gateway.json`, and return the rows that miss their bar."""
    rig.prepare(90 if quick else 480)
    with progress() as say:
        if rig.GATEWAY_CORE == rig.OTHER_CORE:
            say("one core only: gateway, model server and clients share it, and ratios look better than they are")
        else:
            say(f"gateway on core {rig.GATEWAY_CORE[0]}, model server and clients on core {rig.OTHER_CORE[0]}")
        return report("gateway", measure(QUICK if quick else FULL, say))


def main() -> int:
    """Run from the command line; 1 when a bar is missed."""
    parser = argparse.ArgumentParser(prog="bench.gateway")
    parser.add_argument("--quick", action="store_true", help="shorter turns, in about a minute")
    missed = run(quick=parser.parse_args().quick)
    for each in missed:
        print(f"missed: {each.name} is {each.value:g} {each.unit}, bar {each.bar}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
