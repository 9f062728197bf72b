"""TIFF and BigTIFF: the label stands in the XMP packet of the first directory, tag 0x02BC.

A TIFF is a web of places counted from the beginning, of which a reader knows some. So nothing moves: a packet that fits takes the old one's place;
else it is appended, and with it, where the first directory has no entry for it, a new first directory, to which the header leads.
For the same reason raw files of cameras that have the head of a TIFF (DNG, NEF, …) are taken as what they are.
Read as well: the packets of every directory, UserComment and ImageDescription. Source: TC260-PG-20259A (image guide); TIFF 6.0 §2; Exif 2.32.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from guiju.labelling.containers import exif, xmp
from guiju.labelling.containers.source import HELD_LIMIT_BYTES, VALUE_LIMIT_BYTES, Broken, Edit, Found, NoRoom, Site, Source

NAME: Final = "TIFF"
_XMP: Final = 0x02BC
_SUB_IFDS: Final = (0x014A, 0x8769)
_PIXELS: Final = ((0x0111, 0x0117), (0x0144, 0x0145))
"""Where strips and tiles stand, and how long they are."""
_TABLES: Final = frozenset(tag for pair in _PIXELS for tag in pair)
_C2PA: Final = 0xCD41
_SIZES: Final = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_NUMBERS: Final = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_UNDEFINED: Final = 7
_DIRECTORIES_LIMIT: Final = 20_000
_ENTRIES_LIMIT: Final = 200_000
"""Of all directories together: those of a hostile file lie in one another."""
_WINDOW: Final = 8192
_PADDING_BYTES: Final = 512
"""Room in a new packet, so that the next writer need not append another."""


@dataclass(frozen=True, slots=True)
class _Form:
    """How numbers are written: the order of bytes, and the large form with places of eight bytes."""

    order: str
    large: bool

    @property
    def entry(self) -> struct.Struct:
        return struct.Struct(self.order + ("HHQ8s" if self.large else "HHI4s"))

    @property
    def count(self) -> struct.Struct:
        return struct.Struct(self.order + ("Q" if self.large else "H"))

    @property
    def place(self) -> struct.Struct:
        return struct.Struct(self.order + ("Q" if self.large else "I"))


@dataclass(frozen=True, slots=True)
class _Entry:
    """One entry of a directory: its tag, kind and number of items, where it and its value stand, and how long the value is."""

    tag: int
    kind: int
    items: int
    at: int
    value: int
    length: int


@dataclass(slots=True)
class _Directory:
    """One directory: its entries as they lie, and as they are read, and where the place of the next one stands."""

    at: int
    raw: bytes
    entries: list[_Entry] = field(default_factory=list)
    next_at: int = 0


@dataclass(slots=True)
class _Packet:
    """An XMP packet, and how many directories lead to it."""

    text: bytes
    found: xmp.Packet
    uses: int = 1


def sniff(head: bytes) -> bool:
    """Tell whether the file begins as a TIFF, in one of the orders of bytes, small or large."""
    return head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def examine(source: Source) -> Found:
    """Read every directory, the packets and comments in them, and whether the pixels are there. Raises Broken."""
    form, first_at = _form(source)
    directories = list(_directories(source, form, first_at))
    if not directories:
        raise Broken("there is no directory", 0)
    packets: dict[int, _Packet] = {}
    sites: list[Site] = []
    blanks: list[Edit] = []
    traces: list[str] = []
    read = 0
    for entry in (entry for each in directories for entry in each.entries):
        if entry.tag == _XMP and entry.length:
            if entry.value in packets:
                packets[entry.value].uses += 1
                continue
            text = source.read(entry.value, entry.length)
            packets[entry.value] = packet = _Packet(text, xmp.examine(source.held(text, entry.value), entry.value))
            sites += [Site("tiff:XMP", entry.value, entry.value + entry.length, one) for one in packet.found.texts]
            traces += packet.found.traces
        elif entry.tag in exif.TEXTS and entry.length <= 2 * VALUE_LIMIT_BYTES + 8:
            read += entry.length
            if read > HELD_LIMIT_BYTES:
                raise Broken(f"its texts are more than the {HELD_LIMIT_BYTES} bytes that are examined", entry.at)
            found = exif.examine_value(entry.tag, source.read(entry.value, entry.length), entry.value, form.order)
            sites += found.sites
            blanks += [blank for blank in found.blanks if blank not in blanks]
            traces += found.traces
        elif entry.tag == _C2PA:
            traces.append("c2pa")
    notes = [note for packet in packets.values() for note in packet.found.notes]
    sites = list(dict.fromkeys(sites))

    def place(inner: str) -> list[Edit]:
        return [*blanks, *_placed(source, form, directories[0], packets, inner)]

    return Found(tuple(sites), tuple(traces), place, tuple(notes))


def _form(source: Source) -> tuple[_Form, int]:
    """Return how numbers are written, and where the first directory stands."""
    head = source.read(0, 8)
    form = _Form("<" if head[:2] == b"II" else ">", head[2:4] in (b"+\0", b"\0+"))
    if form.large and head[4:8] != struct.pack(form.order + "HH", 8, 0):
        raise Broken("a BigTIFF whose places are not of eight bytes", 4)
    (first,) = form.place.unpack(source.read(8 if form.large else 4, form.place.size))
    return form, first


def _directories(source: Source, form: _Form, at: int) -> Iterator[_Directory]:
    """Yield the directories of the chain, and behind each those that its entries lead to; a chain that leads back is refused."""
    seen: set[int] = set()
    chain: set[int] = set()
    entries = pieces = 0
    while at:
        if at in chain:
            raise Broken("the directories lead in a circle", at)
        chain.add(at)
        waiting = [at]
        while waiting:
            place = waiting.pop()
            if place in seen:
                continue
            seen.add(place)
            if len(seen) > _DIRECTORIES_LIMIT:
                raise Broken("there are too many directories", place)
            entries += (_next_at(source, form, place) - place) // form.entry.size
            if entries > _ENTRIES_LIMIT:
                raise Broken(f"its directories have more than {_ENTRIES_LIMIT} entries", place)
            directory = _directory(source, form, place)
            yield directory
            pieces += sum(entry.length for entry in directory.entries if entry.tag in _TABLES)
            if pieces > source.size:
                raise Broken("its tables of pixels are longer than the file", place)
            _pixels_are_there(source, form, directory)
            for entry in directory.entries:
                if entry.tag in _SUB_IFDS and entry.kind in _NUMBERS:
                    if entry.items > _DIRECTORIES_LIMIT:
                        raise Broken("there are too many directories", place)
                    waiting += [each for each in _numbers(source, form, entry) if each]
        if at not in seen:
            return
        (at,) = form.place.unpack(source.read(_next_at(source, form, at), form.place.size))


def _next_at(source: Source, form: _Form, at: int) -> int:
    (count,) = form.count.unpack(source.read(at, form.count.size))
    return at + form.count.size + int(count) * form.entry.size


def _directory(source: Source, form: _Form, at: int) -> _Directory:
    if at < 8:
        raise Broken("a directory stands in the head of the file", at)
    next_at = _next_at(source, form, at)
    start = at + form.count.size
    raw = source.read(start, next_at - start)
    if not raw:
        raise Broken("a directory is empty", at)
    source.read(next_at, form.place.size)
    found = _Directory(at, raw, next_at=next_at)
    room = form.place.size
    for index, (tag, kind, items, value) in enumerate(form.entry.iter_unpack(raw)):
        length = items * _SIZES.get(kind, 1)
        entry_at = start + index * form.entry.size
        where = entry_at + form.entry.size - room if length <= room else form.place.unpack(value)[0]
        found.entries.append(_Entry(tag, kind, items, entry_at, where, length))
    return found


def _pixels_are_there(source: Source, form: _Form, directory: _Directory) -> None:
    by_tag = {entry.tag: entry for entry in directory.entries}
    for where, how_long in _PIXELS:
        if where not in by_tag or how_long not in by_tag:
            continue
        starts, lengths = by_tag[where], by_tag[how_long]
        if starts.items != lengths.items or starts.kind not in _NUMBERS or lengths.kind not in _NUMBERS:
            raise Broken("a directory tells other numbers of pieces than of their lengths", directory.at)
        for start, length in zip(_numbers(source, form, starts), _numbers(source, form, lengths), strict=True):
            if start + length > source.size:
                raise Broken("pixels reach beyond the end of the file", start)


def _numbers(source: Source, form: _Form, entry: _Entry) -> Iterator[int]:
    """Yield the numbers of a value, read in windows."""
    code = _NUMBERS[entry.kind]
    size = struct.calcsize(code)
    for first in range(0, entry.items, _WINDOW):
        count = min(_WINDOW, entry.items - first)
        yield from struct.unpack(f"{form.order}{count}{code}", source.read(entry.value + first * size, count * size))


def _placed(source: Source, form: _Form, first: _Directory, packets: dict[int, _Packet], inner: str) -> list[Edit]:
    old = next((entry for entry in first.entries if entry.tag == _XMP), None)
    packet = packets.get(old.value) if old else None
    # Other directories' packets lose their labels where they are: what is left is never longer.
    edits = [
        Edit(at, at + len(each.text), xmp.without_label(each.text, each.found).ljust(len(each.text)))
        for at, each in packets.items()
        if each.found.spans and not (each is packet and each.uses == 1)
    ]
    if old is None or packet is None:
        return [*edits, *_appended(source, form, first, old, xmp.new_packet(inner, _PADDING_BYTES))]
    if packet.uses == 1:
        new = xmp.with_label(packet.text, packet.found, inner, old.length)
        if len(new) <= old.length:
            return [*edits, Edit(old.value, old.value + old.length, new.ljust(old.length))]
        if packet.found.spans:
            edits.append(Edit(old.value, old.value + old.length, xmp.without_label(packet.text, packet.found).ljust(old.length)))
    return [*edits, *_appended(source, form, first, old, xmp.with_label(packet.text, packet.found, inner))]


def _appended(source: Source, form: _Form, first: _Directory, old: _Entry | None, packet: bytes) -> list[Edit]:
    """Return the edits that put the packet, and where it is needed a new first directory, behind everything."""
    start = source.size + source.size % 2
    if not form.large and start + len(packet) + len(first.raw) + 32 >= 1 << 32:
        raise NoRoom("the file would grow over 4 GiB, and its form knows no larger place")
    entry = form.entry.pack(_XMP, _UNDEFINED, len(packet), form.place.pack(start))
    tail = bytes(start - source.size) + packet
    if old is not None:
        return [Edit(old.at, old.at + form.entry.size, entry), Edit(source.size, source.size, tail)]
    entries = [first.raw[at : at + form.entry.size] for at in range(0, len(first.raw), form.entry.size)]
    behind = sum(each.tag < _XMP for each in first.entries)
    entries.insert(behind, entry)
    if not form.large and len(entries) > 0xFFFF:
        raise NoRoom("its first directory is full")
    tail += bytes(-(start + len(packet)) % 8)
    directory = form.count.pack(len(entries)) + b"".join(entries) + source.read(first.next_at, form.place.size)
    where = form.place.pack(source.size + len(tail))
    head = 8 if form.large else 4
    return [Edit(head, head + form.place.size, where), Edit(source.size, source.size, tail + directory)]
