"""The master key is rotated: killed anywhere, beside a recorder, and with the former key file gone afterwards.

Guarded lines: `AND destroyed_at IS NULL` in `_wrap_batch`; `newest or` in `ingest.wrapping_master`; the order in
`MasterKeys._read`; `write_new` before `replace` in `put_next_in_force`.
"""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from django.db import connection

from guiju.core import master_keys
from guiju.core.errors import GuijuError
from guiju.core.keys import load_master_key, load_site_public_key
from guiju.core.layout import DataFolder
from guiju.core.master_keys import MASTER_KEY_UNKNOWN, load_master_keys, make_next, master_key_id, put_next_in_force
from guiju.records import flow
from guiju.records.keys import master_key, sealing
from guiju.records.keys.master_key import rotate_master_key
from guiju.records.models import MasterKeyRotation, OutboxEntry, Record, SubjectKey
from guiju.records.recorder.ingest import write_entries
from guiju.records.recorder.recording import Recorder
from guiju.records.tests.conftest import ORIGIN
from guiju.records.tests.site import entry
from guiju.records.verify import verify_ledger

pytestmark = pytest.mark.django_db
SUBJECTS = 25


class Killed(BaseException):
    """Stands for SIGKILL: nothing may catch it and go on."""


@pytest.fixture
def filled(data: DataFolder, monkeypatch: pytest.MonkeyPatch) -> DataFolder:
    monkeypatch.setattr(master_key, "BATCH_KEYS", 10)
    write_entries([entry(subject=f"u-{number}", content=b"secret %d" % number) for number in range(SUBJECTS)], load_master_keys(data.keys))
    Recorder(data, ORIGIN).start()
    return data


def opened(record: Record) -> bytes:
    return flow.open_content(record.id, actor="person:officer", reason="test of the rotation")


def assert_whole(data: DataFolder) -> None:
    for record in Record.objects.exclude(content_hash="").order_by("index"):
        assert opened(record).startswith(b"secret")
    Recorder(data, ORIGIN).start()
    report = verify_ledger(data, ORIGIN, load_site_public_key(data.keys))
    assert [step for step in report.steps[:4] if step.outcome != "holds"] == []


def sealed_bytes() -> list[bytes]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT sealed FROM records_recordcontent ORDER BY record_id")
        return [bytes(row[0]) for row in cursor.fetchall()]


def test_subject_keys_are_wrapped_anew_and_no_content_is_written(filled: DataFolder) -> None:
    before, contents = load_master_key(filled.keys), sealed_bytes()
    told: list[tuple[int, int]] = []
    rotated = rotate_master_key("person:officer", lambda done, whole: told.append((done, whole)))
    assert rotated.wrapped == SUBJECTS
    assert (rotated.before, rotated.id) == (master_key_id(before), master_key_id(load_master_key(filled.keys)))
    assert load_master_key(filled.keys) != before
    assert sealed_bytes() == contents
    assert set(SubjectKey.objects.values_list("master", flat=True)) == {rotated.id}
    assert told[0] == (0, SUBJECTS)
    assert told[-1] == (SUBJECTS, SUBJECTS)
    assert_whole(filled)


def test_the_former_key_file_may_be_lost_afterwards(filled: DataFolder) -> None:
    rotated = rotate_master_key("person:officer")
    former = filled.keys / master_keys.former_name(rotated.before)
    assert former.stat().st_mode & 0o777 == 0o600
    former.unlink()
    assert not (filled.keys / master_keys.NEXT).exists()
    assert_whole(filled)


def test_a_second_rotation_follows_the_first(filled: DataFolder) -> None:
    first = rotate_master_key("person:officer")
    second = rotate_master_key("person:officer")
    assert second.before == first.id
    assert second.id != first.id
    assert_whole(filled)


def test_rotation_leaves_two_records(filled: DataFolder) -> None:
    rotated = rotate_master_key("person:officer")
    recorder = Recorder(filled, ORIGIN)
    while recorder.step():
        pass
    begun, ended = Record.objects.filter(kind__startswith="records.master_key.").order_by("index")
    assert (begun.actor, begun.metadata) == ("person:officer", {"master_key": rotated.id, "before": rotated.before})
    assert (ended.kind, ended.metadata) == ("records.master_key.rotated", {"master_key": rotated.id})


