"""RIFF and its large form RF64: the chunks of WebP, WAV and AVI."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from guiju.labelling.annex_e import VALUE_LIMIT_BYTES, mentions_label
from guiju.labelling.containers.source import Broken, Edit, NoRoom, Site, Source, refuse_many

_OPEN: Final = 0xFFFFFFFF
"""A size that was never filled in: whoever wrote the file could not go back, and its last chunk reaches to the end."""


CHUNKS_LIMIT: Final = 100_000


@dataclass(frozen=True, slots=True)
class Chunk:
    """One chunk: its name, where it begins, how long its data is, where the next begins."""

    name: bytes
    at: int
    length: int
    stop: int


def list_chunks(source: Source, start: int = 0) -> list[Chunk]:
    """Return the chunks below the outermost one, which begins at `start`. Raises Broken when a length leads beyond the file."""
    return list(_chunks(source, start))


def _chunks(source: Source, start: int) -> Iterator[Chunk]:
    magic, size = struct.unpack("<4sI", source.read(start, 8))
    large = 0
    if magic == b"RF64":
        name, length, riff, large = struct.unpack("<4sIQQ", source.read(12, 24))
        if name != b"ds64" or length < 28:
            raise Broken("RF64 without its sizes", 12)
        size = riff
    end = source.size if size == _OPEN and magic == b"RIFF" else start + 8 + size
    if end > source.size:
        raise Broken("the file is shorter than it says", source.size)
    at = start + 12
    for _ in range(CHUNKS_LIMIT):
        if at == end or (at == end - 1 and source.read(at, 1) == b"\0"):
            return
        if at + 8 > end:
            raise Broken("a chunk is cut", at)
        name, length = struct.unpack("<4sI", source.read(at, 8))
        if length == _OPEN and name == b"data":
            length = large if magic == b"RF64" else end - at - 8
        stop = at + 8 + length
        if stop > end:
            raise Broken("a chunk reaches beyond the end of the file", at)
        stop = min(stop + length % 2, end)
        yield Chunk(name, at, length, stop)
        at = stop
    raise Broken(f"there are more than {CHUNKS_LIMIT} chunks", at)


def resized(source: Source, edits: list[Edit]) -> list[Edit]:
    """Return the edits, and with them the one that corrects the size at the beginning."""
    grown = sum(len(edit.new) - (edit.stop - edit.start) for edit in edits)
    magic, size = struct.unpack("<4sI", source.read(0, 8))
    if magic == b"RF64":
        (large,) = struct.unpack("<Q", source.read(20, 8))
        return [*edits, Edit(20, 28, struct.pack("<Q", large + grown))]
    if size == _OPEN:
        return edits
    if size + grown >= _OPEN:
        raise NoRoom("the file would grow over 4 GiB, and its form knows no larger size")
    return [*edits, Edit(4, 8, struct.pack("<I", size + grown))]


def chunk(name: bytes, data: bytes) -> bytes:
    """Return a chunk, filled up to an even length."""
    return name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)


def info_labels(source: Source, part: Chunk, channel: str, sites: list[Site], edits: list[Edit]) -> bool:
    """Add the entries of LIST/INFO that hold a label, `AIGC` or a comment with the JSON, and the edits that blank them in place.

    Return whether the list holds anything else.
    """
    others = False
    at, end = part.at + 12, part.at + 8 + part.length
    while at + 8 <= end:
        name, length = struct.unpack("<4sI", source.read(at, 8))
        if at + 8 + length > end:
            raise Broken("an entry of LIST/INFO reaches beyond it", at)
        if name.upper() == b"AIGC" and length > VALUE_LIMIT_BYTES:
            raise Broken("an entry AIGC is longer than any label", at)
        if name.upper() in (b"ICMT", b"AIGC") and length <= VALUE_LIMIT_BYTES:
            text = source.read(at + 8, length).decode("utf-8", "replace").rstrip("\0")
            if name.upper() == b"AIGC" or mentions_label(text):
                refuse_many(sites)
                sites.append(Site(f"{channel}:INFO {name.decode()}", at, at + 8 + length, text))
                blank = name + struct.pack("<I", length) if name == b"ICMT" else b"JUNK" + struct.pack("<I", length)
                edits.append(Edit(at, at + 8 + length, blank + bytes(length)))
        others = others or name.upper() not in (b"AIGC", b"JUNK")
        at += 8 + length + length % 2
    return others
