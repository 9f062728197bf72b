"""Boxes of the ISO base media file format and of QuickTime: how they lie in one another, and how they grow.

Source: ISO/IEC 14496-12 §4.2; QuickTime File Format, "Atoms".
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from guiju.labelling.containers.source import Broken, Edit, NoRoom, Source

_BOXES_LIMIT: Final = 250_000
_FILLING_LIMIT_BYTES: Final = 64 * 1024
WORD: Final = 0xFFFFFFFF


@dataclass(frozen=True, slots=True, eq=False)
class Box:
    """One box: its four letters, where it begins, where its content begins, where the next begins, and the box around it."""

    kind: bytes
    at: int
    body: int
    stop: int
    within: "Box | None" = None
    usertype: bytes = b""
    open: bool = False
    """Its size is 0: it reaches to the end of the file."""

    @property
    def size(self) -> int:
        return self.stop - self.at


class Boxes:
    """The boxes of one file; all that are listed count against one limit, so that no file takes long."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._left = _BOXES_LIMIT

    def top(self) -> list[Box]:
        """Return the outermost boxes. Raises Broken."""
        return self._list(0, self.source.size, None)

    def within(self, box: Box, skip: int = 0) -> list[Box]:
        """Return the boxes in this one, behind `skip` bytes of its own. Raises Broken when a length leads out of it."""
        if box.body + skip > box.stop:
            raise Broken(f"a box {_shown(box.kind)} is cut", box.at)
        return self._list(box.body + skip, box.stop, box)

    def _list(self, at: int, stop: int, around: Box | None) -> list[Box]:
        found: list[Box] = []
        while at < stop:
            box = self._box(at, stop, around)
            if box is None:
                break
            self._left -= 1
            if self._left < 0:
                raise Broken(f"there are more than {_BOXES_LIMIT} boxes", at)
            found.append(box)
            at = box.stop
        return found

    def _box(self, at: int, stop: int, around: Box | None) -> Box | None:
        """Return the box that begins here; None where zeros fill up the rest, as QuickTime ends its lists."""
        read = self.source.read
        if stop - at < 8:
            self._filling(at, stop)
            return None
        size, kind = struct.unpack(">I4s", read(at, 8))
        head, is_open = 8, False
        if size == 0:
            if around is not None or kind == bytes(4):
                self._filling(at, stop)
                return None
            size, is_open = stop - at, True
        elif size == 1:
            size, head = int.from_bytes(read(at + 8, min(8, stop - at - 8)), "big"), 16
        usertype = b""
        if kind == b"uuid" and size >= head + 16 and at + head + 16 <= stop:
            usertype, head = read(at + head, 16), head + 16
        if size < head or at + size > stop:
            raise Broken(f"a box {_shown(kind)} reaches beyond {'the end of the file' if around is None else 'the box around it'}", at)
        return Box(kind, at, at + head, at + size, around, usertype, is_open)

    def _filling(self, at: int, stop: int) -> None:
        if stop - at > _FILLING_LIMIT_BYTES or any(self.source.read(at, stop - at)):
            raise Broken("what stands between the boxes is none", at)


def _shown(kind: bytes) -> str:
    return kind.decode("latin-1") if kind.isalnum() else kind.hex()


def end_of(boxes: list[Box], otherwise: int) -> int:
    """Return where a further box may stand: behind the last one, in front of what fills up the rest."""
    return boxes[-1].stop if boxes else otherwise


def box(kind: bytes, *parts: bytes) -> bytes:
    """Return a new box with this content."""
    return struct.pack(">I4s", 8 + sum(map(len, parts)), kind) + b"".join(parts)


def lineage(box: Box | None) -> Iterable[Box]:
    """Yield the box and all boxes around it."""
    while box is not None:
        yield box
        box = box.within


def size_edit(source: Source, box: Box, grown: int) -> Edit | None:
    """Return the edit of the size of a box that grows; None where its size is not written down. Raises NoRoom."""
    if box.open or not grown:
        return None
    (size,) = struct.unpack(">I", source.read(box.at, 4))
    if size == 1:
        return Edit(box.at + 8, box.at + 16, struct.pack(">Q", box.size + grown))
    if box.size + grown > WORD:
        raise NoRoom("a box would grow over 4 GiB, and its form knows no larger size")
    return Edit(box.at, box.at + 4, struct.pack(">I", box.size + grown))
