"""Sounds: labels as others write them are read, other tags stay, large and unfinished files are taken as they are."""

import re
import struct
import zlib
from pathlib import Path

import pytest

from guiju.core.errors import GuijuError
from guiju.labelling import annex_e
from guiju.labelling.containers import id3
from guiju.labelling.containers.tests.samples import (
    INNER,
    LABEL,
    OLD,
    OTHER,
    WRAPPED,
    description,
    memory_to_label,
    packet,
    run,
    sample,
    tool,
)
from guiju.labelling.files import first_label, inspect, read, write
from guiju.labelling.values import Damaged

WAV = sample("plain.wav")
MP3 = sample("plain.mp3")
SOUND = MP3[id3.tag_length(MP3) :]
FLAC = sample("plain.flac")


def wav_with(name: bytes, body: bytes) -> bytes:
    data = WAV + name + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)
    return data[:4] + struct.pack("<I", len(data) - 8) + data[8:]


def tag(*frames: bytes, version: int = 4, flags: int = 0, padding: int = 0) -> bytes:
    body = b"".join(frames) + bytes(padding)
    size = len(body)
    return b"ID3" + bytes([version, 0, flags, size >> 21, size >> 14 & 127, size >> 7 & 127, size & 127]) + body


def frame(text: bytes, version: int = 4, name: bytes = b"TXXX") -> bytes:
    size = len(text)
    length = bytes([size >> 21, size >> 14 & 127, size >> 7 & 127, size & 127]) if version == 4 else size.to_bytes(4, "big")
    return name + length + b"\0\0" + text


def stuffed(data: bytes) -> bytes:
    """Return data unsynchronised: nothing in it looks like the beginning of sound."""
    return re.sub(rb"\xff(?=[\0\xe0-\xff])", b"\xff\0", data)


TITLE = frame(b"\3a title", name=b"TIT2")
TITLE3 = frame(b"\0a title", 3, b"TIT2")
COVER = frame(b"\0image/png\0\3\0" + bytes(300), 3, b"APIC")
WIDE = b"\1" + "AIGC".encode("utf-16") + b"\0\0" + INNER.encode("utf-16")
PLAIN = b"\0AIGC\0" + INNER.encode()
FILES = {
    "wav AIGC": wav_with(b"AIGC", INNER.encode()),
    "wav AIGC wrapped": wav_with(b"AIGC", WRAPPED.encode()),
    "wav lower case": wav_with(b"aigc", INNER.encode()),
    "wav id3": wav_with(b"id3 ", tag(TITLE, frame(PLAIN))),
    "wav ICMT": wav_with(
        b"LIST", b"INFOICMT" + struct.pack("<I", len(WRAPPED) + 1) + WRAPPED.encode() + b"\0" + bytes((len(WRAPPED) + 1) % 2)
    ),
    "mp3 2.4": tag(TITLE, frame(b"\3AIGC\0" + INNER.encode()), padding=50) + SOUND,
    "mp3 2.3": tag(TITLE3, frame(PLAIN, 3), version=3) + SOUND,
    "mp3 2.3 utf-16": tag(TITLE3, frame(b"\1" + "AIGC".encode("utf-16") + b"\0\0" + INNER.encode("utf-16"), 3), version=3) + SOUND,
    "mp3 2.2": tag(b"TXX" + len(PLAIN).to_bytes(3, "big") + PLAIN, version=2) + SOUND,
    "mp3 wrapped": tag(frame(b"\3AIGC\0" + WRAPPED.encode())) + SOUND,
    "mp3 2.4 unsynchronised, told of the tag alone": tag(TITLE, frame(stuffed(WIDE)), flags=0x80) + SOUND,
    "mp3 2.4 with plain lengths": tag(COVER, TITLE3, frame(PLAIN, 3)) + SOUND,
    "mp3 2.3 unsynchronised": tag(stuffed(TITLE3 + frame(WIDE, 3)), TITLE3, version=3, flags=0x80, padding=9) + SOUND,
    "mp3 comment": tag(frame(b"\3eng\0" + WRAPPED.encode(), name=b"COMM")) + SOUND,
}


