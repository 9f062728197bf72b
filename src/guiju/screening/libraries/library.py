"""The keyword library as filing material: read, validate, give a version; rows go in and come out unchanged.

A row is a term, its risk, and what an inspector asks about it. CSV columns and YAML keys are the same; CSV is the form
that filing work-books use. Validation names every mistake with its line and loads nothing unless all rows are right.

Source: GB/T 45654-2025 App. B (library, cadence); Measures Arts. 4, 14.
"""

import csv
import difflib
import hashlib
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any, Final, NoReturn

import yaml

from guiju.core.errors import GuijuError, Text, define
from guiju.screening.matching.near import near_problems, words_of
from guiju.screening.risks import BY_ID
from guiju.screening.spellings.check import names_of, spelling_problems
from guiju.screening.spellings.fold import BREAK, GAP_CHARACTERS, fold, fold_exactly
from guiju.screening.values import WITHIN, LibraryEntry

LATER_COLUMNS: Final = ("spellings", "near", "within")
"""Columns that the canonical CSV has when a row uses them: a library without them keeps its version."""
COLUMNS: Final = ("term", "risk", "severity", "direction", "exceptions", "source", "reviewer", "reviewed_on", "note", *LATER_COLUMNS)
_FORMULA: Final = re.compile("'*[=+\\-@]")
_MARKED: Final = re.compile("'+[=+\\-@]")
NAME_SHOWN: Final = 40
_CHINESE: Final = {"词条": "term", "关键词": "term", "词语": "term", "风险": "risk", "来源": "source", "审核人": "reviewer", "备注": "note"}
"""What some call a column: told as a hint, never taken."""
TERM_CHARACTERS: Final = 64
"""A folded term is at most this long: what a stream may hold back is bounded by it."""

LIBRARY_INVALID = define(
    "LIBRARY-INVALID",
    status=400,
    kind="invalid_request_error",
    zh=Text("关键词库“{name}”有 {count} 处错误：{summary_zh}。", "没有导入任何一行，正在使用的词库不变。", "请按行号改正后重新导入。"),
    en=Text(
        "The keyword library '{name}' has {count} mistakes: {summary}.",
        "No row was imported; the library in force is unchanged.",
        "Correct the lines named and import it again.",
    ),
)


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a library file."""

    line: int
    column_name: str
    reason_zh: str
    reason_en: str


@dataclass(frozen=True, slots=True)
class Row:
    """One row as written, with the line it stands on."""

    line: int
    fields: dict[str, str]
    mistakes: tuple[Problem, ...] = ()
    """What is wrong with how it is written, apart from what its columns say."""


@dataclass(frozen=True, slots=True)
class Library:
    """A valid library. `version` is the SHA-256 of its canonical CSV, so equal content is an equal version."""

    version: str
    entries: tuple[LibraryEntry, ...]
    csv: bytes
    told: tuple[Problem, ...] = ()
    """Of a library that is kept: rows that were right when it was imported and would be refused today."""

    def count_by_risk(self) -> dict[str, int]:
        """Return how many terms each risk has; risks without any are left out."""
        return dict(Counter(entry.risk for entry in self.entries))

    def rows(self) -> list[dict[str, str]]:
        """Return the rows with all their columns, in the order of `entries`' canonical CSV."""
        return rows_of(self.csv)


def rows_of(canonical: bytes) -> list[dict[str, str]]:
    """Return the rows of a canonical CSV with all their columns. It was checked when it was made, and is not checked again."""
    read = csv.DictReader(io.StringIO(canonical.decode(), newline=""))
    return [{name: _unmarked(fields.get(name, "")) for name in COLUMNS} for fields in read]


def parse_csv(raw: bytes, name: str = "library.csv", *, kept: bool = False) -> Library:
    """Return the library in a CSV file (UTF-8, with or without byte order mark; header line of `COLUMNS`, any order).

    `exceptions` are separated by `|`. Raises LIBRARY-INVALID with every mistake and its line; what is wrong with the rows of a library that
    is `kept` is told instead, for they were right once: the fold may join today what it kept apart then.
    """
    sound = _sound.get(raw)
    if sound is not None:
        return sound
    library = make_library(_csv_rows(raw, name), name, kept=kept)
    if not library.told:
        _sound.clear()
        _sound[raw] = library
    return library


_sound: Final[dict[bytes, Library]] = {}
"""The library that was read last without a mistake, by its very bytes: a first start reads the same one three times."""


