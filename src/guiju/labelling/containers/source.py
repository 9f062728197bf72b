"""What every container stands on: bytes in memory or in a file, read by place, and the few edits that a label needs.

A label is written as edits of the original; everything between them is copied as it lies. That is why nothing else changes,
and why a file of any size needs little memory.
"""

import errno
import io
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Final

VALUE_LIMIT_BYTES: Final = 64 * 1024
"""A label's own text; longer ones are none (reference: bound every read)."""
PART_LIMIT_BYTES: Final = 4 * 1024 * 1024
"""A part of a file that is read whole, as it lies or unpacked: an XMP packet, a list of comments, a tag."""
TEXT_LIMIT_BYTES: Final = 16 * 1024 * 1024
"""A text that is read whole: a page, a Markdown file."""
PARTS_LIMIT: Final = 1_000_000
"""Parts of one file: chunks, segments, blocks."""
LABELS_LIMIT: Final = 1000
"""Labels of one file; one is allowed, and what has so many is made to take memory."""
HELD_LIMIT_BYTES: Final = 16 * 1024 * 1024
"""Parts of one file that are held until its label is written, together: packets, tags."""
STEP_BYTES: Final = 1024 * 1024


class Broken(Exception):
    """The container is not what it says it is, or holds more than is examined; where, in bytes from the beginning."""

    def __init__(self, reason: str, at: int = 0) -> None:
        self.reason = reason
        self.at = at
        super().__init__(f"{reason} (byte {at})")


class NoRoom(Exception):
    """The container is sound, and its form has no room for this label."""


class Sealed(Exception):
    """The container is sound, and signed: any change would break what the signature promises."""


@dataclass(frozen=True, slots=True)
class Edit:
    """`new` stands in place of the bytes from `start` up to `stop`; nothing is removed when they are equal."""

    start: int
    stop: int
    new: bytes = b""

    @property
    def grown(self) -> int:
        """By how many bytes the file becomes longer."""
        return len(self.new) - (self.stop - self.start)


@dataclass(frozen=True, slots=True)
class Rewrite(Edit):
    """A long part that is written anew window by window, so that it is never held whole: `make` gives each window's new bytes."""

    make: Callable[[bytes], bytes] = bytes
    step: int = 1
    """Bytes of an entry; no window cuts one."""
    times: int = 1
    """How many times longer the new part is."""

    @property
    def grown(self) -> int:
        return (self.times - 1) * (self.stop - self.start)


@dataclass(frozen=True, slots=True)
class Site:
    """A place where something that may be a label stands: which channel, where the part lies, and its text."""

    channel: str
    start: int
    stop: int
    text: str


@dataclass(frozen=True, slots=True)
class Found:
    """What one container holds. `place` takes the inner JSON and returns the edits after which it is the only label.

    `notes` tell of metadata that could not be read and in which no label can hide.
    """

    sites: tuple[Site, ...]
    traces: tuple[str, ...]
    place: Callable[[str], list[Edit]]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        refuse_many(self.sites)


def refuse_many(sites: Sequence[Site]) -> None:
    """Raise Broken when there are so many labels that the file was made to take memory."""
    if len(sites) > LABELS_LIMIT:
        raise Broken(f"there are more than {LABELS_LIMIT} labels", sites[-1].start)


_MARKS: Final = tuple(
    mark.encode()
    for mark in (
        "aigc", "tc260", "contentproducer", "produceid", "contentpropagator", "propagateid", "serviceprovider",
        "digitalsourcetype", "trainedalgorithmicmedia",
    )
)  # fmt: skip


def may_hide_label(part: bytes) -> bool:
    """Tell whether metadata that cannot be read may hold a label: one of the words that every label or trace has stands in its bytes.

    In ASCII, UTF-8 and UTF-16 alike; only for parts that are neither packed nor encrypted.
    """
    plain = part.replace(b"\0", b"").lower()
    return any(mark in plain for mark in _MARKS)


def names_label(part: bytes) -> bool:
    """Tell whether a part that is not read holds a word that stands in every label, and in no other trace of generation."""
    plain = part.replace(b"\0", b"").lower()
    return any(word in plain for word in (b"tc260.org.cn", b"contentproducer", b"contentpropagator"))


