"""Documents in archives: labels as others write them, parts that stay, archives that two readers would read in two ways."""

import io
import shutil
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any, cast

import docx
import openpyxl
import pytest

from guiju.core.errors import GuijuError
from guiju.labelling.containers import zipped
from guiju.labelling.containers.source import Broken, Source
from guiju.labelling.containers.tests import documents
from guiju.labelling.containers.tests.documents import a_property, archive, changed, custom, docx_with, odf_meta, opf, unpacked, zip64
from guiju.labelling.containers.tests.samples import CODE, INNER, LABEL, OLD, OTHER, WRAPPED, escaped, exiftool, run, sample, tool
from guiju.labelling.files import first_label, inspect, read, write, write_file
from guiju.labelling.values import Damaged

ARCHIVES = ["plain.docx", "plain.xlsx", "plain.pptx", "plain.odt", "plain.epub"]
FIELD = f'<meta:user-defined meta:name="AIGC">{escaped(INNER)}</meta:user-defined>'
STRICT = "http://purl.oclc.org/ooxml/officeDocument"
FILES = {
    "docx": docx_with(a_property(INNER)),
    "docx wrapped": docx_with(a_property(WRAPPED)),
    "docx other type and case": docx_with(a_property(escaped(INNER), "aigc", kind="bstr")),
    "docx among others": docx_with(a_property("x", "Owner", 7) + a_property(INNER, pid=9) + a_property("AIGC", "Subject", 12)),
    "docx part without a relationship": changed(sample("plain.docx"), custom=custom(a_property(INNER))),
    "docx elsewhere": changed(
        docx_with(""),
        **{"docProps/custom.xml": None, "docProps/own.xml": custom(a_property(INNER))},
        rels=documents.relationships(("rId1", "officeDocument", "word/document.xml"), ("a", "custom-properties", "/docProps/own.xml")),
    ),
    "odt": changed(sample("plain.odt"), meta=odf_meta(FIELD)),
    "odt lower case": changed(sample("plain.odt"), meta=odf_meta(FIELD.replace("AIGC", "aigc", 1))),
    "odt with a type": changed(sample("plain.odt"), meta=odf_meta(FIELD.replace("AIGC\"", "AIGC\" meta:value-type=\"string\""))),
    "odt twice": changed(sample("plain.odt"), meta=odf_meta(FIELD + FIELD)),
    "epub": changed(sample("plain.epub"), opf=opf(f'<meta name="AIGC" content="{escaped(INNER)}"/>')),
    "epub property": changed(sample("plain.epub"), opf=opf(f'<meta property="AIGC">{INNER}</meta>')),
    "epub prefixed": changed(sample("plain.epub"), opf=opf(f"<meta property='x:AIGC'>{WRAPPED}</meta>")),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_labels_as_others_write_them_are_read_and_one_is_left(name: str) -> None:
    assert read(FILES[name]) == OLD
    written = write(FILES[name], first_label(OTHER, "second"))
    seen = inspect(written)
    assert (len(seen.places), seen.errors) == (1, [])
    assert seen.label
    assert (seen.label.content_producer, seen.label.content_propagator) == ("MiniMax", OTHER)


@pytest.mark.parametrize("name", [*ARCHIVES, *FILES])
def test_every_other_entry_keeps_its_compressed_bytes_its_time_and_its_place_in_the_order(name: str) -> None:
    data = FILES.get(name) or sample(name)
    before, after = zipped.Archive(Source(data)), zipped.Archive(Source(write(data, first_label(OTHER, "second"))))
    written = write(data, first_label(OTHER, "second"))
    touched = {b"docProps/custom.xml", b"docProps/own.xml", b"[Content_Types].xml", b"_rels/.rels", b"meta.xml", b"OEBPS/book.opf"}
    assert [each.name for each in after.listed][: len(before.listed)] == [each.name for each in before.listed]
    for entry in before.listed:
        new = after.entries[entry.name]
        if entry.name not in touched:
            assert data[entry.at : entry.stop] == written[new.at : new.stop]
        assert data[entry.at + 10 : entry.at + 14] == written[new.at + 10 : new.at + 14]
    if b"mimetype" in before.entries:
        assert written[30:38] == b"mimetype"
        assert after.entries[b"mimetype"].method == 0
    assert len(unpacked(written)) == len(after.listed)


@pytest.mark.parametrize("name", ["plain.docx", "plain.odt", "plain.epub"])
def test_a_changed_part_holds_everything_that_it_held(name: str) -> None:
    data = {
        "plain.docx": docx_with(a_property("山高&amp;水长", "Owner", 7) + "<!-- kept -->"),
        "plain.odt": changed(
            sample("plain.odt"), meta=odf_meta('<meta:user-defined meta:name="Owner">山</meta:user-defined><!-- kept -->')
        ),
        "plain.epub": changed(sample("plain.epub"), opf=opf("<!-- kept --><meta name='cover' content='x'/>")),
    }[name]
    part = {"plain.docx": "docProps/custom.xml", "plain.odt": "meta.xml", "plain.epub": "OEBPS/book.opf"}[name]
    old, new = unpacked(data)[part], unpacked(write(data, LABEL))[part]
    shared = next(at for at in range(len(old)) if old[at] != new[at])
    assert new[:shared] + new[shared + len(new) - len(old) :] == old
    assert b"<!-- kept -->" in new


def test_identifiers_of_properties_and_relationships_stay_unique() -> None:
    part = unpacked(write(docx_with(a_property("x", "Owner", 7)), LABEL))["docProps/custom.xml"].decode()
    assert 'pid="7"' in part
    assert 'pid="8"' in part
    data = changed(
        sample("plain.docx"), rels=documents.relationships(("rId1", "officeDocument", "word/document.xml"), ("rId2", "other", "x.xml"))
    )
    assert 'Id="rId3"' in unpacked(write(data, LABEL))["_rels/.rels"].decode()


def test_templates_macro_forms_and_strict_packages_are_known() -> None:
    office = "application/vnd.ms-word.template.macroEnabledTemplate.main+xml"
    assert inspect(documents.docx(office)).container == "DOCX"
    sheet = "application/vnd.ms-excel.sheet.macroEnabled.main+xml"
    assert inspect(documents.docx(sheet)).container == "XLSX"
    show = "application/vnd.openxmlformats-officedocument.presentationml.slideshow.main+xml"
    assert inspect(documents.docx(show)).container == "PPTX"
    strict = changed(
        sample("plain.docx"), rels=unpacked(sample("plain.docx"))["_rels/.rels"].replace(documents.OFFICE.encode(), STRICT.encode())
    )
    written = write(strict, LABEL)
    assert read(written) == LABEL
    assert f"{STRICT}/customProperties".encode() in unpacked(written)["docProps/custom.xml"]
    assert f"{STRICT}/relationships/customProperties".encode() in unpacked(written)["_rels/.rels"]


def test_a_document_without_the_part_gets_one_that_is_announced() -> None:
    data = changed(sample("plain.odt"), meta=None, manifest=documents.odf_manifest())
    written = write(data, LABEL)
    assert read(written) == LABEL
    assert b'm:full-path="meta.xml"' in unpacked(written)["META-INF/manifest.xml"]
    assert read(write(changed(sample("plain.odt"), meta=odf_meta("", empty=True)), LABEL)) == LABEL


def test_the_document_type_of_old_opendocument_declares_nothing_and_is_not_fetched() -> None:
    old = documents.odf_manifest("meta.xml=text/xml").replace(
        "?>\n", '?>\n<!DOCTYPE manifest:manifest PUBLIC "-//x//DTD Manifest 1.0//EN" "Manifest.dtd">', 1
    )
    old = old.replace(' xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"', "")
    assert "DOCTYPE" in old
    assert read(write(changed(sample("plain.odt"), manifest=old), LABEL)) == LABEL


def test_other_archives_are_no_documents() -> None:
    for data in (
        archive({"a.txt": "x"}),
        archive({"META-INF/MANIFEST.MF": "x", "A.class": b"\xca\xfe"}),
        changed(sample("plain.docx"), types=None),
        documents.docx("application/xml"),
        archive({"mimetype": "application/vnd.other", "content.xml": "<a/>"}),
    ):
        assert inspect(data).container == "unknown"
        with pytest.raises(GuijuError) as told:
            write(data, LABEL)
        assert told.value.code.code == "LABEL-CONTAINER"


@pytest.mark.parametrize(
    "entry",
    [
        ("plain.docx", "_xmlsignatures/origin.sigs"),
        ("plain.odt", "META-INF/documentsignatures.xml"),
        ("plain.epub", "META-INF/signatures.xml"),
    ],
)
def test_signed_documents_are_read_and_not_written(entry: tuple[str, str]) -> None:
    name, signature = entry
    data = changed(sample(name), **{signature: "<a/>"})
    found = inspect(data)
    assert found.verdict == "not_found"
    assert found.warnings
    assert found.warnings[0].startswith("signed:")
    with pytest.raises(GuijuError) as told:
        write(data, LABEL)
    assert told.value.code.code == "LABEL-SEALED"
    assert "文件未改动" in told.value.text("zh")


def test_a_package_whose_signatures_lie_elsewhere_is_signed_all_the_same() -> None:
    relationships = documents.relationships(("rId1", "officeDocument", "word/document.xml"))
    kind = "http://schemas.openxmlformats.org/package/2006/relationships/digital-signature/origin"
    signed = relationships.replace(
        "</Relationships>", f'<Relationship Id="s" Type="{kind}" Target="package/origin.psdsor"/></Relationships>'
    )
    data = changed(sample("plain.docx"), rels=signed, **{"package/origin.psdsor": ""})
    assert inspect(data).warnings[0].startswith("signed:")
    with pytest.raises(GuijuError) as told:
        write(data, LABEL)
    assert told.value.code.code == "LABEL-SEALED"


def _overlapping(parts: dict[str, bytes]) -> bytes:
    """Return a package whose custom properties lie inside of another entry, whole and with their own headers."""
    inner = custom(a_property(INNER)).encode()
    name = b"docProps/custom.xml"
    local = b"PK\3\4" + struct.pack("<5H3I2H", 20, 0, 0, 0, 0x21, zlib.crc32(inner), len(inner), len(inner), len(name), 0) + name + inner
    data = archive({**parts, "film.bin": b"xx" + local}, stored=True)
    end = data.rindex(b"PK\5\6")
    count, _, _length, at = struct.unpack_from("<2H2I", data, end + 8)
    facts = struct.pack(
        "<6H3I5H2I", 20, 20, 0, 0, 0, 0x21, zlib.crc32(inner), len(inner), len(inner), len(name), 0, 0, 0, 0, 0, data.index(local)
    )
    listed = data[at:end] + b"PK\1\2" + facts + name
    return data[:at] + listed + b"PK\5\6" + struct.pack("<4H2IH", 0, 0, count + 1, count + 1, len(listed), at, 0)


def _damaged() -> dict[str, bytes]:
    plain = sample("plain.docx")
    end = plain.rindex(b"PK\5\6")
    listed = struct.unpack_from("<I", plain, end + 16)[0]
    second = plain.index(b"PK\1\2", listed + 4)
    local = plain.index(b"PK\3\4", 4)

    def put(at: int, new: bytes, data: bytes = plain) -> bytes:
        return data[:at] + new + data[at + len(new) :]

    twice = io.BytesIO()
    with zipfile.ZipFile(twice, "w") as opened:
        for name, content in [*unpacked(plain).items(), ("_rels/.relx", unpacked(plain)["_rels/.rels"])]:
            opened.writestr(name, content)
    parts = unpacked(plain)
    behind = plain[listed:end] + plain[end : end + 16] + struct.pack("<IH", len(plain), 0)  # a directory of its own, as good as the first
    bomb = changed(plain, custom=custom(a_property(" " * 5_000_000)))
    hidden = changed(plain, custom=custom(a_property(INNER))).replace(b"docProps/custom.xml", b"docProps/c\0stom.xml", 1)
    entity = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]>'
    return {
        "encrypted": put(local + 6, b"\1", put(second + 8, b"\1")),
        "directory encrypted": put(second + 9, b"\x20", put(local + 7, b"\x20")),
        "name twice": twice.getvalue().replace(b"_rels/.relx", b"_rels/.rels"),
        "names that differ by case": changed(plain, **{"docprops/CUSTOM.xml": "x", "docProps/custom.xml": custom("")}),
        "overlap": _overlapping(parts),
        "offset of another": put(second + 42, struct.pack("<I", 0)),
        "local name": hidden,
        "local size": put(local + 22, struct.pack("<I", 7)),
        "local check sum": put(local + 14, b"\0\0\0\0"),
        "check sum": put(local + 14, b"\0\0\0\0", put(second + 16, b"\0\0\0\0")),
        "two ends": plain[:-2] + struct.pack("<H", len(behind)) + behind,
        "something behind": plain + b"\0",
        "count": put(end + 8, struct.pack("<2H", 2, 2)),
        "volumes": put(end + 4, b"\1"),
        "directory moved": b"PK\3\4" + bytes(26) + plain,
        "bomb": bomb,
        "relationship twice": changed(plain, rels=documents.relationships(("a", "custom-properties", "x"), ("b", "custom-properties", "y"), ("rId1", "officeDocument", "word/document.xml"))),
        "part missing": changed(docx_with(""), custom=None),
        "no xml": changed(docx_with(""), custom="<Properties>"),
        "entities": changed(docx_with(""), custom=entity + custom(a_property(INNER)).partition("?>")[2]),
        "entity from elsewhere": changed(docx_with(""), custom='<!DOCTYPE a SYSTEM "x.dtd">' + custom(a_property("&x;")).partition("?>")[2]),
        "utf-16": changed(docx_with(""), custom=custom(a_property(INNER)).replace("UTF-8", "UTF-16").encode("utf-16")),
        "long label": changed(docx_with(""), custom=custom(a_property("x" * 70_000))),
        "odt encrypted": changed(sample("plain.odt"), manifest=documents.odf_manifest().replace("</manifest:manifest>", '<manifest:file-entry manifest:full-path="x"><manifest:encryption-data/></manifest:file-entry></manifest:manifest>')),
        "odt without a manifest": changed(sample("plain.odt"), manifest=None),
        "epub without a package": changed(sample("plain.epub"), opf=None),
        "epub without a container": changed(sample("plain.epub"), container=None),
        "deep": changed(docx_with(""), custom="<a>" * 300 + "</a>" * 300),
    }  # fmt: skip


