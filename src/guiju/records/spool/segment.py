"""One spool segment: how its bytes lie, and how the recorder reads them back.

    header   128 bytes: "GJSPOOL1" ‖ segment id (33 ASCII) ‖ ephemeral X25519 public key (32) ‖ made at, u64 microseconds ‖ zeros
    frame    u32 length ‖ u32 counter ‖ AES-256-GCM(segment key, nonce = counter, AAD = segment id ‖ counter)
    end      a frame of an empty entry, set when the segment was ended in order: damage in front of it is seen
    tail     zeros, written ahead so that a commit changes no file metadata

Counters run 0, 1, 2, …; integers are little-endian. The segment key is HKDF-SHA-256 of the ECDH secret between the
ephemeral key, which the writer forgets with the segment, and the recorder's key. Only the recorder reads a segment.

A segment id is `<writer id>-<number>`, its file `<segment id>-<worker>.seg`: names sort in the order of writing. A file that
is locked (flock) still grows. A writer goes from segment to segment; while it lives it holds the lock of `<writer id>.writer`.
So a reader learns from locks which segment is at its end, and which worker is gone. Only then is anything called damage: the blocks of a
write that is under way become visible in any order. `<segment>.end` beside a segment asks its writer to end it (decision 0052).

A worker that was taken over may leave anything here: no bytes in a segment's file raise anything but SPOOL-DAMAGED.
"""

import errno
import fcntl
import os
import re
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
END_SUFFIX: Final = ".end"
SEGMENT_ID_CHARACTERS: Final = 33
_NAME: Final = re.compile(r"[0-9A-Z]{26}-[0-9]{6}-[!-~]{1,160}\.seg")
_WRITER_CHARACTERS: Final = 26
_READ_BYTES: Final = 2**20
_COUNTER: Final = struct.Struct("<I")
_TIME: Final = struct.Struct("<Q")
_TIME_AT: Final = 8 + SEGMENT_ID_CHARACTERS + 32
_LOOK_BYTES: Final = 2**16
_MARK_BYTES: Final = FRAME.size + TAG_BYTES
_BLOCK_BYTES: Final = 4_096
_WINDOW_BYTES: Final = 3 * ENTRY_LIMIT_BYTES
"""So much is looked through at once for what follows damage; the last third again with what comes next."""
_TRY_BYTES: Final = 4_096
_BY_CHANCE: Final = 2**16
_TRIED_BYTES: Final = 2**35
"""So much is deciphered at the most to find what follows damage: bytes that somebody made up could ask for days."""
_UNREADABLE: Final = frozenset((errno.EIO, errno.EBADMSG, errno.EUCLEAN, errno.EILSEQ))
"""What a disk or a file system says of a block that it cannot give back."""


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
        size = os.fstat(file.fileno()).st_size
        end = _end_of_data(file.fileno(), size)
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
    """Return the segments of a spool folder, oldest first; an absent folder has none. No writer makes folders, pipes, links or other names."""
    try:
        names = [entry.name for entry in os.scandir(folder) if _NAME.fullmatch(entry.name) and entry.is_file(follow_symlinks=False)]
    except FileNotFoundError:
        return []
    return [folder / name for name in sorted(names)]


def waiting_frames(path: Path, after: int) -> tuple[int, int]:
    """Return how many entries lie behind the frame `after` of a segment, and their bytes; read from lengths, without a key. Raises OSError.

    Bytes behind the last frame that has a header as it should be are no entries: they are torn, or being written.
    """
    entries = size_bytes = counter = 0
    with path.open("rb", buffering=0) as file:
        offset, size = HEADER_BYTES, os.fstat(file.fileno()).st_size
        while offset + FRAME.size <= size:
            length, found = FRAME.unpack(os.pread(file.fileno(), FRAME.size, offset))
            if length < TAG_BYTES or found != counter or offset + FRAME.size + length > size:
                break
            if counter > after and length > TAG_BYTES:  # the end mark is an empty entry
                entries += 1
                size_bytes += FRAME.size + length
            offset += FRAME.size + length
            counter += 1
    return entries, size_bytes


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


def read_through(descriptor: int, size_bytes: int, offset: int) -> tuple[bytes, bool]:
    """Return up to so many bytes, and whether the disk gave all of them back: a block that it did not is zeros. Raises OSError otherwise."""
    pieces: list[bytes] = []
    whole, missing = True, size_bytes
    while missing > 0:
        try:
            piece = os.pread(descriptor, missing, offset)
        except OSError as problem:
            if problem.errno not in _UNREADABLE:
                raise
            whole = False
            piece = bytes(min(missing, _BLOCK_BYTES - offset % _BLOCK_BYTES, max(os.fstat(descriptor).st_size - offset, 0)))
        if not piece:
            break
        pieces.append(piece)
        missing -= len(piece)
        offset += len(piece)
    return b"".join(pieces), whole


