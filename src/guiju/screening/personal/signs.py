"""Signs: the quick look that tells which detectors may find something in a text; nearly all traffic needs no more than it.

A detector names words that stand in every text with a find of its kind. In a hint, `0` is any digit and `A` any capital letter; a hint of
digits alone may have blanks and hyphens between them. Each character that counts becomes one byte, so a text is read at a quarter of
its size, full-width letters and digits as what they are.
"""

from collections.abc import Iterable
from typing import Final

import ahocorasick_rs
import numpy
import numpy.typing

from guiju.screening.personal.plain import INVISIBLE, USUAL
from guiju.screening.spellings.encoded import RUN, RUN_SIGNS
from guiju.screening.spellings.first_look import Units, units_of
from guiju.screening.spellings.portions import PORTION, holds_any, matches_by_portion

DIGIT: Final = "0"
CAPITAL: Final = "A"
_SEPARATORS: Final = " -"
_UNUSUAL: Final = 255
"""The byte of a character that changes what stands beside it: the backslash of an escape, what nobody sees."""
_UNUSUAL_BYTE: Final = bytes([_UNUSUAL])
_NOBODY: Final = ""
"""Whose that byte is: it belongs to no hint, and is looked for together with them."""
_OF_CODE: Final = 254
"""The byte of a character that no hint has and a run of base64, hexadecimal or percent-encoding may have."""


def _kind(character: str) -> str:
    """Return what a character is for a hint."""
    return DIGIT if "0" <= character <= "9" else CAPITAL if "A" <= character <= "Z" else character


class Signs:
    """The hints of several owners, ready to be looked for. Build it once."""

    __slots__ = ("_astral", "_codes", "_digits", "_digits_owners", "_longest", "_of_code", "_owners", "_separators", "_words")

    def __init__(self, hints: Iterable[tuple[str, str]], *, astral: bool = False) -> None:
        """`hints` are (hint, owner). With `astral`, a character outside of the first plane is one too."""
        self._astral = astral
        kinds = [("".join(map(_kind, hint)), owner) for hint, owner in hints]
        alphabet = sorted({character for hint, _ in kinds for character in hint} | {DIGIT, *_SEPARATORS})
        byte = {character: number for number, character in enumerate(alphabet, 1)}
        if len(byte) >= _OF_CODE:
            raise ValueError(f"the hints have {len(byte)} different characters; one byte tells {_OF_CODE - 1}")
        codes = numpy.zeros(0x10000, numpy.uint8)
        for character in {*alphabet, *USUAL, *map(chr, range(0x80))}:
            codes[ord(character)] = byte.get(_kind(USUAL.get(character, character)), 0)
        codes[list(map(ord, "\\" + INVISIBLE))] = _UNUSUAL
        of_code = [ord(character) for character in RUN_SIGNS]
        codes[of_code] = [code or _OF_CODE for code in codes[of_code]]
        used = set(codes[of_code].tolist())
        self._of_code = bytes(code in used for code in range(256))
        self._codes: numpy.typing.NDArray[numpy.uint8] = codes
        self._separators = bytes(byte[character] for character in _SEPARATORS)
        words = [(bytes(byte[character] for character in hint), owner) for hint, owner in kinds if set(hint) != {DIGIT}]
        words.append((_UNUSUAL_BYTE, _NOBODY))
        self._words = ahocorasick_rs.BytesAhoCorasick([word for word, _ in words], implementation=ahocorasick_rs.Implementation.DFA)
        self._longest = max(len(word) for word, _ in words)
        self._owners = [owner for _, owner in words]
        digits = [(hint, owner) for hint, owner in kinds if set(hint) == {DIGIT}]
        self._digits = bytes([byte[DIGIT]]) * min((len(hint) for hint, _ in digits), default=0)
        self._digits_owners = {owner for _, owner in digits}

    def may_be_in(self, text: str, units: Units) -> bool:
        """Tell whether a hint may stand in a text as it came, given with its units: about 4 ns a character."""
        return self._may_be_in(text, self._codes.take(units).tobytes())

    def look(self, text: str, units: Units) -> tuple[bool, bool]:
        """Tell the same, and whether a run of code may stand in it (`spellings/encoded.py`): 1 ns a character more."""
        signs = self._codes.take(units).tobytes()
        return self._may_be_in(text, signs), RUN in signs.translate(self._of_code)

    def _may_be_in(self, text: str, signs: bytes) -> bool:
        return (
            (self._astral and len(signs) != len(text))
            or (self._digits[:1] in signs and self._digits != b"" and self._digits in signs.translate(None, self._separators))
            or bool(self._words.find_matches_as_indexes(signs) if len(signs) <= PORTION else holds_any(self._words, signs, self._longest))
        )

    def owners_in(self, text: str) -> set[str]:
        """Return whose hints stand in a text of usual spelling."""
        signs = self._codes.take(units_of(text)).tobytes()
        found = {self._owners[index] for some in matches_by_portion(self._words, signs, self._longest) for index, _, _ in some}
        if self._digits_owners and self._digits in signs.translate(None, self._separators):
            found |= self._digits_owners
        return found - {_NOBODY}
