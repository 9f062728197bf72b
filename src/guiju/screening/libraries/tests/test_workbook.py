"""Workbooks: rows in are rows out, every mistake has its row, and a hostile file takes nothing and costs little."""

import io
import time
import tracemalloc
import zipfile
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook, load_workbook

from guiju.core.errors import GuijuError
from guiju.screening.libraries import workbook, workbook_reader
from guiju.screening.libraries.formats import Form, read_library, write_library
from guiju.screening.libraries.library import COLUMNS, Library, Row, make_library, starter_library
from guiju.screening.libraries.workbook import RISK_SHEET, SHEET, parse_workbook, write_workbook
from guiju.screening.libraries.workbook_reader import WORKBOOK_REFUSED

ROW = '<row r="{r}"><c r="A{r}" t="inlineStr"><is><t>{term}</t></is></c><c r="B{r}" t="inlineStr"><is><t>A.1.h</t></is></c></row>'
HEADER = ROW.replace("{term}", "term").replace("A.1.h", "risk").format(r=1)
CELLS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
FORMS: list[Form] = ["csv", "xlsx", "yaml"]


def _sheet(rows: str, *, head: str = "", **parts: str) -> bytes:
    """Return the smallest workbook around a sheet; `parts` are further files, `__` standing for `/`."""
    space = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as book:
        kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
        book.writestr("_rels/.rels", f'<R><Relationship Id="a" Type="{kind}/officeDocument" Target="xl/workbook.xml"/></R>')
        book.writestr(
            "xl/workbook.xml", f'<workbook {space} xmlns:r="{kind}"><sheets><sheet name="s" sheetId="1" r:id="x"/></sheets></workbook>'
        )
        book.writestr("xl/_rels/workbook.xml.rels", f'<R><Relationship Id="x" Type="{kind}/worksheet" Target="worksheets/s.xml"/></R>')
        book.writestr("xl/worksheets/s.xml", f"{head}<worksheet {space}><sheetData>{rows}</sheetData></worksheet>")
        for name, text in parts.items():
            book.writestr(name.replace("__", "/"), text)
    return out.getvalue()


def _library(**fields: str) -> Library:
    return make_library([Row(1, {"term": "一个词条", "risk": "A.1.h", **fields})], "x")


def _refusal(raw: bytes) -> str:
    with pytest.raises(GuijuError) as raised:
        parse_workbook(raw, "x.xlsx")
    assert raised.value.code is WORKBOOK_REFUSED
    return str(raised.value.facts["reason"])


def _outcome(raw: bytes) -> str:
    try:
        return "read" if parse_workbook(raw).csv else ""
    except GuijuError as problem:
        return problem.code.code


def _lines(raw: bytes) -> list[tuple[int, str]]:
    with pytest.raises(GuijuError) as raised:
        parse_workbook(raw, "x.xlsx")
    return [(problem.line, problem.column_name) for problem in raised.value.facts["problems"]]


# ── rows in are rows out ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("form", FORMS)
def test_the_starter_library_comes_back_the_same(form: Form) -> None:
    library = starter_library()
    again = read_library(f"x.{form}", write_library(library, form))
    assert (again.version, again.csv) == (library.version, library.csv)


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=4))
def test_any_text_comes_back_the_same(form: Form, texts: list[tuple[str, str, str]]) -> None:
    # Guarded lines: `marked` and `_unmarked` in library.py, `_escaped` in workbook.py, `_ESCAPED` in workbook_reader.py.
    rows = [
        Row(place, {"term": f"词条{place}号", "risk": "A.1.h", "source": a.strip(), "reviewer": b.strip(), "note": c.strip()})
        for place, (a, b, c) in enumerate(texts)
    ]
    library = make_library(rows, "x")
    assert read_library(f"x.{form}", write_library(library, form)).rows() == library.rows()


