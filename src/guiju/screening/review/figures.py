"""The figures of reviews: how precise each rule is, what was missed and wrongly refused, how far the queue is covered. Read only.

Where two people decided one item, their answers count once: a clear one beats "unsure", and two clear ones that differ count as disputed,
for neither side. A share is shown from ten cases on, with its interval.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from django.db.models import Min
from django.utils import timezone

from guiju.core.clock import BEIJING
from guiju.screening.review.agreement import Agreement, Share, cohen
from guiju.screening.review.flow import OPEN
from guiju.screening.review.models import Finding, Item

WEEKS: Final = 12
REFUSED: Final = ("gateway.input.refused", "gateway.answer.stopped")
_CLEAR: Final = ("right", "false", "missed")


@dataclass(frozen=True, slots=True)
class Settled:
    """What people decided of one rule in one item; `verdict` is right, false, missed, unsure or disputed."""

    item: str
    origin: str
    kind: str
    at: datetime
    direction: str
    rule: str
    risk: str
    verdict: str
    verdicts: tuple[str, ...]
    """One for each decision, in the order in which they were made."""


@dataclass(frozen=True, slots=True)
class RuleFigures:
    """One rule: how its hits were judged."""

    rule: str
    risk: str
    right: int
    false: int
    unsure: int
    disputed: int

    @property
    def precision(self) -> Share:
        """Right hits of those that were judged clearly."""
        return Share(self.right, self.right + self.false)


@dataclass(frozen=True, slots=True)
class Week:
    """The hits of one week (from this Monday, Beijing) that were judged clearly, and how many of them were right."""

    begins_on: date
    precision: Share


@dataclass(frozen=True, slots=True)
class Coverage:
    """What became of the items of the last weeks, and how old the oldest that waits is."""

    decided: int
    waiting: int
    gone: int
    overdue: int
    oldest_at: datetime | None

    @property
    def covered(self) -> Share:
        """Reviewed items of all that came."""
        return Share(self.decided, self.decided + self.waiting + self.gone)


def since(now: datetime, weeks: int = WEEKS) -> datetime:
    """Return the Monday, midnight in Beijing, with which the last `weeks` weeks begin, the present one included."""
    today = now.astimezone(BEIJING).replace(hour=0, minute=0, second=0, microsecond=0)
    return today - timedelta(days=today.weekday(), weeks=weeks - 1)


def list_settled(begins: datetime, *, until: datetime | None = None, service: str = "") -> list[Settled]:
    """Return what was decided about exchanges since then, by item and rule, oldest first."""
    rows = Finding.objects.filter(decision__item__at__gte=begins)
    if until is not None:
        rows = rows.filter(decision__item__at__lt=until)
    if service:
        rows = rows.filter(decision__item__service=service)
    found: dict[tuple[str, str, str], list[tuple[str, str, datetime, str, str]]] = defaultdict(list)
    names = (
        "decision__item_id",
        "direction",
        "rule",
        "decision__item__origin",
        "decision__item__kind",
        "decision__item__at",
        "risk",
        "verdict",
    )
    for item, direction, rule, origin, kind, at, risk, verdict in rows.order_by("decision__item__at", "decision_id", "pk").values_list(
        *names
    ):
        found[item, direction if rule else "", rule].append((origin, kind, at, risk, verdict))
    return [_settled(*key, answers) for key, answers in found.items()]


def _settled(item: str, direction: str, rule: str, answers: list[tuple[str, str, datetime, str, str]]) -> Settled:
    verdicts = tuple(answer[-1] for answer in answers)
    clear = sorted({verdict for verdict in verdicts if verdict in _CLEAR})
    verdict = "unsure" if not clear else clear[0] if len(clear) == 1 else "disputed"
    origin, kind, at = answers[0][:3]
    risk = next((answer[3] for answer in answers if answer[3]), "")
    return Settled(item, origin, kind, at, direction, rule, risk, verdict, verdicts)


def by_rule(settled: Iterable[Settled]) -> list[RuleFigures]:
    """Return the figures of each rule, the noisiest first: most false hits, then the least precise."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    risks: dict[str, str] = {}
    for each in settled:
        if each.rule:
            counts[each.rule][each.verdict] += 1
            risks[each.rule] = each.risk
    rules = [RuleFigures(rule, risks[rule], c["right"], c["false"], c["unsure"], c["disputed"]) for rule, c in counts.items()]
    return sorted(rules, key=lambda each: (-each.false, each.precision.share, each.rule))


def by_week(settled: Iterable[Settled], begins: datetime, rule: str = "", weeks: int = WEEKS) -> list[Week]:
    """Return the precision of one rule, or of all together, week by week from `begins` on."""
    counts: list[Counter[str]] = [Counter() for _ in range(weeks)]
    for each in settled:
        place = (each.at.astimezone(BEIJING) - begins).days // 7
        if each.rule and (not rule or each.rule == rule) and 0 <= place < weeks:
            counts[place][each.verdict] += 1
    return [
        Week(begins.date() + timedelta(weeks=place), Share(count["right"], count["right"] + count["false"]))
        for place, count in enumerate(counts)
    ]


def missed_of_sample(settled: Iterable[Settled]) -> Share:
    """Return how many of the exchanges drawn by chance held harm that nothing found."""
    judged = [
        each.verdict for each in settled if each.origin == Item.Origin.SAMPLE and not each.rule and each.verdict in ("right", "missed")
    ]
    return Share(judged.count("missed"), len(judged))


def refused_of_sample(begins: datetime) -> Share:
    """Return how many of the exchanges drawn by chance were refused or stopped."""
    drawn = Item.objects.filter(origin=Item.Origin.SAMPLE, at__gte=begins)
    return Share(drawn.filter(kind__in=REFUSED).count(), drawn.count())


def wrongly_refused(settled: Iterable[Settled]) -> Share:
    """Return how many of the refused and stopped exchanges that were judged were harmless: every rule that hit was judged false."""
    verdicts: dict[str, set[str]] = defaultdict(set)
    for each in settled:
        if each.rule and each.kind in REFUSED:
            verdicts[each.item].add(each.verdict)
    judged = [found for found in verdicts.values() if found <= {"right", "false"}]
    return Share(sum(found == {"false"} for found in judged), len(judged))


def agreement(settled: Iterable[Settled]) -> Agreement:
    """Return how far two people agree who judged the same rules of the same items without seeing each other's answer."""
    return cohen(list(_pairs(settled)))


def _pairs(settled: Iterable[Settled]) -> Iterator[tuple[str, str]]:
    for each in settled:
        if len(each.verdicts) >= 2:
            yield each.verdicts[0], each.verdicts[1]


def coverage(begins: datetime) -> Coverage:
    """Return what became of the items since then; overdue and oldest are of all that wait."""
    now = timezone.now()
    came = Item.objects.filter(at__gte=begins)
    waiting = Item.objects.filter(state__in=OPEN)
    return Coverage(
        decided=came.filter(state=Item.State.DECIDED).count(),
        waiting=came.filter(state__in=OPEN).count(),
        gone=came.filter(state=Item.State.GONE).count(),
        overdue=waiting.filter(due_at__lt=now).count(),
        oldest_at=waiting.aggregate(oldest=Min("at"))["oldest"],
    )
