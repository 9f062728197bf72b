"""Records that the gateway marked for a person to review, found without reading every record. Read only."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import connection
from django.db.models import BinaryField, F, Func, IntegerField, Max, Q, Value

from guiju.records.access.whereabouts import find_whereabouts
from guiju.records.models import Record, RecordContent

_MARK: Final = b'"review":"'
"""How the mark stands in canonical JSON. Inside a text the quotes would be escaped, so nobody's words look like it."""


@dataclass(frozen=True, slots=True)
class Marked:
    """A record with a mark: where it stands, what it says, and whether content was sealed with it."""

    index: int
    id: str
    kind: str
    service: str
    subject: str
    at: datetime
    metadata: dict[str, Any]
    has_content: bool


def list_marked(kinds: Sequence[str], after: int, limit: int) -> tuple[list[Marked], int]:
    """Return the marked records of these kinds among the next `limit` records behind number `after`, and the last number looked at.

    The database looks for the mark by itself: of the others nothing is read out.
    """
    last = Record.objects.filter(index__gt=after, index__lte=after + limit).aggregate(last=Max("index"))["last"]
    if last is None:  # a stretch may be empty because retention removed it
        following = Record.objects.filter(index__gt=after).order_by("index").values_list("index", flat=True).first()
        return [], after if following is None else following - 1
    body, sought, place = F("body"), Value(_MARK, BinaryField()), IntegerField()
    if connection.vendor == "postgresql":
        found_at = Func(sought, body, template="position(%(expressions)s)", arg_joiner=" in ", output_field=place)
    else:
        found_at = Func(body, sought, function="instr", output_field=place)
    rows = Record.objects.filter(index__gt=after, index__lte=last, kind__in=kinds).annotate(found_at=found_at).filter(found_at__gt=0)
    found = [
        Marked(row.index, row.id, row.kind, row.service, row.subject, row.at, row.metadata, bool(row.content_hash))
        for row in rows.order_by("index")
    ]
    return [each for each in found if each.metadata.get("review")], last


def tell_whereabouts(id: str) -> str:
    """Return where a record's content is: sealed, none, erased, removed or missing; removed, too, for a record that went itself."""
    record = Record.objects.filter(id=id).first()
    return "removed" if record is None else find_whereabouts(record).state


def list_sealed(ids: Iterable[str]) -> set[str]:
    """Return those of these records whose content is there and can be opened."""
    there = RecordContent.objects.filter(Q(record_id__in=list(ids)) & Q(key__wrapped__isnull=False))
    return set(there.values_list("record__id", flat=True))
