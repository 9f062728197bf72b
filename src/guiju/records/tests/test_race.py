"""People and processes at the same moment, on real databases: decisions, holds, erasures, rotations, recorders, kills.

Guarded lines: `keep_recorder_out()` in `_destroy`'s transaction, in `set_hold` and in `_begin` of the rotation; the
conditional updates of requests.
"""

import json
from pathlib import Path

import pytest

from guiju.records.tests.site import Site, make_postgresql_site, make_site

_PEOPLE = """
import json, threading
import msgspec
from django.conf import settings as live
from django.db import connection
from guiju.core.errors import GuijuError
from guiju.core.settings import Records
live.SITE = msgspec.structs.replace(live.SITE, records=Records(opening_people=2, erasure_people=1))
from guiju.core.master_keys import load_master_keys
from guiju.records.entry import encode_entry
from guiju.records.subjects.erasure import erase_subject
from guiju.records.keeping.hold import Selection, set_hold
from guiju.records.recorder.ingest import write_entries
from guiju.records.models import Erasure, Hold, Record, RecordContent, Request
from guiju.records.access.opening import list_opened, open_content
from guiju.records.recorder.recording import Recorder
from guiju.records.access.requests import approve, list_waiting
from guiju.records.tests.site import entry
from django.db import transaction
folder = live.DATA_FOLDER
def at_once(*works):
    results, barrier = [], threading.Barrier(len(works))
    def one(work):
        try:
            barrier.wait()
            results.append(work())
        except GuijuError as problem:
            results.append(problem.code.code)
        finally:
            connection.close()
    threads = [threading.Thread(target=one, args=(work,)) for work in works]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert len(results) == len(works), "a thread ended in another way"
    return results
def write(*entries):
    with transaction.atomic():
        write_entries(entries, load_master_keys(folder.keys))
"""
_DECIDE = """
write(entry(content=b"secret"))
record = Record.objects.get()
for turn in range(5):
    try:
        open_content(record.id, actor="asker", reason="look")
    except GuijuError:
        pass
    id = list_waiting().get().id
    decided = at_once(*[lambda number=number: approve(id, actor=f"person:{number}").decided_by for number in range(6)])
    assert len([each for each in decided if each != "REQUEST-SETTLED"]) == 1, decided
    opened = at_once(*[lambda: open_content(record.id, actor="asker", reason="look") for _ in range(4)])
    assert opened.count(b"secret") == 1 and opened.count("APPROVAL-NEEDED") == 3, opened
    approve(list_waiting().get().id, actor="person:x") and open_content(record.id, actor="asker", reason="look")
"""
_HOLD = """
both = 0
for turn in range(12):
    subject = f"u-{turn}"
    write(entry(subject=subject, content=b"secret"))
    erased, held = [], []
    at_once(
        lambda: erased.append(erase_subject(subject, actor="a", reason="asked for")),
        lambda: held.append(set_hold(Selection(subject=subject), actor="b", reason="case", reference="1")),
    )
    if erased:
        assert erased[0].at < held[0].set_at, "erased under a hold"
    else:
        assert [each.content for each in list_opened(subject)] == [b"secret"]
"""
_WRITE = """
stop = threading.Event()
recorder = Recorder(folder, "guiju.local/ledger")
from guiju.records.outbox import append
def work():
    while not stop.is_set():
        for _ in range(20):
            append(kind="web.session.signed_in", actor="a", subject="u-1", content=b"secret")
        recorder.step()
        stop.wait(0.01)  # SQLite queues nobody: who always writes can keep the other from ever getting its turn
    while recorder.step():
        pass
    return "written"
def erase():
    for _ in range(8):
        while not RecordContent.objects.filter(key__subject="u-1", key__destroyed_at=None).exists():
            stop.wait(0.001)
        erase_subject("u-1", actor="b", reason="asked for")
    stop.set()
    return "erased"
done = at_once(work, erase)
assert sorted(done) == ["erased", "written"], done
assert Erasure.objects.count() == 8
assert not RecordContent.objects.filter(key__destroyed_at__isnull=False).exists(), "content hangs on a destroyed key"
states = [each.state for each in list_opened("u-1") if each.record.kind == "web.session.signed_in"]
assert set(states) <= {"gone", "opened"}, states
"""
# One process with Django ready forks the rotations, so that a kill costs no start; a recorder writes all the while.
_ROTATE = """
import random, signal, time
random.seed(5)
write(*[entry(subject=f"u-{number}", content=b"secret") for number in range(300)])
from guiju.records.keys import master_key
from guiju.records.models import MasterKeyRotation, SubjectKey
master_key.BATCH_KEYS = 20
connection.close()
def start(work):
    process = os.fork()
    if not process:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return process
def record():
    number = 0
    while True:
        number += 1
        write(*[entry(subject=f"u-{number % 400}", content=b"secret") for _ in range(3)])
recorder = start(record)
kills = 0
for turn in range(20):
    rotation = start(lambda: master_key.rotate_master_key("person:officer"))
    time.sleep(random.random() * 0.12)
    os.kill(rotation, signal.SIGKILL)
    kills += os.waitpid(rotation, 0)[1] == signal.SIGKILL
os.kill(recorder, signal.SIGKILL)
os.waitpid(recorder, 0)
rotated = master_key.rotate_master_key("person:officer")
assert kills > 5, kills
assert MasterKeyRotation.objects.filter(finished_at=None).count() == 0
assert set(SubjectKey.objects.values_list("master", flat=True)) == {rotated.id}
for path in folder.keys.glob("master-*.key"):
    path.unlink()
for number in range(400):
    assert {each.state for each in list_opened(f"u-{number}")} <= {"opened"}, number
runner = Recorder(folder, "guiju.local/ledger")
runner.start()
while runner.step():
    pass
"""

