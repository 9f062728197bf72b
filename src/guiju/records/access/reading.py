"""Contents read by software that gives back nothing but counts: asked for, approved and put on record as an opening is, and shown to nobody.

What is read is a selection by kind and time, evenly thinned where it is large. Where `records.opening_people` is 2 the first call makes one
request that names every record; the same call goes on once another person has approved. The caller appends its record in the transaction
that uses the approval, before the first content is unsealed. Keys are read again for every part: what is erased meanwhile is not read.
Source: Measures Art. 11; PIPL Art. 51.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import F

from guiju.core.errors import GuijuError
from guiju.records.access import requests
from guiju.records.access.opening import approval_of, cipher_of, load_masters, unsealed
from guiju.records.access.opening_many import APPROVAL_GONE, Opening, begin_opening
from guiju.records.access.requests import Deed
from guiju.records.models import Record, RecordContent

_AT_ONCE: Final = 200


@dataclass(frozen=True, slots=True)
class Reading:
    """What may be read: `found` contents fit the selection, `opening.ids` are those that are read, every `one_in`-th."""

    opening: Opening
    found: int
    one_in: int


@dataclass(frozen=True, slots=True)
class Read:
    """One content; None where it cannot be unsealed, and where it has gone meanwhile."""

    kind: str
    service: str
    content: bytes | None
    gone: bool = False


def begin_reading(
    kinds: Sequence[str], *, since: datetime, until: datetime, at_most: int, selection: str, actor: str, reason: str
) -> Reading:
    """Return what may be read of the contents of these kinds; nothing is read and no approval used up yet.

    `selection` says in words what is read and for what; by it an approved request is found again, so it holds no moment.
    Raises ValueError without a reason, and APPROVAL-NEEDED.
    """
    there = RecordContent.objects.filter(record__at__gte=since, record__at__lt=until, record__kind__in=kinds, key__wrapped__isnull=False)
    found, one_in = there.count(), 1
    while found > at_most * one_in:
        one_in *= 2  # so that a few records more or less leave the same ones
    chosen = there.annotate(turn=F("record__index") % one_in).filter(turn=0).order_by("record__index")
    ids = list(chosen.values_list("record__id", flat=True))
    return Reading(begin_opening(ids, selection=selection, actor=actor, reason=reason), found, one_in)


def use_reading(reading: Reading) -> dict[str, object]:
    """Use up the approval inside the caller's transaction and return what its record says of it. Raises APPROVAL-GONE."""
    opening = reading.opening
    if not opening.request:
        return {}
    request = requests.take(Deed.OPEN_RECORDS, actor=opening.actor, selection=opening.selection, id=opening.request)
    if request is None:
        raise GuijuError(APPROVAL_GONE)
    return approval_of(request)


def list_read(ids: Sequence[str]) -> Iterator[Read]:
    """Yield these contents in order. The caller has begun a reading and put it on record."""
    masters = load_masters()
    for at in range(0, len(ids), _AT_ONCE):
        part = ids[at : at + _AT_ONCE]
        records = {each.id: each for each in Record.objects.filter(id__in=part)}
        contents = {each.record_id: each for each in RecordContent.objects.select_related("key").filter(record_id__in=part)}
        for id in part:
            record, content = records.get(id), contents.get(id)
            if record is None or content is None or not content.key.wrapped:
                yield Read("", "", None, gone=True)
                continue
            try:
                yield Read(record.kind, record.service, unsealed(record, bytes(content.sealed), cipher_of(content.key, masters)))
            except GuijuError:
                yield Read(record.kind, record.service, None)
