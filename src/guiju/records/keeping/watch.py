"""The watch for gaps: records that should be there and are not. Run every minute; each gap becomes an incident's record.

| cause | seen by |
|---|---|
| `numbers` | record numbers that are missing and that no removal names |
| `ledger` | a signed ledger that is longer than the database, or that stays behind it |
| `segment` | spool segments of a writer whose numbers have a gap |
| `service` | a worker's heartbeat counts more answers of a service than there are records |
| `heartbeat` | a worker that lives (its lock is held) and whose heartbeats have stopped |
| `recorder` | the recorder's heartbeats have stopped |
| `clock` | a heartbeat of the recorder saw the clock jump |

Source: Measures Art. 9; Cybersecurity Law Arts. 23, 69.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import transaction
from django.db.models import Sum

from guiju.core.clock import beijing_text
from guiju.core.ids import made_at_ms
from guiju.core.layout import DataFolder
from guiju.records import flow
from guiju.records.keeping.removal import BLOCK, removed_numbers
from guiju.records.log.note import stated_checkpoint
from guiju.records.log.tiles import read_checkpoint
from guiju.records.models import Gap, Record, Removal, SpoolCursor, Watch, next_index
from guiju.records.recorder.intake import DAMAGED_FOLDER
from guiju.records.spool.segment import WRITER_SUFFIX, is_abandoned, list_segments

ALIVE: Final = "gateway.worker.alive"
ENDED: Final = "gateway.worker.ended"
RECORDER_ALIVE: Final = "records.recorder.alive"
FOUND: Final = "records.gap.found"
CLOSED: Final = "records.gap.closed"
ANSWERED: Final = (
    "gateway.answer.delivered",
    "gateway.answer.stopped",
    "gateway.answer.interrupted",
    "gateway.input.refused",
    "gateway.request.rejected",
    "gateway.upstream.failed",
    "gateway.media.submitted",
    "gateway.media.delivered",
    "gateway.media.withheld",
)
"""What a worker counts in its heartbeat: the one record that closes each request."""
COUNT_EVERY: Final = timedelta(hours=1)
_MARGIN: Final = timedelta(seconds=60)
"""An answer's time lies before its heartbeat's by as long as its record took to be durable."""
_LONGEST_RANGES: Final = 50
_ACTOR: Final = "guiju"


@dataclass(frozen=True, slots=True)
class Missing:
    """One gap as it was seen. `key` is the same whenever the same gap is seen again; what is not known is None or empty."""

    cause: str
    key: str
    zh: str
    en: str
    first: int | None = None
    last: int | None = None
    count: int | None = None
    service: str = ""
    writer: str = ""
    since: datetime | None = None
    until: datetime | None = None


def look(now: datetime, heartbeat_ms: int, up_since: datetime | None = None) -> list[Gap]:
    """Look once; note each gap that was not noted before, leave its record, and return the new ones.

    `up_since` is when the service began, for a service that was stopped was silent in order.
    """
    silence = timedelta(milliseconds=heartbeat_ms) * 3 + timedelta(minutes=2)
    state, _ = Watch.objects.get_or_create(id=1, defaults={"next_index": 0, "counted_at": datetime(1970, 1, 1, tzinfo=UTC)})
    head = next_index()
    count_all = now - state.counted_at >= COUNT_EVERY or now < state.counted_at
    seen = [
        *find_missing_numbers(state.next_index, head, count_all=count_all),
        *find_ledger_trouble(head, now, silence),
        *find_missing_segments(),
        *find_unrecorded_answers(state.next_index, head),
        *find_silent_workers(now, silence),
        *find_silent_recorder(now, silence, up_since),
        *find_clock_jumps(state.next_index, head),
    ]
    found = [gap for each in seen if (gap := note(each, now)) is not None]
    state.next_index = head
    if count_all:
        state.counted_at = now
    state.save()
    return found


def note(missing: Missing, now: datetime) -> Gap | None:
    """Note a gap and leave `records.gap.found`; None when it was noted before, open or closed."""
    with transaction.atomic():
        gap, new = Gap.objects.get_or_create(
            key=missing.key,
            defaults={
                "cause": missing.cause,
                "zh": missing.zh,
                "en": missing.en,
                "service": missing.service,
                "found_at": now,
                "record": "",
            },
        )
        if not new:
            return None
        facts = {name: getattr(missing, name) for name in ("first", "last", "count", "service", "writer")}
        times = {name: at.astimezone(UTC).isoformat() for name in ("since", "until") if (at := getattr(missing, name)) is not None}
        metadata: dict[str, object] = {"cause": missing.cause, "key": missing.key, "detail": missing.en, **times}
        metadata |= {name: value for name, value in facts.items() if value not in (None, "")}
        gap.record = flow.append(kind=FOUND, actor=_ACTOR, service=missing.service, metadata=metadata)
        gap.save()
    return gap


def find_missing_numbers(since: int, head: int, *, count_all: bool) -> Iterator[Missing]:
    """Yield ranges of numbers that are missing: among the new records each time, among all when their count is wrong."""
    if Record.objects.filter(index__gte=since, index__lt=head).count() != head - since:
        yield from _ranges(since, head)
    if count_all and since:
        removed = Removal.objects.filter(what=Removal.What.RECORD).aggregate(count=Sum("removed"))["count"] or 0
        if Record.objects.filter(index__lt=head).count() + removed != head:
            for begin in range(0, since, BLOCK):
                yield from _ranges(begin, min(begin + BLOCK, since))


def _ranges(begin: int, end: int) -> Iterator[Missing]:
    present = set(Record.objects.filter(index__gte=begin, index__lt=end).values_list("index", flat=True))
    if len(present) == end - begin:
        return
    removed = removed_numbers()
    first: int | None = None
    told = 0
    for number in range(begin, end + 1):
        gone = number < end and number not in present and not removed.find(Removal.What.RECORD, number)
        if gone and first is None:
            first = number
        elif not gone and first is not None:
            yield _numbers(first, number - 1)
            first, told = None, told + 1
            if told == _LONGEST_RANGES:
                return


def _numbers(first: int, last: int) -> Missing:
    before = Record.objects.filter(index__lt=first).order_by("-index").values_list("at", flat=True).first()
    after = Record.objects.filter(index__gt=last).order_by("index").values_list("at", flat=True).first()
    zh = f"记录 {first} 至 {last} 缺失，没有任何清除记录指明它们"
    en = f"records {first} to {last} are missing, and no removal names them"
    return Missing("numbers", f"numbers:{first}-{last}", zh, en, first, last, last - first + 1, since=before, until=after)


def find_ledger_trouble(head: int, now: datetime, silence: timedelta) -> Iterator[Missing]:
    """Yield a signed ledger that is longer than the database ever was, or that has stopped following it."""
    folder: DataFolder = settings.DATA_FOLDER
    raw = read_checkpoint(folder.ledger)
    size = stated_checkpoint(raw).size if raw is not None else 0
    if size > head:
        zh = f"已签名 {size} 条记录，数据库只写过 {head} 条"
        en = f"{size} records are signed for, the database has written {head}"
        yield Missing("ledger", f"ledger:{head}-{size}", zh, en, head, size - 1, size - head)
    elif size < head:
        first = Record.objects.filter(index__gte=size).order_by("index").first()
        if first is not None and made_at_ms(first.id) < (now - silence).timestamp() * 1000:
            zh = f"{head - size} 条记录未入账，最早的写于 {_beijing(first.at)}"
            en = f"{head - size} records are not in the ledger, the first of them of {_beijing(first.at)}"
            yield Missing("ledger", f"ledger:behind:{size}", zh, en, size, head - 1, head - size, since=first.at)


def find_missing_segments() -> Iterator[Missing]:
    """Yield numbers of segments that a writer must have written, for it wrote a later one, and that nobody has read."""
    folder: DataFolder = settings.DATA_FOLDER
    names = [*SpoolCursor.objects.values_list("segment", flat=True), *(path.name for path in list_segments(folder.spool))]
    names += [path.name for path in (folder.spool / DAMAGED_FOLDER).glob("*")]
    known: dict[str, set[int]] = {}
    for name in names:
        writer, _, rest = name.partition("-")
        digits = rest.partition("-")[0]
        if digits.isdigit():
            known.setdefault(writer, set()).add(int(digits))
    for writer, numbers in sorted(known.items()):
        for number in sorted(set(range(1, max(numbers) + 1)) - numbers)[:_LONGEST_RANGES]:
            zh = f"写入者 {writer} 的第 {number} 个暂存段从未读到，其后的段已读"
            en = f"segment {number} of writer {writer} was never read, a later one was"
            yield Missing("segment", f"segment:{writer}-{number}", zh, en, writer=writer)


def find_unrecorded_answers(since: int, head: int) -> Iterator[Missing]:
    """Yield services of which a worker counted more answers between two heartbeats than there are records."""
    for beat in Record.objects.filter(kind=ALIVE, index__gte=since, index__lt=head).order_by("index"):
        writer = str(beat.metadata.get("writer", ""))
        earlier = Record.objects.filter(kind=ALIVE, actor=beat.actor, index__lt=beat.index).order_by("-index")[:50]
        before = next((each for each in earlier if each.metadata.get("writer") == writer), None)
        counted = _counts(before) if before is not None else {}
        begun = before.at - _MARGIN if before is not None else datetime.fromtimestamp(made_at_ms(writer) / 1000, UTC) - _MARGIN
        for service, answers in sorted(_counts(beat).items()):
            answered = answers - counted.get(service, 0)
            if answered <= 0:
                continue
            rows = Record.objects.filter(service=service, kind__in=ANSWERED, index__lt=beat.index)
            recorded = rows.filter(at__gte=begun, at__lte=beat.at + _MARGIN).count()
            if recorded < answered:
                zh = f"{beat.actor} 处理了 {service} 的 {answered} 次请求，记录只有 {recorded} 条"
                en = f"{answered} answers of {service} by {beat.actor}, {recorded} records of them"
                key = f"service:{beat.id}:{service}"
                yield Missing("service", key, zh, en, count=answered - recorded, service=service, writer=writer, since=begun, until=beat.at)


def _counts(beat: Record) -> dict[str, int]:
    found = beat.metadata.get("services")
    return {str(name): count for name, count in found.items() if isinstance(count, int)} if isinstance(found, dict) else {}


def find_silent_workers(now: datetime, silence: timedelta) -> Iterator[Missing]:
    """Yield workers whose lock is held and of which no heartbeat has come for too long."""
    folder: DataFolder = settings.DATA_FOLDER
    for path in sorted(folder.spool.glob(f"*{WRITER_SUFFIX}")):
        writer = path.name.removesuffix(WRITER_SUFFIX)
        begun = datetime.fromtimestamp(made_at_ms(writer) / 1000, UTC)
        if now - begun <= silence or is_abandoned(path):
            continue
        last = _last_beat(writer, max(begun, now - timedelta(days=7)))
        if now - max(last, begun) > silence:
            zh = f"写入者 {writer} 的网关进程仍在运行，最后一次心跳在 {_beijing(last)}"
            en = f"the worker of writer {writer} lives, its last heartbeat is of {_beijing(last)}"
            yield Missing("heartbeat", f"heartbeat:{writer}:{int(last.timestamp())}", zh, en, writer=writer, since=last, until=now)


def _last_beat(writer: str, since: datetime) -> datetime:
    """Return the time of this writer's last heartbeat; that of `since` when there is none so late."""
    for beat in Record.objects.filter(kind=ALIVE, at__gte=since).order_by("-index")[:500]:
        if beat.metadata.get("writer") == writer:
            return beat.at
    return since