class Source:
    """Bytes of a known size, read by place. A file is read in small windows and never held whole."""

    def __init__(self, data: bytes | int) -> None:
        self._file = data if isinstance(data, int) else -1
        self._data = b"" if isinstance(data, int) else data
        self._from = 0
        self._held = 0
        self.size = os.fstat(data).st_size if isinstance(data, int) else len(data)

    def read(self, at: int, length: int) -> bytes:
        """Return exactly these bytes. Raises Broken when the file ends before, or when it is more than one part may hold."""
        if at < 0 or length < 0 or at + length > self.size:
            raise Broken("a part reaches beyond the end of the file", at)
        if length > PART_LIMIT_BYTES:
            raise Broken(f"a part of {length} bytes is more than the {PART_LIMIT_BYTES} that are examined", at)
        if self._file >= 0 and not self._from <= at <= at + length <= self._from + len(self._data):
            self._data, self._from = os.pread(self._file, max(length, 65_536), at), at
        piece = self._data[at - self._from : at - self._from + length]
        if len(piece) != length:
            raise Broken("the file became shorter while it was read", at)
        return piece

    def held(self, part: bytes, at: int) -> bytes:
        """Return a part that is held until the label is written. Raises Broken when all of them together are more than may be."""
        self._held += len(part)
        if self._held > HELD_LIMIT_BYTES:
            raise Broken(f"its metadata is more than the {HELD_LIMIT_BYTES} bytes that are examined", at)
        return part

    def head(self, length: int) -> bytes:
        """Return the first bytes, fewer when there are no more."""
        return self.read(0, min(length, self.size))

    def ends_with(self, mark: bytes, start: int) -> bool:
        """Tell whether the mark stands anywhere from `start` on; looks from the end, in windows."""
        if self._file < 0:
            return self._data.rfind(mark, start) >= 0
        stop = self.size
        while stop - start >= len(mark):
            at = max(start, stop - STEP_BYTES)
            if self.read(at, stop - at).rfind(mark) >= 0:
                return True
            if at == start:
                return False
            stop = at + len(mark) - 1
        return False

    def stream(self) -> BinaryIO:
        """Return the whole as an open file for a library that wants one; the caller closes it."""
        if self._file < 0:
            return io.BytesIO(self._data)
        return os.fdopen(os.dup(self._file), "rb")

    def copy_to(self, target: int, at: int, length: int, to: int) -> None:
        """Write a span into another file at `to`; holes of the original stay holes."""
        stop = at + length
        while at < stop:
            try:
                data = min(os.lseek(self._file, at, os.SEEK_DATA), stop)
            except OSError as error:
                if error.errno == errno.ENXIO:
                    return  # nothing but a hole up to the end
                raise
            to, at = to + data - at, data
            piece = os.pread(self._file, min(STEP_BYTES, stop - at), at) if at < stop else b""
            if at < stop and not piece:
                raise Broken("the file became shorter while it was read", at)
            write_all(target, piece, to)
            at, to = at + len(piece), to + len(piece)

    def windows(self, start: int, stop: int, step: int) -> Iterator[bytes]:
        """Yield a span in pieces of whole entries of `step` bytes."""
        most = STEP_BYTES // 4 // step * step
        for at in range(start, stop, most):
            yield self.read(at, min(most, stop - at))

    def spans(self, edits: Sequence[Edit]) -> Iterator[bytes | tuple[int, int]]:
        """Yield what the edited file is made of: new bytes, and (start, stop) of what stays."""
        at = 0
        for edit in sorted(edits, key=lambda edit: (edit.start, edit.stop)):
            if edit.start < at or edit.stop < edit.start or edit.stop > self.size:
                raise Broken("two parts of the file overlap", edit.start)
            yield (at, edit.start)
            if isinstance(edit, Rewrite):
                yield from map(edit.make, self.windows(edit.start, edit.stop, edit.step))
            else:
                yield edit.new
            at = edit.stop
        yield (at, self.size)

    def edited(self, edits: Sequence[Edit]) -> bytes:
        """Return the whole edited file; for a source in memory."""
        view = memoryview(self._data)
        return b"".join(part if isinstance(part, bytes) else view[part[0] : part[1]] for part in self.spans(edits))


def whole_text(source: Source) -> bytes:
    """Return a text file whole. Raises Broken when it is more than is examined."""
    if source.size > TEXT_LIMIT_BYTES:
        raise Broken(f"a text of {source.size} bytes is more than the {TEXT_LIMIT_BYTES} that are examined")
    step = PART_LIMIT_BYTES
    return b"".join(source.read(at, min(step, source.size - at)) for at in range(0, source.size, step))


def write_all(target: int, data: bytes, at: int) -> None:
    """Write every byte at this place."""
    view = memoryview(data)
    while view:
        done = os.pwrite(target, view, at)
        view, at = view[done:], at + done
