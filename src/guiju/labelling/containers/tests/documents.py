"""Small whole documents, made here by hand: packages, books, pages, and PDF files of every build."""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping

from guiju.labelling.containers.tests import pdfs

WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
SHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml"
SLIDES = "application/vnd.openxmlformats-officedocument.presentationml"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
CUSTOM_TYPE = "application/vnd.openxmlformats-officedocument.custom-properties+xml"
HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'


def archive(entries: Mapping[str, str | bytes], *, comment: bytes = b"", stored: bool = False) -> bytes:
    """Return an archive with these entries in this order; `mimetype` is stored."""
    kept = io.BytesIO()
    with zipfile.ZipFile(kept, "w", zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED) as opened:
        for name, content in entries.items():
            entry = zipfile.ZipInfo(name, (2026, 1, 2, 3, 4, 6))
            entry.compress_type = zipfile.ZIP_STORED if stored or name == "mimetype" else zipfile.ZIP_DEFLATED
            opened.writestr(entry, content)
        opened.comment = comment
    return kept.getvalue()


def unpacked(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        assert opened.testzip() is None
        return {name: opened.read(name) for name in opened.namelist()}


def changed(data: bytes, **entries: str | bytes | None) -> bytes:
    """Return the archive with entries put in, replaced or (None) left out; `custom` stands for docProps/custom.xml and so on."""
    found: dict[str, str | bytes] = dict(unpacked(data))
    for name, content in entries.items():
        path = NAMES.get(name, name)
        if content is None:
            found.pop(path, None)
        else:
            found[path] = content
    return archive(found)


NAMES = {
    "custom": "docProps/custom.xml",
    "types": "[Content_Types].xml",
    "rels": "_rels/.rels",
    "meta": "meta.xml",
    "manifest": "META-INF/manifest.xml",
    "opf": "OEBPS/book.opf",
    "container": "META-INF/container.xml",
}


def types(main: str, kind: str, *more: str) -> str:
    return (
        f'{HEAD}<Types xmlns="{PACKAGE}/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.'
        f'relationships+xml"/><Default Extension="xml" ContentType="application/xml"/><Override PartName="/{main}" ContentType="{kind}"/>'
        + "".join(f'<Override PartName="/{name}" ContentType="{each}"/>' for name, each in (item.split("=") for item in more))
        + "</Types>"
    )


def relationships(*more: tuple[str, str, str]) -> str:
    rows = "".join(f'<Relationship Id="{number}" Type="{OFFICE}/relationships/{kind}" Target="{target}"/>' for number, kind, target in more)
    return f'{HEAD}<Relationships xmlns="{PACKAGE}/relationships">{rows}</Relationships>'


def custom(properties: str) -> str:
    space = f'xmlns="{OFFICE}/custom-properties" xmlns:vt="{OFFICE}/docPropsVTypes"'
    return f"{HEAD}<Properties {space}>{properties}</Properties>"


def a_property(text: str, name: str = "AIGC", pid: int = 2, kind: str = "lpwstr") -> str:
    return f'<property fmtid="{{D5CDD505-2E9C-101B-9397-08002B2CF9AE}}" pid="{pid}" name="{name}"><vt:{kind}>{text}</vt:{kind}></property>'


def docx(kind: str = WORD) -> bytes:
    body = '<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body><w:p><w:r><w:t>山高水长 a page</w:t></w:r></w:p></w:body></w:document>'
    return archive(
        {
            "[Content_Types].xml": types("word/document.xml", kind),
            "_rels/.rels": relationships(("rId1", "officeDocument", "word/document.xml")),
            "word/document.xml": HEAD + body,
        }
    )


def docx_with(properties: str) -> bytes:
    """Return a document whose custom properties are these."""
    return changed(
        docx(),
        custom=custom(properties),
        types=types("word/document.xml", WORD, f"docProps/custom.xml={CUSTOM_TYPE}"),
        rels=relationships(("rId1", "officeDocument", "word/document.xml"), ("rId2", "custom-properties", "docProps/custom.xml")),
    )


def xlsx() -> bytes:
    space = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    sheet = '<sheetData><row r="1"><c r="A1"><v>42</v></c></row></sheetData>'
    return archive(
        {
            "xl/workbook.xml": f'{HEAD}<workbook xmlns="{space}" xmlns:r="{OFFICE}/relationships"><sheets><sheet name="one" sheetId="1" r:id="rId1"/></sheets></workbook>',
            "xl/worksheets/sheet1.xml": f'{HEAD}<worksheet xmlns="{space}">{sheet}</worksheet>',
            "xl/_rels/workbook.xml.rels": relationships(("rId1", "worksheet", "worksheets/sheet1.xml")),
            "_rels/.rels": relationships(("rId1", "officeDocument", "xl/workbook.xml")),
            "[Content_Types].xml": types("xl/workbook.xml", f"{SHEET}.sheet.main+xml", f"xl/worksheets/sheet1.xml={SHEET}.worksheet+xml"),
        }
    )


def pptx() -> bytes:
    space = "http://schemas.openxmlformats.org/presentationml/2006/main"
    return archive(
        {
            "[Content_Types].xml": types("ppt/presentation.xml", f"{SLIDES}.presentation.main+xml"),
            "_rels/.rels": relationships(("rId1", "officeDocument", "/ppt/presentation.xml")),
            "ppt/presentation.xml": f'{HEAD}<p:presentation xmlns:p="{space}"><p:sldSz cx="9144000" cy="6858000"/><p:notesSz cx="6858000" cy="9144000"/></p:presentation>',
        }
    )


META = "urn:oasis:names:tc:opendocument:xmlns:meta:1.0"
OFFICE_ODF = "urn:oasis:names:tc:opendocument:xmlns:office:1.0"


def odf_meta(fields: str, empty: bool = False) -> str:
    body = "<office:meta/>" if empty else f"<office:meta><meta:generator>by hand</meta:generator>{fields}</office:meta>"
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<office:document-meta xmlns:office="{OFFICE_ODF}" xmlns:meta="{META}" office:version="1.2">{body}</office:document-meta>'


def odf_manifest(*more: str) -> str:
    rows = "".join(f'<manifest:file-entry manifest:full-path="{path}" manifest:media-type="{kind}"/>' for path, kind in (("/", "application/vnd.oasis.opendocument.text"), ("content.xml", "text/xml"), *(each.split("=") for each in more)))  # fmt: skip
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0" manifest:version="1.2">{rows}</manifest:manifest>'


def odt() -> bytes:
    spaces = f'xmlns:office="{OFFICE_ODF}" xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"'
    body = "<office:body><office:text><text:p>山高水长 a page</text:p></office:text></office:body>"
    return archive(
        {
            "mimetype": "application/vnd.oasis.opendocument.text",
            "content.xml": f'<?xml version="1.0" encoding="UTF-8"?>\n<office:document-content {spaces} office:version="1.2">{body}</office:document-content>',
            "meta.xml": odf_meta(""),
            "META-INF/manifest.xml": odf_manifest("meta.xml=text/xml"),
        }
    )


def opf(metadata: str, version: str = "3.0") -> str:
    facts = '<dc:identifier id="id">urn:uuid:1</dc:identifier><dc:title>a book</dc:title><dc:language>zh</dc:language><meta property="dcterms:modified">2026-01-02T03:04:05Z</meta>'
    items = '<manifest><item id="one" href="one.xhtml" media-type="application/xhtml+xml"/></manifest><spine><itemref idref="one"/></spine>'
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<package xmlns="http://www.idpf.org/2007/opf" version="{version}" unique-identifier="id"><metadata xmlns:dc="http://purl.org/dc/elements/1.1/">{facts}{metadata}</metadata>{items}</package>'


def epub() -> bytes:
    rootfile = '<rootfile full-path="OEBPS/book.opf" media-type="application/oebps-package+xml"/>'
    return archive(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": f'<?xml version="1.0"?>\n<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>{rootfile}</rootfiles></container>',
            "OEBPS/book.opf": opf(""),
            "OEBPS/one.xhtml": '<html xmlns="http://www.w3.org/1999/xhtml"><head><title>one</title></head><body><p>山高水长</p></body></html>',
        }
    )


