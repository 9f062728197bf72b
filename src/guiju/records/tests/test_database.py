"""The database itself refuses to change what is on record, SQLite and PostgreSQL alike.

Guarded: the triggers of migration 0002; without one of them its statement succeeds.
"""

from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction

from guiju.records.tests.site import Site, make_site

STATEMENTS = (
    "UPDATE records_record SET kind = 'x' WHERE \"index\" = 0",
    'DELETE FROM records_record WHERE "index" = 0',
    "UPDATE records_recordcontent SET sealed = sealed WHERE record_id = 0",
    "UPDATE records_record SET body = body",
)
WRITE = """
from django.db import transaction
from guiju.core.master_keys import load_master_keys
from guiju.records.ingest import write_entries
from guiju.records.tests.site import entry
with transaction.atomic():
    write_entries([entry(content=b"x", model="a\\0b", large=2**63), entry(subject="", content=b"y")], load_master_keys(settings.DATA_FOLDER.keys))
"""
TRY = """
from django.db import DatabaseError, connection, transaction
from guiju.records.tests.test_database import STATEMENTS
done = []
for statement in (*STATEMENTS, "TRUNCATE records_record CASCADE"):
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
        done.append(statement)
    except DatabaseError as problem:
        assert "append-only" in str(problem), problem
assert not done, done
with connection.cursor() as cursor:
    cursor.execute("DELETE FROM records_recordcontent WHERE record_id = 0")
    assert cursor.rowcount == 1
"""


@pytest.mark.django_db
@pytest.mark.parametrize("statement", STATEMENTS)
def test_sqlite_refuses(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            'INSERT INTO records_record ("index", id, at, kind, service, actor, subject, content_hash, body, leaf) '
            "VALUES (0, 'a', '2026-01-01', 'a.b.c', '', '', '', '', X'00', X'00')"
        )
        cursor.execute("INSERT INTO records_subjectkey (id, subject, master, created_at) VALUES (1, 'u', 'm', '2026-01-01')")
        cursor.execute("INSERT INTO records_recordcontent (record_id, key_id, sealed) VALUES (0, 1, X'00')")
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            cursor.execute(statement)
        cursor.execute("DELETE FROM records_recordcontent")  # erasure and retention may remove content


@pytest.mark.django_db
def test_migrations_match_the_models() -> None:
    call_command("makemigrations", "records", check=True, dry_run=True, verbosity=0)


@pytest.fixture
def on_postgresql(tmp_path: Path, postgresql_url: str) -> Site:
    return make_site(tmp_path / "data", f"postgres {postgresql_url.partition('host=')[2]}")


def test_postgresql_refuses_and_holds_hostile_text(on_postgresql: Site) -> None:
    on_postgresql.run(WRITE)
    on_postgresql.run(TRY)
    found = on_postgresql.look()
    assert [record[3] for record in found["records"]] == [{"model": "a\0b", "large": 2**63}, {}]