@pytest.mark.parametrize("name", FILES)
def test_labels_as_others_write_them_are_read_and_one_is_left(name: str) -> None:
    assert read(FILES[name]) == OLD
    written = write(FILES[name], first_label(OTHER, "second"))
    seen = inspect(written)
    assert len(seen.places) == 1
    assert seen.label
    assert (seen.label.content_producer, seen.label.content_propagator) == ("MiniMax", OTHER)
    assert (b"a title" in written) == (b"a title" in FILES[name])
    assert written.endswith(SOUND) == name.startswith("mp3")


def test_tags_that_are_unusual_take_a_label() -> None:
    picture = frame(b"\0image/png\0\0\0\xff\xe0", 3, b"APIC").replace(b"\xff\xe0", b"\xff\x00\xe0")
    for data in (
        SOUND,
        tag(TITLE, padding=2000) + SOUND,
        tag(TITLE3, picture, version=3, flags=0x80) + SOUND,
        tag(b"TT2\0\0\2\0a", version=2) + SOUND,
    ):
        written = write(data, LABEL)
        assert read(written) == LABEL
        assert written.endswith(data if data is SOUND else data[10:])


def seven(number: int, digits: int = 4) -> bytes:
    return bytes(number >> 7 * place & 127 for place in reversed(range(digits)))


def test_tags_with_an_extended_header_take_a_label_and_their_check_sum_holds() -> None:
    frames = TITLE3
    for padding in (0, 40):
        plain3 = tag(struct.pack(">IHI", 6, 0, padding), frames, version=3, flags=0x40, padding=padding) + SOUND
        assert read(write(plain3, LABEL)) == LABEL
        checked3 = (
            tag(struct.pack(">IHII", 10, 0x8000, padding, zlib.crc32(frames)), frames, version=3, flags=0x40, padding=padding) + SOUND
        )
        written = write(checked3, LABEL)
        assert read(written) == LABEL
        assert written.endswith(frames + bytes(padding) + SOUND)
        stop = id3.tag_length(written)
        assert written[20:24] == struct.pack(">I", zlib.crc32(written[24 : stop - padding]))
        head = seven(13) + bytes([1, 0x60, 0, 5]) + seven(zlib.crc32(TITLE + bytes(padding)), 5)
        checked4 = tag(head, TITLE, version=4, flags=0x40, padding=padding) + SOUND
        written = write(checked4, LABEL)
        assert read(written) == LABEL
        stop = id3.tag_length(written)
        assert written[18:23] == seven(zlib.crc32(written[23:stop]), 5)
        assert read(write(written, first_label(OTHER, "second"))) is not None


def test_a_tag_that_says_its_texts_are_short_takes_no_label() -> None:
    for size, room in ((0, True), (1, True), (2, False), (3, False)):
        data = tag(seven(8) + bytes([1, 0x10, 1, size << 3]), TITLE, flags=0x40) + SOUND
        if room:
            assert read(write(data, LABEL)) == LABEL
            continue
        with pytest.raises(GuijuError) as told:
            write(data, LABEL)
        assert told.value.code.code == "LABEL-NO-ROOM"


def test_a_flac_without_comments_gets_a_block_and_keeps_its_last_one() -> None:
    stream_info = FLAC[4:42]
    bare = b"fLaC" + bytes([0x80]) + stream_info[1:] + FLAC[FLAC.index(b"\xff\xf8", 42) :]
    assert read(bare) is None
    written = write(bare, LABEL)
    assert read(written) == LABEL
    assert written[4] == 0
    assert written[42] == 0x84


def test_a_wav_whose_writer_could_not_go_back_is_taken() -> None:
    at = WAV.index(b"data")
    data = WAV[:4] + b"\xff\xff\xff\xff" + WAV[8 : at + 4] + b"\xff\xff\xff\xff" + WAV[at + 8 :]
    assert read(data) is None
    assert read(write(data, LABEL)) == LABEL


def test_a_large_form_keeps_its_sizes() -> None:
    at = WAV.index(b"data")
    body = (
        b"ds64" + struct.pack("<IQQQI", 28, len(WAV) + 28, len(WAV) - at - 8, 0, 0) + WAV[12 : at + 4] + b"\xff\xff\xff\xff" + WAV[at + 8 :]
    )
    data = b"RF64\xff\xff\xff\xffWAVE" + body
    written = write(data, LABEL)
    assert read(written) == LABEL
    assert struct.unpack("<Q", written[20:28])[0] == len(written) - 8