def _csv_rows(raw: bytes, name: str) -> list[Row]:
    text = _decoded(raw, name)
    reader = csv.reader(io.StringIO(text, newline=""))
    try:
        header = [cell.strip() for cell in next(reader, [])]
        wrong = header_problems(1, header)
        if wrong:
            refuse(name, wrong)
        rows, before = [], reader.line_num
        for cells in reader:
            line, before = before + 1, reader.line_num
            if any(cell.strip() for cell in cells):
                fields = dict(zip(header, (_unmarked(cell.strip()) for cell in cells), strict=False))
                rows.append(Row(line, fields, _cells_too_many(line, len(cells), len(header)) if len(cells) > len(header) else ()))
    except csv.Error as problem:
        refuse(name, [Problem(reader.line_num, "", f"不是有效的 CSV：{problem}", f"not valid CSV: {problem}")])
    return rows


def header_problems(line: int, header: Iterable[str]) -> list[Problem]:
    """Return what is wrong with the names of the columns: each that is none, stands twice or is missing, with the name it may be meant for."""
    names, found, meant = list(header), list[Problem](), set[str]()
    for place, cell in enumerate(names, 1):
        if not cell:
            found.append(Problem(line, "", f"表头第 {place} 列没有列名", f"column {place} has no name in the header"))
        elif cell not in COLUMNS:
            near = _near(cell)
            meant.add(near)
            found.append(_unknown(line, cell, "列", "column", near))
        elif cell in names[: place - 1]:
            found.append(Problem(line, cell, f"表头中有两个“{cell}”列", f"the header names the column '{cell}' twice"))
    for needed in ("term", "risk"):
        if needed not in names and needed not in meant:
            found.append(Problem(line, needed, f"表头中没有必需的“{needed}”列", f"the header lacks the column '{needed}'"))
    return found


def _unknown(line: int, name: str, noun_zh: str, noun_en: str, near: str) -> Problem:
    shown = name if len(name) <= NAME_SHOWN else name[:NAME_SHOWN] + "…"
    hints = (f"，是否想写 {near}？", f"; did you mean {near}?") if near else (f"，应为 {', '.join(COLUMNS)}", f"; use {', '.join(COLUMNS)}")
    return Problem(line, shown, f"没有名为“{shown}”的{noun_zh}{hints[0]}", f"there is no {noun_en} '{shown}'{hints[1]}")


def _near(name: str) -> str:
    """Return the column that a name may be meant for; empty when it is like none."""
    said = name.strip().lower().replace(" ", "_")
    near = difflib.get_close_matches(said, COLUMNS, n=1, cutoff=0.7)
    return _CHINESE.get(said) or (near[0] if near else "")


def _cells_too_many(line: int, cells: int, columns: int) -> tuple[Problem]:
    return (
        Problem(
            line,
            "",
            f"有 {cells} 格，表头只有 {columns} 列；含逗号的一格须加双引号",
            f"has {cells} cells where the header names {columns} columns; a cell with a comma stands in double quotes",
        ),
    )


def parse_yaml(raw: bytes, name: str = "library.yaml") -> Library:
    """Return the library in a YAML file: a list of mappings with the keys of `COLUMNS`; `exceptions` may be a list.

    Raises LIBRARY-INVALID with every mistake and its line.
    """
    text = _decoded(raw, name)
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError) as problem:
        line = problem.problem_mark.line + 1 if isinstance(problem, yaml.MarkedYAMLError) and problem.problem_mark else 1
        refuse(name, [Problem(line, "", "不是有效的 YAML", "not valid YAML")])
    if root is None:
        return make_library([], name)
    if not isinstance(root, yaml.SequenceNode):
        refuse(name, [Problem(1, "", "应为条目列表", "must be a list of entries")])
    return make_library(list(_yaml_rows(root, name)), name)


def starter_library() -> Library:
    """Return the library that ships with guiju: universally unlawful harms only.

    It leaves the political risks empty on purpose: those terms are the provider's own filing material.
    """
    return _starter()


@lru_cache(maxsize=1)
def _starter() -> Library:
    rows: list[Row] = []
    for file in sorted(resources.files("guiju.screening.libraries").joinpath("starter").iterdir(), key=lambda path: path.name):
        if file.name.endswith(".csv"):
            rows += _csv_rows(file.read_bytes(), file.name)
    return parse_csv(_canonical_csv(row.fields for row in rows), "starter")


