"""Bulk screening: the blocks of a source become verdicts, in order, in this process or in several.

A row that cannot be examined (not UTF-8, not JSON, no text where the field should be) is never a pass: it ends the run with its line, or,
when it is to be noted, has the outcome `could_not_examine`.
"""

import json
import multiprocessing
import signal
from collections import Counter, deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from typing import Final, Literal

import msgspec

from guiju.core.errors import ErrorCode, GuijuError, Text, define
from guiju.screening.screen.sources import Block, Form
from guiju.screening.screener import Screener
from guiju.screening.values import GRAVITY, PASS, Action, Direction, Hit, LibraryEntry, Policy, Verdict
from guiju.screening.view import paths

OnError = Literal["stop", "replace", "note"]
_ENCODE: Final = msgspec.json.Encoder().encode
_DECODE: Final = msgspec.json.Decoder().decode
_AHEAD: Final = 3
"""Blocks in the hands of each process: enough that none waits, few enough that memory stays small."""

SCREEN_ENCODING = define(
    "SCREEN-ENCODING",
    status=400,
    kind="invalid_request_error",
    zh=Text(
        "第 {line} 行不是 UTF-8：{reason}。",
        "此前各行已审查并计入结果，本行及其后没有审查。",
        "请转换编码；或用 --errors replace 以 U+FFFD 代替坏字节，--errors note 记为未能审查并继续。",
    ),
    en=Text(
        "Line {line} is not UTF-8: {reason}.",
        "The lines before were examined and are counted; this one and the rest were not.",
        "Convert the file; or use --errors replace to put U+FFFD for bad bytes, --errors note to count the line as not examined and go on.",
    ),
)
SCREEN_JSON = define(
    "SCREEN-JSON",
    status=400,
    kind="invalid_request_error",
    zh=Text(
        "第 {line} 行不是有效的 JSON：{reason}。",
        "此前各行已审查并计入结果，本行及其后没有审查。",
        "请改正该行；或用 --errors note 记为未能审查并继续。",
    ),
    en=Text(
        "Line {line} is not valid JSON: {reason}.",
        "The lines before were examined and are counted; this one and the rest were not.",
        "Correct the line; or use --errors note to count it as not examined and go on.",
    ),
)
SCREEN_FIELD = define(
    "SCREEN-FIELD",
    status=400,
    kind="invalid_request_error",
    zh=Text(
        "第 {line} 行的字段“{reason}”中没有文本。",
        "此前各行已审查并计入结果，本行及其后没有审查。",
        "请用 --field 指明字段；或用 --errors note 记为未能审查并继续。",
    ),
    en=Text(
        "Line {line} has no text in the field '{reason}'.",
        "The lines before were examined and are counted; this one and the rest were not.",
        "Name the field with --field; or use --errors note to count the line as not examined and go on.",
    ),
)
SCREEN_PROCESS = define(
    "SCREEN-PROCESS",
    status=500,
    kind="server_error",
    zh=Text(
        "一个审查进程意外结束（可能是内存不足）。",
        "已输出的结果有效，其后没有审查。",
        "请减小 --jobs 后重新运行。",
    ),
    en=Text(
        "A screening process ended unexpectedly (memory may have run out).",
        "What was written stands; the rest was not examined.",
        "Run it again with fewer --jobs.",
    ),
)


@dataclass(frozen=True, slots=True)
class Task:
    """How to look at blocks and what to write of them."""

    form: Form
    field: str = "text"
    direction: Direction = "input"
    on_error: OnError = "stop"
    as_json: bool = False
    only_hits: bool = False


@dataclass(slots=True)
class Tally:
    """What was found so far."""

    texts: int = 0
    hits: int = 0
    not_examined: int = 0
    replaced: int = 0
    size_bytes: int = 0
    by_risk: Counter[str] = field(default_factory=Counter)
    """In how many texts each risk was hit."""
    last: int = 0
    """The last line or row that was looked at."""

    def add(self, other: "Tally") -> None:
        """Take what the next block has."""
        self.texts += other.texts
        self.hits += other.hits
        self.not_examined += other.not_examined
        self.replaced += other.replaced
        self.size_bytes += other.size_bytes
        self.by_risk += other.by_risk
        self.last = other.last


@dataclass(frozen=True, slots=True)
class Examined:
    """What became of one block: what to write, the tally, and the problem that ends the run."""

    out: bytes
    tally: Tally
    done: int
    problem: tuple[str, int, str] | None = None


