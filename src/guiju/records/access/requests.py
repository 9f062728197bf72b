"""Requests to open or to erase what is sealed, and their approval by another person.

A request waits `records.request_hours`; approved, it can be used for `records.approval_hours`, once, by the person who
made it. The person who made it never approves it, and of two who decide one is first. What a reviewer is allowed (`open_review`)
is not used up: it lasts `records.review_days`.
Source: Measures Art. 11; PIPL Art. 51 (2).
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet

from guiju.core.errors import GuijuError, Text, define
from guiju.core.ids import new_id
from guiju.core.settings import Records
from guiju.records.lease import keep_recorder_out
from guiju.records.models import Request
from guiju.records.outbox import append

APPROVAL_NEEDED = define(
    "APPROVAL-NEEDED",
    status=409,
    kind="invalid_request_error",
    zh=Text(
        "此事需要另一人批准；申请 {id} 等待批准，截止 {until}。",
        "内容没有打开，也没有删除。",
        "请有批准权限的另一人在控制台“申请与批准”中处理；批准后由您再次操作。",
    ),
    en=Text(
        "This needs another person's approval; request {id} waits for it until {until}.",
        "Nothing was opened and nothing erased.",
        "Let another person with the right to approve decide under “Requests” in the console; then do the same again.",
    ),
)
REQUEST_UNKNOWN = define(
    "REQUEST-UNKNOWN",
    status=404,
    kind="not_found_error",
    zh=Text("没有编号为 {id} 的申请。", "什么也没有改动。", "请核对编号。"),
    en=Text("There is no request with the id {id}.", "Nothing was changed.", "Check the id."),
)
REQUEST_OWN = define(
    "REQUEST-OWN",
    status=403,
    kind="permission_error",
    zh=Text("申请 {id} 由您本人提出。", "申请未获批准，状态不变。", "请由另一位有批准权限的人处理。"),
    en=Text(
        "Request {id} is your own.",
        "It was not approved; its state is unchanged.",
        "Let another person with the right to approve decide.",
    ),
)
REQUEST_SETTLED = define(
    "REQUEST-SETTLED",
    status=409,
    kind="invalid_request_error",
    zh=Text("申请 {id} 已有结果：{state}。", "此前的结果不变。", "请刷新页面；如有需要，重新提出申请。"),
    en=Text("Request {id} was settled before: {state}.", "That result stays.", "Reload the page; if need be, make a new request."),
)
REQUEST_EXPIRED = define(
    "REQUEST-EXPIRED",
    status=410,
    kind="invalid_request_error",
    zh=Text("申请 {id} 已于 {until} 过期。", "什么也没有打开或删除。", "请重新提出申请。"),
    en=Text("Request {id} expired at {until}.", "Nothing was opened or erased.", "Make a new request."),
)

TEXT_CHARACTERS: Final = 200
Deed = Request.Deed
State = Request.State
APPROVING: Final = {
    Deed.OPEN_RECORD: "records.approve_opening",
    Deed.OPEN_RECORDS: "records.approve_opening",
    Deed.OPEN_SUBJECT: "records.approve_opening",
    Deed.ERASE_SUBJECT: "records.approve_erasure",
    Deed.OPEN_REVIEW: "records.approve_opening",
}
"""Deed → the permission to approve it."""
_WAITING: Final = (State.ASKED, State.APPROVED)


def policy() -> Records:
    """Return what the settings say of opening and erasing."""
    found: Records = settings.SITE.records
    return found


def people_for(deed: str) -> int:
    """Return how many people this deed takes."""
    return policy().erasure_people if deed == Deed.ERASE_SUBJECT else policy().opening_people


def ask(
    deed: Request.Deed,
    *,
    actor: str,
    reason: str,
    subject: str = "",
    record: str = "",
    selection: str = "",
    records: Sequence[str] = (),
) -> Request:
    """Return the actor's request, made now with `records.request.made` unless one is waiting already.

    One for many records tells how they were chosen (`selection`, by which it is found again) and names each of them.

    Raises ValueError without a reason.
    """
    if not reason.strip():
        raise ValueError("a request needs a reason")
    now = datetime.now(UTC)
    with transaction.atomic():
        keep_recorder_out()  # and everybody else who asks: two at once would make two requests
        waiting = _own(deed, actor, subject, record, selection).filter(state__in=_WAITING, until__gt=now).first()
        if waiting is not None:
            return waiting
        request = Request.objects.create(
            id=new_id(),
            deed=deed,
            subject=subject,
            record=record,
            selection=selection,
            records=list(records),
            reason=reason.strip()[:TEXT_CHARACTERS],
            state=State.ASKED,
            until=now + timedelta(hours=policy().request_hours),
            asked_by=actor,
            asked_at=now,
        )
        _leave("records.request.made", request, actor, reason=request.reason)
    return request


def approve(id: str, *, actor: str, reason: str = "") -> Request:
    """Approve another person's request and leave `records.request.approved`.

    Raises REQUEST-UNKNOWN, REQUEST-OWN, REQUEST-SETTLED (also for the second of two who decide), REQUEST-EXPIRED.
    """
    now = datetime.now(UTC)
    lasting = Request.objects.filter(id=id, deed=Deed.OPEN_REVIEW).exists()
    until = now + (timedelta(days=policy().review_days) if lasting else timedelta(hours=policy().approval_hours))
    return _decide(id, State.APPROVED, actor, reason, until)


def refuse(id: str, *, actor: str, reason: str = "") -> Request:
    """Refuse a request, or withdraw one's own; leave `records.request.refused`. Raises as `approve`, but for REQUEST-OWN.

    What a reviewer was allowed lasts, so it can be refused later too: that ends it.
    """
    return _decide(id, State.REFUSED, actor, reason, None)


def find_approved(deed: Request.Deed, *, actor: str, subject: str = "", record: str = "", selection: str = "") -> Request | None:
    """Return the actor's approved request that can be used now; None when there is none."""
    rows = _own(deed, actor, subject, record, selection)
    return rows.filter(state=State.APPROVED, until__gt=datetime.now(UTC)).order_by("asked_at").first()


