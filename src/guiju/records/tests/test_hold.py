"""Legal holds: set and lifted with a record, and what they select stays.

Guarded lines: `filter(id=id, lifted_at=None)` in `lift_hold`; each condition of `condition_of`.
"""

from datetime import UTC, datetime, timedelta

import pytest
from django.db.models import Q

from guiju.core.errors import GuijuError
from guiju.core.layout import DataFolder
from guiju.core.master_keys import load_master_keys
from guiju.records.keeping.hold import (
    HOLD_EMPTY,
    HOLD_KIND,
    HOLD_UNKNOWN,
    SUBJECT_HELD,
    Selection,
    count_held,
    held_records,
    held_subjects,
    lift_hold,
    list_holds_on,
    refuse_if_held,
    set_hold,
    standing_holds,
)
from guiju.records.models import Hold, Record
from guiju.records.recorder.ingest import write_entries
from guiju.records.recorder.recording import Recorder
from guiju.records.tests.conftest import ORIGIN
from guiju.records.tests.site import entry

pytestmark = pytest.mark.django_db
OFFICER = "person:officer"


def hold(selection: Selection) -> Hold:
    return set_hold(selection, actor=OFFICER, reason="court order", reference="(2026) 1")


@pytest.fixture
def filled(data: DataFolder) -> DataFolder:
    kinds = ("gateway.answer.delivered", "gateway.answer.stopped")
    write_entries([entry(kind, subject=subject) for subject in ("u-1", "u-2") for kind in kinds], load_master_keys(data.keys))
    return data


def held() -> set[tuple[str, str]]:
    condition = held_records()
    rows = Record.objects.none() if condition is None else Record.objects.filter(condition)
    return {(record.subject, record.kind.rpartition(".")[2]) for record in rows}


def test_without_a_hold_nothing_is_held(filled: DataFolder) -> None:
    assert held_records() is None
    assert held_subjects() == frozenset()
    refuse_if_held("u-1")


SELECTIONS = [
    (Selection(subject="u-1"), {("u-1", "delivered"), ("u-1", "stopped")}, {"u-1"}),
    (Selection(kind="gateway.answer.stopped"), {("u-1", "stopped"), ("u-2", "stopped")}, {"u-1", "u-2"}),
    (Selection(subject="u-2", kind="gateway.answer.stopped"), {("u-2", "stopped")}, {"u-2"}),
    (Selection(service="chat", since=datetime(2020, 1, 1, tzinfo=UTC)), None, {"u-1", "u-2"}),
    (Selection(service="other"), set(), set()),
    (Selection(until=datetime(2020, 1, 1, tzinfo=UTC)), set(), set()),
    (Selection(since=datetime.now(UTC) + timedelta(days=1)), set(), set()),
]


@pytest.mark.parametrize(("selection", "records", "subjects"), SELECTIONS)
def test_conditions_hold_together(
    filled: DataFolder, selection: Selection, records: set[tuple[str, str]] | None, subjects: set[str]
) -> None:
    made = hold(selection)
    assert count_held(made) == len(Record.objects.filter(held_records() or Q()))
    assert held() == ({(s, k) for s in ("u-1", "u-2") for k in ("delivered", "stopped")} if records is None else records)
    assert {subject for subject in ("u-1", "u-2") if list_holds_on(subject)} == subjects
    for subject in subjects:
        with pytest.raises(GuijuError) as told:
            refuse_if_held(subject)
        assert told.value.code is SUBJECT_HELD
        assert all(part in told.value.text(language) for part in (subject, "(2026) 1", OFFICER) for language in ("zh", "en"))
    lift_hold(made.id, actor="person:judge", reason="order withdrawn")
    assert held_records() is None
    assert not list_holds_on("u-1")


@pytest.mark.parametrize("kind", ["nokind", "gateway.answer", "gateway.answer.delivered "])
def test_an_unknown_kind_is_refused(filled: DataFolder, kind: str) -> None:
    with pytest.raises(GuijuError) as told:
        hold(Selection(subject="u-1", kind=kind))
    assert told.value.code is HOLD_KIND
    assert kind in told.value.text("zh")
    assert Hold.objects.count() == 0


def test_two_holds_hold_each(filled: DataFolder) -> None:
    first, second = hold(Selection(subject="u-1")), hold(Selection(subject="u-1"))
    assert held_subjects() == {"u-1"}
    lift_hold(first.id, actor=OFFICER, reason="withdrawn")
    assert [each.id for each in list_holds_on("u-1")] == [second.id]
    assert list(standing_holds()) == [second]


def test_only_one_of_two_lifts_it(filled: DataFolder) -> None:
    made = hold(Selection(subject="u-1"))
    lift_hold(made.id, actor=OFFICER, reason="withdrawn")
    with pytest.raises(GuijuError) as told:
        lift_hold(made.id, actor="person:other", reason="withdrawn")
    assert told.value.code is HOLD_UNKNOWN
    assert Hold.objects.get().lifted_by == OFFICER


@pytest.mark.parametrize(
    ("selection", "reason", "reference"),
    [(Selection(), "r", "f"), (Selection(subject="u-1"), " ", "f"), (Selection(subject="u-1"), "r", "")],
)
def test_a_hold_says_what_why_and_by_which_order(filled: DataFolder, selection: Selection, reason: str, reference: str) -> None:
    with pytest.raises(GuijuError) as told:
        set_hold(selection, actor=OFFICER, reason=reason, reference=reference)
    assert told.value.code is HOLD_EMPTY
    assert Hold.objects.count() == 0


def test_setting_and_lifting_leave_records(filled: DataFolder) -> None:
    made = hold(Selection(subject="u-1", kind="gateway.answer.stopped", since=datetime(2026, 1, 1, tzinfo=UTC)))
    lift_hold(made.id, actor="person:judge", reason="order withdrawn")
    recorder = Recorder(filled, ORIGIN)
    while recorder.step():
        pass
    was_set, lifted = Record.objects.filter(kind__startswith="records.hold.").order_by("index")
    assert (was_set.kind, was_set.actor, was_set.subject) == ("records.hold.set", OFFICER, "u-1")
    assert was_set.metadata == {
        "hold": made.id,
        "reference": "(2026) 1",
        "reason": "court order",
        "kind": "gateway.answer.stopped",
        "since": "2026-01-01T00:00:00+00:00",
    }
    assert (lifted.kind, lifted.actor, lifted.metadata["reason"]) == ("records.hold.lifted", "person:judge", "order withdrawn")
