"""Pictures: labels as others write them are read, and after a write there is one label, in the guide's place."""

import io
import json
import struct
import time
import zlib
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from guiju.core.errors import GuijuError
from guiju.labelling.containers import CONTAINERS
from guiju.labelling.containers.source import Edit
from guiju.labelling.containers.tests.samples import (
    INNER,
    LABEL,
    OLD,
    OTHER,
    WRAPPED,
    description,
    escaped,
    exif_block,
    jpeg_with,
    packet,
    png_with,
    run,
    sample,
    tool,
)
from guiju.labelling.files import first_label, inspect, read, write, write_file
from guiju.labelling.values import Damaged, FileLabel

XMP = b"XML:com.adobe.xmp" + bytes(5)
APP1 = b"http://ns.adobe.com/xap/1.0/\0"
PROPERTIES = (
    "<q:Label>1</q:Label><q:ContentProducer>MiniMax</q:ContentProducer><q:ProduceID>7f3a</q:ProduceID><q:ReservedCode1/>"
    "<q:ContentPropagator>MiniMax</q:ContentPropagator><q:PropagateID>7f3a</q:PropagateID><q:ReservedCode2></q:ReservedCode2>"
)
PACKETS = {
    "raw_quotes": packet(description(f"<q:AIGC>{INNER}</q:AIGC>")),
    "escaped_quotes": packet(description(f"<q:AIGC>{escaped(INNER)}</q:AIGC>")),
    "wrapped": packet(description(f"<q:AIGC>\n {WRAPPED}\n</q:AIGC>")),
    "attribute": packet(description(attributes=f' q:AIGC="{escaped(INNER)}"')),
    "attribute_single_quotes": packet(description(attributes=f" q:AIGC='{INNER}'")),
    "attribute_of_the_element": packet(description(f'<q:AIGC rdf:value="{escaped(INNER)}"/>')),
    "seven_properties": packet(description(PROPERTIES)),
    "seven_properties_the_last_empty": packet(description(PROPERTIES.replace("<q:ReservedCode2></q:ReservedCode2>", "<q:ReservedCode2/>"))),
}
WEBP = sample("plain.webp")


def webp_with(name: bytes, body: bytes) -> bytes:
    data = write(WEBP, LABEL)
    start = data.index(b"XMP ")
    rest = data[12:start] + name + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)
    return b"RIFF" + struct.pack("<I", len(rest) + 4) + b"WEBP" + rest


def gif_with(text: bytes) -> bytes:
    data = sample("plain.gif")
    return data[:-1] + b"\x21\xff\x0bXMP DataXMP" + text + bytes([1, *range(255, -1, -1), 0]) + data[-1:]


FILES = {
    **{f"png {name}": png_with((b"iTXt", XMP + text)) for name, text in PACKETS.items()},
    **{f"jpeg {name}": jpeg_with((0xE1, APP1 + text)) for name, text in PACKETS.items()},
    **{f"webp {name}": webp_with(b"XMP ", text) for name, text in PACKETS.items()},
    **{f"gif {name}": gif_with(text) for name, text in PACKETS.items()},
    "png compressed iTXt": png_with((b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(PACKETS["wrapped"]))),
    "png tEXt inner": png_with((b"tEXt", b"AIGC\0" + INNER.encode())),
    "png tEXt wrapped": png_with((b"tEXt", b"AIGC\0" + WRAPPED.encode())),
    "png zTXt": png_with((b"zTXt", b"AIGC\0\0" + zlib.compress(WRAPPED.encode()))),
    "png iTXt AIGC": png_with((b"iTXt", b"AIGC" + bytes(5) + INNER.encode())),
    "png eXIf": png_with((b"eXIf", exif_block(b"ASCII\0\0\0" + WRAPPED.encode()))),
    "jpeg exif ASCII": jpeg_with((0xE1, b"Exif\0\0" + exif_block(b"ASCII\0\0\0" + WRAPPED.encode()))),
    "jpeg exif big": jpeg_with((0xE1, b"Exif\0\0" + exif_block(b"ASCII\0\0\0" + WRAPPED.encode(), ">"))),
    "jpeg exif UNICODE": jpeg_with((0xE1, b"Exif\0\0" + exif_block(b"UNICODE\0" + WRAPPED.encode("utf-16-le")))),
    "webp exif": webp_with(b"EXIF", exif_block(b"ASCII\0\0\0" + WRAPPED.encode())),
    "jpeg bare": jpeg_with((0xEB, b"AIGC" + INNER.encode())),
    "jpeg COM": jpeg_with((0xFE, WRAPPED.encode())),
}


