"""MP4, MOV and M4A: labels as others write them are read, and wherever the label goes, every sample's address leads to its bytes."""

import random
import struct
from pathlib import Path

import pytest

from guiju.core.errors import GuijuError
from guiju.labelling.containers.tests.films import (
    ADOBE,
    FILM,
    Chance,
    addresses,
    bare,
    box,
    freeform,
    inserted,
    keys,
    meta,
    moved,
    own_addresses,
    tampered,
    value,
    walk,
)
from guiju.labelling.containers.tests.samples import (
    INNER,
    LABEL,
    OLD,
    OTHER,
    WRAPPED,
    description,
    exiftool,
    memory_to_label,
    packet,
    packets,
    run,
    sample,
    tool,
)
from guiju.labelling.files import first_label, inspect, read, read_file, write, write_file
from guiju.labelling.values import Damaged, FileLabel

FASTSTART = sample("faststart.mp4")
UDTA = [b"moov", b"udta"]
LIST = [*UDTA, b"meta", b"ilst"]
COMMENT = struct.pack(">HH", len(WRAPPED), 0x55C4) + WRAPPED.encode()
XMP = packet(description(f"<q:AIGC>{INNER}</q:AIGC>"))
OTHERS = {
    "guide": inserted(FILM, [b"moov"], box(b"udta", bare())),
    "guide, beside a list of iTunes": inserted(FILM, UDTA, bare()),
    "guide, in front of a list of iTunes": inserted(FILM, UDTA, bare(), first=True),
    "guide, wrapped": inserted(FILM, UDTA, bare(WRAPPED)),
    "a key with a zero at its end": inserted(FILM, UDTA, meta(b"mdta", keys(b"AIGC\0"), box(b"ilst", value(1, INNER.encode())))),
    "a key with the name of a domain": inserted(
        FILM, UDTA, meta(b"mdta", keys(b"com.example.AIGC"), box(b"ilst", value(1, INNER.encode())))
    ),
    "a comment among keys": inserted(FILM, UDTA, meta(b"mdta", keys(b"comment"), box(b"ilst", value(1, WRAPPED.encode())))),
    "utf-16": inserted(FILM, UDTA, meta(b"mdta", keys(b"AIGC"), box(b"ilst", value(1, INNER.encode("utf-16-be"), 2)))),
    "moov.meta": inserted(FILM, [b"moov"], bare()),
    "moov.meta of QuickTime": inserted(FILM, [b"moov"], meta(b"mdta", keys(b"AIGC"), box(b"ilst", value(1, INNER.encode())), full=False)),
    "a track's meta": inserted(FILM, [b"moov", b"trak"], bare()),
    "a track's user data": inserted(FILM, [b"moov", b"trak"], box(b"udta", bare())),
    "iTunes freeform": inserted(FILM, LIST, freeform(INNER)),
    "iTunes freeform, wrapped": inserted(FILM, LIST, freeform(WRAPPED)),
    "iTunes comment": inserted(FILM, LIST, value(b"\xa9cmt", WRAPPED.encode())),
    "iTunes entry without a key": inserted(FILM, LIST, value(b"\0\0\0\1", INNER.encode())),
    "user data aigc": inserted(FILM, UDTA, box(b"aigc", INNER.encode())),
    "user data AIGC behind version and flags": inserted(FILM, UDTA, box(b"AIGC", bytes(4), INNER.encode(), b"\0")),
    "user data comment": inserted(FILM, UDTA, box(b"\xa9cmt", COMMENT)),
    "user data with QuickTime's last zero": inserted(inserted(FILM, UDTA, box(b"\xa9cmt", COMMENT)), UDTA, bytes(4)),
    "XMP in Adobe's box": FILM + box(b"uuid", ADOBE, XMP),
    "XMP in Adobe's box behind the samples": FASTSTART + box(b"uuid", ADOBE, XMP),
    "XMP in user data": inserted(FILM, UDTA, box(b"XMP_", XMP)),
}


def in_guides_place(data: bytes) -> bool:
    found = inspect(data)
    return [place.channel for place in found.places] == ["mp4:moov.udta.meta AIGC"]


