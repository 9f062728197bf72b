"""HEIC, AVIF and their sequences: the label stands in the XMP packet, an item of the file's `meta` that describes the chief picture.

The packet keeps its place where the label has room in it; otherwise it is put at the end of the file, and what was there is blanked.
Read as well: EXIF UserComment; labels among a sequence's film data. Source: TC260-PG-20259A (image guide); ISO/IEC 23008-12 Annex A.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from guiju.labelling.containers import described, exif, xmp
from guiju.labelling.containers.boxes import box, end_of
from guiju.labelling.containers.brands import family
from guiju.labelling.containers.film import Film, Meta, walk
from guiju.labelling.containers.items import (
    XMP_MEDIA_TYPE,
    Item,
    ItemList,
    Place,
    Places,
    description_of,
    free_number,
    item_entry,
    primary_item,
    read_items,
    read_places,
    spans,
    with_item,
)
from guiju.labelling.containers.packets import Boxed, padded, read_packets, sites_of, without_labels
from guiju.labelling.containers.settled import Change, Placed, removed, settled
from guiju.labelling.containers.source import PART_LIMIT_BYTES, Broken, Edit, Found, NoRoom, Site, Source

NAME: Final = "HEIF"
_ITEMS_LIMIT: Final = 256


@dataclass(frozen=True, slots=True)
class Packet:
    """An item that is an XMP packet: its number, where its bytes lie, its text, and what is in it."""

    number: int
    spans: list[tuple[int, int]]
    text: bytes
    packet: xmp.Packet


@dataclass(frozen=True, slots=True)
class Block:
    """An item that is EXIF: its number, where its bytes lie, and what is in it."""

    number: int
    spans: list[tuple[int, int]]
    found: exif.Exif


@dataclass(slots=True)
class Pictures:
    """The items of a `meta` that may tell of a label."""

    meta: Meta
    places: Places | None
    listed: ItemList | None
    packets: list[Packet] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    by_number: dict[int, Place] = field(default_factory=dict)
    lie: list[tuple[int, int, int]] = field(default_factory=list)
    """Where all items of this file lie: (start, stop, number)."""

    def sites(self, container: str) -> list[Site]:
        """Return the labels among the items."""
        found = [Site(f"{container}:XMP", each.spans[0][0], each.spans[-1][1], one) for each in self.packets for one in each.packet.texts]
        return [*found, *(site for each in self.blocks for site in each.found.sites)]

    def placed(self) -> Placed | None:
        """Return where the items lie, as they stand."""
        return Placed(self.places) if self.places else None


def sniff(head: bytes) -> bool:
    """Tell whether the file begins as a picture or a sequence of pictures of this family."""
    return family(head) == "picture"


def examine(source: Source) -> Found:
    """Read the boxes, the items that may hold a label, and a sequence's film data. Raises Broken."""
    film = walk(source)
    pictures = read_pictures(film)
    chief = next((each for each in pictures if not each.meta.path.startswith(("moov", "trak")) and each.meta.handler == b"pict"), None)
    if chief is None and film.moov is None:
        raise Broken("there is no picture", 0)
    labels = described.find_labels(film, NAME.lower())
    boxed = read_packets(film)

    def place(inner: str) -> list[Edit]:
        changes = [*without_labels(boxed), *_blanks(film, pictures)]
        placed = [each for one in pictures if one is not chief and (each := one.placed())]
        for one in pictures:
            changes += _without_labels(film, one, keep=one is chief)
        if chief is None:
            return settled(film, [*changes, *described.changes_for(film, labels, inner)], placed)
        changes += [removed(each) for each in dict.fromkeys(label.box for label in labels)]
        added, new, own = _with_label(film, chief, inner)
        return settled(film, [*changes, *new], [*placed, own], added)

    return told(NAME.lower(), film, labels, boxed, pictures, place)


