"""The gateway against its bars.

One worker with everything on (10,000 terms, both directions, labels, durable sealed records) beside the bare pass-through,
in turns: what else the machine does then falls on both. Ratios are made inside a turn; the table shows their median and how far they spread.
"""

import os
import signal
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import uvloop

from bench import leak, rig
from bench.corpus import ANSWER
from bench.load import Seen, ask_each, chat, drive
from bench.report import Row, report, row
from bench.turns import Load, Round, added, errors, median, noise_rows, ratio_rows, take_turns
from guiju.core.layout import DataFolder

BARE: Final = ("bare on aiohttp", "bare")
"""The bare pass-through as one would write it without guiju, and on guiju's own client: the bar is put to both."""
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
    paced_pieces: int
    starts: int
    repeats: float
    """How many times as many rounds are made where they were not quiet."""


FULL: Final = Plan(rounds=9, measure_s=1.5, paced_rounds=4, paced_s=3.0, paced_pieces=100, starts=5, repeats=1.5)
QUICK: Final = Plan(rounds=5, measure_s=0.6, paced_rounds=1, paced_s=1.5, paced_pieces=50, starts=3, repeats=1.0)


@dataclass(frozen=True, slots=True)
class Setup:
    """What runs while the worker is measured; `kept` is what clients of the worker saw, for the count of records."""

    plan: Plan
    guiju: rig.Server
    bare: rig.Server
    bare_aiohttp: rig.Server
    upstream: rig.Server
    kept: list[Seen]

    def take_turns(self, load: Load, rounds: int, *names: str) -> list[Round]:
        """Return rounds of these servers, and remember what clients saw of guiju."""
        known = {"guiju": self.guiju, "bare": self.bare, "bare on aiohttp": self.bare_aiohttp, "none": self.upstream}
        taken = take_turns({name: known[name] for name in names}, self.upstream, load, rounds, int(rounds * self.plan.repeats))
        self.kept.extend(made["guiju"].seen for made in taken)
        return taken


def measure_full_load(setup: Setup, *, stream: bool) -> list[Row]:
    """Return throughput, latency and processor time with 32 connections that ask without pause."""
    load = Load(chat("bench", stream=stream), CONNECTIONS, setup.plan.measure_s)
    rounds = setup.take_turns(load, setup.plan.rounds, "guiju", *BARE)
    what = "stream of 100 pieces at once" if stream else "whole answer"
    rows = []
    for name in BARE:
        rows += ratio_rows(
            f"{what}: throughput, guiju ÷ {name}", rounds, "guiju", name, lambda turn: turn.rate, at_least=None if stream else 0.7
        )
        rows += ratio_rows(f"{what}: processor time, {name} ÷ guiju", rounds, name, "guiju", lambda turn: turn.cpu_ms)[:1]
    rows += noise_rows(what, rounds)
    for name in ("guiju", *BARE):
        bar = (3.0 if stream else 1.0) if name == "guiju" else None
        rows += [
            row(f"{what}: {name}, processor time", median(rounds, name, lambda turn: turn.cpu_ms), "ms/answer", at_most=bar),
            row(f"{what}: {name}, answers", median(rounds, name, lambda turn: turn.rate), "1/s"),
            row(f"{what}: {name}, latency p50", median(rounds, name, lambda turn: turn.p50_ms), "ms"),
            row(f"{what}: {name}, latency p99", median(rounds, name, lambda turn: turn.p99_ms), "ms"),
            row(f"{what}: {name}, share of its core used", median(rounds, name, lambda turn: turn.busy), "cores"),
            row(f"{what}: {name}, errors", errors(rounds, name), "answers", at_most=0),
        ]
    return rows


