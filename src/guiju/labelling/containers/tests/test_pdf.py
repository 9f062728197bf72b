"""PDF: every build is read, the old bytes stay, other readers agree; what leads astray, in circles or too deep is damaged."""

import io
import re
import sys
import time
import zlib
from pathlib import Path
from typing import Any

import pikepdf
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guiju.core.errors import GuijuError
from guiju.labelling import content_credentials
from guiju.labelling.containers.pdf_file import PdfFile
from guiju.labelling.containers.pdf_objects import Cut, Literal, Reference, read_value, string_of, text_of
from guiju.labelling.containers.source import Broken, Source
from guiju.labelling.containers.tests import pdfs
from guiju.labelling.containers.tests.samples import CODE, INNER, LABEL, OLD, OTHER, WRAPPED, description, exiftool, packet, run, tool
from guiju.labelling.files import first_label, inspect, read, write, write_file
from guiju.labelling.tests.chains import new_chain
from guiju.labelling.values import Damaged

HEX = b"<" + INNER.encode("utf-16-be").hex().encode() + b">"
BUILDS = {
    "plain": pdfs.plain(),
    "packed": pdfs.packed(),
    "packed without predictor": pdfs.packed(predictor=0),
    **{f"packed with predictor {kind}": pdfs.packed(predictor=kind) for kind in (1, 3, 4)},
    "hybrid": pdfs.hybrid(),
    "two revisions": pdfs.revised(pdfs.plain(), {6: b"<< /Title (second) >>"}),
    "no information": pdfs.plain({number: body for number, body in pdfs.OBJECTS.items() if number != 6}, b"/Root 1 0 R"),
    "information that is free": pdfs.plain({number: body for number, body in pdfs.OBJECTS.items() if number != 6}),
    "no newline at the end": pdfs.plain().rstrip(),
    "carriage returns": pdfs.plain().replace(b"endobj\n", b"endobj\r").replace(b"%%EOF\n", b"%%EOF\r"),
    "comments": pdfs.with_information(b"% a comment >>\n /A 1 % another\n"),
}
FILES = {
    "literal": pdfs.with_information(b"/AIGC " + string_of(INNER)),
    "escaped": pdfs.with_information(b"/AIGC (" + INNER.encode().replace(b'"', b"\\042").replace(b",", b",\\\n") + b")"),
    "utf-16": pdfs.with_information(b"/AIGC <feff" + HEX[1:]),
    "utf-8": pdfs.with_information(b"/AIGC (\xef\xbb\xbf" + INNER.encode() + b")"),
    "lower case": pdfs.with_information(b"/aigc " + string_of(INNER)),
    "wrapped": pdfs.with_information(b"/AIGC " + string_of(WRAPPED)),
    "name with numbers": pdfs.with_information(b"/A#49GC " + string_of(INNER)),
    "by reference": pdfs.plain({**pdfs.OBJECTS, 6: b"<< /AIGC 7 0 R >>", 7: string_of(INNER)}),
    "in an object stream": pdfs.packed({**pdfs.OBJECTS, 6: b"<< /AIGC " + string_of(INNER) + b" >>"}),
    "in a later revision": pdfs.revised(pdfs.plain(), {6: b"<< /AIGC " + string_of(INNER) + b" >>"}),
    "xmp": pdfs.with_metadata(packet(description(f"<q:AIGC>{INNER}</q:AIGC>"))),
    "xmp packed": pdfs.with_metadata(packet(description(f"<q:AIGC>{INNER}</q:AIGC>")), packed_up=True),
}


@pytest.mark.parametrize("name", BUILDS)
def test_every_build_is_read_and_labelled_behind_its_old_bytes(name: str) -> None:
    data = BUILDS[name]
    assert read(data) is None
    assert inspect(data).verdict == "not_found"
    written = write(data, LABEL)
    assert written.startswith(data)
    assert read(written) == LABEL
    twice = write(written, first_label(OTHER, "second"))
    assert twice.startswith(written)
    found = inspect(twice)
    assert found.label
    assert (len(found.places), found.label.content_producer, found.label.content_propagator) == (1, CODE, OTHER)
    _checked(twice, OTHER, "second")


@pytest.mark.parametrize("name", FILES)
def test_labels_as_others_write_them_are_read_and_one_is_left(name: str) -> None:
    assert read(FILES[name]) == OLD
    written = write(FILES[name], first_label(OTHER, "second"))
    seen = inspect(written)
    assert len(seen.places) == 1
    assert seen.places[0].channel == "pdf:Info AIGC"
    assert seen.label
    assert (seen.label.content_producer, seen.label.content_propagator) == ("MiniMax", OTHER)
    _checked(written, OTHER, "second")