@pytest.mark.parametrize("name", ["wav", "mp3", "flac"])
def test_independent_readers_see_the_label(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{name}"
    path.write_bytes(write(sample(f"plain.{name}"), LABEL))
    if name == "wav":
        assert LABEL.produce_id in run(tool("exiftool"), "-U", "-b", "-Unknown_AIGC", str(path))
        return  # ffprobe and mediainfo do not know the chunk (reference §7)
    assert LABEL.produce_id in run(tool("ffprobe"), "-v", "error", "-show_format", "-of", "json", str(path))
    assert LABEL.produce_id in run(tool("mediainfo"), "-f", str(path))


def test_four_gigabytes_are_labelled_in_little_memory(tmp_path: Path) -> None:
    """In a process of its own: its highest memory is its own. The file is sparse, and stays so."""
    length = 4_000_000_000
    big, out = tmp_path / "big", tmp_path / "out"
    at = WAV.index(b"data")
    head = WAV[:4] + struct.pack("<I", at + length) + WAV[8 : at + 4] + struct.pack("<I", length)
    with big.open("wb") as file:
        file.write(head)
        file.truncate(len(head) + length)
    grown = memory_to_label(big, out)
    assert grown < 16 * 1024, f"{grown} KiB"
    assert out.stat().st_size > length
    assert out.stat().st_blocks * 512 < 10_000_000, "a hole was filled"


def test_a_length_that_looks_like_sound_is_unsynchronised() -> None:
    """The frame of this label is 255 bytes long: a byte that must not stand as it is."""
    data = tag(stuffed(TITLE3 + frame(b"\0x\xff\xe0", 3)), version=3, flags=0x80) + SOUND
    lengths = {len(annex_e.inner(first_label(OTHER, "x" * count))) + 6: count for count in range(20, 80)}
    label = first_label(OTHER, "x" * lengths[255])
    assert read(write(data, label)) == label


@pytest.mark.parametrize("mark", ["", "an album"], ids=["label", "none"])
def test_a_tag_at_the_end_may_hold_a_label_and_is_not_read(mark: str) -> None:
    text = (mark or INNER).encode()
    item = struct.pack("<II", len(text), 0) + (b"ALBUM" if mark else b"AIGC") + b"\0" + text
    ape = item + b"APETAGEX" + struct.pack("<IIII", 2000, len(item) + 32, 1, 1 << 31) + bytes(8)
    appended = tag(frame(b"\3AIGC\0" + text if not mark else b"\3b\0" + text))
    appended = appended[:5] + b"\x10" + appended[6:] + b"3DI\4\0\x10" + appended[6:10]
    for data in (SOUND + ape, SOUND + ape + b"TAG" + bytes(125), SOUND + appended):
        assert read(data) is None if mark else isinstance(read(data), Damaged)


def test_packets_of_sounds_may_hold_a_label_and_are_not_read() -> None:
    for body in ("", f"<q:AIGC>{INNER}</q:AIGC>"):
        text = packet(description(body)) if body else packet("")
        for data in (tag(TITLE, frame(b"XMP\0" + text, name=b"PRIV")) + SOUND, wav_with(b"_PMX", text)):
            assert isinstance(read(data), Damaged) if body else read(data) is None


def test_hostile_tags_are_told() -> None:
    for data in (
        tag(frame(b"\3x\0y") + b"T\1XX" + bytes(20)) + SOUND,
        tag(frame(b"\3x\0y")[:4] + b"\0\0\x7f\x7f\0\0x") + SOUND,
        b"ID3\4\0\0\x7f\x7f\x7f\x7f" + SOUND,
        tag(TITLE) * 40 + SOUND,
        tag(TITLE, bytes(20), frame(PLAIN)) + SOUND,
        tag(TITLE, frame(PLAIN + b"x" * 200_000)) + SOUND,
        tag(TITLE) + b"no sound",
        FLAC[:8] + FLAC[12:],
    ):
        assert isinstance(read(data), Damaged)
        with pytest.raises(GuijuError):
            write(data, LABEL)