@pytest.mark.parametrize("note", ["=1+1", "+86", "-5", "@name", "'=x", "''@", "_x0041_", "\x01", "a\nb", "_x005F_", "'"])
@pytest.mark.parametrize("form", FORMS)
def test_a_cell_like_a_formula_is_text_and_comes_back(form: Form, note: str) -> None:
    library = _library(note=note, term="@" + "词条", source=note)
    raw = write_library(library, form)
    again = read_library(f"x.{form}", raw)
    assert again.version == library.version
    assert again.rows()[0]["note"] == note
    if form == "xlsx":
        cell = load_workbook(io.BytesIO(raw))[SHEET]["A2"]
        assert (cell.value, cell.data_type, cell.quotePrefix) == ("@词条", "s", True)
    if form == "csv":
        assert b"\n'@" in raw


def test_the_body_that_is_kept_reads_back_the_same() -> None:
    for note in ("'=x", "=x", "''@x"):
        library = _library(note=note)
        assert read_library("x.csv", library.csv).version == library.version


def test_a_workbook_is_made_for_people() -> None:
    book = load_workbook(io.BytesIO(write_workbook(starter_library(), {"A.1.f": 200})))
    sheet = book[SHEET]
    assert sheet.freeze_panes == "A2"
    assert sheet["A1"].font.bold
    assert sheet.column_dimensions["A"].width == 30
    lists = {each.formula1 for each in sheet.data_validations.dataValidation}
    assert lists == {f"'{RISK_SHEET}'!$A$2:$A$32", '"block,flag"', '"both,input,output"'}
    rows = {row[0]: row[3:5] for row in book[RISK_SHEET].iter_rows(values_only=True)}
    assert rows["A.1.f"] == (starter_library().count_by_risk()["A.1.f"], 200)
    assert sum(1 for _ in sheet.iter_rows()) == len(starter_library().entries) + 1


def test_a_cell_that_would_be_cut_is_refused() -> None:
    with pytest.raises(GuijuError) as raised:
        write_workbook(_library(note="长" * 32_768))
    assert raised.value.code is workbook.CELL_TOO_LONG


def test_what_a_person_typed_is_read_as_it_looks() -> None:
    book = Workbook()
    other = book.active
    assert other is not None
    other.append(["说明", "没有词条"])
    sheet = book.create_sheet("表")
    sheet.append(["risk", None, "term", "reviewed_on", "note", "severity"])
    sheet.append(["A.1.h", None, 12345, date(2026, 11, 24), 1.5, None])
    sheet.append([None])
    sheet.append(["A.1.h", None, "  第二个词条 ", "2026-11-24", True, "flag"])
    out = io.BytesIO()
    book.save(out)
    rows = parse_workbook(out.getvalue()).rows()
    assert [(row["term"], row["reviewed_on"], row["note"], row["severity"]) for row in rows] == [
        ("12345", "2026-11-24", "1.5", ""),
        ("第二个词条", "2026-11-24", "TRUE", "flag"),
    ]


# ── mistakes have their rows ────────────────────────────────────────────────────────────────────────────────────────


def test_formulas_errors_and_mistakes_are_named_by_row() -> None:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    for row in (
        ["term", "risk", "note"],
        ["好词条", "A.1.h", "=1+1"],
        ["好词条二", "A.1.h", "#REF!"],
        ["赌", "B.9", None],
        ["多", "A.1.h", "", "x"],
    ):
        sheet.append(row)
    out = io.BytesIO()
    book.save(out)
    assert _lines(out.getvalue()) == [(2, "note"), (3, "note")]
    sheet["C2"] = sheet["C3"] = None
    out = io.BytesIO()
    book.save(out)
    assert _lines(out.getvalue()) == [(4, "term"), (4, "risk"), (5, ""), (5, "term")]


@pytest.mark.parametrize("header", [["term", "term", "risk"], ["term", "risk", "other"], ["term"], []])
def test_a_wrong_header_is_told(header: list[str]) -> None:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(header)
    out = io.BytesIO()
    book.save(out)
    assert [line for line, _ in _lines(out.getvalue())] == [1]


