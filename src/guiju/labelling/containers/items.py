"""Items of a box `meta`: a picture's parts, its EXIF and its XMP, with where their bytes lie.

Source: ISO/IEC 14496-12 §8.11 (meta, iloc, iinf, iref); ISO/IEC 23008-12 Annex A.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from guiju.labelling.containers.addresses import LONG, Moves
from guiju.labelling.containers.boxes import WORD, Box, box, end_of
from guiju.labelling.containers.film import Film, Meta
from guiju.labelling.containers.source import Broken, NoRoom, Source

XMP_MEDIA_TYPE: Final = b"application/rdf+xml"
_IN_FILE: Final = 0
_IN_IDAT: Final = 1


@dataclass(frozen=True, slots=True)
class Place:
    """Where an item's bytes lie: a base, and pieces (index, offset from the base, length)."""

    item: int
    method: int
    reference: int
    base: int
    pieces: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class Places:
    """A box `iloc`: the bytes that its fields take, and its entries in order."""

    box: Box
    version: int
    offset_bytes: int
    length_bytes: int
    base_bytes: int
    index_bytes: int
    entries: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class Item:
    """An entry of `iinf`: number, type, media type, and whether its bytes are packed or protected."""

    number: int
    kind: bytes
    media_type: bytes
    coded: bool


@dataclass(frozen=True, slots=True)
class ItemList:
    """A box `iinf`: the bytes of its count, where a further entry may stand, its entries."""

    box: Box
    count_bytes: int
    end: int
    items: tuple[Item, ...]


class _Cut(Exception):
    pass


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def number(self, width: int) -> int:
        if self.at + width > len(self.data):
            raise _Cut
        self.at += width
        return int.from_bytes(self.data[self.at - width : self.at], "big")

    def text(self) -> bytes:
        """Return what stands up to the next zero, or up to the end: some writers leave the last zero out."""
        stop = self.data.find(b"\0", self.at)
        stop = len(self.data) if stop < 0 else stop
        found, self.at = self.data[self.at : stop], stop + 1
        return found


def read_places(source: Source, meta: Meta) -> Places | None:
    """Return the places of the items; None when there is no such box. Raises Broken."""
    found = meta.find(b"iloc")
    if found is None:
        return None
    reader = _Reader(source.read(found.body, found.stop - found.body))
    try:
        return _places(reader, found)
    except _Cut:
        raise Broken("the places of the items are cut", found.at) from None


def _places(reader: _Reader, found: Box) -> Places:
    version = reader.number(4) >> 24
    if version > 2:
        raise Broken("the places of the items have an unknown form", found.at)
    sizes = reader.number(2)
    offset, length, base, index = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15, sizes & 15 if version else 0
    if {offset, length, base, index} - {0, 4, 8}:
        raise Broken("the places of the items have fields of an unknown size", found.at)
    entries = []
    for _ in range(reader.number(4 if version == 2 else 2)):
        item = reader.number(4 if version == 2 else 2)
        method = reader.number(2) & 15 if version else 0
        reference, start = reader.number(2), reader.number(base)
        count = reader.number(2)
        if count > 1 and not offset + length + index:
            raise Broken("the places of the items have fields of no size", found.at)
        pieces = tuple((reader.number(index), reader.number(offset), reader.number(length)) for _ in range(count))
        entries.append(Place(item, method, reference, start, pieces))
    return Places(found, version, offset, length, base, index, tuple(entries))


def read_items(source: Source, film: Film, meta: Meta) -> ItemList | None:
    """Return the box `iinf` and its entries; None when there is none. Raises Broken."""
    found = meta.find(b"iinf")
    if found is None:
        return None
    head = source.read(found.body, min(8, found.stop - found.body))
    count_bytes = 4 if head[:1] != b"\0" else 2
    if len(head) < 4 + count_bytes:
        raise Broken("the list of items is cut", found.at)
    entries = film.boxes.within(found, 4 + count_bytes)
    items = []
    for entry in entries:
        try:
            items.append(_item(_Reader(source.read(entry.body, entry.stop - entry.body))))
        except _Cut:
            raise Broken("an item's entry is cut", entry.at) from None
    if len(items) != int.from_bytes(head[4 : 4 + count_bytes], "big"):
        raise Broken("the list of items has another length than it says", found.at)
    return ItemList(found, count_bytes, end_of(entries, found.body + 4 + count_bytes), tuple(items))


def _item(reader: _Reader) -> Item:
    version = reader.number(4) >> 24
    number, protected = reader.number(4 if version > 2 else 2), reader.number(2)
    if version < 2:
        reader.text()
        return Item(number, b"mime", reader.text(), bool(protected or reader.text()))
    kind = reader.number(4).to_bytes(4, "big")
    reader.text()
    if kind != b"mime":
        return Item(number, kind, b"", bool(protected))
    return Item(number, kind, reader.text(), bool(protected or reader.text()))


def primary_item(source: Source, meta: Meta) -> int | None:
    """Return the number of the picture that the file is of."""
    found = meta.find(b"pitm")
    if found is None or found.stop - found.body < 6:
        return None
    data = source.read(found.body, found.stop - found.body)
    return int.from_bytes(data[4 : 8 if data[0] else 6], "big")


