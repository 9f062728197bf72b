"""Other ways to write a term, proposed as draft rows for a person to review: nothing goes into a library by itself.

What the fold finds anyway (traditional forms, separators, width) is told as found and not proposed: a row for it would be refused as a doubled
one. Replaced is one character of a term at a time, by common characters only: what nobody would type is no help to who reviews.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal, get_args

from guiju.core.errors import GuijuError
from guiju.screening.libraries.library import Row, make_library
from guiju.screening.spellings.fold import fold
from guiju.screening.spellings.tables import parts, shapes, syllables

Way = Literal["traditional", "separators", "pinyin", "initials", "homophone", "shape", "split"]
WAYS: Final[tuple[Way, ...]] = get_args(Way)
FOR_EACH_CHARACTER: Final = 3
"""So many homophones and look-alikes of one character."""
_INITIALS_AT_LEAST: Final = 4
"""Initials of fewer characters are everyday abbreviations."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to write a term; `found` says that the fold finds it already."""

    text: str
    way: Way
    found: bool


def list_variants(term: str, ways: Sequence[Way] = WAYS) -> list[Variant]:
    """Return other ways to write a term, none twice and not the term itself, in the order of `ways`."""
    seen, own = {term}, fold(term)
    variants = []
    for way in ways:
        for text in _WAYS[way](term):
            if text not in seen:
                seen.add(text)
                variants.append(Variant(text, way, fold(text) == own))
    return variants


def draft_rows(rows: Iterable[dict[str, str]], ways: Sequence[Way] = WAYS) -> list[dict[str, str]]:
    """Return rows for the variants of these rows that the fold does not find and that the library would take.

    Risk, severity, direction and near words are those of the term; `source` says what it is a variant of; reviewer and day of review are empty.
    """
    given = list(rows)
    taken = {(fold(row["term"]), row["risk"], row.get("direction") or "both") for row in given}
    drafts = []
    for row in given:
        for variant in list_variants(row["term"], ways):
            draft = {name: row.get(name, "") for name in ("risk", "severity", "direction", "near", "within")}
            draft |= {"term": variant.text, "source": f"variant of {row['term']} ({variant.way})"}
            key = (fold(variant.text), row["risk"], row.get("direction") or "both")
            if key not in taken and _is_taken(draft):
                taken.add(key)
                drafts.append(draft)
    return drafts


def _is_taken(draft: dict[str, str]) -> bool:
    """Tell whether a library would take this row."""
    try:
        make_library([Row(1, dict(draft))], "variants")
    except GuijuError:
        return False
    return True


def _traditional(term: str) -> Iterator[str]:
    from opencc import OpenCC  # here, because only this needs its tables

    yield OpenCC("s2t").convert(term)


def _separators(term: str) -> Iterator[str]:
    yield from (mark.join(term) for mark in "·* ")


def _pinyin(term: str) -> Iterator[str]:
    table = syllables()
    spelled = [table.get(character, ("",))[0] for character in term]
    if all(spelled):
        yield "".join(spelled)
    for place, syllable in enumerate(spelled):
        if syllable and len(term) > 1:
            yield f"{term[:place]}{syllable}{term[place + 1 :]}"


def _initials(term: str) -> Iterator[str]:
    table = syllables()
    spelled = [table.get(character, ("",))[0] for character in term]
    if all(spelled) and len(term) >= _INITIALS_AT_LEAST:
        yield "".join(syllable[0] for syllable in spelled)


def _homophone(term: str) -> Iterator[str]:
    table, alike = syllables(), _by_sound()
    yield from _replaced(term, lambda character: alike.get(table.get(character, ("",))[0], ()))


def _shape(term: str) -> Iterator[str]:
    alike = _by_shape()
    yield from _replaced(term, lambda character: alike.get(character, ()))


def _split(term: str) -> Iterator[str]:
    table = parts()
    for place, character in enumerate(term):
        for way in table.get(character, ()):
            yield f"{term[:place]}{way}{term[place + 1 :]}"
    yield "".join(table.get(character, (character,))[0] for character in term)


def _replaced(term: str, others_of: Callable[[str], Sequence[str]]) -> Iterator[str]:
    for place, character in enumerate(term):
        others = [other for other in others_of(character) if other != character][:FOR_EACH_CHARACTER]
        for other in others:
            yield f"{term[:place]}{other}{term[place + 1 :]}"


_WAYS: Final = {
    "traditional": _traditional,
    "separators": _separators,
    "pinyin": _pinyin,
    "initials": _initials,
    "homophone": _homophone,
    "shape": _shape,
    "split": _split,
}


@lru_cache(maxsize=1)
def _by_sound() -> dict[str, list[str]]:
    """Return syllable → the common characters that usually have it."""
    found: dict[str, list[str]] = defaultdict(list)
    for character, (usual, *_) in syllables().items():
        if _is_common(character):
            found[usual].append(character)
    return dict(found)


@lru_cache(maxsize=1)
def _by_shape() -> dict[str, list[str]]:
    """Return character → the common characters that look like it."""
    return {character: [other for other in together if _is_common(other)] for together in shapes() for character in together}


def _is_common(character: str) -> bool:
    """Tell whether a character is one of the 3,755 common ones of GB 2312."""
    try:
        raw = character.encode("gb2312")
    except UnicodeEncodeError:
        return False
    return b"\xb0\xa1" <= raw <= b"\xd7\xf9" and len(raw) == 2
