"""Sweeps: what is past its days goes, content first, later the records; at no instant is anything missing that nothing explains.

What a kill leaves behind, step by step:
1. removal not ordered: nothing has happened;
2. ordered (its record `records.retention.removed` in the outbox, its row beside it): nothing is gone; the next sweep waits until
   the record lies in the ledger under a signed checkpoint;
3. some of its rows gone: `guiju verify` explains each of them by that record; the next sweep goes on with the others.
The database refuses a deletion for which this order was not kept, or whose minimum is not over (migration 0004).
Source: Measures Art. 11; PIPL Arts. 19, 47; Cybersecurity Law Art. 23(3).
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Final

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Min, Q, QuerySet

from guiju.core.layout import DataFolder
from guiju.core.settings import Retention
from guiju.records import flow
from guiju.records.keeping.hold import held_records
from guiju.records.keeping.removal import BLOCK, KIND, bits_of, pack_bits, unpack_numbers
from guiju.records.keys.forget import forget_old_bytes, forgetting
from guiju.records.kinds import KINDS
from guiju.records.log.note import stated_checkpoint
from guiju.records.log.tiles import read_checkpoint
from guiju.records.models import DayMark, Hold, Record, Removal, RetentionRule
from guiju.records.recorder.issued import forget_issued
from guiju.records.recorder.months import drop_months
from guiju.records.values import BY_NAME, class_of

ACTOR: Final = "guiju"
ROWS_AT_ONCE: Final = 200
"""Rows of one transaction: on SQLite the recorder waits for as long as they take, a few milliseconds."""
_LOOK_BACK_DAYS: Final = 40
_PAUSE_DAYS: Final = 31
_CALM_MARKS: Final = 7
_WAIT_S: Final = 60.0
_LOOK_S: Final = 0.2
CONTENT, RECORD = Removal.What.CONTENT, Removal.What.RECORD

_SHORT_LIVED: Final = [kind for kind in KINDS if (of := class_of(kind)) is not None and of.name == "log"]

Progress = Callable[[int, int], None]
log = logging.getLogger("guiju.records")


@dataclass(frozen=True, slots=True)
class Plan:
    """What one removal would take: numbers of one block, counted by class."""

    what: str
    first: int
    until: int
    numbers: list[int]
    by_kind: Counter[str]

    @property
    def by_class(self) -> Counter[str]:
        """How many of each retention class."""
        counted: Counter[str] = Counter()
        for kind, count in self.by_kind.items():
            found = class_of(kind)
            counted[found.name if found else ""] += count
        return counted


@dataclass(slots=True)
class Swept:
    """What a sweep did. `waiting` counts removals whose record is not in the ledger yet, `paused` says why nothing was ordered."""

    contents: int = 0
    records: int = 0
    months: list[str] = field(default_factory=list)
    orders: list[str] = field(default_factory=list)
    waiting: int = 0
    paused: tuple[str, str] | None = None


def numbers_before(days: int, today: date) -> int:
    """Return the number below which the database had written every record at least so many days ago; 0 for none."""
    mark = DayMark.objects.filter(day__lte=today - timedelta(days=days)).order_by("-day").first()
    return mark.next_index if mark is not None else 0


def cuts(what: str, kept: Retention, today: date) -> dict[str, int]:
    """Return, for each kind of record that may be removed, the number below which it is past its days."""
    found: dict[str, int] = {}
    known: dict[int, int] = {}
    for kind in KINDS:
        of = class_of(kind)
        if of is None or (what == RECORD and not of.minimum_days):
            continue
        days = kept.days_of(of.name) if what == RECORD else kept.content_days_of(of.name)
        if days not in known:
            known[days] = numbers_before(days, today)
        if known[days]:
            found[kind] = known[days]
    return found


def find_clock_trouble(today: date) -> tuple[str, str] | None:
    """Return why the age of records cannot be trusted today, in Chinese and English; None when it can.

    After a jump of the clock, or a long standstill, a week of days with records must pass: somebody can look before anything goes.
    """
    days = list(DayMark.objects.order_by("-day").values_list("day", flat=True)[: _CALM_MARKS + 1])
    if not days:
        return None
    if today < days[0]:
        return (f"时钟显示 {today}，而 {days[0]} 已写过记录", f"the clock says {today}, records were written on {days[0]} already")
    for later, earlier in pairwise([today, *days]):
        if (later - earlier).days > _PAUSE_DAYS:
            zh = f"{earlier} 与 {later} 之间没有写过记录，时钟可能跳变过"
            return zh, f"no record was written between {earlier} and {later}: the clock may have jumped"
    return None


def plan(what: str, kept: Retention, today: date) -> Iterator[Plan]:
    """Yield what is past its days, block by block; held records are left out. Reads only."""
    limits = cuts(what, kept, today)
    begins = _looked_through(what, kept, today)
    held = held_records()
    after = 0
    while True:
        first = _first_past(what, limits, begins, held, after)
        if first is None:
            return
        begin = first // BLOCK * BLOCK
        end = begin + BLOCK
        rows = _candidates(what, held).filter(index__gte=begin, index__lt=end, kind__in=limits).order_by("index")
        chosen = [(index, kind) for index, kind in rows.values_list("index", "kind") if index < limits[kind]]
        if chosen:
            numbers = [index for index, _ in chosen]
            yield Plan(what, numbers[0] // 8 * 8, numbers[-1] + 1, numbers, Counter(kind for _, kind in chosen))
        after = end


def sweep(
    kept: Retention,
    *,
    today: date | None = None,
    progress: Progress | None = None,
    wait_s: float = _WAIT_S,
    stop: Callable[[], bool] = bool,
) -> Swept:
    """Finish what was ordered before, order what is past its days, wait for its record, and carry it out.

    At most `rows_per_s` rows go in a second. `progress` is told (removed, ordered) rows. `stop` ends it early; what is left goes on
    with the next sweep.
    """
    day = today or datetime.now(UTC).date()
    done = Swept(paused=find_clock_trouble(day))
    with forgetting():
        _carry_out_all(kept, done, progress, wait_s, stop)
        if done.paused or done.waiting or stop():
            return done
        keep_rules()
        for what in (CONTENT, RECORD):
            for each in plan(what, kept, day):
                done.orders.append(order(each, kept, day))
            _carry_out_all(kept, done, progress, wait_s, stop)
    if done.contents or done.records:
        forget_old_bytes()
    return done


def keep_rules() -> None:
    """Tell the database the minimum of every kind; it lets a minimum grow, never shrink."""
    known = dict(RetentionRule.objects.values_list("kind", "minimum_days"))
    for kind in KINDS:
        of = class_of(kind)
        days = of.minimum_days if of else 0
        if kind not in known:
            RetentionRule.objects.create(kind=kind, minimum_days=days)
        elif known[kind] and (days == 0 or days > known[kind]):
            RetentionRule.objects.filter(kind=kind).update(minimum_days=days)


def order(each: Plan, kept: Retention, today: date) -> str:
    """Order one removal: its row and its record `records.retention.removed`, in one transaction. Return the record's id."""
    bits = bits_of(each.numbers, each.first, each.until)
    with transaction.atomic():
        classes: dict[str, object] = {}
        for name, count in sorted(each.by_class.items()):
            of = BY_NAME[name]
            days = kept.days_of(name) if each.what == RECORD else kept.content_days_of(name)
            classes[name] = {
                "count": count,
                "days": days,
                "minimum_days": of.minimum_days if each.what == RECORD else 0,
                "basis": of.basis,
                "written_before": str(today - timedelta(days=days)),
            }
        metadata: dict[str, object] = {
            "what": str(each.what),
            "first": each.first,
            "until": each.until,
            "count": len(each.numbers),
            "classes": classes,
            "kinds": dict(sorted(each.by_kind.items())),
            "numbers": pack_bits(bits),
        }
        id = flow.append(kind=KIND, actor=ACTOR, metadata=metadata)
        Removal.objects.create(
            id=id,
            what=each.what,
            first=each.first,
            until=each.until,
            bits=bits,
            ordered=len(each.numbers),
            done_until=each.first,
            ordered_at=datetime.now(UTC),
        )
    return id


