"""The tables of this room, read once: how characters sound, which are forms of one, which look alike, which are written as several. `make.py` makes them."""

from functools import lru_cache
from pathlib import Path


def _lines(name: str) -> list[list[str]]:
    text = Path(__file__).with_name(name).read_text("utf-8")
    return [line.split(" ") for line in text.splitlines() if line]


@lru_cache(maxsize=1)
def syllables() -> dict[str, tuple[str, ...]]:
    """Return character → its syllables without tone, the usual one first."""
    found: dict[str, tuple[str, ...]] = {}
    for first, *rest in _lines("syllables.table"):
        if first.isascii():
            found |= dict.fromkeys(rest[0], (first,))
        else:
            found[first] = (*found[first], *rest)
    return found


@lru_cache(maxsize=1)
def usual_characters() -> dict[str, str]:
    """Return syllable → a character that is usually read so."""
    return {syllable: character for character, (syllable, *_) in syllables().items()}


@lru_cache(maxsize=1)
def shapes() -> list[str]:
    """Return the sets of characters that look alike."""
    return [line[0] for line in _lines("shapes.table")]


@lru_cache(maxsize=1)
def parts() -> dict[str, tuple[str, ...]]:
    """Return character → what it is when its parts are written beside each other."""
    return {character: tuple(ways) for character, *ways in _lines("parts.table")}


@lru_cache(maxsize=1)
def han_forms() -> dict[str, str]:
    """Return traditional or variant form → the one form of all of them, for single Han characters."""
    return {form: one for one, forms in _lines("han.table") for form in forms}
