"""A PDF file by its cross-references: the trailer in force, and any object by its number, in whatever build the file has.

Classic tables, cross-reference streams, hybrid files, object streams, any number of revisions, linearised files. Nothing is repaired:
where the references lead astray the file is damaged. Everything that unpacks has a bound, every chain ends, every loop is refused.
Source: ISO 32000-1:2008 §7.5, §7.4.4 (Flate, predictors).
"""

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from guiju.labelling.containers.pdf_objects import Cut, Dictionary, Item, Name, Reference, Value, after_space, read_value
from guiju.labelling.containers.source import PART_LIMIT_BYTES, Broken, Source

SECTIONS_LIMIT: Final = 1024
SUBSECTIONS_LIMIT: Final = 16_384
"""Of all sections together."""
OBJECTS_LIMIT: Final = 2_000
"""Objects that are looked at for one file, not those that it holds."""
UNPACKED_LIMIT_BYTES: Final = 16 * 1024 * 1024
OBJECT_LIMIT_BYTES: Final = 512 * 1024
_TAIL: Final = re.compile(rb"startxref[\0\t\n\f\r ]++(\d{1,19})[\0\t\n\f\r ]++%%EOF[\0\t\n\f\r ]*+\Z")
_HEADING: Final = re.compile(rb"[\0\t\n\f\r ]*+(\d{1,10})[\0\t\n\f\r ]++(\d{1,5})[\0\t\n\f\r ]++obj")
_SUBSECTION: Final = re.compile(rb"(\d{1,10})[ \t]++(\d{1,10})[ \t]*+(?:\r\n|\n|\r)")
_ROW: Final = re.compile(rb"(\d{10}) (\d{5}) ([nf])(?: \r| \n|\r\n)")
_STREAM: Final = re.compile(rb"[\0\t\n\f\r ]*+stream(?:\r\n|\n)")


@dataclass(frozen=True, slots=True)
class Section:
    """One cross-reference section: its trailer, and its rows, in the file (a table) or unpacked (a stream)."""

    at: int
    trailer: Dictionary
    raw: bytes
    """The bytes that the trailer's places count from."""
    table: tuple[tuple[int, int, int], ...] = ()
    """(first number, count, where its rows begin) of each subsection of a table."""
    index: tuple[tuple[int, int, int], ...] = ()
    """(first number, count, first row) of each subsection of a stream."""
    widths: tuple[int, int, int] = (0, 0, 0)
    rows: bytes = b""

    @property
    def is_stream(self) -> bool:
        return bool(self.index or self.rows or b"W" in self.trailer.entries)


@dataclass(frozen=True, slots=True)
class Found:
    """An object: its value, the bytes that places in it count from, where it lies in the file, its stream's data if it has one."""

    value: Value
    raw: bytes
    at: int
    stream_at: int = -1
    raw_at: int = -1
    """Where `raw` lies in the file; -1 when it was unpacked."""


