"""What becomes of an entry that somebody no longer waits for, and of one that comes when the spool is closed."""

import asyncio
import threading
from pathlib import Path

import pytest

from guiju.core.errors import GuijuError
from guiju.records.spool import growing
from guiju.records.spool.segment import list_segments
from guiju.records.spool.writer import SPOOL_UNWRITABLE, SpoolWriter, read_segment
from guiju.records.tests.test_spool import PRIVATE, PUBLIC, run


def test_who_is_cancelled_hears_of_it_when_the_entry_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guarded: `Written.cancel`. A server that is told to end cancels whoever waits; what is on record by then must not count as not sent."""
    go = threading.Event()
    write_durably = growing.write_durably

    def held(descriptor: int, content: bytes, offset: int) -> None:
        assert go.wait(30)
        write_durably(descriptor, content, offset)

    monkeypatch.setattr(growing, "write_durably", held)

    async def write() -> None:
        writer = SpoolWriter(tmp_path, PUBLIC, worker="w", beside=False)
        written = writer.append(b"entry")

        async def wait() -> str:
            try:
                await written
            except asyncio.CancelledError:
                return "written" if written.done() and written.result() is None else "not yet"
            return "not cancelled"

        waiting = asyncio.create_task(wait())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.sleep(0)
        assert not waiting.done()
        go.set()
        assert await waiting == "written"
        await writer.close()

    run(write())


def test_an_entry_that_comes_after_the_end_is_not_waited_for(tmp_path: Path) -> None:
    """Guarded: `if self._ended` in `_hand_over`; the thread would never write it."""

    async def write() -> None:
        writer = SpoolWriter(tmp_path, PUBLIC, worker="w")
        await writer.append(b"entry")
        closing = asyncio.create_task(writer.close())
        while not writer._ended:  # noqa: ASYNC110  # its thread is told to end then
            await asyncio.sleep(0)
        for _ in range(2):
            done, _ = await asyncio.wait([writer.append(b"late", owed=True)], timeout=20)
            (problem,) = [each.exception() for each in done]
            assert isinstance(problem, GuijuError)
            assert problem.code is SPOOL_UNWRITABLE
            await closing

    run(write())
    assert [raw for _, raw in read_segment(list_segments(tmp_path)[0], PRIVATE)] == [b"entry"]
