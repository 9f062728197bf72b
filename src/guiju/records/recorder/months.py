"""The months in which records lie on PostgreSQL: their names, their bounds, and making them ahead.

A partition holds the ids of one month in Beijing time. An id begins with the time at which it was made, so its month is
known without looking, ids are unique over all partitions by the primary key alone, and a look-up by id meets one partition.
What fits no month (a worker's clock far off, a month that nobody made) goes into the rest, and is as well kept there.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from django.db import OperationalError, connection, transaction

from guiju.core.clock import BEIJING
from guiju.core.ids import id_prefix
from guiju.records.values import SIX_MONTHS_DAYS

AHEAD: Final = 3
"""How many months are made ahead: so long nobody needs to make one."""
MOST_STAYING: Final = 50_000
"""Rows of a month that move into the rest at most; with more, the month stays and its rows go one by one."""
_LOCK_MS: Final = 2_000

log = logging.getLogger("guiju.records")


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


def list_months() -> list[Month]:
    """Return the months that have partitions, oldest first; none on SQLite."""
    if connection.vendor != "postgresql":
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT substring(c.relname FROM 'records_record_(\\d{4}_\\d{2})$') FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
            "WHERE i.inhparent = 'records_record'::regclass"
        )
        names = sorted(name for (name,) in cursor.fetchall() if name)
    return [Month(date(int(name[:4]), int(name[5:]), 1)) for name in names]


def drop_months(short_lived: Sequence[str], now: datetime | None = None) -> list[str]:
    """Drop the months of which everything may go but a few rows, which move into the rest; return their names.

    A month is looked at when it has been over for six months and no record of a `short_lived` kind would stay in it. The database
    looks at each row again, and drops nothing of which one row may not go (migration 0004). A month that somebody reads just now is
    left for the next time.
    """
    over = month_of((now or datetime.now(BEIJING)) - timedelta(days=SIX_MONTHS_DAYS))
    dropped = []
    for month in list_months():
        if month.begins_on >= over.begins_on or _holds(month, short_lived):
            continue
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL lock_timeout = '{_LOCK_MS}ms'")
                cursor.execute("SELECT records_drop_month(%s, %s)", [month.name, MOST_STAYING])
                (went,) = cursor.fetchone() or (-1,)
        except OperationalError as problem:  # somebody holds one of its tables
            log.info("month %s is left for now: %s", month.name, problem)
            continue
        if went >= 0:
            dropped.append(month.name)
            log.info("month %s dropped, %d records went with it", month.name, went)
    return dropped


def _holds(month: Month, kinds: Sequence[str]) -> bool:
    """Return whether a record of one of these kinds lies in the month that no removal on record and under way is about."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT EXISTS (SELECT 1 FROM records_record_{month.name} r WHERE r.kind = ANY(%s) "  # noqa: S608  # a name of ours
            "AND NOT EXISTS (SELECT 1 FROM records_removal m JOIN records_record o ON o.id = m.id WHERE m.what = 'record' AND m.finished_at IS NULL "
            'AND r."index" >= m.first AND r."index" < m.until))',
            [list(kinds)],
        )
        (found,) = cursor.fetchone() or (True,)
    return bool(found)