def _checked(data: bytes, code: str, number: str) -> None:
    """Let qpdf read a file: no complaint, the label as it should be, the page as it was."""
    with pikepdf.open(io.BytesIO(data)) as opened:
        assert opened.check_pdf_syntax() == []
        told = str(opened.docinfo["/AIGC"])
        assert f'"ContentPropagator":"{code}"' in told
        assert f'"PropagateID":"{number}"' in told
        assert opened.pages[0].Contents.read_bytes() == pdfs.CONTENT
        assert "AIGC" not in str(opened.open_metadata()) if "/Metadata" in opened.Root else True


def _made(**options: Any) -> bytes:
    """Return a file as qpdf writes it."""
    kept = io.BytesIO()
    with pikepdf.open(io.BytesIO(pdfs.plain())) as opened:
        opened.save(kept, **options)
    return kept.getvalue()


@pytest.mark.parametrize(
    "options",
    [
        {"linearize": True},
        {"object_stream_mode": pikepdf.ObjectStreamMode.generate},
        {"object_stream_mode": pikepdf.ObjectStreamMode.generate, "linearize": True},
        {"object_stream_mode": pikepdf.ObjectStreamMode.disable, "compress_streams": False},
    ],
    ids=str,
)
def test_files_that_qpdf_made_are_labelled(options: dict[str, Any]) -> None:
    data = _made(**options)
    assert read(data) is None
    written = write(data, LABEL)
    assert written.startswith(data)
    _checked(written, CODE, LABEL.produce_id)


def test_everything_else_that_the_document_says_of_itself_stays() -> None:
    for data in (pdfs.plain(), pdfs.packed(), _made(linearize=True)):
        with pikepdf.open(io.BytesIO(data)) as before, pikepdf.open(io.BytesIO(write(data, LABEL))) as after:
            assert {key: str(value) for key, value in before.docinfo.items()} == {
                key: str(value) for key, value in after.docinfo.items() if key != "/AIGC"
            }
            assert before.trailer.Root.objgen == after.trailer.Root.objgen
            if "/ID" in before.trailer:
                assert bytes(before.trailer.ID[0]) == bytes(after.trailer.ID[0])
                assert bytes(before.trailer.ID[1]) != bytes(after.trailer.ID[1])
    with pikepdf.open(io.BytesIO(write(pdfs.hybrid(), LABEL))) as opened:  # its information was hidden from readers of the old form
        assert str(opened.docinfo["/Title"]) == "a (small) page"
    kept = pdfs.with_metadata(packet(description(f"<q:AIGC>{INNER}</q:AIGC>")), packed_up=True)
    with pikepdf.open(io.BytesIO(write(kept, first_label(OTHER, "second")))) as opened:
        text = opened.Root.Metadata.read_bytes()
    assert b"image/png" in text
    assert b"AIGC>" not in text


def test_other_readers_see_the_label(tmp_path: Path) -> None:
    for name, data in {"plain": pdfs.plain(), "packed": pdfs.packed(), "hybrid": pdfs.hybrid(), "linear": _made(linearize=True)}.items():
        before, after = tmp_path / f"{name}-before.pdf", tmp_path / f"{name}-after.pdf"
        before.write_bytes(data)
        write_file(before, after, LABEL)
        assert f'"ContentProducer":"{CODE}"' in run(tool("pdfinfo"), "-custom", str(after))
        shown = exiftool(after)
        assert f'"ContentProducer":"{CODE}"' in shown
        assert "Warning" not in shown
        assert CODE not in exiftool(before)


def _signed(more: bytes) -> bytes:
    field = b"<< /FT /Sig /T (one) /V 9 0 R >>"
    return pdfs.plain({**pdfs.OBJECTS, 1: b"<< /Type /Catalog /Pages 2 0 R /AcroForm 7 0 R %s >>" % more, 7: b"<< /SigFlags 3 /Fields [8 0 R] >>", 8: field, 9: b"<< /Type /Sig >>"})  # fmt: skip


def test_a_signed_file_keeps_what_its_signature_covers_and_says_so() -> None:
    data = _signed(b"")
    written = write(data, LABEL)
    assert written.startswith(data)
    assert any(warning.startswith("signed:") for warning in inspect(written).warnings)


def test_a_certified_file_is_read_and_not_written() -> None:
    data = _signed(b"/Perms << /DocMDP 9 0 R >>")
    assert inspect(data).verdict == "not_found"
    with pytest.raises(GuijuError) as told:
        write(data, LABEL)
    assert told.value.code.code == "LABEL-SEALED"


