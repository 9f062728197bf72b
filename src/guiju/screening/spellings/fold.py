"""Folding: every spelling of a character becomes one, and every place in the fold points back into the original.

A character folds on its own, whatever stands beside it, so a text may be cut anywhere and folded in pieces:
compatibility forms (full width, circled, styled), case, accents, traditional and variant forms, look-alikes of other scripts
fold to one spelling; characters nobody sees vanish; punctuation, space and symbols vanish too but leave a *gap*, which a
term may or may not bridge. Escapes (`\\u8d4c`, `%E8%B5%8C`, `&#36172;`) fold to the character they stand for, because that is
what a model or a reader gets.

A *reading* is a fold in which some characters become one another besides: `spellings/readings.py` has those that a term may ask for.
"""

import contextlib
import re
import unicodedata
from codecs import utf_16_le_decode, utf_16_le_encode
from collections.abc import Mapping
from functools import cached_property, lru_cache
from typing import Final, NamedTuple

import numpy
import numpy.typing

from guiju.screening.spellings.escapes import ESCAPE, ESCAPE_BEGUN, may_escape, unescaped
from guiju.screening.spellings.lookalikes import LOOKALIKES
from guiju.screening.spellings.tables import han_forms

# How far apart two neighbouring characters of the fold stand in the original.
ADJACENT: Final = 0
BLANK: Final = 1  # spaces, hyphens, underscores, slashes
SYMBOL: Final = 2  # other punctuation and symbols, emoji
STOP: Final = 3  # the end of a line, a clause or a quotation
BREAK: Final = 4  # more than any term bridges

GAP_CHARACTERS: Final = 3
"""More separators than this are a BREAK."""
INVISIBLE_RUN: Final = 64
"""More invisible characters than this are a BREAK: what is held back stays bounded."""

INVISIBLE: Final = -1
_STOPS: Final = frozenset("\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029，。、；：？！…,;:?!()[]{}<>\"'“”‘’（）《》〈〉「」『』【】")
_BLANKS: Final = frozenset("\t _/\\|~·")
_HANGUL_OR_KANA: Final = re.compile("[\u3040-\u30ff\uac00-\ud7a3]")
_LETTER_NAME: Final = re.compile(r"(?:SQUARED|CIRCLED|REGIONAL INDICATOR|TAG).*LETTER ([A-Z])$")


def _cell(character: str) -> str | int:
    alike = LOOKALIKES.get(character)
    kept = alike or "".join(_fold_one(part) for part in unicodedata.normalize("NFKC", character))
    return kept or _separation(character)


def _fold_one(character: str) -> str:
    if character in LOOKALIKES:
        return LOOKALIKES[character]
    category = unicodedata.category(character)
    if category == "So" or category == "No":
        digit = unicodedata.digit(character, None)
        if digit is not None:
            return str(digit)
        letter = _LETTER_NAME.search(unicodedata.name(character, ""))
        return letter[1].lower() if letter else (character if category == "No" else "")
    if category[0] in "PSZC" or category in ("Mn", "Me"):
        return character if category in ("Co", "Cn") and not 0xFDD0 <= ord(character) <= 0xFDEF else ""
    if category == "Nd":
        return str(unicodedata.digit(character))
    if _is_han(character):
        return han_forms().get(character, character)
    if not _HANGUL_OR_KANA.match(character):
        character = "".join(c for c in unicodedata.normalize("NFKD", character.casefold()) if unicodedata.category(c) not in ("Mn", "Me"))
    return "".join(LOOKALIKES.get(part, part) for part in character.casefold())


def _separation(character: str) -> int:
    if character in _STOPS:
        return STOP
    category = unicodedata.category(character)
    if character in _BLANKS or category in ("Zs", "Pd"):
        return BLANK
    if category in ("Cf", "Cc", "Mn", "Me"):
        return INVISIBLE
    return SYMBOL


def _is_han(character: str) -> bool:
    return (
        "\u3400" <= character <= "\u4dbf"
        or "\u4e00" <= character <= "\u9fff"
        or "\uf900" <= character <= "\ufaff"
        or character >= "\U00020000"
    )


