"""PNG and APNG: the label stands in the XMP packet, an uncompressed iTXt chunk right after IHDR.

Read as well: tEXt, zTXt and iTXt with the keyword AIGC, and EXIF. Written labels leave those empty: one label in a file.
Source: TC260-PG-20259A; PNG 3rd edition §11.3.
"""

import binascii
import re
import struct
import zlib
from collections.abc import Iterator
from typing import Final

from guiju.labelling.annex_e import VALUE_LIMIT_BYTES
from guiju.labelling.containers import exif, xmp
from guiju.labelling.containers.source import PART_LIMIT_BYTES, PARTS_LIMIT, Broken, Edit, Found, Site, Source, names_label, refuse_many

NAME: Final = "PNG"
_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_XMP: Final = b"XML:com.adobe.xmp"
_RAW: Final = b"Raw profile type "
_TEXTS: Final = frozenset({b"iTXt", b"tEXt", b"zTXt"})


def sniff(head: bytes) -> bool:
    """Tell whether the file begins as a PNG."""
    return head.startswith(_SIGNATURE)


def examine(source: Source) -> Found:
    """Read every chunk's head, and the chunks that may hold a label whole. Raises Broken."""
    sites: list[Site] = []
    traces: list[str] = []
    notes: list[str] = []
    drops: list[Edit] = []
    packets: list[tuple[int, int, bytes, xmp.Packet]] = []
    for kind, at, length in _chunks(source):
        if kind == b"caBX":
            traces.append("c2pa")
        elif kind == b"eXIf":
            block = _checked(source, kind, at, length)
            found = exif.examine(block, at + 8)
            sites += found.sites
            traces += found.traces
            notes += found.notes
            if found.blanks:
                drops.append(Edit(at, at + 12 + length, _chunk(kind, _blanked(block, found.blanks, at + 8))))
        elif kind in _TEXTS:
            keyword = source.read(at + 8, min(length, 80)).partition(b"\0")[0]
            if keyword.startswith(_RAW):
                _refuse_hidden(_text(kind, _checked(source, kind, at, length), at), at)
            if keyword != _XMP and keyword.upper() != b"AIGC":
                continue
            text = _text(kind, _checked(source, kind, at, length), at)
            if keyword == _XMP:
                packet = xmp.examine(source.held(text, at), at)
                packets.append((at, at + 12 + length, text, packet))
                sites += [Site("png:iTXt XMP", at, at + 12 + length, each) for each in packet.texts]
                traces += packet.traces
                notes += packet.notes
            else:
                refuse_many(sites)
                sites.append(Site(f"png:{kind.decode()} AIGC", at, at + 12 + length, _decoded(text, at)))
                drops.append(Edit(at, at + 12 + length))

    def place(inner: str) -> list[Edit]:
        edits = list(drops)
        for index, (start, stop, text, packet) in enumerate(packets):
            new = xmp.without_label(text, packet) if index else xmp.with_label(text, packet, inner)
            edits.append(Edit(start, stop, _itxt(new)))
        if not packets:
            edits.append(Edit(33, 33, _itxt(xmp.new_packet(inner))))
        return edits

    return Found(tuple(sites), tuple(traces), place, tuple(notes))


def _chunks(source: Source) -> Iterator[tuple[bytes, int, int]]:
    """Yield (type, where it begins, length of its data) up to IEND."""
    at = len(_SIGNATURE)
    for number in range(PARTS_LIMIT):
        length, kind = struct.unpack(">I4s", source.read(at, 8))
        if (number == 0) != (kind == b"IHDR") or (number == 0 and length != 13):
            raise Broken("IHDR is not the first chunk, or not the only one", at)
        if at + 12 + length > source.size:
            raise Broken("a chunk reaches beyond the end of the file", at)
        if not all(65 <= byte <= 90 or 97 <= byte <= 122 for byte in kind):
            raise Broken("a chunk has no name", at)
        if kind == b"IHDR":
            _checked(source, kind, at, length)
        if kind == b"IEND":
            return
        yield kind, at, length
        at += 12 + length
    raise Broken(f"there are more than {PARTS_LIMIT} chunks", at)


def _checked(source: Source, kind: bytes, at: int, length: int) -> bytes:
    data = source.read(at + 8, length)
    if source.read(at + 8 + length, 4) != struct.pack(">I", zlib.crc32(kind + data)):
        raise Broken(f"the check sum of a chunk {kind.decode()} is wrong", at)
    return data


def _text(kind: bytes, data: bytes, at: int) -> bytes:
    """Return the text of a chunk behind its keyword, unpacked."""
    rest = data.partition(b"\0")[2]
    if kind == b"tEXt":
        return rest
    if kind == b"zTXt":
        return unpack(rest[1:], at)
    packed, _, rest = rest[:1], rest[1:2], rest[2:]
    _language, first, rest = rest.partition(b"\0")
    _translated, second, text = rest.partition(b"\0")
    if not first or not second:
        raise Broken("an iTXt chunk is too short", at)
    return unpack(text, at) if packed == b"\1" else text


def unpack(data: bytes, at: int) -> bytes:
    """Return what zlib packed, up to the limit of a part. Raises Broken for more, for less, and for what is no zlib stream."""
    stream = zlib.decompressobj()
    try:
        text = stream.decompress(data, PART_LIMIT_BYTES)
    except zlib.error as error:
        raise Broken("a compressed text cannot be unpacked", at) from error
    if not stream.eof:
        raise Broken("a compressed text is cut, or grows over what is examined", at)
    return text


def _refuse_hidden(profile: bytes, at: int) -> None:
    """Raise Broken when a profile in hexadecimal digits, as old writers keep EXIF and XMP, may hold a label: such are not read."""
    digits = re.sub(rb"\A\n[^\n]*+\n *+\d++\n|[^0-9A-Fa-f]", b"", profile)
    if names_label(binascii.unhexlify(digits[: len(digits) // 2 * 2])):
        raise Broken("a label may stand in a raw profile, which is not read", at)


def _decoded(text: bytes, at: int) -> str:
    if len(text) > VALUE_LIMIT_BYTES:
        raise Broken("a text AIGC is longer than any label", at)
    return text.decode("utf-8", "replace")


def _itxt(packet: bytes) -> bytes:
    return _chunk(b"iTXt", _XMP + bytes(5) + packet)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _blanked(block: bytes, blanks: tuple[Edit, ...], at: int) -> bytes:
    new = bytearray(block)
    for blank in blanks:
        new[blank.start - at : blank.stop - at] = blank.new
    return bytes(new)
