"""TIFF and SVG: nothing moves in the one, every other byte of text stays in the other; what leads in circles or declares entities is told."""

import io
import os
import struct
import time
import zlib
from pathlib import Path

import pytest
from PIL import Image

from guiju.core.errors import GuijuError
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
    exiftool,
    memory_to_label,
    packet,
    sample,
)
from guiju.labelling.files import first_label, inspect, read, write, write_file
from guiju.labelling.values import Damaged

TIFF, SVG = sample("plain.tiff"), sample("plain.svg")
PACKET = packet(description(f"<q:AIGC>{INNER}</q:AIGC>"))
PLAIN = packet("")


def tiff(*directories: list[tuple[int, int, bytes | int]], order: str = "<", large: bool = False, circle: int = -1) -> bytes:
    """Return a TIFF of these directories, each with a strip of twelve bytes; values longer than their room stand behind. `circle`: the last leads there."""
    room, place, count = (8, "Q", "Q") if large else (4, "I", "H")
    mark = ("II" if order == "<" else "MM").encode()
    head = mark + struct.pack(order + "H", 43 if large else 42) + (struct.pack(order + "HH", 8, 0) if large else b"")
    data = bytearray(head + bytes(room) + b"strip pixels")
    strip, links, starts = len(head) + room, [len(head)], []
    for entries in directories:
        rows = []
        usual = [each for each in ((0x0111, 4, strip), (0x0117, 4, 12)) if each[0] not in {tag for tag, _, _ in entries}]
        for tag, kind, value in sorted([*entries, *usual], key=lambda each: each[0]):
            body = value if isinstance(value, bytes) else struct.pack(order + "I", value)
            items = len(body) // {1: 1, 2: 1, 3: 2, 4: 4, 7: 1, 13: 4, 16: 8}[kind]
            if len(body) > room:
                data += bytes(len(data) % 2)
                where, data = len(data), data + body
                body = struct.pack(order + place, where)
            rows.append(struct.pack(order + "HH" + place, tag, kind, items) + body.ljust(room, b"\0"))
        data += bytes(len(data) % 2)
        starts.append(len(data))
        struct.pack_into(order + place, data, links[-1], len(data))
        data += struct.pack(order + count, len(rows)) + b"".join(rows)
        links.append(len(data))
        data += bytes(room)
    if circle >= 0:
        struct.pack_into(order + place, data, links[-1], starts[circle])
    return bytes(data)


COMMENT = exif_block(b"ASCII\0\0\0" + WRAPPED.encode())[56:]
TIFFS = {
    "packet": tiff([(0x02BC, 7, PACKET)]),
    "packet as bytes": tiff([(0x02BC, 1, PACKET)]),
    "big end first": tiff([(0x010F, 2, b"a maker\0"), (0x02BC, 7, PACKET)], order=">"),
    "large": tiff([(0x02BC, 7, PACKET)], large=True),
    "large, big end first": tiff([(0x02BC, 7, PACKET)], order=">", large=True),
    "without room": tiff([(0x02BC, 7, PACKET.replace(b" " * 200, b""))]),
    "second page": tiff([], [(0x02BC, 7, PACKET)]),
    "first page has a packet of its own": tiff([(0x02BC, 7, PLAIN)], [(0x02BC, 7, PACKET)]),
    "description": tiff([(0x010E, 2, WRAPPED.encode() + b"\0")]),
    "description of the second page": tiff([(0x02BC, 7, PLAIN)], [(0x010E, 2, WRAPPED.encode() + b"\0")], order=">"),
}


def pixels(data: bytes) -> list[bytes]:
    with Image.open(io.BytesIO(data)) as image:
        found = []
        for index in range(getattr(image, "n_frames", 1)):
            image.seek(index)
            found.append(image.tobytes())
        return found


