"""Words in the documents of word processors, spreadsheets, slides and e-books: one element is put in, every other byte of the part stays.

Source: Labelling Measures Art. 4; GB 45438-2025 §5.1.
"""

import posixpath
import re
from typing import Final
from urllib.parse import unquote

from guiju.core.errors import GuijuError
from guiju.labelling.explicit import opendocument
from guiju.labelling.explicit.archive import Archive
from guiju.labelling.explicit.errors import LABEL_MEDIUM, LABEL_NOT_SEEN, LABEL_UNDECODABLE
from guiju.labelling.explicit.xml_parts import Edited, Element, at_places, find_elements, insert, text_of, words
from guiju.labelling.values import ExplicitStyle, Marked

_MAIN: Final = re.compile(r"(wordprocessingml\.(document|template)|ms-word\.(document|template)\.macroEnabled|spreadsheetml\.(sheet|template)|ms-excel\.(sheet|template)\.macroEnabled|presentationml\.(presentation|template|slideshow)|ms-powerpoint\.(presentation|template|slideshow)\.macroEnabled)[.\w]*main\+xml$")  # fmt: skip
_EPUB: Final = b"application/epub+zip"
_EMU_PER_PT: Final = 12_700


def mark_archive(data: bytes, style: ExplicitStyle) -> Marked:
    """Return the document with the words in it. Raises as `media.mark` does."""
    archive = Archive(data)
    edited = _edited(archive, style)
    marked = archive.replaced(edited.parts)
    again = Archive(marked, edited.form)
    if again.names != archive.names or any(again.read(name) != body for name, body in edited.parts.items()):
        raise GuijuError(LABEL_NOT_SEEN, form=edited.form, reason="its parts are not the same", reason_zh="其各部分不一致")
    for name in edited.parts:
        if style.text not in text_of(again.read(name), edited.form):
            raise GuijuError(LABEL_NOT_SEEN, form=edited.form, reason=f"the words are not in {name}", reason_zh=f"{name} 中没有标识文字")
    return Marked(
        data=marked, medium="document", how=f"document;form={edited.form};{edited.where};parts={len(edited.parts)};other_parts=same"
    )


def _edited(archive: Archive, style: ExplicitStyle) -> Edited:
    if "[Content_Types].xml" in archive.names:
        return _ooxml(archive, style)
    kind = archive.read("mimetype").strip() if "mimetype" in archive.names else b""
    if kind in opendocument.KINDS:
        return opendocument.edited(archive, opendocument.KINDS[kind], style)
    if kind == _EPUB:
        return _epub(archive, style)
    raise GuijuError(
        LABEL_MEDIUM,
        form="ZIP",
        reason="it is no DOCX, XLSX, PPTX, ODT, ODS or EPUB",
        reason_zh="它不是 DOCX、XLSX、PPTX、ODT、ODS 或 EPUB",
    )


# ── OOXML ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _ooxml(archive: Archive, style: ExplicitStyle) -> Edited:
    if any(name.lower().startswith("_xmlsignatures/") for name in archive.names):
        raise GuijuError(
            LABEL_MEDIUM, form="OOXML", reason="it is signed, and would be no longer", reason_zh="它有数字签名，改动会使签名失效"
        )
    types = find_elements(archive.read("[Content_Types].xml"), "OOXML", frozenset({"Override"}))
    main = [
        (each.attributes.get("PartName", "").lstrip("/"), found[1])
        for each in types
        if (found := _MAIN.search(each.attributes.get("ContentType", "")))
    ]
    if len(main) != 1:
        raise GuijuError(LABEL_MEDIUM, form="OOXML", reason="it has no main part that guiju knows", reason_zh="没有 guiju 认识的主要部分")
    name, kind = main[0]
    if "word" in kind:
        return _docx(archive, name, style)
    return _xlsx(archive, name, style) if "spreadsheet" in kind or "excel" in kind else _pptx(archive, name, style)


