"""The spool: what is acknowledged can be read back, whatever happens to the process, the disk or the bytes.

Guarded lines: `_DSYNC` in the call of `os.pwritev`, `os.fdatasync` where that is not possible (acknowledged too early without it), the look at the
queue in `_answer` (a batch that nobody hands over), the tail rules of `SegmentReader.read`, `ftruncate` in `GrowingSegment.end` (half a batch left).
"""

import asyncio
import errno
import os
import subprocess
import sys
import threading
import time
from collections.abc import Coroutine
from pathlib import Path
from random import Random
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from guiju.core.errors import GuijuError
from guiju.records.spool import growing
from guiju.records.spool import writer as spool
from guiju.records.spool.segment import (
    FRAME,
    HEADER_BYTES,
    SPOOL_DAMAGED,
    Damage,
    Frame,
    SegmentReader,
    is_abandoned,
    list_segments,
    read_segment,
)
from guiju.records.spool.writer import SPOOL_FULL, SPOOL_UNWRITABLE, SpoolWriter

KEY = X25519PrivateKey.generate()
PUBLIC = KEY.public_key().public_bytes_raw()
PRIVATE = KEY.private_bytes_raw()


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 30))


def written(folder: Path, entries: list[bytes]) -> Path:
    """A segment that was ended in order."""

    async def write() -> None:
        writer = SpoolWriter(folder, PUBLIC, worker="w")
        await asyncio.gather(*[writer.append(entry) for entry in entries])
        await writer.close()

    run(write())
    (path,) = list_segments(folder)
    return path


def torn(folder: Path, entries: list[bytes]) -> bytes:
    """The bytes of a segment whose writer was killed: no end mark, and zeros behind the last frame."""
    raw = written(folder, entries).read_bytes()
    return raw[: -FRAME.size - 16]


def test_entries_come_back_in_order(tmp_path: Path) -> None:
    entries = [os.urandom(size) for size in (1, 100, 3_000_000, 5)]
    assert list(read_segment(written(tmp_path, entries), PRIVATE)) == list(enumerate(entries))


@pytest.mark.parametrize("size", [2**20 - FRAME.size - 16, 2**20 - FRAME.size - 15, 2**20 + 1, 64 * 2**20])
def test_an_entry_larger_than_what_is_read_at_once_is_read_where_it_comes_first(tmp_path: Path, size: int) -> None:
    """In `SegmentReader._buffered`, without the second look the reader stands still before it, and in the end calls it damage."""

    async def write() -> None:
        writer = SpoolWriter(tmp_path, PUBLIC, worker="w")
        await writer.append(b"first")
        reader = SegmentReader(list_segments(tmp_path)[0], KEY)
        assert reader.read(10, 2**20, final=False) == [Frame(0, b"first")]
        large, after = writer.append(bytes(size)), writer.append(b"after")
        await asyncio.gather(large, after)
        assert reader.read(1, 2**20, final=False) == [Frame(1, bytes(size))]
        assert reader.read(10, 2**20, final=False) == [Frame(2, b"after")]
        reader.close()
        await writer.close()

    run(write())


def test_reading_begins_behind_the_cursor(tmp_path: Path) -> None:
    path = written(tmp_path, [b"a", b"b", b"c"])
    assert list(read_segment(path, PRIVATE, after=0)) == [(1, b"b"), (2, b"c")]
    assert list(read_segment(path, PRIVATE, after=2)) == []


def test_nothing_readable_lies_on_the_disk(tmp_path: Path) -> None:
    path = written(tmp_path, ["用户写了什么".encode() * 100])
    assert "用户".encode() not in path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(read_segment(path, X25519PrivateKey.generate().private_bytes_raw())) == []