_PROBLEMS: Final = {code.code: code for code in (SCREEN_ENCODING, SCREEN_JSON, SCREEN_FIELD)}


@dataclass(frozen=True, slots=True)
class _Row:
    place: int
    strings: list[tuple[str, str]]
    problem: tuple[ErrorCode, str] | None = None
    replaced: bool = False


def examine_blocks(screener: Screener, blocks: Iterable[Block], task: Task, jobs: int = 1) -> Generator[Examined]:
    """Yield what became of each block, in order. Raises SCREEN-PROCESS; `problem_of` turns a block's problem into its error."""
    if jobs == 1:
        for block in blocks:
            yield examine_block(screener, block, task)
        return
    pool = _pool(screener, task, jobs)
    try:
        waiting: deque[Future[Examined]] = deque()
        for block in blocks:
            waiting.append(pool.submit(_examine_here, block))
            while len(waiting) > jobs * _AHEAD or (waiting and waiting[0].done()):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as problem:
        raise GuijuError(SCREEN_PROCESS) from problem
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def problem_of(examined: Examined) -> GuijuError | None:
    """Return the error that ends the run at this block, if one does."""
    if examined.problem is None:
        return None
    code, line, reason = examined.problem
    return GuijuError(_PROBLEMS[code], line=line, reason=reason)


def examine_block(screener: Screener, block: Block, task: Task) -> Examined:
    """Return what became of one block: every row up to the first that ends the run."""
    tally = Tally(last=block.first - 1)
    rows: list[_Row] = []
    stopped_by: tuple[str, int, str] | None = None
    for row in _rows(block, task):
        if row.problem is not None and task.on_error != "note":
            stopped_by = (row.problem[0].code, row.place, row.problem[1])
            break
        rows.append(row)
    verdicts = screener.examine_many((text for row in rows for _, text in row.strings), task.direction)
    broken: Action = "deliver" if screener.policy.could_not_examine == "deliver" else "refuse" if task.direction == "input" else "stop"
    out = []
    for row in rows:
        verdict = _verdict(row, [next(verdicts) for _ in row.strings], broken)
        tally.texts += 1
        tally.replaced += row.replaced
        tally.hits += bool(verdict.hits)
        tally.not_examined += verdict.outcome == "could_not_examine"
        if verdict.hits:
            tally.by_risk.update({hit.risk for hit in verdict.hits})
        if verdict is not PASS or (task.as_json and not task.only_hits):
            out.append(_as_json(row.place, verdict) if task.as_json else _as_text(row.place, verdict))
        tally.last = row.place
    tally.size_bytes = len(block.raw) or sum(len(text.encode("utf-8", "surrogatepass")) for row in rows for _, text in row.strings)
    return Examined(b"".join(out), tally, block.done, stopped_by)


def _verdict(row: _Row, found: list[Verdict], broken: Action) -> Verdict:
    """Return the verdict on a row: of its strings together. `broken` is what the policy does when there is nothing to examine."""
    if row.problem is not None:
        return Verdict("could_not_examine", broken, (), row.problem[0].code)
    if all(verdict is PASS for verdict in found):
        return PASS
    if len(found) == 1 and not row.strings[0][0]:
        return found[0]
    hits = [msgspec.structs.replace(hit, path=path) for (path, _), verdict in zip(row.strings, found, strict=True) for hit in verdict.hits]
    return Verdict("hit", max((verdict.action for verdict in found), key=GRAVITY.__getitem__), tuple(hits))


# ── rows ────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _rows(block: Block, task: Task) -> Iterator[_Row]:
    if block.rows is not None:
        for place, value in enumerate(block.rows, block.first):
            yield _of_value(place, value, task, replaced=False)
        return
    if task.form == "text":
        yield from _text_rows(block, task)
        return
    for place, line in enumerate(block.raw.split(b"\n"), block.first):
        if line.strip():
            yield _json_row(place, line, task)


def _text_rows(block: Block, task: Task) -> Iterator[_Row]:
    raw = block.raw.removesuffix(b"\n")
    try:
        lines = raw.decode().split("\n")
    except UnicodeDecodeError:
        for place, line in enumerate(raw.split(b"\n"), block.first):
            try:
                yield _Row(place, [("", line.decode().removesuffix("\r"))])
            except UnicodeDecodeError as problem:
                if task.on_error == "replace":
                    yield _Row(place, [("", line.decode(errors="replace").removesuffix("\r"))], replaced=True)
                else:
                    yield _Row(place, [], (SCREEN_ENCODING, _bad_byte(problem)))
        return
    for place, text in enumerate(lines, block.first):
        yield _Row(place, [("", text[:-1] if text[-1:] == "\r" else text)])