def told(
    channel: str,
    film: Film,
    labels: list[described.Described],
    boxed: list[Boxed],
    pictures: list[Pictures],
    place: Callable[[str], list[Edit]],
) -> Found:
    """Return what was found in all of these, told under the name of a channel."""
    packets = [*(each.packet for each in boxed), *(each.packet for one in pictures for each in one.packets)]
    rest: list[xmp.Packet | exif.Exif] = [*packets, *(each.found for one in pictures for each in one.blocks)]
    sites = [*(label.site for label in labels), *sites_of(boxed, channel), *(site for one in pictures for site in one.sites(channel))]
    traces = [*film.traces, *(trace for each in rest for trace in each.traces)]
    return Found(tuple(sites), tuple(traces), place, tuple(note for each in rest for note in each.notes))


def read_pictures(film: Film) -> list[Pictures]:
    """Return the items of every `meta` that has some. Raises Broken."""
    found = []
    for meta in film.metas:
        one = Pictures(meta, read_places(film.source, meta), read_items(film.source, film, meta))
        for place in one.places.entries if one.places else ():
            if one.by_number.setdefault(place.item, place) is not place:
                raise Broken("an item has two places", meta.box.at)
            if not place.reference and place.method < 2:
                one.lie += [(start, stop, place.item) for start, stop in spans(film, meta, place)]
        for item in one.listed.items if one.listed else ():
            _take(film, one, item)
        if one.places or one.listed:
            found.append(one)
    return found


def without_label(film: Film, pictures: list[Pictures]) -> tuple[list[Change], list[Placed]]:
    """Return the changes that take labels out of all items; lengths stay. With them the places of the items."""
    changes = [*_blanks(film, pictures), *(change for one in pictures for change in _without_labels(film, one, keep=False))]
    return changes, [each for one in pictures if (each := one.placed())]


def _take(film: Film, one: Pictures, item: Item) -> None:
    is_packet = item.kind == b"mime" and item.media_type.lower().startswith(XMP_MEDIA_TYPE)
    if not is_packet and item.kind != b"Exif":
        return
    if len(one.packets) + len(one.blocks) == _ITEMS_LIMIT:
        raise Broken("there are too many items of metadata", one.meta.box.at)
    place = one.by_number.get(item.number)
    if item.coded or place is None or not place.pieces:
        raise Broken("an item of metadata is packed, protected, or nowhere", one.meta.box.at)
    lie = spans(film, one.meta, place)
    film.examined += sum(stop - start for start, stop in lie)
    if film.examined > PART_LIMIT_BYTES:  # of all together: a hostile file lets many lie in one place
        raise Broken("the items of metadata are longer than what is examined", lie[0][0])
    text = b"".join(film.source.read(start, stop - start) for start, stop in lie)
    if is_packet:
        one.packets.append(Packet(item.number, lie, text, xmp.examine(text, lie[0][0])))
        return
    skip = 4 + int.from_bytes(text[:4], "big")
    found = exif.examine(text[skip:], lie[0][0] + skip)
    if found.sites and len(lie) > 1:
        raise Broken("a label stands in an item that lies in pieces", lie[0][0])
    one.blocks.append(Block(item.number, lie, found))


def _blanks(film: Film, pictures: list[Pictures]) -> list[Change]:
    """Return the changes that blank the labels in EXIF. Raises Broken where others lie there too."""
    found: list[Change] = []
    for one in pictures:
        for each in one.blocks:
            if each.found.blanks:
                _alone(film, one, each)
                found += [Change(edit) for edit in each.found.blanks]
    return found


def _without_labels(film: Film, one: Pictures, *, keep: bool) -> list[Change]:
    """Return the changes that take the label out of all packets, but for the one that gets it."""
    kept = _chosen(one) if keep else None
    return [
        Change(edit)
        for each in one.packets
        if each is not kept and each.packet.texts
        for edit in _instead(film, one, each, padded(xmp.without_label(each.text, each.packet), len(each.text)))
    ]


