"""The database itself refuses to change what is on record and to number a record out of turn, SQLite and PostgreSQL alike.

Guarded: the triggers of migration 0002; without one of them its statement succeeds. The head's row lock in `write_entries`.
"""

import subprocess
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction

from guiju.core.ids import id_prefix, new_id
from guiju.records.models import DayMark, next_index
from guiju.records.recorder.months import Month, month_of, months_ahead
from guiju.records.tests.site import Site, make_postgresql_site, make_site

_ROW = '("index", id, at, kind, service, actor, subject, content_hash, body, leaf)'
STATEMENTS = (
    "UPDATE records_record SET kind = 'x' WHERE \"index\" = 0",
    'DELETE FROM records_record WHERE "index" = 0',
    "UPDATE records_recordcontent SET sealed = sealed",
    "DELETE FROM records_recordcontent",
    "UPDATE records_record SET body = body",
    # Numbers: taken already, one left out, none; an id that is taken.
    f"INSERT INTO records_record {_ROW} SELECT 0, 'B', at, kind, '', '', '', '', body, leaf FROM records_record WHERE \"index\" = 0",
    f"INSERT INTO records_record {_ROW} SELECT 3, 'B', at, kind, '', '', '', '', body, leaf FROM records_record WHERE \"index\" = 0",
    f"INSERT INTO records_record {_ROW} SELECT -1, 'B', at, kind, '', '', '', '', body, leaf FROM records_record WHERE \"index\" = 0",
    f"INSERT INTO records_record {_ROW} SELECT 2, id, at, kind, '', '', '', '', body, leaf FROM records_record WHERE \"index\" = 0",
    "INSERT INTO records_recordcontent (record_id, key_id, sealed) SELECT record_id, key_id, sealed FROM records_recordcontent",
    "UPDATE records_head SET next_index = 1",
    "UPDATE records_head SET id = 2",
    "DELETE FROM records_head",
    "UPDATE records_daymark SET day = '2020-01-01'",
    "DELETE FROM records_daymark",
    "INSERT INTO records_daymark (day, next_index) VALUES ('2020-01-01', 2)",
)
ON_SQLITE = tuple(each.replace("INSERT INTO", "INSERT OR REPLACE INTO") for each in STATEMENTS if each.startswith("INSERT"))
ON_POSTGRESQL = (
    "TRUNCATE records_record CASCADE",
    "TRUNCATE records_recordcontent",
    "TRUNCATE records_head",
    "UPDATE {part} SET kind = 'x'",
    "DELETE FROM {part}",
    "TRUNCATE {part}",
    f"INSERT INTO {{part}} {_ROW} SELECT 2, id || 'x', at, kind, '', '', '', '', body, leaf FROM records_record WHERE \"index\" = 0",
    # One statement that gives a number twice, in two partitions; one that leaves a number out for it.
    (
        f"INSERT INTO records_record {_ROW} SELECT n, chr(64 + k), at, kind, '', '', '', '', body, leaf FROM records_record, "
        '(VALUES (2, 1), (2, 2), (4, 3)) v (n, k) WHERE "index" = 0'
    ),
    (
        f"INSERT INTO records_record {_ROW} SELECT 2, chr(64 + n), at, kind, '', '', '', '', body, leaf FROM records_record, "
        'generate_series(1, 2) n WHERE "index" = 0'
    ),
)
WRITE = """
from django.db import transaction
from guiju.core.master_keys import load_master_keys
from guiju.records.recorder.ingest import write_entries
from guiju.records.tests.site import entry
with transaction.atomic():
    write_entries([entry(content=b"x", model="a\\0b", large=2**63), entry(subject="", content=b"y")], load_master_keys(settings.DATA_FOLDER.keys))
"""
TRY = """
from datetime import datetime
from django.db import DatabaseError, connection, transaction
from guiju.core.clock import BEIJING
from guiju.records.recorder.months import month_of
from guiju.records.tests.test_database import ON_POSTGRESQL, STATEMENTS
part = "records_record_" + month_of(datetime.now(BEIJING)).name
with connection.cursor() as cursor:
    cursor.execute(f"SELECT count(*) FROM {part}")
    assert cursor.fetchone() == (2,)
done = []
for statement in (*STATEMENTS, *ON_POSTGRESQL):
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement.format(part=part))
        done.append(statement)
    except DatabaseError as problem:
        assert "append-only" in str(problem) or "duplicate key" in str(problem), problem
assert not done, done
with connection.cursor() as cursor:
    cursor.execute("UPDATE records_subjectkey SET destroyed_at = now()")
    cursor.execute("DELETE FROM records_recordcontent")
    assert cursor.rowcount == 2
"""
# Two of these run at once, and both believe that they hold the lease: only the database is left to keep them apart.
BOTH = """
from django.db import DatabaseError, transaction
from guiju.core.master_keys import load_master_keys
from guiju.records.recorder.ingest import write_entries
from guiju.records.tests.site import entry
key = load_master_keys(settings.DATA_FOLDER.keys)
sys.stdin.readline()
for turn in range(60):
    try:
        with transaction.atomic():
            write_entries([entry(content=b"x", turn=turn) for _ in range(7)], key)
    except DatabaseError as problem:
        print(problem)
"""


