"""Deadlines: by when something is due, in working days, days, hours, months or years of Beijing time. Pure; calendar and clock are passed in.

"Overdue" is computed from the deadline and the time, and stored nowhere. Day zero is the day on which the period begins; the last day counts to its
end. A last day on which nobody works is not moved on: the earlier reading is the safe one.
Source: Measures Arts. 11, 14, 15 and 17; periods from the catalogue of obligations.
"""

from calendar import monthrange
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Final, Literal

from guiju.core.clock import BEIJING
from guiju.core.errors import GuijuError, Text, define

Unit = Literal["minutes", "hours", "working_days", "days", "months", "years"]
State = Literal["done", "done_late", "due", "overdue"]

CALENDAR_GAP = define(
    "CALENDAR-GAP",
    status=500,
    kind="server_error",
    zh=Text("没有 {year} 年的节假日安排，无法计算工作日。", "没有推算任何期限。", "请依国务院办公厅的通知，在 guiju.toml 的 [calendar] 中填写 {year} 年的放假日和调休上班日。"),
    en=Text(
        "There is no holiday notice for {year}, so working days cannot be counted.",
        "No deadline was guessed.",
        "Fill the days off and make-up days of {year} into [calendar] of guiju.toml, from the notice of the State Council.",
    ),
)  # fmt: skip
LONGEST_DAYS: Final = 20_000
LOOKED_AHEAD: Final = timedelta(days=45)
"""The longest statutory period of the catalogue, thirty working days, and a little more: a year within it must be known."""


@dataclass(frozen=True, slots=True)
class WorkCalendar:
    """Which Beijing days people work on, for the years that are known."""

    years: frozenset[int]
    days_off: frozenset[date]
    make_up_days: frozenset[date]

    def works_on(self, day: date) -> bool:
        """Tell whether this is a working day; a make-up day wins over a day off. Raises CALENDAR-GAP for a year that is not known."""
        if day.year not in self.years:
            raise GuijuError(CALENDAR_GAP, year=day.year)
        return self.likely_works_on(day)

    def likely_works_on(self, day: date) -> bool:
        """Tell the same without failing: a year that is not known has its weekends alone. For figures that no law sets."""
        return day in self.make_up_days or (day.weekday() < 5 and day not in self.days_off)


def missing_year(today: date, calendar: WorkCalendar) -> int | None:
    """Return the first year within `LOOKED_AHEAD` of a Beijing day whose holiday notice is not known; None when all are.

    >>> missing_year(date(2026, 9, 1), work_calendar()) is None
    True
    """
    years = (today.year, (today + LOOKED_AHEAD).year)
    return next((year for year in years if year not in calendar.years), None)


@lru_cache(maxsize=4)
def work_calendar(days_off: tuple[str, ...] = (), make_up_days: tuple[str, ...] = ()) -> WorkCalendar:
    """Return the national calendar with these days (ISO) of one's own added; a year in which one of them lies is known.

    The national days are those of the library chinesecalendar, from the notices of the State Council.
    """
    from chinese_calendar import constants  # here, because a start of the service reads settings and counts no days

    off, made_up = _days(days_off), _days(make_up_days)
    national_off = {day for day in constants.holidays if day not in made_up}
    national_made_up = {day for day in constants.workdays if day not in off}
    years = {day.year for day in (*constants.holidays, *off, *made_up)}
    return WorkCalendar(frozenset(years), frozenset(national_off | off), frozenset(national_made_up | made_up))


def _days(texts: Iterable[str]) -> frozenset[date]:
    return frozenset(map(date.fromisoformat, texts))


def due_at(begun: datetime, amount: int, unit: Unit, calendar: WorkCalendar) -> datetime:
    """Return the first instant that is too late (aware, Beijing time) for a period that began at `begun` (aware).

    Minutes and hours run on; of days, months and years the last day counts to its end. A month that has no such day ends on its last.
    Raises CALENDAR-GAP when working days reach into a year that is not known.

    >>> friday = datetime(2026, 9, 18, 17, tzinfo=BEIJING)  # Sunday 20 September is a make-up day, 25 September is Mid-Autumn
    >>> due_at(friday, 2, "working_days", work_calendar()).isoformat()
    '2026-09-22T00:00:00+08:00'
    """
    at = begun.astimezone(BEIJING)
    if unit in ("minutes", "hours"):
        return at + timedelta(**{unit: amount})
    day = at.date()
    if unit == "working_days":
        last = _working_days_on(day, amount, calendar)
    elif unit == "days":
        last = day + timedelta(days=amount)
    else:
        last = _months_on(day, amount * (12 if unit == "years" else 1))
    return _midnight(last + timedelta(days=1))


def act_by(event: date, amount: int, unit: Unit, calendar: WorkCalendar) -> datetime:
    """Return the first instant that is too late for what must be done so long before a day, such as a notice 30 days ahead.

    `unit` is `working_days`, `days`, `months` or `years`. Raises CALENDAR-GAP.
    """
    if unit == "working_days":
        return _midnight(_working_days_on(event, -amount, calendar) + timedelta(days=1))
    if unit == "days":
        return _midnight(event - timedelta(days=amount - 1))
    return _midnight(_months_on(event, -amount * (12 if unit == "years" else 1)) + timedelta(days=1))


def state_of(due: datetime, now: datetime, done: datetime | None = None) -> State:
    """Return where a deadline stands: done in time or late, due, or overdue. Both instants are aware."""
    if done is not None:
        return "done" if done < due else "done_late"
    return "due" if now < due else "overdue"


def last_moment(due: datetime) -> str:
    """Return in Beijing time when something is still in time, for people: a day that counts to its end ends at 24:00.

    >>> last_moment(datetime(2026, 9, 22, tzinfo=BEIJING)), last_moment(datetime(2026, 9, 22, 9, 30, tzinfo=BEIJING))
    ('2026-09-21 24:00', '2026-09-22 09:30')
    """
    at = due.astimezone(BEIJING)
    return f"{at - timedelta(days=1):%Y-%m-%d} 24:00" if at.time() == time() else f"{at:%Y-%m-%d %H:%M}"


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), BEIJING)


def _working_days_on(day: date, amount: int, calendar: WorkCalendar) -> date:
    left, step = abs(amount), timedelta(days=1 if amount > 0 else -1)
    for _ in range(LONGEST_DAYS):
        if not left:
            return day
        day += step
        left -= calendar.works_on(day)
    raise ValueError("the calendar has no working day")


def _months_on(day: date, months: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))