PAGE = """<!DOCTYPE html>
<html lang="zh">
<head>
<meta charset="utf-8">
<title>a page</title>
<script>var less = 1 < 2;</script>
</head>
<body><p>山高水长</p></body>
</html>
"""
TEXT = "---\ntitle: a page   # a comment\ntags: [one, 'two']\n---\n\n# 山高水长\n\n---\n\nwords\n"

MADE: dict[str, Callable[[], bytes]] = {
    "plain.docx": docx,
    "plain.xlsx": xlsx,
    "plain.pptx": pptx,
    "plain.odt": odt,
    "plain.epub": epub,
    "plain.html": PAGE.encode,
    "plain.md": TEXT.encode,
    "plain.pdf": pdfs.plain,
    "packed.pdf": pdfs.packed,
    "hybrid.pdf": pdfs.hybrid,
}


def zip64(entries: Mapping[str, bytes]) -> bytes:
    """Return an archive in the large form throughout, with sizes behind the data, as a writer makes it that cannot go back."""
    body, listed = b"", b""
    for name, content in entries.items():
        at, crc, size = len(body), zlib.crc32(content), len(content)
        full = 0xFFFFFFFF
        facts = struct.pack("<4H", 8, 0, 0, 0x21)
        body += b"PK\3\4" + struct.pack("<H", 45) + facts + struct.pack("<3I2H", 0, full, full, len(name), 20) + name.encode()
        body += struct.pack("<2H2Q", 1, 16, 0, 0) + content + b"PK\7\10" + struct.pack("<I2Q", crc, size, size)
        listed += b"PK\1\2" + struct.pack("<2H", 45, 45) + facts + struct.pack("<3I5H2I", crc, full, full, len(name), 28, 0, 0, 0, 0, full)
        listed += name.encode() + struct.pack("<2H3Q", 1, 24, size, size, at)
    end64 = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, len(entries), len(entries), len(listed), len(body))
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, len(body) + len(listed), 1)
    return body + listed + end64 + locator + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
