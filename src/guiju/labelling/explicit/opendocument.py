"""Words in OpenDocument: at the ends of a text and below the last row of every sheet.

Source: Labelling Measures Art. 4; GB 45438-2025 §5.1; OASIS OpenDocument 1.3 part 3.
"""

import re
from typing import Final

from guiju.core.errors import GuijuError
from guiju.labelling.explicit.archive import Archive
from guiju.labelling.explicit.errors import LABEL_MEDIUM
from guiju.labelling.explicit.xml_parts import Edited, Element, at_places, find_elements, insert, words
from guiju.labelling.values import ExplicitStyle

_MEDIA: Final = b"application/vnd.oasis.opendocument."
KINDS: Final = {
    _MEDIA + name + template: form for name, form in ((b"text", "ODT"), (b"spreadsheet", "ODS")) for template in (b"", b"-template")
}
"""Media type → form."""
_BODIES: Final = {"ODT": "text", "ODS": "spreadsheet"}
_PRELUDE: Final = frozenset({"forms", "tracked-changes", "variable-decls", "sequence-decls", "user-field-decls", "dde-connection-decls", "alphabetical-index-auto-mark-file", "soft-page-break"})  # fmt: skip
_NS: Final = "urn:oasis:names:tc:opendocument:xmlns:"
_REPEATED: Final = re.compile(rb"(:number-rows-repeated\s*=\s*[\"'])(\d{1,7})")


def edited(archive: Archive, form: str, style: ExplicitStyle) -> Edited:
    """Return the parts of a document with words in them. Raises GuijuError LABEL-MEDIUM, LABEL-UNDECODABLE."""
    if any(name.startswith("META-INF/") and "signatures" in name for name in archive.names):
        raise GuijuError(LABEL_MEDIUM, form=form, reason="it is signed, and would be no longer", reason_zh="它有数字签名，改动会使签名失效")
    if b"encryption-data" in archive.read("META-INF/manifest.xml"):
        raise GuijuError(LABEL_MEDIUM, form=form, reason="it is encrypted", reason_zh="它已加密")
    data = archive.read("content.xml")
    bodies = find_elements(data, form, frozenset({_BODIES[form]}), depth=2)
    body = next((each for each in bodies if each.depth == 2 and each.space == f"{_NS}office:1.0"), None)
    if body is None or body.empty:
        raise GuijuError(LABEL_MEDIUM, form=form, reason="it has no content", reason_zh="它没有内容")
    if form == "ODT":
        return _text(data, body, style)
    return _sheets(data, style)


def _text(data: bytes, body: Element, style: ExplicitStyle) -> Edited:
    below = [each for each in find_elements(data, "ODT", _PRELUDE, depth=3) if each.depth == 3]
    behind = max((_end_of(data, each) for each in below), default=body.inside)
    xml = f'<t:p xmlns:t="{_NS}text:1.0">{words(style)}</t:p>'
    return Edited("ODT", {"content.xml": at_places(data, style, behind, body.end, xml)}, f"place={style.document_place}")


def _end_of(data: bytes, element: Element) -> int:
    return element.inside if element.empty else data.index(b">", element.end) + 1


# ── sheets ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _sheets(data: bytes, style: ExplicitStyle) -> Edited:
    """Put the words below the last row of every sheet that holds something: a row above would move what formulas point to."""
    found = find_elements(data, "ODS", frozenset({"table", "table-row", "table-cell", "p", "frame"}))
    tables = [each for each in found if each.name == "table" and each.depth == 3]
    if not tables or any(each.name == "table" and each.depth > 3 for each in found) or any(each.empty for each in tables):
        raise GuijuError(LABEL_MEDIUM, form="ODS", reason="it has no sheets, an empty one, or a table inside of a cell", reason_zh="没有工作表，有空表，或单元格中有表格")  # fmt: skip
    cell = f'<b:table-cell o:value-type="string"><t:p>{words(style)}</t:p></b:table-cell>'
    row = f'<b:table-row xmlns:b="{_NS}table:1.0"><b:table-cell/></b:table-row><b:table-row xmlns:b="{_NS}table:1.0" xmlns:o="{_NS}office:1.0" xmlns:t="{_NS}text:1.0">{cell}</b:table-row>'
    for table in sorted(tables, key=lambda each: each.start, reverse=True):  # from behind: places before stay what they are
        inside = [each for each in found if table.inside <= each.start < table.end]
        rows = sorted((each for each in inside if each.name == "table-row"), key=lambda each: each.start)
        holding = max((each.start for each in inside if _holds(each)), default=-1)
        last = next((each for each in rows if each.inside <= holding < each.end), None)
        at = _end_of(data, last) if last else rows[0].start if rows else table.end
        rest = next((each for each in rows if each.start >= at and _repeats(each) > 2), None)
        if rest is not None:  # what fills the sheet up to its last row gives way
            tag = _REPEATED.sub(lambda match: match[1] + str(int(match[2]) - 2).encode(), data[rest.start : rest.inside], count=1)
            data = data[: rest.start] + tag + data[rest.inside :]
        data = insert(data, at, row)
    return Edited("ODS", {"content.xml": data}, "place=below_the_last_row_of_every_sheet")


def _holds(element: Element) -> bool:
    return element.name in ("p", "frame") or any(name.endswith("\nvalue-type") for name in element.attributes)


def _repeats(row: Element) -> int:
    found = row.attributes.get(f"{_NS}table:1.0\nnumber-rows-repeated", "1")
    return int(found) if found.isdecimal() and len(found) < 8 else 1
