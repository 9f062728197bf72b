"""The forms in which a keyword library is read and written: CSV, YAML, and workbooks (XLSX). The name of a file says which."""

import csv
import io
from typing import Final, Literal

import yaml

from guiju.screening.libraries.library import COLUMNS, Library, marked, parse_csv, parse_yaml
from guiju.screening.libraries.workbook import parse_workbook, write_workbook

Form = Literal["csv", "xlsx", "yaml"]
TYPES: Final[dict[Form, str]] = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "yaml": "application/yaml; charset=utf-8",
}
WORKBOOKS: Final = (".xlsx", ".xlsm", ".xls", ".xltx")


def form_of(name: str) -> Form:
    """Return the form that the name of a file stands for; any unknown ending is CSV."""
    ending = name.lower()
    return "xlsx" if ending.endswith(WORKBOOKS) else "yaml" if ending.endswith((".yaml", ".yml")) else "csv"


def read_library(name: str, raw: bytes) -> Library:
    """Return the library in a file; its name says in which form it is.

    Raises LIBRARY-INVALID with every mistake and its line, LIBRARY-WORKBOOK for a workbook that cannot be read.
    """
    form = form_of(name)
    return parse_workbook(raw, name) if form == "xlsx" else parse_yaml(raw, name) if form == "yaml" else parse_csv(raw, name)


def write_library(library: Library, form: Form, least: dict[str, int] | None = None) -> bytes:
    """Return all rows in a form that `read_library` reads back to the same version.

    CSV has a byte order mark, so that spreadsheet programs read the Chinese, and no cell that they would take for a formula.
    `least` is for the counts of a workbook. Raises LIBRARY-CELL-LONG.
    """
    if form == "xlsx":
        return write_workbook(library, least)
    rows = library.rows()
    if form == "yaml":
        kept = [{name: cell for name, cell in fields.items() if cell} for fields in rows]
        return yaml.dump(kept, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper), allow_unicode=True, sort_keys=False).encode()
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: marked(cell) for name, cell in fields.items()} for fields in rows)
    return b"\xef\xbb\xbf" + text.getvalue().encode()