def test_archives_that_two_readers_would_read_in_two_ways_are_damaged() -> None:
    for name, data in _damaged().items():
        found = inspect(data)
        assert found.verdict == "inconclusive", name
        assert found.damaged, name
        assert isinstance(read(data), Damaged), name
        with pytest.raises(GuijuError) as told:
            write(data, LABEL)
        assert told.value.code.code == "LABEL-DAMAGED", name


def test_a_bomb_is_refused_before_it_grows() -> None:
    packed = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = b"".join(packed.compress(bytes(1 << 20)) for _ in range(64)) + packed.flush()
    with pytest.raises(Broken):
        zipped.inflated(body, 0)
    data = changed(docx_with(""), custom=b" " * (4 << 20) + custom("").encode())
    assert inspect(data).verdict == "inconclusive"


class Pipe:
    """What a writer has that cannot go back: sizes are told behind the data."""

    def __init__(self) -> None:
        self.data = bytearray()

    def write(self, data: bytes) -> int:
        self.data += data
        return len(data)

    def flush(self) -> None:
        pass


def test_comments_large_forms_and_sizes_behind_the_data_are_taken_as_they_are() -> None:
    parts = unpacked(sample("plain.docx"))
    commented = archive(dict(parts), comment=b"a comment")
    written = write(commented, LABEL)
    assert written.endswith(b"a comment")
    assert read(written) == LABEL
    large = zip64(parts)
    written = write(large, LABEL)
    assert read(written) == LABEL
    assert set(unpacked(written)) == {*parts, "docProps/custom.xml"}
    again = write(written, first_label(OTHER, "second"))
    assert "docProps/custom.xml" in unpacked(again)
    pipe = Pipe()
    with zipfile.ZipFile(cast("IO[bytes]", pipe), "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in parts.items():
            opened.writestr(name, content)
    assert struct.unpack_from("<H", pipe.data, 6)[0] & 8
    written = write(bytes(pipe.data), LABEL)
    assert read(written) == LABEL
    assert {
        name: content for name, content in unpacked(written).items() if name in parts and "rels" not in name and "Types" not in name
    } == {name: content for name, content in parts.items() if "rels" not in name and "Types" not in name}


def test_a_package_of_four_gigabytes_is_labelled_in_little_memory(tmp_path: Path) -> None:
    """The body is a hole: one stored entry of 4.2 GB in the large form."""
    big, out = tmp_path / "big", tmp_path / "out"
    size = 4_400_000_000
    parts = unpacked(sample("plain.docx"))
    with zipfile.ZipFile(big, "w") as opened:
        for name, content in parts.items():
            opened.writestr(name, content)
    data = big.read_bytes()
    end = data.rindex(b"PK\5\6")
    listed_at = struct.unpack_from("<I", data, end + 16)[0]
    film = b"word/media/film.bin"
    at, crc = listed_at, 0  # the film's own check sum is not looked at: it is no part that is examined
    local = (
        b"PK\3\4"
        + struct.pack("<5H3I2H", 45, 0, 0, 0, 0x21, crc, 0xFFFFFFFF, 0xFFFFFFFF, len(film), 20)
        + film
        + struct.pack("<2H2Q", 1, 16, size, size)
    )
    record = (
        b"PK\1\2"
        + struct.pack("<6H3I5H2I", 45, 45, 0, 0, 0, 0x21, crc, 0xFFFFFFFF, 0xFFFFFFFF, len(film), 20, 0, 0, 0, 0, at)
        + film
        + struct.pack("<2H2Q", 1, 16, size, size)
    )
    listed = data[listed_at:end] + record
    start = at + len(local) + size
    count = len(parts) + 1
    ending = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, len(listed), start)
    ending += struct.pack("<4sIQI", b"PK\6\7", 0, start + len(listed), 1) + struct.pack(
        "<4s4H2IH", b"PK\5\6", 0, 0, count, count, len(listed), 0xFFFFFFFF, 0
    )
    with big.open("r+b") as opened_big:
        opened_big.seek(listed_at)
        opened_big.write(local)
        opened_big.truncate(start)
        opened_big.seek(start)
        opened_big.write(listed + ending)
    code = (
        "import resource\nfrom pathlib import Path\nfrom guiju.labelling import first_label, read_file, write_file\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        f"try:\n    write_file(Path({str(big)!r}), Path({str(out)!r}), first_label({OTHER!r}, 'big'))\n    told = read_file(Path({str(out)!r})).produce_id\n"
        "except Exception as error:\n    told = error.code.code\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, told)"
    )
    grown, told = run(sys.executable, "-c", code).split()
    assert int(grown) < 64 * 1024, f"{grown} KiB"
    assert told == "big"
    with zipfile.ZipFile(out) as labelled:
        assert f'"ContentPropagator":"{OTHER}"'.encode() in labelled.read("docProps/custom.xml").replace(b"&quot;", b'"')
    assert out.stat().st_blocks * 512 < 10_000_000, "a hole was filled"