_DROP: Final = 0
_MANY: Final = 1
UNDECIDED: Final = b"\xfe\xfe"
"""In `Reading.first_table`: whatever the table cannot fold."""
PICTURES_HIGH: Final = 0xD83D
PICTURES: Final = frozenset(map(chr, range(0x1F400, 0x1F800)))
"""All that begin with this half of a surrogate pair: faces, hands, hearts, which vanish in the fold, and places that nothing has yet."""


class Reading(dict[str, "str | int"]):
    """One way of reading: character → its fold (text), or what kind of nothing it is (an int). Filled as characters turn up.

    `instead` replaces characters before they fold, `alike` folded ones after; both one for one, and what they give folds to itself.
    """

    def __init__(self, instead: Mapping[str, str] | None = None, alike: Mapping[str, str] | None = None) -> None:
        self._instead = dict(instead or {})
        self._alike = dict(alike or {})

    def __missing__(self, character: str) -> "str | int":
        if len(self) > 200_000:  # a text of every code point there is must not fill the memory
            self.clear()
        cell = _cell(self._instead.get(character, character))
        if self._alike and isinstance(cell, str):
            cell = "".join(self._alike.get(part, part) for part in cell)
        self[character] = cell
        return cell

    def __reduce__(self) -> tuple[type["Reading"], tuple[dict[str, str], dict[str, str]]]:
        return Reading, (self._instead, self._alike)

    @cached_property
    def table(self) -> numpy.typing.NDArray[numpy.uint16]:
        """The fold of every UTF-16 unit: 0 drops it, 1 sends the whole text the slow way (surrogates, one-to-many)."""
        if not self._instead and not self._alike:
            return _plain_table()
        alike = numpy.arange(0x10000, dtype=numpy.uint16)
        for before, after in self._alike.items():
            if before < "\U00010000":
                alike[ord(before)] = ord(after) if after < "\U00010000" else _MANY
        table = alike.take(_plain_table())
        for before in self._instead:
            if before < "\U00010000":
                cell = self[before]
                table[ord(before)] = _DROP if isinstance(cell, int) else ord(cell) if len(cell) == 1 and cell < "\U00010000" else _MANY
        return table

    @cached_property
    def first_table(self) -> numpy.typing.NDArray[numpy.uint16]:
        """The table for a first look: two bytes 255 for what vanishes, `UNDECIDED` for what it cannot fold."""
        table = self.table.copy()
        table[self.table == _DROP] = 0xFFFF
        table[self.table == _MANY] = int.from_bytes(UNDECIDED, "little")
        if not any(character in PICTURES for character in self._instead):
            table[PICTURES_HIGH] = table[0xDC00:0xE000] = 0xFFFF  # a low half alone is nothing, behind another high one it does not matter
        return table

    @cached_property
    def escape_table(self) -> numpy.typing.NDArray[numpy.uint16]:
        """The first table for a text that was not folded: what can begin an escape is undecided too."""
        table = self.first_table.copy()
        table[list(map(ord, "\\%&"))] = int.from_bytes(UNDECIDED, "little")
        return table

    @cached_property
    def second_table(self) -> numpy.typing.NDArray[numpy.uint16]:
        """The table for a text in which `many` was replaced: what is left outside the plane is folded already."""
        table = self.table.copy()
        left = table == _MANY
        table[left] = numpy.flatnonzero(left)
        return table

    @cached_property
    def many(self) -> re.Pattern[str]:
        """The pattern of the characters that the table cannot fold: those outside the plane, those that become several."""
        several = "".join(chr(code) for code in numpy.flatnonzero(self.table == _MANY) if not 0xD800 <= code <= 0xDFFF)
        return re.compile(f"[{re.escape(several)}\ud800-\udfff\U00010000-\U0010ffff]")

    @cached_property
    def special(self) -> re.Pattern[str]:
        """The pattern of all that the table cannot fold: escapes, and the characters of `many`."""
        return re.compile(f"{ESCAPE.pattern}|{self.many.pattern}")

    def folded_alone(self, match: re.Match[str]) -> str:
        """Return the fold of one character that was found."""
        cell = self[match[0]]
        return cell if type(cell) is str else ""


