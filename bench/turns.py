"""Turns: one server after the other under the same load, again and again, so that what else happens falls on all.

A turn is *quiet* when other programs used little of the two cores meanwhile. Turns that were not are repeated while there is
time; the quietest are taken, and the table says how many were quiet.
"""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import uvloop

from bench import rig
from bench.load import Seen, drive
from bench.report import Row, row

QUIET_CORES: Final = 0.15


@dataclass(frozen=True, slots=True)
class Load:
    """What the clients do in a turn."""

    request: bytes
    connections: int
    measure_s: float
    warm_s: float = 0.3
    spread_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Turn:
    """What a server did in one turn."""

    seen: Seen
    cpu_ms: float
    """Processor time for each answer."""
    busy: float
    """Cores that the server used."""
    others: float
    """Cores that programs outside the measurement used, of the two."""

    @property
    def rate(self) -> float:
        """Answers per second."""
        return self.seen.rate

    @property
    def p50_ms(self) -> float:
        """Half of the answers took less."""
        return percentile(self.seen.latencies_ms, 0.5)

    @property
    def p99_ms(self) -> float:
        """All but one in a hundred took less."""
        return percentile(self.seen.latencies_ms, 0.99)

    @property
    def first_p50_ms(self) -> float:
        """Half of the streams had their first text earlier."""
        return percentile(self.seen.first_ms, 0.5)

    @property
    def first_p99_ms(self) -> float:
        """All but one in a hundred had."""
        return percentile(self.seen.first_ms, 0.99)


Round = Mapping[str, Turn]
Figure = Callable[[Turn], float]


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that `share` of the values stay under; not a number when there are none."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else float("nan")


def take_turn(server: rig.Server, upstream: rig.Server, load: Load) -> Turn:
    """Put one server under load, once."""
    marks: list[tuple[float, float]] = []

    def mark() -> None:
        server_s = server.cpu_s()
        upstream_s = upstream.cpu_s() if upstream is not server else 0.0
        marks.append((server_s, rig.machine_s() - server_s - upstream_s - time.process_time()))

    seen = uvloop.run(
        drive(server.port, load.request, load.connections, warm_s=load.warm_s, measure_s=load.measure_s, spread_s=load.spread_s, mark=mark)
    )
    used, others = (after - before for before, after in zip(*marks, strict=True))
    return Turn(seen, used / seen.answers * 1000 if seen.answers else float("nan"), used / seen.seconds, others / seen.seconds)


def take_turns(servers: Mapping[str, rig.Server], upstream: rig.Server, load: Load, rounds: int, at_most: int) -> list[Round]:
    """Return `rounds` rounds in which each server had its turn; up to `at_most` are made, and the quietest taken."""
    made: list[Round] = []
    names = list(servers)
    while len(made) < at_most and sum(is_quiet(each) for each in made) < rounds:
        names.append(names.pop(0))
        made.append({name: take_turn(servers[name], upstream, load) for name in names})
    return sorted(made, key=_noise)[:rounds]


def is_quiet(made: Round) -> bool:
    """Tell whether other programs left the machine alone."""
    return _noise(made) < QUIET_CORES


def _noise(made: Round) -> float:
    return max(turn.others for turn in made.values())


def median(rounds: Sequence[Round], name: str, figure: Figure) -> float:
    """Return the median of a figure of one server."""
    return statistics.median(figure(made[name]) for made in rounds)


def added(rounds: Sequence[Round], name: str, over: str, figure: Figure) -> float:
    """Return the median of what one server has more than the other, round by round."""
    return statistics.median(figure(made[name]) - figure(made[over]) for made in rounds)


def ratio_rows(what: str, rounds: Sequence[Round], name: str, over: str, figure: Figure, *, at_least: float | None = None) -> list[Row]:
    """Return the median of the ratios, round by round, and how far they spread."""
    ratios = [figure(made[name]) / figure(made[over]) for made in rounds]
    return [
        row(what, statistics.median(ratios), "×", at_least=at_least),
        row(f"{what}, lowest round", min(ratios), "×"),
        row(f"{what}, highest round", max(ratios), "×"),
    ]


def noise_rows(what: str, rounds: Sequence[Round]) -> list[Row]:
    """Return how far the rounds can be trusted. A bar that seems met while others were at work is not met."""
    return [
        row(f"{what}: share of rounds that were quiet", sum(map(is_quiet, rounds)) / len(rounds), "×", at_least=0.5),
        row(f"{what}: cores that other programs used", statistics.median(map(_noise, rounds)), "cores"),
    ]


def errors(rounds: Sequence[Round], name: str) -> int:
    """Return how many requests to one server failed."""
    return sum(made[name].seen.errors.total() for made in rounds)