@pytest.mark.parametrize("name", ["_begin", "_wrap_batch", "put_next_in_force", "forget_old_bytes"])
@pytest.mark.parametrize("after", [False, True])
def test_killed_between_any_two_steps_the_next_run_completes_it(
    filled: DataFolder, monkeypatch: pytest.MonkeyPatch, name: str, after: bool
) -> None:
    real: Callable[..., object] = getattr(master_key, name)

    def kill(*arguments: object) -> object:
        if after:
            real(*arguments)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(master_key, name, kill)
        with pytest.raises(Killed):
            rotate_master_key("person:officer")
    assert_whole(filled)  # meanwhile everything opens
    rotate_master_key("person:officer")
    assert MasterKeyRotation.objects.filter(finished_at=None).count() == 0
    assert MasterKeyRotation.objects.count() == 1
    assert set(SubjectKey.objects.values_list("master", flat=True)) == {master_key_id(load_master_key(filled.keys))}
    for path in filled.keys.glob("master-*.key"):
        path.unlink()
    assert_whole(filled)


@pytest.mark.parametrize("step", range(3))
def test_killed_while_the_key_files_change_places(data: DataFolder, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    former = load_master_key(data.keys)
    following = os.urandom(32)
    id = make_next(data.keys, following)

    def kill(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        if step == 2:
            patch.setattr(Path, "unlink", kill)
        else:
            patch.setattr(master_keys, ("write_new", "replace")[step], kill)
        with pytest.raises(Killed):
            put_next_in_force(data.keys, id)
    keys = load_master_keys(data.keys)
    assert (keys.get(id), keys.get(master_key_id(former))) == (following, former)
    put_next_in_force(data.keys, id)
    assert load_master_key(data.keys) == following
    assert not (data.keys / master_keys.NEXT).exists()
    assert load_master_keys(data.keys).get(master_key_id(former)) == former


def test_a_recorder_that_began_before_the_rotation_writes_on(filled: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    stale = load_master_keys(filled.keys)  # as a running recorder holds them
    real = master_key._wrap_batch

    def wrap_and_write(*arguments: object) -> int:
        done = real(*arguments)  # type: ignore[arg-type]
        count = Record.objects.count()
        if count < SUBJECTS + 8:  # known subjects, already wrapped anew or not yet, and new ones
            write_entries([entry(subject=f"u-{number}", content=b"secret") for number in (0, 24, count + 100)], stale)
        return done

    monkeypatch.setattr(master_key, "_wrap_batch", wrap_and_write)
    rotated = rotate_master_key("person:officer")
    assert set(SubjectKey.objects.values_list("master", flat=True)) == {rotated.id}
    write_entries([entry(subject="u-later", content=b"secret")], stale)
    (filled.keys / master_keys.former_name(rotated.before)).unlink()
    assert_whole(filled)


def test_a_key_destroyed_during_the_rotation_stays_destroyed(filled: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    real = sealing.wrap

    def destroy_then_wrap(key: bytes, master: bytes, subject: str) -> bytes:
        SubjectKey.objects.filter(subject=subject, destroyed_at=None).update(wrapped=None, destroyed_at="2026-01-01T00:00:00Z")
        return real(key, master, subject)

    monkeypatch.setattr(master_key, "wrap", destroy_then_wrap)
    rotate_master_key("person:officer")
    assert SubjectKey.objects.exclude(wrapped=None).count() == 0


def test_a_key_that_does_not_unwrap_stops_the_rotation_and_both_keys_stay(filled: DataFolder) -> None:
    spoilt = SubjectKey.objects.get(subject="u-24")
    SubjectKey.objects.filter(pk=spoilt.pk).update(wrapped=bytes(60))
    with pytest.raises(GuijuError):
        rotate_master_key("person:officer")
    assert OutboxEntry.objects.count() == 1  # begun, not ended
    SubjectKey.objects.filter(pk=spoilt.pk).update(wrapped=bytes(spoilt.wrapped or b""))
    rotate_master_key("person:officer")
    assert_whole(filled)


def test_a_missing_master_key_is_named(filled: DataFolder) -> None:
    rotated = rotate_master_key("person:officer")
    (filled.keys / "master.key").write_bytes((filled.keys / master_keys.former_name(rotated.before)).read_bytes())
    with pytest.raises(GuijuError) as told:
        opened(Record.objects.exclude(content_hash="")[0])
    assert told.value.code is MASTER_KEY_UNKNOWN
    assert rotated.id in told.value.text("zh")
    assert rotated.id in told.value.text("en")