class SegmentReader:
    """Reads one segment from `after` on, again and again while it grows; holds its place between reads."""

    def __init__(self, path: Path, recorder_key: X25519PrivateKey, after: int = -1) -> None:
        """Raises SPOOL-DAMAGED for a header that no writer made, OSError for a file that cannot be opened."""
        self.path = path
        self.counter = 0
        self.offset = HEADER_BYTES
        self.damaged = False
        self._after = after
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            head, _ = read_through(self._descriptor, HEADER_BYTES, 0)
            name = head[8 : 8 + SEGMENT_ID_CHARACTERS]
            if len(head) < HEADER_BYTES or head[:8] != MAGIC or not os.fsencode(path.name).startswith(name):
                raise GuijuError(SPOOL_DAMAGED, path=path, offset=0, lost="?")
            ephemeral = head[8 + SEGMENT_ID_CHARACTERS : 8 + SEGMENT_ID_CHARACTERS + 32]
            shared = recorder_key.exchange(X25519PublicKey.from_public_bytes(ephemeral))
            self._name = name
            self._cipher = AESGCM(segment_key(shared, name.decode(), ephemeral, recorder_key.public_key().public_bytes_raw()))
        except ValueError as problem:  # a key with which no secret can be agreed, a name that is no text
            os.close(self._descriptor)
            raise GuijuError(SPOOL_DAMAGED, path=path, offset=0, lost="?") from problem
        except BaseException:
            os.close(self._descriptor)
            raise

    def close(self) -> None:
        """Forget the key and let go of the file."""
        os.close(self._descriptor)

    def waiting(self) -> bool:
        """Return whether bytes lie after the last frame read; one system call."""
        found, whole = read_through(self._descriptor, 4, self.offset)
        return not whole or found not in (b"", b"\0\0\0\0")

    def read(self, limit: int, limit_bytes: int, *, final: bool) -> list[Frame | Damage]:
        """Return the frames that follow the last one read, up to `limit` of them and little more than `limit_bytes`.

        `final` says that the writer is gone. Until then an unreadable frame may be one that is just being written, so
        reading stops in front of it. Afterwards an unreadable frame with readable ones behind it is damage, and one
        with nothing readable behind it is a torn tail: it was never acknowledged and is left alone. A block that the disk
        does not give back is damage in either case.
        """
        found: list[Frame | Damage] = []
        buffer, start = b"", self.offset
        taken_bytes, doubted = 0, -1
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
                if not final:
                    break
                if doubted != self.offset:  # what is cached may be older than the disk, for writers write past the cache
                    doubted, buffer = self.offset, b""
                    os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
                    continue
                damage = self._resume()
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
        buffer, _ = read_through(self._descriptor, _READ_BYTES, self.offset)
        if len(buffer) == _READ_BYTES and (length := FRAME.unpack_from(buffer)[0]) > _READ_BYTES - FRAME.size:
            buffer, _ = read_through(self._descriptor, FRAME.size + min(length, ENTRY_LIMIT_BYTES + TAG_BYTES), self.offset)
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
        """Step over unreadable bytes to the next readable frame and return what was lost.

        None when none follows: nothing there was acknowledged. Where nobody can tell, because the disk does not give it back or it would take
        too long to see, the rest is lost, and nobody knows how much.
        """
        size = os.fstat(self._descriptor).st_size
        place, tried_bytes, all_read = self.offset, 0, True
        while (place := _next_data(self._descriptor, place, size)) < size:
            rest, whole = read_through(self._descriptor, min(size - place, _WINDOW_BYTES), place)
            all_read = all_read and whole
            last = not rest or place + len(rest) >= size
            if last:  # a zero may be the end of a real frame, so the tail keeps one header's worth of zeros
                rest = rest[: len(rest.rstrip(b"\0")) + FRAME.size + TAG_BYTES]
            for counter, at in self._headers(rest, place):
                tried_bytes += FRAME.unpack_from(rest, at)[0] + _TRY_BYTES
                if tried_bytes > _TRIED_BYTES:
                    return self._step(size, self.counter + 1, 0)
                if self._open(rest, at, counter) is not None:
                    return self._step(place + at, counter, counter - self.counter)
            if last:
                break
            place += len(rest) - ENTRY_LIMIT_BYTES - _MARK_BYTES
        return None if all_read else self._step(size, self.counter + 1, 0)

    def _step(self, offset: int, counter: int, lost: int) -> Damage:
        damage = Damage(self.counter, self.offset, lost)
        self.offset, self.counter, self.damaged = offset, counter, True
        return damage

    def _headers(self, rest: bytes, place: int) -> Iterator[tuple[int, int]]:
        """Yield (counter, offset) of what could be the header of a later frame, by counter; `rest` lies at `place`.

        One pass: a torn frame may have tens of megabytes, and looking through them once for each counter takes days. No more are looked at
        than frames could lie there and chance could make: only somebody who made them up has more.
        """
        most = self.counter + (place - self.offset + len(rest)) // _MARK_BYTES
        longest = min(len(rest), ENTRY_LIMIT_BYTES + TAG_BYTES)
        likely = len(rest) // _MARK_BYTES + _BY_CHANCE
        counters, places = [], []
        for shift in range(4):
            words = numpy.frombuffer(rest, "<u4", max(len(rest) - shift, 0) // 4, shift)
            lengths, numbers = words[:-1], words[1:]
            fits = (numbers > self.counter) & (numbers <= most) & (lengths >= TAG_BYTES) & (lengths <= longest)
            found = numpy.flatnonzero(fits)[:likely]
            counters.append(numbers[found])
            places.append(found * 4 + shift)
        every_counter, every_place = numpy.concatenate(counters), numpy.concatenate(places)
        for each in numpy.lexsort((every_place, every_counter)):
            yield int(every_counter[each]), int(every_place[each])


def _end_of_data(descriptor: int, size: int) -> int:
    """Return where the last bytes that were written end: a file may say that it is long and hold nothing."""
    end = HEADER_BYTES
    try:
        while (start := _next_data(descriptor, end, size)) < size:
            end = os.lseek(descriptor, start, os.SEEK_HOLE)
    except OSError:
        return size
    return min(end, size)


def _next_data(descriptor: int, offset: int, size: int) -> int:
    """Return where bytes were written from `offset` on, `size` for nowhere."""
    try:
        return os.lseek(descriptor, offset, os.SEEK_DATA)
    except OSError as problem:
        return size if problem.errno == errno.ENXIO else offset


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
