"""One spool segment: how its bytes lie, and how the recorder reads them back.

    header   128 bytes: "GJSPOOL1" ‖ segment id (33 ASCII) ‖ ephemeral X25519 public key (32) ‖ made at, u64 microseconds ‖ zeros
    frame    u32 length ‖ u32 counter ‖ AES-256-GCM(segment key, nonce = counter, AAD = segment id ‖ counter)
    end      a frame of an empty entry, set when the segment was ended in order: damage in front of it is seen
    tail     zeros, written ahead so that a commit changes no file metadata

Counters run 0, 1, 2, …; integers are little-endian. The segment key is HKDF-SHA-256 of the ECDH secret between the
ephemeral key, which the writer forgets with the segment, and the recorder's key. Only the recorder reads a segment.

A segment id is `<writer id>-<number>`, its file `<segment id>-<worker>.seg`: names sort in the order of writing. A file that
is locked (flock) still grows. A writer goes from segment to segment; while it lives it holds the lock of `<writer id>.writer`.
So a reader learns from locks which segment is at its end, and which worker is gone.
"""

import fcntl
import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from guiju.core.errors import GuijuError, Text, define

SPOOL_DAMAGED = define(
    "SPOOL-DAMAGED",
    status=500,
    kind="server_error",
    zh=Text(
        "暂存段 {path} 自第 {offset} 字节起损坏：{lost} 条记录无法读取。",
        "其余记录均已读出，该段原样保留。",
        "请检查磁盘，并用 guiju verify 核对台账。",
    ),
    en=Text(
        "The spool segment {path} is damaged from byte {offset}: {lost} entries cannot be read.",
        "Every other entry was read, and the segment is kept as it is.",
        "Check the disk, then check the ledger with: guiju verify.",
    ),
)

MAGIC: Final = b"GJSPOOL1"
HEADER_BYTES: Final = 128
FRAME: Final = struct.Struct("<II")
TAG_BYTES: Final = 16
SUFFIX: Final = ".seg"
ENTRY_LIMIT_BYTES: Final = 64 * 2**20
WRITER_SUFFIX: Final = ".writer"
SEGMENT_ID_CHARACTERS: Final = 33
_WRITER_CHARACTERS: Final = 26
_READ_BYTES: Final = 2**20
_COUNTER: Final = struct.Struct("<I")
_TIME: Final = struct.Struct("<Q")
_TIME_AT: Final = 8 + SEGMENT_ID_CHARACTERS + 32
_LOOK_BYTES: Final = 2**16
_MARK_BYTES: Final = FRAME.size + TAG_BYTES


@dataclass(frozen=True, slots=True)
class Frame:
    """One entry as it was appended, with its place in the segment."""

    counter: int
    raw: bytes


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes that were written and cannot be read. `lost` counts the entries in them; 0 when nobody can tell."""

    counter: int
    offset: int
    lost: int


def segment_key(shared: bytes, segment_id: str, ephemeral: bytes, recorder: bytes) -> bytes:
    """Return the 32-byte key of a segment from the ECDH secret and both public keys.

    Source: RFC 5869; RFC 7748.
    """
    return HKDF(algorithm=SHA256(), length=32, salt=ephemeral + recorder, info=b"guiju spool segment " + segment_id.encode()).derive(shared)


def header(segment_id: str, ephemeral: bytes, made_at_us: int) -> bytes:
    """Return the 128 bytes that open a segment."""
    return (MAGIC + segment_id.encode() + ephemeral + _TIME.pack(made_at_us)).ljust(HEADER_BYTES, b"\0")


def created_us(path: Path) -> int:
    """Return when a segment was made, microseconds since 1970 UTC, as its header says. Raises OSError."""
    with path.open("rb", buffering=0) as file:
        head = file.read(HEADER_BYTES)
    return int(_TIME.unpack_from(head, _TIME_AT)[0]) if len(head) == HEADER_BYTES else 0


def end_of_frames(path: Path) -> int:
    """Return where the zeros behind a segment's last frame begin, give or take a zero that a frame ends in. Raises OSError.

    The end mark of a finished segment is no entry and is left out.
    """
    with path.open("rb", buffering=0) as file:
        end = size = os.fstat(file.fileno()).st_size
        while end > HEADER_BYTES:
            start = max(HEADER_BYTES, end - _LOOK_BYTES)
            piece = os.pread(file.fileno(), end - start, start).rstrip(b"\0")
            if piece:
                end = start + len(piece)
                break
            end = start
        mark = os.pread(file.fileno(), _MARK_BYTES, end - _MARK_BYTES)
        return end - _MARK_BYTES if end == size and mark[:4] == FRAME.pack(TAG_BYTES, 0)[:4] else end


def list_segments(folder: Path) -> list[Path]:
    """Return the segments of a spool folder, oldest first; an absent folder has none."""
    try:
        names = [entry.name for entry in os.scandir(folder) if entry.name.endswith(SUFFIX)]
    except FileNotFoundError:
        return []
    return [folder / name for name in sorted(names)]


def writer_of(path: Path) -> str:
    """Return the id of the writer of a segment, from its name."""
    return path.name[:_WRITER_CHARACTERS]


def is_abandoned(path: Path) -> bool:
    """Return whether nobody holds the lock of this file; a file that is not there is abandoned too."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