def _bad_byte(problem: UnicodeDecodeError) -> str:
    return f"byte 0x{problem.object[problem.start]:02x} at position {problem.start + 1}"


def _json_row(place: int, line: bytes, task: Task) -> _Row:
    replaced = False
    try:
        line.decode()
    except UnicodeDecodeError as problem:
        if task.on_error != "replace":
            return _Row(place, [], (SCREEN_ENCODING, _bad_byte(problem)))
        line, replaced = line.decode(errors="replace").encode(), True
    try:
        try:
            value = _DECODE(line)
        except msgspec.DecodeError:
            value = json.loads(line)  # a lone surrogate is JSON all the same, and can be examined
    except ValueError as problem:
        return _Row(place, [], (SCREEN_JSON, str(problem)))
    except RecursionError:
        return _Row(place, [], (SCREEN_JSON, "nested too deeply"))
    return _of_value(place, value, task, replaced)


def _of_value(place: int, value: object, task: Task, replaced: bool) -> _Row:
    try:
        strings = list(_below(value, task.field, ""))
    except RecursionError:
        return _Row(place, [], (SCREEN_JSON, "nested too deeply"))
    if not strings:
        return _Row(place, [], (SCREEN_FIELD, task.field))
    if len(strings) == 1 and strings[0][0] == task.field:
        strings = [("", strings[0][1])]
    return _Row(place, strings, replaced=replaced)


def _below(value: object, field: str, path: str) -> Iterator[tuple[str, str]]:
    """Yield (path, text) for every text in a field. `a.b` is b in a, or in each element of a; null is an empty text."""
    if not field:
        if value is None:
            yield path, ""
        for below, text in paths(value):
            yield f"{path}{'.' if path and below and below[0] != '[' else ''}{below}", text
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _below(item, field, f"{path}[{index}]")
    elif isinstance(value, dict):
        name, rest = (field, "") if field in value else field.partition(".")[::2]
        if name in value:
            yield from _below(value[name], rest, f"{path}.{name}" if path else name)


# ── what is written ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _as_json(place: int, verdict: Verdict) -> bytes:
    line: dict[str, object] = {"place": place, "outcome": verdict.outcome, "action": verdict.action}
    if verdict.reason:
        line["reason"] = verdict.reason
    line["hits"] = [
        {name: getattr(hit, name) for name in hit.__struct_fields__ if name != "more"} | ({"more": hit.more} if hit.more else {})
        for hit in verdict.hits
    ]
    return _ENCODE(line) + b"\n"


def _as_text(place: int, verdict: Verdict) -> bytes:
    """Return a line for each hit: where, risk, severity, action, rule. The words are not shown: they may offend, and stand in the file."""
    if not verdict.hits:
        return f"{place}\t{verdict.outcome}\t{verdict.reason}\n".encode()
    return "".join(
        f"{place}\t{hit.path or '-'}\t{hit.start}-{hit.end}\t{hit.risk}\t{hit.severity}\t{hit.action}\t{hit.rule}{_more(hit)}\n"
        for hit in verdict.hits
    ).encode("utf-8", "replace")


def _more(hit: Hit) -> str:
    return f"\t+{hit.more}" if hit.more else ""


# ── other processes ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _pool(screener: Screener, task: Task, jobs: int) -> ProcessPoolExecutor:
    """Start the processes. They never see Ctrl-C: this one ends them."""
    resource_tracker.ensure_running()  # it would unblock the signal
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        pool = ProcessPoolExecutor(
            jobs, multiprocessing.get_context("spawn"), _begin,
            (screener.entries, screener.policy, screener.version, screener.has_detectors, screener.has_classifier, task),
        )  # fmt: skip
        for _ in range(jobs):
            pool.submit(_ready)
        return pool
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_here: tuple[Screener, Task] | None = None
"""In a process of the pool: what it examines with."""


def _begin(entries: tuple[LibraryEntry, ...], policy: Policy, version: str, detectors: bool, classifier: bool, task: Task) -> None:
    global _here
    _here = Screener(entries, policy, version, detectors=detectors, classifier=classifier), task


def _ready() -> None:
    """Give a new process something to start for."""


def _examine_here(block: Block) -> Examined:
    assert _here is not None
    return examine_block(_here[0], block, _here[1])
