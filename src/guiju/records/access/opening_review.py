"""Opening content for a review: what is in the queue, to a reviewer who may, with a record of each opening that is durable first.

Where `records.opening_people` is 2, what a reviewer may see is granted by another person, for `records.review_days`; where it is 1 the
permission to review is enough. Which records are in the queue, and that this person has taken the item, is for the caller to know.
Source: Measures Art. 11; PIPL Art. 51 (2).
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from django.db import transaction

from guiju.core.errors import GuijuError, Text, define
from guiju.records.access import requests
from guiju.records.access.opening import RECORD_UNKNOWN, approval_of, cipher_of, load_masters, policy_is_one_person, unsealed
from guiju.records.access.requests import Deed
from guiju.records.access.whereabouts import content_gone, find_whereabouts
from guiju.records.models import Record, RecordContent, Request
from guiju.records.outbox import append

REVIEW_NOT_GRANTED = define(
    "REVIEW-NOT-GRANTED",
    status=403,
    kind="permission_error",
    zh=Text(
        "您没有查看复核队列内容的有效许可。",
        "没有打开任何内容；已取走的件仍归您到期为止。",
        "请在“复核”页面申请许可，由有批准权限的另一人在“申请与批准”中批准。",
    ),
    en=Text(
        "You have no permission in force to see what is in the queue of reviews.",
        "Nothing was opened; an item that you took is yours until its time ends.",
        "Ask for it on the page “Review”; another person with the right to approve decides under “Requests”.",
    ),
)
_ALL: Final = "review"
"""What such a request selects: whatever the gateway marks, while the permission lasts."""


def opening_needs_two() -> bool:
    """Tell whether another person must allow a reviewer to see what is in the queue."""
    return not policy_is_one_person()


def find_review_permission(actor: str) -> Request | None:
    """Return the permission that the actor has now, or else the request that waits; None when there is neither."""
    live = Request.objects.filter(deed=Deed.OPEN_REVIEW, asked_by=actor, selection=_ALL)
    granted = requests.find_approved(Deed.OPEN_REVIEW, actor=actor, selection=_ALL)
    return granted or live.filter(pk__in=requests.list_waiting()).first()


def ask_for_review(*, actor: str, reason: str) -> Request:
    """Ask to be allowed to see what is in the queue; the request that waits already is returned. Raises ValueError without a reason."""
    return requests.ask(Deed.OPEN_REVIEW, actor=actor, reason=reason, selection=_ALL)


def open_for_review(ids: Sequence[str], *, actor: str, until: datetime, again: bool = False) -> list[bytes]:
    """Return the contents of the records of one exchange; `records.content.opened` for each is durable before that.

    `until` is when the item is given back; with `again` the same person has opened it within that time and no further record is left.
    Raises REVIEW-NOT-GRANTED, RECORD-UNKNOWN, what `content_gone` says, CONTENT-UNREADABLE.
    """
    granted = requests.find_approved(Deed.OPEN_REVIEW, actor=actor, selection=_ALL)
    if granted is None and not policy_is_one_person():
        raise GuijuError(REVIEW_NOT_GRANTED)
    masters = load_masters()
    found: list[tuple[Record, bytes]] = []
    for id in ids:
        record = Record.objects.filter(id=id).first()
        if record is None:
            raise GuijuError(RECORD_UNKNOWN, id=id)
        content = RecordContent.objects.select_related("key").filter(record_id=record.id).first()
        if content is None or not content.key.wrapped:
            raise content_gone(record, find_whereabouts(record))
        found.append((record, unsealed(record, bytes(content.sealed), cipher_of(content.key, masters))))
    if not again:
        with transaction.atomic(durable=True):
            for record, _ in found:
                metadata: dict[str, object] = {"record": record.id, "purpose": "review", "until": until.isoformat(timespec="seconds")}
                metadata |= approval_of(granted)
                append(kind="records.content.opened", actor=actor, service=record.service, subject=record.subject, metadata=metadata)
    return [content for _, content in found]
