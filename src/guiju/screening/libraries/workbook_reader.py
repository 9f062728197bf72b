"""The cells of a workbook (XLSX) as text, read piece by piece: nothing in it is run, looked up or fetched, and memory is bounded.

A workbook is a zip of XML. What is opened is bounded before (`XML_BYTES`, by what the zip itself says, which a reader never
exceeds) and while it is read (`ROWS`, `CELL_CHARACTERS`). Macros, links to other files, encryption and document types are refused.
Source: ECMA-376 part 1, §18.
"""

import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from posixpath import join, normpath
from typing import Final, NoReturn
from xml.parsers import expat

from guiju.core.errors import GuijuError, Text, define

WORKBOOK_REFUSED = define(
    "LIBRARY-WORKBOOK",
    status=400,
    kind="invalid_request_error",
    zh=Text(
        "工作簿“{name}”不能导入：{reason_zh}。",
        "没有导入任何一行，正在使用的词库不变。",
        "请另存为不含宏、公式和外部链接的 .xlsx，或改用 CSV。",
    ),
    en=Text(
        "The workbook '{name}' cannot be imported: {reason}.",
        "No row was imported; the library in force is unchanged.",
        "Save it as .xlsx without macros, formulas and links to other files, or use CSV.",
    ),
)
XML_BYTES: Final = 64 * 2**20
"""All XML in a workbook, unpacked. Ten thousand rows take about 5 MB."""
MEMBERS: Final = 2_000
ROWS: Final = 200_000
CELL_CHARACTERS: Final = 32_767
"""What a cell can hold, by the format's own limit."""
COLUMNS_READ: Final = 256
_MEBIBYTE: Final = 2**20
_CELL: Final = re.compile(r"([A-Z]{1,3})([1-9][0-9]{0,6})")
_ESCAPED: Final = re.compile(r"_x([0-9A-Fa-f]{4})_")
_PIECE_BYTES: Final = 2**16
_DAMAGE: Final = (
    expat.ExpatError, zipfile.BadZipFile, zlib.error, KeyError, ValueError, IndexError, OverflowError, NotImplementedError, EOFError,
)  # fmt: skip
"""What the zip and its XML raise when they are not what they should be."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell; `trouble` says why its text cannot be taken (formula, error, too long), and is empty otherwise."""

    column: int
    text: str
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class SheetRow:
    """One row that holds something, with the number that spreadsheet programs show."""

    line: int
    cells: tuple[Cell, ...]


@dataclass(slots=True)
class _Found:
    """What a parser is in the middle of."""

    line: int = 0
    column: int = 0
    type: str = ""
    style: int = 0
    cells: list[Cell] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    characters: int = 0
    formula: bool = False
    inside: str = ""
    phonetic: bool = False


def read_workbook(raw: bytes, name: str) -> Iterator[tuple[str, Iterator[SheetRow]]]:
    """Yield (title, rows) of each sheet in the order of the workbook; rows are read as they are taken.

    Raises LIBRARY-WORKBOOK for anything that is not such a workbook or holds what is refused.
    """
    book = _opened(raw, name)
    with _damage_told(name):
        strings = list(_strings(book, name))
        dated = _date_styles(book, name)
        sheets = _sheets(book, name)
    for title, part in sheets:
        yield title, _rows(book, part, name, strings, dated)


@contextmanager
def _damage_told(name: str) -> Iterator[None]:
    try:
        yield
    except _DAMAGE as problem:
        _refuse(name, "内容已损坏或不是 XLSX", f"it is damaged or no XLSX ({type(problem).__name__})")


def _refuse(name: str, zh: str, en: str) -> NoReturn:
    raise GuijuError(WORKBOOK_REFUSED, name=name, reason_zh=zh, reason=en)


