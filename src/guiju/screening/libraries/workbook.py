"""The keyword library as a workbook (XLSX): what filing forms ask for, opened in LibreOffice or Excel and read back without loss.

Sheet one holds the rows, with lists to choose from; sheet two counts by risk. Every cell is text: one that begins with
`=`, `+`, `-` or `@` is no formula.
"""

import io
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from guiju.core.errors import GuijuError, Text, define
from guiju.screening.libraries.library import COLUMNS, Library, Problem, Row, header_problems, make_library, refuse
from guiju.screening.libraries.workbook_reader import CELL_CHARACTERS, SheetRow, read_workbook
from guiju.screening.risks import RISKS

CELL_TOO_LONG = define(
    "LIBRARY-CELL-LONG",
    status=400,
    kind="invalid_request_error",
    zh=Text("词条“{term}”的 {column} 有 {count} 个字，工作簿的一格最多 {limit} 个。", "没有写出工作簿。", "请导出为 CSV 或 YAML。"),
    en=Text(
        "The {column} of term '{term}' has {count} characters; a cell of a workbook holds {limit} at most.",
        "No workbook was written.",
        "Export CSV or YAML instead.",
    ),
)
SHEET: Final = "词条 keywords"
RISK_SHEET: Final = "风险 risks"
WIDTHS: Final = {"term": 30, "exceptions": 30, "near": 30, "source": 34, "note": 34, "reviewer": 16, "reviewed_on": 14}
_TROUBLES: Final = {
    "formula": ("单元格是公式", "the cell is a formula"),
    "error": ("单元格是错误值", "the cell holds an error value"),
    "long": (f"单元格超过 {CELL_CHARACTERS} 个字", f"the cell has more than {CELL_CHARACTERS} characters"),
}
_CHOICES: Final = {"severity": '"block,flag"', "direction": '"both,input,output"'}
_MUST_ESCAPE: Final = re.compile("_(?=x[0-9A-Fa-f]{4}_)|[\x00-\x08\x0b-\x1f\ufffe\uffff]")


def parse_workbook(raw: bytes, name: str = "library.xlsx") -> Library:
    """Return the library in the sheet whose first row names `term` and `risk`; dates may be dates or text.

    Raises LIBRARY-WORKBOOK for a file that cannot be read, has macros or links, or no such sheet or two of them;
    LIBRARY-INVALID with every mistake and its row, formulas among them.
    """
    rows: list[Row] | None = None
    problems: list[Problem] = []
    wrong: list[Problem] = []  # of the first sheet that nearly is one of terms
    for title, sheet in read_workbook(raw, name):
        first = next(sheet, None)
        header = {cell.column: cell.text.strip() for cell in first.cells if cell.text.strip()} if first is not None else {}
        if first is None or not {"term", "risk"} <= set(header.values()):
            if first is not None and not wrong and set(header.values()) & set(COLUMNS):
                wrong = header_problems(first.line, header.values())
            continue
        if rows is not None:
            refuse(name, [Problem(first.line, "", f"工作表“{title}”是第二张词条表", f"sheet '{title}' is a second sheet of terms")])
        rows = list(_rows_of(first, header, sheet, problems, name))
    if rows is None:
        wanted = ", ".join(COLUMNS)
        refuse(name, wrong or [Problem(1, "", f"没有一张表的首行写有 {wanted}", f"no sheet has a first row that names {wanted}")])
    if problems:
        refuse(name, problems)
    return make_library(rows, name)