@lru_cache(maxsize=1)
def _plain_table() -> numpy.typing.NDArray[numpy.uint16]:
    table = numpy.arange(0x10000, dtype=numpy.uint16)
    for form, one in han_forms().items():
        if form < "\U00010000":
            table[ord(form)] = ord(one) if one < "\U00010000" else _MANY
    table[0xD800:0xE000] = _MANY
    for code in _NOT_HAN:
        character = chr(code)
        if not _is_plain_letter(character):
            cell = _cell(character)
            table[code] = _DROP if isinstance(cell, int) else ord(cell) if len(cell) == 1 and cell < "\U00010000" else _MANY
    return table


_NOT_HAN: Final = (*range(0x3400), *range(0x4DC0, 0x4E00), *range(0xA000, 0xAC00), *range(0xD7A4, 0xD800), *range(0xF900, 0x10000))
"""What folds otherwise than by `han_forms`, below U+10000; the syllables of Hangul and the places for private use fold to themselves."""


def _is_plain_letter(character: str) -> bool:
    """Tell of most letters in a tenth of the time of `_cell` that they fold to themselves."""
    return (
        unicodedata.category(character) == "Lo"
        and character not in LOOKALIKES
        and unicodedata.normalize("NFKD", character) == character == character.casefold()
    )


PLAIN: Final = Reading()
"""The fold of every text and every term."""


def fold(text: str, reading: Reading = PLAIN) -> str:
    """Return the folded text, without the way back: one table look-up, about 3 µs for 200 characters."""
    if may_escape(text):
        text = ESCAPE.sub(unescaped, text)
    try:
        folded = _looked_up(text, reading.table)
        if "\x01" not in folded:
            return folded.replace("\x00", "")
    except UnicodeEncodeError:  # a lone surrogate
        pass
    return _looked_up(reading.many.sub(reading.folded_alone, text), reading.second_table).replace("\x00", "")


def _looked_up(text: str, table: numpy.typing.NDArray[numpy.uint16]) -> str:
    units, _ = utf_16_le_encode(text)
    return utf_16_le_decode(table.take(numpy.frombuffer(units, numpy.uint16)))[0]  # type: ignore[arg-type]  # any buffer will do


def origins(text: str, reading: Reading = PLAIN) -> numpy.typing.NDArray[numpy.intp]:
    """Return where the original of each character of `fold(text)` begins; about 10 ns a character.

    Whoever needs the ends and the gaps too folds that part alone with `fold_exactly`: they depend on what stands between two
    folded characters and on nothing further away.
    """
    if not may_escape(text):
        with contextlib.suppress(UnicodeEncodeError):
            folded = reading.table.take(numpy.frombuffer(utf_16_le_encode(text)[0], numpy.uint16))
            if not (folded == _MANY).any():
                return numpy.flatnonzero(folded)
    replaced: list[tuple[int, int, int]] = []

    def replace(match: re.Match[str]) -> str:
        cell = reading[match[0] if len(match[0]) == 1 else unescaped(match)]
        kept = cell if type(cell) is str else ""
        replaced.append((match.start(), match.end(), len(kept)))
        return kept

    codes = numpy.frombuffer(reading.special.sub(replace, text).encode("utf-32-le"), numpy.uint32)
    places = numpy.flatnonzero((codes > 0xFFFF) | (reading.second_table.take(numpy.minimum(codes, 0xFFFF)) != _DROP))
    return _before(places, replaced) if replaced else places


def _before(places: numpy.typing.NDArray[numpy.intp], replaced: list[tuple[int, int, int]]) -> numpy.typing.NDArray[numpy.intp]:
    """Return where places of a text stood before parts of it were replaced: (start, end, new length) in the text before."""
    starts, ends, lengths = numpy.array(replaced, numpy.intp).T
    grown = numpy.cumsum(lengths - (ends - starts))
    now = starts + numpy.concatenate(([0], grown[:-1]))
    last = numpy.searchsorted(now, places, "right") - 1
    after = places - now[last] - lengths[last]  # negative inside what was put there
    before: numpy.typing.NDArray[numpy.intp] = numpy.where(after < 0, starts[last], ends[last] + after)
    return numpy.where(last < 0, places, before)


