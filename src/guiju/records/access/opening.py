"""Opening sealed content: one record, or all contents of a subject for a while. The record of it is durable first.

Where `records.opening_people` is 2, the first call makes a request and says so (APPROVAL-NEEDED); the same call opens once
another person has approved.
Source: Measures Art. 11; PIPL Art. 51.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.db import transaction
from django.db.models import Q

from guiju.core.errors import GuijuError, Text, define
from guiju.core.ids import new_id
from guiju.core.layout import DataFolder
from guiju.core.master_keys import MasterKeys, load_master_keys
from guiju.records.access import requests
from guiju.records.access.requests import TEXT_CHARACTERS, Deed, State
from guiju.records.access.whereabouts import content_gone, find_whereabouts
from guiju.records.keys.sealing import CONTENT_UNREADABLE, unseal, unwrap
from guiju.records.models import Record, RecordContent, Request, SubjectKey
from guiju.records.outbox import append

RECORD_UNKNOWN = define(
    "RECORD-UNKNOWN",
    status=404,
    kind="not_found_error",
    zh=Text("没有编号为 {id} 的记录。", "什么也没有打开。", "请核对编号；刚发生的事一秒内入账。"),
    en=Text(
        "There is no record with the id {id}.", "Nothing was opened.", "Check the id; what has just happened is on record within a second."
    ),
)
SUBJECT_UNKNOWN = define(
    "SUBJECT-UNKNOWN",
    status=404,
    kind="not_found_error",
    zh=Text("没有关于 {subject} 的记录。", "什么也没有打开、导出或删除。", "请核对主体；主体以 u- 或 key- 开头，可由服务和用户标识算出。"),
    en=Text(
        "There are no records about {subject}.",
        "Nothing was opened, exported or erased.",
        "Check the subject; it begins with u- or key- and follows from service and user identifier.",
    ),
)
OPENING_NEEDED = define(
    "OPENING-NEEDED",
    status=403,
    kind="permission_error",
    zh=Text("您没有打开 {subject} 的内容，或打开的时间已过。", "没有查找或导出任何内容。", "请写明理由重新打开；这会留下记录。"),
    en=Text(
        "You have not opened the contents of {subject}, or the time for it has passed.",
        "No content was searched or exported.",
        "Open them again and give a reason; this leaves a record.",
    ),
)
BATCH_RECORDS: Final = 100


@dataclass(frozen=True, slots=True)
class Opened:
    """One record of a subject with its content: `state` is none, sealed (not opened), opened, gone (erased, or past its days) or unreadable."""

    record: Record
    state: str
    content: bytes = b""


def open_content(record_id: str, *, actor: str, reason: str) -> bytes:
    """Return the sealed content of a record; `records.content.opened` with who and why is durable before that.

    Needs no request of its own while the actor has the record's subject open.
    Raises RECORD-UNKNOWN, what `content_gone` says where there is none, ValueError without a reason, APPROVAL-NEEDED, and CONTENT-UNREADABLE when content, key
    or record were tampered with.
    """
    if not reason.strip():
        raise ValueError("opening sealed content needs a reason")
    record = Record.objects.filter(id=record_id).first()
    if record is None:
        raise GuijuError(RECORD_UNKNOWN, id=record_id)
    content = RecordContent.objects.select_related("key").filter(record_id=record.id).first()
    if content is None or not content.key.wrapped:
        raise content_gone(record, find_whereabouts(record))
    opened = unsealed(record, bytes(content.sealed), cipher_of(content.key, load_masters()))
    # Nobody has seen it yet; this transaction is committed to the disk before anybody does.
    with transaction.atomic(durable=True):
        request = requests.take(Deed.OPEN_RECORD, actor=actor, subject=record.subject, record=record.id)
        if request is None and record.subject:
            request = find_opening(record.subject, actor)
        if request is not None or policy_is_one_person():
            metadata: dict[str, object] = {"record": record.id, "reason": request.reason if request else reason.strip()[:TEXT_CHARACTERS]}
            metadata |= approval_of(request)
            append(kind="records.content.opened", actor=actor, service=record.service, subject=record.subject, metadata=metadata)
            return opened
    asked = requests.ask(Deed.OPEN_RECORD, actor=actor, reason=reason, subject=record.subject, record=record.id)
    raise requests.approval_needed(asked)


def open_subject(subject: str, *, actor: str, reason: str) -> Request:
    """Open all contents of a subject to the actor for `records.opening_minutes`; leave `records.subject.opened`.

    Raises SUBJECT-UNKNOWN, ValueError without a reason, APPROVAL-NEEDED.
    """
    if not reason.strip():
        raise ValueError("opening sealed content needs a reason")
    if not subject or not Record.objects.filter(subject=subject).exists():
        raise GuijuError(SUBJECT_UNKNOWN, subject=subject or "–")
    with transaction.atomic(durable=True):
        opening = find_opening(subject, actor)
        if opening is not None:
            return opening
        opening = requests.take(Deed.OPEN_SUBJECT, actor=actor, subject=subject, into=State.OPEN)
        if opening is None and policy_is_one_person():
            now = datetime.now(UTC)
            opening = Request.objects.create(
                id=new_id(),
                deed=Deed.OPEN_SUBJECT,
                subject=subject,
                reason=reason.strip()[:TEXT_CHARACTERS],
                state=State.OPEN,
                until=now + timedelta(minutes=requests.policy().opening_minutes),
                asked_by=actor,
                asked_at=now,
                done_at=now,
            )
        if opening is not None:
            metadata: dict[str, object] = {"reason": opening.reason, "until": opening.until.isoformat(timespec="seconds")}
            metadata |= approval_of(opening)
            append(kind="records.subject.opened", actor=actor, subject=subject, metadata=metadata)
            return opening
    raise requests.approval_needed(requests.ask(Deed.OPEN_SUBJECT, actor=actor, reason=reason, subject=subject))


def find_opening(subject: str, actor: str) -> Request | None:
    """Return the opening of this subject that the actor has now; None when there is none."""
    return (
        Request.objects.filter(deed=Deed.OPEN_SUBJECT, subject=subject, asked_by=actor, state=State.OPEN, until__gt=datetime.now(UTC))
        .order_by("-until")
        .first()
    )


def get_opening(subject: str, actor: str) -> Request:
    """Return the opening that the actor has now. Raises OPENING-NEEDED."""
    opening = find_opening(subject, actor)
    if opening is None:
        raise GuijuError(OPENING_NEEDED, subject=subject)
    return opening


def policy_is_one_person() -> bool:
    """Tell whether one person opens alone, for a reason."""
    return requests.people_for(Deed.OPEN_RECORD) == 1


def approval_of(request: Request | None) -> dict[str, object]:
    """Return what a record says of the request behind a deed."""
    return {"request": request.id, "approved_by": request.decided_by} if request is not None and request.decided_by else {}


def list_opened(
    subject: str, *, after: int = -1, last: int | None = None, opened: bool = True, without: Q | None = None
) -> Iterator[Opened]:
    """Yield a subject's records with index above `after`, up to `last`, in order, those of `without` left out; contents opened where `opened`.

    The caller has made sure that this may be. Keys are read again for every batch: what is erased meanwhile is not given out.
    """
    masters = load_masters()
    while True:
        rows = Record.objects.filter(subject=subject, index__gt=after).order_by("index")
        rows = rows.exclude(without) if without is not None else rows
        records = list((rows if last is None else rows.filter(index__lte=last))[:BATCH_RECORDS])
        if not records:
            return
        after = records[-1].index
        wanted = [record.id for record in records if record.content_hash]
        contents = {each.record_id: each for each in RecordContent.objects.filter(record_id__in=wanted)}
        ciphers: dict[int, AESGCM | None] = {
            key.pk: cipher_of(key, masters) if key.wrapped else None
            for key in SubjectKey.objects.filter(pk__in={each.key_id for each in contents.values()})
        }
        for record in records:
            if not record.content_hash:
                yield Opened(record, "none")
                continue
            content = contents.get(record.id)
            cipher = ciphers[content.key_id] if content is not None else None
            if content is None or cipher is None:
                yield Opened(record, "gone")
            elif not opened:
                yield Opened(record, "sealed")
            else:
                try:
                    yield Opened(record, "opened", unsealed(record, bytes(content.sealed), cipher))
                except GuijuError:
                    yield Opened(record, "unreadable")


def cipher_of(key: SubjectKey, masters: MasterKeys) -> AESGCM:
    """Return the cipher of a subject's key. Raises CONTENT-UNREADABLE, MASTER-KEY-UNKNOWN."""
    return AESGCM(unwrap(bytes(key.wrapped or b""), masters.get(key.master), key.subject))


def unsealed(record: Record, sealed: bytes, cipher: AESGCM) -> bytes:
    """Return the content of a record. Raises CONTENT-UNREADABLE when it is not what was recorded."""
    if sha256(sealed).hexdigest() != record.content_hash:
        raise GuijuError(CONTENT_UNREADABLE, what=f"the content of record {record.id}", reason="it does not have the recorded hash")
    return unseal(cipher, record.id, sealed)


def load_masters() -> MasterKeys:
    """Return the master keys of this site."""
    folder: DataFolder = settings.DATA_FOLDER
    return load_master_keys(folder.keys)