def _looked_through(what: str, kept: Retention, today: date) -> dict[str, int]:
    """Return, for each kind, the number below which earlier sweeps have left nothing: records whose content is gone are many.

    Once a week, after a hold was lifted, and where no sweep came through lately, everything is looked through.
    """
    lately = datetime.now(UTC) - timedelta(days=_LOOK_BACK_DAYS)
    swept = Removal.objects.filter(what=what, finished_at__gte=lately).exists()
    if what == RECORD or not swept or today.weekday() == 0 or Hold.objects.filter(lifted_at__gte=lately).exists():
        return {}
    return cuts(what, kept, today - timedelta(days=_LOOK_BACK_DAYS))


def _first_past(what: str, limits: dict[str, int], begins: dict[str, int], held: Q | None, after: int) -> int | None:
    """Return the lowest number from `after` on that is past its days. One probe for each kind: the index is by kind and number."""
    found: list[int] = []
    for kind, limit in limits.items():
        begin = max(after, begins.get(kind, 0))
        if begin < limit:
            rows = _candidates(what, held).filter(kind=kind, index__gte=begin, index__lt=limit)
            lowest = rows.aggregate(lowest=Min("index"))["lowest"]
            if lowest is not None:
                found.append(lowest)
    return min(found, default=None)


def _candidates(what: str, held: Q | None) -> QuerySet[Record]:
    rows = Record.objects.filter(content__isnull=what == RECORD)
    return rows if held is None else rows.exclude(held)


