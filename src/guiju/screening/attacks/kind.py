"""What every kind of prompt attack is: a frozen value that finds one way of turning a model against its instructions.

A kind reads a text *folded* (one spelling, no spaces or punctuation, as terms are read), or as it is *written*, where the signs are the
attack. No pattern has a repetition without end, so each place of a text is looked at a bounded number of times.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Final, Literal, NamedTuple

from guiju.screening.values import Confidence

IN_FORCE: Final = date(2026, 11, 24)
"""Since when the first kinds are part of a release."""
OWASP: Final = "OWASP Top 10 for LLM Applications, LLM01 prompt injection; GB/T 45654-2025 (model security)"


class Span(NamedTuple):
    """A find in the text that the kind reads. `decoded` is what a model would read out of it, to be screened in its turn."""

    start: int
    end: int
    confidence: Confidence
    decoded: str = ""
    alone: bool = False
    """Whether it counts without harm, although its kind counts only with harm."""


Examine = Callable[[str], Iterator[Span]]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of attack. `code` is never used again for another kind."""

    code: str
    zh: str
    en: str
    examine: Examine
    hints: tuple[str, ...] = ()
    """Folded words, one of which stands in every text that has a find, unless one of `signs` does."""
    signs: tuple[str, ...] = ()
    """The same, as written: quick to look for."""
    reads: Literal["folded", "written"] = "folded"
    only_with_harm: bool = False
    """Whether a find counts only where its decoded text has a hit: the form alone is ordinary."""
    only_given: bool = False
    """Whether it is looked for only in what a tool or a document brought."""
    source: str = OWASP
    effective_from: date = field(default=IN_FORCE)


def of_patterns(*patterns: tuple[str, Confidence]) -> Examine:
    """Return an `examine` that tells every match of these patterns, the surest of those that overlap first."""
    compiled = [(re.compile(pattern), confidence) for pattern, confidence in patterns]

    def examine(text: str) -> Iterator[Span]:
        found: list[tuple[int, int]] = []
        for pattern, confidence in compiled:
            for match in pattern.finditer(text):
                start, end = match.span()
                if not any(start < last and first < end for first, last in found[-50:]):
                    found.append((start, end))
                    yield Span(start, end, confidence)

    return examine
