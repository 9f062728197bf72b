"""Ogg and ADTS: pages keep their number and their check sums, streams beside and behind one another are read, heads that lie are told."""

import os
import struct
from collections.abc import Iterable
from pathlib import Path

import pytest

from guiju.core.errors import GuijuError
from guiju.labelling.containers.tests.samples import (
    CODE,
    INNER,
    LABEL,
    OLD,
    OTHER,
    WRAPPED,
    decoded,
    memory_to_label,
    run,
    sample,
    tool,
)
from guiju.labelling.files import first_label, inspect, read, write
from guiju.labelling.values import Damaged

OPUS, VORBIS, ADTS = sample("plain.opus"), sample("plain.ogg"), sample("plain.aac")
HEAD = b"OpusHead\1\1\x38\1\x40\x1f\0\0\0\0\0"
SOUND = b"\x48\x0b\xe4\xe1" * 5


def crc(page: bytes) -> int:
    """Return Ogg's check sum, bit by bit as RFC 3533 has it."""
    value = 0
    for byte in page:
        value ^= byte << 24
        for _ in range(8):
            value = value << 1 ^ (0x104C11DB7 if value & 0x80000000 else 0)
    return value


def page(number: int, lacing: Iterable[int], body: bytes, flags: int = 0, granule: int = 0, serial: int = 7) -> bytes:
    lacing = bytes(lacing)
    head = struct.pack("<4sBBqIIIB", b"OggS", 0, flags, granule, serial, number, 0, len(lacing))
    made = head + lacing + body
    return made[:22] + struct.pack("<I", crc(made)) + made[26:]


