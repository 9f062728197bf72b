"""The objects of PDF, read from bytes: names, strings, numbers, arrays, dictionaries, references; each knows where it lies.

Source: ISO 32000-1:2008 §7.2 and §7.3.
"""

import re
from dataclasses import dataclass
from typing import Final

from guiju.labelling.containers.source import Broken

DEPTH_LIMIT: Final = 64
_SPACE: Final = re.compile(rb"(?:[\0\t\n\f\r ]++|%[^\r\n]*+)*+")
_NUMBER: Final = re.compile(rb"[+-]?(?:\d++\.?\d*+|\.\d++)(?=[\0\t\n\f\r ()<>\[\]{}/%]|\Z)")
_REFERENCE: Final = re.compile(rb"(\d{1,10})[\0\t\n\f\r ]++(\d{1,5})[\0\t\n\f\r ]++R(?=[\0\t\n\f\r ()<>\[\]{}/%]|\Z)")
_NAME: Final = re.compile(rb"/([^\0\t\n\f\r ()<>\[\]{}/%]*+)")
_WORD: Final = re.compile(rb"[A-Za-z]++")
_HEX: Final = re.compile(rb"<([0-9A-Fa-f\0\t\n\f\r ]*+)>")
_STRING_PIECE: Final = re.compile(rb"[^()\\]++|\\(?:\r\n|.)|[()]", re.DOTALL)
_ESCAPES: Final = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}
_PLAIN: Final = re.compile(rb"\\([0-7]{1,3}|\r\n|.)|\r\n?", re.DOTALL)


class Cut(Exception):
    """The bytes end in the middle of an object: more of them must be read, or the file is cut."""


@dataclass(frozen=True, slots=True)
class Reference:
    """`number generation R`."""

    number: int
    generation: int


@dataclass(frozen=True, slots=True)
class Name:
    """`/name`, its `#xx` read."""

    text: bytes


@dataclass(frozen=True, slots=True)
class Literal:
    """A string, read; or a word such as `true` when `word`."""

    data: bytes
    word: bool = False


@dataclass(frozen=True, slots=True)
class Item:
    """A value and where it lies in the bytes it was read from; an entry of a dictionary begins at its key."""

    value: "Value"
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Dictionary:
    """`<< … >>`: its entries by key. `inner_stop` is where the closing `>>` begins."""

    entries: dict[bytes, Item]
    start: int
    inner_stop: int
    stop: int

    def get(self, key: bytes) -> "Value | None":
        """Return the value of a key; a null counts as none."""
        item = self.entries.get(key)
        return None if item is None or item.value == NULL else item.value


Value = Reference | Name | Literal | int | float | list["Item"] | Dictionary
NULL: Final = Literal(b"null", word=True)


def after_space(data: bytes, at: int) -> int:
    """Return the first place behind white space and comments."""
    match = _SPACE.match(data, at)
    return match.end() if match else at


def read_value(data: bytes, at: int, depth: int = 0) -> Item:
    """Return the value that begins at `at`, white space aside. Raises Cut, and Broken for what is no value or nests too deep."""
    if depth > DEPTH_LIMIT:
        raise Broken(f"a PDF object nests deeper than {DEPTH_LIMIT}", at)
    at = after_space(data, at)
    first = data[at : at + 1]
    if not first:
        raise Cut
    if first == b"<" and data[at + 1 : at + 2] == b"<":
        found = _dictionary(data, at, depth)
        return Item(found, at, found.stop)
    if first == b"[":
        return _array(data, at, depth)
    if first == b"(":
        return _string(data, at)
    match: re.Match[bytes] | None
    if first == b"<":
        if match := _HEX.match(data, at):
            digits = re.sub(rb"[^0-9A-Fa-f]", b"", match[1])
            return Item(Literal(bytes.fromhex((digits + b"0" * (len(digits) % 2)).decode())), at, match.end())
        raise Cut
    if first == b"/":
        match = _NAME.match(data, at)
        assert match
        if match.end() == len(data):
            raise Cut
        return Item(Name(re.sub(rb"#([0-9A-Fa-f]{2})", lambda hit: bytes.fromhex(hit[1].decode()), match[1])), at, match.end())
    if match := _REFERENCE.match(data, at):
        return Item(Reference(int(match[1]), int(match[2])), at, match.end())
    if match := _NUMBER.match(data, at):
        if match.end() + 24 > len(data) and match.end() - at < 24:
            _more(data, match.end())
        text = match[0]
        if len(text) > 40:
            raise Broken("a number of a PDF is too long", at)
        return Item(float(text) if b"." in text else int(text), at, match.end())
    if match := _WORD.match(data, at):
        if match.end() == len(data):
            raise Cut
        if match[0] in (b"true", b"false", b"null"):
            return Item(Literal(match[0], word=True), at, match.end())
    if len(data) - at < 24:
        raise Cut
    raise Broken("what should be a PDF object is none", at)