def _carry_out_all(kept: Retention, done: Swept, progress: Progress | None, wait_s: float, stop: Callable[[], bool]) -> None:
    waiting = list(Removal.objects.filter(finished_at=None).order_by("ordered_at", "id"))
    ready_until = time.monotonic() + wait_s
    whole = sum(removal.ordered for removal in waiting)
    told = 0
    done.waiting = 0
    ready: list[tuple[Removal, list[int]]] = []
    for removal in waiting:
        numbers = _numbers_on_record(removal.id, ready_until, stop)
        if numbers is None:
            done.waiting += 1
        else:
            ready.append((removal, numbers))
    if any(removal.what == RECORD for removal, _ in ready):
        # Whole months first: what goes with its partition need not go row by row.
        done.months += drop_months(_SHORT_LIVED)
        done.records += sum(Removal.objects.get(pk=removal.pk).removed - removal.removed for removal, _ in ready)
    for removal, numbers in ready:
        for count in _carry_out(removal, numbers, kept.rows_per_s, stop):
            told += count
            if removal.what == CONTENT:
                done.contents += count
            else:
                done.records += count
            if progress is not None:
                progress(told, whole)
    if any(removal.what == RECORD for removal, _ in ready) and not stop():
        done.months += drop_months(_SHORT_LIVED)


def _numbers_on_record(id: str, until: float, stop: Callable[[], bool]) -> list[int] | None:
    """Return the numbers that a removal's record names, once it lies under a checkpoint; None when it does not in time."""
    while True:
        record = Record.objects.filter(id=id).first()
        if record is not None and record.index < _signed_size():
            said = record.metadata
            return unpack_numbers(said["numbers"], said["first"], said["until"])
        if stop() or time.monotonic() > until:
            return None
        time.sleep(_LOOK_S)


def _signed_size() -> int:
    folder: DataFolder = settings.DATA_FOLDER
    note = read_checkpoint(folder.ledger)
    stated = stated_checkpoint(note) if note is not None else None
    return stated.size if stated is not None else 0


def _carry_out(removal: Removal, numbers: list[int], rows_per_s: int, stop: Callable[[], bool]) -> Iterator[int]:
    """Remove the rows of one removal batch by batch; yield how many each batch took."""
    left = [number for number in numbers if number >= removal.done_until]
    for at in range(0, len(left), ROWS_AT_ONCE):
        if stop():
            return
        begun = time.monotonic()
        some = left[at : at + ROWS_AT_ONCE]
        with transaction.atomic():
            count = _remove(removal.what, some)
            if removal.what == RECORD:
                forget_issued(some)
            Removal.objects.filter(pk=removal.pk).update(done_until=some[-1] + 1, removed=F("removed") + count)
        yield count
        time.sleep(max(0.0, len(some) / rows_per_s - (time.monotonic() - begun)))
    Removal.objects.filter(pk=removal.pk, finished_at=None).update(finished_at=datetime.now(UTC))


def _remove(what: str, numbers: list[int]) -> int:
    """Remove the content, or the records, with these numbers; a hold that was set since keeps its own."""
    rows = _candidates(what, held_records()).filter(index__in=numbers)
    table, column = ("records_recordcontent", "record_id") if what == CONTENT else ("records_record", "index")
    values = list(rows.values_list("id" if what == CONTENT else "index", flat=True))
    if not values:
        return 0
    marks = ", ".join(["%s"] * len(values))
    with connection.cursor() as cursor:  # past the ORM, which would look for whatever hangs on each row
        cursor.execute(f'DELETE FROM {table} WHERE "{column}" IN ({marks})', values)  # noqa: S608  # names are ours
        return int(cursor.rowcount)
