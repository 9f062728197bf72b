"""GIF: the label stands in the XMP packet, an application extension before the end; the version becomes 89a.

Source: TC260-PG-20259A; GIF89a §26; ISO 16684-3 (XMP in GIF, with the trailer that leads any reader out).
"""

from typing import Final

from guiju.labelling.containers import xmp
from guiju.labelling.containers.source import PARTS_LIMIT, STEP_BYTES, Broken, Edit, Found, Site, Source

NAME: Final = "GIF"
_HEAD: Final = b"\x21\xff\x0bXMP DataXMP"
_WINDOW: Final = 1024
_TRAILER: Final = bytes([1, *range(255, -1, -1), 0])


def sniff(head: bytes) -> bool:
    """Tell whether the file begins as a GIF."""
    return head[:6] in (b"GIF87a", b"GIF89a")


def examine(source: Source) -> Found:
    """Read the blocks up to the end mark. Raises Broken."""
    sites: list[Site] = []
    traces: list[str] = []
    notes: list[str] = []
    packets: list[tuple[int, int, bytes, xmp.Packet]] = []
    at = 13 + _colours(source.read(10, 1)[0])
    for _ in range(PARTS_LIMIT):
        kind = source.read(at, 1)[0]
        if kind == 0x3B:
            break
        if kind == 0x2C:
            at = _skip(source, at + 10 + _colours(source.read(at + 9, 1)[0]) + 1)
        elif kind == 0x21:
            stop = _skip(source, at + 2)
            if stop - at > len(_HEAD) and source.read(at, len(_HEAD)) == _HEAD:
                packet_bytes = _packet(source.read(at + len(_HEAD), stop - at - len(_HEAD)))
                packet = xmp.examine(source.held(packet_bytes, at), at)
                packets.append((at, stop, packet_bytes, packet))
                sites += [Site("gif:XMP", at, stop, each) for each in packet.texts]
                traces += packet.traces
                notes += packet.notes
            elif stop - at > 14 and source.read(at + 1, 10) == b"\xff\x0bC2PA_GIF":
                traces.append("c2pa")
            at = stop
        else:
            raise Broken("a block has no known kind", at)
    else:
        raise Broken(f"there are more than {PARTS_LIMIT} blocks", at)
    end = at

    def place(inner: str) -> list[Edit]:
        edits = [Edit(3, 6, b"89a")]
        for index, (start, stop, text, packet) in enumerate(packets):
            new = xmp.without_label(text, packet) if index else xmp.with_label(text, packet, inner)
            edits.append(Edit(start, stop, _HEAD + new + _TRAILER))
        if not packets:
            edits.append(Edit(end, end, _HEAD + xmp.new_packet(inner) + _TRAILER))
        return edits

    return Found(tuple(sites), tuple(traces), place, tuple(notes))


def _colours(flags: int) -> int:
    """Return the size of a colour table in bytes."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _skip(source: Source, at: int) -> int:
    """Return the place behind the sub-blocks that begin at `at`."""
    width = _WINDOW  # most blocks are short, and each is looked up by itself
    while True:
        window = source.read(at, min(width, source.size - at))
        width = STEP_BYTES
        place, end = 0, len(window)
        while place < end:
            length = window[place]
            place += length + 1
            if not length:
                return at + place
        if at + place >= source.size:
            raise Broken("a block reaches beyond the end of the file", at)
        at += place


def _packet(body: bytes) -> bytes:
    """Return the packet of an XMP extension: the raw bytes before the trailer, or the joined sub-blocks of writers that know none."""
    if body.endswith(_TRAILER):
        return body[: -len(_TRAILER)]
    parts, at = [], 0
    while body[at]:
        parts.append(body[at + 1 : at + 1 + body[at]])
        at += body[at] + 1
    return b"".join(parts)
