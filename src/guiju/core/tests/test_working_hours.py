"""Working hours: hours of work and nothing else move the clock. Guarded: the calendar, `max(at, …)`, the bound of the loop."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guiju.core.clock import BEIJING
from guiju.core.deadlines import WorkCalendar, work_calendar
from guiju.core.working_hours import WorkingTime, due_at

WHEN = WorkingTime(9, 18, work_calendar())


@pytest.mark.parametrize(
    ("begun", "hours", "due"),
    [
        ("2026-11-23T09:00", 9, "2026-11-23T18:00"),
        ("2026-11-23T03:00", 1, "2026-11-23T10:00"),
        ("2026-11-23T18:00", 1, "2026-11-24T10:00"),
        ("2026-11-20T17:30", 1, "2026-11-23T09:30"),
        ("2026-11-21T12:00", 9, "2026-11-23T18:00"),
        ("2026-09-30T17:00", 2, "2026-10-08T10:00"),
        ("2026-10-09T17:00", 2, "2026-10-10T10:00"),
        ("2026-11-23T09:00", 90, "2026-12-04T18:00"),
    ],
)
def test_when_something_is_due(begun: str, hours: int, due: str) -> None:
    at = datetime.fromisoformat(begun).replace(tzinfo=BEIJING)
    assert due_at(at, hours, WHEN).strftime("%Y-%m-%dT%H:%M") == due
    assert due_at(at.astimezone(UTC), hours, WHEN) == due_at(at, hours, WHEN)


@given(st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)), st.integers(1, 100), st.integers(1, 100))
def test_hours_add_up_and_fall_into_working_time(begun: datetime, first: int, second: int) -> None:
    at = begun.replace(tzinfo=BEIJING)
    due = due_at(at, first + second, WHEN)
    assert due == due_at(due_at(at, first, WHEN), second, WHEN)
    assert due >= at + timedelta(hours=first + second)
    assert WHEN.works_on(due.date())
    assert timedelta(hours=9) < due - datetime.combine(due.date(), datetime.min.time(), BEIJING) <= timedelta(hours=18)


def test_a_calendar_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="no hour"):
        WorkingTime(9, 9)
    with pytest.raises(ValueError, match="day"):
        work_calendar(("2026-02-30",))
    never = WorkCalendar(frozenset(), frozenset(date(2026, 1, 1) + timedelta(n) for n in range(30_000)), frozenset())
    with pytest.raises(ValueError, match="no working day"):
        due_at(datetime(2026, 1, 1, tzinfo=UTC), 1, WorkingTime(9, 18, never))