def _chosen(one: Pictures) -> Packet | None:
    """Return the packet that gets the label: the one that has one, or the first."""
    return next((each for each in one.packets if each.packet.texts), one.packets[0] if one.packets else None)


def _with_label(film: Film, one: Pictures, inner: str) -> tuple[bytes, list[Change], Placed]:
    """Return what is put at the end of the file, the changes, and the places of the items."""
    if one.places is None or one.listed is None:
        raise NoRoom("the picture has no list of items")
    chosen = _chosen(one)
    if chosen is None:
        return _new_item(film, one, one.places, one.listed, inner)
    text = xmp.with_label(chosen.text, chosen.packet, inner, len(chosen.text))
    if len(text) <= len(chosen.text):
        edits = _instead(film, one, chosen, padded(text, len(chosen.text)))
        return b"", [Change(edit) for edit in edits], Placed(one.places)
    text = xmp.with_label(chosen.text, chosen.packet, inner)
    blanked = [Change(edit) for edit in _instead(film, one, chosen, bytes(len(chosen.text)))]
    return text, blanked, Placed(with_item(one.places, chosen.number, len(text), film.source.size), anew=True)


def _new_item(film: Film, one: Pictures, places: Places, listed: ItemList, inner: str) -> tuple[bytes, list[Change], Placed]:
    primary = primary_item(film.source, one.meta)
    if primary is None:
        raise NoRoom("it is not said which picture is the chief one")
    number, text = free_number(listed.items, places), xmp.new_packet(inner)
    count = len(listed.items) + 1
    if count >> (8 * listed.count_bytes):
        raise NoRoom("the list of items is full")
    at = listed.box.body + 4
    changes = [
        Change(Edit(at, at + listed.count_bytes, count.to_bytes(listed.count_bytes, "big")), listed.box),
        Change(Edit(listed.end, listed.end, item_entry(number)), listed.box),
        _reference(film, one.meta, primary, number),
    ]
    return text, changes, Placed(with_item(places, number, len(text), film.source.size), anew=True)


def _reference(film: Film, meta: Meta, primary: int, number: int) -> Change:
    """Return the change that says that the packet describes the chief picture."""
    found = meta.find(b"iref")
    if found is None:
        at, version = end_of(meta.boxes, meta.box.body), int(primary > 0xFFFF)
        return Change(Edit(at, at, box(b"iref", struct.pack(">I", version << 24), description_of(primary, number, version))), meta.box)
    at, version = end_of(film.boxes.within(found, 4), found.body + 4), film.source.read(found.body, 1)[0]
    if version > 1 or (not version and primary > 0xFFFF):
        raise NoRoom("the references among the items have no room for the chief picture's number")
    return Change(Edit(at, at, description_of(primary, number, version)), found)


def _instead(film: Film, one: Pictures, each: Packet, text: bytes) -> list[Edit]:
    """Return the edits that put another text of the same length where a packet lies. Raises Broken where others lie there too."""
    _alone(film, one, each)
    edits, at = [], 0
    for start, stop in each.spans:
        edits.append(Edit(start, stop, text[at : at + stop - start]))
        at += stop - start
    return edits


def _alone(film: Film, one: Pictures, each: Packet | Block) -> None:
    """Raise Broken unless the item lies among the samples, and no other item where it lies."""
    _in_samples(film, each.spans)
    for begin, end in each.spans:
        if any(start < end and begin < stop and number != each.number for start, stop, number in one.lie):
            raise Broken("an item of metadata shares its bytes with another item", begin)


def _in_samples(film: Film, found: list[tuple[int, int]]) -> None:
    """Raise Broken unless these bytes lie where items' bytes do: a hostile address must not lead an edit into a box's head."""
    rooms = [(each.body, each.stop) for each in film.top if each.kind == b"mdat"]
    rooms += [(each.body, each.stop) for meta in film.metas if (each := meta.find(b"idat"))]
    for start, stop in found:
        if not any(body <= start and stop <= end for body, end in rooms):
            raise Broken("an item of metadata lies outside of the samples", start)