class PdfFile:
    """The sections of a file, newest first. Raises Broken."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._unpacked = 0
        self._objects = 0
        self._subsections = 0
        self._packs: dict[int, tuple[Dictionary, bytes]] = {}
        self.start = _start(source)
        self.sections: list[Section] = []
        self._hidden: dict[int, Section] = {}
        self._follow(self.start)
        self.newest = self.sections[0]
        self.trailer = self.newest.trailer

    def _follow(self, at: int) -> None:
        seen: set[int] = set()
        following: int | None = at
        while following is not None:
            if following in seen or len(seen) >= SECTIONS_LIMIT:
                raise Broken("the cross-references of the PDF lead in a circle, or are too many", following)
            seen.add(following)
            section = self._section(following)
            self.sections.append(section)
            hidden = section.trailer.get(b"XRefStm")
            if isinstance(hidden, int) and not section.is_stream:
                self._hidden[len(self.sections) - 1] = self._section(hidden)
            previous = section.trailer.get(b"Prev")
            if previous is not None and not isinstance(previous, int):
                raise Broken("the PDF's trailer names no place of the one before", section.at)
            following = previous

    def _section(self, at: int) -> Section:
        head = self.source.read(at, min(32, self.source.size - at)) if 0 < at < self.source.size else b""
        begin = after_space(head, 0)
        return self._table(at + begin + 4) if head[begin : begin + 4] == b"xref" else self._stream_section(at)

    def _table(self, begin: int) -> Section:
        parts: list[tuple[int, int, int]] = []
        at = begin
        while True:
            head = self._window(at, 64)
            at += after_space(head, 0)
            head = self._window(at, 64)
            if head.startswith(b"trailer"):
                break
            match = _SUBSECTION.match(head)
            if match is None:
                raise Broken("the cross-reference table of the PDF is none", at)
            self._count(1, at)
            rows_at, count = at + match.end(), int(match[2])
            at = rows_at + 20 * count
            if at > self.source.size:
                raise Broken("the cross-reference table of the PDF reaches beyond the end of the file", rows_at)
            parts.append((int(match[1]), count, rows_at))
        found, raw = self._value_at(at + len(b"trailer"))
        if not isinstance(found.value, Dictionary):
            raise Broken("the PDF has a cross-reference table without a trailer", at)
        return Section(begin - 4, found.value, raw, tuple(parts))

    def _stream_section(self, at: int) -> Section:
        _, found = self._object_at(at)
        trailer = found.value
        if not isinstance(trailer, Dictionary) or trailer.get(b"Type") != Name(b"XRef") or found.stream_at < 0:
            raise Broken("the place of the PDF's cross-references holds none", at)
        widths = _numbers(trailer.get(b"W"))
        size = trailer.get(b"Size")
        index = _numbers(trailer.get(b"Index")) if b"Index" in trailer.entries else ([0, size] if isinstance(size, int) else [])
        if len(widths) != 3 or len(index) % 2 or not index or max(widths) > 8 or not sum(widths) > 0:
            raise Broken("a cross-reference stream of the PDF does not say how it is built", at)
        length = trailer.get(b"Length")
        if not isinstance(length, int):
            raise Broken("a cross-reference stream of the PDF does not say its length", at)
        rows = self.unpacked(trailer, self._data(found.stream_at, length), at)
        self._count(len(index) // 2, at)
        parts, row = [], 0
        for first, count in zip(index[::2], index[1::2], strict=True):
            parts.append((first, count, row))
            row += count
        if row * sum(widths) > len(rows):
            raise Broken("a cross-reference stream of the PDF is shorter than it says", at)
        return Section(at, trailer, found.raw, (), tuple(parts), (widths[0], widths[1], widths[2]), rows)

    def _count(self, subsections: int, at: int) -> None:
        self._subsections += subsections
        if self._subsections > SUBSECTIONS_LIMIT:
            raise Broken(f"the cross-references of the PDF have more than {SUBSECTIONS_LIMIT} parts", at)

    def _row(self, section: Section, number: int) -> tuple[int, int, int] | None:
        """Return (kind, place, generation) of an object: 0 free, 1 in the file, 2 in an object stream; None when the section is silent."""
        for first, count, at in section.table:
            if first <= number < first + count:
                row = self.source.read(at + 20 * (number - first), 20)
                match = _ROW.fullmatch(row)
                if match is None:
                    raise Broken("a row of the PDF's cross-reference table is none", at + 20 * (number - first))
                return (1 if match[3] == b"n" else 0), int(match[1]), int(match[2])
        width = sum(section.widths)
        for first, count, row_number in section.index:
            if first <= number < first + count:
                at = (row_number + number - first) * width
                one, two, _ = section.widths
                row = section.rows[at : at + width]
                kind = int.from_bytes(row[:one], "big") if one else 1
                return kind, int.from_bytes(row[one : one + two], "big"), int.from_bytes(row[one + two :], "big")
        return None

    def _located(self, number: int) -> tuple[int, int, int]:
        for position, section in enumerate(self.sections):
            row = self._row(section, number)
            if (row is None or row[0] == 0) and position in self._hidden:
                row = self._row(self._hidden[position], number) or row
            if row is not None:
                return row
        return 0, 0, 0

    def get(self, reference: Reference) -> Found | None:
        """Return an object, None when it is free or was never written. Raises Broken when its place holds another."""
        self._objects += 1
        if self._objects > OBJECTS_LIMIT:
            raise Broken(f"more than {OBJECTS_LIMIT} objects of the PDF would have to be read")
        kind, place, third = self._located(reference.number)
        if kind == 0:
            return None
        if kind == 1:
            if third != reference.generation:
                return None
            heading, found = self._object_at(place)
            if heading != reference:
                raise Broken("the cross-references of the PDF lead to another object", place)
            return found
        if kind == 2 and reference.generation == 0:
            return self._from_pack(place, third, reference.number)
        raise Broken("the cross-references of the PDF name an object of an unknown kind")

    def resolved(self, value: Value | None, limit: int = 8) -> Found | None:
        """Return what a value stands for, references followed. Raises Broken when they lead in a circle."""
        found = None if value is None else Found(value, b"", 0)
        for _ in range(limit):
            if found is None or not isinstance(found.value, Reference):
                return found
            found = self.get(found.value)
        raise Broken("references of the PDF lead in a circle")

    def dictionary(self, value: Value | None) -> Dictionary | None:
        """Return the dictionary that a value stands for, None when it is none."""
        found = self.resolved(value)
        return found.value if found and isinstance(found.value, Dictionary) else None

    def stream(self, found: Found) -> bytes:
        """Return the data of a stream, unpacked. Raises Broken when it is more than is examined, or packed in a way that is not read."""
        if not isinstance(found.value, Dictionary) or found.stream_at < 0:
            raise Broken("what should be a stream of the PDF is none", found.at)
        length = self.resolved(found.value.get(b"Length"))
        if length is None or not isinstance(length.value, int):
            raise Broken("a stream of the PDF does not say its length", found.at)
        return self.unpacked(found.value, self._data(found.stream_at, length.value), found.at)

    def _data(self, at: int, length: int) -> bytes:
        data = self.source.read(at, length)
        behind = self._window(at + length, 32)
        if not behind[after_space(behind, 0) :].startswith(b"endstream"):
            raise Broken("a stream of the PDF does not end where it says", at + length)
        return data

    def unpacked(self, facts: Dictionary, data: bytes, at: int) -> bytes:
        """Return data with its filters undone. Raises Broken."""
        filters = _names(self._listed(facts.get(b"Filter")), at)
        parameters: list[Value | None] = list(self._listed(facts.get(b"DecodeParms"))) or [None]
        for position, name in enumerate(filters):
            told = self.dictionary(parameters[position] if position < len(parameters) else None)
            if name in (b"FlateDecode", b"Fl"):
                data = self._inflated(data, at)
                data = _unpredicted(data, told, at)
            elif name != b"Crypt" or (told and told.get(b"Name") not in (None, Name(b"Identity"))):
                raise Broken(f"a stream of the PDF is packed with {name.decode('latin-1')[:40]}, which is not read", at)
        return data

    def _listed(self, value: Value | None) -> list[Value]:
        found = self.resolved(value)
        if found is None:
            return []
        return [each.value for each in found.value] if isinstance(found.value, list) else [found.value]

    def _inflated(self, data: bytes, at: int) -> bytes:
        unpack = zlib.decompressobj()
        try:
            text = unpack.decompress(data, PART_LIMIT_BYTES)
        except zlib.error as error:
            raise Broken("a stream of the PDF cannot be unpacked", at) from error
        self._unpacked += len(text)
        if not unpack.eof or self._unpacked > UNPACKED_LIMIT_BYTES:
            raise Broken("a stream of the PDF is cut, or grows over what is examined", at)
        return text

    def _from_pack(self, number: int, position: int, wanted: int) -> Found:
        """Return an object of an object stream."""
        if number not in self._packs:
            kind, place, generation = self._located(number)
            if kind != 1 or generation:
                raise Broken("an object stream of the PDF is not where it should be", place)
            heading, found = self._object_at(place)
            facts = found.value
            if heading.number != number or not isinstance(facts, Dictionary) or facts.get(b"Type") != Name(b"ObjStm"):
                raise Broken("the cross-references of the PDF name an object stream that is none", place)
            if len(self._packs) >= 64:
                self._packs.clear()
            self._packs[number] = facts, self.stream(found) + b"\nendobj"  # so that the last object has an end
        facts, text = self._packs[number]
        count, first = facts.get(b"N"), facts.get(b"First")
        if not isinstance(count, int) or not isinstance(first, int) or not 0 <= position < count or not 0 <= first <= len(text):
            raise Broken("an object stream of the PDF does not hold what it should")
        head = text[:first].split()
        try:
            listed, offset = int(head[2 * position]), int(head[2 * position + 1])
        except (IndexError, ValueError) as error:
            raise Broken("an object stream of the PDF has no list of its objects") from error
        if listed != wanted or not 0 <= offset <= len(text) - first:
            raise Broken("an object stream of the PDF holds another object")
        try:
            item = read_value(text[: first + offset + OBJECT_LIMIT_BYTES], first + offset)
        except Cut as error:
            raise Broken("an object of the PDF's object stream is cut, or longer than what is examined") from error
        return Found(item.value, text, self._located(number)[1])

    def _object_at(self, at: int) -> tuple[Reference, Found]:
        head = self._window(at, 64)
        match = _HEADING.match(head)
        if match is None:
            raise Broken("there is no object where the PDF says", at)
        item, raw = self._value_at(at + match.end())
        begin = at + match.end()
        behind = self._window(begin + item.stop, 32)
        stream = _STREAM.match(behind) if isinstance(item.value, Dictionary) else None
        stream_at = begin + item.stop + stream.end() if stream else -1
        if not stream and not behind[after_space(behind, 0) :].startswith(b"endobj"):
            raise Broken("an object of the PDF has no end", at)
        return Reference(int(match[1]), int(match[2])), Found(item.value, raw, at, stream_at, begin)

    def _value_at(self, at: int) -> tuple[Item, bytes]:
        """Return the value that begins there and the bytes it was read from, of which no more are read than it needs."""
        length = 2048
        while True:
            raw = self._window(at, length)
            try:
                return read_value(raw, 0), raw
            except Cut as error:
                if len(raw) < length or length >= OBJECT_LIMIT_BYTES:
                    raise Broken("an object of the PDF is cut, or longer than what is examined", at) from error
                length = min(8 * length, OBJECT_LIMIT_BYTES)
            except Broken as error:
                raise Broken(error.reason, at + error.at) from error

    def _window(self, at: int, length: int) -> bytes:
        if not 0 <= at <= self.source.size:
            raise Broken("the PDF names a place beyond the end of the file", at)
        return self.source.read(at, min(length, self.source.size - at))


def _start(source: Source) -> int:
    """Return where the newest cross-references lie. Nothing but white space may follow the end of the file."""
    length = min(2048, source.size)
    match = _TAIL.search(source.read(source.size - length, length))
    if match is None:
        raise Broken("the PDF does not end as one: no startxref and %%EOF, or something behind them", source.size)
    return int(match[1])


def _numbers(value: Value | None) -> list[int]:
    if not isinstance(value, list):
        return []
    found = [each.value for each in value]
    return [each for each in found if isinstance(each, int) and each >= 0] if all(isinstance(each, int) for each in found) else []


def _names(values: list[Value], at: int) -> Iterator[bytes]:
    for each in values:
        if not isinstance(each, Name):
            raise Broken("a stream of the PDF names a filter that is none", at)
        yield each.text


def _unpredicted(data: bytes, told: Dictionary | None, at: int) -> bytes:
    """Return data with its predictor undone: none, or one of PNG; that of TIFF occurs in pictures alone."""
    predictor = (told and told.get(b"Predictor")) or 1
    if predictor == 1:
        return data
    facts = [(told and told.get(key)) or preset for key, preset in ((b"Columns", 1), (b"Colors", 1), (b"BitsPerComponent", 8))]
    if (
        not isinstance(predictor, int)
        or not 10 <= predictor <= 15
        or not all(isinstance(fact, int) and 0 < fact <= 65_536 for fact in facts)
    ):
        raise Broken("a stream of the PDF has a predictor that is not read", at)
    columns, colours, bits = (fact for fact in facts if isinstance(fact, int))
    step, width = max(1, colours * bits // 8), (columns * colours * bits + 7) // 8
    if len(data) % (width + 1):
        raise Broken("a stream of the PDF is not as long as its predictor needs", at)
    if not data[:: width + 1].strip(b"\2"):  # every row counts from the one above, as nearly all writers do
        rows = bytearray(len(data) // (width + 1) * width)
        for column in range(width):
            rows[column::width] = bytes(total & 255 for total in accumulate(data[column + 1 :: width + 1]))
        return bytes(rows)
    return _png_rows(data, width, step, at)


def _png_rows(data: bytes, width: int, step: int, at: int) -> bytes:
    above, rows = bytes(width), []
    for begin in range(0, len(data), width + 1):
        kind, row = data[begin], bytearray(data[begin + 1 : begin + 1 + width])
        if kind > 4:
            raise Broken("a row of a PDF stream has no predictor that is known", at)
        for column in range(width if kind else 0):
            left = row[column - step] if column >= step else 0
            up = above[column]
            if kind == 1:
                guess = left
            elif kind == 2:
                guess = up
            elif kind == 3:
                guess = (left + up) // 2
            else:
                corner = above[column - step] if column >= step else 0
                guess = min((left, up, corner), key=lambda each: abs(left + up - corner - each))
            row[column] = (row[column] + guess) & 255
        above = bytes(row)
        rows.append(above)
    return b"".join(rows)
