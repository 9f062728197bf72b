"""HEIC and AVIF: the XMP item is found, kept, grown and made, in every form of its addresses, and the pictures stay where they are."""

import json
import struct
import time
from pathlib import Path

import pytest

from guiju.core.errors import GuijuError
from guiju.labelling.containers.tests.films import ADOBE, bare, box, inserted, walk
from guiju.labelling.containers.tests.samples import (
    INNER,
    LABEL,
    OLD,
    OTHER,
    WRAPPED,
    decoded,
    description,
    escaped,
    exif_block,
    packet,
    packets,
    run,
    sample,
    tool,
)
from guiju.labelling.files import first_label, inspect, read, write
from guiju.labelling.values import Damaged, FileLabel

HEIC = sample("plain.heic")
AVIF = sample("plain.avif")
SEQUENCE = sample("sequence.avif")
PLAIN = packet("")
TIGHT = PLAIN.replace(b" " * 200, b"")
LABELLED = packet(description(f"<q:AIGC>{INNER}</q:AIGC>"))


def part(data: bytes, kind: bytes) -> bytes:
    """Return the content of the first box of this kind."""
    return next(data[body:stop] for path, body, stop in walk(data) if path[-1] == kind)


def picture(
    *items: tuple[bytes, bytes],
    version: int = 1,
    sizes: int = 0x4400,
    base: int = 0,
    pieces: int = 1,
    in_idat: bool = False,
    order: str = "meta first",
    references: bytes = b"",
    entry: bytes | None = None,
    free: int = -1,
) -> bytes:
    """Return the plain HEIC put together anew with these items (kind, content) beside its picture.

    `sizes` are those of `iloc`; `base` is taken off every offset and stands in the item's base (all of it where offsets have no bytes); the first item lies in so many pieces.
    """
    image = HEIC[417:644]
    offset_bytes, length_bytes, base_bytes, index_bytes = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15, sizes & 15
    numbers = 4 if version == 2 else 2
    entries = [box(b"infe", struct.pack(">BxxxHH4s", 2, 1, 0, b"hvc1"), b"\0")]
    for number, (kind, _) in enumerate(items, 2):
        media = b"\0application/rdf+xml\0" if kind == b"mime" else b"\0"
        entries.append(entry or box(b"infe", struct.pack(">BxxxHH4s", 2, number, 0, kind), media))
    iinf = box(b"iinf", struct.pack(">IH", 0, len(entries)), *entries)
    contents = [image, *(content for _, content in items)]
    idat = box(b"idat", *contents[1:]) if in_idat else b""

    def iloc(at: int) -> bytes:
        parts = [struct.pack(">IH", version << 24, sizes), len(contents).to_bytes(numbers, "big")]
        for number, content in enumerate(contents, 1):
            inside = in_idat and number > 1
            start = (
                sum(len(each) for each in contents[1 : number - 1]) if inside else at + sum(len(each) for each in contents[: number - 1])
            )
            own = 0 if inside or not base_bytes else min(base, at) if offset_bytes else start
            count = pieces if number == 2 else 1
            cuts = [len(content) * each // count for each in range(count + 1)]
            parts.append(number.to_bytes(numbers, "big"))
            parts.append(struct.pack(">H", 1 if inside else 0) if version else b"")
            parts += [bytes(2), own.to_bytes(base_bytes, "big"), struct.pack(">H", count)]
            for begin, end in zip(cuts, cuts[1:], strict=False):
                parts += [bytes(index_bytes if version else 0), (start + begin - own).to_bytes(offset_bytes, "big")]
                parts.append((end - begin).to_bytes(length_bytes, "big"))
        return box(b"iloc", *parts)

    def meta(at: int) -> bytes:
        hdlr = box(b"hdlr", bytes(8), b"pict", bytes(13))
        return box(
            b"meta",
            bytes(4),
            hdlr,
            box(b"pitm", struct.pack(">IH", 0, 1)),
            iloc(at),
            iinf,
            box(b"iprp", part(HEIC, b"iprp")),
            idat,
            references,
        )

    front = HEIC[:28]
    room = box(b"free", bytes(free)) if free >= 0 else b""
    samples = box(b"mdat", image, *(() if in_idat else contents[1:]))
    if order == "meta first":
        return front + meta(len(front) + len(meta(0)) + len(room) + 8) + room + samples
    return front + samples + meta(len(front) + 8)


def same_pictures(before: bytes, after: bytes, tmp_path: Path) -> bool:
    (tmp_path / "before").write_bytes(before)
    (tmp_path / "after").write_bytes(after)
    return decoded(tmp_path / "before") == decoded(tmp_path / "after")


FORMS = {
    "iloc 0": picture(version=0),
    "iloc 1": picture(),
    "iloc 2": picture(version=2),
    "base and offset": picture(sizes=0x4440, base=100),
    "base alone": picture(sizes=0x0440),
    "long fields": picture(sizes=0x8888, base=50),
    "an index": picture(sizes=0x4404),
    "meta last": picture(order="meta last"),
    "free space": picture(free=700),
    "references of others": picture((b"abcd", b"content"), references=box(b"iref", bytes(4), box(b"cdsc", struct.pack(">HHH", 2, 1, 1)))),
    "long references": picture((b"abcd", b"content"), references=box(b"iref", b"\1\0\0\0", box(b"cdsc", struct.pack(">IHI", 2, 1, 1)))),
    "samples up to the end": HEIC[:409] + bytes(4) + HEIC[413:],
    "AVIF": AVIF,
    "a packet with room": picture((b"mime", packet(description("<q:x>" + "y" * 900 + "</q:x>")).replace(b" " * 200, b" " * 900))),
    "a packet without room": picture((b"mime", TIGHT)),
    "a packet without room, in pieces": picture((b"mime", TIGHT), pieces=3),
    "a packet without room, in idat": picture((b"mime", TIGHT), in_idat=True),
    "a packet with a label": picture((b"mime", LABELLED)),
    "a packet with a label, wrapped": picture((b"mime", packet(description(f"<q:AIGC>{WRAPPED}</q:AIGC>")))),
    "a packet with a label in an attribute": picture((b"mime", packet(description(attributes=f' q:AIGC="{escaped(INNER)}"')))),
    "a packet with a label, in pieces": picture((b"mime", LABELLED), pieces=4),
    "a packet with a label, in idat": picture((b"mime", LABELLED), in_idat=True),
    "a packet without room and a base": picture((b"mime", TIGHT), sizes=0x0440),
    "EXIF": picture((b"Exif", bytes(4) + exif_block(b"ASCII\0\0\0" + WRAPPED.encode()))),
    "EXIF behind its mark": picture((b"Exif", b"\0\0\0\6Exif\0\0" + exif_block(b"ASCII\0\0\0" + WRAPPED.encode(), ">"))),
    "Adobe's box": HEIC + box(b"uuid", ADOBE, LABELLED),
}


@pytest.mark.parametrize("name", FORMS)
def test_the_label_goes_into_the_packet_and_the_pictures_stay(name: str, tmp_path: Path) -> None:
    data = FORMS[name]
    had = b"MiniMax" in data
    assert read(data) == (OLD if had else None)
    written = write(data, first_label(OTHER, "second") if had else LABEL)
    seen = inspect(written)
    assert [place.channel for place in seen.places] == ["heif:XMP"]
    assert isinstance(seen.label, FileLabel)
    assert seen.label.content_producer == ("MiniMax" if had else LABEL.content_producer)
    assert (b'dc:format="image/png"' in written) == (b'dc:format="image/png"' in data)
    assert (b"abc\0" in written) == (b"abc\0" in data)
    assert same_pictures(data, written, tmp_path)
    again = write(written, first_label("001191110102MACQD9K6401000A"[:22] + "10000", "third"))
    assert len(inspect(again).places) == 1
    assert same_pictures(data, again, tmp_path)


def test_an_independent_reader_sees_the_label_in_every_form(tmp_path: Path) -> None:
    for name, data in FORMS.items():
        (tmp_path / f"{name}.heic").write_bytes(write(data, first_label(OTHER, "second")))
    shown = json.loads(run(tool("exiftool"), "-j", "-a", "-G1", "-api", "struct=0", str(tmp_path)))
    assert len(shown) == len(FORMS)
    for each in shown:
        if not each["SourceFile"].endswith("a packet with a label, in idat.heic"):  # which exiftool says that it cannot read
            assert any(f'"ContentPropagator":"{OTHER}"' in str(value) for value in each.values()), each["SourceFile"]
            assert "ExifTool:Warning" not in each


def test_room_in_a_packet_and_free_space_are_used_and_nothing_moves() -> None:
    roomy = FORMS["a packet with room"]
    written = write(roomy, LABEL)
    assert len(written) == len(roomy)
    changed = [at for at in range(len(roomy)) if roomy[at] != written[at]]
    assert roomy.index(b"<?xpacket") <= changed[0]
    assert changed[-1] < len(roomy)
    free = FORMS["free space"]
    assert len(write(free, LABEL)) < len(write(FORMS["iloc 1"], LABEL)) + 700
    assert part(write(free, LABEL), b"mdat") == part(free, b"mdat")
    assert write(free, LABEL).index(part(free, b"mdat")) == free.index(part(free, b"mdat"))


def test_an_old_packet_that_moved_leaves_no_text_behind() -> None:
    written = write(FORMS["a packet without room"], LABEL)
    assert written.count(b"<x:xmpmeta") == 1
    assert bytes(len(TIGHT)) in written


def test_a_sequence_keeps_its_samples_and_labels_in_its_film_data_go(tmp_path: Path) -> None:
    film = inserted(_spare(SEQUENCE), [b"moov"], box(b"udta", bare()))
    for data in (SEQUENCE, film):
        written = write(data, LABEL if data is SEQUENCE else first_label(OTHER, "second"))
        assert [place.channel for place in inspect(written).places] == ["heif:XMP"]
        (tmp_path / "a").write_bytes(data)
        (tmp_path / "b").write_bytes(written)
        assert packets(tmp_path / "a") == packets(tmp_path / "b")
    assert read(film) == OLD
    assert b"a title" in write(film, LABEL)
    alone = box(b"ftyp", b"msf1", bytes(4), b"hevc") + sample("plain.mp4")[28:]
    assert [place.channel for place in inspect(write(alone, LABEL)).places] == ["heif:moov.udta.meta AIGC"]


def _spare(data: bytes) -> bytes:
    """Return the sequence with its head behind its samples."""
    spans = {path[0]: (body - 8, stop) for path, body, stop in walk(data) if len(path) == 1}
    (start, stop), length = spans[b"moov"], spans[b"moov"][1] - spans[b"moov"][0]
    head = bytearray(data[:start] + data[stop:] + data[start:stop])
    for path, body, _ in walk(bytes(head)):
        if path[-1] == b"stco":
            (count,) = struct.unpack_from(">I", head, body + 4)
            for place in range(body + 8, body + 8 + 4 * count, 4):
                struct.pack_into(">I", head, place, struct.unpack_from(">I", head, place)[0] - length)
        elif path[-1] == b"iloc":
            struct.pack_into(">I", head, body + 14, struct.unpack_from(">I", head, body + 14)[0] - length)
    return bytes(head)


def test_c2pa_is_a_trace() -> None:
    manifest = box(b"uuid", bytes.fromhex("d8fec3d61b0e483c92975828877ec481"), bytes(40))
    for data in (HEIC + manifest, sample("plain.mp4") + manifest):
        assert inspect(data).traces == ["c2pa"]
        assert inspect(data).state == "suspected"


def _iloc(data: bytes, at: int, new: bytes) -> bytes:
    """Return the picture with bytes changed at this offset of the content of its `iloc`."""
    place = data.index(b"iloc") + 4 + at
    return data[:place] + new + data[place + len(new) :]


ONE = picture((b"mime", LABELLED))
HOSTILE = {
    "no picture": box(b"ftyp", b"heic", bytes(4), b"mif1") + box(b"mdat", bytes(9)),
    "a minimised picture": box(b"ftyp", b"mif3", b"avif", b"mif3") + box(b"mini", bytes(90)),
    "an item beyond the end": _iloc(ONE, 16, b"\x7f\xff\xff\xff"),
    "more places than there are": _iloc(ONE, 6, b"\xff\xff"),
    "fields of three bytes": _iloc(ONE, 4, b"\x33"),
    "places of an unknown form": _iloc(ONE, 0, b"\7"),
    "fewer items than are said": ONE.replace(b"iinf" + bytes(4) + b"\0\2", b"iinf" + bytes(4) + b"\0\3"),
    "more items than are said": ONE.replace(b"iinf" + bytes(4) + b"\0\2", b"iinf" + bytes(4) + b"\0\1"),
    "a packet in another item": _iloc(ONE, 26, b"\0\2"),
    "a packet in another file": _iloc(ONE, 28, b"\0\1"),
    "a packet in no place": _iloc(ONE, 24, b"\0\7"),
    "a packet that is packed": picture(
        (b"mime", LABELLED), entry=box(b"infe", struct.pack(">BxxxHH4s", 2, 2, 0, b"mime"), b"\0application/rdf+xml\0deflate\0")
    ),
    "a packet that is protected": picture(
        (b"mime", LABELLED), entry=box(b"infe", struct.pack(">BxxxHH4s", 2, 2, 1, b"mime"), b"\0application/rdf+xml\0\0")
    ),
    "a packet twice": _iloc(picture((b"mime", LABELLED), (b"mime", LABELLED)), 40, b"\0\2"),
    "two lists of places": inserted(picture(order="meta last"), [b"meta"], box(b"iloc", bytes(8))),
    "an entry that is cut": picture((b"mime", LABELLED), entry=box(b"infe", b"\2\0\0")),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_pictures_are_told(name: str) -> None:
    found = read(HOSTILE[name])
    assert isinstance(found, Damaged)
    with pytest.raises(GuijuError) as told:
        write(HOSTILE[name], LABEL)
    assert told.value.code.code == "LABEL-DAMAGED"


def test_a_packet_that_shares_its_bytes_with_the_picture_or_with_a_head_is_not_written_over() -> None:
    """A hostile address must not lead a write into a picture's data or a box's head; reading is harmless."""
    at = ONE.index(b"<?xpacket")
    (image,) = struct.unpack_from(">I", ONE, ONE.index(b"iloc") + 4 + 16)
    sharing = _iloc(ONE, 16, struct.pack(">II", image, at + 20 - image))
    assert read(sharing) == OLD
    with pytest.raises(GuijuError) as told:
        write(sharing, first_label(OTHER, "second"))
    assert told.value.code.code == "LABEL-DAMAGED"
    outside = box(b"free", LABELLED)
    moved = picture((b"mime", LABELLED), order="meta last") + outside
    astray = _iloc(moved, 32, struct.pack(">I", len(moved) - len(LABELLED)))
    assert read(astray) == OLD
    with pytest.raises(GuijuError):
        write(astray, first_label(OTHER, "second"))


def test_two_items_of_exif_in_one_place_are_read_and_not_written_over() -> None:
    block = bytes(4) + exif_block(b"ASCII\0\0\0" + WRAPPED.encode())
    two = picture((b"Exif", block), (b"Exif", block))
    (first,) = struct.unpack_from(">I", two, two.index(b"iloc") + 4 + 32)
    with pytest.raises(GuijuError) as told:
        write(_iloc(two, 48, struct.pack(">I", first)), first_label(OTHER, "second"))
    assert told.value.code.code == "LABEL-DAMAGED"
    assert len(inspect(write(two, first_label(OTHER, "second"))).places) == 1


def test_many_items_in_one_place_and_many_boxes_take_no_long() -> None:
    """A hostile file lets many items lie in one packet, or has as many boxes as fit: told soon, by time of the processor."""
    wide = packet(description(f"<q:AIGC>{INNER}</q:AIGC>") + " " * 60_000)
    many = picture(*[(b"mime", wide if not number else b"") for number in range(3_000)])
    at, (where,) = many.index(b"iloc") + 4, struct.unpack_from(">I", many, many.index(b"iloc") + 4 + 32)
    data = bytearray(many)
    for number in range(3_000):
        struct.pack_into(">II", data, at + 32 + 16 * number, where, len(wide))
    started = time.process_time()
    assert isinstance(read(bytes(data)), Damaged)
    few = picture(*[(b"mime", wide if not number else b"") for number in range(200)])
    at, (where,) = few.index(b"iloc") + 4, struct.unpack_from(">I", few, few.index(b"iloc") + 4 + 32)
    again = bytearray(few)
    for number in range(200):
        struct.pack_into(">II", again, at + 32 + 16 * number, where, len(wide))
    found = read(bytes(again))
    assert isinstance(found, Damaged)
    assert "longer than what is examined" in found.reason
    assert isinstance(read(sample("plain.mp4") + box(b"wide") * 1_000_001), Damaged)
    free = inserted(sample("plain.mp4"), [b"moov", b"udta"], box(b"skip") * 20_000 + box(b"aigc", INNER.encode()) * 900)
    assert len(inspect(write(free, first_label(OTHER, "second"))).places) == 1
    assert time.process_time() - started < 30


def test_items_that_reach_to_the_end_of_the_file_take_no_label_behind_them() -> None:
    open_one = _iloc(FORMS["iloc 1"], 20, bytes(4))
    with pytest.raises(GuijuError) as told:
        write(open_one, LABEL)
    assert told.value.code.code == "LABEL-NO-ROOM"
