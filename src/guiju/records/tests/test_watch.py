"""The watch finds what is missing, says it once, and stays silent about a site at which nothing is.

Guarded: each `yield` in watch.py; `closed_at=None` in `close_gap`; `services` in the workers' heartbeats (gateway/app.py).
"""

import asyncio
import fcntl
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.db import connection

from guiju.core.errors import GuijuError
from guiju.core.ids import id_prefix, made_at_ms, new_id
from guiju.core.keys import load_recorder_public_key
from guiju.core.layout import DataFolder
from guiju.core.settings import Settings
from guiju.records import heart, lease
from guiju.records.entry import Entry, encode_entry
from guiju.records.heart import RecorderHeart, worker_beat
from guiju.records.keeping import watch
from guiju.records.keeping.gaps import GAP_REASON, GAP_UNKNOWN, close_gap, open_gaps
from guiju.records.models import Gap, Record, Watch
from guiju.records.recorder.recording import Recorder
from guiju.records.spool.segment import list_segments
from guiju.records.spool.writer import SpoolWriter
from guiju.records.tests.conftest import ORIGIN
from guiju.records.tests.site import entry

pytestmark = pytest.mark.django_db
BEAT_MS = Settings().limits.heartbeat_ms
SILENCE = timedelta(minutes=5, seconds=1)


@pytest.fixture
def recorder(data: DataFolder) -> Recorder:
    return Recorder(data, ORIGIN)


def record(data: DataFolder, recorder: Recorder, *entries: Entry, segment_bytes: int = 2**26) -> None:
    spool(data, *entries, segment_bytes=segment_bytes)
    drain(recorder)


def spool(data: DataFolder, *entries: Entry, segment_bytes: int = 2**26) -> None:
    async def write() -> None:
        public = load_recorder_public_key(data.keys).public_bytes_raw()
        writer = SpoolWriter(data.spool, public, worker="w", segment_bytes=segment_bytes)
        for each in entries:
            await writer.append(encode_entry(each))
        await writer.close()

    asyncio.run(write())


def drain(recorder: Recorder) -> None:
    recorder._outbox_looked_at = 0.0
    while recorder.step():
        pass
    lease.release(recorder._holder)


def look(now: datetime | None = None) -> list[str]:
    return [gap.cause for gap in watch.look(now or datetime.now(UTC), BEAT_MS)]


def delete(*numbers: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER IF EXISTS records_record_delete")
        cursor.execute(f'DELETE FROM records_record WHERE "index" IN ({", ".join(map(str, numbers))})')


def later(seconds: int = 0, **fields: int) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds, **fields)


# ── numbers ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_nothing_is_missing_at_a_whole_site(data: DataFolder, recorder: Recorder) -> None:
    assert look() == []
    record(data, recorder, *[entry(number=at) for at in range(50)])
    assert look() == look(later(hours=2)) == []
    assert Watch.objects.get().next_index == 50
    assert not Gap.objects.exists()


def test_rows_removed_with_the_guard_off_are_found_once_new_or_old(data: DataFolder, recorder: Recorder) -> None:
    record(data, recorder, *[entry(number=at) for at in range(30)])
    delete(11, 12, 20)
    assert look() == ["numbers", "numbers"]
    drain(recorder)
    told = Record.objects.filter(kind="records.gap.found").order_by("index")
    assert told[0].metadata | {"since": "", "until": ""} == {
        "cause": "numbers", "key": "numbers:11-12", "detail": "records 11 to 12 are missing, and no removal names them",
        "first": 11, "last": 12, "count": 2, "since": "", "until": "",
    }  # fmt: skip
    assert datetime.fromisoformat(told[0].metadata["since"]) == Record.objects.get(index=10).at
    assert look(later(hours=2)) == []  # not said again
    delete(3)
    assert look(later(hours=2, minutes=1)) == []  # old numbers are counted once an hour
    assert look(later(hours=4)) == ["numbers"]
    assert Gap.objects.get(key="numbers:3-3").record


