"""The months in which records lie on PostgreSQL: their names, their bounds, and making them ahead.

A partition holds the ids of one month in Beijing time. An id begins with the time at which it was made, so its month is
known without looking, ids are unique over all partitions by the primary key alone, and a look-up by id meets one partition.
What fits no month (a worker's clock far off, a month that nobody made) goes into the rest, and is as well kept there.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from django.db import connection

from guiju.core.clock import BEIJING
from guiju.core.ids import id_prefix

AHEAD: Final = 3
"""How many months are made ahead: so long nobody needs to make one."""


@dataclass(frozen=True, slots=True)
class Month:
    """One month in Beijing time; ids from `first_id` to before `next_id` belong to it."""

    begins_on: date

    @property
    def name(self) -> str:
        """The end of its partitions' names: `2026_11`."""
        return self.begins_on.strftime("%Y_%m")

    @property
    def first_id(self) -> str:
        return id_prefix(int(datetime(self.begins_on.year, self.begins_on.month, 1, tzinfo=BEIJING).timestamp() * 1000))

    @property
    def next_id(self) -> str:
        return self.next().first_id

    def next(self) -> "Month":
        year, month = divmod(self.begins_on.year * 12 + self.begins_on.month, 12)
        return Month(date(year, month + 1, 1))


def month_of(now: datetime) -> Month:
    """Return the month of a moment."""
    return Month(now.astimezone(BEIJING).date().replace(day=1))


def months_ahead(now: datetime) -> Iterator[Month]:
    """Yield the month of `now` and those that are made ahead."""
    month = month_of(now)
    for _ in range(AHEAD + 1):
        yield month
        month = month.next()


def make_months(now: datetime | None = None) -> list[str]:
    """Make the partitions of this month and the next ones; return the names of those that were made. SQLite needs none."""
    if connection.vendor != "postgresql":
        return []
    made = []
    with connection.cursor() as cursor:
        for month in months_ahead(now or datetime.now(BEIJING)):
            cursor.execute("SELECT records_make_month(%s, %s, %s)", [month.name, month.first_id, month.next_id])
            if cursor.fetchone() == (True,):
                made.append(month.name)
    return made
