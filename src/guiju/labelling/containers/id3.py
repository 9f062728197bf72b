"""ID3v2 tags: the label is a user text frame, TXXX (TXX in version 2.2), with the description AIGC.

A new frame goes in front of the others, so that nothing that is there is moved within the tag or written anew; its bytes are ASCII
and only a length may need unsynchronisation. Source: ID3v2.2, 2.3, 2.4; TC260-PG-202510A.
"""

import re
import struct
import zlib
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from guiju.labelling.annex_e import VALUE_LIMIT_BYTES, mentions_label
from guiju.labelling.containers.source import PART_LIMIT_BYTES, Broken, Edit, NoRoom, Site, Source, may_hide_label, names_label

HEADER_BYTES: Final = 10
_UNSYNCHRONISED: Final = 0x80
_EXTENDED: Final = 0x40
_FOOTER: Final = 0x10
_SIZE_LIMIT: Final = (1 << 28) - 1
_ENCODINGS: Final = ("latin-1", "utf-16", "utf-16-be", "utf-8")
_FRAMES_LIMIT: Final = 100_000
_TAGS_LIMIT: Final = 16
_PADDING_LIMIT: Final = 65_536
_NAME: Final = re.compile(rb"[0-9A-Z]{4}")
_STUFFED: Final = re.compile(rb"\xff(?=[\0\xe0-\xff])")


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame: its name, where it begins and ends within the tag, its data as it is read."""

    name: str
    start: int
    stop: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag with what it holds; `frames_at` is where the first frame begins. `movable`: no byte was put between its others."""

    start: int
    stop: int
    version: int
    frames_at: int
    sites: tuple[Site, ...]
    drops: tuple[Edit, ...]
    movable: bool
    flags: int
    manifest: bool
    """An object frame holds a C2PA manifest."""


def tag_length(head: bytes) -> int:
    """Return the length of the whole tag that these ten bytes begin; 0 when they begin none."""
    if head[:3] != b"ID3" or len(head) < HEADER_BYTES or head[3] not in (2, 3, 4) or any(byte & 0x80 for byte in head[6:10]):
        return 0
    return HEADER_BYTES + _seven(head[6:10]) + (HEADER_BYTES if head[3] == 4 and head[5] & _FOOTER else 0)


def examine(tag: bytes, at: int, channel: str) -> Tag:
    """Read a whole tag that lies at `at` of its file. Raises Broken."""
    version, flags = tag[3], tag[5]
    footer = HEADER_BYTES if version == 4 and flags & _FOOTER else 0
    body = tag[HEADER_BYTES : len(tag) - footer]
    plain = body.replace(b"\xff\x00", b"\xff") if flags & _UNSYNCHRONISED and version < 4 else body
    movable = len(plain) == len(body)
    skip = _extended(plain, version, at) if flags & _EXTENDED and version > 2 else 0
    sites, drops, manifest = [], [], False
    base = at + HEADER_BYTES
    put_in = [] if movable else [hit.start() - number for number, hit in enumerate(re.finditer(rb"\xff\0", body))]

    def lies(place: int) -> int:
        """Return where in the file that lies which is read at this place of the tag."""
        return base + place + bisect_left(put_in, place)

    for frame in _frames(plain, skip, version, at, unsynchronised=bool(flags & _UNSYNCHRONISED)):
        manifest = manifest or (frame.name == "GEOB" and b"c2pa" in plain[frame.start : frame.start + 80])
        text = _label_of(frame)
        if frame.name == "PRIV" and frame.data.startswith(b"XMP\0") and names_label(frame.data):
            raise Broken("a label may stand in an XMP packet of an ID3 tag, which is not read", at)
        if text is None:
            continue
        sites.append(Site(f"{channel}:{frame.name}", lies(frame.start), lies(frame.stop), text))
        drops.append(Edit(lies(frame.start), lies(frame.stop)))
    return Tag(at, at + len(tag), version, lies(skip), tuple(sites), tuple(drops), movable, flags, manifest)


def tags_before(source: Source, channel: str) -> tuple[list[tuple[bytes, Tag]], int]:
    """Return the tags in front of a sound, and where the sound begins; padding that a writer left outside its tag is skipped. Raises Broken."""
    tags: list[tuple[bytes, Tag]] = []
    at = 0
    while length := tag_length(source.read(at, min(HEADER_BYTES, source.size - at))):
        if len(tags) == _TAGS_LIMIT:
            raise Broken("there are too many tags", at)
        block = source.held(source.read(at, length), at)
        tags.append((block, examine(block, at, channel)))
        at += length
    stop = at + _PADDING_LIMIT
    while at + 4 <= source.size and at < stop and source.read(at, 1) == b"\0":
        at += 1
    return tags, at