def test_the_newest_records_removed_are_found_too(data: DataFolder, recorder: Recorder) -> None:
    record(data, recorder, *[entry(number=at) for at in range(10)])
    delete(8, 9)
    assert look() == ["numbers"]
    assert open_gaps()[0].key == "numbers:8-9"


def test_a_ledger_beyond_the_database_and_one_that_stays_behind(data: DataFolder, recorder: Recorder) -> None:
    record(data, recorder, *[entry(number=at) for at in range(10)])
    note = (data.ledger / "checkpoint").read_bytes()
    record(data, recorder, *[entry(number=at) for at in range(10)])
    newest = (data.ledger / "checkpoint").read_bytes()
    (data.ledger / "checkpoint").write_bytes(note)
    assert look() == []  # it may just be on its way
    assert look(later(minutes=6)) == ["ledger"]
    (data.ledger / "checkpoint").write_bytes(newest)
    with connection.cursor() as cursor:  # as an old backup put back leaves it
        cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        for (trigger,) in cursor.fetchall():
            cursor.execute(f"DROP TRIGGER {trigger}")
        cursor.execute('DELETE FROM records_record WHERE "index" > 14')
        cursor.execute("UPDATE records_head SET next_index = 15")
    Watch.objects.update(next_index=15)
    assert look() == ["ledger"]
    assert Gap.objects.get(key="ledger:15-20").en == "20 records are signed for, the database has written 15"


# ── spool ────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("dropped", [0, 1])
def test_a_dropped_segment_is_found_unless_it_is_the_last(data: DataFolder, recorder: Recorder, dropped: int) -> None:
    spool(data, *[entry(number=at, content=bytes(3_000)) for at in range(12)], segment_bytes=10_000)
    segments = list_segments(data.spool)
    assert len(segments) > 2
    segments[dropped].unlink()
    drain(recorder)
    assert look() == ["segment"]
    assert open_gaps()[0].en.startswith(f"segment {dropped + 1} of writer ")
    assert look() == []


def test_damaged_segments_that_were_kept_are_not_missing(data: DataFolder, recorder: Recorder) -> None:
    spool(data, *[entry(number=at, content=bytes(3_000)) for at in range(12)], segment_bytes=10_000)
    first = list_segments(data.spool)[0]
    first.write_bytes(bytes(200))
    drain(recorder)
    assert (data.spool / "damaged" / first.name).exists()
    assert look() == []


# ── heartbeats ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_answers_that_a_worker_counted_and_nobody_recorded(data: DataFolder, recorder: Recorder) -> None:
    writer = new_id()
    answers = [entry() for _ in range(3)]
    record(data, recorder, *answers, worker_beat(writer, "gateway-0", 1, {"chat": 3}))
    assert look() == []
    record(data, recorder, entry(), worker_beat(writer, "gateway-0", 2, {"chat": 4}))
    assert look() == []
    # Two more answers, one record of them; and one of a service of which there is none at all.
    record(data, recorder, entry("gateway.answer.opened"), worker_beat(writer, "gateway-0", 3, {"chat": 4, "code": 1}))
    assert look() == ["service"]
    gap = open_gaps()[0]
    assert (gap.service, gap.en) == ("code", "1 answers of code by gateway-0, 0 records of them")


@pytest.fixture
def living(data: DataFolder) -> Iterator[str]:
    """A writer of ten minutes ago that lives: its lock is held."""
    writer = id_prefix(int(later(-600).timestamp() * 1000)) + new_id()[10:]
    data.spool.mkdir(parents=True, exist_ok=True)
    held = os.open(data.spool / f"{writer}.writer", os.O_RDWR | os.O_CREAT)
    fcntl.flock(held, fcntl.LOCK_EX)
    yield writer
    os.close(held)