@pytest.mark.parametrize("name", TIFFS)
def test_labels_in_tiff_are_read_and_one_is_left(name: str) -> None:
    data = TIFFS[name]
    assert read(data) == OLD
    written = write(data, first_label(OTHER, "second"))
    seen = inspect(written)
    assert [each.channel for each in seen.places] == ["tiff:XMP"]
    assert seen.label
    assert (seen.label.content_producer, seen.label.content_propagator) == ("MiniMax", OTHER)
    assert written.count(INNER.encode()[:60]) == 1, "the old label is still there"
    assert (b"a maker" in written) == (b"a maker" in data)
    assert written.count(b'dc:format="image/png"') >= data.count(b'dc:format="image/png"')
    assert len(write(written, first_label(OTHER, "third"))) == len(written)


def test_a_packet_that_two_pages_share_stays_the_other_pages() -> None:
    shared = PLAIN.replace(b" " * 200, b" " * 900)
    data = tiff([(0x02BC, 7, shared)], [(0x02BC, 13, struct.pack("<I", 0))])
    where = data.index(shared)
    at = data.rindex(struct.pack("<H", 0x02BC))
    data = data[:at] + struct.pack("<HHII", 0x02BC, 7, len(shared), where) + data[at + 12 :]
    written = write(data, LABEL)
    assert len(inspect(written).places) == 1
    assert written[where : where + len(shared)] == shared


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
def test_what_a_tiff_holds_stays_where_it_is(order: str, large: bool) -> None:
    data = tiff([(0x010F, 2, b"a maker\0"), (0x8825, 4, b"\1\0\0\0")], [(0x010F, 2, b"another\0")], order=order, large=large)
    written = write(data, LABEL)
    head = 16 if large else 8
    assert written[head : len(data)] == data[head:]
    count, entry, place = ("Q", 20, "Q") if large else ("H", 12, "I")
    (first,) = struct.unpack_from(order + place, written, 8 if large else 4)
    (many,) = struct.unpack_from(order + count, written, first)
    start = first + struct.calcsize(count)
    tags = [struct.unpack_from(order + "H", written, start + entry * index)[0] for index in range(many)]
    assert first % 2 == 0
    assert tags == [0x010F, 0x0111, 0x0117, 0x02BC, 0x8825]
    assert len(write(written, first_label(OTHER, "second"))) == len(written)


def test_pages_and_pixels_are_the_same_for_pillow() -> None:
    picture = Image.frombytes("RGB", (40, 30), bytes(value % 251 for value in range(3600)))
    for words in ({}, {"compression": "tiff_lzw"}, {"compression": "tiff_deflate"}, {"compression": "jpeg"}, {"big_tiff": True}):
        out = io.BytesIO()
        picture.save(out, "TIFF", save_all=True, append_images=[picture.rotate(90), picture.convert("L")], **words)
        data = out.getvalue()
        written = write(data, LABEL)
        assert pixels(written) == pixels(data)
        assert read(written) == LABEL