class Fold(NamedTuple):
    """A folded text with the way back: for each folded character where its original begins and ends, and the gap before it."""

    characters: list[str]
    starts: list[int]
    ends: list[int]
    gaps: list[int]


def fold_exactly(text: str, reading: Reading = PLAIN) -> Fold:
    """Return the fold with offsets into `text`; the same characters as `fold`, about 0.3 µs each."""
    result = Fold([], [], [], [])
    folder = Folder(reading)
    folder.feed(text, result)
    folder.finish(result)
    return result


class Folder:
    """Folds a text that arrives in pieces; the result is the same for every way of cutting it."""

    __slots__ = ("_begun", "_invisible", "_reading", "_separators", "at", "gap")

    def __init__(self, reading: Reading = PLAIN) -> None:
        self._reading = reading
        self.at = 0
        """How far the text is folded; what follows (an open escape) has no meaning yet."""
        self.gap = ADJACENT
        """The gap since the last folded character."""
        self._begun = ""
        self._separators = 0
        self._invisible = 0

    def feed(self, text: str, into: Fold) -> None:
        """Append the fold of the next piece to `into`; offsets count from the first piece."""
        if not self._begun and not may_escape(text):
            self._plain(text, into)
            return
        text, self._begun = self._begun + text, ""
        begun = ESCAPE_BEGUN.search(text)
        if begun:
            text, self._begun = text[: begun.start()], text[begun.start() :]
        self._escaped(text, into)

    @property
    def undecided(self) -> bool:
        """Whether an escape is open."""
        return bool(self._begun)

    def skip(self, length: int, gap: int) -> None:
        """Pass over characters that somebody else has folded; the last one leaves this gap."""
        self.at += length
        self.gap = gap
        self._separators = self._invisible = 0

    def finish(self, into: Fold) -> None:
        """Take an escape that will never be finished as the characters it is written with."""
        if self._begun:
            rest, self._begun = self._begun, ""
            self._escaped(rest, into)

    def _escaped(self, text: str, into: Fold) -> None:
        at = 0
        for match in ESCAPE.finditer(text):
            self._plain(text[at : match.start()], into)
            self._one(unescaped(match), match.end() - match.start(), into)
            at = match.end()
        self._plain(text[at:], into)

    def _plain(self, text: str, into: Fold) -> None:
        cells = self._reading
        for at, character in enumerate(text, self.at):
            cell = cells[character]
            if cell.__class__ is str:
                into.characters.append(cell if len(cell) == 1 else cell[0])
                into.starts.append(at)
                into.ends.append(at + 1)
                into.gaps.append(self.gap)
                if len(cell) > 1:
                    self._further(cell, at, at + 1, into)
                self.gap = ADJACENT
                self._separators = self._invisible = 0
            else:
                self._nothing(cell)  # type: ignore[arg-type]  # an int here
        self.at += len(text)

    def _one(self, character: str, length: int, into: Fold) -> None:
        """Fold a character that is written with `length` characters."""
        at = self.at
        self._plain(character, into)
        self.at = at + length
        for place in range(len(into.ends) - 1, -1, -1):
            if into.starts[place] < at:
                break
            into.ends[place] = at + length

    def _further(self, cell: str, start: int, end: int, into: Fold) -> None:
        for part in cell[1:]:
            into.characters.append(part)
            into.starts.append(start)
            into.ends.append(end)
            into.gaps.append(ADJACENT)

    def _nothing(self, cell: int) -> None:
        if cell == INVISIBLE:
            self._invisible += 1
            if self._invisible > INVISIBLE_RUN:
                self.gap = BREAK
            return
        self._separators += 1
        if self._separators > GAP_CHARACTERS:
            self.gap = BREAK
        elif cell > self.gap:
            self.gap = cell
