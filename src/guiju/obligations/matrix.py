"""The gap matrix for counsel (DOC-19): a row for each duty and service, with what is assumed, what is missing, and how certain the law is. Pure."""

import csv
import io
from collections.abc import Iterator
from typing import Any, Final

from openpyxl import Workbook
from openpyxl.styles import Alignment, Font
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.properties import PageSetupProperties

from guiju.core.deadlines import last_moment
from guiju.obligations.judging import Light
from guiju.obligations.values import Catalogue, Obligation
from guiju.screening.libraries.library import marked

COLUMNS: Final = (
    "service", "duty", "article", "title_zh", "title_en", "duty_zh", "duty_en", "certainty", "instruments", "periods", "binds", "facts_assumed", "state", "reason_zh", "reason_en", "gap_zh", "gap_en",
    "owner", "due", "evidence", "documents", "penalties", "catalogue",
)  # fmt: skip
_WIDTHS: Final = {
    "title_zh": 28,
    "title_en": 32,
    "duty_zh": 48,
    "duty_en": 48,
    "reason_zh": 40,
    "reason_en": 40,
    "gap_zh": 32,
    "gap_en": 32,
    "instruments": 28,
    "periods": 28,
}

_WIDTH: Final = 14
_LINE_POINTS: Final = 15
_A3: Final = 8


def rows(catalogue: Catalogue, lights: dict[str, list[Light]]) -> Iterator[dict[str, str]]:
    """Yield the rows, service by service, in the order of the Measures."""
    for service, own in lights.items():
        for each in own:
            duty, finding = each.obligation, each.finding
            because = [f"{one.fact}={'|'.join(one.given) or '?'}" for one in each.binding.because]
            yield {
                "service": service,
                "duty": duty.id,
                "article": str(duty.article),
                "title_zh": duty.title.zh,
                "title_en": duty.title.en,
                "duty_zh": duty.duty.zh,
                "duty_en": duty.duty.en,
                "certainty": duty.mark,
                "instruments": "; ".join(f"{hook.law} {hook.at} ({hook.mark})".replace("  ", " ") for hook in duty.hooks),
                "periods": "; ".join(_periods(catalogue, duty)),
                "binds": each.binding.binds,
                "facts_assumed": "; ".join(because),
                "state": each.status,
                "reason_zh": finding.reason.zh,
                "reason_en": finding.reason.en,
                "gap_zh": duty.missing.zh if duty.missing else "",
                "gap_en": duty.missing.en if duty.missing else "",
                "owner": duty.package,
                "due": last_moment(finding.due_at) if finding.due_at else "",
                "evidence": "; ".join(f"{one.what} {one.id}" for one in finding.evidence),
                "documents": " ".join(duty.documents),
                "penalties": " ".join(duty.penalties),
                "catalogue": catalogue.version,
            }


def _periods(catalogue: Catalogue, duty: Obligation) -> Iterator[str]:
    for clock in (catalogue.clocks[name] for name in duty.clocks):
        for limit in clock.limits:
            yield f"{clock.id} {limit.sense} {limit.amount} {limit.unit} ({limit.basis}, {limit.mark})"


def as_csv(catalogue: Catalogue, lights: dict[str, list[Light]]) -> bytes:
    """Return the matrix as CSV with a byte order mark, and no cell that a spreadsheet program takes for a formula."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: marked(cell) for name, cell in row.items()} for row in rows(catalogue, lights))
    return b"\xef\xbb\xbf" + text.getvalue().encode()


def _lines(text: str, width: int) -> int:
    """Return how many lines a text takes in a column; a Chinese character is as wide as two others."""
    return -(-sum(1 + (character >= "\u2e80") for character in text) // max(1, width - 2)) or 1


def as_workbook(catalogue: Catalogue, lights: dict[str, list[Light]]) -> bytes:
    """Return the matrix as a workbook: a head that stays, filters, and a second sheet that says what the marks mean."""
    book = Workbook()
    sheet: Any = book.active
    sheet.title = "DOC-19"
    sheet.append(COLUMNS)
    for row in rows(catalogue, lights):
        sheet.append([marked(row[name]) for name in COLUMNS])
    for place, name in enumerate(COLUMNS, 1):
        sheet.cell(1, place).font = Font(bold=True)
        sheet.column_dimensions[get_column_letter(place)].width = _WIDTHS.get(name, _WIDTH)
    for line in sheet.iter_rows(min_row=2):
        for cell in line:
            cell.alignment = Alignment(vertical="top", wrap_text=True)
        sheet.row_dimensions[line[0].row].height = _LINE_POINTS * max(
            _lines(str(cell.value or ""), _WIDTHS.get(name, _WIDTH)) for cell, name in zip(line, COLUMNS, strict=True)
        )
    sheet.freeze_panes = "C2"
    sheet.print_title_rows, sheet.print_title_cols = "1:1", "A:B"
    sheet.page_setup.orientation, sheet.page_setup.paperSize = "landscape", _A3
    sheet.page_setup.fitToWidth, sheet.page_setup.fitToHeight = 2, 0  # two pages side by side, and as many below as it takes
    sheet.sheet_properties.pageSetUpPr = PageSetupProperties(fitToPage=True)
    sheet.auto_filter.ref = sheet.dimensions
    notes: Any = book.create_sheet("notes")
    for line in (
        ("read", "已读原文 read in the text of the law"),
        ("second_hand", "转述 read where somebody reports it"),
        ("unconfirmed", "未证实 known, not confirmed"),
        ("design", "自定，非法律 our own, not law"),
        ("?", "画像没有回答，按适用处理 no answer in the profile; treated as binding"),
        ("", "本表是工程辅助，不是法律意见 an engineering aid, not legal advice"),
    ):
        notes.append(line)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()