@pytest.mark.parametrize("name", OTHERS)
def test_labels_as_others_write_them_are_read_and_one_is_left(name: str, tmp_path: Path) -> None:
    data = OTHERS[name]
    assert read(data) == OLD
    assert inspect(data).state == "declared"
    written = write(data, first_label(OTHER, "second"))
    assert in_guides_place(written)
    found = read(written)
    assert isinstance(found, FileLabel)
    assert (found.content_producer, found.produce_id, found.content_propagator) == ("MiniMax", "7f3a", OTHER)
    assert written.count(b"MiniMax") == 1
    assert (b"a title" in written) == (b"a title" in data)
    assert (b'dc:format="image/png"' in written) == (b'dc:format="image/png"' in data)
    (tmp_path / "a").write_bytes(data)
    (tmp_path / "b").write_bytes(written)
    assert packets(tmp_path / "b") == packets(tmp_path / "a")


@pytest.mark.parametrize("seed", range(8))
def test_every_address_leads_to_its_bytes_however_the_film_is_laid_out(seed: int) -> None:
    chance = Chance(random.Random(seed))
    for _ in range(15):
        film = chance.film()
        before = {film[at : at + 35] for at in addresses(film)}
        assert before == set(chance.chunks)
        written = write(film, LABEL)
        assert in_guides_place(written)
        assert {written[at : at + 35] for at in addresses(written)} == before
        assert len(addresses(written)) == len(addresses(film))
        assert _kinds(written) >= _kinds(film) - {b"free", b"udta", b"meta"}
        again = write(written, first_label(OTHER, "second"))
        assert {again[at : at + 35] for at in addresses(again)} == before


def _kinds(data: bytes) -> set[bytes]:
    return {path[-1] for path, _, _ in walk(data)}


GROWTH = len(write(FASTSTART, LABEL)) - len(FASTSTART)


@pytest.mark.parametrize(
    ("room", "moves"),
    [(0, True), (GROWTH - 9, True), (GROWTH - 8, False), (GROWTH - 7, True), (GROWTH - 1, True), (GROWTH, False), (2000, False)],
)
def test_free_space_in_front_of_the_samples_takes_the_growth(room: int, moves: bool) -> None:
    """A box `free` goes as a whole, or leaves one that has a head."""
    at = FASTSTART.index(b"mdat") - 12
    film = moved(FASTSTART[:at] + struct.pack(">I4s", 8 + room, b"free") + bytes(room) + FASTSTART[at + 8 :], room)
    written = write(film, LABEL)
    assert in_guides_place(written)
    assert (addresses(written) != addresses(film)) == moves
    assert len(written) == len(film) + (GROWTH if moves else 0)


def test_a_film_with_other_keys_keeps_them_and_a_key_without_a_value_gets_one() -> None:
    for own in (
        meta(b"mdta", keys(b"title", b"x"), box(b"ilst", value(1, b"a title"), value(2, b"y"))),
        meta(b"mdta", keys(b"AIGC", b"title"), box(b"ilst", value(2, b"a title"))),
        meta(b"mdta", box(b"ilst"), keys(b"title")),
        meta(b"mdta", keys(b"title")),
        meta(b"mdta"),
        meta(b"mdta", box(b"ilst")),
        meta(b"mdta", keys(b"title"), box(b"ilst", value(1, b"a title"), bytes(4))),
        meta(b"mdta", box(b"free", bytes(100)), keys(), box(b"ilst"), full=False),
    ):
        film = inserted(FILM, [b"moov"], box(b"udta", own)).replace(b"udta\x00\x00\x00\x35meta", b"skip\x00\x00\x00\x35meta", 1)
        written = write(film, LABEL)
        assert in_guides_place(written), own
        assert (b"a title" in written) == (b"a title" in film)
        assert written.count(b"keys") == 1


