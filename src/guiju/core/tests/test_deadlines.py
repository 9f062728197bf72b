"""Deadlines count Beijing days with make-up days, fail for a year nobody has announced, and are late in the instant they say."""

from datetime import UTC, date, datetime, timedelta

import chinese_calendar
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guiju.core.clock import BEIJING
from guiju.core.deadlines import CALENDAR_GAP, WorkCalendar, act_by, due_at, missing_year, state_of, work_calendar
from guiju.core.errors import GuijuError

CALENDAR = work_calendar()


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BEIJING)


@pytest.mark.parametrize(
    ("begun", "amount", "unit", "too_late"),
    [
        ("2026-11-24T09:00", 4, "hours", "2026-11-24T13:00"),
        ("2026-11-24T23:59", 30, "minutes", "2026-11-25T00:29"),
        ("2026-11-24T23:59", 1, "days", "2026-11-26T00:00"),
        ("2026-11-24T00:00", 10, "working_days", "2026-12-09T00:00"),
        ("2026-09-18T17:00", 2, "working_days", "2026-09-22T00:00"),  # Sunday the 20th is worked
        ("2026-09-30T10:00", 1, "working_days", "2026-10-09T00:00"),  # a week off
        ("2026-10-08T10:00", 2, "working_days", "2026-10-11T00:00"),  # Friday, and Saturday the 10th is worked
        ("2026-08-31T10:00", 6, "months", "2027-03-01T00:00"),  # no 31 February
        ("2024-02-29T10:00", 3, "years", "2027-03-01T00:00"),
    ],
)
def test_a_period_ends_when_its_last_day_has_passed(begun: str, amount: int, unit: str, too_late: str) -> None:
    assert due_at(_at(begun), amount, unit, CALENDAR) == _at(too_late)  # type: ignore[arg-type]


def test_the_day_is_beijings() -> None:
    late_in_london = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)  # 01:00 of the 24th in Beijing
    assert due_at(late_in_london, 1, "days", CALENDAR) == _at("2026-11-26T00:00")


@pytest.mark.parametrize(
    ("event", "amount", "unit", "too_late"),
    [
        ("2026-11-30", 30, "days", "2026-11-01T00:00"),  # 31 October is the last day in time
        ("2026-10-08", 1, "working_days", "2026-10-01T00:00"),
        ("2026-03-31", 1, "months", "2026-03-01T00:00"),
    ],
)
def test_notice_ahead(event: str, amount: int, unit: str, too_late: str) -> None:
    assert act_by(date.fromisoformat(event), amount, unit, CALENDAR) == _at(too_late)  # type: ignore[arg-type]


def test_a_year_without_a_notice_fails_and_one_that_is_filled_in_does_not() -> None:
    last_known = max(CALENDAR.years)
    begun = datetime(last_known, 12, 30, 10, tzinfo=BEIJING)
    with pytest.raises(GuijuError) as told:
        due_at(begun, 10, "working_days", CALENDAR)
    assert told.value.code is CALENDAR_GAP
    assert told.value.facts == {"year": last_known + 1}
    filled = work_calendar((f"{last_known + 1}-01-01",))
    assert due_at(begun, 10, "working_days", filled).year == last_known + 1
    assert due_at(begun, 10, "days", CALENDAR).year == last_known + 1  # calendar days need no notice


def test_ones_own_days_win_over_the_national_ones() -> None:
    assert CALENDAR.works_on(date(2026, 10, 10))
    assert not work_calendar(("2026-10-10",)).works_on(date(2026, 10, 10))
    assert not CALENDAR.works_on(date(2026, 10, 1))
    assert work_calendar((), ("2026-10-01",)).works_on(date(2026, 10, 1))


def test_a_calendar_without_a_working_day_ends() -> None:
    never = WorkCalendar(
        frozenset(range(1900, 2200)), frozenset(date(2026, 1, 1) + timedelta(days=each) for each in range(25_000)), frozenset()
    )
    with pytest.raises(ValueError, match="no working day"):
        due_at(_at("2026-01-01T00:00"), 1, "working_days", never)


days = st.dates(date(2005, 1, 1), date(2026, 12, 31))


@given(days)
def test_the_calendar_is_the_librarys(day: date) -> None:
    assert CALENDAR.works_on(day) is chinese_calendar.is_workday(day)


@given(st.datetimes(datetime(2005, 1, 1), datetime(2025, 1, 1)), st.integers(1, 200))
def test_so_many_working_days_lie_between(begun: datetime, amount: int) -> None:
    begun = begun.replace(tzinfo=BEIJING)
    due = due_at(begun, amount, "working_days", CALENDAR)
    between = (due.date() - begun.date()).days
    assert sum(CALENDAR.works_on(begun.date() + timedelta(days=each)) for each in range(1, between)) == amount
    assert CALENDAR.works_on(due.date() - timedelta(days=1))


@given(days.filter(lambda day: day.year > 2005), st.integers(1, 60))
def test_notice_ahead_leaves_so_many_working_days(event: date, amount: int) -> None:
    last_in_time = (act_by(event, amount, "working_days", CALENDAR) - timedelta(days=1)).date()
    ahead = (event - last_in_time).days
    assert sum(CALENDAR.works_on(last_in_time + timedelta(days=each)) for each in range(ahead)) == amount
    assert CALENDAR.works_on(last_in_time)


@given(days, st.integers(1, 60), st.sampled_from(["days", "months", "years"]))
def test_notice_ahead_and_the_period_fit_together(event: date, amount: int, unit: str) -> None:
    last_in_time = act_by(event, amount, unit, CALENDAR) - timedelta(days=1)  # type: ignore[arg-type]
    reached = due_at(last_in_time, amount, unit, CALENDAR).date() - timedelta(days=1)  # type: ignore[arg-type]
    # A shorter month ends early: going back and on again may fall short of the day by its missing ones, never go beyond it.
    assert event - timedelta(days=3) <= reached <= event


@pytest.mark.parametrize(
    ("today", "missing"), [("2026-11-16", None), ("2026-11-17", 2027), ("2026-12-31", 2027), ("2027-01-01", 2027), ("2027-12-01", 2027)]
)
def test_a_year_without_its_notice_is_told_before_periods_reach_it(today: str, missing: int | None) -> None:
    known = WorkCalendar(frozenset({2025, 2026}), frozenset(), frozenset())
    assert missing_year(date.fromisoformat(today), known) == missing
    assert missing_year(date(2026, 12, 1), work_calendar(("2027-01-01",))) is None


def test_overdue_is_the_instant_itself() -> None:
    due = _at("2026-11-26T00:00")
    just_before = due - timedelta(microseconds=1)
    assert state_of(due, just_before) == "due"
    assert state_of(due, due) == "overdue"
    assert state_of(due, due, just_before) == "done"
    assert state_of(due, due, due) == "done_late"