class SegmentReader:
    """Reads one segment from `after` on, again and again while it grows; holds its place between reads."""

    def __init__(self, path: Path, recorder_key: X25519PrivateKey, after: int = -1) -> None:
        self.path = path
        self.counter = 0
        self.offset = HEADER_BYTES
        self.damaged = False
        self._after = after
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            head = os.pread(self._descriptor, HEADER_BYTES, 0)
            name = head[8 : 8 + SEGMENT_ID_CHARACTERS]
            if len(head) < HEADER_BYTES or head[:8] != MAGIC or not path.name.encode().startswith(name):
                raise GuijuError(SPOOL_DAMAGED, path=path, offset=0, lost="?")
            ephemeral = head[8 + SEGMENT_ID_CHARACTERS : 8 + SEGMENT_ID_CHARACTERS + 32]
            shared = recorder_key.exchange(X25519PublicKey.from_public_bytes(ephemeral))
            self._name = name
            self._cipher = AESGCM(segment_key(shared, name.decode(), ephemeral, recorder_key.public_key().public_bytes_raw()))
        except BaseException:
            os.close(self._descriptor)
            raise

    def close(self) -> None:
        """Forget the key and let go of the file."""
        os.close(self._descriptor)

    def waiting(self) -> bool:
        """Return whether bytes lie after the last frame read; one system call."""
        return os.pread(self._descriptor, 4, self.offset) not in (b"", b"\0\0\0\0")

    def read(self, limit: int, limit_bytes: int, *, final: bool) -> list[Frame | Damage]:
        """Return the frames that follow the last one read, up to `limit` of them and little more than `limit_bytes`.

        `final` says that the writer is gone. Until then an unreadable frame may be one that is just being written, so
        reading stops in front of it. Afterwards an unreadable frame with readable ones behind it is damage, and one
        with nothing readable behind it is a torn tail: it was never acknowledged and is left alone.
        """
        found: list[Frame | Damage] = []
        buffer, start = b"", self.offset
        taken_bytes = 0
        while len(found) < limit and taken_bytes < limit_bytes:
            at = self.offset - start
            if len(buffer) - at < FRAME.size or len(buffer) - at < FRAME.size + FRAME.unpack_from(buffer, at)[0]:
                start, at = self.offset, 0
                buffer = self._buffered()
                if len(buffer) < FRAME.size:
                    break
            length, counter = FRAME.unpack_from(buffer, at)
            if length == 0 and not final:
                break
            if counter == self.counter <= self._after and TAG_BYTES <= length <= len(buffer) - at - FRAME.size:
                raw: bytes | None = b""
            else:
                raw = self._open(buffer, at)
            if raw is None:
                damage = self._resume() if final else None
                if damage is None:
                    break
                if self.counter - 1 > self._after:
                    found.append(damage)
                buffer = b""
                continue
            if counter > self._after and raw:
                found.append(Frame(counter, raw))
                taken_bytes += length
            self.offset += FRAME.size + length
            self.counter += 1
        return found

    def _buffered(self) -> bytes:
        """Return what follows the last frame read: at least the next frame whole, however large, if it is there."""
        buffer = os.pread(self._descriptor, _READ_BYTES, self.offset)
        if len(buffer) == _READ_BYTES and (length := FRAME.unpack_from(buffer)[0]) > _READ_BYTES - FRAME.size:
            buffer = os.pread(self._descriptor, FRAME.size + min(length, ENTRY_LIMIT_BYTES + TAG_BYTES), self.offset)
        return buffer

    def _open(self, buffer: bytes, at: int, counter: int | None = None) -> bytes | None:
        """Return the entry at `at`, or None when these bytes are not the frame that belongs there."""
        if len(buffer) - at < FRAME.size + TAG_BYTES:
            return None
        length, found = FRAME.unpack_from(buffer, at)
        if found != (self.counter if counter is None else counter) or not TAG_BYTES <= length <= len(buffer) - at - FRAME.size:
            return None
        sealed = buffer[at + FRAME.size : at + FRAME.size + length]
        try:
            return self._cipher.decrypt(found.to_bytes(12, "little"), sealed, self._name + _COUNTER.pack(found))
        except InvalidTag:
            return None

    def _resume(self) -> Damage | None:
        """Step over unreadable bytes to the next readable frame and return what was lost; None when none follows."""
        size = os.fstat(self._descriptor).st_size
        rest = os.pread(self._descriptor, max(size - self.offset, 0), self.offset)
        # A zero may be the end of a real frame, so the tail keeps one header's worth of zeros.
        rest = rest[: len(rest.rstrip(b"\0")) + FRAME.size + TAG_BYTES]
        for counter, at in self._headers(rest):
            if self._open(rest, at, counter) is not None:
                damage = Damage(self.counter, self.offset, counter - self.counter)
                self.offset += at
                self.counter = counter
                self.damaged = True
                return damage
        return None

    def _headers(self, rest: bytes) -> list[tuple[int, int]]:
        """Return (counter, offset) of everything that could be the header of a later frame, by counter.

        One pass: a torn frame may have tens of megabytes, and looking through them once for each counter takes days.
        """
        most = self.counter + len(rest) // (FRAME.size + TAG_BYTES)
        found = []
        for shift in range(4):
            words = numpy.frombuffer(rest, "<u4", max(len(rest) - shift, 0) // 4, shift)
            lengths, counters = words[:-1], words[1:]
            fits = (counters > self.counter) & (counters <= most) & (lengths >= TAG_BYTES) & (lengths <= len(rest))
            found += [(int(counters[place]), int(place) * 4 + shift) for place in numpy.flatnonzero(fits)]
        return sorted(found)


def read_segment(
    path: Path, recorder_private_key: bytes, after: int = -1, on_damage: Callable[[Damage], None] | None = None
) -> Iterator[tuple[int, bytes]]:
    """Yield (counter, entry) of each frame behind `after`, in order.

    A torn tail ends the reading silently. Damage in front of readable frames goes to `on_damage`; without it,
    SPOOL-DAMAGED is raised after the last readable frame. Raises SPOOL-DAMAGED at once when the header is unreadable.
    """
    reader = SegmentReader(path, X25519PrivateKey.from_private_bytes(recorder_private_key), after)
    first: Damage | None = None
    try:
        while batch := reader.read(256, _READ_BYTES, final=True):
            for item in batch:
                if isinstance(item, Frame):
                    yield item.counter, item.raw
                elif on_damage is not None:
                    on_damage(item)
                else:
                    first = first or item
    finally:
        reader.close()
    if first is not None:
        raise GuijuError(SPOOL_DAMAGED, path=path, offset=first.offset, lost=first.lost)
