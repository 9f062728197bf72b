"""The latest records of a service or of a kind: what a board looks at. A look reads a bounded number of rows, however many there are."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec

from guiju.records.models import Gap, Record, RecordContent, Watch

LOOKED_AT: Final = 1_000
"""How many of a service's latest records one look reads."""

SEALED_AT_ONCE: Final = 50


class Recent(NamedTuple):
    """One record, as far as a board needs it."""

    id: str
    kind: str
    at: datetime
    body: bytes

    @property
    def metadata(self) -> dict[str, Any]:
        """What the record says beside who, when and what."""
        found: dict[str, Any] = msgspec.json.decode(self.body)["metadata"]
        return found


def latest_of_service(service: str, limit: int = LOOKED_AT) -> list[Recent]:
    """Return the latest records of a service, newest first."""
    return list(map(_recent, Record.objects.filter(service=service).order_by("-index").values_list(*Recent._fields)[:limit]))


def latest_by_service(kind: str, limit: int = LOOKED_AT) -> dict[str, list[Recent]]:
    """Return the latest records of a kind, newest first, by their service."""
    found: dict[str, list[Recent]] = {}
    rows = Record.objects.filter(kind=kind).order_by("-index").values_list("service", *Recent._fields)[:limit]
    for service, *row in rows:
        found.setdefault(service, []).append(_recent((row[0], row[1], row[2], row[3])))
    return found


def latest_sealed(records: Sequence[Recent]) -> str | None:
    """Return the id of a record among the newest of these (newest first) whose content is there, sealed; None when none has any."""
    for first in range(0, len(records), SEALED_AT_ONCE):
        among = [each.id for each in records[first : first + SEALED_AT_ONCE]]
        found = RecordContent.objects.filter(record_id__in=among).values_list("record_id", flat=True).first()
        if found is not None:
            return str(found)
    return None


def latest_of_kind(kinds: Iterable[str]) -> Recent | None:
    """Return the newest record of these kinds, of any service; None when there is none."""
    found = [Record.objects.filter(kind=kind).order_by("-index").values_list(*Recent._fields).first() for kind in kinds]
    return max((_recent(each) for each in found if each is not None), key=lambda each: each.id, default=None)


def metadata_of(id: str) -> dict[str, Any] | None:  # the name that callers use
    """Return what a record says beside who, when and what; None when there is no such record."""
    found = Record.objects.filter(id=id).values_list(*Recent._fields).first()
    return _recent(found).metadata if found is not None else None


def list_open_gaps(service: str | None = None) -> list[str]:
    """Return the ids of the records that tell of gaps nobody has closed: all, or those of a service and of the whole installation."""
    found = Gap.objects.filter(closed_at=None).order_by("-found_at")
    return list((found if service is None else found.filter(service__in=("", service))).values_list("record", flat=True))


def watched_at() -> datetime | None:
    """Return when the watch for gaps last counted all records; None when it never did."""
    return Watch.objects.values_list("counted_at", flat=True).first()


def _recent(row: tuple[str, str, datetime, bytes]) -> Recent:
    return Recent(row[0], row[1], row[2], bytes(row[3]))
