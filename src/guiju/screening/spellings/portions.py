"""Long texts in portions: what is looked for in ten megabytes needs no more memory at a time than what is looked for in one portion."""

from collections.abc import Iterator, Sequence
from typing import Final, Protocol, TypeVar

from guiju.screening.spellings.escapes import ESCAPE_BEGUN, may_escape
from guiju.screening.spellings.fold import Reading, fold

PORTION: Final = 2**16
"""Characters that are looked at together."""
_ESCAPE_CHARACTERS: Final = 32
"""No escape is so long."""

Text_contra = TypeVar("Text_contra", str, bytes, contravariant=True)
Match = tuple[int, int, int]
"""Which word, its start and its end."""


class Automaton(Protocol[Text_contra]):
    """What finds many words at once, and gives all matches in one list."""

    def find_matches_as_indexes(self, haystack: Text_contra, overlapping: bool = False) -> list[Match]: ...


def holds_any(automaton: Automaton[Text_contra], text: Text_contra, longest: int) -> bool:
    """Tell whether one of the words, of which none is longer than `longest`, is in a long text."""
    return any(automaton.find_matches_as_indexes(text[at : at + PORTION + longest]) for at in range(0, len(text), PORTION))


def matches_by_portion(automaton: Automaton[Text_contra], text: Text_contra, longest: int) -> Iterator[list[Match]]:
    """Yield every match, overlapping ones too, with places in the whole text; each once, those of a portion together."""
    if len(text) <= PORTION:
        yield automaton.find_matches_as_indexes(text, overlapping=True)
        return
    for at in range(0, len(text), PORTION):
        found = automaton.find_matches_as_indexes(text[at : at + PORTION + longest], overlapping=True)
        yield [(index, at + start, at + end) for index, start, end in found if start < PORTION]


def together(texts: Sequence[str], most: int) -> Iterator[tuple[int, Sequence[str]]]:
    """Yield the texts in groups of at most so many characters, each with the place of its first; a longer text alone."""
    first = size = 0
    for place, text in enumerate(texts):
        if size and size + len(text) > most:
            yield first, texts[first:place]
            first, size = place, 0
        size += len(text) + 1
    if first < len(texts):
        yield first, texts[first:]


def cuts(text: str) -> Iterator[tuple[int, int]]:
    """Yield where portions of a text begin and end; each folds alone as it does in the whole: no escape is cut."""
    begin = 0
    while begin < len(text):
        end = begin + PORTION
        if end < len(text) and may_escape(near := text[end - _ESCAPE_CHARACTERS : end]) and (begun := ESCAPE_BEGUN.search(near)):
            end -= len(near) - begun.start()
        yield begin, min(end, len(text))
        begin = end


def folded_by_portion(text: str, reading: Reading, longest: int) -> Iterator[str]:
    """Yield the fold of a text portion by portion; each begins with as much of the one before as the longest word has."""
    folded = ""
    for begin, end in cuts(text):
        folded = folded[max(0, len(folded) - longest) :] + fold(text[begin:end], reading)
        yield folded
