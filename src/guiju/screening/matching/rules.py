"""Rules: a library compiled for matching. A rule says which gaps its term bridges and which longer words excuse it.

A term is found in the fold of a text. What its author wrote decides how far it stretches:
- between Han characters (and any others but ASCII), a few separators are bridged: 赌 博, 赌*博; a term of four or more
  characters also bridges punctuation and line ends, a shorter one does not ("他喜欢赌。博物馆…" is no hit);
- between ASCII letters and digits nothing is bridged but the separators that the term has: blanks there, or what it writes;
  a term of three or more words also bridges punctuation and line ends between them;
- a term that begins or ends in an ASCII letter or digit must not stand inside a longer run of them (`ass` in `class`).
An exception is matched as written. A hit inside an exception is no hit.
A term that asks for other spellings has a rule for each expansion, and one in each reading that it asks for.
A term with near words counts only with one of them before or after it: `near.py`. A near word stretches as a term does.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice, product
from typing import NamedTuple

from guiju.screening.spellings.expand import expansions
from guiju.screening.spellings.fold import ADJACENT, BLANK, PLAIN, STOP, SYMBOL, Fold, Reading, fold_exactly
from guiju.screening.spellings.readings import READINGS, reading
from guiju.screening.spellings.tables import syllables, usual_characters
from guiju.screening.values import LibraryEntry

_LONG_TERM_CHARACTERS = 4
_LONG_TERM_WORDS = 3
_WAYS_OF_READING = 8
"""A term with characters that are read in several ways is looked for in so many of them."""
_ALIAS = "~"


class NearWord(NamedTuple):
    """A word beside which a term counts, compiled as a term is."""

    folded: str
    bridges: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """One library entry, compiled. `bridges[k]` is the widest gap allowed before character k of the fold."""

    entry: LibraryEntry
    folded: str
    bridges: tuple[int, ...]
    exceptions: tuple[tuple[str, tuple[int, ...]], ...]
    """Longer words that excuse a hit, each with the gaps that it bridges."""
    near: tuple[NearWord, ...] = ()
    """Where there are any, the term counts only near one of them."""


@dataclass(slots=True)
class Pattern:
    """One folded text to look for: a term of these rules, an exception to those, a word beside which others count."""

    rules: list[Rule] = field(default_factory=list)
    excuses: list[tuple[str, tuple[int, ...]]] = field(default_factory=list)
    """Rule ids excused, with the gaps that the exception as written bridges."""
    near: list[NearWord] = field(default_factory=list)
    """This text as a near word; several times where it may be stretched in several ways."""

    @property
    def words(self) -> "list[Rule | NearWord]":
        """All that this text is but an exception."""
        return [*self.rules, *self.near]


def compile_rules(entries: Iterable[LibraryEntry]) -> dict[str, Pattern]:
    """Return folded text → pattern for the entries: terms, their expansions and aliases, exceptions, near words."""
    patterns: dict[str, Pattern] = {}
    for entry in entries:
        folded, bridges = _shape(entry.term, between_han=None)
        exceptions, near = _excuses(entry, patterns, PLAIN), _near_words(entry, patterns, PLAIN)
        written = [(folded, bridges)]
        if entry.spellings:
            written += [_shape(name.removeprefix(_ALIAS), between_han=None) for name in entry.spellings if name.startswith(_ALIAS)]
            written += [(other, _bridges_of(other, gaps, bridges)) for other, gaps in expansions(folded, entry.spellings)]
        for text, each in written:
            patterns.setdefault(text, Pattern()).rules.append(Rule(entry, text, each, exceptions, near))
    return patterns


def compile_readings(entries: Iterable[LibraryEntry]) -> list[tuple[Reading, dict[str, Pattern]]]:
    """Return the patterns of each reading that an entry asks for; the plain one is not among them."""
    compiled = []
    for name in READINGS:
        asking = [entry for entry in entries if name in entry.spellings]
        patterns: dict[str, Pattern] = {}
        for entry in asking:
            exceptions, near = _excuses(entry, patterns, reading(name)), _near_words(entry, patterns, reading(name))
            folded, bridges = _shape(entry.term, None, reading(name))
            for text in _ways_of_reading(entry.term, folded) if name == "homophone" else (folded,):
                patterns.setdefault(text, Pattern()).rules.append(Rule(entry, text, bridges, exceptions, near))
        if asking:
            compiled.append((reading(name), patterns))
    return compiled


def _ways_of_reading(term: str, folded: str) -> Iterator[str]:
    """Yield the readings of a term as homophones, the usual one first: a text has each character in its usual reading only."""
    usual = usual_characters()
    written = fold_exactly(term).characters
    ways = [
        dict.fromkeys((seen, *(reading("homophone")[usual[each]] for each in syllables().get(character, ()) if each in usual)))
        for character, seen in zip(written, folded, strict=True)
    ]
    for way in islice(product(*ways), _WAYS_OF_READING):
        yield "".join(map(str, way))


def _excuses(entry: LibraryEntry, patterns: dict[str, Pattern], way: Reading) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Put the exceptions of an entry among the patterns and return them."""
    exceptions = []
    for exception in entry.exceptions:
        longer, bridges = _shape(exception, ADJACENT, way)
        patterns.setdefault(longer, Pattern()).excuses.append((entry.id, bridges))
        exceptions.append((longer, bridges))
    return tuple(exceptions)


def _near_words(entry: LibraryEntry, patterns: dict[str, Pattern], way: Reading) -> tuple[NearWord, ...]:
    """Put the near words of an entry among the patterns and return them."""
    words = tuple(dict.fromkeys(NearWord(*_shape(word, None, way)) for word in entry.near))
    for word in words:
        known = patterns.setdefault(word.folded, Pattern()).near
        if word not in known:
            known.append(word)
    return words


def _shape(term: str, between_han: int | None, way: Reading = PLAIN) -> tuple[str, tuple[int, ...]]:
    shape = fold_exactly(term, way)
    wide = between_han if between_han is not None else STOP if len(shape.characters) >= _LONG_TERM_CHARACTERS else SYMBOL
    words = STOP if between_han is None and sum(map(bool, shape.gaps)) >= _LONG_TERM_WORDS - 1 else BLANK
    bridges = [ADJACENT]
    for before, after, gap in zip(shape.characters, shape.characters[1:], shape.gaps[1:], strict=False):
        if before.isascii() and after.isascii():
            bridges.append(max(words, min(gap, STOP)) if gap else ADJACENT)
        else:
            bridges.append(max(wide, min(gap, STOP)))
    return "".join(shape.characters), tuple(bridges)


def _bridges_of(written: str, gaps: Sequence[int], bridges: Sequence[int]) -> tuple[int, ...]:
    """Return the gaps that an expansion bridges: those of the term where its characters meet, between letters no punctuation."""
    widest = max(bridges)
    found = [ADJACENT]
    for place in range(1, len(written)):
        wide = ADJACENT if gaps[place] < 0 else bridges[gaps[place]] if gaps[place] < len(bridges) else widest
        found.append(min(wide, SYMBOL) if written[place - 1 : place + 1].isascii() else wide)
    return tuple(found)


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
