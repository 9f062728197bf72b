"""Working hours: when something is due that people have so many hours of work for. Pure; the calendar is passed in.

These are the provider's own periods, so a year without a holiday notice has its weekends alone; what a law sets fails there (deadlines.py).
"""

from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta

from guiju.core.clock import BEIJING
from guiju.core.deadlines import WorkCalendar, work_calendar


@dataclass(frozen=True, slots=True)
class WorkingTime:
    """When people work: from one hour to another of each working day in Beijing. Raises ValueError when the day ends before it begins."""

    begins: int = 9
    ends: int = 18
    calendar: WorkCalendar = field(default_factory=work_calendar)

    def __post_init__(self) -> None:
        if self.begins >= self.ends:
            raise ValueError(f"a working day from {self.begins} until {self.ends} has no hour")

    def works_on(self, day: date) -> bool:
        """Tell whether people work on this Beijing day."""
        return self.calendar.likely_works_on(day)


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