def _related(archive: Archive, name: str, kind: str) -> list[str]:
    """Return the parts that a part points to by relationships of this kind."""
    folder, file = posixpath.split(name)
    links = posixpath.join(folder, "_rels", f"{file}.rels")
    found = find_elements(archive.read(links), "OOXML", frozenset({"Relationship"}))
    targets = [each.attributes.get("Target", "") for each in found if each.attributes.get("Type", "").endswith(f"/{kind}")]
    return [target.lstrip("/") if target.startswith("/") else posixpath.normpath(posixpath.join(folder, target)) for target in targets]


def _docx(archive: Archive, name: str, style: ExplicitStyle) -> Edited:
    data = archive.read(name)
    found = find_elements(data, "DOCX", frozenset({"body", "sectPr"}), depth=2)
    body = _one(found, "body", "DOCX")
    last = [each.start for each in found if each.name == "sectPr" and each.depth == body.depth + 1]
    xml = f'<w:p xmlns:w="{body.space}"><w:pPr><w:jc w:val="center"/></w:pPr><w:r><w:t>{words(style)}</w:t></w:r></w:p>'
    return Edited("DOCX", {name: at_places(data, style, body.inside, last[-1] if last else body.end, xml)}, f"place={style.document_place}")


def _xlsx(archive: Archive, name: str, style: ExplicitStyle) -> Edited:
    """Put the words below the last row of every sheet: a row above the others would move what formulas point to."""
    parts = {}
    for sheet in _related(archive, name, "worksheet"):
        data = archive.read(sheet)
        found = find_elements(data, "XLSX", frozenset({"sheetData", "row"}), depth=2)
        rows = _one(found, "sheetData", "XLSX")
        numbers = [int(each.attributes["r"]) for each in found if each.name == "row" and each.attributes.get("r", "").isdigit()]
        row = max([*numbers, sum(each.name == "row" for each in found)], default=0) + 2
        if row > 1_048_576:
            raise GuijuError(LABEL_MEDIUM, form="XLSX", reason="a sheet is full", reason_zh="工作表已满")
        xml = f'<x:row xmlns:x="{rows.space}" r="{row}"><x:c r="A{row}" t="inlineStr"><x:is><x:t>{words(style)}</x:t></x:is></x:c></x:row>'
        if rows.empty:
            prefix = data[rows.start + 1 : rows.inside].split(b"sheetData")[0].decode()
            parts[sheet] = data[: rows.start] + f"<{prefix}sheetData>".encode() + insert(b"", 0, xml) + f"</{prefix}sheetData>".encode() + data[rows.inside :]  # fmt: skip
        else:
            parts[sheet] = insert(data, rows.end, xml)
    return Edited("XLSX", _some(parts, "XLSX"), "place=below_the_last_row_of_every_sheet")


def _pptx(archive: Archive, name: str, style: ExplicitStyle) -> Edited:
    """Put the words on every slide: each is shown by itself."""
    size = next(iter(find_elements(archive.read(name), "PPTX", frozenset({"sldSz"}))), None)
    width, height = (int(size.attributes.get(each, "0")) for each in ("cx", "cy")) if size else (9_144_000, 6_858_000)
    parts = {}
    for slide in _related(archive, name, "slide"):
        data = archive.read(slide)
        found = find_elements(data, "PPTX", frozenset({"spTree", "cNvPr"}))
        tree = min((each for each in found if each.name == "spTree"), key=lambda each: each.depth, default=None)
        if tree is None or tree.empty:
            raise GuijuError(LABEL_UNDECODABLE, form="PPTX", reason=f"{slide} has no shapes")
        number = max((int(each.attributes["id"]) for each in found if each.attributes.get("id", "").isdigit()), default=1) + 1
        parts[slide] = insert(data, tree.end, _shape(tree.space, number, width, height, style))
    return Edited("PPTX", _some(parts, "PPTX"), f"place={style.place}_of_every_slide")


