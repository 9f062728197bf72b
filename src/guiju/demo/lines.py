"""Lines of the tour: Chinese and English broken where a reader expects it, also while the text is still coming.

A line breaks between any two Chinese characters and at spaces, never inside a word, a number or a record's id; no line begins with a mark that closes
and none ends with one that opens.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from rich.cells import cell_len

_CLOSES: Final = "。，、；：！？）】》」』”’…—.,;:!?)]}%"
_OPENS: Final = "（【《「『“‘([{"
_UNIT: Final = re.compile(
    rf"\n| +|[{re.escape(_OPENS)}]*(?:[!-~]+|[^\n !-~])(?:[{re.escape(_CLOSES)}]|(?<=[—…])[—…])*",
)


def units_of(text: str) -> list[str]:
    """Return what a text is broken between: words and single characters with the marks that belong to them, spaces, ends of lines."""
    return [found[0] for found in _UNIT.finditer(text)]


def wrap(text: str, width: int) -> list[str]:
    """Return a text as lines of at most `width` cells. A word that is longer than a line is cut.

    >>> wrap("不知道命中了哪一个词。", 20)
    ['不知道命中了哪一个', '词。']
    """
    lines = Coming(width)
    return (lines.take(text) + lines.end()).split("\n")


@dataclass
class Coming:
    """A text that comes in pieces: `take` gives what may be shown of it by now, `end` the rest. Joined they are what the whole would give."""

    width: int
    _text: str = ""
    _shown: int = field(default=0, init=False)

    def take(self, piece: str) -> str:
        """Take a piece and return what is certain to stand where it stands: all but the last word or character."""
        self._text += piece
        return self._more(units_of(self._text)[:-1])

    def end(self) -> str:
        """Return what is left."""
        return self._more(units_of(self._text))

    def _more(self, units: list[str]) -> str:
        laid_out = "".join(_laid_out(units, self.width))
        more = laid_out[self._shown :]
        self._shown = len(laid_out)
        return more


def _laid_out(units: list[str], width: int) -> Iterator[str]:
    """Yield units with ends of lines between. A space waits for what comes behind it, and falls away at the end of a line."""
    used, spaces = 0, ""
    for unit in units:
        if unit == "\n":
            used, spaces = 0, ""
            yield unit
            continue
        if unit[0] == " ":
            spaces = unit if used else ""
            continue
        cells = cell_len(unit)
        if used and used + len(spaces) + cells > width:
            yield "\n"
            used, spaces = 0, ""
        rest = unit
        while cell_len(rest) > width:
            cut = width
            while cell_len(rest[:cut]) > width:
                cut -= 1
            yield rest[:cut] + "\n"
            rest = rest[cut:]
        yield spaces + rest
        used += len(spaces) + cell_len(rest)
        spaces = ""
