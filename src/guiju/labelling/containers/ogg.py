"""Ogg with Vorbis, Opus, Speex, FLAC or Theora: the label is the comment `AIGC=` of the first stream that has comments.

The pages that hold the heads of a stream are written anew, and their number stays, so that no later page gets another number or
check sum: a page holds up to 255 segments and is hardly ever full. Streams that play together or follow one another are all read.
Source: TC260-PG-202510A (audio guide); RFC 3533; RFC 7845 §4 and §5; Vorbis I §A.2.
"""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from guiju.labelling.containers import vorbis
from guiju.labelling.containers.source import PART_LIMIT_BYTES, Broken, Edit, Found, NoRoom, Site, Source

NAME: Final = "Ogg"
_HEAD: Final = struct.Struct("<4sBBqIIIB")
_CONTINUED: Final = 1
_FIRST: Final = 2
_SEGMENTS: Final = 255
_PAGES_LIMIT: Final = 8_000_000
_STREAMS_LIMIT: Final = 20_000
_REVERSED: Final = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


@dataclass(frozen=True, slots=True)
class _Codec:
    """How a stream begins, what stands in front of its comments, and how many packets are its heads."""

    begins: bytes
    mark: bytes
    heads: int


_FLAC: Final = _Codec(b"\x7fFLAC", b"", 2)
_CODECS: Final = (
    _Codec(b"\x01vorbis", b"\x03vorbis", 3),
    _Codec(b"OpusHead", b"OpusTags", 2),
    _FLAC,
    _Codec(b"\x80theora", b"\x81theora", 3),
    _Codec(b"Speex   ", b"", 2),
)
_SKELETON: Final = b"fishead\0"
"""A stream that describes the others; it has no comments."""


@dataclass(slots=True)
class _Stream:
    """One stream: its codec (None: the skeleton), the pages of its heads behind the first, and its comments when they hold labels."""

    codec: _Codec | None
    pages: list[tuple[int, int]] = field(default_factory=list)
    packets: int = 0
    whole: bool = True
    """Whether the last packet seen is complete."""
    length: int = 0
    done: bool = False
    labels: list[str] = field(default_factory=list)


def sniff(head: bytes) -> bool:
    """Tell whether the file begins with an Ogg page."""
    return head[:5] == b"OggS\0"


def examine(source: Source) -> Found:
    """Read every page's head, and those of the streams' heads whole, with their check sums. Raises Broken."""
    streams = [stream for stream in _streams(source) if stream.codec]
    if not streams:
        raise Broken("there is no stream that could hold a label", 0)
    sites = [Site("ogg:comment", stream.pages[0][0], stream.pages[-1][1], text) for stream in streams for text in stream.labels]

    def place(inner: str) -> list[Edit]:
        edits = _rewritten(source, streams[0], inner)
        for stream in streams[1:]:
            if stream.labels:
                edits += _rewritten(source, stream, None)
        return edits

    return Found(tuple(sites), (), place)


def _streams(source: Source) -> list[_Stream]:
    found: list[_Stream] = []
    playing: dict[int, _Stream] = {}
    at = 0
    for _ in range(_PAGES_LIMIT):
        if at == source.size:
            break
        magic, version, flags, _granule, serial, _number, _sum, count = _HEAD.unpack(source.read(at, _HEAD.size))
        if magic != b"OggS" or version:
            raise Broken("what follows a page is no page", at)
        body = at + _HEAD.size + count
        stop = body + sum(source.read(at + _HEAD.size, count))
        if stop > source.size:
            raise Broken("a page reaches beyond the end of the file", at)
        if flags & _FIRST:
            if serial in playing and not playing[serial].done:
                raise Broken("a stream begins within its own heads", at)
            if len(found) == _STREAMS_LIMIT:
                raise Broken("there are too many streams", at)
            playing[serial] = _Stream(_codec_of(source.read(body, min(8, stop - body)), at))
            playing[serial].done = playing[serial].codec is None
            found.append(playing[serial])
        elif serial not in playing:
            raise Broken("a page belongs to no stream", at)
        elif not playing[serial].done:
            _take_head(source, playing[serial], at, stop)
        at = stop
    else:
        raise Broken("there are too many pages", at)
    if any(not stream.done for stream in playing.values()):
        raise Broken("the heads of a stream are cut", source.size)
    return found


def _codec_of(begins: bytes, at: int) -> _Codec | None:
    if begins == _SKELETON:
        return None
    codec = next((each for each in _CODECS if begins.startswith(each.begins)), None)
    if codec is None:
        raise Broken("a stream has a codec whose comments are not known here", at)
    return codec


