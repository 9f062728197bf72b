"""Reviews: who may do what from which state; lost races, ended leases, kills between decision and record, content that is gone.

Guarded lines in flow.py: the row's own condition in `take`, `lease_until__gt=now` in `decide`, `.exclude(decisions__reviewer=actor)`,
the one transaction of `decide`, the order of `open_for_review` and the text, `close_if_gone` in `show`; `list_marked` behind `reach.after`.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from guiju.core.errors import ErrorCode, GuijuError
from guiju.core.layout import DataFolder
from guiju.core.settings import Records, Screening
from guiju.records import flow as records
from guiju.records.access.opening_review import REVIEW_NOT_GRANTED
from guiju.records.access.requests import approve
from guiju.records.access.whereabouts import CONTENT_ERASED
from guiju.records.models import Record
from guiju.screening.review import flow
from guiju.screening.review.errors import (
    REVIEW_CLOSED,
    REVIEW_INCOMPLETE,
    REVIEW_LEASE,
    REVIEW_QUOTE,
    REVIEW_SECOND,
    REVIEW_TAKEN,
    REVIEW_UNKNOWN,
)
from guiju.screening.review.models import Decision, Finding, Item, Reach
from guiju.screening.review.proposals import excuses
from guiju.screening.review.tests.conftest import ANSWER, Queue, exchange, hit
from guiju.screening.values import LibraryEntry
from guiju.web.tests.rig import left, record_all

pytestmark = pytest.mark.django_db
ANN, BEN, CAT = "person:ann", "person:ben", "person:cat"
RIGHT = {"input:kw-2": "right"}


@pytest.fixture(autouse=True)
def _alone(settings: Settings) -> None:
    """One person opens, one person decides, unless a test says otherwise."""
    with_review(settings, review_second_per_mille=0)


def with_review(settings: Settings, *, people: int = 1, **fields: Any) -> None:
    settings.SITE = msgspec.structs.replace(
        settings.SITE, records=Records(opening_people=people, erasure_people=1), screening=Screening(**fields)
    )


def refused(code: ErrorCode, work: Callable[[], object]) -> None:
    with pytest.raises(GuijuError) as told:
        work()
    assert told.value.code is code


def end_lease(item: Item) -> None:
    Item.objects.filter(pk=item.pk).update(lease_until=timezone.now() - timedelta(seconds=1))


def kinds(data: DataFolder, prefix: str = "screening.review.") -> list[str]:
    return [each.kind for each in left(data) if each.kind.startswith(prefix)]


# ── the queue ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_is_marked_comes_once_with_what_the_record_says(put: Queue) -> None:
    (item,) = put(exchange(hits=(hit(),), out=(hit("GD-x", confidence="medium", path="choices[0].message.content"),), stream=True))
    (none,) = put(exchange(mark="sample"))
    unmarked = exchange()
    del unmarked[0].metadata["review"]
    assert put(unmarked) == []
    assert (item.origin, item.state, item.library, item.subject, item.service) == ("hit", "waiting", "l" * 16, "u-1", "chat")
    assert [(each["direction"], each["rule"], each["confidence"]) for each in item.hits] == [
        ("input", "kw-2", "low"),
        ("output", "GD-x", "medium"),
    ]
    assert item.begun == Record.objects.get(kind="gateway.answer.opened").id
    assert (none.origin, none.hits, none.begun) == ("sample", [], "")
    assert Item.objects.count() == 2
    Reach.objects.update(after=-1)  # as if the place had been lost
    while flow.fill_queue():
        pass
    assert Item.objects.count() == 2


def test_a_kill_while_the_queue_fills_leaves_nothing_half(put: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    put(exchange())
    reached = Reach.objects.get().after

    def die(*_: object, **__: object) -> None:
        raise SystemExit

    with monkeypatch.context() as broken:
        broken.setattr(Item.objects, "bulk_create", die)
        with pytest.raises(SystemExit):
            put(exchange())
    assert Reach.objects.get().after == reached
    assert Item.objects.count() == 1
    put()
    assert Item.objects.count() == 2


def test_the_clock_counts_working_hours_and_overdue_is_computed(put: Queue) -> None:
    friday = 1_795_165_200_000_000  # 2026-11-20 17:00 in Beijing
    (item,) = put(exchange(at_us=friday))
    assert item.due_at.isoformat() == "2026-11-24T07:00:00+00:00"  # one hour of Friday, nine of Monday, six of Tuesday
    Item.objects.update(due_at=timezone.now() + timedelta(hours=1))
    assert flow.count_open() == {"waiting": 1, "taken": 0, "overdue": 0}
    Item.objects.update(due_at=timezone.now() - timedelta(hours=1))
    assert flow.count_open()["overdue"] == 1


# ── taking ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_of_two_who_take_one_item_one_has_it(put: Queue, data: DataFolder) -> None:
    (item,) = put(exchange())
    both = [flow.open_to(ANN).first(), flow.open_to(BEN).first()]
    assert both == [item, item]
    assert flow.take(item.pk, actor=ANN).taken_by == ANN
    refused(REVIEW_TAKEN, lambda: flow.take(item.pk, actor=BEN))
    assert flow.take(item.pk, actor=ANN).taken_by == ANN  # hers already: no second record of it
    assert kinds(data) == ["screening.review.taken"]
    assert flow.take_next(BEN) is None
    found = flow.take_next(ANN)
    assert found is not None
    assert found.pk == item.pk


def test_the_race_is_decided_by_the_row_itself(put: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    (item,) = put(exchange())
    everything = Item.objects.order_by("pk")
    flow.take(item.pk, actor=ANN)
    monkeypatch.setattr(flow, "open_to", lambda *_: everything)  # what the second one saw before the first had it
    refused(REVIEW_TAKEN, lambda: flow.take(item.pk, actor=BEN))
    assert Item.objects.get().taken_by == ANN


def test_a_lost_race_goes_on_to_the_next_item(put: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = put(exchange(), exchange())
    Item.objects.filter(pk=one.pk).update(due_at=timezone.now() - timedelta(days=1))
    real = flow.take

    def slow(record: str, *, actor: str) -> Item:
        if record == one.pk:
            real(record, actor=BEN)
        return real(record, actor=actor)

    monkeypatch.setattr(flow, "take", slow)
    found = flow.take_next(ANN)
    assert found is not None
    assert found.pk == two.pk


def test_an_ended_lease_gives_the_item_to_others_and_keeps_no_decision(put: Queue) -> None:
    (item,) = put(exchange(hits=(hit(),)))
    flow.take(item.pk, actor=ANN)
    flow.show(item.pk, actor=ANN)
    end_lease(item)
    refused(REVIEW_LEASE, lambda: flow.show(item.pk, actor=ANN))
    refused(REVIEW_LEASE, lambda: flow.decide(item.pk, actor=ANN, judged=RIGHT))
    assert flow.take(item.pk, actor=BEN).taken_by == BEN
    assert Item.objects.get().opened_at is None
    refused(REVIEW_LEASE, lambda: flow.decide(item.pk, actor=ANN, judged=RIGHT))
    assert not Decision.objects.exists()
    flow.decide(item.pk, actor=BEN, judged=RIGHT)
    refused(REVIEW_CLOSED, lambda: flow.take(item.pk, actor=ANN))
    refused(REVIEW_CLOSED, lambda: flow.decide(item.pk, actor=ANN, judged=RIGHT))


def test_who_gives_back_what_is_not_theirs_changes_nothing(put: Queue, data: DataFolder) -> None:
    (item,) = put(exchange())
    flow.take(item.pk, actor=ANN)
    refused(REVIEW_LEASE, lambda: flow.give_back(item.pk, actor=BEN))
    assert Item.objects.get().taken_by == ANN
    flow.give_back(item.pk, actor=ANN)
    assert Item.objects.get().state == "waiting"
    assert kinds(data) == ["screening.review.taken", "screening.review.returned"]
    refused(REVIEW_UNKNOWN, lambda: flow.take("0" * 26, actor=ANN))


# ── seeing ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("stream", [False, True])
def test_a_reviewer_sees_the_exchange_and_no_more_and_each_opening_is_on_record(put: Queue, data: DataFolder, *, stream: bool) -> None:
    (item,) = put(exchange(hits=(hit(),), stream=stream))
    refused(REVIEW_LEASE, lambda: flow.show(item.pk, actor=ANN))
    assert kinds(data, "records.content.") == []
    flow.take(item.pk, actor=ANN)
    refused(REVIEW_LEASE, lambda: flow.show(item.pk, actor=BEN))
    shown = flow.show(item.pk, actor=ANN)
    flow.show(item.pk, actor=ANN)
    assert [(each.direction, each.path) for each in shown] == [
        ("input", "messages[2].content"),
        ("output", "choices[0].message.content"),
    ]
    assert [(piece.text, piece.rules) for piece in shown[0].pieces][1] == ("可疑词条", "kw-2")
    assert "13800138000" not in shown[0].text
    assert shown[1].text == ANSWER
    opened = [each for each in left(data) if each.kind == "records.content.opened"]
    assert {each.metadata["record"] for each in opened} == {id for id in (item.pk, item.begun) if id}
    assert len(opened) == (2 if stream else 1)
    assert {(each.actor, each.subject, each.metadata["purpose"]) for each in opened} == {(ANN, "u-1", "review")}


def test_where_two_people_open_a_reviewer_needs_a_permission(put: Queue, settings: Settings) -> None:
    with_review(settings, people=2, review_second_per_mille=0)
    (item,) = put(exchange())
    flow.take(item.pk, actor=ANN)
    refused(REVIEW_NOT_GRANTED, lambda: flow.show(item.pk, actor=ANN))
    approve(records.ask_for_review(actor=ANN, reason="daily").id, actor=BEN)
    assert flow.show(item.pk, actor=ANN)
    flow.give_back(item.pk, actor=ANN)
    flow.take(item.pk, actor=BEN)
    refused(REVIEW_NOT_GRANTED, lambda: flow.show(item.pk, actor=BEN))  # who approves is allowed nothing by it


# ── deciding ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_decision_is_a_record_and_nobodys_words_are_in_it(put: Queue, data: DataFolder) -> None:
    (item,) = put(exchange(hits=(hit(),)))
    flow.take(item.pk, actor=ANN)
    note = "他的电话是13800138000"
    flow.decide(item.pk, actor=ANN, judged={"input:kw-2": "false"}, rest="missed", risk="A.1.h", quote="已经记下", note=note)
    record_all(data)
    record = Record.objects.get(kind="screening.review.decided")
    assert (record.actor, record.subject) == (ANN, "u-1")
    assert record.metadata == {
        "item": item.pk,
        "number": 1,
        "library": "l" * 16,
        "findings": [
            {"direction": "input", "rule": "kw-2", "risk": "A.4.f", "verdict": "false"},
            {
                "direction": "output",
                "rule": "",
                "risk": "A.1.h",
                "verdict": "missed",
                "path": "choices[0].message.content",
                "start": 3,
                "end": 7,
            },
        ],
    }
    assert record.content_hash
    decision = Decision.objects.get()
    assert decision.record == record.id
    assert decision.note.startswith("他的电话是")
    assert "13800138000" not in decision.note
    assert Item.objects.get().state == "decided"


@pytest.mark.parametrize(
    ("judged", "more"),
    [
        ({}, {}),
        ({"input:kw-2": "missed"}, {}),
        ({"input:kw-1": "right"}, {}),
        (RIGHT, {"rest": "missed"}),
        (RIGHT, {"rest": "missed", "risk": "A.9.z"}),
        (RIGHT, {"rest": "false"}),
    ],
)
def test_an_incomplete_decision_keeps_nothing(put: Queue, data: DataFolder, judged: dict[str, str], more: dict[str, str]) -> None:
    (item,) = put(exchange(hits=(hit(),)))
    flow.take(item.pk, actor=ANN)
    refused(REVIEW_INCOMPLETE, lambda: flow.decide(item.pk, actor=ANN, judged=judged, **more))
    assert not Decision.objects.exists()
    assert flow.held_by(ANN).count() == 1
    (sample,) = put(exchange(mark="sample"))
    flow.take(sample.pk, actor=ANN)
    refused(REVIEW_INCOMPLETE, lambda: flow.decide(sample.pk, actor=ANN, judged={}))
    refused(REVIEW_QUOTE, lambda: flow.decide(sample.pk, actor=ANN, judged={}, rest="missed", risk="A.1.h", quote="从未出现"))
    assert not kinds(data, "screening.review.decided")


def test_a_kill_between_decision_and_record_leaves_neither(put: Queue, data: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    (item,) = put(exchange(hits=(hit(),)))
    flow.take(item.pk, actor=ANN)
    for place in ("bulk_create", "create"):
        with monkeypatch.context() as broken:

            def die(*_: object, **__: object) -> None:
                raise SystemExit

            broken.setattr((Finding if place == "bulk_create" else Decision).objects, place, die)
            with pytest.raises(SystemExit):
                flow.decide(item.pk, actor=ANN, judged=RIGHT)
        assert not Decision.objects.exists()
        assert kinds(data, "screening.review.decided") == []
        assert flow.held_by(ANN).count() == 1
    flow.decide(item.pk, actor=ANN, judged=RIGHT)
    assert kinds(data, "screening.review.decided") == ["screening.review.decided"]


def test_a_second_review_is_another_persons(put: Queue, settings: Settings) -> None:
    with_review(settings, review_second_per_mille=1_000)
    (item,) = put(exchange(hits=(hit(),)))
    assert item.needs == 2
    flow.take(item.pk, actor=ANN)
    flow.decide(item.pk, actor=ANN, judged=RIGHT)
    assert Item.objects.get().state == "waiting"
    assert not flow.open_to(ANN).exists()
    refused(REVIEW_SECOND, lambda: flow.take(item.pk, actor=ANN))
    flow.take(item.pk, actor=BEN)
    refused(REVIEW_LEASE, lambda: flow.decide(item.pk, actor=ANN, judged=RIGHT))
    flow.decide(item.pk, actor=BEN, judged={"input:kw-2": "false"})
    assert Item.objects.get().state == "decided"
    assert Decision.objects.count() == 2
    refused(REVIEW_CLOSED, lambda: flow.take(item.pk, actor=CAT))


def test_the_share_of_second_reviews_is_drawn_by_the_sites_key(put: Queue, settings: Settings) -> None:
    with_review(settings, review_second_per_mille=500)
    items = put(*[exchange() for _ in range(60)])
    assert 10 <= sum(item.needs == 2 for item in items) <= 50


# ── what is gone ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_erased_persons_item_closes_itself_and_says_so(put: Queue, data: DataFolder) -> None:
    one, two, other = put(exchange(hits=(hit(),)), exchange(stream=True), exchange(subject="u-2"))
    flow.take(one.pk, actor=ANN)
    records.erase_subject("u-1", actor=BEN, reason="asked for it")
    refused(CONTENT_ERASED, lambda: flow.show(one.pk, actor=ANN))
    one.refresh_from_db()
    assert (one.state, one.because, one.taken_by) == ("gone", "erased", "")
    assert flow.close_gone() == 1
    two.refresh_from_db()
    other.refresh_from_db()
    assert (two.state, two.because, other.state) == ("gone", "erased", "waiting")
    assert kinds(data, "screening.review.closed") == ["screening.review.closed"] * 2
    refused(REVIEW_CLOSED, lambda: flow.take(two.pk, actor=ANN))
    refused(REVIEW_CLOSED, lambda: flow.decide(one.pk, actor=ANN, judged=RIGHT))
    assert flow.close_gone() == 0


def test_the_notes_about_an_erased_person_go_with_the_content(put: Queue) -> None:
    one, other = put(exchange(hits=(hit(),)), exchange(hits=(hit(),), subject="u-2"))
    for item in (one, other):
        flow.take(item.pk, actor=ANN)
        flow.decide(item.pk, actor=ANN, judged=RIGHT, note="a note")
    records.erase_subject("u-1", actor=BEN, reason="asked for it")
    assert flow.close_gone() == 0
    assert Decision.objects.get(item=one).note == ""
    assert Decision.objects.get(item=other).note == "a note"
    assert Finding.objects.filter(decision__item=one).count() == 1  # what was decided stays


def test_what_never_had_content_is_not_offered(put: Queue) -> None:
    (entry,) = exchange()
    (item,) = put([msgspec.structs.replace(entry, content=b"")])
    assert (item.state, item.because) == ("gone", "none")
    assert not flow.open_to(ANN).exists()


def test_an_exception_can_be_proposed_to_a_term_that_counts_near_another_word() -> None:
    """The phrase that excuses the term need not hold the near word."""
    entry = LibraryEntry("kw-1", "可疑词", "A.1.h", near=("出售",))
    assert excuses(entry, "可疑词条")
    assert not excuses(entry, "可疑")