def test_an_empty_place_in_front_of_an_end_tag_is_filled_and_the_tag_stays() -> None:
    written = write(png_with((b"iTXt", XMP + packet(description("<q:AIGC/>")))), LABEL)
    assert read(written) == LABEL
    assert b"</rdf:Description>" in written


@pytest.mark.parametrize("name", FILES)
def test_labels_as_others_write_them_are_read(name: str) -> None:
    assert read(FILES[name]) == OLD
    assert inspect(FILES[name]).state == "declared"


@pytest.mark.parametrize("name", FILES)
def test_after_a_write_there_is_one_label_and_it_keeps_the_producer(name: str) -> None:
    written = write(FILES[name], first_label(OTHER, "second"))
    seen = inspect(written)
    assert len(seen.places) == 1
    assert "XMP" in seen.places[0].channel
    assert seen.label
    assert (seen.label.content_producer, seen.label.produce_id, seen.label.content_propagator) == ("MiniMax", "7f3a", OTHER)
    if "exif" in name.lower():
        assert b"abc\0" in written  # the maker that stood beside the comment
    if name.partition(" ")[2] in PACKETS:
        assert b'dc:format="image/png"' in written  # somebody else's property


@pytest.mark.parametrize("name", ["png", "jpeg", "webp", "gif"])
def test_two_labels_are_one_too_many_and_a_write_leaves_one(name: str) -> None:
    body = packet(description(f"<q:AIGC>{INNER}</q:AIGC>") + description(f"<q:AIGC>{INNER}</q:AIGC>"))
    make = {
        "png": lambda: png_with((b"iTXt", XMP + body)),
        "jpeg": lambda: jpeg_with((0xE1, APP1 + body)),
        "webp": lambda: webp_with(b"XMP ", body),
        "gif": lambda: gif_with(body),
    }
    data = make[name]()
    assert inspect(data).verdict == "noncompliant"
    assert inspect(data, strict=False).verdict == "compliant"
    assert inspect(write(data, LABEL)).verdict == "compliant"


def test_two_labels_that_disagree_are_not_chosen_between() -> None:
    other = INNER.replace("7f3a", "8888")
    data = png_with((b"iTXt", XMP + PACKETS["raw_quotes"]), (b"tEXt", b"AIGC\0" + other.encode()))
    assert isinstance(read(data), Damaged)
    seen = inspect(data, strict=False)
    assert (seen.verdict, seen.state, seen.label) == ("noncompliant", "suspected", None)


