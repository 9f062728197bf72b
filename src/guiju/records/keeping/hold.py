"""Legal holds: while one stands, what it selects is neither erased nor removed by retention.

Retention asks `held_records` (a condition on records) or `held_subjects`; erasure asks `list_holds_on`.
Source: Measures Art. 19.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import reduce
from operator import or_
from typing import Final

from django.db import transaction
from django.db.models import Q, QuerySet

from guiju.core.errors import GuijuError, Text, define
from guiju.core.ids import new_id
from guiju.records.kinds import KINDS
from guiju.records.lease import keep_recorder_out
from guiju.records.models import Hold, Record
from guiju.records.outbox import append

SUBJECT_HELD = define(
    "SUBJECT-HELD",
    status=409,
    kind="invalid_request_error",
    zh=Text(
        "{subject} 的记录处于法律保全之下（{reference}）。",
        "什么也没有删除；密钥和内容均未改动。",
        "请联系设定保全的 {set_by}；保全解除后再次申请删除。",
    ),
    en=Text(
        "Records of {subject} are under a legal hold ({reference}).",
        "Nothing was erased; key and contents are unchanged.",
        "Speak to {set_by}, who set the hold; once it is lifted, ask for the erasure again.",
    ),
)
HOLD_UNKNOWN = define(
    "HOLD-UNKNOWN",
    status=404,
    kind="not_found_error",
    zh=Text("没有编号为 {id} 的保全，或它已经解除。", "没有改动任何保全。", "请核对编号。"),
    en=Text(
        "There is no hold with the id {id}, or it was lifted already.",
        "No hold was changed.",
        "Check the id.",
    ),
)
HOLD_EMPTY = define(
    "HOLD-EMPTY",
    status=400,
    kind="invalid_request_error",
    zh=Text("保全缺少内容：{missing}。", "没有设定保全。", "请写明保全的对象、理由和文号。"),
    en=Text(
        "The hold lacks something: {missing}.",
        "No hold was set.",
        "Name what is held, why, and the reference of the order or case.",
    ),
)

HOLD_KIND = define(
    "HOLD-KIND",
    status=400,
    kind="invalid_request_error",
    zh=Text("没有“{name}”这一记录类型。", "没有设定保全。", "请写完整的类型名，如 gateway.answer.delivered；文档“记录”列出全部类型。"),
    en=Text(
        "There is no kind of record “{name}”.",
        "No hold was set.",
        "Give the whole name of a kind, as gateway.answer.delivered; the page “Records” of the documentation lists them all.",
    ),
)

TEXT_CHARACTERS: Final = 200


@dataclass(frozen=True, slots=True)
class Selection:
    """The records that a hold is about; conditions that are set hold together, and one at least is set."""

    subject: str = ""
    kind: str = ""
    service: str = ""
    since: datetime | None = None
    until: datetime | None = None


def set_hold(selection: Selection, *, actor: str, reason: str, reference: str) -> Hold:
    """Set a hold and leave `records.hold.set`. An erasure that has not been committed by now waits, then finds it.

    Raises HOLD-EMPTY when nothing is selected, or reason or reference are missing; HOLD-KIND for a kind that there is none of: it
    would hold nothing, and nobody would notice.
    """
    missing = [name for name, value in (("reason", reason.strip()), ("reference", reference.strip())) if not value]
    if selection == Selection():
        missing.append("selection")
    if missing:
        raise GuijuError(HOLD_EMPTY, missing=", ".join(missing))
    if selection.kind and selection.kind not in KINDS:
        raise GuijuError(HOLD_KIND, name=selection.kind[:TEXT_CHARACTERS])
    with transaction.atomic():
        keep_recorder_out()
        hold = Hold.objects.create(
            id=new_id(),
            subject=selection.subject,
            kind=selection.kind,
            service=selection.service,
            since=selection.since,
            until=selection.until,
            reason=reason.strip()[:TEXT_CHARACTERS],
            reference=reference.strip()[:TEXT_CHARACTERS],
            set_by=actor,
            set_at=datetime.now(UTC),
        )
        append(kind="records.hold.set", actor=actor, service=hold.service, subject=hold.subject, metadata=_told(hold))
    return hold


def lift_hold(id: str, *, actor: str, reason: str) -> None:
    """Lift a hold and leave `records.hold.lifted`. Raises HOLD-UNKNOWN, also for the second of two who lift it."""
    if not reason.strip():
        raise GuijuError(HOLD_EMPTY, missing="reason")
    with transaction.atomic():
        lifted = Hold.objects.filter(id=id, lifted_at=None).update(
            lifted_by=actor, lifted_at=datetime.now(UTC), lifted_reason=reason.strip()[:TEXT_CHARACTERS]
        )
        if not lifted:
            raise GuijuError(HOLD_UNKNOWN, id=id)
        hold = Hold.objects.get(id=id)
        metadata: dict[str, object] = {"hold": id, "reference": hold.reference, "reason": hold.lifted_reason}
        append(kind="records.hold.lifted", actor=actor, service=hold.service, subject=hold.subject, metadata=metadata)


def standing_holds() -> QuerySet[Hold]:
    """Return the holds that stand, oldest first."""
    return Hold.objects.filter(lifted_at=None).order_by("set_at", "id")


def held_subjects() -> frozenset[str]:
    """Return the subjects that a hold names; their records are held as far as its other conditions say."""
    return frozenset(standing_holds().exclude(subject="").values_list("subject", flat=True))


def held_records() -> Q | None:
    """Return the condition on records that any standing hold selects; None while none stands.

    `Record.objects.exclude(condition)` are the records that may go. Ask inside the transaction that removes something.
    """
    conditions = [condition_of(hold) for hold in standing_holds()]
    return reduce(or_, conditions) if conditions else None


def list_holds_on(subject: str) -> list[Hold]:
    """Return the standing holds that keep this subject from being erased: those that name it, or select a record of it."""
    return [hold for hold in standing_holds() if _touches(hold, subject)]


def refuse_if_held(subject: str) -> None:
    """Raise SUBJECT-HELD when a standing hold touches the subject; call it inside the transaction that erases."""
    holds: Iterable[Hold] = list_holds_on(subject)
    for hold in holds:
        raise GuijuError(SUBJECT_HELD, subject=subject, reference=hold.reference, set_by=hold.set_by)


def count_held(hold: Hold) -> int:
    """Return how many records a hold selects now; those to come are held too."""
    return Record.objects.filter(condition_of(hold)).count()


def condition_of(hold: Hold) -> Q:
    """Return what a hold selects as a condition on records."""
    condition = Q()
    if hold.subject:
        condition &= Q(subject=hold.subject)
    if hold.kind:
        condition &= Q(kind=hold.kind)
    if hold.service:
        condition &= Q(service=hold.service)
    if hold.since is not None:
        condition &= Q(at__gte=hold.since)
    if hold.until is not None:
        condition &= Q(at__lt=hold.until)
    return condition


def _touches(hold: Hold, subject: str) -> bool:
    if hold.subject:
        # One that names the subject holds it whatever lies in the other conditions: content may still be on its way.
        return hold.subject == subject
    return Record.objects.filter(condition_of(hold), subject=subject).exists()


def _told(hold: Hold) -> dict[str, object]:
    times = {name: value.isoformat() for name, value in (("since", hold.since), ("until", hold.until)) if value is not None}
    texts = {name: value for name, value in (("kind", hold.kind), ("service", hold.service)) if value}
    return {"hold": hold.id, "reference": hold.reference, "reason": hold.reason, **texts, **times}
