"""Precision and recall from decisions of people: as they judged, and, where the export holds texts, with the rules at hand now. Pure.

No Django and no database: an export can be evaluated anywhere. What is found is told for each rule, what is missed for each risk.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from guiju.core.errors import GuijuError, Text, define
from guiju.screening.review.agreement import Share

if TYPE_CHECKING:
    from guiju.screening.screener import Screener

FORM: Final = "guiju-review/1"
REVIEW_FILE = define(
    "REVIEW-FILE",
    status=400,
    kind="invalid_request_error",
    zh=Text("{path} 第 {line} 行不是复核结论：{reason}。", "没有计算任何数值。", "请给出 guiju review export 写出的文件。"),
    en=Text(
        "{path} line {line} is no decision of a review: {reason}.", "Nothing was computed.", "Give a file that guiju review export wrote."
    ),
)


class Judged(msgspec.Struct, frozen=True):
    """What people decided of one rule, or, without a rule, of what none found."""

    direction: str
    rule: str
    risk: str
    verdict: str


class Given(msgspec.Struct, frozen=True):
    """A text of the exchange."""

    direction: str
    path: str
    text: str


class Line(msgspec.Struct, frozen=True):
    """One line of an export."""

    form: str
    record: str
    findings: tuple[Judged, ...]
    texts: tuple[Given, ...] | None = None


@dataclass(frozen=True, slots=True)
class RuleResult:
    """One rule: its hits as people judged them, and how many of each it still has; None without texts."""

    rule: str
    risk: str
    judged: Share
    now: Share | None
    kept: Share | None
    """Right hits that are still found."""


@dataclass(frozen=True, slots=True)
class RiskResult:
    """One risk: of the cases of harm that people saw, those that were found, and those that are found now; None without texts."""

    risk: str
    found: Share
    now: Share | None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What an export says; `with_texts` is how many of its items could be examined again."""

    items: int
    with_texts: int
    rules: tuple[RuleResult, ...]
    risks: tuple[RiskResult, ...]


def read_export(path: Path) -> list[Line]:
    """Return the lines of an export. Raises REVIEW-FILE with the first line that is none, OSError for a file that cannot be read."""
    decode = msgspec.json.Decoder(Line).decode
    lines = []
    with path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            try:
                line = decode(raw)
                if line.form != FORM:
                    raise ValueError(f"its form is {line.form[:40]}")
            except (msgspec.DecodeError, ValueError) as problem:
                raise GuijuError(REVIEW_FILE, path=path, line=number, reason=str(problem)[:200]) from None
            lines.append(line)
    return lines


def evaluate(lines: Iterable[Line], screener: "Screener") -> Evaluation:
    """Return precision for each rule and recall for each risk. A text that could not be examined counts as not found."""
    then: dict[str, Counter[str]] = defaultdict(Counter)
    risks: dict[str, str] = {}
    harm: dict[str, Counter[str]] = defaultdict(Counter)
    items = examined = 0
    for line in lines:
        items += 1
        now = _hits(line.texts, screener) if line.texts else None
        examined += now is not None
        for each in line.findings:
            if each.rule and each.verdict in ("right", "false"):
                risks[each.rule] = each.risk
                then[each.rule][each.verdict] += 1
                if now is not None:
                    then[each.rule][f"seen {each.verdict}"] += 1
                    then[each.rule][f"now {each.verdict}"] += (each.direction, each.rule) in now[0]
            if (each.rule and each.verdict == "right") or (not each.rule and each.verdict == "missed"):
                harm[each.risk][each.verdict] += 1
                if now is not None:
                    harm[each.risk]["seen"] += 1
                    harm[each.risk]["now"] += each.risk in now[1]
    rules = tuple(_rule(rule, risks[rule], counts) for rule, counts in sorted(then.items()))
    return Evaluation(items, examined, rules, tuple(_risk(risk, counts) for risk, counts in sorted(harm.items())))


def _rule(rule: str, risk: str, counts: Counter[str]) -> RuleResult:
    judged = Share(counts["right"], counts["right"] + counts["false"])
    if not counts["seen right"] + counts["seen false"]:
        return RuleResult(rule, risk, judged, None, None)
    now = Share(counts["now right"], counts["now right"] + counts["now false"])
    return RuleResult(rule, risk, judged, now, Share(counts["now right"], counts["seen right"]))


def _risk(risk: str, counts: Counter[str]) -> RiskResult:
    found = Share(counts["right"], counts["right"] + counts["missed"])
    return RiskResult(risk, found, Share(counts["now"], counts["seen"]) if counts["seen"] else None)


def _hits(texts: tuple[Given, ...] | None, screener: "Screener") -> tuple[set[tuple[str, str]], set[str]]:
    rules: set[tuple[str, str]] = set()
    risks: set[str] = set()
    for each in texts or ():
        for hit in screener.examine(each.text, "output" if each.direction == "output" else "input").hits:
            rules.add((each.direction, hit.rule))
            risks.add(hit.risk)
    return rules, risks


def as_rows(found: Evaluation) -> dict[str, Any]:
    """Return an evaluation for programs: shares as part and whole, never as a fraction of few cases."""

    def share(of: Share | None) -> dict[str, int] | None:
        return None if of is None else {"part": of.part, "whole": of.whole}

    return {
        "items": found.items,
        "with_texts": found.with_texts,
        "rules": [
            {
                "rule": each.rule,
                "risk": each.risk,
                "precision": share(each.judged),
                "precision_now": share(each.now),
                "kept": share(each.kept),
            }
            for each in found.rules
        ],
        "risks": [{"risk": each.risk, "recall": share(each.found), "recall_now": share(each.now)} for each in found.risks],
    }


def print_evaluation(found: Evaluation, version: str) -> None:
    """Print an evaluation as two tables; a share of fewer than ten cases stands as its cases."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    console.print(f"复核件 items {found.items:,}，含文字 with texts {found.with_texts:,}；词库 library {version[:12]}")
    table = Table(title="规则 rules", title_justify="left", box=None)
    for heading in ("规则 rule", "风险 risk", "精确率 precision", "现在 now", "保留的正确命中 right hits kept"):
        table.add_column(heading)
    for each in found.rules:
        table.add_row(each.rule, each.risk, _told(each.judged), _told(each.now), _told(each.kept))
    console.print(table)
    table = Table(title="风险 risks（召回率只就抽样与命中所见 recall of what people saw）", title_justify="left", box=None)
    for heading in ("风险 risk", "召回率 recall", "现在 now"):
        table.add_column(heading)
    for risk in found.risks:
        table.add_row(risk.risk, _told(risk.found), _told(risk.now))
    console.print(table)


def _told(share: Share | None) -> str:
    if share is None or not share.whole:
        return "–"
    return f"{share.share:.0%} ({share.low:.0%}–{share.high:.0%}) n={share.whole}" if share.shown else f"{share.part} / {share.whole}"
