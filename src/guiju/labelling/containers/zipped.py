"""ZIP, the archive under Office Open XML, OpenDocument and EPUB: its entries by place, and the edits that change a few of them.

Entries that do not change keep even their compressed bytes; the central directory is written anew, since what lies behind a
changed entry moves. Refused are archives that two readers would read in two ways: names that stand twice, entries that overlap,
headers that disagree, a second end of the directory, anything encrypted or in several volumes.
Source: PKWARE APPNOTE 6.3.10, §4.3 and §4.5.3.
"""

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from guiju.labelling.containers.source import PART_LIMIT_BYTES, Broken, Edit, NoRoom, Source

ENTRIES_LIMIT: Final = 65_536
DIRECTORY_LIMIT_BYTES: Final = 16 * 1024 * 1024
_LOCAL: Final = struct.Struct("<4s5H3I2H")
_CENTRAL: Final = struct.Struct("<4s6H3I5H2I")
_END: Final = struct.Struct("<4s4H2IH")
_END64: Final = struct.Struct("<4sQ2H2I4Q")
_LOCATOR: Final = struct.Struct("<4sIQI")
_FULL: Final = 0xFFFFFFFF
_ENCRYPTED: Final = 0x2041
"""Bits 0, 6 and 13: the data, strongly, or the directory itself."""
_DESCRIBED: Final = 0x08
_LEFT_OUT: Final = frozenset({0x0001})
"""Fields of an extra block that say the size of what is written anew."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry: where its local header, its data and what follows it lie, and what the directory says of it."""

    name: bytes
    at: int
    data: int
    packed: int
    size: int
    crc: int
    method: int
    stop: int
    listed: int
    """Where its record in the central directory lies."""
    listed_length: int
    offset_at: int
    """Where in that record its offset stands."""
    offset_wide: bool


def sniff(head: bytes) -> bool:
    """Tell whether the file begins as an archive with an entry."""
    return head.startswith(b"PK\3\4")


