"""What may be done with reviews: fill the queue, take an item, see it, decide, give it back, close what is gone.

Each change checks the old state in the same update and leaves its record in the same transaction; of two who take one item, one has it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Q, QuerySet
from django.utils import timezone

from guiju.core.errors import GuijuError
from guiju.core.keys import load_pseudonym_key
from guiju.core.settings import Screening
from guiju.core.working_hours import WorkingTime, due_at
from guiju.gateway.sample import is_drawn
from guiju.records import flow as records
from guiju.screening.personal.finds import mask_all
from guiju.screening.review.errors import (
    REVIEW_CLOSED,
    REVIEW_INCOMPLETE,
    REVIEW_LEASE,
    REVIEW_QUOTE,
    REVIEW_SECOND,
    REVIEW_TAKEN,
    REVIEW_UNKNOWN,
)
from guiju.screening.review.models import NOTE_CHARACTERS, Decision, Finding, Item, Reach
from guiju.screening.review.texts import Shown, find_quote, texts_shown
from guiju.screening.risks import BY_ID

KINDS: Final = (
    "gateway.answer.delivered", "gateway.answer.stopped", "gateway.answer.interrupted", "gateway.input.refused",
    "gateway.media.submitted", "gateway.media.delivered", "gateway.media.withheld",
)  # fmt: skip
_LOOKED_AT_ONCE: Final = 5_000
_CHECKED_AT_ONCE: Final = 500
State = Item.State
OPEN: Final = (State.WAITING, State.TAKEN)


def rules_of_review() -> Screening:
    """Return what the settings say of reviews."""
    found: Screening = settings.SITE.screening
    return found


def working_hours() -> WorkingTime:
    """Return when reviewers work."""
    kept = rules_of_review()
    return WorkingTime(kept.working_day_from, kept.working_day_until, settings.SITE.calendar.work_calendar())


# ── the queue fills ─────────────────────────────────────────────────────────────────────────────────────────────────────


def fill_queue() -> bool:
    """Put what the gateway marked among the next records into the queue; return whether more records wait to be looked through.

    The place in the records moves in the same transaction: a kill leaves both as they were, and an item is never there twice.
    """
    now = timezone.now()
    with transaction.atomic():
        reach, _ = Reach.objects.select_for_update().get_or_create(id=1, defaults={"after": -1})
        found, last = records.list_marked(KINDS, reach.after, _LOOKED_AT_ONCE)
        if last == reach.after:
            return False
        Item.objects.bulk_create([_item(each, now) for each in found], ignore_conflicts=True)
        Reach.objects.filter(id=1).update(after=last)
    return True


def _item(marked: records.Marked, now: datetime) -> Item:
    said = marked.metadata
    key = load_pseudonym_key(settings.DATA_FOLDER.keys)
    hits = [{**hit, "direction": side} for side in ("input", "output") for hit in _hits(said.get(side))]
    begun = said.get("answer")
    kept = rules_of_review()
    return Item(
        record=marked.id,
        begun=begun if isinstance(begun, str) and begun != marked.id else "",
        kind=marked.kind,
        service=marked.service,
        subject=marked.subject,
        at=marked.at,
        origin=Item.Origin.HIT if said.get("review") == "hit" else Item.Origin.SAMPLE,
        hits=hits,
        library=str(said.get("library", ""))[:64],
        bundle=str(said.get("bundle", ""))[:64],
        needs=2 if is_drawn(marked.id, key, kept.review_second_per_mille, b"guiju second") else 1,
        state=State.WAITING if marked.has_content else State.GONE,
        because="" if marked.has_content else "none",
        closed_at=None if marked.has_content else now,
        queued_at=now,
        due_at=due_at(marked.at, kept.review_due_hours, working_hours()),
    )


def _hits(side: object) -> Sequence[Mapping[str, Any]]:
    listed = side.get("hits") if isinstance(side, dict) else None
    return [hit for hit in listed if isinstance(hit, dict)] if isinstance(listed, list) else []


# ── one item ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def open_to(actor: str, now: datetime | None = None) -> QuerySet[Item]:
    """Return the items that this person may take now, the most urgent first: waiting or given up, and not decided by them before."""
    free = Q(state=State.WAITING) | Q(state=State.TAKEN, lease_until__lte=now or timezone.now())
    return Item.objects.filter(free).exclude(decisions__reviewer=actor).order_by("due_at", "record")


def held_by(actor: str) -> QuerySet[Item]:
    """Return the items that this person has taken and still has, the one that ends first in front."""
    return Item.objects.filter(state=State.TAKEN, taken_by=actor, lease_until__gt=timezone.now()).order_by("lease_until")


def get_item(record: str) -> Item:
    """Return an item. Raises REVIEW-UNKNOWN."""
    item = Item.objects.filter(record=record).first()
    if item is None:
        raise GuijuError(REVIEW_UNKNOWN, id=record)
    return item


def take(record: str, *, actor: str) -> Item:
    """Take an item for `review_lease_minutes` and leave `screening.review.taken`; one's own is returned as it is.

    Raises REVIEW-UNKNOWN, REVIEW-TAKEN (also for the second of two at once), REVIEW-CLOSED, REVIEW-SECOND for who decided it before.
    """
    now = timezone.now()
    until = now + timedelta(minutes=rules_of_review().review_lease_minutes)
    with transaction.atomic():
        taken = (
            Item.objects.filter(pk__in=open_to(actor, now).filter(pk=record).order_by().values("pk"))
            .filter(Q(state=State.WAITING) | Q(lease_until__lte=now))
            .update(state=State.TAKEN, taken_by=actor, lease_until=until, opened_at=None)
        )
        item = get_item(record)
        if taken:
            _leave("screening.review.taken", item, actor, {"until": until.isoformat(timespec="seconds")})
            return item
    if item.state == State.TAKEN and item.taken_by == actor and item.lease_until is not None and item.lease_until > now:
        return item
    raise _refusal(item, actor)


def take_next(actor: str) -> Item | None:
    """Return the item that the person has, or take the most urgent one; None when there is none. A lost race goes on to the next."""
    held = held_by(actor).first()
    if held is not None:
        return held
    for record in open_to(actor).values_list("record", flat=True)[:20]:
        try:
            return take(record, actor=actor)
        except GuijuError as problem:
            if problem.code not in (REVIEW_TAKEN, REVIEW_CLOSED):
                raise
    return None


def give_back(record: str, *, actor: str) -> None:
    """Give an item back undecided and leave `screening.review.returned`. Raises REVIEW-UNKNOWN, REVIEW-LEASE."""
    with transaction.atomic():
        done = Item.objects.filter(pk=record, state=State.TAKEN, taken_by=actor).update(
            state=State.WAITING, taken_by="", lease_until=None, opened_at=None
        )
        item = get_item(record)
        if not done:
            raise GuijuError(REVIEW_LEASE, id=record)
        _leave("screening.review.returned", item, actor, {})


def show(record: str, *, actor: str) -> list[Shown]:
    """Return what the person who has the item sees of it; each opening is on record before that, once for each time of taking it.

    An item whose content is gone closes itself. Raises REVIEW-UNKNOWN, REVIEW-LEASE, REVIEW-NOT-GRANTED, and the CONTENT- errors.
    """
    item = held_by(actor).filter(pk=record).first()
    if item is None or item.lease_until is None:
        get_item(record)
        raise GuijuError(REVIEW_LEASE, id=record)
    ids = [id for id in (item.begun, item.record) if id]
    try:
        contents = records.open_for_review(ids, actor=actor, until=item.lease_until, again=item.opened_at is not None)
    except GuijuError:
        close_if_gone(item)
        raise
    Item.objects.filter(pk=record, taken_by=actor, opened_at=None).update(opened_at=timezone.now())
    return texts_shown(contents, item.hits)


def decide(
    record: str,
    *,
    actor: str,
    judged: Mapping[str, str],
    rest: str = "",
    risk: str = "",
    quote: str = "",
    note: str = "",
) -> Decision:
    """Decide an item that one has taken, and leave `screening.review.decided` with it.

    `judged` says for each of the item's rules, as `direction:rule`, right, false or unsure; `rest` says of what no rule found right,
    unsure, or missed: then `risk` names the harm and `quote` may hold the words, of which the place alone is kept. `rest` is needed where
    nothing was found. The note is kept with personal information masked, and sealed in the record.
    Raises REVIEW-UNKNOWN, REVIEW-LEASE (also when the time has ended), REVIEW-CLOSED, REVIEW-INCOMPLETE, REVIEW-QUOTE, what `show` says.
    """
    item = get_item(record)
    findings = _findings(item, judged, rest, risk)
    if rest == Finding.Verdict.MISSED and quote.strip():
        place = find_quote(show(record, actor=actor), quote)
        if place is None:
            raise GuijuError(REVIEW_QUOTE)
        findings[-1].direction, findings[-1].path, findings[-1].start, findings[-1].end = place
        findings[-1].path = findings[-1].path[:200]
    note = mask_all(note.strip())[:NOTE_CHARACTERS]
    now = timezone.now()
    with transaction.atomic():
        before = Decision.objects.filter(item=item).count()
        last = before + 1 >= item.needs
        done = Item.objects.filter(pk=record, state=State.TAKEN, taken_by=actor, lease_until__gt=now).update(
            state=State.DECIDED if last else State.WAITING, taken_by="", lease_until=None, opened_at=None, closed_at=now if last else None
        )
        if not done:
            item.refresh_from_db()
            raise GuijuError(REVIEW_LEASE, id=record) if item.state in OPEN else _refusal(item, actor)
        said: list[dict[str, object]] = []
        for each in findings:
            place_of = {"path": each.path, "start": each.start, "end": each.end} if each.start is not None else {}
            said.append({"direction": each.direction, "rule": each.rule, "risk": each.risk, "verdict": each.verdict, **place_of})
        metadata: dict[str, object] = {
            "number": before + 1,
            "library": item.library,
            "findings": said,
        }
        left = _leave("screening.review.decided", item, actor, metadata, note)
        decision = Decision.objects.create(item=item, reviewer=actor, at=now, note=note, record=left)
        for each in findings:
            each.decision = decision
        Finding.objects.bulk_create(findings)
    return decision


def rules_hit(item: Item) -> list[dict[str, Any]]:
    """Return the first hit of each rule in each direction: what a decision is asked about. `name` is `direction:rule`."""
    first: dict[str, dict[str, Any]] = {}
    for hit in item.hits:
        first.setdefault(f"{hit.get('direction')}:{hit.get('rule')}", hit)
    return [{**hit, "name": name} for name, hit in first.items()]


def _findings(item: Item, judged: Mapping[str, str], rest: str, risk: str) -> list[Finding]:
    """Return what a decision says, the rest last. Raises REVIEW-INCOMPLETE."""
    known = Finding.Verdict
    findings = []
    for hit in rules_hit(item):
        verdict = judged.get(hit["name"], "")
        if verdict not in (known.RIGHT, known.FALSE, known.UNSURE):
            raise GuijuError(REVIEW_INCOMPLETE, rule=hit["rule"])
        findings.append(
            Finding(
                direction=hit["direction"],
                rule=str(hit.get("rule", ""))[:200],
                risk=str(hit.get("risk", ""))[:8],
                confidence=str(hit.get("confidence", ""))[:6],
                verdict=verdict,
            )
        )
    if rest or not findings:
        if rest not in (known.RIGHT, known.MISSED, known.UNSURE) or (rest == known.MISSED and risk not in BY_ID):
            raise GuijuError(REVIEW_INCOMPLETE, rule="–")
        findings.append(Finding(verdict=rest, risk=risk if rest == known.MISSED else ""))
    return findings


# ── what is gone ────────────────────────────────────────────────────────────────────────────────────────────────────────


def close_if_gone(item: Item) -> bool:
    """Close an open item whose content is not there any more, with `screening.review.closed`; tell whether it is gone."""
    state = next((found for id in (item.begun, item.record) if id and (found := records.tell_whereabouts(id)) != "sealed"), "")
    if not state:
        return False
    with transaction.atomic():
        closed = Item.objects.filter(pk=item.pk, state__in=OPEN).update(
            state=State.GONE, because=state, closed_at=timezone.now(), taken_by="", lease_until=None, opened_at=None
        )
        Decision.objects.filter(item=item).update(note="")
        if closed:
            records.append(
                kind="screening.review.closed",
                actor="guiju",
                service=item.service,
                subject=item.subject,
                metadata={"item": item.pk, "because": state},
            )
    return True


def close_gone() -> int:
    """Close every open item whose content went, and forget the notes about content that is gone; return how many items closed."""
    closed, after = 0, ""
    noted = Q(state__in=OPEN) | Q(pk__in=Decision.objects.exclude(note="").values("item"))
    while True:
        items = list(Item.objects.filter(noted, pk__gt=after).order_by("pk")[:_CHECKED_AT_ONCE])
        if not items:
            return closed
        after = items[-1].pk
        there = records.list_sealed({id for item in items for id in (item.begun, item.record) if id})
        gone = [item for item in items if item.record not in there or (item.begun and item.begun not in there)]
        closed += sum(close_if_gone(item) for item in gone if item.state in OPEN)
        Decision.objects.filter(item__in=gone).exclude(note="").update(note="")


# ── what is said ────────────────────────────────────────────────────────────────────────────────────────────────────────


def count_open() -> dict[str, int]:
    """Return how many items wait, are taken, and are past their time."""
    now = timezone.now()
    return Item.objects.filter(state__in=OPEN).aggregate(
        waiting=Count("pk", filter=Q(state=State.WAITING) | Q(state=State.TAKEN, lease_until__lte=now)),
        taken=Count("pk", filter=Q(state=State.TAKEN, lease_until__gt=now)),
        overdue=Count("pk", filter=Q(due_at__lt=now)),
    )


def _refusal(item: Item, actor: str) -> GuijuError:
    if item.state in (State.DECIDED, State.GONE):
        return GuijuError(REVIEW_CLOSED, id=item.pk, state_zh=item.get_state_display(), state_en=item.state)
    if item.decisions.filter(reviewer=actor).exists():
        return GuijuError(REVIEW_SECOND, id=item.pk)
    return GuijuError(REVIEW_TAKEN, id=item.pk)


def _leave(kind: str, item: Item, actor: str, metadata: dict[str, object], note: str = "") -> str:
    told = {"item": item.pk, **metadata}
    return records.append(kind=kind, actor=actor, service=item.service, subject=item.subject, metadata=told, content=note.encode())
