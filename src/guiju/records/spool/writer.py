"""The spool: where a worker writes entries durably before the answers they belong to end.

Group commit. `append` only queues, on the loop thread, and the loop hands over what has gathered: one batch at a time, two milliseconds
apart unless many wait, or most of those who could. Where it can (`direct.py`), the loop itself seals the batch and has the kernel write it;
all else that touches the disk is done by a thread: it makes segments, keeps zeros ahead, ends them, counts the folder, and writes batches
where the loop cannot. What is queued for it is done in order, and the loop writes nothing while it may write. Idle, it sleeps.

The folder is bounded. When it is full, new requests are refused before anything of them is recorded; what closes an answer
that has begun is still taken, so that nothing stays half-recorded: there is at most one such entry for each open answer.

An entry may be recorded although its answer's last byte never arrived; the reverse cannot happen.
Source: Measures Art. 9; Cybersecurity Law Art. 23 (network logs).
"""

import asyncio
import contextlib
import logging
import math
import os
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Final

from guiju.core.errors import GuijuError, Text, define
from guiju.core.ids import new_id
from guiju.records.spool.direct import BLOCK_BYTES, BUFFER_BYTES, Direct
from guiju.records.spool.growing import GrowingSegment, locked_file
from guiju.records.spool.segment import ENTRY_LIMIT_BYTES, FRAME, SUFFIX, TAG_BYTES, WRITER_SUFFIX, read_segment

__all__ = ["SPOOL_FULL", "SPOOL_UNWRITABLE", "SpoolWriter", "read_segment"]

SPOOL_UNWRITABLE = define(
    "SPOOL-UNWRITABLE",
    status=503,
    kind="server_error",
    retry=True,
    zh=Text(
        "暂存区写入失败：{reason}。", "本次回答未送达，也未留下半条记录；此前的记录不受影响。", "请稍后重试；运维请检查 {folder} 所在磁盘。"
    ),
    en=Text(
        "The spool could not be written: {reason}.",
        "This answer was not delivered and left no half record; earlier records are safe.",
        "Try again later; operators, check the disk of {folder}.",
    ),
)
SPOOL_FULL = define(
    "SPOOL-FULL",
    status=503,
    kind="server_error",
    retry=True,
    zh=Text(
        "暂存区已满：{used_bytes} 字节，上限 {limit_bytes} 字节。",
        "本次请求未处理，已暂存的记录全部保留。",
        "请稍后重试；运维请检查记录进程是否在运行。",
    ),
    en=Text(
        "The spool is full: {used_bytes} bytes of {limit_bytes}.",
        "This request was not handled; everything already in the spool is kept.",
        "Try again later; operators, check that the recorder runs.",
    ),
)

GATHER_MS: Final = 2.0
GATHER_ENOUGH: Final = 32
"""So many, or two thirds of those who may append, do not wait for the time: a larger batch is not worth an idle core."""
_LOOK_AGAIN_S: Final = 1.0
_IDLE_S: Final = 60.0
_SEGMENTS_IN_LIMIT: Final = 8
_LEAST_SEGMENT_BYTES: Final = 2**16
_FRAME_BYTES: Final = FRAME.size + TAG_BYTES
_ROOM_BYTES: Final = 3 * 2**17
"""When less is left for the loop to write in, the thread makes room."""
_COMPARED: Final = 64
"""After so many writes of its own, the loop looks whether the kernel does them beside it."""

log = logging.getLogger("guiju.records")


class Written(asyncio.Future[None]):
    """Done when an entry is on the disk, or is not taken. The entry is written whether or not anybody waits, so it is not cancelled: whoever is
    cancelled while waiting hears so when the entry's fate is known, and can look at it here.
    """

    __slots__ = ()

    def cancel(self, msg: object = None) -> bool:
        """Change nothing, and say so."""
        del msg
        return False


_Waiting = tuple[bytes, Written]
"""An entry, and who waits for it."""