def test_a_manifest_and_what_iptc_says_are_traces() -> None:
    file = pdfs.plain(
        {**pdfs.OBJECTS, 1: b"<< /Type /Catalog /Pages 2 0 R /AF [7 0 R] >>", 7: b"<< /Type /Filespec /AFRelationship /C2PA_Manifest >>"}
    )
    assert inspect(file).traces == ["c2pa"]
    source = '<rdf:Description rdf:about="" xmlns:i="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"><i:DigitalSourceType>http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia</i:DigitalSourceType></rdf:Description>'
    found = inspect(pdfs.with_metadata(packet(source)))
    assert (found.state, found.traces) == ("suspected", ["iptc:DigitalSourceType"])


def test_a_manifest_that_the_reference_library_wrote_is_seen_and_not_broken(tmp_path: Path) -> None:
    signed = content_credentials.sign(write(pdfs.plain(), LABEL), content_credentials.load_credentials(*new_chain().files(tmp_path)))
    found = inspect(signed)
    assert (found.label, found.traces) == (LABEL, ["c2pa"])
    with pytest.raises(GuijuError) as told:
        write(signed, first_label(OTHER, "n"))
    assert told.value.code.code == "LABEL-BREAKS-MANIFEST"
    again = write(signed, first_label(OTHER, "n"), break_manifest=True)
    assert again.startswith(signed)


def test_an_encrypted_file_is_not_said_to_have_none() -> None:
    data = _made(encryption=pikepdf.Encryption(owner="o", user=""))
    found = inspect(data)
    assert found.verdict == "inconclusive"
    assert found.damaged
    assert "encrypted" in found.damaged.reason
    with pytest.raises(GuijuError) as told:
        write(data, LABEL)
    assert told.value.code.code == "LABEL-DAMAGED"


def _damaged() -> dict[str, bytes]:
    plain, packed = pdfs.plain(), pdfs.packed()
    at = pdfs.start(plain)
    loop = pdfs.plain({6: b"<< /Title (x) >>"}, before=plain, prev=len(plain))
    loop = re.sub(rb"/Prev \d+", b"/Prev %d" % pdfs.start(loop), loop)
    return {
        "something behind": plain + b"x",
        "no end": plain.replace(b"%%EOF", b""),
        "start beyond": plain.replace(b"startxref\n%d" % at, b"startxref\n999999"),
        "start elsewhere": plain.replace(b"startxref\n%d" % at, b"startxref\n9"),
        "circle of revisions": loop,
        "catalog elsewhere": plain.replace(b"1 0 obj", b"9 0 obj"),
        "information is no dictionary": pdfs.plain({**pdfs.OBJECTS, 6: b"[ 1 ]"}),
        "key twice": pdfs.with_information(b"/AIGC (x) /AIGC (y)"),
        "circle of references": pdfs.plain({**pdfs.OBJECTS, 6: b"7 0 R", 7: b"6 0 R"}),
        "deep": pdfs.with_information(b"/A " + b"[" * 200 + b"]" * 200),
        "long label": pdfs.with_information(b"/AIGC (" + b"x" * 200_000 + b")"),
        "row is none": plain.replace(b"00000 n \n", b"00000 x \n"),
        "no catalog": pdfs.plain(trailer=b"/Info 6 0 R"),
        "object stream elsewhere": packed.replace(b"/Type /ObjStm", b"/Type /ObjStn"),
        "metadata that are no stream": pdfs.plain({**pdfs.OBJECTS, 1: b"<< /Metadata 6 0 R >>"}),
        "metadata that hide": pdfs.with_metadata(packet("<broken>AIGC")),
        "metadata with a document type": pdfs.with_metadata(b"<!DOCTYPE a>" + packet("")),
        "metadata of an unknown filter": pdfs.plain({**pdfs.OBJECTS, 1: b"<< /Metadata 7 0 R >>", 7: b"<< /Length 1 /Filter /LZWDecode >>\nstream\nx\nendstream"}),
        "stream longer than it says": pdfs.plain({**pdfs.OBJECTS, 1: b"<< /Metadata 7 0 R >>", 7: b"<< /Length 1 >>\nstream\nxxx\nendstream"}),
        "bomb": pdfs.with_metadata(b" " * (5 << 20), packed_up=True),
    }  # fmt: skip


@pytest.mark.parametrize("name", _damaged())
def test_files_whose_references_lead_astray_are_damaged_and_not_repaired(name: str) -> None:
    data = _damaged()[name]
    started = time.process_time()
    assert inspect(data).verdict == "inconclusive"
    assert isinstance(read(data), Damaged)
    with pytest.raises(GuijuError) as told:
        write(data, LABEL)
    assert told.value.code.code == "LABEL-DAMAGED"
    assert time.process_time() - started < 2


