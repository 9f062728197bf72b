"""How far something moves a percentile of latencies: turns with it and without, by turns, and all latencies of a kind taken together.

The p99 of a second rests on a handful of answers, whatever is the matter; that of all turns of a kind on hundreds. How far the figure can
be trusted is found by drawing rounds anew, with replacement: what a run with other turns would have told.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy
import numpy.typing

SHARE: Final = 0.99
DRAWS: Final = 1_000
_SURE: Final = 0.95

_Array = numpy.typing.NDArray[numpy.float64]
Latencies = Sequence[float]
Round = tuple[Latencies, Latencies]
"""What was seen without it and with it, one turn after the other."""


@dataclass(frozen=True, slots=True)
class Moved:
    """By how many per cent the percentile is higher with it; `lowest` and `highest` hold between them 95 of 100 draws."""

    percent: float
    lowest: float
    highest: float
    without_ms: float
    with_ms: float


def moved(rounds: Sequence[Round], draws: int = DRAWS) -> Moved:
    """Return how far the pooled percentile moves. The same rounds give the same figures.

    >>> still, busy = [1.0] * 98 + [10.0] * 2, [1.0] * 98 + [12.0] * 2
    >>> found = moved([(still, busy)] * 4)
    >>> round(found.percent), round(found.lowest), round(found.highest)
    (20, 20, 20)
    """
    turns = [(numpy.asarray(still), numpy.asarray(busy)) for still, busy in rounds]
    without_ms, with_ms = _percentiles(turns)
    draw = random.Random(0)  # a measurement, no secret
    drawn = []
    for _ in range(draws):
        still, busy = _percentiles(draw.choices(turns, k=len(turns)))
        drawn.append((busy / still - 1) * 100)
    drawn.sort()
    outside = int(len(drawn) * (1 - _SURE) / 2)
    return Moved((with_ms / without_ms - 1) * 100, drawn[outside], drawn[-1 - outside], without_ms, with_ms)


def _percentiles(turns: Sequence[tuple[_Array, _Array]]) -> tuple[float, float]:
    return _percentile([still for still, _ in turns]), _percentile([busy for _, busy in turns])


def _percentile(turns: Sequence[_Array]) -> float:
    pooled = numpy.concatenate(turns)
    place = min(len(pooled) - 1, int(SHARE * len(pooled)))
    return float(numpy.partition(pooled, place)[place])