def _more(data: bytes, at: int) -> None:
    """Raise Cut where a number at the end of the bytes may be the beginning of a reference."""
    if re.fullmatch(rb"[\0\t\n\f\r ]*+(?:\d{0,5}[\0\t\n\f\r ]*+)", data[at:]):
        raise Cut


def _dictionary(data: bytes, start: int, depth: int) -> Dictionary:
    entries: dict[bytes, Item] = {}
    at = start + 2
    while True:
        at = after_space(data, at)
        if data[at : at + 2] == b">>":
            return Dictionary(entries, start, at, at + 2)
        if at + 2 > len(data):
            raise Cut
        if data[at : at + 1] != b"/":
            raise Broken("a key of a PDF dictionary is no name", at)
        key = read_value(data, at, depth)
        value = read_value(data, key.stop, depth + 1)
        assert isinstance(key.value, Name)
        if key.value.text in entries:
            raise Broken("a key stands twice in a PDF dictionary", at)
        entries[key.value.text] = Item(value.value, at, value.stop)
        at = value.stop


def _array(data: bytes, start: int, depth: int) -> Item:
    items: list[Item] = []
    at = after_space(data, start + 1)
    while data[at : at + 1] != b"]":
        if at >= len(data):
            raise Cut
        items.append(read_value(data, at, depth + 1))
        at = after_space(data, items[-1].stop)
    return Item(items, start, at + 1)


def _string(data: bytes, start: int) -> Item:
    depth, at = 1, start + 1
    while depth:
        match = _STRING_PIECE.match(data, at)
        if match is None:
            raise Cut
        depth += {b"(": 1, b")": -1}.get(match[0], 0)
        at = match.end()
    return Item(Literal(_PLAIN.sub(_escape, data[start + 1 : at - 1])), start, at)


def _escape(hit: re.Match[bytes]) -> bytes:
    what = hit[1]
    if what is None:
        return b"\n"
    if what[:1] in b"01234567":
        return bytes([int(what, 8) & 255])
    if what in (b"\n", b"\r", b"\r\n"):
        return b""
    return _ESCAPES.get(what, what)


def text_of(data: bytes) -> str:
    """Return a text string as people read it: UTF-16 or UTF-8 where its first bytes say so, else as ASCII; what cannot be read is U+FFFD.

    Of PDFDocEncoding only the ASCII part can stand in a label; the rest is shown as ISO 8859-1.
    """
    if data[:2] in (b"\xfe\xff", b"\xff\xfe"):
        return re.sub("\x1b[^\x1b]*\x1b", "", data.decode("utf-16", "replace"))
    if data[:3] == b"\xef\xbb\xbf":
        return data[3:].decode("utf-8", "replace")
    return data.decode("latin-1")


def string_of(text: str) -> bytes:
    """Return a string literal of ASCII text."""
    return b"(" + re.sub(rb"([()\\])", rb"\\\1", text.encode("ascii")) + b")"