@pytest.mark.parametrize(
    "data",
    [
        tiff([], [], circle=0),
        tiff([], [], circle=1),
        tiff([(0x0111, 4, 4_000_000)]),
        tiff([(0x02BC, 7, struct.pack("<I", 0))]).replace(struct.pack("<HHI", 0x02BC, 7, 4), struct.pack("<HHI", 0x02BC, 7, 1 << 30)),
        tiff([(0x02BC, 7, b"<x>AIGC")]),
        tiff([(0x014A, 4, b"\xff\xff\xff\0")]),
        tiff([(0x014A, 4, b"\2\0\0\0")]),
        tiff([], large=True)[:4] + b"\4" + tiff([], large=True)[5:],
        b"II*\0\xff\xff\xff\xff" + bytes(40),
        b"II*\0\0\0\0\0" + bytes(40),
        b"II*\0\x08\0\0\0\0\0" + bytes(40),
        TIFF[: len(TIFF) // 2],
    ],
    ids=lambda data: f"{len(data)}_{zlib.crc32(data)}",
)
def test_hostile_tiff_is_told(data: bytes) -> None:
    started = time.process_time()
    assert isinstance(read(data), Damaged)
    with pytest.raises(GuijuError) as told:
        write(data, LABEL)
    assert told.value.code.code == "LABEL-DAMAGED"
    assert time.process_time() - started < 1


def test_directories_below_that_lead_back_are_read_once() -> None:
    data = tiff([(0x014A, 4, b"\x14\0\0\0")])
    assert data[20:22] == b"\3\0"
    assert read(data) is None


def test_a_large_tiff_is_labelled_in_little_memory_and_over_four_gigabytes_only_in_the_large_form(tmp_path: Path) -> None:
    for large, length in ((False, 4_000_000_000), (True, 5_000_000_000), (False, (1 << 32) - 200)):
        data = tiff([(0x010F, 2, b"a maker\0")], large=large)
        with (tmp_path / "big").open("wb") as file:
            file.write(data)
            os.ftruncate(file.fileno(), length)
        if length == (1 << 32) - 200:
            with pytest.raises(GuijuError) as told:
                write_file(tmp_path / "big", tmp_path / "out", LABEL)
            assert told.value.code.code == "LABEL-NO-ROOM"
            continue
        assert memory_to_label(tmp_path / "big", tmp_path / "out") < 16 * 1024


SPACES = 'xmlns="http://www.w3.org/2000/svg" xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:q="http://www.tc260.org.cn/ns/AIGC/1.0/"'
LABELLED = f'<rdf:RDF><rdf:Description rdf:about=""><q:AIGC>{INNER}</q:AIGC></rdf:Description></rdf:RDF>'


def svg(*inside: str, head: str = "", encoding: str = "utf-8") -> bytes:
    return f"{head}<svg {SPACES} width='9' height='9'><title>画 a title</title>{''.join(inside)}<path d='M0 0h9'/></svg>\n".encode(encoding)


PUBLIC = '<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">\n'
SVGS = {
    "element": svg(f"<metadata>{LABELLED}</metadata>"),
    "attribute": svg(f'<metadata><rdf:RDF><rdf:Description rdf:about="" q:AIGC="{escaped(INNER)}"/></rdf:RDF></metadata>'),
    "a whole packet": svg(f"<metadata>{PACKET.decode()}</metadata>"),
    "within a group": svg("<metadata>mine</metadata>", f"<g><metadata>{LABELLED}</metadata></g>"),
    "behind a document type": svg(f"<metadata>{LABELLED}</metadata>", head=PUBLIC),
    "UTF-16": svg(f"<metadata>{LABELLED}</metadata>", encoding="utf-16"),
    "UTF-16, big end first": "\ufeff".encode("utf-16-be") + svg(f"<metadata>{LABELLED}</metadata>", encoding="utf-16-be"),
    "Latin-1": svg(f"<metadata>{LABELLED}é</metadata>", head='<?xml version="1.0" encoding="ISO-8859-1"?>').decode().replace("画", "é").encode("latin-1"),
    "UTF-8 with a mark": b"\xef\xbb\xbf" + svg(f"<metadata>{LABELLED}</metadata>", head='<?xml version="1.0"?><!-- <svg> -->'),
}  # fmt: skip


@pytest.mark.parametrize("name", SVGS)
def test_labels_in_svg_are_read_and_one_is_left(name: str) -> None:
    data = SVGS[name]
    assert read(data) == OLD
    written = write(data, first_label(OTHER, "second"))
    seen = inspect(written)
    assert len(seen.places) == 1
    assert seen.label
    assert (seen.label.content_producer, seen.label.content_propagator) == ("MiniMax", OTHER)
    wide = name.startswith("UTF-16")
    mark = "<metadata".encode("utf-16-be" if "big" in name else "utf-16-le") if wide else b"<metadata"
    assert written[: data.index(mark)] == data[: data.index(mark)]
    assert written[-30:] == data[-30:]


@pytest.mark.parametrize(
    "data",
    [
        svg(),
        svg("<metadata/>"),
        svg("<metadata />"),
        svg("<metadata id='>'/>"),
        svg("<metadata></metadata>"),
        svg("<metadata>mine</metadata>"),
        svg("<metadata><rdf:RDF/></metadata>"),
        svg("<metadata><rdf:RDF></rdf:RDF></metadata>"),
        svg("<s:metadata xmlns:s='http://www.w3.org/2000/svg'/>"),
        svg("<metadata xmlns:a='&lt;&amp;\"'><a:b xmlns:a='a'/></metadata>"),
        svg(head=PUBLIC),
        svg("<metadata/>", encoding="utf-16"),
        svg(encoding="utf-16"),
        svg("<g><metadata>another's</metadata></g>"),
        svg("<!-- </svg> --><![CDATA[</svg>]]>"),
        b'<s:svg xmlns:s="http://www.w3.org/2000/svg" title="/>"/>',
        b'<svg xmlns="http://www.w3.org/2000/svg" />  <!-- end -->',
    ],
)  # fmt: skip
def test_every_other_byte_of_a_drawing_stays(data: bytes) -> None:
    assert read(data) is None
    written = write(data, LABEL)
    assert read(written) == LABEL
    start = next(index for index in range(len(data)) if written[index] != data[index])
    stop = next(index for index in range(1, len(data)) if written[-index] != data[-index])
    changed = data[start : len(data) - stop + 1].replace(b"\0", b"")
    assert len(changed) <= len(b"/></metadata>"), changed


@pytest.mark.parametrize(
    "data",
    [
        svg(head='<!DOCTYPE svg [<!ENTITY a "b">]>'),
        svg(head='<!DOCTYPE svg [<!ENTITY a "b"><!ENTITY c "&a;&a;">]>'),
        svg("&a;", head=PUBLIC),
        svg("<g>"),
        svg("<g>" * 2000 + "</g>" * 2000),
        svg(head='<?xml version="1.0" encoding="gb2312"?>'),
        svg(f"<image href='data:{'x' * 9_000_000}'/>"),
        svg(f"<metadata>{' ' * 5_000_000}</metadata>"),
        svg(f"<metadata>{LABELLED}</metadata>")[:-9],
        b"<svg/>",
        b'<svg xmlns="urn:x"><metadata/></svg>',
        svg() + b"junk",
    ],
    ids=lambda data: f"{len(data)}_{zlib.crc32(data)}",
)
def test_hostile_drawings_are_told(data: bytes) -> None:
    started = time.process_time()
    assert isinstance(read(data), Damaged)
    with pytest.raises(GuijuError) as told:
        write(data, LABEL)
    assert told.value.code.code == "LABEL-DAMAGED"
    assert time.process_time() - started < 2


def test_a_large_drawing_is_labelled_in_little_memory(tmp_path: Path) -> None:
    """80 MB of paths and a picture of 6 MB within the text."""
    with (tmp_path / "big").open("wb") as file:
        file.write(svg()[:-7] + b"<image href='data:image/png;base64," + b"A" * 6_000_000 + b"'/>")
        for _ in range(80):
            file.write(b"<path d='" + b"M0 0h9 " * 142_000 + b"'/>")
        file.write(b"</svg>")
    grown = memory_to_label(tmp_path / "big", tmp_path / "out")
    assert grown < 64 * 1024, f"{grown} KiB"


def test_what_only_looks_like_a_drawing_is_not_one(tmp_path: Path) -> None:
    for data in (b"<html><svg xmlns='http://www.w3.org/2000/svg'/></html>", b"<!-- <svg> -->", b"<svgs/>", zlib.compress(SVG)):
        assert inspect(data).container != "SVG"
    for name, data in (("a.svg", svg(head='<?xml version="1.0"?>' + PUBLIC)), ("b.svg", svg("<metadata><rdf:RDF/></metadata>"))):
        (tmp_path / name).write_bytes(data)
        (tmp_path / f"l{name}").write_bytes(write(data, LABEL))
        assert LABEL.produce_id in exiftool(tmp_path / f"l{name}")
        assert decoded(tmp_path / f"l{name}") == decoded(tmp_path / name)