def test_indexes_of_segments_and_of_fragments_lead_where_they_led(tmp_path: Path) -> None:
    """With base offsets (sample), and with an index in front of fragments whose addresses count from themselves."""
    original, target = tmp_path / "a.mp4", tmp_path / "b.mp4"
    source = tmp_path / "plain.mp4"
    source.write_bytes(FILM)
    run(tool("ffmpeg"), "-v", "error", "-i", str(source), "-c", "copy", "-movflags", "frag_every_frame+dash+global_sidx+delay_moov",
        "-f", "mp4", str(original))  # fmt: skip
    for data in (original.read_bytes(), sample("fragmented.mp4")):
        original.write_bytes(data)
        write_file(original, target, LABEL)
        assert packets(target) == packets(original)
        shown = [run(tool("ffprobe"), "-v", "error", "-show_packets", "-show_entries", "packet=pos,size", "-of", "csv=p=0", str(path))
                 for path in (original, target)]  # fmt: skip
        grown = target.stat().st_size - original.stat().st_size
        places = [[int(row.split(",")[-1]) for row in each.split()] for each in shown]
        assert [place + grown for place in places[0]] == places[1]
        written = target.read_bytes()
        for path, body, _ in walk(written):
            if path[-1] == b"tfra":
                (moof,) = struct.unpack_from(">Q", written, body + 24)
                assert written[moof + 4 : moof + 8] == b"moof"


def test_a_segment_index_in_front_of_the_head_is_moved_and_metadata_among_fragments_is_refused() -> None:
    data = sample("fragmented.mp4")
    head = next(stop for path, _, stop in walk(data) if path == (b"moov",))
    first = next(body - 8 for path, body, _ in walk(data) if path == (b"moof",))
    index = box(b"sidx", struct.pack(">IIIIIHHIII", 0, 1, 1000, 0, head - 32, 0, 1, len(data) - head, 0, 0))
    film = data[:32] + index + data[32:]
    film = _shifted_bases(film, len(index), 32)
    written = write(film, LABEL)
    at = written.index(b"sidx") + 4 + 16
    (offset,) = struct.unpack_from(">I", written, at)
    assert written[32 + len(index) + offset + 4 :][:4] == b"moof"
    behind = _shifted_bases(data[:32] + data[head:] + data[32:head], 32 - head, 0)
    assert read(write(behind, LABEL)) == LABEL  # the head behind all fragments: nothing moves
    second = next(body - 8 for path, body, _ in walk(data) if path == (b"moof",) and body - 8 > first)
    with pytest.raises(GuijuError) as told:
        write(data[:32] + data[first:second] + data[32:head] + data[second:], LABEL)
    assert told.value.code.code == "LABEL-NO-ROOM"


def _shifted_bases(data: bytes, by: int, start: int) -> bytes:
    """Return the film with its base offsets and its table of fragments corrected by hand."""
    changed = bytearray(data)
    for path, body, _ in walk(data):
        if path[-1] == b"tfhd":
            struct.pack_into(">Q", changed, body + 8, struct.unpack_from(">Q", data, body + 8)[0] + by)
        elif path[-1] == b"tfra":
            (count,) = struct.unpack_from(">I", data, body + 12)
            for each in range(count):
                place = body + 16 + 19 * each + 8
                struct.pack_into(">Q", changed, place, struct.unpack_from(">Q", data, place)[0] + by)
    return bytes(changed)


def test_samples_in_other_files_are_left_alone_and_a_mixture_is_refused() -> None:
    outside = FASTSTART.replace(b"url \0\0\0\1", b"url \0\0\0\0")
    written = write(outside, LABEL)
    assert in_guides_place(written)
    assert addresses(written) == addresses(outside)
    dref = box(b"dref", struct.pack(">II", 0, 2), box(b"url ", bytes(3) + b"\1"), box(b"url ", bytes(4)))
    mixed = inserted(FILM, [b"moov"], box(b"trak", box(b"mdia", box(b"minf", box(b"dinf", dref)))))
    assert isinstance(read(mixed), Damaged)


