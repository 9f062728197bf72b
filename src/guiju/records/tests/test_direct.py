"""What the loop has the kernel write: told only when the disk has it, and left to the thread wherever it cannot be done.

Guarded: `_DSYNC` in `Direct.write`, the comparison of `result` and the way into another segment in `SpoolWriter._written`, `spoilt` in
`_commit`, the block written anew in `GrowingSegment.end`, `_given != _done` in `_write_beside`, `has_room`, the share of time in `_written`.
"""

import asyncio
import errno
import os
import platform
import struct
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random

import pytest

from guiju.records.spool import direct as direct_io
from guiju.records.spool import writer as spool
from guiju.records.spool.direct import BLOCK_BYTES, BUFFER_BYTES
from guiju.records.spool.segment import Frame, SegmentReader, list_segments, read_segment
from guiju.records.spool.writer import SpoolWriter
from guiju.records.tests.spooling import KEY, PRIVATE, PUBLIC, ready, until, wait, written


def test_the_loop_writes_and_everything_comes_back(tmp_path: Path, writes: list[int]) -> None:
    """Sizes around blocks, more than a write may hold, more than there is room for, segments that end; read beside as the recorder does."""
    random = Random(7)
    sizes = [
        1,
        BLOCK_BYTES - 24,
        BLOCK_BYTES - 128 - 24,
        3 * BLOCK_BYTES,
        BUFFER_BYTES + 1,
        *(random.randrange(1, 9_000) for _ in range(400)),
    ]
    entries = [random.randbytes(size) for size in sizes]
    read: list[bytes] = []
    ended = threading.Event()

    def follow() -> None:
        readers: dict[Path, SegmentReader] = {}
        while True:
            last = ended.is_set()
            for path in list_segments(tmp_path):
                if path not in readers:
                    readers[path] = SegmentReader(path, KEY)
                reader = readers[path]
                read.extend(found.raw for found in reader.read(1_000, 2**22, final=last) if isinstance(found, Frame))
            if last:
                break
        for reader in readers.values():
            reader.close()

    async def write() -> None:
        writer = SpoolWriter(tmp_path, PUBLIC, worker="w", segment_bytes=2 * 2**20)
        await ready(writer)
        for at in range(0, len(entries), 5):
            await asyncio.gather(*[writer.append(entry) for entry in entries[at : at + 5]])
        await writer.close()

    follower = threading.Thread(target=follow)
    follower.start()
    try:
        asyncio.run(asyncio.wait_for(write(), 60))
    finally:
        ended.set()
        follower.join()
    assert written(tmp_path) == [b"first", *entries]
    assert read == [b"first", *entries]
    assert len(writes) > 20
    assert len(list_segments(tmp_path)) > 1


def test_an_entry_is_told_only_when_the_kernel_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def write() -> None:
        writer = SpoolWriter(tmp_path, PUBLIC, worker="w")
        made = await ready(writer)
        held: list[Callable[[], int]] = []
        real = made.write

        def hold(descriptor: int, before: bytes, content: bytes, offset: int) -> int:
            held.append(lambda: real(descriptor, before, content, offset))
            return -(-len(before + content) // BLOCK_BYTES) * BLOCK_BYTES

        monkeypatch.setattr(made, "write", hold)
        future = writer.append(b"second")
        await until(lambda: bool(held))
        later = writer.append(b"third")  # there is one write at a time
        await asyncio.sleep(0.02)
        assert (future.done(), later.done(), len(held)) == (False, False, 1)
        monkeypatch.setattr(made, "write", real)
        held[0]()
        assert struct.unpack_from("=i", made._request, 12)[0] == os.RWF_DSYNC
        await asyncio.wait_for(asyncio.gather(future, later), 10)
        await writer.close()

    asyncio.run(write())
    assert written(tmp_path) == [b"first", b"second", b"third"]


@pytest.mark.parametrize("refusal", [errno.EINVAL, errno.EAGAIN, errno.EPERM])
def test_what_the_kernel_does_not_take_the_thread_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusal: int) -> None:
    async def write() -> None:
        writer = SpoolWriter(tmp_path, PUBLIC, worker="w")
        made = await ready(writer)

        def refused(*_: object) -> int:
            raise OSError(refusal, "not here")

        monkeypatch.setattr(made, "write", refused)
        await asyncio.wait_for(writer.append(b"second"), 10)
        assert writer._direct is None
        await asyncio.wait_for(writer.append(b"third"), 10)
        await writer.close()

    asyncio.run(write())
    assert written(tmp_path) == [b"first", b"second", b"third"]