# A batch that began before the rotation and is committed after its beginning: the rotation waits for it, and wraps its key too.
_WAIT = """
import time
from guiju.records import lease
from guiju.records.keys.master_key import rotate_master_key
from guiju.records.models import SubjectKey
write(entry(content=b"secret"))
holder = lease.new_holder()
done = []
def rotate():
    done.append(rotate_master_key("person:officer"))
    connection.close()
thread = threading.Thread(target=rotate)
with transaction.atomic():
    assert lease.take(holder)
    write(entry(subject="u-new", content=b"secret"))
    thread.start()
    while thread.is_alive():
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            if cursor.fetchone()[0]:
                break
        time.sleep(0.01)
thread.join()
assert set(SubjectKey.objects.values_list("master", flat=True)) == {done[0].id}
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Site:
    if request.param == "sqlite":
        return make_site(tmp_path / "data")
    url: str = request.getfixturevalue("postgresql_url")
    name = f"race_{tmp_path.name[-20:]}".lower().replace("-", "_")
    return make_postgresql_site(tmp_path / "data", url, name)


def test_of_many_who_decide_and_open_at_once_one_does(site: Site) -> None:
    site.run(_PEOPLE + _DECIDE)


def test_no_erasure_is_committed_after_a_hold(site: Site) -> None:
    site.run(_PEOPLE + _HOLD)


def test_a_recorder_that_writes_during_an_erasure_seals_nothing_under_the_destroyed_key(site: Site) -> None:
    site.run(_PEOPLE + _WRITE)
    assert [step for step in site.look()["steps"][:4] if step[0] != "holds"] == []


@pytest.mark.parametrize("site", ["postgresql"], indirect=True)
def test_a_rotation_waits_for_the_batch_that_is_being_written(site: Site) -> None:
    site.run(_PEOPLE + _WAIT)


@pytest.mark.slow
def test_a_rotation_killed_at_random_instants_beside_a_recorder_loses_no_key(site: Site) -> None:
    site.run(_PEOPLE + _ROTATE)
    found = site.look()
    assert [step for step in found["steps"] if step[0] != "holds"] == []
    assert json.dumps(found["records"][-1][2]) == '"records.master_key.rotated"'
