"""What the forms of the ISO base media family have in common: their boxes that may hold a label, and their addresses of samples.

Read are the heads of all boxes on the way to those, never the samples. MP4, MOV and M4A are told apart from HEIC and AVIF by where
a label is put. Source: ISO/IEC 14496-12; QuickTime File Format.
"""

import struct
from dataclasses import dataclass, field
from typing import Final

from guiju.labelling.containers.addresses import Index, Table, entries_of
from guiju.labelling.containers.boxes import Box, Boxes, end_of
from guiju.labelling.containers.source import Broken, Source

XMP_TYPE: Final = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_C2PA_TYPE: Final = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
_FREE: Final = (b"free", b"skip")
_ONCE: Final = (b"hdlr", b"keys", b"ilst", b"iloc", b"iinf", b"iref", b"pitm", b"idat")
_METAS_LIMIT: Final = 10_000


@dataclass(frozen=True, slots=True, eq=False)
class Meta:
    """A box `meta`: where it stands, its handler, and what is in it; `known` are its boxes by name."""

    box: Box
    path: str
    handler: bytes
    boxes: list[Box]
    known: dict[bytes, Box]

    def find(self, kind: bytes) -> Box | None:
        """Return the box of this kind, if there is one."""
        return self.known.get(kind)


@dataclass(frozen=True, slots=True, eq=False)
class UserData:
    """A box `udta` and what is in it."""

    box: Box
    path: str
    boxes: list[Box]


@dataclass(slots=True, eq=False)
class Film:
    """What a file of this family holds, as far as labels and addresses go."""

    source: Source
    top: list[Box]
    boxes: Boxes
    moov: Box | None = None
    moov_end: int = 0
    metas: list[Meta] = field(default_factory=list)
    user_data: list[UserData] = field(default_factory=list)
    packets: list[Box] = field(default_factory=list)
    """Boxes whose content is an XMP packet."""
    tables: list[Table] = field(default_factory=list)
    indexes: list[Index] = field(default_factory=list)
    free: list[Box] = field(default_factory=list)
    traces: list[str] = field(default_factory=list)
    examined: int = 0
    """Bytes of items that were read whole."""

    @property
    def end(self) -> int:
        """Where a further outermost box may stand."""
        return end_of(self.top, 0)

    def fragments(self) -> tuple[int, int] | None:
        """Return where the first fragment begins and the last one's samples end; within, nothing may grow."""
        starts = [each.at for each in self.top if each.kind == b"moof"]
        stops = [each.stop for each in self.top if each.kind in (b"moof", b"mdat")]
        return (starts[0], max(stops)) if starts else None


def walk(source: Source) -> Film:
    """Return what the file holds. Raises Broken where a length, a count or an address leads beyond the file."""
    boxes = Boxes(source)
    film = Film(source, boxes.top(), boxes)
    for each in film.top:
        match each.kind:
            case b"moov":
                if film.moov is not None:
                    raise Broken("there are two boxes moov", each.at)
                film.moov = each
                _movie(film, each)
            case b"meta":
                _meta(film, each, "")
            case b"moof":
                _fragment(film, each)
            case b"mfra":
                for table in boxes.within(each):
                    if table.kind == b"tfra":
                        film.tables.append(_fragment_table(source, table))
            case b"sidx":
                film.indexes.append(_index(source, each))
            case b"uuid" if each.usertype == XMP_TYPE:
                film.packets.append(each)
            case b"uuid" if each.usertype == _C2PA_TYPE:
                film.traces.append("c2pa")
            case b"jumb":
                film.traces.append("c2pa")
            case b"free" | b"skip":
                film.free.append(each)
            case _:
                pass
    return film


def _movie(film: Film, moov: Box) -> None:
    children = film.boxes.within(moov)
    film.moov_end = end_of(children, moov.body)
    for each in children:
        match each.kind:
            case b"trak":
                _track(film, each)
            case b"cmov":
                raise Broken("the film's head is packed (cmov), and is not examined", each.at)
            case _:
                _described(film, each, "moov")


def _track(film: Film, trak: Box) -> None:
    local, tables = True, []
    for each in film.boxes.within(trak):
        _described(film, each, "trak")
        for minf in _below(film, [each], b"mdia", b"minf"):
            for part in film.boxes.within(minf):
                if part.kind == b"dinf":
                    for dref in _below(film, [part], b"dinf", b"dref"):
                        local = _is_local(film, dref)
                elif part.kind == b"stbl":
                    tables += [box for box in film.boxes.within(part) if box.kind in (b"stco", b"co64", b"saio")]
    if local:
        film.tables += [_table(film.source, each) for each in tables]


def _below(film: Film, boxes: list[Box], *path: bytes) -> list[Box]:
    """Return the boxes that are reached by these names; the first is that of `boxes` themselves."""
    found = [each for each in boxes if each.kind == path[0]]
    for name in path[1:]:
        found = [below for each in found for below in film.boxes.within(each) if below.kind == name]
    return found


def _is_local(film: Film, dref: Box) -> bool:
    """Tell whether a track's samples lie in this file. Raises Broken when some do and some do not."""
    entries = film.boxes.within(dref, 8)
    flags = {bool(film.source.read(each.body, 4)[3] & 1) for each in entries if each.stop - each.body >= 4}
    if len(flags) > 1:
        raise Broken("a track lies partly in other files", dref.at)
    return flags != {False}