def test_a_header_that_is_nearly_right_names_the_column() -> None:
    """Guarded line: `wrong = header_problems(…)` of `parse_workbook`."""
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["term", "rsik"])
    out = io.BytesIO()
    book.save(out)
    assert _lines(out.getvalue()) == [(1, "rsik")]


def test_a_workbook_without_a_row_is_refused() -> None:
    assert _lines(_sheet(HEADER)) == [(1, "")]


def test_a_second_sheet_of_terms_is_not_passed_over() -> None:
    book = Workbook()
    for sheet in (book.active, book.create_sheet("二")):
        assert sheet is not None
        sheet.append(["term", "risk"])
    out = io.BytesIO()
    book.save(out)
    assert _lines(out.getvalue()) == [(1, "")]


# ── hostile files ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_rows_out_of_order_and_doubled_are_refused() -> None:
    for second in (2, 1):
        assert "stands behind" in _refusal(_sheet(HEADER + ROW.format(r=2, term="词条一号") + ROW.format(r=second, term="词条二号")))


def test_a_far_row_number_costs_nothing() -> None:
    began = time.process_time()
    library = parse_workbook(_sheet(HEADER + ROW.format(r=1_048_576, term="词条一号")))
    assert len(library.entries) == 1
    assert time.process_time() - began < 1


def test_too_many_rows_are_refused_in_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbook_reader, "ROWS", 20_000)
    rows = "".join(ROW.format(r=r, term="词") for r in range(2, 60_002))
    raw = _sheet(HEADER + rows)
    tracemalloc.start()
    reason = _refusal(raw)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert reason.startswith("it has more than 20000 rows (row 2")
    assert peak < 60 * 2**20


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "not an XLSX"),
        (b"term,risk\n", "not an XLSX"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "old format"),
        (_sheet("", **{"xl__vbaProject.bin": "x"}), "macros"),
        (_sheet("", **{"xl__externalLinks__externalLink1.xml": "<x/>"}), "links to other files"),
        (_sheet("", xl__media__big="0" * (65 * 2**20)), "unpacks to"),
        (_sheet("", head='<!DOCTYPE a [<!ENTITY b "c">]>'), "document type"),
        (_sheet("<row><c>"), "damaged"),
        (_sheet('<row r="x"/>'), "damaged"),
        (_sheet('<row r="1"><c r="A0"/></row>'), "damaged"),
        (_sheet('<row r="1"><c r="A1" t="s"><v>5</v></c></row>'), "damaged"),
        (_sheet(HEADER + '<row r="2">' + '<c t="inlineStr"><is><t>a</t></is></c>' * 300 + "</row>"), "columns"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_such_workbook_says_why(raw: bytes, reason: str) -> None:
    assert reason in _refusal(raw)


def test_damage_at_any_place_is_told_and_takes_nothing() -> None:
    raw = bytearray(write_workbook(_library(note="甲")))
    for place in range(0, len(raw), 97):
        damaged = bytes(raw[:place]) + bytes([raw[place] ^ 0x5A]) + bytes(raw[place + 1 :])
        for tried in (damaged, bytes(raw[:place])):
            assert _outcome(tried) in ("read", "LIBRARY-WORKBOOK", "LIBRARY-INVALID")


def test_deep_and_wide_xml_costs_little() -> None:
    tracemalloc.start()
    raw = _sheet(HEADER + '<row r="2">' + "<c/>" * 300_000 + "</row>" + "<x>" * 20_000 + "</x>" * 20_000)
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    assert _outcome(raw) in ("read", "LIBRARY-WORKBOOK", "LIBRARY-INVALID")
    assert tracemalloc.get_traced_memory()[1] - before < 20 * 2**20
    tracemalloc.stop()


def test_columns_are_all_written() -> None:
    assert set(read_library("x.xlsx", write_workbook(_library())).rows()[0]) == set(COLUMNS)
    assert workbook_reader.ROWS >= 100_000
