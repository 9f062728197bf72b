"""Records as pages ask for them: lists that filter and page by key, the two records of one answer, counts. Read only."""

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlencode

from django.db import connection
from django.db.models import BinaryField, Count, F, Func, IntegerField, QuerySet, Value
from django.db.models.functions import TruncHour

from guiju.core.clock import BEIJING
from guiju.records.heart import QUIET_KINDS
from guiju.records.models import Record

PAGE_RECORDS: Final = 50
OPENED: Final = "gateway.answer.opened"
CLOSING: Final = (
    "gateway.answer.delivered", "gateway.answer.stopped", "gateway.answer.interrupted",
    "gateway.upstream.failed", "gateway.input.refused", "gateway.media.withheld", "gateway.request.rejected",
)  # fmt: skip
"""How an answer ends that was asked of an upstream as a stream: the latter ones before its first word."""
_SEARCHED: Final = 5_000
"""How many closing records after the opening one are looked through."""
_ID: Final = re.compile("[0-9A-HJKMNP-TV-Z]{26}")


class NumberWrong(ValueError):
    """What was given as a record's number is none."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the list was asked for; empty text for no condition. Times are Beijing times as browsers send them."""

    kind: str = ""
    service: str = ""
    subject: str = ""
    since: str = ""
    until: str = ""
    number: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """Records newest first, with the query strings of the pages beside it; empty where there is none."""

    found: list[Record]
    newer: str
    older: str


def page_of(asked: Asked, before: int | None = None, after: int | None = None) -> Page:
    """Return one page. `before` and `after` are record indices: the cost does not grow with the distance from the newest.

    Raises ValueError for a time that is none, NumberWrong for a number that is none.
    """
    matching = _matching(asked)
    if after is not None:
        rows = list(matching.filter(index__gt=after).order_by("index")[: PAGE_RECORDS + 1])
        more_newer, more_older = len(rows) > PAGE_RECORDS, True
        found = rows[:PAGE_RECORDS][::-1]
    else:
        rows = list((matching if before is None else matching.filter(index__lt=before)).order_by("-index")[: PAGE_RECORDS + 1])
        more_newer, more_older = before is not None, len(rows) > PAGE_RECORDS
        found = rows[:PAGE_RECORDS]
    if not found:
        return Page([], "", "")
    query = {name: value for name, value in asdict(asked).items() if value}
    newer = urlencode(query | {"after": found[0].index}) if more_newer else ""
    return Page(found, newer, urlencode(query | {"before": found[-1].index}) if more_older else "")


def find_fingerprint(made: str) -> Iterable[Record]:
    """Return the records that name a text by its fingerprint, oldest first. Reads all of them: half a minute for each million.

    Raises ValueError for what is no fingerprint.
    """
    if not re.fullmatch("[0-9a-f]{32}", made):
        raise ValueError("a fingerprint has 32 hexadecimal digits")
    body, sought, place = F("body"), Value(made.encode(), BinaryField()), IntegerField()
    if connection.vendor == "postgresql":
        found_at = Func(sought, body, template="position(%(expressions)s)", arg_joiner=" in ", output_field=place)
    else:
        found_at = Func(body, sought, function="instr", output_field=place)
    return Record.objects.annotate(found_at=found_at).filter(found_at__gt=0).order_by("index")


def _matching(asked: Asked) -> QuerySet[Record]:
    matching = Record.objects.all()
    if asked.number:
        matching = matching.filter(id__in=_ids_of(asked.number))
    # Heartbeats are looked at by programs; people ask for them by name or number.
    if asked.kind:
        matching = matching.filter(kind=asked.kind)
    elif not asked.number:
        matching = matching.exclude(kind__in=QUIET_KINDS)
    if asked.service:
        matching = matching.filter(service=asked.service)
    if asked.subject:
        matching = matching.filter(subject=asked.subject)
    if asked.since:
        matching = matching.filter(at__gte=_beijing(asked.since))
    if asked.until:
        matching = matching.filter(at__lt=_beijing(asked.until))
    return matching


def _ids_of(number: str) -> list[str]:
    """Return the ids of the records that a number names: the one that has it, and the one that closes the answer begun by it."""
    id = "".join(number.split()).upper()
    if not _ID.fullmatch(id):
        raise NumberWrong(number)
    closing = find_closing_record(id)
    return [id, closing.id] if closing else [id]


def _beijing(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BEIJING)


def find_record(id: str) -> Record | None:  # the name that callers and pages use
    """Return the record with this id; None when there is none."""
    return Record.objects.filter(id=id).first() if _ID.fullmatch(id) else None


def find_closing_record(answer: str) -> Record | None:
    """Return the record that closes the answer with this id; None while there is none.

    A whole answer's record has the answer's id. A streamed one has a record that opens it under that id, and one that
    closes it soon after, whose metadata name it.
    """
    first = find_record(answer)
    if first is None or first.kind != OPENED:
        return first
    later = Record.objects.filter(index__gt=first.index, kind__in=CLOSING).order_by("index")[:_SEARCHED].iterator(chunk_size=200)
    named = (record for record in later if answer.encode() in bytes(record.body))  # only few are worth reading
    return next((record for record in named if record.metadata.get("answer") == answer), None)


def find_related(record: Record) -> Record | None:
    """Return the other record of the same streamed answer: the one that opened it, or the one that closed it."""
    if record.kind == OPENED:
        return find_closing_record(record.id)
    answer = record.metadata.get("answer")
    return find_record(answer) if isinstance(answer, str) and answer != record.id else None


def count_by_kind(kinds: Iterable[str], since: datetime) -> dict[str, int]:
    """Return how many records of each of these kinds were made since then."""
    rows = Record.objects.filter(at__gte=since, kind__in=kinds).values_list("kind").annotate(Count("index")).order_by()
    return dict(rows)


def count_by_hour(kinds: Iterable[str], since: datetime) -> dict[tuple[datetime, str], int]:
    """Return how many records of each of these kinds were made in each hour (by its beginning, aware) since then."""
    # Hours of Beijing and of UTC begin together, and UTC needs no time-zone table in the database.
    rows = Record.objects.filter(at__gte=since, kind__in=kinds).annotate(hour=TruncHour("at", tzinfo=UTC))
    return {(hour, kind): count for hour, kind, count in rows.values_list("hour", "kind").annotate(Count("index")).order_by()}