@pytest.mark.django_db
@pytest.mark.parametrize("statement", [*STATEMENTS, *ON_SQLITE])
def test_sqlite_refuses(statement: str) -> None:
    with connection.cursor() as cursor:
        for index in range(2):
            cursor.execute(
                f"INSERT INTO records_record {_ROW} VALUES ({index}, 'A{index}', '2026-01-01', 'a.b.c', '', '', '', '', X'00', X'00')"
            )
        cursor.execute("UPDATE records_head SET next_index = 2")
        cursor.execute("INSERT INTO records_subjectkey (id, subject, master, created_at) VALUES (1, 'u', 'm', '2026-01-01')")
        cursor.execute("INSERT INTO records_recordcontent (record_id, key_id, sealed) VALUES ('A0', 1, X'00')")
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            cursor.execute(statement)
        assert next_index() == 2
        assert list(DayMark.objects.values_list("day", "next_index")) == [(datetime.now(UTC).date(), 0)]
        cursor.execute("UPDATE records_subjectkey SET destroyed_at = '2026-01-02'")
        cursor.execute("DELETE FROM records_recordcontent")  # nobody can read it any more


@pytest.mark.django_db
def test_migrations_match_the_models() -> None:
    call_command("makemigrations", "records", check=True, dry_run=True, verbosity=0)


@pytest.fixture
def on_postgresql(tmp_path: Path, postgresql_url: str) -> Site:
    return make_postgresql_site(tmp_path / "data", postgresql_url, tmp_path.name)


@pytest.fixture(params=["sqlite", "postgresql"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Site:
    if request.param == "sqlite":
        return make_site(tmp_path / "data")
    url: str = request.getfixturevalue("postgresql_url")
    return make_postgresql_site(tmp_path / "data", url, "twice")


def test_postgresql_refuses_and_holds_hostile_text(on_postgresql: Site) -> None:
    on_postgresql.run(WRITE)
    on_postgresql.run(TRY)
    found = on_postgresql.look()
    assert [record[3] for record in found["records"]] == [{"model": "a\0b", "large": 2**63}, {}]


def test_two_writers_that_both_believe_they_hold_the_lease_share_no_number(site: Site) -> None:
    writers = [site.start(BOTH, stdin=subprocess.PIPE) for _ in range(2)]
    for writer in writers:  # both are ready when the first begins
        assert writer.stdin is not None
    told = [writer.communicate(b"\n", timeout=120)[0] for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0]
    found = site.look()["records"]
    turns = 120 - sum(out.count(b"\n") for out in told)
    assert turns > 60
    assert [index for index, *_ in found] == list(range(7 * turns))
    assert len({identity for _, identity, *_ in found}) == 7 * turns


def test_a_month_holds_the_ids_of_its_days() -> None:
    ids = [new_id() for _ in range(3)]
    month = month_of(datetime.now(UTC))
    assert all(month.first_id <= each < month.next_id for each in ids)
    ahead = list(months_ahead(datetime(2026, 11, 30, 16, tzinfo=UTC)))  # in Beijing December has begun
    assert [each.name for each in ahead] == ["2026_12", "2027_01", "2027_02", "2027_03"]
    assert all(one.next_id == other.first_id for one, other in pairwise(ahead))
    assert Month(ahead[0].begins_on).first_id == id_prefix(1_796_054_400_000)
