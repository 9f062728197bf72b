"""A text that nobody sees and a model reads: tag characters of Unicode, or bytes in variation selectors. It is decoded and screened."""

import re
from collections.abc import Iterator
from typing import Final

from guiju.screening.attacks.kind import Kind, Span

HIDDEN: Final = re.compile("[\U000e0020-\U000e007e\U000e0100-\U000e01ef]")
_TAGS: Final = re.compile("(\U0001f3f4?)([\U000e0020-\U000e007e]{1,100000})\U000e007f?")
_BYTES: Final = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]{4,100000}")
_FLAG_LETTERS: Final = 6
"""The flag of a region is a black flag with so many tag letters, or fewer: the only use there is."""


def _byte(selector: str) -> int:
    code = ord(selector)
    return code - 0xFE00 if code <= 0xFE0F else code - 0xE0100 + 16


def _examine(text: str) -> Iterator[Span]:
    for match in _TAGS.finditer(text):
        flag, tags = match.groups()
        if len(tags) > (_FLAG_LETTERS if flag else 3):
            yield Span(match.start(), match.end(), "high", tags.translate({code: code - 0xE0000 for code in range(0xE0020, 0xE007F)}))
    for match in _BYTES.finditer(text):
        decoded = bytes(map(_byte, match[0])).decode("utf-8", "replace")
        if sum(character.isalnum() for character in decoded) * 2 >= len(decoded):
            yield Span(match.start(), match.end(), "high", decoded)


INVISIBLE: Final = Kind(
    code="PA-INVISIBLE",
    zh="隐形文字",
    en="invisible text",
    reads="written",
    examine=_examine,
)
"""Has no hints: `screen.py` looks for characters outside of the first plane."""
