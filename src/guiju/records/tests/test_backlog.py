"""What waits is told in bytes and age, by whoever can read the folder: while it grows, while it drains, without a recorder.

Guarded lines: `end_of_frames` (the zeros ahead are no backlog), the places in `Recorder.step`, `drained_at_us`.
"""

import asyncio
from pathlib import Path

import pytest

from guiju.core.clock import now_us
from guiju.core.keys import load_recorder_public_key, load_site_public_key
from guiju.core.layout import DataFolder
from guiju.records.entry import encode_entry
from guiju.records.recorder.recording import Recorder
from guiju.records.spool.backlog import LATE_S, Progress, measure_backlog, read_progress, write_progress
from guiju.records.spool.segment import HEADER_BYTES, list_segments
from guiju.records.spool.writer import SpoolWriter
from guiju.records.tests.conftest import ORIGIN
from guiju.records.tests.site import entry
from guiju.records.verify import verify_ledger

pytestmark = pytest.mark.django_db
LATER_US = int((LATE_S + 5) * 1e6)
ZEROS = 4
"""So many zero bytes a frame may end in; they look like the zeros ahead."""


def writer_of(data: DataFolder) -> SpoolWriter:
    return SpoolWriter(data.spool, load_recorder_public_key(data.keys).public_bytes_raw(), worker="w")


def test_the_backlog_is_what_lies_behind_the_recorder(data: DataFolder) -> None:
    recorder, writer = Recorder(data, ORIGIN), writer_of(data)
    sizes = []

    async def append(count: int) -> None:
        for _ in range(count):
            raw = encode_entry(entry(content=bytes(500)))
            await writer.append(raw)
            sizes.append(len(raw) + 8 + 16)

    assert measure_backlog(data.spool, data.run, now_us()).size_bytes == 0
    with asyncio.Runner() as worker:
        begun_us = now_us()
        worker.run(append(3))
        (path,) = list_segments(data.spool)
        assert path.stat().st_size >= 2**20  # zeros ahead
        waits = measure_backlog(data.spool, data.run, now_us())
        assert (waits.segments, waits.late) == (1, False)
        assert sum(sizes) - ZEROS <= waits.size_bytes <= sum(sizes)
        assert 0 < waits.oldest_s <= (now_us() - begun_us) / 1e6
        assert measure_backlog(data.spool, data.run, now_us() + LATER_US).late
        assert recorder.step() == 3
        assert measure_backlog(data.spool, data.run, now_us() + LATER_US).size_bytes == 0
        assert not measure_backlog(data.spool, data.run, now_us() + LATER_US).late
        # The recorder is told nothing more: what comes now waits, and only since now.
        recorder._told_at = 0.0
        assert recorder.step() == 0
        drained_us = now_us()
        worker.run(append(2))
        waits = measure_backlog(data.spool, data.run, now_us())
        assert sum(sizes[3:]) - ZEROS <= waits.size_bytes <= sum(sizes[3:])
        assert waits.oldest_s < (now_us() - drained_us) / 1e6 + 0.5
        # Another recorder goes on where this one stood.
        recorder.forget()
        second = Recorder(data, ORIGIN)
        second._holder = recorder._holder
        second._told_at = 0.0
        assert second.step() == 2
        assert measure_backlog(data.spool, data.run, now_us()).size_bytes == 0
        worker.run(writer.close())
    second._told_at = 0.0
    assert second.step() == 0
    assert measure_backlog(data.spool, data.run, now_us()).size_bytes == 0
    assert list_segments(data.spool) == []
    second._told_at = 0.0
    assert second.step() == 0
    assert read_progress(data.run).places == {}


def test_a_segment_that_ended_has_no_backlog_in_its_end_mark(data: DataFolder) -> None:
    writer = writer_of(data)

    async def write() -> None:
        await writer.append(b"x" * 100)
        await writer.close()

    asyncio.run(write())
    assert measure_backlog(data.spool, data.run, now_us()).size_bytes <= 124 + (8 + 16)  # a mark that ends in a zero byte counts


def test_what_the_recorder_told_is_believed_only_when_it_is_whole(tmp_path: Path) -> None:
    told = Progress(at_us=1, drained_at_us=2, places={"a": (HEADER_BYTES, 3)}, reason="the disk", since_us=4)
    write_progress(tmp_path / "run", told)
    assert read_progress(tmp_path / "run") == told
    assert measure_backlog(tmp_path / "spool", tmp_path / "run", 5).late
    (tmp_path / "run" / "recorder.json").write_bytes(b'{"at_us": "soon"')
    assert read_progress(tmp_path / "run") == Progress()
    write_progress(tmp_path / "run" / "recorder.json", told)  # a folder that cannot be: nothing happens


def test_the_check_of_the_ledger_counts_what_waits_and_not_the_room_ahead(data: DataFolder) -> None:
    """Guarded: the cursor and the end of the frames in `waiting_frames`; the size of the file would be a megabyte."""

    def fifth() -> tuple[str, str]:
        step = verify_ledger(data, ORIGIN, load_site_public_key(data.keys)).steps[-1]
        assert step.number == 5
        return step.outcome, step.en

    async def append(raws: list[bytes]) -> None:
        for raw in raws:
            await writer.append(raw)

    recorder, writer = Recorder(data, ORIGIN), writer_of(data)
    recorder.start()
    raws = [encode_entry(entry(content=bytes(500))) for _ in range(5)]
    with asyncio.Runner() as worker:
        worker.run(append(raws[:3]))
        while recorder.step():
            pass
        (path,) = list_segments(data.spool)
        assert path.stat().st_size >= 2**20
        assert fifth() == (
            "holds",
            "0 records after the checkpoint, 0 entries (0 bytes) wait in the spool, 0 in the outbox, 0 damaged segments",
        )
        worker.run(append(raws[3:]))
        outcome, told = fifth()
        assert outcome == "open"
        assert f"2 entries ({sum(len(raw) + 8 + 16 for raw in raws[3:])} bytes) wait in the spool" in told
        worker.run(writer.close())
    assert "2 entries" in fifth()[1], "the end mark is no entry"