def refuse_hidden(source: Source) -> None:
    """Raise Broken when a tag at the end, APE or an appended ID3, may hold a label: such tags are not read."""
    end = source.size
    if end >= 128 and source.read(end - 128, 3) == b"TAG":
        end -= 128
    foot = source.read(max(end - 32, 0), min(32, end))
    length = 0
    if foot.startswith(b"APETAGEX"):
        length = int.from_bytes(foot[12:16], "little")
    elif foot[-10:].startswith(b"3DI") and not any(byte & 0x80 for byte in foot[-4:]):
        length = _seven(foot[-4:]) + HEADER_BYTES
    if length and names_label(source.read(max(end - length, 0), min(length, end))):
        raise Broken("a label may stand in a tag at the end of the file, which is not read", end)


def placed(tags: list[tuple[bytes, Tag]], inner: str) -> list[Edit]:
    """Return the edits after which the label stands in the first of these tags, or in a new one, and in no other."""
    if not tags:
        return [Edit(0, 0, new_tag(inner))]
    block, first = tags[0]
    # In later tags it is blanked in place: their sizes stay, and the frame holds nothing.
    if any(tag.sites and not tag.movable for _, tag in tags[1:]):
        raise NoRoom("an old label stands in a later tag that is unsynchronised")
    later = [drop for _, tag in tags[1:] for drop in tag.drops if drop.stop - drop.start > HEADER_BYTES]
    blanks = [Edit(drop.start + HEADER_BYTES, drop.stop, bytes(drop.stop - drop.start - HEADER_BYTES)) for drop in later]
    return [Edit(first.start, first.stop, with_label(block, first, inner)), *blanks]


def with_label(tag: bytes, read: Tag, inner: str) -> bytes:
    """Return the tag with this label alone."""
    extended = tag[HEADER_BYTES : read.frames_at - read.start]
    frame = new_frame(inner, read.version)
    if read.flags & _UNSYNCHRONISED and read.version < 4:
        frame = _STUFFED.sub(b"\xff\0", frame)
        if extended and not (read.movable and len(frame) == len(new_frame(inner, read.version))):
            raise NoRoom("the tag has an extended header and is unsynchronised")
    footer = HEADER_BYTES if read.version == 4 and read.flags & _FOOTER else 0
    at, parts = read.frames_at - read.start, [frame]
    for drop in read.drops:
        parts.append(tag[at : drop.start - read.start])
        at = drop.stop - read.start
    parts.append(tag[at : len(tag) - footer])
    frames = b"".join(parts)
    if extended:
        extended = _extended_anew(extended, read.version, frames, len(inner))
    size = _four(len(extended) + len(frames))
    end = tag[len(tag) - footer : len(tag) - 4] + size if footer else b""
    return tag[:6] + size + extended + frames + end


def _extended_anew(extended: bytes, version: int, frames: bytes, characters: int) -> bytes:
    """Return the extended header with the check sum of these frames. Source: ID3v2.3 §3.2, ID3v2.4 §3.2."""
    if version == 3:
        flags, padding = struct.unpack_from(">HI", extended, 4)
        if not flags & 0x8000 or len(extended) < 14:
            return extended
        return extended[:10] + struct.pack(">I", zlib.crc32(frames[: max(len(frames) - padding, 0)])) + extended[14:]
    new, at = bytearray(extended), 6
    for flag in (0x40, 0x20, 0x10):
        if not extended[5] & flag:
            continue
        length, data = extended[at : at + 1], at + 1
        if not length or data + length[0] > len(extended):
            raise NoRoom("the tag's extended header is not as it says")
        if flag == 0x20 and length[0] == 5:
            check = zlib.crc32(frames)
            new[data : data + 5] = bytes(check >> shift & 0x7F for shift in (28, 21, 14, 7, 0))
        if flag == 0x10 and length[0] == 1 and characters > (1 << 30, 1024, 128, 30)[extended[data] >> 3 & 3]:
            raise NoRoom("the tag says that its texts are shorter than a label")
        at = data + length[0]
    return bytes(new)


def new_tag(inner: str) -> bytes:
    """Return a tag of version 2.4 that holds the label alone.

    Some readers decide whether a length is plain by what follows the frame, so padding of one frame's head follows it.
    """
    frame = new_frame(inner, 4) + bytes(HEADER_BYTES)
    return b"ID3\4\0\0" + _four(len(frame)) + frame


def new_frame(inner: str, version: int) -> bytes:
    """Return the frame of the label; Latin-1 in the old versions, UTF-8 in 2.4: the bytes are the same."""
    data = (b"\3" if version == 4 else b"\0") + b"AIGC\0" + inner.encode("ascii")
    if version == 2:
        return b"TXX" + len(data).to_bytes(3, "big") + data
    return b"TXXX" + (_four(len(data)) if version == 4 else len(data).to_bytes(4, "big")) + b"\0\0" + data


