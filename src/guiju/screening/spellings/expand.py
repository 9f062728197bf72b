"""Expansions: other ways to write one term, each a pattern of its own beside it, a bounded number for each term.

A text is not changed for them, so they cost nothing but their place in the automaton, and stream like any term.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, combinations, islice, pairwise, product
from typing import Final

from guiju.screening.spellings.tables import parts, syllables

EXPANSIONS: Final = ("pinyin", "split", "reversed")
PATTERNS_AT_MOST: Final = 32
"""Of each kind, for each term."""
_ALL_WAYS_CHARACTERS: Final = 4
"""A term of so many characters or fewer is written in every mixture; a longer one with one, two neighbours or all characters replaced."""
_WAYS_OF_A_MIXTURE: Final = 2
"""A character may have several syllables or parts; so many ways are written of each mixture."""
_LETTERS_AT_LEAST: Final = 6
"""A term in letters alone is looked for when it has so many: shorter ones are words of other languages."""

Written = tuple[str, tuple[int, ...]]
"""What is looked for, and for each character of it the character of the term at whose gap it stands; -1 inside of one."""


def expansions(folded: str, names: Sequence[str]) -> Iterator[Written]:
    """Yield the ways to write a folded term that these names ask for, none twice and not the term itself."""
    seen = {folded}
    for name in names:
        for written in islice(_WAYS[name](folded), PATTERNS_AT_MOST) if name in _WAYS else ():
            if written[0] not in seen:
                seen.add(written[0])
                yield written


def _pinyin(folded: str) -> Iterator[Written]:
    table = syllables()
    for mixture in _mixtures(folded, [table.get(character, ()) for character in folded]):
        text, _ = written = _written(mixture, whole=True)
        if not text.isascii() or len(text) >= _LETTERS_AT_LEAST:
            yield written


def _split(folded: str) -> Iterator[Written]:
    table = parts()
    for mixture in _mixtures(folded, [table.get(character, ()) for character in folded]):
        yield _written(mixture, whole=False)


def _reversed(folded: str) -> Iterator[Written]:
    yield folded[::-1], tuple(range(len(folded), 0, -1))


_WAYS: Final = {"pinyin": _pinyin, "split": _split, "reversed": _reversed}


def _mixtures(folded: str, ways: Sequence[Sequence[str]]) -> Iterator[list[str]]:
    """Yield the term with some characters replaced: all of them, one of them, two neighbours, then more."""
    able = [place for place, others in enumerate(ways) if others]
    if not able:
        return
    chosen_each: Iterable[tuple[int, ...]] = [tuple(able), *((place,) for place in able), *pairwise(able)]
    if len(able) <= _ALL_WAYS_CHARACTERS:
        chosen_each = chain(chosen_each, *(combinations(able, count) for count in range(2, len(able))))
    for chosen in dict.fromkeys(chosen_each):
        for way in islice(product(*(ways[place] for place in chosen)), _WAYS_OF_A_MIXTURE):
            replaced = dict(zip(chosen, way, strict=True))
            yield [replaced.get(place, character) for place, character in enumerate(folded)]


def _written(pieces: Sequence[str], *, whole: bool) -> Written:
    """Return the pieces as one text. A syllable stays `whole`; the parts of a character may stand apart as characters do."""
    text, gaps = "", []
    for place, piece in enumerate(pieces):
        text += piece
        gaps += [place, *([-1 if whole else max(place, 1)] * (len(piece) - 1))]
    return text, tuple(gaps)
