"""Working hours: when something is due that people have so many hours of work for. Pure; the calendar is passed in.

Days off and make-up days are those of the year's holiday notice, which is published late in the year before: nothing is guessed, and a
year without an entry has its weekends alone.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from guiju.core.clock import BEIJING


@dataclass(frozen=True, slots=True)
class WorkingTime:
    """When people work: from one hour to another of Monday to Friday in Beijing, but for days off, and on make-up days."""

    begins: int = 9
    ends: int = 18
    days_off: frozenset[date] = frozenset()
    make_up_days: frozenset[date] = frozenset()

    def works_on(self, day: date) -> bool:
        """Tell whether people work on this Beijing day; a make-up day wins over a day off."""
        return day in self.make_up_days or (day.weekday() < 5 and day not in self.days_off)


def working_time(begins: int, ends: int, days_off: Iterable[str], make_up_days: Iterable[str]) -> WorkingTime:
    """Return the working time of these settings. Raises ValueError when the day ends before it begins, or a day is none."""
    if begins >= ends:
        raise ValueError(f"a working day from {begins} until {ends} has no hour")
    return WorkingTime(begins, ends, frozenset(map(date.fromisoformat, days_off)), frozenset(map(date.fromisoformat, make_up_days)))


def due_at(begun: datetime, hours: int, when: WorkingTime) -> datetime:
    """Return the instant at which `hours` of working time have passed since `begun` (aware); aware, in Beijing time.

    >>> friday = datetime(2026, 11, 20, 17, tzinfo=BEIJING)
    >>> due_at(friday, 2, WorkingTime()).isoformat()
    '2026-11-23T10:00:00+08:00'
    """
    at, left = begun.astimezone(BEIJING), timedelta(hours=hours)
    for _ in range(20_000):  # a calendar without a working day ends here, not never
        midnight = datetime.combine(at.date(), time(), BEIJING)
        if when.works_on(at.date()):
            at = max(at, midnight + timedelta(hours=when.begins))
            until = midnight + timedelta(hours=when.ends)
            if at + left <= until:
                return at + left
            left -= max(until - at, timedelta())
        at = midnight + timedelta(days=1)
    raise ValueError("the calendar has no working day")