def _take_head(source: Source, stream: _Stream, at: int, stop: int) -> None:
    """Take one more page of a stream's heads; read the comments when they are whole."""
    page = source.read(at, stop - at)
    _magic, _version, flags, granule, _serial, number, told, count = _HEAD.unpack_from(page)
    if told != _check_sum(page):
        raise Broken("a page has a wrong check sum", at)
    if number != len(stream.pages) + 1 or bool(flags & _CONTINUED) == stream.whole:
        raise Broken("a page is missing", at)
    if granule not in (0, -1):
        raise Broken("sound stands among the heads of its stream", at)
    lacing = page[_HEAD.size : _HEAD.size + count]
    stream.pages.append((at, stop))
    stream.packets += sum(length < _SEGMENTS for length in lacing)
    stream.whole = lacing[-1] < _SEGMENTS if lacing else stream.whole
    stream.length += stop - at
    if stream.length > PART_LIMIT_BYTES:
        raise Broken("the heads of a stream are longer than what is examined", at)
    if stream.codec and stream.whole and stream.packets >= stream.codec.heads - 1:
        _counts, packets = _packets(source, stream)
        stream.labels = _comments(stream, stream.codec, packets[0]).labels
        stream.done = True


def _packets(source: Source, stream: _Stream) -> tuple[list[int], list[bytes]]:
    """Return how many segments each page of the heads has, and the packets in them."""
    counts, lacing, bodies = [], b"", []
    for start, stop in stream.pages:
        page = source.read(start, stop - start)
        count = page[_HEAD.size - 1]
        counts.append(count)
        lacing += page[_HEAD.size : _HEAD.size + count]
        bodies.append(page[_HEAD.size + count :])
    body, packets, start, at = b"".join(bodies), [], 0, 0
    for length in lacing:
        at += length
        if length < _SEGMENTS:
            packets.append(body[start:at])
            start = at
    return counts, packets


def _comments(stream: _Stream, codec: _Codec, packet: bytes) -> vorbis.Comments:
    at = stream.pages[0][0]
    if codec is _FLAC:
        if len(packet) < 4 or packet[0] & 0x7F != 4 or int.from_bytes(packet[1:4], "big") != len(packet) - 4:
            raise Broken("a FLAC stream does not begin with its comments", at)
        return vorbis.examine(packet[4:], at)
    if not packet.startswith(codec.mark):
        raise Broken("a stream has no comments behind its first packet", at)
    return vorbis.examine(packet[len(codec.mark) :], at)


def _rewritten(source: Source, stream: _Stream, inner: str | None) -> list[Edit]:
    """Return the edits after which this label, or none, stands in the stream; as many pages as before."""
    counts, packets = _packets(source, stream)
    codec = stream.codec
    if codec is None:
        raise Broken("a stream without comments holds a label", 0)
    body = vorbis.with_label(_comments(stream, codec, packets[0]), inner)
    if codec is _FLAC and len(body) >= 1 << 24:
        raise NoRoom("the comments would grow over 16 MiB")
    packets[0] = (packets[0][:1] + len(body).to_bytes(3, "big") if codec is _FLAC else codec.mark) + body
    lacing = b"".join(b"\xff" * (len(packet) // _SEGMENTS) + bytes([len(packet) % _SEGMENTS]) for packet in packets)
    whole = b"".join(packets)
    edits, segment, at, continued = [], 0, 0, False
    for (start, stop), count in zip(stream.pages, _spread(counts, len(lacing)), strict=True):
        part = lacing[segment : segment + count]
        old = source.read(start, stop - start)
        new = _page(old, part, whole[at : at + sum(part)], continued=continued)
        if new != old:
            edits.append(Edit(start, stop, new))
        segment, at, continued = segment + count, at + sum(part), part[-1] == _SEGMENTS
    return edits


def _spread(counts: Sequence[int], total: int) -> list[int]:
    """Return how many segments each page gets: what is more goes into the first ones with room, what is less is taken from the last."""
    spread = list(counts)
    more = total - sum(counts)
    for index in range(len(spread)):
        added = min(max(more, 0), _SEGMENTS - spread[index])
        spread[index], more = spread[index] + added, more - added
    for index in reversed(range(len(spread))):
        taken = min(max(-more, 0), spread[index] - 1)
        spread[index], more = spread[index] - taken, more + taken
    if more > 0:
        raise NoRoom("the pages of the comments are full, and one more would change the number of every later page")
    if more < 0 or 0 in spread:
        raise NoRoom("a page of the comments would be left empty")
    return spread


def _page(old: bytes, lacing: bytes, body: bytes, *, continued: bool) -> bytes:
    """Return a page with the old one's stream and number; one on which no packet ends has no position."""
    _magic, _version, flags, _granule, serial, number, _sum, _count = _HEAD.unpack_from(old)
    flags = flags & ~_CONTINUED | (_CONTINUED if continued else 0)
    granule = 0 if any(length < _SEGMENTS for length in lacing) else -1
    page = _HEAD.pack(b"OggS", 0, flags, granule, serial, number, 0, len(lacing)) + lacing + body
    return page[:22] + struct.pack("<I", _check_sum(page)) + page[26:]


def _check_sum(page: bytes) -> int:
    """Return a page's check sum, its own field taken as zero.

    Ogg's sum is that of zip with the bits of bytes and of the result the other way round, beginning and ending without inversion.
    """
    plain = page[:22] + bytes(4) + page[26:]
    mirrored = ~zlib.crc32(plain.translate(_REVERSED), 0xFFFFFFFF) & 0xFFFFFFFF
    return int(f"{mirrored:032b}"[::-1], 2)
