"""WebP: the label stands in the XMP packet, a chunk `XMP ` at the end, announced in VP8X.

A simple file gets its VP8X: size and alpha are read from the picture's own head. Read as well: EXIF UserComment.
Source: TC260-PG-20259A; WebP container specification.
"""

import struct
from typing import Final

from guiju.labelling.containers import exif, xmp
from guiju.labelling.containers.riff import Chunk, chunk, list_chunks, resized
from guiju.labelling.containers.source import Broken, Edit, Found, Site, Source

NAME: Final = "WebP"
_HAS_XMP: Final = 0x04
_HAS_ALPHA: Final = 0x10


def sniff(head: bytes) -> bool:
    """Tell whether the file begins as a WebP."""
    return head[:4] == b"RIFF" and head[8:12] == b"WEBP"


def examine(source: Source) -> Found:
    """Read every chunk's head, and XMP and EXIF whole. Raises Broken."""
    chunks = list_chunks(source)
    if not chunks or chunks[0].name not in (b"VP8X", b"VP8 ", b"VP8L"):
        raise Broken("there is no picture", 12)
    if not any(each.name in (b"VP8 ", b"VP8L", b"ANMF") for each in chunks):
        raise Broken("there is no picture", 12)
    sites: list[Site] = []
    traces: list[str] = []
    notes: list[str] = []
    blanks: list[Edit] = []
    packets: list[tuple[Chunk, bytes, xmp.Packet]] = []
    for each in chunks:
        if each.name == b"XMP ":
            text = source.read(each.at + 8, each.length)
            packet = xmp.examine(source.held(text, each.at), each.at)
            packets.append((each, text, packet))
            sites += [Site("webp:XMP", each.at, each.stop, one) for one in packet.texts]
            traces += packet.traces
            notes += packet.notes
        elif each.name == b"EXIF":
            block = source.read(each.at + 8, each.length)
            skip = 6 if block.startswith(b"Exif\0\0") else 0
            found = exif.examine(block[skip:], each.at + 8 + skip)
            sites += found.sites
            traces += found.traces
            notes += found.notes
            blanks += found.blanks
        elif each.name == b"C2PA":
            traces.append("c2pa")
    first, end = chunks[0], chunks[-1].stop

    def place(inner: str) -> list[Edit]:
        edits = list(blanks)
        if first.name == b"VP8X":
            (flags,) = source.read(first.at + 8, 1)
            edits.append(Edit(first.at + 8, first.at + 9, bytes([flags | _HAS_XMP])))
        else:
            edits.append(Edit(first.at, first.at, _extended(source, first)))
        for index, (each, text, packet) in enumerate(packets):
            new = xmp.without_label(text, packet) if index else xmp.with_label(text, packet, inner)
            edits.append(Edit(each.at, each.stop, chunk(b"XMP ", new)))
        if not packets:
            edits.append(Edit(end, end, chunk(b"XMP ", xmp.new_packet(inner))))
        return resized(source, edits)

    return Found(tuple(sites), tuple(traces), place, tuple(notes))


def _extended(source: Source, picture: Chunk) -> bytes:
    """Return the VP8X of a simple file."""
    head = source.read(picture.at + 8, min(picture.length, 10))
    if picture.name == b"VP8L":
        if len(head) < 5 or head[0] != 0x2F:
            raise Broken("the picture's head is not that of VP8L", picture.at)
        (bits,) = struct.unpack("<I", head[1:5])
        width, height, alpha = bits & 0x3FFF, bits >> 14 & 0x3FFF, bool(bits >> 28 & 1)
    else:
        if len(head) < 10 or head[3:6] != b"\x9d\x01\x2a":
            raise Broken("the picture's head is not that of VP8", picture.at)
        width, height, alpha = (
            (int.from_bytes(head[6:8], "little") & 0x3FFF) - 1,
            (int.from_bytes(head[8:10], "little") & 0x3FFF) - 1,
            False,
        )
    if width < 0 or height < 0:
        raise Broken("the picture has no size", picture.at)
    flags = _HAS_XMP | (_HAS_ALPHA if alpha else 0)
    return chunk(b"VP8X", bytes([flags, 0, 0, 0]) + width.to_bytes(3, "little") + height.to_bytes(3, "little"))
