"""Erasing a subject: its key is destroyed, a signed certificate says so, every proof goes on holding.

What a kill leaves behind, step by step:
1. not committed: nothing has happened;
2. committed (key destroyed, certificate, record), sealed bytes still there: nobody can open them; `finish_erasures`
   removes them later, and is called every minute;
3. some of them removed: it goes on with the others.
Source: Measures Art. 11; PIPL Art. 47.
"""

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Max, Min, Sum
from django.db.models.functions import Length

from guiju.core.clock import utc_text
from guiju.core.errors import GuijuError, Text, define
from guiju.core.ids import new_id
from guiju.core.keys import load_site_key
from guiju.core.layout import DataFolder
from guiju.records.access import requests
from guiju.records.access.opening import SUBJECT_UNKNOWN
from guiju.records.access.requests import TEXT_CHARACTERS, Deed, State
from guiju.records.keeping.hold import refuse_if_held
from guiju.records.keys.forget import forget_old_bytes, forgetting
from guiju.records.keys.sealing import SITE_SUBJECT
from guiju.records.lease import keep_recorder_out
from guiju.records.models import Erasure, Record, RecordContent, Request, SubjectKey
from guiju.records.outbox import append
from guiju.records.subjects import certificate
from guiju.records.subjects.certificate import Certificate, Extent, Keys

ERASURE_UNKNOWN = define(
    "ERASURE-UNKNOWN",
    status=404,
    kind="not_found_error",
    zh=Text("没有编号为 {id} 的删除证书。", "什么也没有改动。", "请核对编号；主体页面列出其全部证书。"),
    en=Text(
        "There is no certificate of erasure with the id {id}.",
        "Nothing was changed.",
        "Check the id; the page of a subject lists its certificates.",
    ),
)
BATCH_RECORDS: Final = 1_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def erase_subject(subject: str, *, actor: str, reason: str) -> Erasure:
    """Destroy the subject's key, leave `records.subject.erased`, and return the erasure with its signed certificate.

    Where `records.erasure_people` is 2 the first call makes a request and raises APPROVAL-NEEDED; the same call erases once
    another person has approved. Content that is older and still on its way is not kept when it arrives (`ingest`); content
    that people write later is sealed under a new key.
    Raises SUBJECT-UNKNOWN, SUBJECT-HELD, ValueError without a reason.
    """
    if not reason.strip():
        raise ValueError("an erasure needs a reason")
    if subject in ("", SITE_SUBJECT) or not Record.objects.filter(subject=subject).exists():
        raise GuijuError(SUBJECT_UNKNOWN, subject=subject or "–")
    refuse_if_held(subject)
    alone = requests.people_for(Deed.ERASE_SUBJECT) == 1
    erasure = None
    with forgetting(), transaction.atomic(durable=True):
        keep_recorder_out()
        refuse_if_held(subject)  # again, now that no hold can be set meanwhile
        request = requests.take(Deed.ERASE_SUBJECT, actor=actor, subject=subject)
        if request is not None or alone:
            erasure = _destroy(subject, actor, request.reason if request else reason.strip()[:TEXT_CHARACTERS], request)
    if erasure is None:
        raise requests.approval_needed(requests.ask(Deed.ERASE_SUBJECT, actor=actor, reason=reason, subject=subject))
    _finish(erasure)
    return erasure


def finish_erasures() -> int:
    """Remove the sealed bytes of erased subjects that an interrupted erasure left; return how many erasures that ended."""
    left = list(Erasure.objects.filter(finished_at=None).order_by("at"))
    for erasure in left:
        _finish(erasure)
    return len(left)


def get_erasure(id: str) -> Erasure:
    """Return an erasure. Raises ERASURE-UNKNOWN."""
    erasure = Erasure.objects.filter(id=id).first()
    if erasure is None:
        raise GuijuError(ERASURE_UNKNOWN, id=id)
    return erasure


def _destroy(subject: str, actor: str, reason: str, request: Request | None) -> Erasure:
    """Do it in the caller's transaction: count, destroy, sign, leave the record."""
    at, identity = datetime.now(UTC), new_id()
    keys = list(SubjectKey.objects.filter(subject=subject, destroyed_at=None))
    records = _extent(Record.objects.filter(subject=subject).aggregate(count=Count("index"), first=Min("index"), last=Max("index")))
    contents = _extent(
        RecordContent.objects.filter(record__subject=subject, key__in=keys).aggregate(
            count=Count("record_id"), first=Min("record__index"), last=Max("record__index"), size=Sum(Length("sealed"))
        )
    )
    # Without a key there is nothing to destroy, but content may be on its way: the row marks the time before which none is kept.
    if not SubjectKey.objects.filter(pk__in=[key.pk for key in keys]).update(wrapped=None, destroyed_at=at):
        SubjectKey.objects.create(subject=subject, master="", destroyed_at=at)
    folder: DataFolder = settings.DATA_FOLDER
    document = certificate.sign_certificate(
        Certificate(
            certificate=certificate.FORM,
            id=identity,
            origin=settings.SITE.ledger.origin,
            at=_utc(at),
            subject=subject,
            reason=reason,
            asked_by=request.asked_by if request else actor,
            approved_by=request.decided_by if request else "",
            request=request.id if request else "",
            keys=tuple(Keys(id=key.pk, master=key.master, created_at=_utc(key.created_at)) for key in keys),
            records=records,
            contents=contents,
            remains=certificate.remains(),
        ),
        load_site_key(folder.keys),
    )
    erasure = Erasure.objects.create(id=identity, subject=subject, at=at, certificate=document.decode())
    metadata: dict[str, object] = {
        "erasure": erasure.id,
        "certificate_sha256": sha256(document).hexdigest(),
        "reason": reason,
        "keys": [key.pk for key in keys],
        "contents": contents.count,
        "size_bytes": contents.size_bytes,
        "first_index": contents.first_index,
        "last_index": contents.last_index,
    }
    metadata |= {"request": request.id, "approved_by": request.decided_by} if request else {}
    append(kind="records.subject.erased", actor=actor, subject=subject, metadata=metadata)
    # Whoever has the subject open sees no more of it.
    Request.objects.filter(deed=Deed.OPEN_SUBJECT, subject=subject, state=State.OPEN).update(state=State.DONE)
    return erasure


def _finish(erasure: Erasure) -> None:
    """Remove the bytes that nobody can open any more, batch by batch, and what the database keeps of the key."""
    forget_old_bytes()
    after = -1
    while True:
        found = Record.objects.filter(subject=erasure.subject, index__gt=after).exclude(content_hash="").order_by("index")
        rows = list(found.values_list("index", "id")[:BATCH_RECORDS])
        if not rows:
            break
        RecordContent.objects.filter(record_id__in=[id for _, id in rows], key__destroyed_at__isnull=False).delete()
        after = rows[-1][0]
    Erasure.objects.filter(pk=erasure.pk).update(finished_at=datetime.now(UTC))
    erasure.refresh_from_db()


def _extent(found: dict[str, int | None]) -> Extent:
    first, last = found["first"], found["last"]
    return Extent(
        count=found["count"] or 0,
        first_index=-1 if first is None else first,
        last_index=-1 if last is None else last,
        size_bytes=found.get("size") or 0,
    )


def _utc(at: datetime) -> str:
    return utc_text((at - _EPOCH) // timedelta(microseconds=1))