OTHERS = {
    "two that disagree": png_with((b"tEXt", b"AIGC\0" + INNER.encode()), (b"tEXt", b"AIGC\0" + INNER.replace("7f3a", "8").encode())),
    "one and one that is none": png_with((b"tEXt", b"AIGC\0" + INNER.encode()), (b"tEXt", b"AIGC\0AI")),
    "text that is none": png_with((b"tEXt", b"AIGC\0made by a machine")),
    "a value of its own": png_with((b"tEXt", b"AIGC\0" + INNER.replace('"Label":"1"', '"Label":"AIGC"').encode())),
    "no number": png_with((b"tEXt", b"AIGC\0" + INNER.replace('"ProduceID":"7f3a"', '"ProduceID":""').encode())),
    "a key misspelt": png_with((b"tEXt", b"AIGC\0" + INNER.replace("ReservedCode1", "ReserveCode1").encode())),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_another_wrote_and_cannot_be_kept_is_not_taken_away_unasked(name: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(OTHERS[name])
    for wrong in (lambda: write(OTHERS[name], LABEL), lambda: write_file(tmp_path / "a", tmp_path / "b", LABEL)):
        with pytest.raises(GuijuError) as told:
            wrong()
        assert told.value.code.code == "LABEL-CONFLICT"
        assert "第十条" in told.value.text("zh")
    assert not (tmp_path / "b").exists()
    replaced = inspect(write(OTHERS[name], LABEL, replace=True))
    assert (replaced.verdict, len(replaced.places)) == ("compliant", 1)


@pytest.mark.parametrize("text", ["", " ", "{}"])
def test_an_empty_place_is_filled(text: str) -> None:
    assert read(write(png_with((b"tEXt", b"AIGC\0" + text.encode()), (b"tEXt", b"AIGC\0")), LABEL)) == LABEL


def test_a_label_in_extended_xmp_is_not_overlooked() -> None:
    def extended(*parts: bytes) -> bytes:
        return jpeg_with(*[(0xE1, b"http://ns.adobe.com/xmp/extension/\0" + b"0" * 32 + bytes(8) + part) for part in parts])

    assert read(extended(b"aigc" * 1000, b"words")) is None
    assert read(write(extended(b"words"), LABEL)) == LABEL
    assert isinstance(read(extended(description(f"<q:AIGC>{INNER}</q:AIGC>").encode())), Damaged)
    whole = b"xxxxx ContentProducer yyyyy"
    for cut in range(1, len(whole)):  # a word may be cut by the end of a segment
        assert isinstance(read(extended(whole[:cut], whole[cut:])), Damaged), cut


BROKEN_EXIF = {
    "no header": b"junk",
    "leads out": b"II*\0\xff\xff\xff\x7f",
    "value leads out": b"II*\0" + struct.pack("<IHHHIII", 8, 1, 0x010E, 2, 5000, 9000, 0),
    "too many entries": b"MM\0*" + struct.pack(">IH", 8, 65535),
}


@pytest.mark.parametrize("name", BROKEN_EXIF)
def test_odd_exif_without_a_word_of_a_label_refuses_no_picture(name: str) -> None:
    block = BROKEN_EXIF[name]
    for odd in (jpeg_with((0xE1, b"Exif\0\0" + block)), png_with((b"eXIf", block))):
        seen = inspect(odd)
        assert (seen.verdict, seen.state) == ("not_found", "none")
        assert any(warning.startswith("exif_broken") for warning in seen.warnings)
        assert read(write(odd, LABEL)) == LABEL
        assert block in write(odd, LABEL)
    for word in (b"AIGC", b"ProduceID", "aigc".encode("utf-16-le"), "ContentProducer".encode("utf-16-be")):
        assert isinstance(read(jpeg_with((0xE1, b"Exif\0\0" + block + word))), Damaged)
        assert isinstance(read(png_with((b"eXIf", block + word))), Damaged)


def test_an_odd_packet_without_a_word_of_a_label_is_passed_over_and_takes_none() -> None:
    body = b"<x:xmpmeta><title>a</x:xmpmeta>"
    for odd in (png_with((b"iTXt", XMP + body)), jpeg_with((0xE1, APP1 + body)), gif_with(body)):
        seen = inspect(odd)
        assert (seen.verdict, seen.state) == ("not_found", "none")
        assert any(warning.startswith("xmp_broken") for warning in seen.warnings)
        with pytest.raises(GuijuError) as told:
            write(odd, LABEL)
        assert told.value.code.code == "LABEL-NO-ROOM"
    for word in (b"q:AIGC", b"http://www.TC260.org.cn/", b"DigitalSourceType"):
        assert isinstance(read(png_with((b"iTXt", XMP + body + word))), Damaged)


@pytest.mark.parametrize(
    ("text", "verdict", "state"),
    [
        ("", "inconclusive", "suspected"),
        ("{}", "inconclusive", "suspected"),
        ("AI", "noncompliant", "suspected"),
        (INNER.replace('"Label":"1"', '"Label":1'), "noncompliant", "declared"),
        (INNER.replace('"Label":"1"', '"Label":"2"'), "compliant", "possible"),
        (INNER.replace('"Label":"1"', '"Label":"3"'), "compliant", "suspected"),
        (INNER.replace('"Label":"1"', '"Label":"AIGC"'), "noncompliant", "suspected"),
        (INNER.replace("ReservedCode1", "ReserveCode1"), "noncompliant", "declared"),
        (INNER.replace('"Label":"1"', '"Label":"1","Label":"1"'), "noncompliant", "suspected"),
        (INNER.replace("}", ',"Timestamp":"1"}'), "compliant", "declared"),
        (INNER.replace("MiniMax", "某公司"), "compliant", "declared"),
        (INNER.replace("MiniMax", ""), "noncompliant", "suspected"),
    ],
)
def test_verdicts_and_states(text: str, verdict: str, state: str) -> None:
    seen = inspect(png_with((b"iTXt", b"AIGC" + bytes(5) + text.encode())))
    assert (seen.verdict, seen.state) == (verdict, state)


def test_states_without_a_label() -> None:
    assert inspect(sample("plain.png"), user_declares=True).state == "possible"
    kind = "<r:DigitalSourceType>http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia</r:DigitalSourceType>"
    body = packet(f'<rdf:Description rdf:about="" xmlns:r="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">{kind}</rdf:Description>')
    seen = inspect(png_with((b"iTXt", XMP + body)))
    assert (seen.verdict, seen.state, seen.traces) == ("not_found", "suspected", ["iptc:DigitalSourceType"])
    assert inspect(jpeg_with((0xEB, b"JP\0\1 jumb c2pa"))).state == "suspected"


@pytest.mark.parametrize(
    "body",
    [
        b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>',
        b"<x><AIGC></x>",
        "<x>a</x>".encode("utf-16"),
        b'<?xml version="1.0" encoding="gb2312"?><x/>',
    ],
)
def test_a_packet_that_cannot_be_read_is_not_no_label(body: bytes) -> None:
    assert isinstance(read(png_with((b"iTXt", XMP + body))), Damaged)
    assert isinstance(read(jpeg_with((0xE1, APP1 + body))), Damaged)


def test_time_and_memory_grow_with_the_file_alone() -> None:
    """Long runs of spaces, long tags, many attributes and many chunks: each once over."""
    space, started = " " * 3_000_000, time.process_time()
    for text in (
        packet(description(attributes=f"{space} q:AIGC='{INNER}'")),
        packet(description(attributes=f" q:AIGC='{INNER}' q:b='{space}'")),
        packet(description(f"{space}<q:AIGC>{INNER}</q:AIGC>")),
        packet(description(attributes="".join(f" q:a{number}='{number}'" for number in range(20_000)) + f" q:AIGC='{INNER}'")),
    ):
        data = png_with((b"iTXt", XMP + text))
        assert read(data) == OLD
        assert len(inspect(write(data, first_label(OTHER, "second"))).places) == 1
    wide = packet("").replace(b"<rdf:RDF", b" " * 64_000 + b"<rdf:RDF", 1)
    assert isinstance(read(write(jpeg_with((0xE1, APP1 + wide)), LABEL)), FileLabel)
    many = png_with()[:33] + (bytes(4) + b"aaAa" + bytes(4)) * 300_000 + png_with()[33:]
    assert read(many) is None
    deep = packet("<a>" * 100_000 + "</a>" * 100_000)
    assert read(png_with((b"iTXt", XMP + deep))) is None
    assert time.process_time() - started < 8


def test_bombs_and_wrong_check_sums_are_refused() -> None:
    bomb = zlib.compress(bytes(40_000_000))
    found = read(png_with((b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + bomb)))
    assert isinstance(found, Damaged)
    assert "grows over what is examined" in found.reason
    found = read(png_with((b"iTXt", XMP + packet(" " * 5_000_000))))
    assert isinstance(found, Damaged)
    assert "more than the 4194304 that are examined" in found.reason
    good = write(sample("plain.png"), LABEL)
    assert isinstance(read(good.replace(LABEL.produce_id.encode(), b"01M8541RFZ2W8VNPF2VCNJVC98")), Damaged)


def test_a_full_xmp_segment_gives_up_padding_only_and_then_says_that_it_is_full() -> None:
    base = packet("")
    filled = base.replace(b" " * 200, b" " * (65_533 - len(APP1) - len(base) + 200))
    labelled = write(jpeg_with((0xE1, APP1 + filled)), LABEL)
    assert read(labelled) == LABEL
    around = '<rdf:Description rdf:about="uuid:1" xmlns:o="o:o"><o:o>{}</o:o></rdf:Description>'
    full = packet(around.format("x" * (65_533 - len(APP1) - len(packet(around.format(""))))))
    with pytest.raises(GuijuError) as told:
        write(jpeg_with((0xE1, APP1 + full)), LABEL)
    assert told.value.code.code == "LABEL-NO-ROOM"


def test_a_keyword_is_a_label_in_any_case() -> None:
    written = write(png_with((b"tEXt", b"aigc\0" + INNER.encode())), first_label(OTHER, "second"))
    assert [each.channel for each in inspect(written).places] == ["png:iTXt XMP"]
    assert isinstance(found := read(written), FileLabel)
    assert found.content_producer == OLD.content_producer


def test_the_pictures_behind_the_first_are_found_where_the_index_says(tmp_path: Path) -> None:
    """A packet behind the index grows, so that what the index tells must follow; Pillow and exiftool look there."""
    first, second = (Image.new("RGB", (32, 32), colour) for colour in ("red", "blue"))
    made = io.BytesIO()
    first.save(made, "MPO", save_all=True, append_images=[second])
    data, text = made.getvalue(), APP1 + packet("")
    at = data.index(b"MPF\0")
    behind = at - 2 + int.from_bytes(data[at - 2 : at], "big")
    packet_behind = data[:behind] + b"\xff\xe1" + struct.pack(">H", len(text) + 2) + text + data[behind:]
    entries = at + 4 + struct.unpack_from("<I", data, data.index(b"\x02\xb0\7\0", at) + 8)[0]
    for base, more in ((data, 0), (packet_behind, len(text) + 4)):
        moved = bytearray(base)
        for place in (entries + 4, entries + 16 + 8):
            struct.pack_into("<I", moved, place, struct.unpack_from("<I", moved, place)[0] + more)
        path = tmp_path / f"{more}.jpg"
        path.write_bytes(write(bytes(moved), LABEL))
        with Image.open(path) as seen:
            seen.seek(1)
            assert seen.getpixel((9, 9)) == Image.open(io.BytesIO(data[data.index(b"\xff\xd8", 9) :])).getpixel((9, 9))
            start = json.loads(run(tool("exiftool"), "-j", "-a", "-G1", "-MPImageStart", "-MPImageLength", str(path)))[0]
        assert start["MPImage1:MPImageLength"] == start["MPImage2:MPImageStart"]


def test_a_profile_in_digits_may_hold_a_label_and_is_not_read() -> None:
    for text, wanted in ((b"a comment", None), (packet(description(f"<q:AIGC>{INNER}</q:AIGC>")), Damaged)):
        raw = b"\nxmp\n%8d\n" % len(text) + text.hex().encode() + b"\n"
        found = read(png_with((b"zTXt", b"Raw profile type xmp\0\0" + zlib.compress(raw))))
        assert found is None if wanted is None else isinstance(found, wanted)


@pytest.mark.parametrize("wrong", [[], [Edit(33, 33, b"x")]], ids=["nothing_written", "file_broken"])
def test_a_write_that_cannot_be_read_back_gives_nothing(wrong: list[Edit], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    container = CONTAINERS[0]
    broken = replace(container, examine=lambda source: replace(container.examine(source), place=lambda _inner: wrong))
    monkeypatch.setattr("guiju.labelling.files.find_container", lambda _source, _hint=None: broken)
    (tmp_path / "a").write_bytes(sample("plain.png"))
    with pytest.raises(GuijuError) as told:
        write(sample("plain.png"), LABEL)
    assert told.value.code.code == "LABEL-READ-BACK"
    with pytest.raises(GuijuError):
        write_file(tmp_path / "a", tmp_path / "b", LABEL)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_packet_whose_rdf_is_empty_has_no_room_and_takes_nothing_outside_of_it() -> None:
    """An end tag follows the empty one: it is not taken for the end of the RDF."""
    empty = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#"/></x:xmpmeta>'
    for data in (png_with((b"iTXt", XMP + empty)), jpeg_with((0xE1, APP1 + empty)), gif_with(empty)):
        assert read(data) is None
        with pytest.raises(GuijuError) as told:
            write(data, LABEL)
        assert told.value.code.code == "LABEL-NO-ROOM"


def test_a_gif_of_the_old_version_becomes_one_that_may_hold_extensions() -> None:
    data = b"GIF87a" + sample("plain.gif")[6:]
    written = write(data, LABEL)
    assert written[:6] == b"GIF89a"
    assert isinstance(read(written), FileLabel)
