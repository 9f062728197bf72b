"""Every form of a label that was met in files (reference: forms that a reader must accept) is read, through the same door as a user's file.

The tables of the containers' tests hold the bytes; this one says which row stands for which form, and what is a label and what is none.
"""

import json
import struct

import msgspec
import pytest

from guiju.labelling.containers.tests import test_mp4, test_pictures, test_sounds, test_streams, test_texts
from guiju.labelling.containers.tests.samples import INNER, OLD, WRAPPED, description, exif_block, jpeg_with, packet, png_with
from guiju.labelling.files import inspect

PICTURES, SOUNDS, FILMS = test_pictures.FILES, test_sounds.FILES, test_mp4.OTHERS
FORMS: dict[str, tuple[bytes, str | None]] = {
    "1 XMP element, raw quotes": (PICTURES["png raw_quotes"], None),
    "1 XMP element, &quot;": (PICTURES["jpeg escaped_quotes"], None),
    "1 XMP attribute": (PICTURES["webp attribute"], None),
    "1 XMP attribute, single quotes, another prefix": (PICTURES["gif attribute_single_quotes"], None),
    "1 seven properties": (PICTURES["png seven_properties"], None),
    "2 PNG tEXt, inner": (PICTURES["png tEXt inner"], None),
    "2 PNG tEXt, wrapped": (PICTURES["png tEXt wrapped"], None),
    "2 PNG zTXt": (PICTURES["png zTXt"], None),
    "2 EXIF UserComment, wrapped": (PICTURES["jpeg exif ASCII"], None),
    "2 EXIF UserComment of WebP": (PICTURES["webp exif"], None),
    "2 bare AIGC{…} in an APP segment": (PICTURES["jpeg bare"], None),
    "2 JPEG COM": (PICTURES["jpeg COM"], None),
    "3 MP4 keys and ilst": (FILMS["guide"], None),
    "3 QuickTime meta under moov": (FILMS["moov.meta of QuickTime"], None),
    "3 list of iTunes without a key": (FILMS["iTunes entry without a key"], None),
    "3 uuid with XMP": (FILMS["XMP in Adobe's box"], None),
    "3 iTunes freeform": (FILMS["iTunes freeform"], None),
    "3 udta aigc": (FILMS["user data aigc"], None),
    "3 comment, wrapped": (FILMS["iTunes comment"], None),
    "4 WAV AIGC": (SOUNDS["wav AIGC"], None),
    "4 WAV id3": (SOUNDS["wav id3"], None),
    "4 WAV LIST/INFO ICMT": (SOUNDS["wav ICMT"], None),
    "4 Ogg": (next(iter(test_streams.FILES.values())), None),
    "5 front matter": (test_texts.MARKDOWNS["map"].encode(), "a.md"),
    "5 front matter, alphabetical, four spaces": (test_texts.MARKDOWNS["sorted, four spaces"].encode(), "a.md"),
    "5 front matter, plain values": (test_texts.MARKDOWNS["bare values"].encode(), "a.md"),
    "5 block further down": (test_texts.MARKDOWNS["further down"].encode(), "a.md"),
}


def described(text: bytes) -> bytes:
    """Return an EXIF block with this ImageDescription."""
    return b"II*\0" + struct.pack("<IHHHIII", 8, 1, 0x010E, 2, len(text), 26, 0) + text


@pytest.mark.parametrize("form", FORMS)
def test_every_form_that_was_met_is_read(form: str) -> None:
    data, hint = FORMS[form]
    found = inspect(data, hint=hint)
    assert (found.label, found.state) == (OLD, "declared")
    assert found.verdict == "compliant"
    assert {each.check: each.outcome for each in found.findings}["container_walk"] == "pass"


def test_the_second_schema_is_a_trace_and_no_label() -> None:
    vendor = b'{"ServiceProvider":"a","ServiceUser":"b","Time":"c","ContentId":"d"}\0'
    for data in (jpeg_with((0xE1, b"Exif\0\0" + described(vendor))), png_with((b"eXIf", described(vendor)))):
        found = inspect(data)
        assert (found.verdict, found.state, found.label) == ("not_found", "suspected", None)
        assert found.traces == ["exif: a vendor's label that is not Annex E"]


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        (b'ASCII\0\0\0{"a": 1}', "not_found"),
        (b"ASCII\0\0\0AIGC in a sentence", "not_found"),
        (b"ASCII\0\0\0" + WRAPPED.replace('"Label":"1"', '"Label":"1","Label":"2"').encode(), "not_found"),
        (b"ASCII\0\0\0" + WRAPPED.replace('"Label":"1",', "").encode(), "noncompliant"),
    ],
)
def test_places_that_others_use_too_are_gated(text: bytes, verdict: str) -> None:
    assert inspect(jpeg_with((0xE1, b"Exif\0\0" + exif_block(text)))).verdict == verdict


def test_what_must_be_refused_is_refused() -> None:
    twice = INNER.replace('"Label":"1"', '"Label":"1","Label":"1"').encode()
    assert inspect(png_with((b"tEXt", b"AIGC\0" + twice))).verdict == "noncompliant"
    assert inspect(png_with((b"tEXt", b"AIGC\0" + b" " * 70_000 + INNER.encode()))).verdict == "inconclusive"
    entity = b'<!DOCTYPE x [<!ENTITY a "AIGC">]>' + packet(description(f"<q:AIGC>{INNER}</q:AIGC>"))
    assert inspect(png_with((b"iTXt", b"XML:com.adobe.xmp" + bytes(5) + entity))).verdict == "inconclusive"


def test_halves_of_characters_are_no_text_and_break_no_report() -> None:
    for text in (INNER.replace("7f3a", r"\ud800"), INNER.replace('"Label"', r'"\ud800":"1","Label"')):
        found = inspect(png_with((b"tEXt", b"AIGC\0" + text.encode())))
        assert (found.verdict, found.label, found.errors[0].partition(":")[0]) == ("noncompliant", None, "charset")
        msgspec.json.encode(found)
    security = r'{"SecurityData":{"PubSD":[{"Type":"DS","AlgID":"\ud800","TBSData":"\ud800","Signature":"00"}]}}'
    found = inspect(
        png_with((b"tEXt", b"AIGC\0" + INNER.replace('"ReservedCode1":""', f'"ReservedCode1":{json.dumps(security)}').encode()))
    )
    assert found.signatures[0].result == "unexamined"
    msgspec.json.encode(found)
    found = inspect(b'---\nAIGC: "\\ud800"\n---\n', hint="a.md")
    assert found.verdict == "noncompliant"
    msgspec.json.encode(found)