def _yaml_rows(root: yaml.SequenceNode, name: str) -> Iterator[Row]:
    for node in root.value:
        if not isinstance(node, yaml.MappingNode):
            refuse(name, [Problem(node.start_mark.line + 1, "", "条目应为映射", "an entry must be a mapping")])
        fields: dict[str, str] = {}
        mistakes: list[Problem] = []
        for key, value in node.value:
            line, column = key.start_mark.line + 1, str(key.value) if isinstance(key, yaml.ScalarNode) else "?"
            if column not in COLUMNS:
                mistakes.append(_unknown(line, column, "键", "key", _near(column)))
            elif column in fields:
                mistakes.append(Problem(line, column, f"键“{column}”写了两次", f"the key '{column}' stands twice"))
            elif isinstance(value, yaml.SequenceNode) and all(isinstance(item, yaml.ScalarNode) for item in value.value):
                fields[column] = "|".join(str(item.value) for item in value.value)
            elif isinstance(value, yaml.ScalarNode):
                fields[column] = "" if value.tag == "tag:yaml.org,2002:null" else str(value.value).strip()
            else:
                mistakes.append(Problem(line, column, f"键“{column}”的值是嵌套的", f"the value of the key '{column}' is nested"))
        yield Row(node.start_mark.line + 1, fields, tuple(mistakes))


def _decoded(raw: bytes, name: str) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = raw[: problem.start].count(b"\n") + 1
        refuse(name, [Problem(line, "", "不是 UTF-8 编码", "not UTF-8")])


def make_library(rows: list[Row], name: str, *, kept: bool = False) -> Library:
    """Return the library that these rows make.

    Raises LIBRARY-INVALID with every mistake and its line, or when there is no row, unless the library is `kept`.
    """
    problems: list[Problem] = []
    entries: list[LibraryEntry] = []
    seen: dict[tuple[str, str, str], int] = {}
    for row in rows:
        for column, value in row.fields.items():  # the csv module writes a lone carriage return bare, and would read two rows
            row.fields[column] = value.replace("\r\n", "\n").replace("\r", "\n")
        found = [*row.mistakes]  # a column that is not there need not be missed where another one is written wrong
        found += [each for each in _problems(row) if not row.mistakes or each.column_name in row.fields]
        term, direction = row.fields.get("term", ""), row.fields.get("direction") or "both"
        if not found:
            key = (fold(term), row.fields["risk"], direction)
            if key in seen:
                found = [Problem(row.line, "term", f"与第 {seen[key]} 行折叠后相同", f"folds to the same as line {seen[key]}")]
            seen.setdefault(key, row.line)
        problems += found
        if not found or (kept and _can_be_looked_for(row)):
            entries.append(_entry(row, direction))
    if not rows:  # in force it would let everything through, and nobody means that
        problems.append(Problem(1, "", "没有任何词条，启用后什么也审查不出来", "holds no term: with it in force nothing would be found"))
    if problems and not kept:
        refuse(name, problems)
    body = _canonical_csv(row.fields for row in rows)
    return Library(hashlib.sha256(body).hexdigest(), tuple(entries), body, tuple(problems))


def _can_be_looked_for(row: Row) -> bool:
    """Tell whether something is left of every word of a row once it is folded."""
    words = (row.fields.get("term", ""), *row.fields.get("exceptions", "").split("|"), *words_of(row.fields.get("near", "")))
    return row.fields.get("risk", "") in BY_ID and bool(fold(words[0])) and all(fold(word) for word in words if word.strip())


def _entry(row: Row, direction: str) -> LibraryEntry:
    fields = row.fields
    identity = hashlib.sha256(f"{fields['risk']}\n{fields['term']}\n{direction}".encode()).hexdigest()[:12]
    exceptions = tuple(part.strip() for part in fields.get("exceptions", "").split("|") if part.strip())
    return LibraryEntry(
        f"kw-{identity}",
        fields["term"],
        fields["risk"],
        fields.get("severity") or "block",  # type: ignore[arg-type]  # checked by _problems, like the direction
        exceptions,
        direction,  # type: ignore[arg-type]
        names_of(fields.get("spellings", "")),
        words_of(fields.get("near", "")),
        int(fields.get("within") or WITHIN),
    )