def take(
    deed: Request.Deed,
    *,
    actor: str,
    subject: str = "",
    record: str = "",
    selection: str = "",
    id: str = "",
    into: Request.State = State.DONE,
) -> Request | None:
    """Use up the actor's approved request inside the caller's transaction; None when there is none to use.

    `into` is the state it goes to; OPEN lasts `records.opening_minutes`. With an id it is that request or none.
    """
    now = datetime.now(UTC)
    approved = find_approved(deed, actor=actor, subject=subject, record=record, selection=selection)
    if approved is None or (id and approved.id != id):
        return None
    until = now + timedelta(minutes=policy().opening_minutes) if into == State.OPEN else approved.until
    taken = Request.objects.filter(pk=approved.pk, state=State.APPROVED, until__gt=now).update(state=into, done_at=now, until=until)
    if not taken:
        return None
    approved.refresh_from_db()
    return approved


def approval_needed(request: Request) -> GuijuError:
    """Return the error that tells of a request that waits."""
    return GuijuError(APPROVAL_NEEDED, id=request.id, until=_when(request.until))


def list_waiting() -> QuerySet[Request]:
    """Return the requests that wait for a decision, oldest first."""
    return Request.objects.filter(state=State.ASKED, until__gt=datetime.now(UTC)).order_by("asked_at")


def count_to_decide(actor: str, deeds: Iterable[str]) -> int:
    """Return how many requests for these deeds wait for somebody other than the actor, who made none of them."""
    return list_waiting().filter(deed__in=list(deeds)).exclude(asked_by=actor).count()


def list_reviewers() -> QuerySet[Request]:
    """Return the permissions to see what is in the queue of reviews that are in force, the one that ends first in front."""
    return Request.objects.filter(deed=Deed.OPEN_REVIEW, state=State.APPROVED, until__gt=datetime.now(UTC)).order_by("until")


def find_live(deed: Request.Deed, *, actor: str, subject: str) -> Request | None:
    """Return the actor's request about a subject that can be used, or else the one that waits; None when there is neither."""
    live = _own(deed, actor, subject, "", "").filter(state__in=_WAITING, until__gt=datetime.now(UTC)).order_by("asked_at")
    return live.filter(state=State.APPROVED).first() or live.first()


def _own(deed: Request.Deed, actor: str, subject: str, record: str, selection: str) -> QuerySet[Request]:
    rows = Request.objects.filter(deed=deed, asked_by=actor)
    return rows.filter(selection=selection) if selection else rows.filter(subject=subject, record=record)


def _decide(id: str, state: Request.State, actor: str, reason: str, until: datetime | None) -> Request:
    now = datetime.now(UTC)
    with transaction.atomic():
        rows = Request.objects.filter(id=id, until__gt=now)
        if state == State.APPROVED:
            rows = rows.filter(state=State.ASKED).exclude(asked_by=actor)
        else:
            rows = rows.filter(Q(state=State.ASKED) | Q(state=State.APPROVED, deed=Deed.OPEN_REVIEW))
        changed: dict[str, object] = {
            "state": state,
            "decided_by": actor,
            "decided_at": now,
            "decided_reason": reason.strip()[:TEXT_CHARACTERS],
        }
        if until is not None:
            changed["until"] = until
        done = rows.update(**changed)
        request = Request.objects.filter(id=id).first()
        if request is None:
            raise GuijuError(REQUEST_UNKNOWN, id=id)
        if not done:
            if request.asked_by == actor and state == State.APPROVED:
                raise GuijuError(REQUEST_OWN, id=id)
            if request.state != State.ASKED:
                raise GuijuError(REQUEST_SETTLED, id=id, state=request.state)
            raise GuijuError(REQUEST_EXPIRED, id=id, until=_when(request.until))
        kind = "records.request.approved" if state == State.APPROVED else "records.request.refused"
        _leave(kind, request, actor, reason=request.decided_reason, asked_by=request.asked_by)
    return request


def _leave(kind: str, request: Request, actor: str, **facts: str) -> None:
    about: dict[str, object] = {"record": request.record} if request.record else {}
    if request.records:  # their number and hash: the request itself names them, however many
        about = {"records": len(request.records), "records_sha256": sha256("\n".join(request.records).encode()).hexdigest()}
    told = {name: value for name, value in facts.items() if value}
    append(kind=kind, actor=actor, subject=request.subject, metadata={"request": request.id, "deed": request.deed, **about, **told})


def _when(at: datetime) -> str:
    from guiju.core.clock import BEIJING

    return at.astimezone(BEIJING).strftime("%Y-%m-%d %H:%M")
