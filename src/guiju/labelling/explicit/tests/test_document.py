"""Words in documents: where readers see them, nothing else lost; what programs read, and what is signed or hidden, is refused."""

import io
import random
import shutil
import subprocess
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from guiju.core.errors import GuijuError
from guiju.labelling.explicit.archive import Archive
from guiju.labelling.explicit.media import mark
from guiju.labelling.explicit.tests.canvas import STYLE, code_of, facts, needs_font
from guiju.labelling.explicit.xml_parts import find_elements, text_of
from guiju.labelling.values import ExplicitStyle

pypdf = pytest.importorskip("pypdf", reason="pypdf is not installed (guiju[documents]), so PDF cannot be made or marked")

WORDS = "（人工智能生成）"
BOTH = ExplicitStyle(document_place="both")
W, P, A, R = (f"http://schemas.openxmlformats.org/{name}" for name in ("wordprocessingml/2006/main", "presentationml/2006/main", "drawingml/2006/main", "officeDocument/2006/relationships"))  # fmt: skip
TYPES = '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Override PartName="/{part}" ContentType="application/vnd.openxmlformats-officedocument.{kind}.main+xml"/></Types>'
LINKS = '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{links}</Relationships>'


def archive(parts: dict[str, str | bytes], *, stored: tuple[str, ...] = ("mimetype",)) -> bytes:
    """Return a ZIP of these parts."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for name, body in parts.items():
            file.writestr(name, body, zipfile.ZIP_STORED if name in stored else zipfile.ZIP_DEFLATED)
    return out.getvalue()


def docx(body: str = "<w:p><w:r><w:t>河</w:t></w:r></w:p><w:sectPr/>", **more: str) -> bytes:
    document = f'<?xml version="1.0" encoding="UTF-8"?><w:document xmlns:w="{W}"><w:body>{body}</w:body></w:document>'
    return archive({"[Content_Types].xml": TYPES.format(part="word/document.xml", kind="wordprocessingml.document"), "word/document.xml": document, "word/media/image1.png": b"\x89PNG" * 100, **more})  # fmt: skip


def pptx() -> bytes:
    slide = f'<p:sld xmlns:p="{P}" xmlns:a="{A}"><p:cSld><p:spTree><p:nvGrpSpPr><p:cNvPr id="7" name=""/></p:nvGrpSpPr></p:spTree></p:cSld></p:sld>'
    links = "".join(f'<Relationship Id="r{place}" Type="{R}/slide" Target="slides/slide{place}.xml"/>' for place in (1, 2))
    return archive({
        "[Content_Types].xml": TYPES.format(part="ppt/presentation.xml", kind="presentationml.presentation"),
        "ppt/presentation.xml": f'<p:presentation xmlns:p="{P}"><p:sldSz cx="12192000" cy="6858000"/></p:presentation>',
        "ppt/_rels/presentation.xml.rels": LINKS.format(links=links), "ppt/slides/slide1.xml": slide, "ppt/slides/slide2.xml": slide,
    })  # fmt: skip


def xlsx() -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in ((1, 2), (3, "=SUM(A1:A1)")):
        sheet.append(row)
    book.create_sheet("empty")
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def odt(text: str = '<t:sequence-decls><t:sequence-decl t:name="a"/></t:sequence-decls><t:p>河</t:p>', **more: str | bytes) -> bytes:
    spaces = 'xmlns:o="urn:oasis:names:tc:opendocument:xmlns:office:1.0" xmlns:t="urn:oasis:names:tc:opendocument:xmlns:text:1.0"'
    content = f"<o:document-content {spaces}><o:body><o:text>{text}</o:text></o:body></o:document-content>"
    return archive({"mimetype": "application/vnd.oasis.opendocument.text", "content.xml": content, "META-INF/manifest.xml": "<m/>", **more})


SPACES = " ".join(f'xmlns:{short}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"' for short, name in (("o", "office"), ("t", "text"), ("b", "table")))  # fmt: skip
SHEET = (
    '<b:table b:name="a"><b:table-row><b:table-cell o:value-type="string"><t:p>河</t:p></b:table-cell></b:table-row>'
    '<b:table-row b:number-rows-repeated="1048575"><b:table-cell/></b:table-row></b:table><b:table b:name="b"><b:table-row/></b:table>'
)
MANIFEST = '<m:manifest xmlns:m="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0" m:version="1.2"><m:file-entry m:full-path="/" m:media-type="application/vnd.oasis.opendocument.{kind}"/><m:file-entry m:full-path="content.xml" m:media-type="text/xml"/></m:manifest>'  # fmt: skip


def opendocument(kind: str, inside: str) -> bytes:
    content = f'<o:document-content {SPACES} o:version="1.2"><o:body><o:{kind}>{inside}</o:{kind}></o:body></o:document-content>'
    return archive({"mimetype": f"application/vnd.oasis.opendocument.{kind}", "content.xml": content, "META-INF/manifest.xml": MANIFEST.format(kind=kind)})  # fmt: skip


def ods() -> bytes:
    return opendocument("spreadsheet", SHEET)


def epub() -> bytes:
    page = '<?xml version="1.0"?><!DOCTYPE html><html xmlns="http://www.w3.org/1999/xhtml"><head><title>t</title></head><body class="x > y"><p>{}</p></body></html>'
    return archive({
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": '<container><rootfiles><rootfile full-path="OEBPS/book.opf"/></rootfiles></container>',
        "OEBPS/book.opf": '<package><manifest><item id="a" href="one.xhtml"/><item id="b" href="two%20.xhtml"/></manifest><spine><itemref idref="a"/><itemref idref="b"/></spine></package>',
        "OEBPS/one.xhtml": page.format("one"), "OEBPS/two .xhtml": page.format("two"),
    })  # fmt: skip


def pdf(*, pages: int = 2, streams: bool = False, rotate: int = 0, info: bool = True) -> bytes:
    """Return a PDF, its index a table or a stream."""
    writer = pypdf.PdfWriter()
    for _ in range(pages):
        page = writer.add_blank_page(595, 842)
        if rotate:
            page.rotate(rotate)
    if info:
        writer.add_metadata({"/Title": "a river", "/AIGC": '{"Label":"1"}'})
    out = io.BytesIO()
    writer.write(out)
    data = out.getvalue()
    if streams:
        if shutil.which("qpdf") is None:
            pytest.skip("no qpdf on this machine: a PDF with object streams cannot be made")
        data = _qpdf(data)
    return data


def _qpdf(data: bytes) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder, "a.pdf"), Path(folder, "b.pdf")
        before.write_bytes(data)
        subprocess.run(["qpdf", "--object-streams=generate", str(before), str(after)], check=True)
        return after.read_bytes()


OFFICE: list[tuple[str, Any, list[str]]] = [
    ("DOCX", docx, ["word/document.xml"]), ("XLSX", xlsx, ["xl/worksheets/sheet1.xml", "xl/worksheets/sheet2.xml"]),
    ("PPTX", pptx, ["ppt/slides/slide1.xml", "ppt/slides/slide2.xml"]), ("ODT", odt, ["content.xml"]), ("ODS", ods, ["content.xml"]), ("EPUB", epub, ["OEBPS/two .xhtml"]),
]  # fmt: skip


@pytest.mark.parametrize(("form", "make", "parts"), OFFICE, ids=[each[0] for each in OFFICE])
def test_the_words_are_in_and_all_other_parts_stay_byte_for_byte(form: str, make: Any, parts: list[str]) -> None:
    data = make()
    marked = mark(data, STYLE)
    assert marked.medium == "document"
    assert facts(marked.how)["form"] == form
    with zipfile.ZipFile(io.BytesIO(data)) as before, zipfile.ZipFile(io.BytesIO(marked.data)) as after:
        assert after.testzip() is None
        assert after.namelist() == before.namelist()
        changed = [name for name in before.namelist() if before.read(name) != after.read(name)]
        assert changed == parts
        for name in parts:
            assert WORDS in text_of(after.read(name), form)
        for name in set(before.namelist()) - set(parts):
            old, new = before.getinfo(name), after.getinfo(name)
            assert (old.compress_type, old.compress_size, old.date_time, old.external_attr) == (new.compress_type, new.compress_size, new.date_time, new.external_attr)  # fmt: skip


@pytest.mark.parametrize(("make", "old"), [(docx, "河"), (odt, "河"), (epub, "two")])
@pytest.mark.parametrize("place", ["start", "end", "both"])
def test_the_words_stand_at_their_place(make: Any, old: str, place: Any) -> None:
    opened = Archive(mark(make(), ExplicitStyle(document_place=place)).data)
    texts = [text_of(opened.read(name), "") for name in opened.names if name.endswith(("document.xml", "content.xml", ".xhtml"))]
    whole = "".join(texts).replace("t", "") if make is epub else "".join(texts)
    assert whole.count(WORDS) == (2 if place == "both" else 1)
    assert whole.strip().startswith(WORDS) == (place != "end")
    assert whole.strip().endswith(WORDS) == (place != "start")


def test_openpyxl_reads_the_sheet_and_its_formula() -> None:
    book = openpyxl.load_workbook(io.BytesIO(mark(xlsx(), STYLE).data))
    assert [[cell.value for cell in row] for row in book.worksheets[0].iter_rows()] == [
        [1, 2],
        [3, "=SUM(A1:A1)"],
        [None, None],
        [WORDS, None],
    ]
    assert book.worksheets[1]["A2"].value == WORDS


def test_a_sheet_that_is_filled_up_stays_as_long_as_it_was() -> None:
    content = Archive(mark(ods(), STYLE).data).read("content.xml").decode()
    first, second = content.split('<b:table b:name="b">')
    assert 'b:number-rows-repeated="1048573"' in first
    assert first.index("河") < first.index("&#20154;") < first.index("number-rows-repeated")
    assert second.count("&#20154;") == 1


@pytest.mark.parametrize(
    "data",
    [
        opendocument("spreadsheet", SHEET.replace("<t:p>河</t:p>", "<b:table><b:table-row/></b:table>")),
        opendocument("presentation", "<t:p/>"),
    ],
)
def test_a_table_inside_of_a_cell_and_slides_are_refused(data: bytes) -> None:
    with pytest.raises(GuijuError) as caught:
        mark(data, STYLE)
    assert code_of(caught) == "LABEL-MEDIUM"


def test_a_shape_on_a_slide_has_a_number_of_its_own() -> None:
    slide = Archive(mark(pptx(), STYLE).data).read("ppt/slides/slide1.xml").decode()
    assert 'id="8" name="guiju explicit label"' in slide
    assert slide.endswith("</p:spTree></p:cSld></p:sld>")


@pytest.mark.parametrize(("name", "make"), [("a.docx", docx), ("a.odt", odt), ("a.xlsx", xlsx), ("a.ods", ods)])
def test_libreoffice_shows_the_words(tmp_path: Path, name: str, make: Any) -> None:
    office = shutil.which("soffice")
    if office is None or shutil.which("pdftotext") is None:
        pytest.skip("no LibreOffice or no pdftotext on this machine: nobody else opened the document")
    if name == "a.docx":
        data = mark(_whole_docx(), STYLE).data
    elif name == "a.odt":
        data = mark(odt(**{"META-INF/manifest.xml": MANIFEST.format(kind="text")}), STYLE).data
    else:
        data = mark(make(), STYLE).data
    (tmp_path / name).write_bytes(data)
    subprocess.run([office, f"-env:UserInstallation=file://{tmp_path}/profile", "--headless", "--convert-to", "pdf", "--outdir", str(tmp_path), str(tmp_path / name)], check=True, capture_output=True, timeout=120)  # fmt: skip
    shown = subprocess.run(["pdftotext", str(tmp_path / "a.pdf"), "-"], check=True, capture_output=True, text=True).stdout
    assert WORDS in shown


def _whole_docx() -> bytes:
    return docx(**{"_rels/.rels": LINKS.format(links=f'<Relationship Id="r1" Type="{R}/officeDocument" Target="word/document.xml"/>')})


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (docx(**{"_xmlsignatures/sig1.xml": "<a/>"}), "LABEL-MEDIUM"),
        (odt(**{"META-INF/documentsignatures.xml": "<a/>"}), "LABEL-MEDIUM"),
        (odt(**{"META-INF/manifest.xml": "<encryption-data/>"}), "LABEL-MEDIUM"),
        (docx(body="<w:p>"), "LABEL-UNDECODABLE"),
        (archive({"a.txt": "text"}), "LABEL-MEDIUM"),
        (archive({"[Content_Types].xml": '<!DOCTYPE a [<!ENTITY b "c">]><Types/>'}), "LABEL-UNDECODABLE"),
        (b"PK\3\4" + b"x" * 100, "LABEL-UNDECODABLE"),
    ],
)  # fmt: skip
def test_an_archive_that_cannot_be_labelled_is_refused(data: bytes, code: str) -> None:
    with pytest.raises(GuijuError) as caught:
        mark(data, STYLE)
    assert code_of(caught) == code


def test_a_bomb_in_an_archive_is_not_unpacked() -> None:
    data = docx(body="<w:p/>" + " " * (65 * 2**20))
    assert len(data) < 2**20
    with pytest.raises(GuijuError) as caught:
        mark(data, STYLE)
    assert code_of(caught) == "LABEL-TOO-LARGE"


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_parts_of_one_name_are_refused() -> None:
    out = io.BytesIO(docx())
    with zipfile.ZipFile(out, "a") as file:
        file.writestr("word/document.xml", f'<w:document xmlns:w="{W}"><w:body><w:p/></w:body></w:document>')
    with pytest.raises(GuijuError) as caught:
        mark(out.getvalue(), STYLE)
    assert code_of(caught) == "LABEL-UNDECODABLE"


# ── PDF ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@needs_font
@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
def test_every_page_of_a_pdf_has_the_words_and_the_original_bytes_stay(streams: bool, rotate: int) -> None:
    data = pdf(streams=streams, rotate=rotate)
    marked = mark(data, STYLE)
    assert marked.data.startswith(data)
    assert float(facts(marked.how)["letter_pt"]) >= 9
    reader = pypdf.PdfReader(io.BytesIO(marked.data), strict=True)
    assert [WORDS in page.extract_text() for page in reader.pages] == [True, True]
    assert reader.metadata["/AIGC"] == '{"Label":"1"}'
    assert reader.metadata.title == "a river"
    again = mark(marked.data, STYLE).data
    assert [page.extract_text().count(WORDS) for page in pypdf.PdfReader(io.BytesIO(again)).pages] == [2, 2]


@needs_font
@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("rotate", [0, 90])
def test_others_read_the_pdf_and_see_the_words(tmp_path: Path, streams: bool, rotate: int) -> None:
    if shutil.which("qpdf") is None or shutil.which("pdftoppm") is None:
        pytest.skip("no qpdf or no pdftoppm on this machine: nobody else opened the PDF")
    (tmp_path / "a.pdf").write_bytes(mark(pdf(streams=streams, rotate=rotate), STYLE).data)
    subprocess.run(["qpdf", "--check", str(tmp_path / "a.pdf")], check=True, capture_output=True)
    shown = subprocess.run(["pdftotext", str(tmp_path / "a.pdf"), "-"], check=True, capture_output=True, text=True)
    assert shown.stdout.count(WORDS) == 2
    told = subprocess.run(["pdfinfo", "-custom", str(tmp_path / "a.pdf")], check=True, capture_output=True, text=True).stdout
    assert "AIGC" in told
    assert "a river" in told
    assert not shown.stderr
    drawn = subprocess.run(["pdftoppm", "-r", "72", "-png", "-singlefile", str(tmp_path / "a.pdf"), str(tmp_path / "a")], check=True, capture_output=True)  # fmt: skip
    assert not drawn.stderr
    from guiju.labelling.explicit.tests.canvas import pixels

    page = pixels((tmp_path / "a.png").read_bytes(), "L")
    assert page[-40:, -120:].min() < 100
    assert page[:-60].min() > 250


@needs_font
def test_a_pdf_that_cannot_be_labelled_is_refused() -> None:
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(pdf()))
    writer.encrypt("secret", algorithm="RC4-128")
    hidden = io.BytesIO()
    writer.write(hidden)
    signed = pypdf.PdfWriter(clone_from=io.BytesIO(pdf()))
    signed.root_object[pypdf.generic.NameObject("/AcroForm")] = pypdf.generic.DictionaryObject({pypdf.generic.NameObject("/SigFlags"): pypdf.generic.NumberObject(3)})  # fmt: skip
    sealed = io.BytesIO()
    signed.write(sealed)
    tiny = pypdf.PdfWriter()
    tiny.add_blank_page(50, 50)
    small = io.BytesIO()
    tiny.write(small)
    data = pdf()
    for found, code in ((hidden.getvalue(), "LABEL-MEDIUM"), (sealed.getvalue(), "LABEL-MEDIUM"), (small.getvalue(), "LABEL-TOO-SMALL"), (data[: len(data) // 2], "LABEL-UNDECODABLE"), (b"%PDF-1.7\n", "LABEL-UNDECODABLE")):  # fmt: skip
        with pytest.raises(GuijuError) as caught:
            mark(found, STYLE)
        assert code_of(caught) == code


@needs_font
@pytest.mark.parametrize("make", [pdf, docx, xlsx, pptx, odt, epub])
def test_a_cut_or_spoilt_document_is_refused_or_marked_and_nothing_else(make: Any) -> None:
    data = make()
    chance = random.Random(5)
    for _ in range(60):
        spoilt = bytearray(data[: chance.randint(1, len(data))] if chance.random() < 0.3 else data)
        for _ in range(chance.randint(0, 4)):
            spoilt[chance.randrange(len(spoilt))] = chance.randrange(256)
        try:
            marked = mark(bytes(spoilt), STYLE).data
        except GuijuError:
            continue
        assert marked != bytes(spoilt)


# ── text and pages ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("before", "place", "after"),
    [
        ("A river.\n", "end", f"A river.\n\n{WORDS}\n"),
        ("A river.", "start", f"{WORDS}\n\nA river."),
        ("a\r\nb\r\n", "both", f"{WORDS}\r\n\r\na\r\nb\r\n\r\n{WORDS}\r\n"),
        ("\ufeff河\n", "start", f"\ufeff{WORDS}\n\n河\n"),
        ("---\ntitle: a\n---\n# A\n", "start", f"---\ntitle: a\n---\n\n{WORDS}\n\n# A\n"),
        ("Look:\n```\ncode\n```\n", "end", f"Look:\n```\ncode\n```\n\n{WORDS}\n"),
        ("Look:\n```\ncode\n", "end", f"{WORDS}\n\nLook:\n```\ncode\n"),
    ],
)  # fmt: skip
def test_plain_text(before: str, place: Any, after: str) -> None:
    assert mark(before.encode(), ExplicitStyle(document_place=place)).data.decode() == after


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1}',
        "[1, 2]",
        "a,b\n1,2\n3,4\n",
        "a\tb\n1\t2\n",
        '<?xml version="1.0"?><a/>',
        "<!DOCTYPE a><a/>",
        "#!/bin/sh\nls\n",
        '{"a": 1}\n{"a": 2}\n',
    ],
)
def test_what_programs_read_is_refused(text: str) -> None:
    with pytest.raises(GuijuError) as caught:
        mark(text.encode(), STYLE)
    assert code_of(caught) == "LABEL-MEDIUM"


@pytest.mark.parametrize("text", ["A river, wide and slow.\nIt runs, as it always did, to the sea.\n", "One line, one comma."])
def test_prose_is_no_table(text: str) -> None:
    assert mark(text.encode(), STYLE).data.decode().endswith(f"{WORDS}\n")


def test_an_open_code_block_and_words_at_both_ends_cannot_be() -> None:
    with pytest.raises(GuijuError) as caught:
        mark(b"Look:\n```\ncode\n", BOTH)
    assert code_of(caught) == "LABEL-MEDIUM"


PAGE = '<!doctype html><html><head><title>t</title><script>"</body>"</script></head><body class=x><p>河</p><!-- </body> --></body></html>'


@pytest.mark.parametrize("charset", ["utf-8", "gbk"])
def test_a_page_in_any_charset(charset: str) -> None:
    data = PAGE.encode(charset)
    marked = mark(data, BOTH).data
    paragraph = b'<p class="guiju-explicit-label">&#65288;&#20154;&#24037;&#26234;&#33021;&#29983;&#25104;&#65289;</p>'
    begin, end = data.index(b"<p>"), data.rindex(b"</body>")
    assert marked == data[:begin] + paragraph + data[begin:end] + paragraph + data[end:]


@pytest.mark.parametrize(
    "text",
    ["<html><body>a<script>var b", "<html><body>a<!-- b", "<html><body><textarea>a", '<html><body>a<img alt="b', "<html><head><title>a"],
)
def test_words_that_nobody_would_see_are_refused(text: str) -> None:
    with pytest.raises(GuijuError) as caught:
        mark(text.encode(), STYLE)
    assert code_of(caught) == "LABEL-NOT-SEEN"


def test_a_page_without_a_body_tag_gets_the_words_at_its_end_only() -> None:
    text = b"<!doctype html><h1>A</h1>\n<p>b"
    assert mark(text, STYLE).data.startswith(text + b"<p ")
    with pytest.raises(GuijuError) as caught:
        mark(text, BOTH)
    assert code_of(caught) == "LABEL-MEDIUM"


def test_a_part_that_a_long_namespace_would_multiply_is_refused() -> None:
    part = b'<a xmlns="' + b"u" * 9_000 + b'"/>'
    with pytest.raises(GuijuError, match="namespace"):
        find_elements(part, "DOCX", frozenset({"a"}))
