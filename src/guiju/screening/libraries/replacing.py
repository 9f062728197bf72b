"""What one keyword library takes away from, and adds to, those before it. Pure.

Compared are folded terms, so that another spelling of a term neither drops nor adds it.
Source: GB/T 45654-2025 App. B (cadence); Measures Art. 4.
"""

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from guiju.screening.libraries.library import Library
from guiju.screening.risks import RISKS
from guiju.screening.spellings.fold import fold

DROPPED_SHARE: Final = 0.5
"""A library that drops more than this share of the entries in force is put in force by nobody who did not say so."""
_FORCE: Final = {"flag": 1, "block": 2}
_WAYS: Final = {"both": ("input", "output"), "input": ("input",), "output": ("output",)}


@dataclass(frozen=True, slots=True)
class Loss:
    """How much of what is in force goes: `dropped` of `entries`, and the risks in which nothing of equal force is left."""

    entries: int = 0
    dropped: int = 0
    risks: tuple[str, ...] = ()

    @property
    def much(self) -> bool:
        """Whether more than half of the entries go, or all that a risk had."""
        return self.dropped > self.entries * DROPPED_SHARE or bool(self.risks)


def find_loss(before: Library, after: Library) -> Loss:
    """Return what `after` takes away from `before`, which is in force.

    An entry is dropped when its term is not there for the same risk, or only flags where it blocked, or is left out of a direction.
    """
    kept, left = _forces(after)
    dropped = sum(
        any(kept.get((fold(entry.term), entry.risk, way), 0) < _FORCE[entry.severity] for way in _WAYS[entry.direction])
        for entry in before.entries
    )
    _, were = _forces(before)
    weaker = {risk for (risk, way), force in were.items() if left.get((risk, way), 0) < force}
    return Loss(len(before.entries), dropped, tuple(risk.id for risk in RISKS if risk.id in weaker))


def count_new(canonical: bytes, earlier: Iterable[bytes]) -> int:
    """Return how many terms of a library's canonical CSV are in none of the earlier ones."""
    left, seen = {fold(term) for term in _terms(canonical)}, set[str]()
    for body in earlier:
        terms = _terms(body) - seen  # most terms stand in all of them, and folding is what takes time
        seen |= terms
        left -= {fold(term) for term in terms}
        if not left:
            break
    return len(left)


def _forces(library: Library) -> tuple[dict[tuple[str, str, str], int], dict[tuple[str, str], int]]:
    """Return the graver severity by (folded term, risk, direction), and by (risk, direction)."""
    terms: dict[tuple[str, str, str], int] = {}
    risks: dict[tuple[str, str], int] = {}
    for entry in library.entries:
        folded, force = fold(entry.term), _FORCE[entry.severity]
        for way in _WAYS[entry.direction]:
            terms[folded, entry.risk, way] = max(force, terms.get((folded, entry.risk, way), 0))
            risks[entry.risk, way] = max(force, risks.get((entry.risk, way), 0))
    return terms, risks


def _terms(canonical: bytes) -> set[str]:
    """Return the terms of a canonical CSV, whose first column they are."""
    rows = csv.reader(io.StringIO(canonical.decode(), newline=""))
    next(rows, None)
    return {row[0] for row in rows if row}