def _described(film: Film, box: Box, path: str) -> None:
    """Take what may describe a film or a track: metadata, user data, free space."""
    if box.kind == b"meta":
        _meta(film, box, path + ".")
    elif box.kind == b"udta":
        _user_data(film, box, path)
    elif box.kind in _FREE:
        film.free.append(box)


def _user_data(film: Film, udta: Box, path: str) -> None:
    children = film.boxes.within(udta)
    film.user_data.append(UserData(udta, f"{path}.udta", children))
    for each in children:
        if each.kind == b"XMP_":
            film.packets.append(each)
        elif each.kind != b"udta":
            _described(film, each, f"{path}.udta")


def _meta(film: Film, box: Box, path: str) -> None:
    """Take a box `meta`: with four bytes of version and flags in ISO files, without in QuickTime's own form."""
    if len(film.metas) == _METAS_LIMIT:
        raise Broken("there are too many boxes meta", box.at)
    head = film.source.read(box.body, min(12, box.stop - box.body))
    skip = 0 if head[4:8] in (b"hdlr", b"keys", b"ilst", b"mhdr") else 4
    if skip and (len(head) < 4 or any(head[:4])):
        raise Broken("a box meta has an unknown form", box.at)
    children = film.boxes.within(box, skip)
    known: dict[bytes, Box] = {}
    for each in children:
        if each.kind in _FREE:
            film.free.append(each)
        elif each.kind in _ONCE and known.setdefault(each.kind, each) is not each:
            raise Broken(f"a box meta holds two boxes {each.kind.decode()}, of which readers would choose differently", each.at)
    handler = known.get(b"hdlr")
    name = film.source.read(handler.body + 8, 4) if handler and handler.stop - handler.body >= 12 else b""
    film.metas.append(Meta(box, f"{path}meta", name, children, known))


def _table(source: Source, box: Box) -> Table:
    at, wide = box.body, box.kind == b"co64"
    head = source.read(at, min(16, box.stop - at))
    if box.kind == b"saio" and len(head) >= 8:
        wide, at = bool(head[0]), at + (8 if head[3] & 1 else 0)
    if at + 8 > box.stop:
        raise Broken("a table of addresses is cut", box.at)
    count, width = int.from_bytes(source.read(at + 4, 4), "big"), 8 if wide else 4
    return _measured(source, box, at + 8, count, width, width, 0)


def _fragment_table(source: Source, box: Box) -> Table:
    head = source.read(box.body, 16) if box.stop - box.body >= 16 else b""
    if not head:
        raise Broken("a table of fragments is cut", box.at)
    width = 8 if head[0] else 4
    sizes = head[11]
    stride = 2 * width + sum((sizes >> shift & 3) + 1 for shift in (4, 2, 0))
    return _measured(source, box, box.body + 16, int.from_bytes(head[12:16], "big"), width, stride, width)


def _fragment(film: Film, moof: Box) -> None:
    for traf in film.boxes.within(moof):
        if traf.kind != b"traf":
            continue
        for head in film.boxes.within(traf):
            if head.kind != b"tfhd":
                continue
            if head.stop - head.body < 8:
                raise Broken("the head of a fragment is cut", head.at)
            if film.source.read(head.body + 3, 1)[0] & 1:  # base-data-offset-present; without it addresses count from the fragment
                film.tables.append(_measured(film.source, head, head.body + 8, 1, 8, 8, 0))


def _measured(source: Source, box: Box, at: int, count: int, width: int, stride: int, skip: int) -> Table:
    """Return a table with its highest address, which must not lie beyond the file: its samples would be missing."""
    if at + count * stride > box.stop:
        raise Broken("a table of addresses is longer than its box", box.at)
    table = Table(box, at, count, width, stride, skip)
    lowest, highest = source.size, 0
    for window in source.windows(at, at + count * stride, stride):
        entries = entries_of(table, window)
        lowest, highest = min(lowest, min(entries)), max(highest, max(entries))  # noqa: PLW3301 - a window has many entries
    if highest > source.size:
        raise Broken(f"samples lie at byte {highest}, beyond the end of the file", box.at)
    return Table(box, at, count, width, stride, skip, lowest, highest)


def _index(source: Source, box: Box) -> Index:
    head = source.read(box.body, min(box.stop - box.body, 32))
    width = 8 if head[:1] != b"\0" else 4
    at = box.body + 12 + width
    if at + width + 4 > box.stop:
        raise Broken("an index of segments is cut", box.at)
    first, count = struct.unpack(">QxxH" if width == 8 else ">IxxH", source.read(at, width + 4))
    if at + width + 4 + 12 * count > box.stop:
        raise Broken("an index of segments is cut", box.at)
    sizes = struct.iter_unpack(">I8x", source.read(at + width + 4, 12 * count))
    total = sum(size & 0x7FFFFFFF for (size,) in sizes)
    if box.stop + first + total > source.size:
        raise Broken("segments lie beyond the end of the file", box.at)
    return Index(box, at, width, first, total)
