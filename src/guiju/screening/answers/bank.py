"""The bank of approved answers as it is filed: read, validated, given a version; rows go in and come out unchanged.

CSV columns and YAML keys are the same. Every mistake is named with its line, and nothing is kept unless all rows are right.
Source: Measures Art. 4; GB/T 45654-2025 (questions that a service answers from a bank, or refuses).
"""

import csv
import hashlib
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final, NamedTuple, NoReturn

import yaml

from guiju.core.clock import BEIJING
from guiju.core.errors import GuijuError, Text, define
from guiju.screening.answers.match import QUESTION_CHARACTERS, plain_question
from guiju.screening.answers.values import ApprovedAnswer
from guiju.screening.risks import BY_ID

COLUMNS: Final = ("id", "questions", "answer_zh", "answer_en", "risk", "origin", "source", "reviewer", "reviewed_on", "valid_until", "note")
REQUIRED: Final = ("id", "questions", "answer_zh", "risk", "source", "reviewer", "reviewed_on", "valid_until")
ROWS_LIMIT: Final = 20_000
VARIANTS_LIMIT: Final = 50
ANSWER_CHARACTERS: Final = 8_000
FIELD_CHARACTERS: Final = 20_000
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")

ANSWERS_INVALID = define(
    "ANSWERS-INVALID",
    status=400,
    kind="invalid_request_error",
    zh=Text("标准答案库“{name}”有 {count} 处错误：{summary_zh}。", "没有导入任何一行，正在使用的答案库不变。", "请按行号改正后重新导入。"),
    en=Text(
        "The bank of approved answers '{name}' has {count} mistakes: {summary}.",
        "No row was imported; the bank in force is unchanged.",
        "Correct the lines named and import it again.",
    ),
)


class Problem(NamedTuple):
    """One mistake in a file."""

    line: int
    column_name: str
    reason_zh: str
    reason_en: str


@dataclass(frozen=True, slots=True)
class Bank:
    """A valid bank. `version` is the SHA-256 of its canonical CSV, so equal content is an equal version."""

    version: str
    answers: tuple[ApprovedAnswer, ...]
    rows: tuple[dict[str, str], ...]
    csv: bytes


def read_bank(name: str, raw: bytes) -> Bank:
    """Return the bank in a file; its name says whether it is YAML (a list of mappings) or CSV (UTF-8, a header of `COLUMNS`).

    Variants of a question are separated by `|` (in YAML they may be a list). Raises ANSWERS-INVALID with every mistake and its line.
    """
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        _refuse(name, [Problem(raw[: problem.start].count(b"\n") + 1, "", "不是 UTF-8 编码", "not UTF-8")])
    rows = _yaml_rows(text, name) if name.lower().endswith((".yaml", ".yml")) else _csv_rows(text, name)
    return _bank(rows, name)


def _csv_rows(text: str, name: str) -> list[tuple[int, dict[str, str]]]:
    reader = csv.reader(io.StringIO(text, newline=""))
    rows: list[tuple[int, dict[str, str]]] = []
    try:
        header = [cell.strip() for cell in next(reader, [])]
        if len(set(header)) < len(header) or not set(REQUIRED) <= set(header) <= set(COLUMNS):
            wanted, needed = ", ".join(COLUMNS), ", ".join(REQUIRED)
            _refuse(
                name,
                [Problem(1, "", f"表头应出自 {wanted}，并含 {needed}", f"the header must hold names out of {wanted}, and all of {needed}")],
            )
        before = reader.line_num
        for cells in reader:
            line, before = before + 1, reader.line_num
            if any(cell.strip() for cell in cells):
                extra = {"": "extra"} if len(cells) > len(header) else {}
                rows.append((line, {**dict(zip(header, cells, strict=False)), **extra}))
    except csv.Error as problem:
        _refuse(name, [Problem(reader.line_num, "", f"不是有效的 CSV：{problem}", f"not valid CSV: {problem}")])
    return rows


def _yaml_rows(text: str, name: str) -> list[tuple[int, dict[str, str]]]:
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError, ValueError) as problem:
        line = problem.problem_mark.line + 1 if isinstance(problem, yaml.MarkedYAMLError) and problem.problem_mark else 1
        _refuse(name, [Problem(line, "", "不是有效的 YAML", "not valid YAML")])
    if not isinstance(root, yaml.SequenceNode):
        _refuse(name, [Problem(1, "", "应为条目列表", "must be a list of entries")])
    rows = []
    for node in root.value:
        line = node.start_mark.line + 1
        if not isinstance(node, yaml.MappingNode):
            _refuse(name, [Problem(line, "", "条目应为映射", "an entry must be a mapping")])
        fields: dict[str, str] = {}
        for key, value in node.value:
            named = str(key.value) if isinstance(key, yaml.ScalarNode) and str(key.value) not in fields else ""
            if isinstance(value, yaml.SequenceNode) and all(isinstance(item, yaml.ScalarNode) for item in value.value):
                fields[named] = "|".join(str(item.value) for item in value.value)
            elif isinstance(value, yaml.ScalarNode):
                fields[named] = "" if value.tag == "tag:yaml.org,2002:null" else str(value.value)
            else:
                fields[""] = "nested"
        rows.append((line, fields))
    return rows