def test_an_entry_that_is_no_string_is_a_label_that_is_none() -> None:
    found = inspect(pdfs.with_information(b"/AIGC << /Label (1) >>"))
    assert (found.verdict, found.state) == ("noncompliant", "suspected")


def test_every_cut_is_seen_or_leaves_an_earlier_revision() -> None:
    """A file that ends where an earlier revision ended *is* that revision: nothing in it tells otherwise."""
    for original in (pdfs.plain(), pdfs.packed(), pdfs.hybrid()):
        labelled = write(original, LABEL)
        ends = {match.end() for match in re.finditer(rb"%%EOF\n?", labelled)} | {match.end() for match in re.finditer(rb"%%EOF", labelled)}
        for length in range(8, len(labelled) - 1):
            if length not in ends:
                assert inspect(labelled[:length]).verdict == "inconclusive", length


def test_references_cost_a_bounded_time() -> None:
    many = b"".join(b"%d 0\n" % number for number in range(20_000))
    data = pdfs.plain().replace(b"xref\n0 1\n", b"xref\n" + many + b"0 1\n", 1)
    started = time.process_time()
    assert inspect(data).verdict == "inconclusive"
    packs = dict.fromkeys(range(10, 500), b"<< /Length 3 0 R >>")
    assert inspect(pdfs.plain({**pdfs.OBJECTS, **packs})).verdict == "not_found"
    noise = bytes(number * 7 % 5 for number in range(1 << 20))
    rows = pdfs.predicted(noise[: 7 * 20_000], 4, 7)
    table = (
        b"<< /Type /XRef /Size 20000 /W [1 4 2] /Filter /FlateDecode /DecodeParms << /Predictor 15 /Columns 7 >> /Length %d >>\nstream\n"
    )
    body = zlib.compress(rows)
    out = pdfs.HEAD + b"1 0 obj\n" + table % len(body) + body + b"\nendstream\nendobj\nstartxref\n%d\n%%%%EOF\n" % len(pdfs.HEAD)
    assert inspect(out).verdict == "inconclusive"
    assert time.process_time() - started < 5


def test_a_file_of_four_gigabytes_is_labelled_in_little_memory(tmp_path: Path) -> None:
    big, out = tmp_path / "big", tmp_path / "out"
    data = pdfs.plain()
    hole = 4_200_000_000
    with big.open("wb") as opened:  # a first revision, a hole inside of a stream that nobody needs, a second revision
        opened.write(data + b"7 0 obj\n<< /Length %d >>\nstream\n" % hole)
        opened.seek(hole, 1)
        opened.write(b"\nendstream\nendobj\n")
        at = opened.tell()
        opened.write(
            b"xref\n7 1\n%010d 00000 n \ntrailer\n<< /Size 8 /Root 1 0 R /Info 6 0 R /Prev %d >>\nstartxref\n%d\n%%%%EOF\n"
            % (len(data), pdfs.start(data), at)
        )
    code = (
        "import resource\nfrom pathlib import Path\nfrom guiju.labelling import first_label, read_file, write_file\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        f"write_file(Path({str(big)!r}), Path({str(out)!r}), first_label({OTHER!r}, 'big'))\n"
        f"assert read_file(Path({str(out)!r})).produce_id == 'big'\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    assert int(run(sys.executable, "-c", code)) < 64 * 1024
    assert out.stat().st_blocks * 512 < 10_000_000, "a hole was filled"


@given(st.binary(max_size=60))
def test_strings_come_back_as_they_were_written(data: bytes) -> None:
    text = data.decode("latin-1").encode("ascii", "ignore").decode()
    written = string_of(text.replace("\r", ""))
    found = read_value(written, 0)
    assert isinstance(found.value, Literal)
    assert found.value.data == text.replace("\r", "").encode()
    assert found.stop == len(written)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_refused(data: bytes) -> None:
    try:
        found = read_value(data, 0)
    except (Broken, Cut):
        return
    assert 0 <= found.start < found.stop <= len(data)


def test_texts_are_read_as_people_wrote_them() -> None:
    assert text_of(b"\xfe\xff\x5c\x71") == "山"
    assert text_of(b"\xef\xbb\xbf\xe5\xb1\xb1") == "山"
    assert text_of(b"plain") == "plain"
    assert "\ufffd" in text_of(b"\xfe\xff\xd8\x00\x00\x41")


def test_a_number_that_was_freed_and_one_of_another_generation_are_none() -> None:
    pdf = PdfFile(Source(pdfs.plain()))
    assert pdf.get(Reference(0, 65535)) is None
    assert pdf.get(Reference(6, 1)) is None
    assert pdf.get(Reference(99, 0)) is None