@pytest.mark.parametrize("result", [-errno.EIO, -errno.ENOSPC, 512, 0])
def test_what_the_disk_did_not_take_goes_into_another_segment_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, result: int) -> None:
    """The failed write reached the disk all the same, and broke the entries before it in their block: neither must show."""

    async def write() -> None:
        writer = SpoolWriter(tmp_path, PUBLIC, worker="w")
        made = await ready(writer)
        await writer.append(b"before")
        real = made.write

        def spoil(descriptor: int, before: bytes, content: bytes, offset: int) -> int:
            path = list_segments(tmp_path)[0]
            with path.open("r+b") as file:
                file.seek(offset)
                file.write(before + content)
                file.seek(offset + 128)
                file.write(b"\xee" * 20)
            size = -(-len(before + content) // BLOCK_BYTES) * BLOCK_BYTES
            asyncio.get_running_loop().call_soon(writer._written, result)
            return size

        monkeypatch.setattr(made, "write", spoil)
        await asyncio.wait_for(asyncio.gather(writer.append(b"second"), writer.append(b"third")), 10)
        monkeypatch.setattr(made, "write", real)
        await writer.append(b"fourth")
        await writer.close()

    asyncio.run(write())
    assert written(tmp_path) == [b"first", b"before", b"second", b"third", b"fourth"]
    assert len(list_segments(tmp_path)) == 2


def test_a_file_system_that_writes_while_it_is_asked_is_left_to_the_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "_COMPARED", 8)

    async def write() -> None:
        writer = SpoolWriter(tmp_path, PUBLIC, worker="w", active=lambda: 1)
        made = await ready(writer)
        real = made.write

        def slow(descriptor: int, before: bytes, content: bytes, offset: int) -> int:
            ended = threading.Event()
            threading.Timer(0.05, ended.set).start()
            ended.wait()  # the loop stands still meanwhile
            return real(descriptor, before, content, offset)

        monkeypatch.setattr(made, "write", slow)
        for number in range(12):
            await writer.append(b"%d" % number)
        assert writer._direct is None
        await writer.close()

    asyncio.run(asyncio.wait_for(write(), 30))
    assert len(written(tmp_path)) == 13


@pytest.mark.parametrize("way", ["no such machine", "io_setup refused", "no such file system"])
def test_where_there_is_no_such_thing_the_thread_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str, writes: list[int]
) -> None:
    if way == "no such machine":
        monkeypatch.setattr("platform.machine", lambda: "s390x")
    elif way == "io_setup refused":
        monkeypatch.setitem(direct_io._NUMBERS, platform.machine(), (1 << 20, 207, 208, 209))
    else:
        opened = os.open

        def refused(path: str, flags: int, mode: int = 0o777) -> int:
            if flags & direct_io.FLAG:
                raise OSError(errno.EINVAL, "not here")
            return opened(path, flags, mode)

        monkeypatch.setattr(os, "open", refused)

    async def write() -> None:
        writer = SpoolWriter(tmp_path, PUBLIC, worker="w")
        for number in range(5):
            await writer.append(b"%d" % number)
        await writer.close()

    asyncio.run(asyncio.wait_for(write(), 30))
    assert written(tmp_path) == [b"0", b"1", b"2", b"3", b"4"]
    assert writes == []


def test_the_loop_writes_nothing_in_a_segment_that_the_thread_is_to_end(tmp_path: Path, writes: list[int]) -> None:
    go_on = threading.Event()

    async def write() -> None:
        writer = SpoolWriter(tmp_path, PUBLIC, worker="w")
        await ready(writer)
        writer._tasks.put(partial(wait, go_on))
        writer._give(writer._let_go)
        future = writer.append(b"second")
        await asyncio.sleep(0.02)
        assert not future.done()
        assert writes == []
        go_on.set()
        await asyncio.wait_for(future, 10)
        await writer.close()

    asyncio.run(write())
    assert [[raw for _, raw in read_segment(path, PRIVATE)] for path in list_segments(tmp_path)] == [[b"first"], [b"second"]]


def test_what_is_too_large_for_the_loop_the_thread_writes_in_its_turn(tmp_path: Path, writes: list[int]) -> None:
    async def write() -> None:
        writer = SpoolWriter(tmp_path, PUBLIC, worker="w")
        await ready(writer)
        large = writer.append(bytes(BUFFER_BYTES))
        await asyncio.sleep(0)
        await asyncio.wait_for(asyncio.gather(large, writer.append(b"small")), 20)
        await writer.close()

    asyncio.run(write())
    assert written(tmp_path) == [b"first", bytes(BUFFER_BYTES), b"small"]


def test_room_is_made_before_it_is_needed(tmp_path: Path) -> None:
    async def write() -> None:
        writer = SpoolWriter(tmp_path, PUBLIC, worker="w")
        await ready(writer)
        segment = writer._segment
        assert segment is not None
        await until(lambda: segment.has_room(2**18))
        while segment.end_bytes < 2**20 - 2**18:
            await writer.append(bytes(2**15))
        await until(lambda: segment.has_room(2**19))
        await writer.close()

    asyncio.run(asyncio.wait_for(write(), 40))


def test_who_gives_up_closing_leaves_nobodywaiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In `_answer`, a close that was cancelled must not stand in the way of what is queued behind it."""

    async def write() -> None:
        writer = SpoolWriter(tmp_path, PUBLIC, worker="w")
        made = await ready(writer)
        held: list[Callable[[], int]] = []
        real = made.write

        def hold(descriptor: int, before: bytes, content: bytes, offset: int) -> int:
            held.append(lambda: real(descriptor, before, content, offset))
            return BLOCK_BYTES

        monkeypatch.setattr(made, "write", hold)
        second = writer.append(b"second")
        await until(lambda: bool(held))
        monkeypatch.setattr(made, "write", real)
        third = writer.append(b"third")
        closing = asyncio.ensure_future(writer.close())
        await asyncio.sleep(0)
        closing.cancel()
        await asyncio.wait([closing])
        held[0]()
        await asyncio.wait_for(asyncio.gather(second, third), 10)
        await writer.close()

    asyncio.run(write())
    assert written(tmp_path) == [b"first", b"second", b"third"]


def test_a_segment_in_which_nothing_moves_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "_IDLE_S", 0.05)

    async def write() -> None:
        writer = SpoolWriter(tmp_path, PUBLIC, worker="w")
        await writer.append(b"first")
        await until(lambda: writer._segment is None)
        await writer.append(b"second")
        await writer.close()

    asyncio.run(write())
    assert [[raw for _, raw in read_segment(path, PRIVATE)] for path in list_segments(tmp_path)] == [[b"first"], [b"second"]]