@pytest.fixture(params=["one call", "two calls"])
def calls(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A commit is one system call, or two where the kernel or the file system knows no write that is durable by itself."""
    if request.param == "two calls":
        monkeypatch.setattr("guiju.records.spool.growing._DSYNC", 0)
    way: str = request.param
    return way


def test_an_entry_is_acknowledged_only_when_the_disk_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calls: str) -> None:
    reached, go_on = threading.Event(), threading.Event()
    sync, write_through = os.fdatasync, os.pwritev

    def slow(descriptor: int) -> None:
        reached.set()
        assert go_on.wait(10)
        sync(descriptor)

    def slow_through(descriptor: int, contents: tuple[bytes], offset: int, flags: int) -> int:
        assert flags == os.RWF_DSYNC
        reached.set()
        assert go_on.wait(10)
        return write_through(descriptor, contents, offset, flags)

    async def write() -> None:
        writer = SpoolWriter(tmp_path, PUBLIC, worker="w", beside=False)
        await writer.append(b"first")  # makes the segment
        monkeypatch.setattr(*((os, "pwritev", slow_through) if calls == "one call" else (os, "fdatasync", slow)))
        future = writer.append(b"second")
        assert await asyncio.to_thread(reached.wait, 10)
        await asyncio.sleep(0)
        assert not future.done()
        go_on.set()
        await future
        await writer.close()

    run(write())


def test_waiters_share_a_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commits: list[int] = []
    write = growing.write_durably

    def counted(descriptor: int, content: bytes, offset: int) -> None:
        commits.append(descriptor)
        write(descriptor, content, offset)

    monkeypatch.setattr(growing, "write_durably", counted)

    async def all_write() -> None:
        writer = SpoolWriter(tmp_path, PUBLIC, worker="w", beside=False)

        async def client() -> None:
            for _ in range(20):
                await writer.append(b"x" * 100)

        await asyncio.gather(*[client() for _ in range(32)])
        await writer.close()

    run(all_write())
    assert 0 < len(commits) <= 60  # 640 entries


def test_an_idle_writer_does_not_wake_up(tmp_path: Path) -> None:
    async def write() -> None:
        writer = SpoolWriter(tmp_path, PUBLIC, worker="w")
        await writer.append(b"x")
        assert writer._thread is not None
        status = Path(f"/proc/self/task/{writer._thread.native_id}/status")

        def switches() -> str:
            return next(line for line in status.read_text().splitlines() if line.startswith("voluntary"))

        for _ in range(500):  # until it has gone to sleep
            before = switches()
            await asyncio.sleep(0.02)
            if switches() == before:
                break
        await asyncio.sleep(0.3)
        assert switches() == before
        await writer.close()

    run(write())


def test_no_wake_up_is_lost(tmp_path: Path) -> None:
    """Appends at every moment of the writer's cycle: each must be answered."""

    async def write() -> None:
        writer = SpoolWriter(tmp_path, PUBLIC, worker="w")
        random = Random(1)
        for _ in range(300):
            await asyncio.wait_for(writer.append(b"x"), 10)
            if random.random() < 0.5:
                await asyncio.sleep(random.random() / 500)
        await writer.close()

    run(write())


def test_what_comes_while_the_disk_writes_is_written_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In `_answer`, without the look at the queue, nobody would hand it over."""
    reached, go_on = threading.Event(), threading.Event()
    write = growing.write_durably

    def slow(descriptor: int, content: bytes, offset: int) -> None:
        reached.set()
        assert go_on.wait(10)
        write(descriptor, content, offset)

    async def append() -> None:
        writer = SpoolWriter(tmp_path, PUBLIC, worker="w", beside=False)
        monkeypatch.setattr(growing, "write_durably", slow)
        first = writer.append(b"first")
        assert await asyncio.to_thread(reached.wait, 10)
        late = [writer.append(b"late") for _ in range(3)]
        assert not first.done()
        go_on.set()
        await asyncio.wait_for(asyncio.gather(first, *late), 5)
        await writer.close()

    run(append())


def test_many_that_wait_are_not_kept_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "GATHER_MS", 60_000)

    async def append() -> None:
        writer = SpoolWriter(tmp_path, PUBLIC, worker="w")
        await writer.append(b"first")
        waiting = [writer.append(b"x") for _ in range(spool.GATHER_ENOUGH - 1)]
        await asyncio.sleep(0.05)
        assert not any(each.done() for each in waiting)
        await asyncio.wait_for(asyncio.gather(*waiting, writer.append(b"x")), 5)
        rest = writer.append(b"closing does not wait either")
        await asyncio.wait_for(writer.close(), 5)
        await rest

    run(append())


def test_a_full_segment_is_followed_by_another(tmp_path: Path) -> None:
    written: list[int] = []

    async def write() -> None:
        writer = SpoolWriter(tmp_path, PUBLIC, worker="w", segment_bytes=10_000)
        while len(list_segments(tmp_path)) < 5:  # the last has one entry then, and is not full
            written.append(len(written))
            await writer.append(bytes([written[-1]]) * 3_000)
        *ended, last = list_segments(tmp_path)
        assert [is_abandoned(path) for path in ended] == [True] * len(ended)
        assert not is_abandoned(last)
        await writer.close()
        assert is_abandoned(last)

    run(write())
    found = [raw[0] for path in list_segments(tmp_path) for _, raw in read_segment(path, PRIVATE)]
    assert found == written
    assert len(found) <= 25


def test_a_tail_torn_at_any_byte_ends_the_reading_silently(tmp_path: Path) -> None:
    entries = [b"one" * 30, b"two" * 30, b"three" * 30]
    raw = torn(tmp_path / "whole", entries)
    last = len(raw) - FRAME.size - 16 - len(entries[-1])
    path = tmp_path / list_segments(tmp_path / "whole")[0].name
    for cut in range(last, len(raw)):
        for tail in (b"", bytes(4096)):
            path.write_bytes(raw[:cut] + tail)
            kept = [entry for _, entry in read_segment(path, PRIVATE)]
            assert kept == entries[:2], cut
    path.write_bytes(raw + bytes(4096))
    assert [entry for _, entry in read_segment(path, PRIVATE)] == entries


@pytest.mark.parametrize("number", range(3))
def test_any_flipped_bit_is_noticed_and_costs_one_entry(tmp_path: Path, number: int) -> None:
    entries = [b"one" * 5, b"two" * 5, b"three" * 5]
    path = written(tmp_path, entries)
    raw = path.read_bytes()
    start = HEADER_BYTES + sum(FRAME.size + 16 + len(entry) for entry in entries[:number])
    for at in range(start, start + FRAME.size + 16 + len(entries[number])):
        for bit in (0, 3, 7):
            path.write_bytes(raw[:at] + bytes([raw[at] ^ 1 << bit]) + raw[at + 1 :])
            damage: list[Damage] = []
            kept = [entry for _, entry in read_segment(path, PRIVATE, on_damage=damage.append)]
            assert kept == entries[:number] + entries[number + 1 :], at
            assert [(each.counter, each.offset, each.lost) for each in damage] == [(number, start, 1)]
            # Behind a cursor that has passed the damage it is not reported again.
            assert list(read_segment(path, PRIVATE, after=2)) == []
    with pytest.raises(GuijuError) as told:
        list(read_segment(path, PRIVATE))
    assert told.value.code is SPOOL_DAMAGED


def test_a_frame_overwritten_with_zeros_is_noticed(tmp_path: Path) -> None:
    entries = [b"one" * 5, b"two" * 5, b"three" * 5]
    path = written(tmp_path, entries)
    start = HEADER_BYTES + FRAME.size + 16 + len(entries[0])
    with path.open("r+b") as file:
        file.seek(start)
        file.write(bytes(FRAME.size + 16 + len(entries[1])))
    damage: list[Damage] = []
    assert [raw for _, raw in read_segment(path, PRIVATE, on_damage=damage.append)] == [entries[0], entries[2]]
    assert damage == [Damage(1, start, 1)]


def test_a_damaged_header_is_an_error(tmp_path: Path) -> None:
    path = written(tmp_path, [b"entry"])
    raw = path.read_bytes()
    for at in range(8 + 33):
        path.write_bytes(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])
        with pytest.raises(GuijuError) as told:
            list(read_segment(path, PRIVATE))
        assert told.value.code is SPOOL_DAMAGED


@pytest.mark.parametrize("refusal", [errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS])
def test_where_no_write_is_durable_by_itself_the_disk_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusal: int) -> None:
    """Without the second way the entry would be refused, or acknowledged before the disk has it."""
    synced: list[int] = []
    sync = os.fdatasync

    def refused(*_: object) -> int:
        raise OSError(refusal, "not here")

    def noted(descriptor: int) -> None:
        synced.append(descriptor)
        sync(descriptor)

    monkeypatch.setattr(os, "pwritev", refused)
    monkeypatch.setattr(os, "fdatasync", noted)

    async def write() -> None:
        writer = SpoolWriter(tmp_path, PUBLIC, worker="w", beside=False)
        await writer.append(b"entry")
        assert synced
        await writer.close()

    run(write())
    assert [raw for path in list_segments(tmp_path) for _, raw in read_segment(path, PRIVATE)] == [b"entry"]


def test_a_segment_under_another_name_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, [b"entry"])
    copy = path.with_name("Z" + path.name[1:])
    copy.write_bytes(path.read_bytes())
    with pytest.raises(GuijuError):
        list(read_segment(copy, PRIVATE))


@pytest.mark.parametrize("defect", ["disk_full", "disk_full_half_way", "sync_fails"])
def test_a_disk_that_refuses_acknowledges_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, defect: str, calls: str) -> None:
    write_to_disk, write_through, sync, broken = os.pwrite, os.pwritev, os.fdatasync, threading.Event()

    def pwrite(descriptor: int, content: bytes, offset: int) -> int:
        if broken.is_set() and defect == "disk_full":
            raise OSError(errno.ENOSPC, "no space")
        if broken.is_set() and defect == "disk_full_half_way":
            if len(content) < 100:
                raise OSError(errno.ENOSPC, "no space")
            return write_to_disk(descriptor, content[: len(content) // 2], offset)
        return write_to_disk(descriptor, content, offset)

    def fdatasync(descriptor: int) -> None:
        if broken.is_set() and defect == "sync_fails":
            raise OSError(errno.EIO, "input/output error")
        sync(descriptor)

    def pwritev(descriptor: int, contents: tuple[bytes], offset: int, flags: int) -> int:
        if broken.is_set() and defect == "sync_fails":
            raise OSError(errno.EIO, "input/output error")
        if broken.is_set():
            return pwrite(descriptor, contents[0], offset)
        return write_through(descriptor, contents, offset, flags)

    monkeypatch.setattr(os, "pwrite", pwrite)
    monkeypatch.setattr(os, "pwritev", pwritev)
    monkeypatch.setattr(os, "fdatasync", fdatasync)

    async def write() -> None:
        writer = SpoolWriter(tmp_path, PUBLIC, worker="w", beside=False)
        await writer.append(b"before")
        broken.set()
        futures = [writer.append(b"lost %d" % number * 50) for number in range(3)]
        for problem in await asyncio.gather(*futures, return_exceptions=True):
            assert isinstance(problem, GuijuError)
            assert problem.code is SPOOL_UNWRITABLE
            assert (problem.code.status, problem.code.retry) == (503, True)
        broken.clear()
        await writer.append(b"after")
        await writer.close()

    run(write())
    assert [raw for path in list_segments(tmp_path) for _, raw in read_segment(path, PRIVATE)] == [b"before", b"after"]


def test_a_full_spool_refuses_at_once_and_takes_again_when_drained(tmp_path: Path) -> None:
    async def write() -> None:
        writer = SpoolWriter(tmp_path, PUBLIC, worker="w", limit_bytes=3 * 2**20, segment_bytes=2**19)
        for _ in range(3):
            await writer.append(bytes(2**18))

        async def fill() -> None:
            for _ in range(100):
                await writer.append(bytes(2**18))

        with pytest.raises(GuijuError) as refused:
            await fill()
        assert refused.value.code is SPOOL_FULL
        assert (refused.value.code.status, refused.value.code.retry) == (503, True)
        for path in list_segments(tmp_path):
            if is_abandoned(path):
                path.unlink()
        deadline = time.monotonic() + 10
        while True:  # it looks at the folder again a few times a second
            try:
                await writer.append(b"again")
                break
            except GuijuError:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.05)
        await writer.close()

    run(write())


def test_an_empty_or_giant_entry_is_refused(tmp_path: Path) -> None:
    async def write() -> None:
        writer = SpoolWriter(tmp_path, PUBLIC, worker="w")
        for entry in (b"", bytes(64 * 2**20 + 1)):
            with pytest.raises(ValueError, match="bytes"):
                writer.append(entry)
        await writer.close()

    run(write())


def test_a_cancelled_waiter_does_not_harm_the_others(tmp_path: Path) -> None:
    async def write() -> None:
        writer = SpoolWriter(tmp_path, PUBLIC, worker="w")
        first, second = writer.append(b"first"), writer.append(b"second")
        first.cancel()
        await second
        await writer.close()

    run(write())
    assert [raw for _, raw in read_segment(list_segments(tmp_path)[0], PRIVATE)] == [b"first", b"second"]


_WRITE_FOR_EVER = """
import asyncio, sys
from pathlib import Path
from guiju.records.spool.writer import SpoolWriter

async def main():
    writer = SpoolWriter(Path(sys.argv[1]), bytes.fromhex(sys.argv[2]), worker="w", segment_bytes=60_000)
    async def client(number):
        count = 0
        while True:
            entry = b"%d:%d:" % (number, count)
            await writer.append(entry + bytes(700))
            sys.stdout.buffer.write(entry + b"\\n")
            sys.stdout.buffer.flush()
            count += 1
    await asyncio.gather(*[client(number) for number in range(8)])

asyncio.run(main())
"""


@pytest.mark.parametrize("seed", range(12))
def test_kill_at_any_instant_loses_no_acknowledged_entry(tmp_path: Path, seed: int) -> None:
    process = subprocess.Popen([sys.executable, "-c", _WRITE_FOR_EVER, str(tmp_path), PUBLIC.hex()], stdout=subprocess.PIPE)
    assert process.stdout is not None
    acknowledged = [process.stdout.readline()]
    threading.Timer(Random(seed).random() / 4, process.kill).start()
    acknowledged += process.stdout.readlines()
    process.wait()
    process.stdout.close()
    assert all(is_abandoned(path) for path in list_segments(tmp_path))
    found = [raw[:-700] + b"\n" for path in list_segments(tmp_path) for _, raw in read_segment(path, PRIVATE)]
    assert len(found) == len(set(found))
    lost = {line for line in acknowledged if line.endswith(b"\n")} - set(found)
    assert not lost
