"""Matroska, AVI and FLV: what counts from the beginning stays where it is, indexes lead where they led, and labels of others are read."""

import json
import os
import struct
import zlib
from pathlib import Path

import pytest

from guiju.core.errors import GuijuError
from guiju.labelling.containers.tests.samples import (
    INNER,
    LABEL,
    OLD,
    OTHER,
    WRAPPED,
    decoded,
    description,
    memory_to_label,
    packet,
    run,
    sample,
    tool,
)
from guiju.labelling.files import first_label, inspect, read, write
from guiju.labelling.values import Damaged

MKV, WEBM, LIVE, AVI = sample("plain.mkv"), sample("plain.webm"), sample("live.webm"), sample("plain.avi")
TAGS, CLUSTER, SEEK_HEAD, VOID = "1254c367", "1f43b675", "114d9b74", "ec"
MASTERS = {"18538067", SEEK_HEAD, "4dbb", TAGS, "7373", "67c8", "63c0"}


def el(name: str, *bodies: bytes, width: int = 8) -> bytes:
    """Return an element whose length takes `width` bytes; 0: it is not known."""
    body = b"".join(bodies)
    size = b"\x01" + b"\xff" * 7 if not width else (len(body) | 1 << 7 * width).to_bytes(width, "big")
    return bytes.fromhex(name) + size + body


def simple(name: str, text: str, *inner: bytes) -> bytes:
    return el("67c8", el("45a3", name.encode()), el("4487", text.encode()), *inner)


def tags(*tags: bytes) -> bytes:
    return el(TAGS, *(el("7373", el("63c0"), each) for each in tags))


HEAD = el("1a45dfa3", el("4282", b"matroska", width=1), width=1)
FRAMES = el(CLUSTER, el("e7", b"\0", width=1), el("a3", b"\x81\0\0\x80frame", width=1))
OPEN = el(CLUSTER, el("e7", b"\0", width=1), el("a3", b"\x81\0\0\x80frame", width=1), width=0)
CUES = el("1c53bb6b", b"")
TITLE = simple("TITLE", "a title")


def mkv(*parts: bytes, width: int = 8) -> bytes:
    return HEAD + el("18538067", *parts, width=width)


def walk(data: bytes, at: int = 0, stop: int | None = None, depth: int = 0) -> list[tuple[int, str, int, int]]:
    """Return (depth, name, data begins, data ends) of every element, those of clusters aside; every check sum is right."""
    found, stop = [], len(data) if stop is None else stop
    while at < stop:
        width = 9 - data[at].bit_length()
        name = data[at : at + width].hex()
        size_width = 9 - data[at + width].bit_length()
        size = int.from_bytes(data[at + width : at + width + size_width], "big") - (1 << 7 * size_width)
        body = at + width + size_width
        end = stop if size == (1 << 7 * size_width) - 1 else body + size
        assert end <= stop, name
        found.append((depth, name, body, end))
        if name in MASTERS:
            inner = walk(data, body, end, depth + 1)
            if inner and inner[0][1] == "bf":
                told = data[inner[0][2] : inner[0][3]]
                assert told == zlib.crc32(data[inner[0][3] : end]).to_bytes(4, "little"), name
            found += inner
        at = end
    return found


def leads(data: bytes) -> list[str]:
    """Return the names to which the list of elements leads; each stands there."""
    base = next(body for _, name, body, _ in walk(data) if name == "18538067")
    found = []
    for _, name, body, end in walk(data):
        if name == "4dbb":
            inner = {each: data[start:stop] for _, each, start, stop in walk(data, body, end) if each in ("53ab", "53ac")}
            at = base + int.from_bytes(inner["53ac"], "big")
            assert data[at : at + len(inner["53ab"])] == inner["53ab"]
            found.append(inner["53ab"].hex())
    return found