class SpoolWriter:
    """One worker's writer. Create it and call it on the loop thread only."""

    def __init__(
        self,
        folder: Path,
        recorder_public_key: bytes,
        *,
        worker: str,
        segment_bytes: int = 64 * 2**20,
        limit_bytes: int = 4 * 2**30,
        active: Callable[[], int] = lambda: 2 * GATHER_ENOUGH,
        beside: bool = True,
    ) -> None:
        """Without `beside`, the loop leaves all writing to the thread."""
        self._folder = folder
        self._active = active
        """How many may still append: when most of them wait for the disk, nobody else is waited for."""
        self._recorder = recorder_public_key
        self._worker = worker
        self.id = new_id()
        self._life: int | None = None
        self._segments = 0
        # A drained segment is removed when its writer has ended it: small ones, or they alone would fill a small spool.
        self._segment_bytes = min(segment_bytes, max(limit_bytes // _SEGMENTS_IN_LIMIT, _LEAST_SEGMENT_BYTES))
        self.limit_bytes = limit_bytes
        self._used_bytes = _folder_bytes(folder)
        self._looked_at = time.monotonic()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._queue: list[_Waiting] = []
        self._handed_at = -math.inf
        """When the last batch was handed over, by a clock that may begin when the machine starts; the first of all waits for nobody."""
        self._next: asyncio.Handle | None = None
        """The hand-over of the next batch, when one is due."""
        self._at_once = False
        """It does not wait for its time."""
        self._busy = False
        """A batch is on its way to the disk."""
        self._freed: asyncio.Future[None] | None = None
        """Whoever closes waits for it."""
        self._tasks: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        """To the thread; None to end."""
        self._given = self._done = 0
        """How many tasks in which it may write entries or end the segment were given to the thread, and how many of them it has done."""
        self._thread: threading.Thread | None = None
        self._ended = False
        self._segment: GrowingSegment | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._beside = beside
        self._direct: Direct | None = None
        self._under_way: tuple[list[_Waiting], bytes, int] = ([], b"", 0)
        """What the loop has the kernel write: for whom, the frames, how many bytes of the file."""
        self._making_room = False
        self._direct_writes, self._asking_s, self._writing_s = 0, 0.0, 0.0

    def append(self, raw_entry: bytes, *, owed: bool = False) -> Written:
        """Queue one entry and return a future that resolves when it is on the disk.

        The future fails with SPOOL-UNWRITABLE when the disk refuses, or the spool is closed; then nothing of the entry is acknowledged.
        Raises SPOOL-FULL at once when the folder holds more than its limit, unless the entry is `owed`: it closes what another
        entry began. Raises ValueError for an entry of 0 or over 64 MiB.
        """
        if not 0 < len(raw_entry) <= ENTRY_LIMIT_BYTES:
            raise ValueError(f"an entry of {len(raw_entry)} bytes; a reader takes 1 to {ENTRY_LIMIT_BYTES}")
        used = self._used_bytes + len(raw_entry)
        if used > self.limit_bytes and not owed:
            self.refuse_if_full(len(raw_entry))
            used = self._used_bytes + len(raw_entry)
        self._used_bytes = used
        loop = self._loop or self._start()
        future = Written(loop=loop)
        self._queue.append((raw_entry, future))
        if not self._busy:
            waiting = len(self._queue)
            if self._next is None:
                self._hand_over_soon(loop)
            elif not self._at_once and (waiting >= GATHER_ENOUGH or 3 * waiting >= 2 * self._active()):
                self._next.cancel()
                self._hand_over_at_once(loop)
        return future

    async def close(self) -> None:
        """Commit what is queued, end the segment and stop the thread. What is appended afterwards is not taken."""
        if self._thread is None or self._loop is None:
            return
        while self._busy or self._queue:
            if not self._busy:
                self._hand_over()
            self._freed = self._loop.create_future()
            await self._freed
        if self._idle is not None:
            self._idle.cancel()
        self._ended = True
        self._give(None)  # counted, so that the loop writes nothing more in a segment that is ended now
        await asyncio.to_thread(self._thread.join)
        if self._direct is not None:
            self._direct.close()
            self._direct = None

    def _start(self) -> asyncio.AbstractEventLoop:
        self._loop = asyncio.get_running_loop()
        if self._beside:
            with contextlib.suppress(OSError):
                self._direct = Direct(self._loop, self._written)
        self._thread = threading.Thread(target=self._work, name=f"spool {self._worker}", daemon=True)
        self._thread.start()
        return self._loop

    def _hand_over_soon(self, loop: asyncio.AbstractEventLoop, told: int = 0) -> None:
        """Hand over at the end of this turn of the loop, so that whoever else appends in it comes along; or when it is time again.

        `told` of those who are active have been told just now, and append nothing more.
        """
        rest_s = self._handed_at + GATHER_MS / 1000 - time.monotonic()
        waiting, active = len(self._queue), self._active() - told
        if rest_s <= 0 or waiting >= GATHER_ENOUGH or 3 * waiting >= 2 * active:
            self._hand_over_at_once(loop)
        else:
            self._at_once = False
            self._next = loop.call_later(rest_s, self._hand_over)

    def _hand_over_at_once(self, loop: asyncio.AbstractEventLoop) -> None:
        self._at_once = True
        self._next = loop.call_soon(self._hand_over)

    def _hand_over(self) -> None:
        """Have written what has gathered."""
        if self._next is not None:
            self._next.cancel()
            self._next = None
        if self._queue:
            self._busy = True
            self._handed_at = time.monotonic()
            batch, self._queue = self._queue, []
            if self._ended:  # an entry given to a thread that has ended would be waited for without end
                self._answer(batch, GuijuError(SPOOL_UNWRITABLE, reason="closed", folder=self._folder))
                return
            if not self._write_beside(batch):
                self._give(partial(self._write, batch))
            if self._idle is None and self._loop is not None:
                self._idle = self._loop.call_later(_IDLE_S, self._let_go_if_idle)

    def _give(self, task: Callable[[], None] | None) -> None:
        """Give the thread something in which it has the segment for itself, or None to end with."""
        self._given += 1
        self._tasks.put(task)

    def _let_go_if_idle(self) -> None:
        """End a segment in which nothing has moved for a minute: the recorder can then remove it."""
        self._idle = None
        if self._segment is None or self._loop is None:
            return
        rest_s = self._handed_at + _IDLE_S - time.monotonic()
        if rest_s > 0 or self._busy or self._given != self._done:
            self._idle = self._loop.call_later(max(rest_s, _LOOK_AGAIN_S), self._let_go_if_idle)
        else:
            self._give(self._let_go)

    # ── what the loop has the kernel write ───────────────────────────────────────────────────────────────────────────

    def _write_beside(self, batch: list[_Waiting]) -> bool:
        """Begin to write a batch without the thread; False where that is not possible now, and nothing was begun."""
        direct, segment = self._direct, self._segment
        if direct is None or segment is None or self._given != self._done or self._handed_at - self._looked_at > _LOOK_AGAIN_S:
            return False  # the thread is to count the folder when it has written
        entries = [raw for raw, _ in batch]
        size_bytes = sum(map(len, entries)) + len(entries) * _FRAME_BYTES
        if size_bytes > BUFFER_BYTES - 2 * BLOCK_BYTES or segment.end_bytes >= self._segment_bytes or not segment.has_room(size_bytes):
            return False
        content = segment.sealed(entries)
        before, offset = segment.last_block()
        begun = time.monotonic()
        try:
            self._under_way = batch, content, direct.write(segment.descriptor, before, content, offset)
        except OSError as problem:
            self._leave_to_the_thread(problem)
            return False
        self._asking_s += time.monotonic() - begun
        return True

    def _written(self, result: int) -> None:
        """The kernel has done its write, or not."""
        segment, (batch, content, size_bytes) = self._segment, self._under_way
        assert segment is not None
        if result != size_bytes:
            segment.spoilt = True
            self._leave_to_the_thread(OSError(-result, os.strerror(-result)) if result < 0 else OSError(f"{result} of {size_bytes} bytes"))
            self._give(partial(self._write, batch))  # into another segment
            return
        segment.written(content, len(batch))
        self._answer(batch, None)
        if not self._making_room and not segment.has_room(_ROOM_BYTES):
            self._making_room = True
            self._tasks.put(self._make_room)
        self._direct_writes += 1
        self._writing_s += time.monotonic() - self._handed_at
        if self._direct_writes == _COMPARED:
            if self._asking_s > self._writing_s / 2:
                self._leave_to_the_thread(OSError("the file system writes while it is asked"))
            self._direct_writes, self._asking_s, self._writing_s = 0, 0.0, 0.0

    def _leave_to_the_thread(self, reason: OSError) -> None:
        log.info("the spool of worker %s is written by a thread: %s", self._worker, reason)
        if self._direct is not None:
            self._direct.close()
            self._direct = None

    def _answer(self, batch: "list[_Waiting]", error: GuijuError | None) -> None:
        """On the loop: tell everybody in the batch, and see to the next."""
        for _, future in batch:
            if not future.done():
                if error is None:
                    future.set_result(None)
                else:
                    future.set_exception(error)
        self._busy = False
        freed, self._freed = self._freed, None
        if freed is not None and not freed.done():
            freed.set_result(None)
        elif self._queue and self._next is None and self._loop is not None:
            self._hand_over_soon(self._loop, len(batch))

    @property
    def used_bytes(self) -> int:
        """What the folder holds, as counted within the last second."""
        return self._used_bytes

    def refuse_if_full(self, size_bytes: int = 0) -> None:
        """Raise SPOOL-FULL when the folder with `size_bytes` more is over its limit; it is counted again ten times a second at most."""
        if self._used_bytes + size_bytes <= self.limit_bytes:
            return
        now = time.monotonic()
        if now - self._looked_at > _LOOK_AGAIN_S / 10:
            self._count(now)
        if self._used_bytes + size_bytes > self.limit_bytes:
            if self._segment is not None and self._given == self._done and not self._busy:
                # What the recorder has read of this writer's own segment comes free only when the segment ends.
                self._give(self._let_go)
            raise GuijuError(SPOOL_FULL, used_bytes=self._used_bytes, limit_bytes=self.limit_bytes)

    # ── the thread ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            try:
                task()
            except Exception:  # the loop then leaves all to this thread, which must live on
                log.exception("a task of the spool of worker %s failed", self._worker)
        self._end_segment()
        if self._life is not None:
            with contextlib.suppress(OSError):
                os.close(self._life)

    def _write(self, batch: list[_Waiting]) -> None:
        """Write a batch, tell who waits, and see to what comes next."""
        error = self._commit(batch)
        assert self._loop is not None
        with contextlib.suppress(RuntimeError):  # the loop was closed under us: nobody is left to be told
            self._loop.call_soon_threadsafe(self._answer, batch, error)
        if self._segment is not None and self._segment.end_bytes >= self._segment_bytes:
            self._end_segment()
        now = time.monotonic()
        if now - self._looked_at > _LOOK_AGAIN_S:
            self._count(now)
            if self._segment is not None and self._segment.is_to_end():
                self._end_segment()
        self._done += 1
        self._make_room()

    def _count(self, now: float) -> None:
        """Count the folder; what was counted before stands where that is not possible."""
        self._looked_at = now
        with contextlib.suppress(OSError):
            self._used_bytes = _folder_bytes(self._folder)

    def _make_room(self) -> None:
        """Keep room in the segment; the loop may write in what there is meanwhile."""
        if self._segment is not None:
            with contextlib.suppress(OSError):  # the next commit meets the same disk and tells its waiters
                self._segment.make_room()
        self._making_room = False

    def _let_go(self) -> None:
        self._end_segment()
        self._done += 1

    def _end_segment(self, *, failed: bool = False) -> None:
        segment, self._segment = self._segment, None
        if segment is not None:
            try:
                segment.end(failed=failed)
            except OSError as problem:  # the recorder says what it cannot read
                log.error("the end of the spool segment %s could not be written: %s; check the disk", segment.path, problem)

    def _commit(self, batch: list[_Waiting]) -> GuijuError | None:
        """Seal and write the batch; return what the waiters are told."""
        try:
            if self._life is None:
                self._life = locked_file(self._folder, self.id + WRITER_SUFFIX, b"")
            if self._segment is not None and self._segment.spoilt:
                self._end_segment(failed=True)
            if self._segment is None:
                beside = self._direct is not None
                self._segment = GrowingSegment(self._folder, self._recorder, self._next_name(), beside_cache=beside)
            self._segment.write([raw for raw, _ in batch])
        except Exception as problem:  # whatever it was, waiters are told and the thread lives on
            # One that nothing was tried in is kept: one for each batch that a full disk refuses would fill the folder.
            if self._segment is not None and not self._segment.untouched:
                self._end_segment(failed=True)
            reason = os.strerror(problem.errno) if isinstance(problem, OSError) and problem.errno else repr(problem)
            return GuijuError(SPOOL_UNWRITABLE, reason=reason, folder=self._folder)
        return None

    def _next_name(self) -> str:
        self._segments += 1
        return f"{self.id}-{self._segments:06d}-{self._worker}{SUFFIX}"


def _folder_bytes(folder: Path) -> int:
    """Return the bytes that the spool holds; 0 when there is no folder yet."""
    total = 0
    try:
        for entry in os.scandir(folder):
            with contextlib.suppress(FileNotFoundError):
                total += entry.stat().st_size
    except FileNotFoundError:
        return 0
    return total