def find_silent_recorder(now: datetime, silence: timedelta, up_since: datetime | None = None) -> Iterator[Missing]:
    """Yield the recorder's silence, once it has ever been heard; a stop of the whole service is none."""
    last = Record.objects.filter(kind=RECORDER_ALIVE).order_by("-index").first()
    if last is not None and now - max(last.at, up_since or last.at) > silence:
        zh = f"记录进程最后一次心跳在 {_beijing(last.at)}"
        en = f"the last heartbeat of the recorder is of {_beijing(last.at)}"
        yield Missing("recorder", f"recorder:{last.id}", zh, en, since=last.at, until=now)


def find_clock_jumps(since: int, head: int) -> Iterator[Missing]:
    """Yield jumps of the clock that the recorder saw: times of records around them cannot be compared."""
    for beat in Record.objects.filter(kind=RECORDER_ALIVE, index__gte=since, index__lt=head).order_by("index"):
        jump_ms = beat.metadata.get("clock_jump_ms")
        if isinstance(jump_ms, int) and jump_ms:
            zh = f"在 {_beijing(beat.at)} 之前时钟跳变了 {jump_ms} 毫秒"
            en = f"the clock jumped by {jump_ms} ms before {_beijing(beat.at)}"
            yield Missing("clock", f"clock:{beat.id}", zh, en, count=abs(jump_ms), until=beat.at)


def _beijing(at: datetime) -> str:
    return beijing_text(int(at.timestamp() * 1_000_000))