class Archive:
    """The entries of an archive, every header of which was read. Raises Broken."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._end_at, self._end64_at, self.directory, self._directory_size, count = _end(source)
        if count > ENTRIES_LIMIT or self._directory_size > DIRECTORY_LIMIT_BYTES:
            raise Broken(f"there are more than {ENTRIES_LIMIT} entries", self.directory)
        self.listed: list[Entry] = []
        self.entries: dict[bytes, Entry] = {}
        at, stop = self.directory, self.directory + self._directory_size
        for _ in range(count):
            entry = _entry(source, at, stop, self.directory)
            if entry.name in self.entries:
                raise Broken("a name stands twice in the archive", at)
            self.entries[entry.name] = entry
            self.listed.append(entry)
            at += entry.listed_length
        if at != stop:
            raise Broken("the directory of the archive is longer or shorter than it says", at)
        reached = 0
        for entry in sorted(self.listed, key=lambda each: each.at):
            if entry.at < reached:
                raise Broken("two entries of the archive overlap", entry.at)
            reached = entry.stop

    def text(self, name: bytes) -> bytes | None:
        """Return an entry unpacked, None when there is none of this name. Raises Broken when it is more than is examined, or damaged."""
        entry = self.entries.get(name)
        if entry is None:
            return None
        if entry.size > PART_LIMIT_BYTES or entry.packed > PART_LIMIT_BYTES:
            raise Broken(f"the entry {_shown(name)} is larger than what is examined", entry.at)
        data = self.source.read(entry.data, entry.packed)
        if entry.method == 8:
            data = inflated(data, entry.at)
        elif entry.method != 0:
            raise Broken(f"the entry {_shown(name)} is packed in a way that is not read ({entry.method})", entry.at)
        if len(data) != entry.size or zlib.crc32(data) != entry.crc:
            raise Broken(f"the entry {_shown(name)} is not what its check sum says", entry.at)
        return data

    def edits(self, changes: Mapping[bytes, bytes]) -> list[Edit]:
        """Return the edits after which these entries hold these bytes; those that are new stand behind the others.

        Raises NoRoom when an offset would no longer fit.
        """
        edits, records, moved = [], {}, []
        for name, new in changes.items():
            if entry := self.entries.get(name):
                local, record = self._changed(entry, new)
                edits.append(Edit(entry.at, entry.stop, local))
                records[name] = record
                moved.append((entry.at, len(local) - (entry.stop - entry.at)))
        directory = [self._listed(entry, records.get(entry.name), sum(by for at, by in moved if at < entry.at)) for entry in self.listed]
        to = self.directory + sum(by for _, by in moved)
        fresh = []
        for name, new in changes.items():
            if name not in self.entries:
                local, record = _new(name, new, to)
                fresh.append(local)
                directory.append(record)
                to += len(local)
        listed = b"".join(directory)
        edits.append(
            Edit(self.directory, self._end_at + _END.size, b"".join(fresh) + listed + self._ended(len(directory), len(listed), to))
        )
        return edits

    def _changed(self, entry: Entry, new: bytes) -> tuple[bytes, bytes]:
        """Return (local header and data, record of the directory with its old offset) of an entry with other bytes."""
        local = bytearray(self.source.read(entry.at, entry.data - entry.at))
        record = bytearray(self.source.read(entry.listed, entry.listed_length))
        data, method = (new, 0) if entry.method == 0 else (packed(new), 8)
        named = 30 + len(entry.name)
        extra = _extra_without(bytes(local[named:]), entry.at)
        flags = struct.unpack_from("<H", local, 6)[0] & ~_DESCRIBED
        struct.pack_into("<2H", local, 6, flags, method)
        struct.pack_into("<3I", local, 14, zlib.crc32(new), len(data), len(new))
        struct.pack_into("<H", local, 28, len(extra))
        extra_length, comment_length = struct.unpack_from("<2H", record, 30)
        named = 46 + len(entry.name)
        kept = _extra_without(bytes(record[named : named + extra_length]), entry.listed)
        comment = bytes(record[named + extra_length : named + extra_length + comment_length])
        struct.pack_into("<2H", record, 8, struct.unpack_from("<H", record, 8)[0] & ~_DESCRIBED, method)
        struct.pack_into("<3I", record, 16, zlib.crc32(new), len(data), len(new))
        struct.pack_into("<H", record, 30, len(kept))
        return bytes(local[: 30 + len(entry.name)]) + extra + data, bytes(record[:named]) + kept + comment

    def _listed(self, entry: Entry, record: bytes | None, by: int) -> bytes:
        """Return the record of an entry whose offset grew by so much."""
        if record:
            return _with_offset(record, len(entry.name), entry.at + by)
        new = bytearray(self.source.read(entry.listed, entry.listed_length))
        if not entry.offset_wide and entry.at + by >= _FULL:
            raise NoRoom("the archive would need the large form of ZIP")
        struct.pack_into("<Q" if entry.offset_wide else "<I", new, entry.offset_at, entry.at + by)
        return bytes(new)

    def _ended(self, count: int, length: int, at: int) -> bytes:
        """Return everything between the directory and the archive's comment."""
        end = bytearray(self.source.read(self._end_at, _END.size))
        wide = b""
        if self._end64_at >= 0:
            record = bytearray(self.source.read(self._end64_at, self._end_at - _LOCATOR.size - self._end64_at))
            struct.pack_into("<4Q", record, 24, count, count, length, at)
            wide = bytes(record) + _LOCATOR.pack(b"PK\6\7", 0, at + length, 1)
        for place, kind, value in ((8, "<H", count), (10, "<H", count), (12, "<I", length), (16, "<I", at)):
            top = 0xFFFF if kind == "<H" else _FULL
            if struct.unpack_from(kind, end, place)[0] == top and wide:
                continue
            if value >= top:
                raise NoRoom("the archive would need the large form of ZIP")
            struct.pack_into(kind, end, place, value)
        return wide + bytes(end)


def packed(data: bytes) -> bytes:
    """Return data deflated, as an entry has it."""
    stream = zlib.compressobj(6, zlib.DEFLATED, -15)
    return stream.compress(data) + stream.flush()


def inflated(data: bytes, at: int) -> bytes:
    """Return what was deflated, up to the limit of a part. Raises Broken for more, for less, and for what follows it."""
    stream = zlib.decompressobj(-15)
    try:
        text = stream.decompress(data, PART_LIMIT_BYTES)
    except zlib.error as error:
        raise Broken("an entry cannot be unpacked", at) from error
    if not stream.eof or stream.unused_data:
        raise Broken("an entry is cut, grows over what is examined, or is followed by something", at)
    return text