def laced(length: int) -> list[int]:
    return [255] * (length // 255) + [length % 255]


def comments(*texts: bytes, mark: bytes = b"OpusTags", tail: bytes = b"") -> bytes:
    body = b"".join(struct.pack("<I", len(text)) + text for text in texts)
    return mark + struct.pack("<I", 4) + b"test" + struct.pack("<I", len(texts)) + body + tail


def opus(*texts: bytes, serial: int = 7, tail: bytes = b"", per_page: int = 255) -> bytes:
    """Return a stream with these comments, on as many pages as `per_page` segments each make."""
    packet = comments(*texts, tail=tail)
    lacing, pages, at = laced(len(packet)), [page(0, laced(len(HEAD)), HEAD, 2, serial=serial)], 0
    for number, start in enumerate(range(0, len(lacing), per_page), 1):
        part = lacing[start : start + per_page]
        ends = part[-1] < 255
        continued = 1 if start else 0
        pages.append(page(number, part, packet[at : at + sum(part)], continued, 0 if ends else -1, serial))
        at += sum(part)
    return b"".join([*pages, page(len(pages), laced(len(SOUND)), SOUND, 4, 960, serial)])


def pages_of(data: bytes) -> list[tuple[int, int, int, int, bytes]]:
    """Return (flags, granule, number, segments, body) of every page, whose check sums are right."""
    found, at = [], 0
    while at < len(data):
        _, _, flags, granule, _, number, told, count = struct.unpack_from("<4sBBqIIIB", data, at)
        lacing = data[at + 27 : at + 27 + count]
        stop = at + 27 + count + sum(lacing)
        assert told == crc(data[at : at + 22] + bytes(4) + data[at + 26 : stop])
        found.append((flags, granule, number, count, data[at + 27 + count : stop]))
        at = stop
    return found


FILES = {
    "AIGC": opus(b"title=a", b"AIGC=" + INNER.encode()),
    "lower case": opus(b"aigc=" + INNER.encode(), b"title=a"),
    "wrapped": opus(b"AIGC=" + WRAPPED.encode()),
    "comment": opus(b"title=a", b"COMMENT=" + WRAPPED.encode()),
    "two pages": opus(b"title=" + bytes(300), b"AIGC=" + INNER.encode(), per_page=2),
    "padding": opus(b"AIGC=" + INNER.encode(), tail=bytes(200)),
    "the second of a chain": opus(b"title=a") + opus(b"AIGC=" + INNER.encode(), serial=8),
    "the second of a chain, the same number": opus(b"title=a") + opus(b"AIGC=" + INNER.encode()),
}


@pytest.mark.parametrize("name", FILES)
def test_labels_as_others_write_them_are_read_and_one_is_left(name: str) -> None:
    data = FILES[name]
    assert read(data) == OLD
    written = write(data, first_label(OTHER, "second"))
    seen = inspect(written)
    assert len(seen.places) == 1
    assert seen.label
    assert (seen.label.content_producer, seen.label.content_propagator) == ("MiniMax", OTHER)
    assert (b"title=a" in written) == (b"title=a" in data)
    before, after = pages_of(data), pages_of(written)
    assert [each[2] for each in after] == [each[2] for each in before]
    assert after[-1] == before[-1]


def test_streams_that_play_together_are_both_read_and_the_first_gets_the_label() -> None:
    first, second = opus(b"title=a"), opus(b"AIGC=" + INNER.encode(), serial=8)
    ones, twos = ([each for each in data.split(b"OggS") if each] for data in (first, second))
    data = b"".join(b"OggS" + each for pair in zip(ones, twos, strict=True) for each in pair)
    assert read(data) == OLD
    written = write(data, first_label(OTHER, "second"))
    assert len(inspect(written).places) == 1
    assert b"AIGC=" not in [each for each in written.split(b"OggS") if each][3]
    assert [each[2] for each in pages_of(written)] == [each[2] for each in pages_of(data)]


@pytest.mark.parametrize("length", [0, 200, 64_000, 64_700, 65_000, 200_000])
def test_pages_of_any_filling_keep_their_number_and_later_pages_every_byte(length: int) -> None:
    data = opus(b"picture=" + bytes(length))
    written = write(data, LABEL)
    before, after = pages_of(data), pages_of(written)
    assert len(after) == len(before)
    assert after[-1] == before[-1]
    assert [each[1] for each in after if not each[0] & 6] == [-1] * (len(after) - 3) + [0]
    assert read(written) == LABEL
    shorter = write(write(data, first_label(CODE, LABEL.produce_id + "x")), first_label(CODE, "1"))
    assert [each[2] for each in pages_of(shorter)] == [each[2] for each in before]


def test_full_pages_are_said_to_be_full() -> None:
    data = opus(b"picture=" + bytes(255 * 255 - 8 - 16 - 8 - 1))
    assert pages_of(data)[1][3] == 255
    with pytest.raises(GuijuError) as told:
        write(data, LABEL)
    assert told.value.code.code == "LABEL-NO-ROOM"


def test_a_head_that_follows_the_comments_lends_its_page() -> None:
    """Vorbis puts its tables behind the comments: full pages of comments grow into the page where the tables end."""
    head, setup = VORBIS[28:58], pages_of(VORBIS)[1][4][-2000:]
    packet = comments(b"picture=" + bytes(255 * 255 - 7 - 16 - 8 - 1 - 255), mark=b"\3vorbis", tail=b"\1")
    first = page(0, [30], head, 2)
    pages = [page(1, laced(len(packet)), packet), page(2, laced(len(setup)), setup), page(3, [4], b"abcd", 4, 9)]
    data = b"".join([first, *pages])
    written = write(data, LABEL)
    assert read(written) == LABEL
    after = pages_of(written)
    assert b"".join(each[4] for each in after).endswith(b"\1" + setup + b"abcd")
    assert [each[2] for each in after] == [0, 1, 2, 3]


def test_heads_that_lie_are_told() -> None:
    good = opus(b"title=a")
    first, second = (page(number, laced(len(body)), body, flags) for number, body, flags in ((0, HEAD, 2), (1, comments(b"a=b"), 0)))
    sound = page(2, laced(len(SOUND)), SOUND, 4, 960)
    assert read(first + second + sound) is None
    for data in (
        good.replace(b"title=a", b"title=b"),
        first + page(2, laced(len(comments())), comments()) + sound,
        first + page(1, laced(len(comments())), comments(), granule=960) + sound,
        first + page(1, laced(len(comments())), comments(), flags=1) + sound,
        first + page(1, laced(18), comments()[:18]) + sound,
        first + page(1, laced(len(comments())), b"OpusTaga" + comments()[8:]) + sound,
        first + second[:-1],
        first,
        first + first + second + sound,
        second + sound,
        good + b"junk",
        good + good[:20],
        page(0, [8], b"BBCD\0\0\0\0", 2) + sound,
        page(0, [8], b"fishead\0", 2),
        first + page(1, [], b"") * 3,
        first + b"".join(page(n, [255] * 9, bytes(2295), int(n > 1), -1) for n in range(1, 4)),
    ):
        assert isinstance(read(data), Damaged)
        with pytest.raises(GuijuError):
            write(data, LABEL)


def test_every_codec_that_ffmpeg_puts_into_ogg_keeps_its_packets(tmp_path: Path) -> None:
    ffmpeg = tool("ffmpeg")
    sound, picture = ("-f", "lavfi", "-i", "sine=d=0.3:r=16000"), ("-f", "lavfi", "-i", "testsrc=s=32x32:r=5:d=0.6")
    for words in (
        [*sound, "-c:a", "libspeex"],
        [*sound, "-c:a", "flac"],
        [*sound, *picture, "-c:a", "libvorbis", "-c:v", "libtheora", "-shortest"],
    ):
        original, target = tmp_path / "a.ogg", tmp_path / "b.ogg"
        run(ffmpeg, "-v", "error", "-y", *words, "-metadata", "title=a", str(original))
        target.write_bytes(write(original.read_bytes(), LABEL))
        assert decoded(target) == decoded(original)
        shown = run(tool("ffprobe"), "-v", "error", "-show_streams", "-of", "json", str(target))
        assert LABEL.produce_id in shown
        assert '"a"' in shown


@pytest.mark.parametrize("name", ["plain.ogg", "plain.opus", "plain.aac"])
def test_independent_readers_see_the_label(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(write(sample(name), LABEL))
    for reader in (("ffprobe", "-v", "error", "-show_format", "-show_streams", "-of", "json"), ("mediainfo", "-f")):
        assert LABEL.produce_id in run(tool(reader[0]), *reader[1:], str(path)), reader


def test_a_large_stream_is_labelled_in_little_memory(tmp_path: Path) -> None:
    """Full pages one behind another; their sound is a hole. Nothing is kept of a page, so that 4 GB, which take half a minute, need no more."""
    big, stride, length = tmp_path / "big", 27 + 255 + 255 * 255, 400_000_000
    start = opus()[: -len(page(0, laced(len(SOUND)), SOUND))]
    with big.open("wb") as file:
        os.pwrite(file.fileno(), start, 0)
        for number in range(length // stride):
            head = struct.pack("<4sBBqIIIB", b"OggS", 0, 1, number, 7, number + 2, 0, 255) + b"\xff" * 255
            os.pwrite(file.fileno(), head, len(start) + number * stride)
        os.ftruncate(file.fileno(), len(start) + length // stride * stride)
    grown = memory_to_label(big, tmp_path / "out")
    assert grown < 16 * 1024, f"{grown} KiB"


def tagged(*frames: bytes) -> bytes:
    body = b"".join(b"TXXX" + len(text).to_bytes(4, "big") + b"\0\0" + text for text in frames)
    return b"ID3\3\0\0" + bytes([0, 0, len(body) >> 7, len(body) & 127]) + body


def test_bare_aac_is_told_from_mp3_behind_a_tag_of_any_length() -> None:
    cover = b"\0cover\0" + b"x" * 9000
    for data in (ADTS, tagged(b"\0a\0b") + ADTS, tagged(cover) + ADTS, tagged(b"\0a\0b") + bytes(100) + ADTS):
        assert (inspect(data).container == "AAC") == (bytes(100) not in data)
        if bytes(100) not in data:
            assert read(write(data, LABEL)) == LABEL
            assert write(data, LABEL).endswith(ADTS)
    data = tagged(b"\0AIGC\0" + INNER.encode()) + tagged(b"\0AIGC\0" + INNER.encode()) + ADTS
    assert inspect(data).verdict == "noncompliant"
    assert len(inspect(write(data, first_label(OTHER, "second"))).places) == 1
    assert inspect(sample("plain.mp3")).container == "MP3"


def test_aac_whose_frames_do_not_follow_one_another_is_told() -> None:
    length = (ADTS[3] & 3) << 11 | ADTS[4] << 3 | ADTS[5] >> 5
    for data in (ADTS[: length - 1], ADTS[: length - 1] + ADTS[length:], ADTS[:length] + b"junk" * 9, ADTS[:7] + bytes(90)):
        assert isinstance(read(data), Damaged), data[:20]
    assert CODE not in str(read(ADTS + b"TAG" + bytes(125)))