def spans(film: Film, meta: Meta, place: Place) -> list[tuple[int, int]]:
    """Return where the item's bytes lie in this file: (start, stop) of each piece. Raises Broken where it cannot be told."""
    if place.reference or place.method not in (_IN_FILE, _IN_IDAT):
        raise Broken(f"item {place.item} lies in another file or in another item", meta.box.at)
    inside = meta.find(b"idat") if place.method == _IN_IDAT else None
    if place.method == _IN_IDAT and inside is None:
        raise Broken(f"item {place.item} lies in a box that is not there", meta.box.at)
    origin, end = (inside.body, inside.stop) if inside else (0, film.source.size)
    found = []
    for _, offset, length in place.pieces:
        start = origin + place.base + offset
        stop = end if not length else start + length
        if stop > end or start > stop:
            raise Broken(f"item {place.item} lies beyond the end of {'its box' if inside else 'the file'}", meta.box.at)
        found.append((start, stop))
    return found


def with_item(places: Places, number: int, length: int, file_bytes: int) -> Places:
    """Return the places with this item as one piece of the file, its address not told yet; it takes the place of an old entry.

    Raises NoRoom when the number is too large for the form.
    """
    if places.version < 2 and number > 0xFFFF:
        raise NoRoom("all numbers of items are taken")
    wide = 8 if file_bytes > WORD - (1 << 24) else 4
    entry = Place(number, _IN_FILE, 0, 0, ((0, LONG, length),))
    kept = [entry if each.item == number else each for each in places.entries]
    if entry not in kept:
        kept.append(entry)
    if len(kept) > (WORD if places.version == 2 else 0xFFFF):
        raise NoRoom("all numbers of items are taken")
    return replace(
        places,
        offset_bytes=max(places.offset_bytes, wide),
        length_bytes=max(places.length_bytes, 4),
        entries=tuple(kept),
    )


def places_box(places: Places, moves: Moves | None, added_at: int = 0) -> bytes:
    """Return the box `iloc` with every address where it lies after the edits; an address not told yet becomes `added_at`.

    Without `moves` its length is right and its addresses are not.
    """
    version = places.version
    sizes = places.offset_bytes << 12 | places.length_bytes << 8 | places.base_bytes << 4 | places.index_bytes
    parts = [struct.pack(">IH", version << 24, sizes), len(places.entries).to_bytes(4 if version == 2 else 2, "big")]
    for place in places.entries:
        moved = _moved(places, place, moves, added_at) if moves else replace(place, pieces=tuple((0, 0, 0) for _ in place.pieces))
        parts.append(place.item.to_bytes(4 if version == 2 else 2, "big"))
        if version:
            parts.append(struct.pack(">H", place.method))
        parts += [struct.pack(">H", place.reference), moved.base.to_bytes(places.base_bytes, "big") if places.base_bytes else b""]
        parts.append(struct.pack(">H", len(moved.pieces)))
        for index, offset, length in moved.pieces:
            parts += [index.to_bytes(places.index_bytes, "big"), offset.to_bytes(places.offset_bytes, "big")]
            parts.append(length.to_bytes(places.length_bytes, "big"))
    return box(b"iloc", *parts)


def _moved(places: Places, place: Place, moves: Moves, added_at: int) -> Place:
    """Return an item's place after the edits. Raises NoRoom where its fields do not take it."""
    if place.method != _IN_FILE or place.reference:
        return place
    if place.pieces and place.pieces[0][1] == LONG:
        moved = replace(place, pieces=((0, added_at, place.pieces[0][2]),))
    else:
        grown = [moves.to(place.base + offset) - place.base - offset for _, offset, _ in place.pieces]
        if not any(grown):
            return place
        if len(set(grown)) == 1 and places.base_bytes and (place.base or not places.offset_bytes):
            moved = replace(place, base=place.base + grown[0])
        else:
            pieces = zip(place.pieces, grown, strict=True)
            moved = replace(place, pieces=tuple((index, offset + by, length) for (index, offset, length), by in pieces))
    fields = [(moved.base, places.base_bytes), *((offset, places.offset_bytes) for _, offset, _ in moved.pieces)]
    if any(value >> (8 * width) for value, width in fields):
        raise NoRoom("an item would lie where its address has no room")
    return moved


def free_number(items: Sequence[Item], places: Places) -> int:
    """Return a number that no item has. Raises NoRoom when the form has none left."""
    taken = {each.number for each in items} | {each.item for each in places.entries}
    number = max(taken, default=0) + 1
    if number <= 0xFFFF:
        return number
    free = next((each for each in range(1, 0x10000) if each not in taken), 0)
    if not free:
        raise NoRoom("all numbers of items are taken")
    return free


def item_entry(number: int) -> bytes:
    """Return the entry of an XMP packet in `iinf`."""
    return box(b"infe", struct.pack(">BxxxHH4s", 2, number, 0, b"mime"), b"\0", XMP_MEDIA_TYPE + b"\0")


def description_of(primary: int, number: int, version: int) -> bytes:
    """Return the reference that says which picture the packet describes."""
    return box(b"cdsc", struct.pack(">IHI" if version else ">HHH", number, 1, primary))