def _new(name: bytes, data: bytes, at: int) -> tuple[bytes, bytes]:
    """Return (local header and data, record) of a new entry that will stand at `at`; its time is the first that ZIP knows."""
    body = packed(data)
    facts = (20, 0, 8, 0, 0x21, zlib.crc32(data), len(body), len(data), len(name), 0)
    local = _LOCAL.pack(b"PK\3\4", *facts) + name + body
    return local, _with_offset(_CENTRAL.pack(b"PK\1\2", 20, *facts, 0, 0, 0, 0, 0) + name, len(name), at)


def _with_offset(record: bytes, name_length: int, at: int) -> bytes:
    """Return a record without large sizes as that of an entry at `at`; behind the fourth gigabyte a field of its own says where."""
    new = bytearray(record)
    struct.pack_into("<I", new, 42, min(at, _FULL))
    if at >= _FULL:
        extra_length = struct.unpack_from("<H", new, 30)[0]
        struct.pack_into("<H", new, 30, extra_length + 12)
        new[46 + name_length + extra_length : 46 + name_length + extra_length] = struct.pack("<2HQ", 1, 8, at)
        struct.pack_into("<H", new, 6, 45)
    return bytes(new)


def _end(source: Source) -> tuple[int, int, int, int, int]:
    """Return where the end record lies, the large one (or -1), and of the directory where, how long, how many."""
    tail_at = max(0, source.size - _END.size - 0xFFFF)
    tail = source.read(tail_at, source.size - tail_at)
    ends, at = [], tail.rfind(b"PK\5\6")
    while at >= 0:
        if at + _END.size <= len(tail) and at + _END.size + struct.unpack_from("<H", tail, at + 20)[0] == len(tail):
            ends.append(tail_at + at)
        at = tail.rfind(b"PK\5\6", 0, at)
    if len(ends) != 1:
        raise Broken("the archive has no end, or more than one", source.size)
    end_at = ends[0]
    _, disk, first_disk, here, count, length, begin, _ = _END.unpack(source.read(end_at, _END.size))
    end64_at, before = -1, end_at
    if end_at >= _LOCATOR.size and source.read(end_at - _LOCATOR.size, 4) == b"PK\6\7":
        _, _, end64_at, disks = _LOCATOR.unpack(source.read(end_at - _LOCATOR.size, _LOCATOR.size))
        magic, size, _, _, disk64, first64, here64, count64, length64, begin64 = _END64.unpack(source.read(end64_at, _END64.size))
        if magic != b"PK\6\6" or disks > 1 or disk64 or first64 or end64_at + 12 + size != end_at - _LOCATOR.size:
            raise Broken("the end of the large archive is not where it should be", end64_at)
        small = ((here, here64, 0xFFFF), (count, count64, 0xFFFF), (length, length64, _FULL), (begin, begin64, _FULL))
        if any(value not in (top, large) for value, large, top in small):
            raise Broken("the two ends of the archive disagree", end_at)
        here, count, length, begin, before = here64, count64, length64, begin64, end64_at
        disk = 0 if disk == 0xFFFF else disk
        first_disk = 0 if first_disk == 0xFFFF else first_disk
    if disk or first_disk or here != count:
        raise Broken("the archive has several volumes", end_at)
    if begin + length != before:
        raise Broken("the directory of the archive is not where it should be", end_at)
    return end_at, end64_at, begin, length, count


def _entry(source: Source, at: int, limit: int, directory: int) -> Entry:
    """Read one record of the directory and the local header that it names, and hold them against each other."""
    fields = _CENTRAL.unpack(source.read(at, _CENTRAL.size))
    magic, _, _, flags, method, _, _, crc, small_packed, small_size, name_length, extra_length, comment_length, disk, _, _, small_offset = (
        fields
    )
    length = _CENTRAL.size + name_length + extra_length + comment_length
    if magic != b"PK\1\2" or at + length > limit or disk not in (0, 0xFFFF):
        raise Broken("a record of the archive's directory is none", at)
    if flags & _ENCRYPTED:
        raise Broken("the archive is encrypted", at)
    name = source.read(at + _CENTRAL.size, name_length)
    extra_at = at + _CENTRAL.size + name_length
    size, lain, offset, offset_at = _wide(source.read(extra_at, extra_length), extra_at, small_size, small_packed, small_offset)
    data = _local(source, offset, name, flags, method, (crc, lain, size))
    stop = data + lain
    if flags & _DESCRIBED:
        stop += _descriptor(source, stop, directory, (crc, lain, size))
    if stop > directory:
        raise Broken("an entry reaches into the archive's directory", offset)
    wide = offset_at >= 0
    return Entry(name, offset, data, lain, size, crc, method, stop, at, length, (offset_at if wide else at + 42) - at, wide)