def _bank(rows: list[tuple[int, dict[str, str]]], name: str) -> Bank:
    if len(rows) > ROWS_LIMIT:
        _refuse(name, [Problem(rows[ROWS_LIMIT][0], "", f"最多 {ROWS_LIMIT} 行", f"there are at most {ROWS_LIMIT} rows")])
    problems: list[Problem] = []
    kept: list[dict[str, str]] = []
    answers: list[ApprovedAnswer] = []
    ids: dict[str, int] = {}
    asked: dict[str, int] = {}
    for line, fields in rows:
        row = {column: fields.get(column, "").replace("\r\n", "\n").replace("\r", "\n").strip() for column in COLUMNS}
        row["origin"] = row["origin"] or "people"
        found = list(_problems(line, fields, row))
        questions = tuple(part.strip() for part in row["questions"].split("|") if part.strip())
        found += list(_repeated(line, row["id"], questions, ids, asked))
        problems += found
        if not found:
            kept.append(row)
            until = datetime.combine(date.fromisoformat(row["valid_until"]) + timedelta(days=1), time(), BEIJING)
            answers.append(
                ApprovedAnswer(row["id"], questions, row["answer_zh"], row["answer_en"], row["risk"], row["origin"], int(until.timestamp()))  # type: ignore[arg-type]  # checked by _problems
            )
    if problems:
        _refuse(name, problems)
    kept.sort(key=lambda row: row["id"])
    answers.sort(key=lambda answer: answer.id)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(kept)
    body = text.getvalue().encode()
    return Bank(hashlib.sha256(body).hexdigest(), tuple(answers), tuple(kept), body)


def _repeated(line: int, id: str, questions: tuple[str, ...], ids: dict[str, int], asked: dict[str, int]) -> Iterator[Problem]:
    if id in ids:
        yield Problem(line, "id", f"与第 {ids[id]} 行的 id 相同", f"has the id of line {ids[id]}")
    ids.setdefault(id, line)
    for question in questions:
        plain = plain_question(question)
        if plain and asked.setdefault(plain, line) != line:
            yield Problem(
                line,
                "questions",
                f"“{question[:40]}”与第 {asked[plain]} 行的问题相同",
                f"'{question[:40]}' is a question of line {asked[plain]}",
            )


def _problems(line: int, fields: dict[str, str], row: dict[str, str]) -> Iterator[Problem]:
    if any(name not in COLUMNS for name in fields):
        yield Problem(line, "", "有多余的列、重复的键或嵌套的值", "has a column too many, a key twice or a nested value")
    if any("\ud800" <= character <= "\udfff" or character == "\0" for value in row.values() for character in value):
        yield Problem(line, "", "有无法写成 UTF-8 的字符", "has a character that UTF-8 cannot write")
    for column in REQUIRED:
        if not row[column]:
            yield Problem(line, column, "必填", "is required")
    for column, limit in (("answer_zh", ANSWER_CHARACTERS), ("answer_en", ANSWER_CHARACTERS), ("questions", FIELD_CHARACTERS), ("note", FIELD_CHARACTERS), ("source", 1_000), ("reviewer", 200)):  # fmt: skip
        if len(row[column]) > limit:
            yield Problem(line, column, f"超过 {limit} 个字", f"is longer than {limit} characters")
    if row["id"] and not _ID.fullmatch(row["id"]):
        yield Problem(line, "id", "应为 1–64 个字母、数字、点、连字符", "must be 1–64 letters, digits, dots, hyphens")
    if row["risk"] and row["risk"] not in BY_ID:
        yield Problem(line, "risk", f"“{row['risk'][:40]}”不是 31 类风险之一", f"'{row['risk'][:40]}' is none of the 31 risks")
    if row["origin"] not in ("people", "generated"):
        yield Problem(line, "origin", "应为 people 或 generated", "must be people or generated")
    days = {column: _day(row[column]) for column in ("reviewed_on", "valid_until")}
    for column, day in days.items():
        if row[column] and day is None:
            yield Problem(line, column, "应为日期，如 2026-12-31", "must be a day, as 2026-12-31")
    reviewed, until = days["reviewed_on"], days["valid_until"]
    if reviewed is not None and until is not None and until < reviewed:
        yield Problem(line, "valid_until", "早于复核日期", "is before the day of the review")
    questions = [part for part in row["questions"].split("|") if part.strip()]
    if row["questions"] and not questions:
        yield Problem(line, "questions", "必填", "is required")
    if len(questions) > VARIANTS_LIMIT:
        yield Problem(line, "questions", f"最多 {VARIANTS_LIMIT} 个问法", f"there are at most {VARIANTS_LIMIT} variants")
    for question in questions[:VARIANTS_LIMIT]:
        if not 4 <= len(plain_question(question)) <= QUESTION_CHARACTERS:
            yield Problem(
                line,
                "questions",
                f"“{question[:40]}”折叠后应为 4–{QUESTION_CHARACTERS} 个字",
                f"'{question[:40]}' must fold to 4–{QUESTION_CHARACTERS} characters",
            )


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if _DAY.fullmatch(text) else None
    except ValueError:
        return None


def _refuse(name: str, problems: list[Problem]) -> NoReturn:
    first = "; ".join(f"line {problem.line}: {problem.column_name} {problem.reason_en}" for problem in problems[:3])
    first_zh = "；".join(f"第 {problem.line} 行 {problem.column_name} {problem.reason_zh}" for problem in problems[:3])
    raise GuijuError(ANSWERS_INVALID, name=name, count=len(problems), summary=first, summary_zh=first_zh, problems=tuple(problems))
