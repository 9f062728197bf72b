"""JPEG: the label stands in the XMP packet, an APP1 segment behind JFIF and EXIF.

Further pictures behind the first (MPF) are counted from their own index, and the first one's length is told there: both follow.
Read as well: EXIF UserComment, a bare `AIGC{…}` in an APP segment, a COM segment with the wrapped JSON.
Source: TC260-PG-20259A; ITU-T T.81 Annex B; ISO 16684-3 §2; CIPA DC-007 §5.2 (MPF).
"""

import struct
from collections.abc import Iterator
from typing import Final

from guiju.labelling.annex_e import VALUE_LIMIT_BYTES, mentions_label
from guiju.labelling.containers import exif, xmp
from guiju.labelling.containers.source import Broken, Edit, Found, NoRoom, Site, Source

NAME: Final = "JPEG"
_XMP: Final = b"http://ns.adobe.com/xap/1.0/\0"
_EXIF: Final = b"Exif\0\0"
_EXTENSION: Final = b"http://ns.adobe.com/xmp/extension/\0"
_EXTENSION_HEAD: Final = len(_EXTENSION) + 40
_WORDS: Final = (b"tc260.org.cn", b"ContentProducer", b"ContentPropagator")
"""Without one of these no XMP holds a label. Longer than those of `may_hide_label`: megabytes of base64 stand in extensions."""
_MPF: Final = b"MPF\0"
_MPF_ENTRIES: Final = 0xB002
_ROOM: Final = 65_533 - len(_XMP)
_SEGMENTS_LIMIT: Final = 16_384


def sniff(head: bytes) -> bool:
    """Tell whether the file begins as a JPEG."""
    return head.startswith(b"\xff\xd8\xff")


def examine(source: Source) -> Found:
    """Read the segments before the picture; the picture must have an end. Raises Broken."""
    sites: list[Site] = []
    traces: list[str] = []
    notes: list[str] = []
    drops: list[Edit] = []
    packets: list[tuple[int, int, bytes, xmp.Packet]] = []
    insert_at = 2
    indexes: list[tuple[int, bytes]] = []
    extension = b""
    for marker, at, length in _segments(source):
        stop = at + 2 + length
        if marker == 0xE0 and insert_at == at:
            insert_at = stop
        if not (0xE1 <= marker <= 0xEF or marker == 0xFE):
            continue
        data = source.read(at + 4, length - 2)
        if data.startswith(_XMP) and marker == 0xE1:
            text = data[len(_XMP) :]
            packet = xmp.examine(source.held(text, at), at)
            packets.append((at, stop, text, packet))
            sites += [Site("jpeg:APP1 XMP", at, stop, each) for each in packet.texts]
            traces += packet.traces
            notes += packet.notes
        elif data.startswith(_EXTENSION) and marker == 0xE1:
            extension = extension[-32:] + data[_EXTENSION_HEAD:]
            if any(word in extension for word in _WORDS):
                raise Broken("a label may stand in extended XMP, which is not read", at)
        elif data.startswith(_EXIF) and marker == 0xE1:
            found = exif.examine(data[len(_EXIF) :], at + 4 + len(_EXIF))
            sites += found.sites
            traces += found.traces
            notes += found.notes
            drops += found.blanks
            if insert_at == at:
                insert_at = stop
        elif marker == 0xFE or data.startswith(b"AIGC"):
            text_of = data[:VALUE_LIMIT_BYTES].decode("utf-8", "replace").removeprefix("AIGC").lstrip("\0 :=")
            if mentions_label(text_of):
                sites.append(Site("jpeg:COM" if marker == 0xFE else f"jpeg:APP{marker - 0xE0}", at, stop, text_of))
                drops.append(Edit(at, stop))
        elif data.startswith(_MPF) and marker == 0xE2:
            indexes.append((at + 4 + len(_MPF), data[len(_MPF) :]))
        elif marker == 0xEB and b"c2pa" in data:
            traces.append("c2pa")

    def place(inner: str) -> list[Edit]:
        edits = list(drops)
        for index, (start, stop, text, packet) in enumerate(packets):
            new = xmp.without_label(text, packet) if index else xmp.with_label(text, packet, inner, _ROOM)
            edits.append(Edit(start, stop, _segment(new)))
        if not packets:
            edits.append(Edit(insert_at, insert_at, _segment(xmp.new_packet(inner))))
        return [*edits, *(edit for base, index in indexes for edit in _moved(base, index, edits))]

    return Found(tuple(sites), tuple(traces), place, tuple(notes))


def _segments(source: Source) -> Iterator[tuple[int, int, int]]:
    """Yield (marker, where it begins, its length) up to the first scan."""
    at = 2
    for _ in range(_SEGMENTS_LIMIT):
        first, marker = source.read(at, 2)
        if first != 0xFF:
            raise Broken("a segment does not begin with a marker", at)
        if marker == 0xFF:  # a byte that fills
            at += 1
            continue
        if marker in (0xD8, 0xD9, 0x00) or 0xD0 <= marker <= 0xD7:
            raise Broken("a marker stands where it may not", at)
        (length,) = struct.unpack(">H", source.read(at + 2, 2))
        if length < 2 or at + 2 + length > source.size:
            raise Broken("a segment reaches beyond the end of the file", at)
        yield marker, at, length
        at += 2 + length
        if marker == 0xDA:
            if not source.ends_with(b"\xff\xd9", at):
                raise Broken("the picture has no end", source.size)
            return
    raise Broken(f"there are more than {_SEGMENTS_LIMIT} segments", at)


def _moved(base: int, index: bytes, edits: list[Edit]) -> list[Edit]:
    """Return the edits of an index of pictures that begins at `base`: the first one's length, and where the others lie behind the index."""
    order = "<" if index[:2] == b"II" else ">"
    whole = sum(edit.grown for edit in edits)
    moved = []
    try:
        (at,) = struct.unpack_from(order + "I", index, 4)
        (count,) = struct.unpack_from(order + "H", index, at)
        listed = [struct.unpack_from(order + "HHII", index, at + 2 + 12 * place) for place in range(count)]
        length, start = next(((length, start) for tag, _, length, start in listed if tag == _MPF_ENTRIES), (0, 0))
        for entry in range(start, start + length, 16):
            size, offset = struct.unpack_from(order + "II", index, entry + 4)
            field, old = (4, size) if not offset else (8, offset)
            by = whole if not offset else sum(edit.grown for edit in edits if base < edit.start < base + offset)
            if by:
                moved.append(Edit(base + entry + field, base + entry + field + 4, struct.pack(order + "I", old + by)))
    except struct.error:
        return []  # an index that leads nowhere leads nobody astray
    return moved


def _segment(packet: bytes) -> bytes:
    if len(packet) > _ROOM:
        raise NoRoom("the XMP segment would grow over 65,533 bytes")
    return b"\xff\xe1" + struct.pack(">H", len(_XMP) + len(packet) + 2) + _XMP + packet