FILES = {
    "mkv inner": mkv(tags(simple("AIGC", INNER)), FRAMES),
    "mkv wrapped": mkv(tags(simple("AIGC", WRAPPED)), FRAMES),
    "mkv lower case": mkv(tags(simple("aigc", INNER)), FRAMES),
    "mkv binary": mkv(tags(simple("AIGC", INNER).replace(bytes.fromhex("4487"), bytes.fromhex("4485"))), FRAMES),
    "mkv comment": mkv(tags(simple("COMMENT", WRAPPED)), FRAMES),
    "mkv beside others": mkv(tags(TITLE, simple("AIGC", INNER) + TITLE), FRAMES),
    "mkv within another": mkv(tags(simple("SET", "x", simple("AIGC", INNER), TITLE)), FRAMES),
    "mkv at the end": mkv(tags(TITLE), FRAMES, CUES, tags(simple("AIGC", INNER))),
    "mkv guarded": mkv(el(TAGS, el("bf", zlib.crc32(tags(simple("AIGC", INNER) + TITLE)[12:]).to_bytes(4, "little"), width=1), tags(simple("AIGC", INNER) + TITLE)[12:]), FRAMES),
    "mkv live": mkv(tags(simple("AIGC", INNER) + TITLE), OPEN, OPEN, width=0),
    "mkv live, at the end": mkv(OPEN, OPEN, tags(simple("AIGC", INNER)), width=0),
    "mkv two segments": mkv(FRAMES) + el("18538067", tags(simple("AIGC", INNER) + TITLE), FRAMES),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_labels_as_others_write_them_are_read_and_one_is_left(name: str) -> None:
    data = FILES[name]
    assert read(data) == OLD
    written = write(data, first_label(OTHER, "second"))
    seen = inspect(written)
    assert len(seen.places) == 1
    assert seen.label
    assert (seen.label.content_producer, seen.label.content_propagator) == ("MiniMax", OTHER)
    assert written.count(b"a title") == data.count(b"a title")
    assert written.count(b"frame") == data.count(b"frame")
    assert walk(written)
    if CUES in data:
        assert written.index(FRAMES) == data.index(FRAMES)


@pytest.mark.parametrize("name", ["plain.mkv", "plain.webm", "live.webm"])
def test_what_ffmpeg_wrote_keeps_every_place_and_the_list_leads_to_the_label(name: str) -> None:
    data = sample(name)
    written = write(data, LABEL)
    before, after = leads(data), leads(written)
    assert after[: len(before)] == before
    assert after.count(TAGS) == before.count(TAGS) + (name != "live.webm")
    shorter = write(write(data, first_label(OTHER, "x" * 400)), LABEL)
    assert leads(shorter) == after
    assert walk(shorter)


@pytest.mark.parametrize("extra", [0, 1, 2, 3, 9, 10, 200])
def test_a_free_element_takes_the_label_when_nothing_or_two_bytes_are_left(extra: int) -> None:
    long = len(write(mkv(FRAMES), LABEL)) - len(mkv(FRAMES))
    data = mkv(el(VOID, bytes(long - 9 + extra)), FRAMES, CUES)
    written = write(data, LABEL)
    assert read(written) == LABEL
    assert len(written) == len(data)
    assert written[data.index(FRAMES) :] == data[data.index(FRAMES) :]
    assert walk(written)


def test_a_free_element_that_is_too_small_stays_and_the_label_goes_to_the_end() -> None:
    data = mkv(el(VOID, bytes(100)), FRAMES, CUES)
    written = write(data, LABEL)
    assert written.startswith(data[: len(HEAD) + 4])
    assert written[len(HEAD) + 12 :].startswith(data[len(HEAD) + 12 :])
    assert walk(written)[-1][1] == "4487"


def test_without_any_place_written_down_the_label_stands_in_front() -> None:
    for data in (mkv(FRAMES, FRAMES), mkv(OPEN, OPEN, width=0), mkv(FRAMES, width=1)):
        written = write(data, LABEL)
        assert read(written) == LABEL
        assert written.index(b"AIGC") < written.index(b"frame")
        assert len(write(written, first_label(OTHER, "second"))) - len(written) < 20
    told = mkv(el(CLUSTER, el("e7", b"\0"), el("a7", b"\x10"), el("a3", b"\x81\0\0\x80frame")))
    assert write(told, LABEL).index(b"AIGC") > told.index(b"frame")


def test_the_check_sum_of_a_whole_segment_goes() -> None:
    data = mkv(el("bf", zlib.crc32(FRAMES).to_bytes(4, "little"), width=1), FRAMES)
    assert b"\xec\x84" in write(data, LABEL)
    assert walk(write(data, LABEL))


def deep(levels: int) -> bytes:
    tag = TITLE
    for _ in range(levels):
        tag = el("67c8", tag)
    return tag


@pytest.mark.parametrize(
    "data",
    [
        mkv(tags(deep(100)), FRAMES),
        mkv(FRAMES)[:-1],
        mkv(FRAMES) + b"junk",
        mkv(el(TAGS, b"\x73\x73\x8f"), FRAMES),
        mkv(el(TAGS, b"\0\0\0\0"), FRAMES),
        mkv(el(TAGS, TITLE, width=0), FRAMES),
        mkv(tags(simple("AIGC", INNER, TITLE)), FRAMES),
        mkv(el(TAGS, bytes(5_000_000)), FRAMES),
        mkv(el(VOID, width=1) * 30_000, FRAMES),
        HEAD,
        el("1a45dfa3", el("42f3", b"\x10", width=1), el("4282", b"matroska", width=1), width=1) + el("18538067", FRAMES),
        el("1a45dfa3", el("42f2", b"\x08", width=1), el("4282", b"webm", width=1), width=1) + el("18538067", FRAMES),
        el("1a45dfa3", el("ec", b"matroska", width=1), width=1) + el("18538067", FRAMES),
    ],
    ids=lambda data: f"{len(data)}_{zlib.crc32(data)}",
)
def test_hostile_matroska_is_told(data: bytes) -> None:
    assert isinstance(read(data), Damaged)
    with pytest.raises(GuijuError) as told:
        write(data, LABEL)
    assert told.value.code.code == "LABEL-DAMAGED"


def test_two_labels_are_one_too_many_and_a_label_over_all_bounds_is_none() -> None:
    data = mkv(tags(simple("AIGC", INNER), simple("AIGC", INNER) + TITLE), FRAMES, tags(simple("AIGC", INNER)))
    assert (inspect(data).verdict, len(inspect(data).places)) == ("noncompliant", 3)
    assert inspect(write(data, first_label(OTHER, "second"))).verdict == "compliant"
    long, twice = simple("AIGC", "x" * 70_000), simple("AIGC", INNER, el("4487", INNER.encode()))
    for tag in (long, twice):
        assert isinstance(read(mkv(tags(tag), FRAMES)), Damaged)


def riff(*chunks: tuple[bytes, bytes], kind: bytes = b"AVI ") -> bytes:
    body = kind + b"".join(name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2) for name, data in chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def parts(data: bytes) -> list[tuple[bytes, bytes]]:
    found, at = [], 12
    while at < len(data):
        name, length = struct.unpack_from("<4sI", data, at)
        found.append((name, data[at + 8 : at + 8 + length]))
        at += 8 + length + length % 2
    return found


PARTS = [each for each in parts(AVI) if each[0] != b"JUNK"]
LATER = riff((b"LIST", b"movi" + bytes(8)), kind=b"AVIX")


def info(*entries: tuple[bytes, str]) -> tuple[bytes, bytes]:
    body = b"".join(name + struct.pack("<I", len(text)) + text.encode() + bytes(len(text) % 2) for name, text in entries)
    return b"LIST", b"INFO" + body


AVIS = {
    "inner": riff(PARTS[0], info((b"INAM", "a title"), (b"AIGC", INNER)), *PARTS[1:]),
    "alone": riff(PARTS[0], info((b"AIGC", INNER)), *PARTS[1:]),
    "alone at the end": riff(*PARTS, info((b"AIGC", INNER))),
    "wrapped": riff(PARTS[0], info((b"AIGC", WRAPPED)), (b"JUNK", bytes(900)), *PARTS[1:]),
    "comment": riff(PARTS[0], info((b"ICMT", WRAPPED), (b"INAM", "a title")), *PARTS[1:]),
    "xmp": riff(PARTS[0], (b"_PMX", packet(description(f"<q:AIGC>{INNER}</q:AIGC>"))), *PARTS[1:]),
    "a later part": riff(PARTS[0], (b"JUNK", bytes(900)), *PARTS[1:])
    + riff((b"LIST", b"movi" + bytes(8)), info((b"AIGC", INNER)), kind=b"AVIX"),
}


@pytest.mark.parametrize("name", AVIS)
def test_labels_in_avi_are_read_and_one_is_left(name: str) -> None:
    data = AVIS[name]
    assert read(data) == OLD
    written = write(data, first_label(OTHER, "second"))
    seen = inspect(written)
    assert len(seen.places) == 1
    assert seen.label
    assert (seen.label.content_producer, seen.label.content_propagator) == ("MiniMax", OTHER)
    assert (b"a title" in written) == (b"a title" in data)
    assert written.index(PARTS[1][1]) == data.index(PARTS[1][1])
    again = write(written, first_label(OTHER, "third"))
    assert len(again) <= len(written)


@pytest.mark.parametrize("room", [245, 246, 247, 252, 253, 254, 255, 256, 400])
def test_a_free_chunk_of_any_size_moves_nothing(room: int, tmp_path: Path) -> None:
    data = riff(PARTS[0], (b"JUNK", bytes(room)), *PARTS[1:])
    written = write(data, LABEL)
    assert written.index(PARTS[1][1]) == data.index(PARTS[1][1])
    assert struct.unpack_from("<I", written, 4)[0] == len(written) - 8
    assert read(written) == LABEL
    (tmp_path / "a.avi").write_bytes(data)
    (tmp_path / "b.avi").write_bytes(written)
    assert decoded(tmp_path / "a.avi") == decoded(tmp_path / "b.avi")


def test_a_chunk_that_is_called_free_and_holds_something_is_not_taken() -> None:
    data = riff(PARTS[0], (b"JUNK", b"maker notes" + bytes(900)), *PARTS[1:])
    written = write(data, LABEL)
    assert b"maker notes" in written
    assert written.index(b"INFOAIGC") > written.index(b"idx1")


def test_what_follows_the_first_part_never_moves() -> None:
    data = riff(PARTS[0], (b"JUNK", bytes(900)), *PARTS[1:]) + LATER
    written = write(data, LABEL)
    assert len(written) == len(data)
    assert written.endswith(LATER)
    with pytest.raises(GuijuError) as told:
        write(riff(*PARTS) + LATER, LABEL)
    assert told.value.code.code == "LABEL-NO-ROOM"


def test_hostile_avi_is_told() -> None:
    for data in (
        riff(PARTS[0], info((b"AIGC", INNER)), *PARTS[1:]).replace(b"AIGC" + struct.pack("<I", len(INNER)), b"AIGC\xff\xff\0\0"),
        riff(PARTS[0], info((b"AIGC", "x" * 70_000)), *PARTS[1:]),
        riff(*PARTS[1:]),
        riff(PARTS[0]),
        riff(*PARTS) + LATER[:-4],
        riff(PARTS[0], (b"_PMX", b"<x>AIGC"), *PARTS[1:]),
    ):
        assert isinstance(read(data), Damaged)


@pytest.mark.parametrize("name", ["plain.avi", "plain.mkv", "plain.webm", "live.webm", "plain.flv"])
def test_independent_readers_see_the_label(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(write(sample(name), LABEL))
    assert LABEL.produce_id in run(tool("ffprobe"), "-v", "error", "-show_format", "-of", "json", str(path))
    assert LABEL.produce_id in run(tool("mediainfo"), "-f", str(path))


def test_four_gigabytes_are_labelled_in_little_memory(tmp_path: Path) -> None:
    length, big = 4_000_000_000, tmp_path / "big"
    long = struct.Struct(">Q")
    block = b"\xa3" + long.pack(length - 9 | 1 << 56)
    cluster = bytes.fromhex(CLUSTER) + long.pack(length | 1 << 56) + block
    matroska = HEAD + bytes.fromhex("18538067") + long.pack(length + 12 | 1 << 56) + cluster
    avi = riff(PARTS[0], (b"JUNK", bytes(900))) + b"LIST" + struct.pack("<I", length) + b"movi"
    avi = avi[:4] + struct.pack("<I", len(avi) + length - 12) + avi[8:]
    for head, counted in ((matroska, 9), (avi, 4)):
        with big.open("wb") as file:
            file.write(head)
            os.ftruncate(file.fileno(), len(head) - counted + length)
        grown = memory_to_label(big, tmp_path / "out")
        assert grown < 16 * 1024, f"{grown} KiB"


def test_four_gigabytes_of_flv_are_labelled_in_little_memory(tmp_path: Path) -> None:
    """Pictures as long as a tag may be, one behind another."""
    big, length = tmp_path / "big", (1 << 24) - 1
    with big.open("wb") as file:
        at = file.write(sample("plain.flv"))
        while at < 1 << 32:
            os.pwrite(file.fileno(), b"\x09" + length.to_bytes(3, "big"), at)
            at += 11 + length
            at += os.pwrite(file.fileno(), struct.pack(">I", 11 + length), at)
    grown = memory_to_label(big, tmp_path / "out")
    assert grown < 16 * 1024, f"{grown} KiB"


FLV = sample("plain.flv")


def amf(text: str) -> bytes:
    return struct.pack(">H", len(text)) + text.encode()


def flv(*scripts: bytes, pictures: bytes = b"\x09\0\0\5\0\0\0\0\0\0\0frame\0\0\0\x10") -> bytes:
    tags = b"".join(b"\x12" + len(body).to_bytes(3, "big") + bytes(7) + body + struct.pack(">I", len(body) + 11) for body in scripts)
    return FLV[:13] + tags + pictures


def on_meta(*pairs: tuple[str, bytes], counted: bool = True) -> bytes:
    head = b"\2" + amf("onMetaData") + (b"\x08" + struct.pack(">I", len(pairs)) if counted else b"\3")
    return head + b"".join(amf(name) + value for name, value in pairs) + b"\0\0\t"


def string(text: str, *, long: bool = False) -> bytes:
    return b"\x0c" + struct.pack(">I", len(text)) + text.encode() if long else b"\2" + amf(text)


def number(value: float) -> bytes:
    return b"\0" + struct.pack(">d", value)


TITLED = ("title", string("a title"))
FLVS = {
    "array": flv(on_meta(TITLED, ("AIGC", string(INNER)), ("ok", b"\1\1"))),
    "object": flv(on_meta(("AIGC", string(INNER)), TITLED, counted=False)),
    "wrapped, long": flv(on_meta(TITLED, ("aigc", string(WRAPPED, long=True)))),
    "comment": flv(on_meta(TITLED, ("comment", string(WRAPPED)))),
    "the second script": flv(on_meta(TITLED), b"\2" + amf("onCuePoint") + b"\5", on_meta(("AIGC", string(INNER)))),
}


@pytest.mark.parametrize("name", FLVS)
def test_labels_in_flv_are_read_and_one_is_left(name: str) -> None:
    data = FLVS[name]
    assert read(data) == OLD
    written = write(data, first_label(OTHER, "second"))
    seen = inspect(written)
    assert len(seen.places) == 1
    assert seen.label
    assert (seen.label.content_producer, seen.label.content_propagator) == ("MiniMax", OTHER)
    assert b"a title" in written
    assert b"frame\0\0\0\x10" in written


def test_what_is_no_string_is_a_label_all_the_same_and_not_overwritten_unasked() -> None:
    keys = b"\3" + b"".join(amf(key) + string(value) for key, value in json.loads(INNER).items()) + b"\0\0\t"
    for value in (keys, b"\0" + bytes(8)):
        with pytest.raises(GuijuError) as told:
            write(flv(on_meta(TITLED, ("AIGC", value))), LABEL)
        assert told.value.code.code == "LABEL-CONFLICT"


def test_numbers_that_count_bytes_grow_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.flv"
    words = ("-f", "lavfi", "-i", "testsrc=s=32x32:r=5:d=2", "-c:v", "flv1", "-g", "5", "-flvflags", "add_keyframe_index")
    run(tool("ffmpeg"), "-v", "error", "-y", *words, str(path))
    data = path.read_bytes()
    written = write(data, LABEL)
    grown = len(written) - len(data)

    def numbers(data: bytes, name: bytes) -> list[float]:
        at = data.index(name) + len(name)
        count = struct.unpack_from(">I", data, at + 1)[0] if data[at] == 10 else 0
        return [struct.unpack_from(">d", data, at + 6 + 9 * index if count else at + 1)[0] for index in range(count or 1)]

    for name in (b"filepositions", b"filesize", b"lastkeyframelocation"):
        assert [value - grown for value in numbers(written, name)] == numbers(data, name), name
    for place in map(int, numbers(written, b"filepositions")):
        assert written[place : place + 1] == b"\x09", "a picture begins there"
    (tmp_path / "b.flv").write_bytes(written)
    assert decoded(path) == decoded(tmp_path / "b.flv")


def nested(levels: int) -> bytes:
    return b"\3" + amf("x") + nested(levels - 1) + b"\0\0\t" if levels else b"\5"


def test_hostile_flv_is_told() -> None:
    for data in (
        flv(on_meta(("a", nested(100)))),
        flv(on_meta(("a", b"\x0a\xff\xff\xff\xff"))),
        flv(on_meta(("a", b"\x0a\x00\xff\xff\xff" + b"\5" * 9))),
        flv(on_meta(("a", b"\x63"))),
        flv(on_meta(("a", string("x")))[:-4]),
        flv(b"\2" + amf("onMetaData") + b"\5"),
        flv(pictures=b"\x07\0\0\0" + bytes(11)),
        flv(on_meta(TITLED)).replace(b"\x12\0\0", b"\x32\0\0"),
        flv(on_meta(TITLED))[:-1],
        flv(*[on_meta(TITLED)] * 2000),
        flv(on_meta(("AIGC", string("x" * 70_000, long=True)))),
        flv(on_meta(TITLED), b"\2" + amf("onXMPData") + b"\3" + amf("liveXML") + string(INNER) + b"\0\0\t"),
    ):
        assert isinstance(read(data), Damaged)
