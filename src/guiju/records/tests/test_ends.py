"""How segments end: between writes, with all that was acknowledged, and told where that cannot be. Loop and thread share them.

Guarded: the block written anew in `GrowingSegment.end`, `untouched` in `SpoolWriter._commit`, `_busy` in `refuse_if_full`, `_given` in `close` and
in `_let_go_if_idle`, the suppressed error in `_count`.
"""

import asyncio
import errno
import logging
import os
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random

import pytest

from guiju.core.errors import GuijuError
from guiju.records.spool import writer as spool
from guiju.records.spool.direct import BLOCK_BYTES
from guiju.records.spool.growing import GrowingSegment
from guiju.records.spool.segment import HEADER_BYTES, list_segments, read_segment
from guiju.records.spool.writer import SPOOL_FULL, SPOOL_UNWRITABLE, SpoolWriter
from guiju.records.tests.spooling import PRIVATE, PUBLIC, ready, until, wait, written


@pytest.mark.parametrize("heals", [True, False], ids=["takes_it_anew", "takes_nothing_more"])
def test_a_block_that_the_disk_lost_under_a_failed_write_is_written_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, heals: bool
) -> None:
    """What was acknowledged in it would be gone: to write a part of a block, or to cut it, the kernel reads it first. Told when it cannot be helped."""
    lost: list[tuple[int, int]] = []
    write, cut = os.pwrite, os.ftruncate

    def touched(descriptor: int, offset: int, end: int) -> None:
        for inode, place in list(lost):
            if inode == os.fstat(descriptor).st_ino and place < end and offset < place + BLOCK_BYTES:
                if not heals or offset > place or end < place + BLOCK_BYTES:
                    raise OSError(errno.EIO, "input/output error")
                lost.remove((inode, place))

    def pwrite(descriptor: int, content: bytes, offset: int) -> int:
        touched(descriptor, offset, offset + len(content))
        return write(descriptor, content, offset)

    def ftruncate(descriptor: int, size: int) -> None:
        if size % BLOCK_BYTES:
            touched(descriptor, size, size + 1)
        cut(descriptor, size)

    monkeypatch.setattr(os, "pwrite", pwrite)
    monkeypatch.setattr(os, "ftruncate", ftruncate)

    async def work() -> None:
        writer = SpoolWriter(tmp_path, PUBLIC, worker="w")
        made = await ready(writer)
        await writer.append(b"before")

        def fail(descriptor: int, before: bytes, content: bytes, offset: int) -> int:
            with list_segments(tmp_path)[0].open("r+b") as file:
                file.seek(offset)
                file.write(b"\xee" * BLOCK_BYTES)
            lost.append((os.fstat(descriptor).st_ino, offset))
            asyncio.get_running_loop().call_soon(writer._written, -errno.EIO)
            return BLOCK_BYTES

        monkeypatch.setattr(made, "write", fail)
        await asyncio.wait_for(writer.append(b"second"), 10)
        await writer.close()

    with caplog.at_level(logging.ERROR, "guiju.records"):
        asyncio.run(work())
    first, second = list_segments(tmp_path)
    assert [raw for _, raw in read_segment(second, PRIVATE)] == [b"second"]
    told = [record.getMessage() for record in caplog.records]
    if heals:
        assert [raw for _, raw in read_segment(first, PRIVATE)] == [b"first", b"before"]
        assert (lost, told) == ([], [])
    else:
        assert len(told) == 1
        assert str(first) in told[0]


@pytest.mark.parametrize("entries", [0, 1], ids=["from_the_start", "later"])
def test_a_full_disk_leaves_one_empty_segment_and_not_one_for_each_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entries: int
) -> None:
    reserve = os.posix_fallocate

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space")

    async def work() -> None:
        writer = SpoolWriter(tmp_path, PUBLIC, worker="w", beside=False)
        if entries:
            await writer.append(b"before")
        monkeypatch.setattr(os, "posix_fallocate", full)
        for size in (2**21, 100, 2**21, 100, 2**21):
            with pytest.raises(GuijuError):
                await asyncio.wait_for(writer.append(bytes(size)), 10)
            empty = [path.stat().st_size for path in list_segments(tmp_path)].count(HEADER_BYTES)
            assert empty <= 1
        monkeypatch.setattr(os, "posix_fallocate", reserve)
        await writer.append(b"after")
        await writer.close()

    asyncio.run(work())
    assert written(tmp_path)[-1] == b"after"


def test_the_loop_goes_on_writing_while_room_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writes: list[int]) -> None:
    """Zeros go behind what the loop may write in, never over it."""
    reached, go_on = threading.Event(), threading.Event()
    reserve = os.posix_fallocate

    def slow(descriptor: int, offset: int, size: int) -> None:
        reached.set()
        wait(go_on)
        reserve(descriptor, offset, size)

    entries = [Random(number).randbytes(2**14) for number in range(200)]

    async def work() -> None:
        writer = SpoolWriter(tmp_path, PUBLIC, worker="w")
        await ready(writer)
        segment = writer._segment
        assert segment is not None
        monkeypatch.setattr(spool, "_LOOK_AGAIN_S", 3_600.0)
        await until(lambda: not writer._making_room)
        monkeypatch.setattr(os, "posix_fallocate", slow)
        sent = 0
        while not reached.is_set() or segment.has_room(2**15):
            await writer.append(entries[sent])
            sent += 1
        assert len(writes) == sent
        rest = asyncio.gather(*[writer.append(entry) for entry in entries[sent:]])
        await asyncio.sleep(0)
        go_on.set()
        await asyncio.wait_for(rest, 20)
        await writer.close()

    asyncio.run(asyncio.wait_for(work(), 60))
    assert written(tmp_path) == [b"first", *entries]


