"""Nearness: a term that counts only with another word near it. What a row may ask for, which words go together, what a stream remembers.

The hit is the later of the two, in the order of the text. So nothing is held for the earlier one: when it leaves, it is no hit yet.
The distance is counted in folded characters between the two; words that stand over each other do not count.
Source: Measures Arts. 4, 14; design, promise 1; decision 0026.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from guiju.screening.matching.rules import NearWord, Rule
from guiju.screening.spellings.fold import BREAK, fold, fold_exactly

WITHIN_AT_MOST: Final = 200
NEAR_WORDS_AT_MOST: Final = 64
NEAR_CHARACTERS: Final = 64
_NUMBERS: Final = frozenset(map(str, range(1, WITHIN_AT_MOST + 1)))


class Sighting(NamedTuple):
    """A term with near words, or a near word, in a stream."""

    what: Rule | NearWord
    first: int
    """Its first character and the one after its last, among all folded characters of the stream; then the same in the original."""
    last: int
    start: int
    end: int


def go_together(one: Rule | NearWord, other: Rule | NearWord, distance: int) -> bool:
    """Tell whether these are a term and a word beside which it counts, in either order, so many folded characters apart."""
    if isinstance(one, NearWord):
        return isinstance(other, Rule) and 0 <= distance <= other.entry.within and one in other.near
    return isinstance(other, NearWord) and 0 <= distance <= one.entry.within and other in one.near


def hit_of_pair(one: Sighting, other: Sighting) -> tuple[int, int, Rule] | None:
    """Return the hit that these two are, the later of them in characters of the original; None when they do not go together."""
    earlier, later = (one, other) if one.first <= other.first else (other, one)
    if not go_together(earlier.what, later.what, later.first - earlier.last):
        return None
    rule = earlier.what if isinstance(earlier.what, Rule) else later.what
    assert isinstance(rule, Rule)
    return later.start, later.end, rule


def first_hit(new: Sighting, seen: Iterable[Sighting]) -> tuple[int, int, Rule] | None:
    """Return the first hit that a new sighting is together with one of those seen before."""
    return min((hit for each in seen if (hit := hit_of_pair(new, each)) is not None), key=lambda hit: hit[:2], default=None)


def still_needed(seen: Sequence[Sighting], oldest: int, reach: int) -> list[Sighting]:
    """Return the sightings that words yet to come may go with, all of which begin at folded character `oldest` or later.

    Of each word that is the last one before it, and all after it: never more than there are words within `reach` and those still open.
    """
    kept: dict[tuple[int, int], Sighting] = {}
    for each in seen:
        if each.last > oldest:
            kept[id(each.what), each.first] = each
        elif each.last + reach >= oldest:
            known = kept.get((id(each.what), -1))
            if known is None or known.last < each.last:
                kept[id(each.what), -1] = each
    return list(kept.values())


def words_of(column: str) -> tuple[str, ...]:
    """Return the near words in the column, each once."""
    return tuple(dict.fromkeys(word.strip() for word in column.split("|") if word.strip()))


def near_problems(near: str, within: str) -> Iterator[tuple[str, str, str]]:
    """Yield what is wrong with the two columns: which of them, in Chinese and in English."""
    words = words_of(near)
    for word in words:
        if not 1 <= len(fold(word)) <= NEAR_CHARACTERS or BREAK in fold_exactly(word).gaps:
            yield (
                "near",
                f"近词“{word}”折叠后应为 1–{NEAR_CHARACTERS} 个字，间隔不超过三个符号",
                f"the near word '{word}' must fold to 1–{NEAR_CHARACTERS} characters, with no more than three separators in a row",
            )
    if len(words) > NEAR_WORDS_AT_MOST:
        yield "near", f"近词最多 {NEAR_WORDS_AT_MOST} 个", f"at most {NEAR_WORDS_AT_MOST} near words"
    if near and not words:
        yield "near", "没有一个近词", "names no near word"
    if within and within not in _NUMBERS:
        yield "within", f"应为 1–{WITHIN_AT_MOST} 的整数", f"must be a whole number from 1 to {WITHIN_AT_MOST}"
    if within and not near:
        yield "within", "没有近词（near）时不用填", "says nothing without near words (near)"