def test_a_worker_that_lives_and_whose_heartbeat_stops(data: DataFolder, recorder: Recorder, living: str, tmp_path: Path) -> None:
    record(data, recorder, worker_beat(living, "gateway-0", 1, {}))
    assert look() == []
    then = datetime.now(UTC) + SILENCE
    assert look(then) == ["heartbeat"]
    assert open_gaps()[0].key.startswith(f"heartbeat:{living}:")
    assert look(then + timedelta(minutes=1)) == []  # the same silence
    (data.spool / f"{living}.writer").rename(tmp_path / "gone")  # a worker that has ended may be silent
    assert look(then + timedelta(hours=3)) == []


def test_a_worker_that_never_had_a_heartbeat(data: DataFolder, recorder: Recorder, living: str) -> None:
    assert look() == ["heartbeat"]


def test_the_recorders_heartbeat_and_its_silence(data: DataFolder, recorder: Recorder) -> None:
    assert look(later(hours=1)) == []  # it has never been heard
    recorder.beat()
    assert look() == look(later(minutes=4)) == []
    assert look(later(minutes=6)) == ["recorder"]
    assert look(later(minutes=7)) == []
    beat = Record.objects.get(kind="records.recorder.alive")
    assert beat.metadata == {}
    Gap.objects.all().delete()
    assert watch.look(later(hours=5), BEAT_MS, later(hours=5)) == []  # the service was stopped, and has just begun again
    assert [gap.cause for gap in watch.look(later(hours=6), BEAT_MS, later(hours=5))] == ["recorder"]


@pytest.mark.parametrize("jump_ms", [3_600_000, -7_200_000])
def test_a_jump_of_the_clock_is_in_the_next_heartbeat(
    data: DataFolder, recorder: Recorder, monkeypatch: pytest.MonkeyPatch, jump_ms: int
) -> None:
    wall, steady = heart._clocks_ms()
    recorder._heart = RecorderHeart()
    monkeypatch.setattr(heart, "_clocks_ms", lambda: (wall + 60_000 + jump_ms, steady + 60_000))
    recorder.beat()
    assert abs(Record.objects.get(kind="records.recorder.alive").metadata["clock_jump_ms"] - jump_ms) < 5_000
    assert look() == ["clock"]
    assert look() == []


def test_a_heartbeat_is_due_once_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    at = [1_000.0]
    monkeypatch.setattr(time, "monotonic", lambda: at[0])
    beats = RecorderHeart()
    due = []
    for _ in range(180):
        at[0] += 1
        if beats.due():
            due.append(at[0])
            beats.beat()
    assert due == [1_060.0, 1_120.0, 1_180.0]


def test_an_id_tells_its_time() -> None:
    assert abs(made_at_ms(new_id()) - datetime.now(UTC).timestamp() * 1000) < 10_000
    assert made_at_ms("no id") == made_at_ms("") == 0


# ── closing ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_gap_is_closed_once_by_somebody_with_a_reason(data: DataFolder, recorder: Recorder) -> None:
    record(data, recorder, *[entry(number=at) for at in range(10)])
    delete(4)
    look()
    gap = open_gaps()[0]
    with pytest.raises(GuijuError) as refused:
        close_gap(gap.pk, actor="person:officer", reason="  ok ")
    assert refused.value.code is GAP_REASON
    close_gap(gap.pk, actor="person:officer", reason="a disk was changed; restored from the backup of Monday")
    for number in (gap.pk, 999):
        with pytest.raises(GuijuError) as refused:
            close_gap(number, actor="person:other", reason="closing it too")
        assert refused.value.code is GAP_UNKNOWN
    drain(recorder)
    closed = Record.objects.get(kind="records.gap.closed")
    assert (closed.actor, closed.metadata["gap"], closed.metadata["found"]) == ("person:officer", gap.key, gap.record)
    assert list(open_gaps()) == []
    assert look(later(hours=3)) == []  # the same numbers are no new gap
