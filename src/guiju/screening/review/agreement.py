"""Figures of decisions: agreement of two reviewers, and how sure a share is. Pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Final

LEAST_SHOWN: Final = 10
"""A share of fewer cases says nothing: the cases are shown, the share is not."""
_Z: Final = 1.959964
"""Two-sided 95 %."""


@dataclass(frozen=True, slots=True)
class Share:
    """`part` of `whole`, and the Wilson interval in which the true share lies 95 times of 100."""

    part: int
    whole: int

    @property
    def shown(self) -> bool:
        """Whether there are enough cases to show a share."""
        return self.whole >= LEAST_SHOWN

    @property
    def share(self) -> float:
        """The share; 0 of nothing."""
        return self.part / self.whole if self.whole else 0.0

    @property
    def low(self) -> float:
        """The lower end of the interval."""
        return self._ends()[0]

    @property
    def high(self) -> float:
        """The upper end of the interval."""
        return self._ends()[1]

    def _ends(self) -> tuple[float, float]:
        return wilson(self.part, self.whole)


def wilson(part: int, whole: int) -> tuple[float, float]:
    """Return the Wilson score interval of `part` of `whole` at 95 %; (0, 1) of nothing.

    >>> [round(end, 3) for end in wilson(8, 10)]
    [0.49, 0.943]
    """
    if not whole:
        return 0.0, 1.0
    share, square = part / whole, _Z * _Z
    middle = (share + square / (2 * whole)) / (1 + square / whole)
    half = _Z * sqrt(share * (1 - share) / whole + square / (4 * whole * whole)) / (1 + square / whole)
    return max(0.0, middle - half), min(1.0, middle + half)


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two reviewers agree: cases, the share in which they did, and Cohen's kappa; None where chance alone explains everything."""

    cases: int
    agreed: int
    kappa: float | None

    @property
    def shown(self) -> bool:
        """Whether there are enough cases to show a figure."""
        return self.cases >= LEAST_SHOWN


def cohen(pairs: Sequence[tuple[str, str]]) -> Agreement:
    """Return the agreement of two people on the same cases: (agreed − by chance) / (1 − by chance).

    Kappa is None without a case, and where both gave one and the same answer everywhere: then chance alone agrees always.

    >>> round(cohen([("a", "a")] * 20 + [("a", "b")] * 5 + [("b", "a")] * 10 + [("b", "b")] * 15).kappa, 2)
    0.4
    """
    agreed = sum(one == other for one, other in pairs)
    if not pairs:
        return Agreement(0, 0, None)
    count = len(pairs)
    first, second = Counter(one for one, _ in pairs), Counter(other for _, other in pairs)
    chance = sum(first[answer] * second[answer] for answer in first) / count**2
    return Agreement(count, agreed, None if chance == 1 else (agreed / count - chance) / (1 - chance))