def _problems(row: Row) -> Iterator[Problem]:
    fields = row.fields
    term, folded = fields.get("term", ""), fold(fields.get("term", ""))
    if any("\ud800" <= character <= "\udfff" for value in fields.values() for character in value):
        yield Problem(row.line, "", "有无法写成 UTF-8 的字符", "has a character that UTF-8 cannot write")
    if not term.strip():
        yield Problem(row.line, "term", "词条为空", "the term is empty")
    elif len(folded) < 2:
        yield Problem(
            row.line,
            "term",
            f"“{term}”折叠后不足两个字，会误伤日常用语",
            f"'{term}' folds to fewer than two characters and would hit everyday words",
        )
    if len(folded) > TERM_CHARACTERS:
        yield Problem(row.line, "term", f"折叠后超过 {TERM_CHARACTERS} 个字", f"folds to more than {TERM_CHARACTERS} characters")
    if BREAK in fold_exactly(term).gaps:
        yield Problem(
            row.line,
            "term",
            f"字间隔超过 {GAP_CHARACTERS} 个符号，永远不会命中",
            f"more than {GAP_CHARACTERS} separators in a row are never bridged",
        )
    if not fields.get("risk"):
        yield Problem(row.line, "risk", "没有写风险（31 类之一，如 A.1.f）", "the risk is empty (one of the 31, such as A.1.f)")
    elif fields["risk"] not in BY_ID:
        yield Problem(
            row.line,
            "risk",
            f"“{fields['risk']}”不是 31 类风险之一（如 A.1.f）",
            f"'{fields['risk']}' is none of the 31 risks (such as A.1.f)",
        )
    if (fields.get("severity") or "block") not in ("block", "flag"):
        yield Problem(row.line, "severity", "应为 block 或 flag", "must be block or flag")
    if (fields.get("direction") or "both") not in ("both", "input", "output"):
        yield Problem(row.line, "direction", "应为 both、input 或 output", "must be both, input or output")
    for reason_zh, reason_en in spelling_problems(term, fields.get("spellings", "")) if term.strip() else ():
        yield Problem(row.line, "spellings", reason_zh, reason_en)
    for column, reason_zh, reason_en in near_problems(fields.get("near", ""), fields.get("within", "")):
        yield Problem(row.line, column, reason_zh, reason_en)
    for exception in filter(None, (part.strip() for part in fields.get("exceptions", "").split("|"))):
        if folded not in fold(exception) or fold(exception) == folded:
            yield Problem(
                row.line,
                "exceptions",
                f"例外“{exception}”应比词条长并包含它",
                f"the exception '{exception}' must be longer than the term and contain it",
            )
        if len(fold(exception)) > TERM_CHARACTERS or BREAK in fold_exactly(exception).gaps:
            yield Problem(
                row.line, "exceptions", f"例外“{exception}”过长或间隔过大", f"the exception '{exception}' is too long or has too wide a gap"
            )


def marked(cell: str) -> str:
    """Return a cell as a spreadsheet program takes it for text: an apostrophe before `=`, `+`, `-` and `@`, which begin a formula.

    Reading a library takes one such apostrophe away again, so nothing is lost.
    """
    return f"'{cell}" if _FORMULA.match(cell) else cell


def _unmarked(cell: str) -> str:
    return cell[1:] if _MARKED.match(cell) else cell


def _canonical_csv(rows: Iterable[dict[str, Any]]) -> bytes:
    rows = list(rows)
    columns = [name for name in COLUMNS if name not in LATER_COLUMNS or any(fields.get(name) for fields in rows)]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, restval="", extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for fields in sorted(rows, key=lambda fields: [fields.get(column, "") for column in ("risk", "term", "direction")]):
        # A cell that looks marked is marked once more, or reading it again would lose its apostrophe.
        writer.writerow({name: f"'{cell}" if _MARKED.match(cell) else cell for name, cell in fields.items() if name in columns})
    return text.getvalue().encode()


def refuse(name: str, problems: list[Problem]) -> NoReturn:
    """Raise LIBRARY-INVALID with these mistakes."""
    first = "; ".join(f"line {problem.line}: {problem.reason_en}" for problem in problems[:3])
    first_zh = "；".join(f"第 {problem.line} 行{problem.reason_zh}" for problem in problems[:3])
    raise GuijuError(LIBRARY_INVALID, name=name, count=len(problems), summary=first, summary_zh=first_zh, problems=tuple(problems))