def _rows_of(first: SheetRow, header: dict[int, str], sheet: Iterator[SheetRow], problems: list[Problem], name: str) -> Iterator[Row]:
    wrong = header_problems(first.line, header.values())
    if wrong:
        refuse(name, wrong)
    for row in sheet:
        fields: dict[str, str] = {}
        mistakes: list[Problem] = []
        for cell in row.cells:
            column = header.get(cell.column, "")
            if cell.trouble:
                zh, en = _TROUBLES[cell.trouble]
                problems.append(Problem(row.line, column, zh, en))
            elif not cell.text.strip():
                continue
            elif column:
                fields[column] = cell.text.strip()
            else:
                zh, en = f"第 {cell.column} 列有内容，表头却没有列名", f"has a cell in column {cell.column}, which the header does not name"
                mistakes.append(Problem(row.line, "", zh, en))
        if fields or mistakes:
            yield Row(row.line, fields, tuple(mistakes))


def write_workbook(library: Library, least: dict[str, int] | None = None) -> bytes:
    """Return the library as a workbook; `least` gives, for the second sheet, how many terms a risk should have.

    Raises LIBRARY-CELL-LONG where a cell would be cut.
    """
    from openpyxl import Workbook
    from openpyxl.worksheet.datavalidation import DataValidation

    rows = library.rows()
    for fields in rows:  # before a sheet is begun: one that is left half written is never closed
        for column, cell in fields.items():
            if len(_escaped(cell)) > CELL_CHARACTERS:
                raise GuijuError(CELL_TOO_LONG, term=fields["term"], column=column, count=len(cell), limit=CELL_CHARACTERS)
    book = Workbook(write_only=True)
    sheet = book.create_sheet(SHEET)
    sheet.freeze_panes = "A2"
    for place, column in enumerate(COLUMNS):
        letter = _letter(place)
        sheet.column_dimensions[letter].width = WIDTHS.get(column, 12)
        choices = f"'{RISK_SHEET}'!$A$2:$A${len(RISKS) + 1}" if column == "risk" else _CHOICES.get(column, "")
        if choices:
            asked = DataValidation(type="list", formula1=choices, allow_blank=column != "risk")
            asked.error = "请从列表中选择 / choose from the list"
            asked.add(f"{letter}2:{letter}{max(len(rows), 1_000) + 1_000}")
            sheet.data_validations.append(asked)
    sheet.auto_filter.ref = f"A1:{_letter(len(COLUMNS) - 1)}{len(rows) + 1}"
    sheet.append(_line(sheet, COLUMNS, bold=True))
    for fields in rows:
        sheet.append(_line(sheet, [fields[column] for column in COLUMNS]))
    _write_risks(book, library.count_by_risk(), least or {})
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _write_risks(book: Any, counts: dict[str, int], least: dict[str, int]) -> None:
    sheet = book.create_sheet(RISK_SHEET)
    sheet.freeze_panes = "A2"
    for letter, width in zip("ABCDE", (10, 52, 44, 12, 16), strict=True):
        sheet.column_dimensions[letter].width = width
    # The names differ from the columns of the library, so that reading never takes this sheet for one.
    sheet.append(_line(sheet, ["risk", "风险", "risk in English", "terms 条数", "at least 建议"], bold=True))
    for risk in RISKS:
        sheet.append([*_line(sheet, [risk.id, risk.zh, risk.en]), counts.get(risk.id, 0), least.get(risk.id)])
    sheet.append([*_line(sheet, ["", "合计", "total"]), sum(counts.values()), None])


def _line(sheet: Any, texts: Sequence[str], *, bold: bool = False) -> list[Any]:
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.styles import Font

    cells = []
    for text in texts:
        cell = WriteOnlyCell(sheet, None)
        cell.value = _escaped(text)
        cell.data_type = "s"  # setting the value took "=1" for a formula
        if text[:1] in "=+-@" and text:
            cell.quotePrefix = True
        if bold:
            cell.font = Font(bold=True)
        cells.append(cell)
    return cells


def _escaped(text: str) -> str:
    """Return a text as the format writes what XML cannot hold: `_x0001_`, and `_x005F_` for an underscore that would read as one."""
    return _MUST_ESCAPE.sub(lambda found: f"_x{ord(found[0]):04X}_", text)


def _letter(place: int) -> str:
    return chr(ord("A") + place)