def test_a_full_spool_lets_go_of_the_segment_only_between_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the loop writes in it, and while the thread makes room in it, nothing ends it; what closes an answer is written all the same."""
    reached, go_on = threading.Event(), threading.Event()

    async def work() -> None:
        writer = SpoolWriter(tmp_path, PUBLIC, worker="w", segment_bytes=2**26)
        made = await ready(writer)
        segment = writer._segment
        assert segment is not None
        held: list[Callable[[], int]] = []
        real = made.write

        def hold(descriptor: int, before: bytes, content: bytes, offset: int) -> int:
            held.append(lambda: real(descriptor, before, content, offset))
            return BLOCK_BYTES

        monkeypatch.setattr(made, "write", hold)
        second = writer.append(b"second")
        await until(lambda: bool(held))
        writer.limit_bytes = 1
        for _ in range(3):
            with pytest.raises(GuijuError) as refused:
                writer.append(b"refused")
            assert refused.value.code is SPOOL_FULL
        assert writer._given == writer._done
        assert writer._segment is segment
        monkeypatch.setattr(made, "write", real)
        held[0]()
        await asyncio.wait_for(second, 10)

        make_room = GrowingSegment.make_room

        def slow(self: GrowingSegment) -> None:
            reached.set()
            wait(go_on)
            make_room(self)

        monkeypatch.setattr(GrowingSegment, "make_room", slow)
        writer._making_room = True
        writer._tasks.put(writer._make_room)
        await until(reached.is_set)
        for _ in range(3):
            with pytest.raises(GuijuError):
                writer.append(b"refused")
        assert writer._given == writer._done + 1  # asked once
        owed = writer.append(b"owed", owed=True)
        await asyncio.sleep(0.01)
        assert not owed.done()
        go_on.set()
        await asyncio.wait_for(owed, 10)
        assert writer._segment is not segment
        await until(lambda: writer._given == writer._done and not writer._making_room)
        await writer.close()

    asyncio.run(work())
    assert [[raw for _, raw in read_segment(path, PRIVATE)] for path in list_segments(tmp_path)] == [[b"first", b"second"], [b"owed"]]


def test_what_is_appended_while_the_segment_is_ended_for_good_is_refused(tmp_path: Path, writes: list[int]) -> None:
    """The loop would write in what the thread cuts."""
    go_on = threading.Event()

    async def work() -> None:
        writer = SpoolWriter(tmp_path, PUBLIC, worker="w")
        await ready(writer)
        writer._tasks.put(partial(wait, go_on))
        closing = asyncio.ensure_future(writer.close())
        await asyncio.sleep(0.01)
        late = writer.append(b"late")
        await asyncio.sleep(0.01)
        go_on.set()
        await asyncio.wait_for(closing, 10)
        await asyncio.wait([late], timeout=10)
        refused = late.exception()
        assert isinstance(refused, GuijuError)
        assert refused.code is SPOOL_UNWRITABLE

    asyncio.run(work())
    assert writes == []
    assert written(tmp_path) == [b"first"]


def test_an_idle_segment_is_ended_even_if_the_thread_was_late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In `_let_go_if_idle`, without the look at `_given` nobody would come back to it."""
    monkeypatch.setattr(spool, "_IDLE_S", 0.02)
    monkeypatch.setattr(spool, "_LOOK_AGAIN_S", 0.02)
    go_on = threading.Event()

    async def work() -> None:
        writer = SpoolWriter(tmp_path, PUBLIC, worker="w", beside=False)
        counted = SpoolWriter._count

        def slow(self: SpoolWriter, now: float) -> None:
            wait(go_on)
            counted(self, now)

        monkeypatch.setattr(spool, "_LOOK_AGAIN_S", -1.0)
        monkeypatch.setattr(SpoolWriter, "_count", slow)
        await writer.append(b"first")
        monkeypatch.setattr(spool, "_LOOK_AGAIN_S", 0.02)
        assert writer._loop is not None
        writer._let_go_if_idle()
        await asyncio.sleep(0.1)
        go_on.set()
        await until(lambda: writer._segment is None)
        await writer.close()

    asyncio.run(work())


def test_a_folder_that_cannot_be_counted_for_once_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writes: list[int]
) -> None:
    """For want of descriptors, say. The loop goes on writing, and a full spool still lets go of its segment."""
    scan = os.scandir

    def refused(_: object) -> None:
        raise OSError(errno.EMFILE, "too many open files")

    async def work() -> None:
        writer = SpoolWriter(tmp_path, PUBLIC, worker="w")
        await ready(writer)
        monkeypatch.setattr(spool, "_LOOK_AGAIN_S", -1.0)
        monkeypatch.setattr(os, "scandir", refused)
        await writer.append(b"second")
        await until(lambda: writer._given == writer._done)
        monkeypatch.setattr(os, "scandir", scan)
        monkeypatch.setattr(spool, "_LOOK_AGAIN_S", 3_600.0)
        await writer.append(b"third")
        assert len(writes) == 1
        writer.limit_bytes = 1
        monkeypatch.setattr(spool, "_LOOK_AGAIN_S", -1.0)
        monkeypatch.setattr(os, "scandir", refused)
        with pytest.raises(GuijuError) as told:
            writer.append(b"refused")
        assert told.value.code is SPOOL_FULL
        monkeypatch.setattr(os, "scandir", scan)
        await until(lambda: writer._segment is None)
        await writer.close()

    asyncio.run(asyncio.wait_for(work(), 30))
    assert written(tmp_path) == [b"first", b"second", b"third"]