def _wide(extra: bytes, at: int, size: int, lain: int, offset: int) -> tuple[int, int, int, int]:
    """Return size, packed size and offset as the large form says them, and where the offset stands in it (or -1)."""
    place = -1
    wanted = [size == _FULL, lain == _FULL, offset == _FULL]
    body, body_at = next(((body, begin) for kind, body, begin in _extras(extra, at) if kind == 1), (b"", 0))
    if len(body) < 8 * sum(wanted):
        raise Broken("a record of the archive's directory lacks its large sizes", at)
    reached = 0
    values = [size, lain, offset]
    for index, large in enumerate(wanted):
        if large:
            values[index] = struct.unpack_from("<Q", body, reached)[0]
            place = body_at + reached if index == 2 else place
            reached += 8
    return values[0], values[1], values[2], place


def _extras(extra: bytes, at: int) -> list[tuple[int, bytes, int]]:
    """Return (kind, body, where the body lies) of every field of an extra block."""
    fields, reached = [], 0
    while reached + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, reached)
        if reached + 4 + length > len(extra):
            raise Broken("an extra field of the archive reaches beyond its block", at + reached)
        fields.append((kind, extra[reached + 4 : reached + 4 + length], at + reached + 4))
        reached += 4 + length
    if any(extra[reached:]):
        raise Broken("an extra block of the archive ends in the middle of a field", at + reached)
    if sum(kind == 1 for kind, _, _ in fields) > 1:
        raise Broken("the large sizes of an entry stand twice", at)
    return fields


def _extra_without(extra: bytes, at: int) -> bytes:
    return b"".join(struct.pack("<2H", kind, len(body)) + body for kind, body, _ in _extras(extra, at) if kind not in _LEFT_OUT)


def _local(source: Source, at: int, name: bytes, flags: int, method: int, facts: tuple[int, int, int]) -> int:
    """Return where the data of an entry begins. Raises Broken when its local header says other things than the directory."""
    magic, _, local_flags, local_method, _, _, crc, small_packed, small_size, name_length, extra_length = _LOCAL.unpack(
        source.read(at, _LOCAL.size)
    )
    same = magic == b"PK\3\4" and name_length == len(name) and source.read(at + _LOCAL.size, name_length) == name
    if not same or local_method != method or (local_flags ^ flags) & (_ENCRYPTED | _DESCRIBED):
        raise Broken("a header of the archive and its directory disagree", at)
    extra_at: int = at + _LOCAL.size + name_length
    extra = source.read(extra_at, extra_length)
    if not (flags & _DESCRIBED and _FULL in (small_packed, small_size)):
        size, lain, _, _ = _wide(extra, extra_at, small_size, small_packed, 0)
        told = (crc, lain, size)
        if told != facts and not (flags & _DESCRIBED and all(value in (0, fact) for value, fact in zip(told, facts, strict=True))):
            raise Broken("a header of the archive and its directory disagree about a size or a check sum", at)
    return int(extra_at + extra_length)


def _descriptor(source: Source, at: int, limit: int, facts: tuple[int, int, int]) -> int:
    """Return how long the sizes behind an entry's data are."""
    crc, lain, size = facts
    behind = source.read(at, max(0, min(24, limit - at)))
    for mark in (b"PK\7\10", b""):
        for kind in ("<I2I", "<I2Q"):
            if "Q" in kind or max(lain, size) <= _FULL:
                wanted = mark + struct.pack(kind, crc, lain, size)
                if behind.startswith(wanted):
                    return len(wanted)
    raise Broken("the sizes behind an entry of the archive are not those of its directory", at)


def _shown(name: bytes) -> str:
    return name[:60].decode("ascii", "replace")
