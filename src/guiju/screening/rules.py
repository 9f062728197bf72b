"""Rules: a library compiled for matching. A rule says which gaps its term bridges and which longer words excuse it.

A term is found in the fold of a text. What its author wrote decides how far it stretches:
- between Han characters (and any others but ASCII), a few separators are bridged: 赌 博, 赌*博; a term of four or more
  characters also bridges punctuation and line ends, a shorter one does not ("他喜欢赌。博物馆…" is no hit);
- between ASCII letters and digits nothing is bridged but the separators that the term has: blanks there, or what it writes;
  a term of three or more words also bridges punctuation and line ends between them;
- a term that begins or ends in an ASCII letter or digit must not stand inside a longer run of them (`ass` in `class`).
An exception is matched as written. A hit inside an exception is no hit.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from guiju.screening.fold import ADJACENT, BLANK, STOP, SYMBOL, Fold, fold_exactly
from guiju.screening.values import LibraryEntry

_LONG_TERM_CHARACTERS = 4
_LONG_TERM_WORDS = 3


@dataclass(frozen=True, slots=True)
class Rule:
    """One library entry, compiled. `bridges[k]` is the widest gap allowed before character k of the fold."""

    entry: LibraryEntry
    folded: str
    bridges: tuple[int, ...]
    exceptions: tuple[tuple[str, tuple[int, ...]], ...]
    """Longer words that excuse a hit, each with the gaps that it bridges."""


@dataclass(slots=True)
class Pattern:
    """One folded text to look for: a term of these rules, an exception to those."""

    rules: list[Rule] = field(default_factory=list)
    excuses: list[tuple[str, tuple[int, ...]]] = field(default_factory=list)
    """Rule ids excused, with the gaps that the exception as written bridges."""


def compile_rules(entries: Iterable[LibraryEntry]) -> dict[str, Pattern]:
    """Return folded text → pattern for the entries, terms and exceptions together."""
    patterns: dict[str, Pattern] = {}
    for entry in entries:
        folded, bridges = _shape(entry.term, between_han=None)
        exceptions = []
        for exception in entry.exceptions:
            longer, longer_bridges = _shape(exception, between_han=ADJACENT)
            patterns.setdefault(longer, Pattern()).excuses.append((entry.id, longer_bridges))
            exceptions.append((longer, longer_bridges))
        rule = Rule(entry, folded, bridges, tuple(exceptions))
        patterns.setdefault(folded, Pattern()).rules.append(rule)
    return patterns


def _shape(term: str, between_han: int | None) -> tuple[str, tuple[int, ...]]:
    shape = fold_exactly(term)
    wide = between_han if between_han is not None else STOP if len(shape.characters) >= _LONG_TERM_CHARACTERS else SYMBOL
    words = STOP if between_han is None and sum(map(bool, shape.gaps)) >= _LONG_TERM_WORDS - 1 else BLANK
    bridges = [ADJACENT]
    for before, after, gap in zip(shape.characters, shape.characters[1:], shape.gaps[1:], strict=False):
        if before.isascii() and after.isascii():
            bridges.append(max(words, min(gap, STOP)) if gap else ADJACENT)
        else:
            bridges.append(max(wide, min(gap, STOP)))
    return "".join(shape.characters), tuple(bridges)


def bridged(gaps: list[int], start: int, bridges: tuple[int, ...]) -> bool:
    """Tell whether the gaps inside a match that begins at folded character `start` are all allowed."""
    return all(gaps[start + k] <= bridges[k] for k in range(1, len(bridges)))


def reaches(gaps: list[int], start: int, read: int, gap: int, bridges: tuple[int, ...]) -> bool:
    """Tell whether a match of which `read` characters are read, and after which a gap follows, may still go on."""
    return read < len(bridges) and gap <= bridges[read] and all(gaps[start + k] <= bridges[k] for k in range(1, read))


def begins_a_word(fold: Fold, start: int) -> bool:
    """Tell whether a match may begin here: not in the middle of a run of ASCII letters and digits."""
    return not (start and fold.gaps[start] == ADJACENT and fold.characters[start].isascii() and fold.characters[start - 1].isascii())


def ends_a_word(fold: Fold, end: int) -> bool:
    """Tell whether a match may end before folded character `end`."""
    return end == len(fold.characters) or begins_a_word(fold, end)