def test_other_readers_see_the_label(tmp_path: Path) -> None:
    if subprocess.run([shutil.which("perl") or "perl", "-MArchive::Zip", "-e1"], capture_output=True, check=False).returncode:
        pytest.skip("NO ARCHIVE::ZIP: exiftool looks into no archive, so no independent reader looked at the labels (make readers)")
    for name in ARCHIVES:
        before, after = tmp_path / f"before-{name}", tmp_path / f"after-{name}"
        before.write_bytes(sample(name))
        write_file(before, after, LABEL)
        shown = exiftool(after)
        assert f'"ContentProducer":"{CODE}"' in shown, name
        assert CODE not in exiftool(before)
        assert "Warning" not in shown
    opened = docx.Document(str(tmp_path / "after-plain.docx"))
    assert opened.paragraphs[0].text == "山高水长 a page"
    book: Any = openpyxl.load_workbook(tmp_path / "after-plain.xlsx")
    assert f'"ContentProducer":"{CODE}"' in str(book.custom_doc_props["AIGC"].value)
    kept = tmp_path / "kept.xlsx"
    book.save(kept)
    assert read(kept.read_bytes()) == LABEL, "the label is not there any more after another program saved the workbook"
    opened.save(str(tmp_path / "kept.docx"))
    assert read((tmp_path / "kept.docx").read_bytes()) == LABEL


@pytest.mark.parametrize("name", ["plain.docx", "plain.odt", "plain.xlsx"])
def test_libreoffice_opens_the_document_and_keeps_the_label(name: str, tmp_path: Path) -> None:
    office = tool("soffice")
    (tmp_path / name).write_bytes(write(sample(name), LABEL))
    ending = name.rpartition(".")[2]
    target = tmp_path / "out"
    run(
        office,
        f"-env:UserInstallation=file://{tmp_path}/profile",
        "--headless",
        "--convert-to",
        ending,
        "--outdir",
        str(target),
        str(tmp_path / name),
    )
    assert read((target / name).read_bytes()) == LABEL