def _opened(raw: bytes, name: str) -> zipfile.ZipFile:
    if raw.startswith(b"\xd0\xcf\x11\xe0"):
        _refuse(name, "它是旧格式（.xls）或设有密码", "it has the old format (.xls) or a password")
    try:
        book = zipfile.ZipFile(io.BytesIO(raw))
    except _DAMAGE:
        _refuse(name, "它不是 XLSX 文件", "it is not an XLSX file")
    parts = book.infolist()
    names = [part.filename.lower() for part in parts]
    if len(parts) > MEMBERS or len(set(names)) < len(names):
        _refuse(name, f"内含的部件超过 {MEMBERS} 个或重名", f"it has more than {MEMBERS} parts, or two of one name")
    if any(part.flag_bits & 1 for part in parts):
        _refuse(name, "设有密码", "it has a password")
    unpacked = sum(part.file_size for part in parts)  # reading a part never gives more than this
    if unpacked > XML_BYTES:
        _refuse(
            name,
            f"解压后有 {unpacked // _MEBIBYTE} MB，超过 {XML_BYTES // _MEBIBYTE} MB",
            f"it unpacks to {unpacked // _MEBIBYTE} MB, more than {XML_BYTES // _MEBIBYTE} MB",
        )
    if any("vbaproject" in each or "/macrosheets/" in each for each in names):
        _refuse(name, "含有宏", "it has macros")
    if any("/externallinks/" in each for each in names):
        _refuse(name, "含有指向其他文件的链接", "it has links to other files")
    return book


def _parse(book: zipfile.ZipFile, part: str, name: str, parser: expat.XMLParserType) -> Iterator[None]:
    """Feed a part to a parser, yielding after each piece so that the caller can take what was found."""

    def refuse_doctype(*_: object) -> None:
        _refuse(name, "其中的 XML 含有文档类型声明", "its XML declares a document type")

    parser.StartDoctypeDeclHandler = refuse_doctype
    with book.open(part) as file:
        while piece := file.read(_PIECE_BYTES):
            parser.Parse(piece, False)
            yield
        parser.Parse(b"", True)
        yield


def _elements(book: zipfile.ZipFile, part: str, name: str) -> list[tuple[str, dict[str, str]]]:
    """Return (name, attributes) of every element of a small part, without namespaces."""
    found: list[tuple[str, dict[str, str]]] = []
    parser = expat.ParserCreate()
    parser.StartElementHandler = lambda tag, attributes: found.append((_local(tag), attributes))
    for _ in _parse(book, part, name, parser):
        if len(found) > 100_000:
            _refuse(name, f"部件 {part} 过大", f"its part {part} is too large")
    return found


def _local(tag: str) -> str:
    return tag.rpartition(":")[2]


def _sheets(book: zipfile.ZipFile, name: str) -> list[tuple[str, str]]:
    """Return (title, path of the part) of each sheet, in order."""
    workbook = next(
        (
            attributes["Target"].lstrip("/")
            for tag, attributes in _elements(book, "_rels/.rels", name)
            if tag == "Relationship" and attributes["Type"].endswith("/officeDocument")
        ),
        "xl/workbook.xml",
    )
    folder, _, file = workbook.rpartition("/")
    targets = {
        attributes["Id"]: attributes["Target"]
        for tag, attributes in _elements(book, f"{folder}/_rels/{file}.rels", name)
        if tag == "Relationship" and attributes["Type"].endswith("/worksheet") and attributes.get("TargetMode") != "External"
    }
    sheets = []
    for tag, attributes in _elements(book, workbook, name):
        identity = next((value for key, value in attributes.items() if _local(key) == "id"), "")
        if tag == "sheet" and identity in targets:
            target = targets[identity]
            sheets.append((attributes["name"], target.lstrip("/") if target.startswith("/") else normpath(join(folder, target))))
    if not sheets:
        _refuse(name, "没有工作表", "it has no sheet")
    return sheets


def _date_styles(book: zipfile.ZipFile, name: str) -> frozenset[int]:
    """Return the numbers of the cell styles that show a number as a date."""
    from openpyxl.styles.numbers import BUILTIN_FORMATS, is_date_format  # here, because few commands read a workbook

    if "xl/styles.xml" not in book.namelist():
        return frozenset()
    formats, styles, inside = dict(BUILTIN_FORMATS), [], False
    for tag, attributes in _elements(book, "xl/styles.xml", name):
        if tag == "numFmt":
            formats[int(attributes["numFmtId"])] = attributes.get("formatCode", "")
        elif tag == "cellXfs":
            inside = True
        elif inside and tag == "xf":
            styles.append(int(attributes.get("numFmtId", 0)))
        elif inside and tag in ("cellStyles", "dxfs"):
            inside = False
    return frozenset(place for place, number in enumerate(styles) if is_date_format(formats.get(number, "")))