def measure_one_at_a_time(setup: Setup) -> list[Row]:
    """Return what guiju adds to a whole answer when nobody else asks."""
    load = Load(chat("bench", stream=False), 1, setup.plan.measure_s / 2, warm_s=0.1)
    rounds = setup.take_turns(load, setup.plan.rounds // 2, "guiju", "bare")
    return [
        row("whole answer, one client: latency more than bare, p50", added(rounds, "guiju", "bare", lambda turn: turn.p50_ms), "ms"),
        row("whole answer, one client: latency more than bare, p99", added(rounds, "guiju", "bare", lambda turn: turn.p99_ms), "ms"),
    ]


def measure_paced(setup: Setup) -> list[Row]:
    """Return the time to the first text of 50 streams at a time, pieces 20 ms apart, and what a stream costs then.

    A model takes its time for the first piece, and guiju makes the opening record durable meanwhile. The second part has a
    model that takes none.
    """
    rows: list[Row] = []
    for pieces, first_ms, what, bar in (
        (setup.plan.paced_pieces, 50, "50 paced streams", 2.0),
        (25, 0, "50 paced streams, first piece at once", None),
    ):
        request = chat(f"bench,pieces={pieces},gap_ms=20,first_ms={first_ms}", stream=True)
        load = Load(request, PACED_STREAMS, setup.plan.paced_s, spread_s=pieces * 0.02)
        rounds = setup.take_turns(load, setup.plan.paced_rounds, "none", "bare", "guiju")
        rows += [
            row(f"{what}: time to first text more than the model's, p50", _first(rounds, "none", 50), "ms", at_most=bar),
            row(f"{what}: time to first text more than the model's, p99", _first(rounds, "none", 99), "ms"),
            row(f"{what}: time to first text more than bare's, p50", _first(rounds, "bare", 50), "ms"),
            row(f"{what}: time to first text more than bare's, p99", _first(rounds, "bare", 99), "ms"),
            row(f"{what}: errors", errors(rounds, "guiju"), "answers", at_most=0),
            *noise_rows(what, rounds),
        ]
        if bar is not None:
            rows += [
                row(f"{what}: {name}, processor time", median(rounds, name, lambda turn: turn.cpu_ms), f"ms/{pieces} pieces")
                for name in ("guiju", "bare")
            ]
    return rows


def _first(rounds: Sequence[Round], over: str, percent: int) -> float:
    return added(rounds, "guiju", over, lambda turn: turn.first_p50_ms if percent == 50 else turn.first_p99_ms)


def measure_many_streams(setup: Setup) -> list[Row]:
    """Return whether 1,000 streams at a time arrive whole on one worker: every character, in order, and the end."""
    guiju = setup.guiju
    cpu_s = guiju.cpu_s()
    seen = uvloop.run(ask_each(guiju.port, [chat(_MANY, stream=True)] * MANY_STREAMS, MANY_STREAMS, spread_s=1.0))
    busy = (guiju.cpu_s() - cpu_s) / seen.seconds
    setup.kept.append(seen)
    case = leak.Case("content", "", 0)
    changed = sum(not leak.received(case, body)[0].startswith(ANSWER[:80]) for body in seen.bodies)
    return [
        row("1,000 streams on one worker: at one time", seen.in_flight, "streams", at_least=MANY_STREAMS),
        row("1,000 streams on one worker: errors", seen.errors.total(), "streams", at_most=0),
        row("1,000 streams on one worker: text changed or cut", changed, "streams", at_most=0),
        row("1,000 streams on one worker: share of its core used", busy, "cores"),
        row("1,000 streams on one worker: memory", guiju.memory_mb(), "MB"),
    ]


def measure_leaks(setup: Setup) -> list[Row]:
    """Return what of a term reaches the client, for every way of cutting it; pieces together and one by one.

    The bare pass-through is judged too: it lets everything out, so a judgement that finds nothing there is blind.
    """
    guiju, bare = setup.guiju, setup.bare
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
            with rig.bare(upstream.port) as bare, rig.bare(upstream.port, "aiohttp") as aiohttp, rig.worker(folder) as guiju:
                setup = Setup(plan, guiju, bare, aiohttp, upstream, kept)
                say(f"records on {rig.file_system(folder.root)}; full load, whole answers")
                rows += measure_full_load(setup, stream=False)
                say("full load, streams")
                rows += measure_full_load(setup, stream=True)
                rows.append(row("worker: memory after full load", guiju.memory_mb(), "MB"))
                say("one client at a time")
                rows += measure_one_at_a_time(setup)
                say("50 paced streams")
                rows += measure_paced(setup)
                say("1,000 streams")
                rows += measure_many_streams(setup)
                say("leaks")
                rows += measure_leaks(setup)
            say("records of all that")
            rows += count_records(folder, kept)
        say("kill -9")
        rows += measure_kill(upstream)
    return rows


def run(say: Callable[[str], None], *, quick: bool) -> list[Row]:
    """Measure, print, write `out/gateway.json`, and return the rows that miss their bar."""
    if rig.GATEWAY_CORE == rig.OTHER_CORE:
        say("one core only: gateway, model server and clients share it, and ratios look better than they are")
    else:
        say(f"gateway on core {rig.GATEWAY_CORE[0]}, model server and clients on core {rig.OTHER_CORE[0]}")
    return report("gateway", measure(QUICK if quick else FULL, say))