HOSTILE = {
    "two heads": FILM + FILM[1272:],
    "a packed head": inserted(FILM, [b"moov"], box(b"cmov", bytes(20))),
    "no head": FILM[:1272],
    "a lone segment": box(b"styp", b"msdh", bytes(4)) + sample("fragmented.mp4")[1270:],
    "an address beyond the end": FILM.replace(b"stco" + bytes(4) + b"\0\0\0\x05", b"stco" + bytes(4) + b"\0\0\0\x05\x7f"),
    "a count that is too large": FILM.replace(b"stco" + bytes(4), b"stco" + bytes(4) + b"\xff", 1),
    "a box beyond the one around it": FILM.replace(b"\0\0\x00\x3dudta", b"\0\0\x01\x3dudta"),
    "a box of no size": inserted(FILM, UDTA, struct.pack(">I4s", 4, b"free")),
    "keys cut": inserted(FILM, UDTA, meta(b"mdta", box(b"keys", struct.pack(">II", 0, 9)), box(b"ilst"))),
    "a key beyond its list": inserted(FILM, UDTA, meta(b"mdta", box(b"keys", struct.pack(">III", 0, 1, 99), b"mdta"), box(b"ilst"))),
    "two lists": inserted(FILM, UDTA, meta(b"mdta", keys(b"AIGC"), box(b"ilst"), box(b"ilst"))),
    "a meta of unknown form": inserted(FILM, UDTA, box(b"meta", b"\1\2\3\4junk")),
    "a huge value": inserted(FILM, UDTA, bare("x" * 300_000)),
    "a broken packet": FILM + box(b"uuid", ADOBE, b"<AIGC>"),
    "rubbish behind": FILM + b"rubbish behind the last box",
    "a long size that lies": FILM + struct.pack(">I4sQ", 1, b"free", 1 << 63),
    "a size that goes backwards": FILM + struct.pack(">I4sQ", 1, b"free", 0),
}


def test_films_that_cannot_take_a_label_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    """Also where only one address of many leads into what is written anew: not when half of the file has been copied."""
    labelled = write(FASTSTART, LABEL)
    astray = bytearray(labelled)
    place = labelled.index(b"stco") + 12
    struct.pack_into(">I", astray, place, labelled.index(b'{"Label"'))
    unnamed = inserted(FILM, [b"moov"], box(b"udta", meta(b"mdta", box(b"ilst", value(1, b"a title")))))
    unnamed = unnamed.replace(b"udta\x00\x00\x00\x35meta", b"skip\x00\x00\x00\x35meta", 1)
    for data in (bytes(astray), unnamed):
        (tmp_path / "a").write_bytes(data)
        with pytest.raises(GuijuError) as told:
            write(data, first_label(OTHER, "another-number"))
        assert told.value.code.code == "LABEL-NO-ROOM"
        with pytest.raises(GuijuError) as told:
            write_file(tmp_path / "a", tmp_path / "b", first_label(OTHER, "another-number"))
        assert told.value.code.code == "LABEL-NO-ROOM"
        assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("seed", range(4))
def test_films_whose_boxes_were_tampered_with_are_refused_or_every_address_still_leads_to_its_bytes(seed: int) -> None:
    """Boxes are renamed, doubled, put into one another, taken out, and their lengths and first words changed."""
    chance = random.Random(seed)
    plain = [*OTHERS.values(), FASTSTART, sample("fragmented.mp4"), *(Chance(chance).film() for _ in range(5))]
    originals = [*plain, *(write(data, first_label(OTHER, "second")) for data in plain)]
    written = 0
    for data in tampered(originals, 400, chance):
        try:
            labelled = write(data, LABEL, replace=True)
        except GuijuError as error:
            assert error.code.code in ("LABEL-CONTAINER", "LABEL-DAMAGED", "LABEL-NO-ROOM"), error  # noqa: PT017 - others pass
            continue
        written += 1
        assert in_guides_place(labelled)
        samples = [(body, stop) for path, body, stop in walk(data) if path == (b"mdat",)]
        for old, new in zip(own_addresses(data), own_addresses(labelled), strict=True):
            if any(body <= old and old + 16 <= stop for body, stop in samples):
                assert labelled[new : new + 16] == data[old : old + 16]
    assert written > 20


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_films_are_told(name: str) -> None:
    found = inspect(HOSTILE[name])
    assert (found.verdict, found.state, found.container) == ("inconclusive", None, "MP4")
    with pytest.raises(GuijuError) as told:
        write(HOSTILE[name], LABEL)
    assert told.value.code.code == "LABEL-DAMAGED"


@pytest.mark.parametrize("brand", [b"crx ", b"jp2 ", b"jxl ", b"mjp2", b"abcd"])
def test_what_is_built_of_the_same_boxes_and_is_not_examined_is_unknown(brand: bytes) -> None:
    data = box(b"ftyp", brand, bytes(4), b"isom" if brand != b"abcd" else b"efgh") + FILM[28:]
    assert inspect(data).container == "unknown"
    with pytest.raises(GuijuError) as told:
        write(data, LABEL)
    assert told.value.code.code == "LABEL-CONTAINER"


