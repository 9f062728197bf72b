"""AVI: the label is the entry `AIGC` of a list LIST/INFO.

Indexes of an AVI hold places within the file, counted from its beginning or from `movi` as the writer liked. So nothing may move: the list
takes the place of a zero-filled chunk JUNK, which most writers leave in front of `movi`; else it stands at the end, behind the index.
A file of several RIFF parts (OpenDML) without such a chunk is refused, for its later parts would move.
Read as well: entries with the JSON, and XMP in a chunk `_PMX`. Source: TC260-PG-20257A (video guide); OpenDML AVI 1.02.
"""

import struct
from typing import Final

from guiju.labelling.containers import xmp
from guiju.labelling.containers.riff import CHUNKS_LIMIT, Chunk, chunk, info_labels, list_chunks, resized
from guiju.labelling.containers.source import Broken, Edit, Found, NoRoom, Site, Source

NAME: Final = "AVI"


def sniff(head: bytes) -> bool:
    """Tell whether the file begins as an AVI."""
    return head[:4] == b"RIFF" and head[8:12] == b"AVI "


def examine(source: Source) -> Found:
    """Read the chunks of every part, and those that may hold a label whole. Raises Broken."""
    chunks = list_chunks(source)
    if not chunks or _kind(source, chunks[0]) != b"hdrl" or not any(_kind(source, each) == b"movi" for each in chunks):
        raise Broken("there are no headers, or there is no picture", 12)
    end = chunks[-1].stop
    later = _later_parts(source, end)
    sites: list[Site] = []
    edits: list[Edit] = []
    traces: list[str] = []
    notes: list[str] = []
    own: Chunk | None = None  # a list that holds a label alone, to be overwritten
    for each in [*chunks, *later]:
        if _kind(source, each) == b"INFO":
            drops: list[Edit] = []
            others = info_labels(source, each, "avi", sites, drops)
            if drops and not others and own is None:
                own = each
            else:
                edits += drops
        elif each.name == b"C2PA":
            traces.append("c2pa")
        elif each.name == b"_PMX":
            found = _packet(source, each, sites, edits)
            traces += found.traces
            notes += found.notes

    def place(inner: str) -> list[Edit]:
        data = b"INFO" + chunk(b"AIGC", inner.encode("ascii") + b"\0")
        new = chunk(b"LIST", data)
        if own is not None:
            if _takes(own, len(new)):
                return [*edits, _into(own, new)]
            if own.stop == end and not later:
                return resized(source, [*edits, Edit(own.at, end, new)])
            edits.append(Edit(own.at, own.at + 4, b"JUNK"))
            edits.append(Edit(own.at + 8, own.at + 8 + own.length, bytes(own.length)))
        room = next((each for each in chunks if _is_free(source, each, len(new)) and _takes(each, len(new))), None)
        if room is not None:
            return [*edits, _into(room, new)]
        if later:
            raise NoRoom("it has several parts and no free chunk in front, and what follows must not move")
        return resized(source, [*edits, Edit(end, end, bytes(end % 2) + new)])

    return Found(tuple(sites), tuple(traces), place, tuple(notes))


def _kind(source: Source, part: Chunk) -> bytes:
    """Return the kind of a list; nothing for another chunk."""
    return source.read(part.at + 8, 4) if part.name == b"LIST" and part.length >= 4 else b""


def _later_parts(source: Source, at: int) -> list[Chunk]:
    """Return the chunks of the RIFF parts that follow the first; what is no such part ends the file."""
    found: list[Chunk] = []
    while source.size - at >= 12:
        magic, size, kind = struct.unpack("<4sI4s", source.read(at, 12))
        if magic != b"RIFF" or kind != b"AVIX":
            break
        found += list_chunks(source, at)
        if len(found) > CHUNKS_LIMIT:
            raise Broken("there are too many parts", at)
        at += 8 + size + size % 2
    return found


def _packet(source: Source, part: Chunk, sites: list[Site], edits: list[Edit]) -> xmp.Packet:
    at = part.at + 8
    packet = source.read(at, part.length)
    found = xmp.examine(packet, at)
    sites += [Site("avi:XMP", part.at, part.stop, text) for text in found.texts]
    if found.spans:
        edits.append(Edit(at, at + part.length, xmp.without_label(packet, found).ljust(part.length)))
    return found


def _is_free(source: Source, part: Chunk, length: int) -> bool:
    """Tell whether a chunk is free: zeros where a list of this length would stand."""
    return part.name == b"JUNK" and not any(source.read(part.at + 8, min(part.length, length)))


def _takes(room: Chunk, length: int) -> bool:
    """Tell whether a list of this length fills a chunk's place, or leaves enough for a free chunk behind it."""
    rest = room.stop - room.at - length
    return rest == 0 or rest >= 8


def _into(room: Chunk, new: bytes) -> Edit:
    """Return the edit that puts the list in a chunk's place; what is left of it is a free chunk."""
    rest = room.stop - room.at - len(new)
    return Edit(room.at, room.stop, new + (chunk(b"JUNK", bytes(rest - 8)) if rest else b""))