def _frames(body: bytes, at: int, version: int, tag_at: int, *, unsynchronised: bool) -> Iterator[Frame]:
    head, filled = 6 if version == 2 else 10, len(body.rstrip(b"\0"))
    for _ in range(_FRAMES_LIMIT):
        if at + head > len(body) or not body[at]:
            if may_hide_label(body[at:]):
                raise Broken("a label may stand behind the frames of an ID3 tag", tag_at)
            return  # padding
        if version == 2:
            name, length, flags = body[at : at + 3], int.from_bytes(body[at + 3 : at + 6], "big"), 0
        else:
            name, flags = body[at : at + 4], int.from_bytes(body[at + 8 : at + 10], "big")
            length = _frame_length(body, at, version, filled)
        if not all(48 <= byte <= 57 or 65 <= byte <= 90 for byte in name):
            raise Broken("an ID3 frame has no name", tag_at)
        stop = at + head + length
        if stop > len(body):
            raise Broken("an ID3 frame reaches beyond its tag", tag_at)
        data = body[at + head : stop] if name in (b"TXXX", b"TXX", b"COMM", b"COM", b"PRIV") else b""
        each = flags | 0x0002 if unsynchronised and version == 4 else flags  # some writers say it of the tag alone
        yield Frame(name.decode(), at, stop, _unpacked(data, each, version, tag_at))
        at = stop
    raise Broken("an ID3 tag has too many frames", tag_at)


def _frame_length(body: bytes, at: int, version: int, filled: int) -> int:
    """Return the length of a frame; some writers of 2.4 wrote plain numbers, and only then does what follows begin a frame.

    Behind `filled` there are zeros alone.
    """
    plain = int.from_bytes(body[at + 4 : at + 8], "big")
    if version == 3 or any(byte & 0x80 for byte in body[at + 4 : at + 8]):
        return plain
    seven = _seven(body[at + 4 : at + 8])
    goes_on = [at + 10 + length >= filled or bool(_NAME.match(body, at + 10 + length)) for length in (seven, plain)]
    return plain if goes_on == [False, True] and at + 10 + plain <= len(body) else seven


def _unpacked(data: bytes, flags: int, version: int, at: int) -> bytes:
    if not flags or not data:
        return data
    if flags & (0x0040 if version == 3 else 0x0004):
        raise Broken("a text of an ID3 tag is encrypted", at)
    skip = (1 if flags & (0x0020 if version == 3 else 0x0040) else 0) + (
        4 if (version == 3 and flags & 0x0080) or (flags & 0x0001 and version == 4) else 0
    )
    data = data[skip:]
    if version == 4 and flags & 0x0002:
        data = data.replace(b"\xff\x00", b"\xff")
    if flags & (0x0080 if version == 3 else 0x0008):
        stream = zlib.decompressobj()
        try:
            data = stream.decompress(data, PART_LIMIT_BYTES)
        except zlib.error as error:
            raise Broken("a text of an ID3 tag cannot be unpacked", at) from error
        if not stream.eof:
            raise Broken("a text of an ID3 tag is cut, or grows over what is examined", at)
    return data


def _label_of(frame: Frame) -> str | None:
    """Return the text of a frame that is the place of a label: TXXX AIGC, or a comment with the JSON."""
    if not frame.data or frame.data[0] > 3 or frame.name == "PRIV":
        return None
    comment = frame.name in ("COMM", "COM")
    text = frame.data[4 if comment else 1 :].decode(_ENCODINGS[frame.data[0]], "replace")
    description, _, value = text.partition("\0")
    if len(frame.data) > VALUE_LIMIT_BYTES * 3:
        return "\ufffd" if description.lstrip("\ufeff") == "AIGC" else None  # longer than any label
    value = value.lstrip("\ufeff\ufffe").rstrip("\0")
    if description.lstrip("\ufeff") == "AIGC":
        return value
    return value if mentions_label(value) else None


def _extended(body: bytes, version: int, at: int) -> int:
    if len(body) < 4:
        raise Broken("an ID3 tag is cut", at)
    skip = _seven(body[:4]) if version == 4 else 4 + int.from_bytes(body[:4], "big")
    if skip > len(body) or skip < 6:
        raise Broken("an ID3 tag has a wrong extended header", at)
    return skip


def _seven(four: bytes) -> int:
    return four[0] << 21 | four[1] << 14 | four[2] << 7 | four[3]


def _four(size: int) -> bytes:
    if size > _SIZE_LIMIT:
        raise NoRoom("the ID3 tag would grow over 256 MB")
    return bytes([size >> 21 & 0x7F, size >> 14 & 0x7F, size >> 7 & 0x7F, size & 0x7F])