def _shape(space: str, number: int, width: int, height: int, style: ExplicitStyle) -> str:
    drawing = space.replace("presentationml", "drawingml")
    letter = max(round(0.05 * min(width, height)), 12 * _EMU_PER_PT)
    across, along, margin = min(round(letter * (len(style.text) + 2)), width), round(letter * 1.8), round(0.02 * min(width, height))
    left = width - across - margin if style.place.endswith("right") else margin if style.place.endswith("left") else (width - across) // 2
    top = margin if style.place.startswith("top") else height - along - margin
    return (
        f'<p:sp xmlns:p="{space}" xmlns:a="{drawing}"><p:nvSpPr><p:cNvPr id="{number}" name="guiju explicit label"/><p:cNvSpPr txBox="1"/><p:nvPr/></p:nvSpPr>'
        f'<p:spPr><a:xfrm><a:off x="{max(left, 0)}" y="{max(top, 0)}"/><a:ext cx="{across}" cy="{along}"/></a:xfrm><a:prstGeom prst="rect"><a:avLst/></a:prstGeom>'
        '<a:solidFill><a:srgbClr val="FFFFFF"/></a:solidFill><a:ln w="6350"><a:solidFill><a:srgbClr val="000000"/></a:solidFill></a:ln></p:spPr>'
        '<p:txBody><a:bodyPr wrap="none" lIns="0" tIns="0" rIns="0" bIns="0" anchor="ctr"/><a:lstStyle/><a:p><a:pPr algn="ctr"/>'
        f'<a:r><a:rPr lang="zh-CN" sz="{round(100 * letter / _EMU_PER_PT)}"><a:solidFill><a:srgbClr val="000000"/></a:solidFill></a:rPr><a:t>{words(style)}</a:t></a:r></a:p></p:txBody></p:sp>'
    )


# ── EPUB ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _epub(archive: Archive, style: ExplicitStyle) -> Edited:
    """Put the words into the first or last document of the reading order, or both."""
    if "META-INF/encryption.xml" in archive.names or "META-INF/signatures.xml" in archive.names:
        raise GuijuError(LABEL_MEDIUM, form="EPUB", reason="it is encrypted or signed", reason_zh="它已加密或签名")
    book = next((each.attributes.get("full-path", "") for each in find_elements(archive.read("META-INF/container.xml"), "EPUB", frozenset({"rootfile"}))), "")  # fmt: skip
    found = find_elements(archive.read(book), "EPUB", frozenset({"item", "itemref"}))
    files = {each.attributes.get("id", ""): each.attributes.get("href", "") for each in found if each.name == "item"}
    order = [files[each.attributes["idref"]] for each in found if each.name == "itemref" and each.attributes.get("idref") in files]
    names = [posixpath.normpath(posixpath.join(posixpath.dirname(book), unquote(href.partition("#")[0]))) for href in order]
    if not names:
        raise GuijuError(LABEL_MEDIUM, form="EPUB", reason="it has nothing to read", reason_zh="它没有可读内容")
    parts: dict[str, bytes] = {}
    for name, at_start in ((names[0], True), (names[-1], False)):
        if style.document_place not in ("both", "start" if at_start else "end"):
            continue
        data = parts.get(name) or archive.read(name)
        body = _one(find_elements(data, "EPUB", frozenset({"body"}), depth=1), "body", "EPUB")
        parts[name] = insert(data, body.inside if at_start else body.end, f'<p xmlns="{body.space}">{words(style)}</p>')
    return Edited("EPUB", parts, f"place={style.document_place}")


# ── shared ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _one(found: list[Element], name: str, form: str) -> Element:
    elements = [each for each in found if each.name == name]
    if len(elements) != 1 or (elements[0].empty and name != "sheetData"):
        raise GuijuError(LABEL_UNDECODABLE, form=form, reason=f"it has {len(elements)} elements {name}, or an empty one")
    return elements[0]


def _some(parts: dict[str, bytes], form: str) -> dict[str, bytes]:
    if not parts:
        raise GuijuError(LABEL_MEDIUM, form=form, reason="it has nothing to put the words on", reason_zh="其中没有可放文字之处")
    return parts
