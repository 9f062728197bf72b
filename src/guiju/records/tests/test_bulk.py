"""Rows written past the ORM are the rows that it would have written, on SQLite and PostgreSQL, and fail as its rows fail."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import IntegrityError, connection, transaction

from guiju.records.models import Lease, OutboxEntry, SpoolCursor
from guiju.records.recorder.bulk import find_texts, insert_rows, instants
from guiju.records.tests.site import Site
from guiju.records.tests.test_database import on_postgresql

__all__ = ["on_postgresql"]  # a fixture

MOMENTS = [datetime(2026, 1, 2, 3, 4, 5, us, tzinfo=UTC) for us in (0, 1, 999_999)] + [
    datetime(1970, 1, 1, tzinfo=UTC),
    datetime(9999, 12, 31, tzinfo=UTC),
]


def check_rows() -> None:
    """Called in a process on PostgreSQL, too."""
    values = instants([(moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) for moment in MOMENTS])
    for place, (moment, value) in enumerate(zip(MOMENTS, values, strict=True)):
        insert_rows(Lease, ("name", "holder", "until"), [(f"bulk {place}", "持有者", value)])
        Lease.objects.create(name=f"orm {place}", holder="", until=moment)
        assert Lease.objects.get(name=f"bulk {place}").until == moment
        assert Lease.objects.get(name=f"bulk {place}").holder == "持有者"
        # As the database compares them, not only as Python reads them.
        assert sorted(Lease.objects.filter(until=moment).values_list("name", flat=True)) == [f"bulk {place}", f"orm {place}"]
    insert_rows(OutboxEntry, ("sealed",), [(b"\0\xff",)])
    assert bytes(OutboxEntry.objects.latest("pk").sealed) == b"\0\xff"
    insert_rows(SpoolCursor, ("segment", "counter"), [])
    insert_rows(SpoolCursor, ("segment", "counter"), [(f"s{number}", number) for number in range(20_000)])
    assert list(SpoolCursor.objects.order_by("counter").values_list("segment", flat=True)) == [f"s{number}" for number in range(20_000)]
    with pytest.raises(IntegrityError), transaction.atomic():
        insert_rows(SpoolCursor, ("segment", "counter"), [("new", 1), ("s5", 1)])
    assert SpoolCursor.objects.count() == 20_000
    assert find_texts(SpoolCursor, "segment", ["s1", "s19999", "none", "it's", *["no"] * 20_000]) == {"s1", "s19999"}
    assert find_texts(SpoolCursor, "segment", []) == set()


@pytest.mark.django_db
def test_sqlite() -> None:
    assert connection.vendor == "sqlite"
    check_rows()


def test_postgresql(on_postgresql: Site) -> None:
    on_postgresql.run("from guiju.records.tests.test_bulk import check_rows; check_rows()")