def test_old_films_without_brands_and_brands_among_the_compatible_ones_are_known() -> None:
    old = moved(FILM[28:], -28)
    for front in (b"", box(b"wide"), box(b"free", bytes(20)) + box(b"skip", bytes(3))):
        film = front + moved(old, len(front))
        assert inspect(film).container == "MP4"
        assert in_guides_place(write(film, LABEL))
    own = box(b"ftyp", b"abcd", bytes(4), b"efgh", b"mp42") + FILM[28:]
    assert inspect(own).container == "MP4"
    assert inspect(bytes(4) + b"free" + bytes(40)).container == "unknown"


@pytest.mark.parametrize("name", ["plain.mp4", "faststart.mp4", "fragmented.mp4", "plain.mov", "plain.m4a"])
def test_independent_readers_see_the_label_among_the_keys(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(write(sample(name), LABEL))
    assert "Keys:AIGC={" in exiftool(path)
    assert LABEL.produce_id in run(tool("ffprobe"), "-v", "error", "-show_format", "-of", "json", str(path))
    assert LABEL.produce_id in run(tool("mediainfo"), "-f", str(path))
    if b"abc" in sample(name):
        assert "abc" in run(tool("ffprobe"), "-v", "error", "-show_format", "-of", "json", str(path))


def _sparse(path: Path, *, head_first: bool, length: int, wide: bool, count: int = 8) -> list[int]:
    """Write a film with so many bytes of samples, which are a hole but for marks at each chunk; return where the marks are."""

    def moov(places: list[int]) -> bytes:
        table = box(b"co64" if wide else b"stco", struct.pack(f">II{len(places)}{'Q' if wide else 'I'}", 0, len(places), *places))
        return box(b"moov", box(b"trak", box(b"mdia", box(b"minf", box(b"stbl", table)))))

    front = box(b"ftyp", b"isom", bytes(4), b"mp42")
    start = len(front) + (len(moov([0] * count)) if head_first else 0) + 16
    places = [*(start + length * each // count for each in range(count - 1)), start + length - 64]
    head = moov(places)
    with path.open("wb") as file:
        file.write(front + (head if head_first else b"") + struct.pack(">I4sQ", 1, b"mdat", 16 + length))
        for each in (*places[:: max(1, count // 8)], places[-1]):
            file.seek(each)
            file.write(b"chunk %d" % each)
        file.truncate(start + length)
        if not head_first:
            file.seek(start + length)
            file.write(head)
    return places


@pytest.mark.parametrize(
    ("head_first", "length", "wide", "count"),
    [
        (False, 4_000_000_000, False, 8),
        (True, 4_000_000_000, False, 8),
        (True, (1 << 32) - 250, False, 8),  # its last addresses do not fit any more: the table becomes one of long addresses
        (True, 6_000_000_000, True, 8),
        (True, 4_000_000_000, False, 1_500_000),  # a head of 6 MB, more than is ever read whole
    ],
)
def test_films_of_four_gigabytes_and_more_are_labelled_in_little_memory(
    head_first: bool, length: int, wide: bool, count: int, tmp_path: Path
) -> None:
    big, out = tmp_path / "big", tmp_path / "out"
    places = _sparse(big, head_first=head_first, length=length, wide=wide, count=count)
    assert memory_to_label(big, out) < 64 * 1024
    assert out.stat().st_size > length
    assert out.stat().st_blocks * 512 < 100_000_000, "a hole was filled"
    with out.open("rb") as file:
        # Enough of the file for its head, read by the plain reader.
        file.seek(0 if head_first else out.stat().st_size - 4096)
        head = file.read(20_000_000 if head_first else 4096)
        at = head.index(b"co64" if b"co64" in head[:400] or wide else b"stco")
        is_wide = head[at : at + 4] == b"co64"
        found = struct.unpack_from(f">{count}{'Q' if is_wide else 'I'}", head, at + 12)
        assert is_wide == (wide or length + 2000 > 1 << 32)
        step = max(1, count // 8)
        pairs = list(zip(places, found, strict=True))
        for old, new in (*pairs[::step], pairs[-1]):
            file.seek(new)
            mark = b"chunk %d" % old
            assert file.read(len(mark)) == mark
    assert isinstance(read_file(out), FileLabel)