def _strings(book: zipfile.ZipFile, name: str) -> Iterator[str]:
    """Yield the shared strings."""
    if "xl/sharedStrings.xml" not in book.namelist():
        return
    found, done = _Found(), list[str]()

    def start(tag: str, _: dict[str, str]) -> None:
        tag = _local(tag)
        if tag == "rPh":
            found.phonetic = True
        found.inside = "" if found.phonetic else tag

    def end(tag: str) -> None:
        tag = _local(tag)
        found.inside = ""
        if tag == "rPh":
            found.phonetic = False
        elif tag == "si":
            done.append("".join(found.text))
            found.text.clear()

    def characters(text: str) -> None:
        if found.inside == "t":
            found.text.append(text)

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, characters
    for _ in _parse(book, "xl/sharedStrings.xml", name, parser):
        yield from done
        done.clear()


def _rows(book: zipfile.ZipFile, part: str, name: str, strings: list[str], dated: frozenset[int]) -> Iterator[SheetRow]:
    found, done, count = _Found(), list[SheetRow](), 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        tag = _local(tag)
        if tag == "row":
            line = int(attributes.get("r", found.line + 1))
            if line <= found.line:
                _refuse(name, f"第 {line} 行出现在第 {found.line} 行之后", f"row {line} stands behind row {found.line}")
            found.line, found.column = line, 0
            found.cells.clear()
        elif tag == "c":
            found.column = _column(attributes["r"]) if "r" in attributes else found.column + 1
            found.type, found.style = attributes.get("t", "n"), int(attributes.get("s", 0))
            found.text.clear()
            found.characters, found.formula = 0, False
        elif tag == "f":
            found.formula = True
        elif tag == "rPh":
            found.phonetic = True
        found.inside = "" if found.phonetic else tag

    def end(tag: str) -> None:
        tag = _local(tag)
        found.inside = ""
        if tag == "rPh":
            found.phonetic = False
        elif tag == "c":
            cell = _cell(found, strings, dated)
            if cell.text or cell.trouble:
                if len(found.cells) >= COLUMNS_READ:
                    _refuse(name, f"第 {found.line} 行超过 {COLUMNS_READ} 列", f"row {found.line} has more than {COLUMNS_READ} columns")
                found.cells.append(cell)
        elif tag == "row" and found.cells:
            done.append(SheetRow(found.line, tuple(found.cells)))
            found.cells.clear()

    def characters(text: str) -> None:
        if found.inside in ("v", "t"):
            found.characters += len(text)
            if found.characters <= CELL_CHARACTERS + 1:
                found.text.append(text)

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, characters
    pieces = _parse(book, part, name, parser)
    while True:
        with _damage_told(name):
            if next(pieces, done) is done:
                return
        count += len(done)
        if count > ROWS:
            _refuse(name, f"超过 {ROWS} 行（第 {done[-1].line} 行）", f"it has more than {ROWS} rows (row {done[-1].line})")
        yield from done
        done.clear()


def _column(reference: str) -> int:
    """Return the number of the column of a cell such as `AB12`, from 1. Raises ValueError."""
    found = _CELL.fullmatch(reference)
    if found is None:
        raise ValueError(reference)
    number = 0
    for letter in found[1]:
        number = number * 26 + ord(letter) - 64
    return number


def _cell(found: _Found, strings: list[str], dated: frozenset[int]) -> Cell:
    written = "".join(found.text)
    if found.formula:
        return Cell(found.column, "", "formula")
    if found.type == "e":
        return Cell(found.column, written, "error")
    if found.type == "s":
        written = strings[int(written)] if written else ""
    if len(written) > CELL_CHARACTERS:
        return Cell(found.column, "", "long")
    if found.type == "b":
        text = "TRUE" if written == "1" else "FALSE"
    elif found.type == "n" and written:
        text = _number(written, found.style in dated)
    elif found.type == "d":
        text = written.partition("T")[0]
    else:
        text = _ESCAPED.sub(lambda escape: chr(int(escape[1], 16)), written)
    return Cell(found.column, text)


def _number(written: str, is_date: bool) -> str:
    """Return a number as a person reads it in the sheet: a date as YYYY-MM-DD, a whole number without a point."""
    if is_date:
        from openpyxl.utils.datetime import from_excel  # here, because few sheets hold dates

        shown = from_excel(float(written))
        return shown.strftime("%Y-%m-%d") if isinstance(shown, (datetime, date)) else str(shown)
    value = float(written)
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else written
