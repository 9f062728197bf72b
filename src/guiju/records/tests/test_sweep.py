"""Sweeps in real processes on both databases: killed at any instant nothing is unexplained, and whole months go.

Guarded: the order before the first deletion in `sweep.order`; `records_drop_month`, which looks at each row again.
"""

import random
import signal
import time
from pathlib import Path

import pytest

from guiju.records.tests.site import RECORD, Site, make_postgresql_site, make_site

LOG, CASE = "gateway.answer.delivered", "gateway.answer.stopped"

# 3,000 records of which 2,400 are past their days: the marks are set back with the guard off, as only a test does.
_FILL = """
from datetime import datetime, timedelta, UTC
from django.db import connection, transaction
from guiju.core.master_keys import load_master_keys
from guiju.records.recorder.ingest import write_entries
from guiju.records.tests.site import entry
kinds = ["gateway.answer.delivered"] * 4 + ["gateway.answer.stopped"]
keys = load_master_keys(settings.DATA_FOLDER.keys)
for _ in range(6):
    with transaction.atomic():
        write_entries([entry(kinds[at % 5], content=b"x" if at % 3 == 0 else b"") for at in range(500)], keys)
off, on = ("DROP TRIGGER records_daymark_insert", "SELECT 1")
if connection.vendor == "postgresql":
    off, on = ("ALTER TABLE records_daymark DISABLE TRIGGER USER", "ALTER TABLE records_daymark ENABLE TRIGGER USER")
with connection.cursor() as cursor:
    cursor.execute(off)
    for ago in range(226, 0, -25):
        cursor.execute("INSERT INTO records_daymark (day, next_index) VALUES (%s, 3000)", [datetime.now(UTC).date() - timedelta(days=ago)])
    cursor.execute(on)
"""
_SWEEP = """
from guiju.core.settings import Retention
from guiju.records.keeping.sweep import sweep
import guiju.records.keeping.sweep
guiju.records.keeping.sweep.ROWS_AT_ONCE = 20
print("at work", flush=True)
done = sweep(Retention(rows_per_s=int(os.environ.get("ROWS", "1000000"))))
print(done.contents, done.records, done.waiting)
"""


def _database(request: pytest.FixtureRequest, tmp_path: Path, name: str) -> Site:
    if request.param == "sqlite":
        return make_site(tmp_path / "data")
    url: str = request.getfixturevalue("postgresql_url")
    return make_postgresql_site(tmp_path / "data", url, name)


@pytest.fixture(params=["sqlite", "postgresql"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Site:
    return _database(request, tmp_path, "swept")


@pytest.mark.slow
def test_a_sweep_killed_at_any_instant_leaves_nothing_unexplained(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.run(_FILL)
    monkeypatch.setenv("ROWS", "4000")
    chance = random.Random(3)
    recorder = site.start(RECORD)
    try:
        for _ in range(6):
            sweeper = site.start(_SWEEP)
            assert sweeper.stdout is not None
            assert sweeper.stdout.readline() == b"at work\n"
            time.sleep(chance.random() * 0.8)
            sweeper.kill()
            sweeper.communicate()
            assert [step for step in site.look()["steps"] if step[0] == "fails"] == []
        monkeypatch.setenv("ROWS", "1000000")
        for _ in range(2):
            last = site.run(_SWEEP).split()[-3:]
        assert last == [b"0", b"0", b"0"]
    finally:
        recorder.send_signal(signal.SIGTERM)
        recorder.communicate(timeout=60)
    found = site.look()
    assert [step for step in found["steps"] if step[0] != "holds"] == []
    kinds = [kind for _, _, kind, _ in found["records"]]
    assert LOG not in kinds
    assert kinds.count(CASE) == 600


# Two months of long ago, full of what may go but for a few records; in the later month one record more that came late.
_LONG_AGO = """
from datetime import datetime, timedelta, UTC
from django.db import connection, transaction
from guiju.core.ids import id_prefix
from guiju.core.master_keys import load_master_keys
from guiju.core.settings import Retention
from guiju.records.recorder import months
from guiju.records.keeping import sweep
from guiju.records.recorder.ingest import write_entries
from guiju.records.recorder.ledger import Ledger
from guiju.records.models import Record, RecordContent, Removal
from guiju.records.recorder.recording import Recorder
from guiju.records.tests.site import entry
import msgspec, random
folder = settings.DATA_FOLDER
keys = load_master_keys(folder.keys)
then = datetime.now(UTC) - timedelta(days=400)
before = then - timedelta(days=35)
made = months.make_months(before)
assert len(made) == 4, made
def old(kind, content=b"", at=then):
    made = entry(kind, content=content)
    at_ms = int(at.timestamp() * 1000) + random.randrange(1000)
    return msgspec.structs.replace(made, id=id_prefix(at_ms) + made.id[10:], at_us=at_ms * 1000)
with transaction.atomic():
    write_entries([old("gateway.answer.delivered", b"x", before) for _ in range(150)] + [old("gateway.answer.stopped", b"", before)], keys)
with transaction.atomic():
    write_entries([old("gateway.answer.delivered", b"x") for _ in range(250)] + [old("gateway.answer.stopped") for _ in range(8)], keys)
def part(name):
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_class WHERE relname = %s", ["records_record_" + name])
        return cursor.fetchone()[0]
def rest():
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM records_record_rest")
        return cursor.fetchone()[0]
with connection.cursor() as cursor:
    cursor.execute("ALTER TABLE records_daymark DISABLE TRIGGER USER")
    for ago in range(401, 0, -25):
        cursor.execute("INSERT INTO records_daymark (day, next_index) VALUES (%s, 409)", [datetime.now(UTC).date() - timedelta(days=ago)])
    cursor.execute("ALTER TABLE records_daymark ENABLE TRIGGER USER")
month = months.month_of(then).name
recorder = Recorder(folder, settings.SITE.ledger.origin)
recorder.step()
def drain():
    recorder._outbox_looked_at = 0.0
    while recorder.step():
        pass
kept = Retention(rows_per_s=1_000_000, log_days=300)
sweep.sweep(kept, wait_s=0)
drain()
half = sweep.sweep(kept, wait_s=0)  # content goes, the removal of the records is ordered
assert half.contents == 400 and part(month) == 1, half
empty = months.drop_months(sweep._SHORT_LIVED)
assert part(month) == part(months.month_of(before).name) == 1 and empty, "nothing is on record that lets them go"
drain()
with transaction.atomic():
    write_entries([old("gateway.answer.delivered")], keys)  # it is younger than it says: it stays
drain()
last = sweep.sweep(kept, wait_s=0)
assert last.records == 400, last
assert last.months == [months.month_of(before).name], last
assert rest() == 1 and part(month) == 1, last  # for the late one
assert months.drop_months(["services.key.created"]) == [month]
assert part(month) == 0 and rest() == 10, rest()
assert Removal.objects.filter(finished_at=None).count() == 0
assert sorted(set(Record.objects.filter(index__lt=409).values_list("kind", flat=True))) == ["gateway.answer.stopped"]
with transaction.atomic():
    write_entries([old("gateway.answer.stopped", b"late")], keys)  # its month is gone: it lies in the rest
drain()
assert rest() == 11
"""


def test_a_month_of_which_little_stays_goes_with_its_partition(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    request.param = "postgresql"
    site = _database(request, tmp_path, "months")
    site.run(_LONG_AGO)
    assert [step for step in site.look()["steps"] if step[0] == "fails"] == []
