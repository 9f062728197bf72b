"""The spool: where a worker writes entries durably before the answers they belong to end.

Group commit. `append` only queues, on the loop thread, and the loop hands over what has gathered: one batch at a time, two milliseconds
apart unless many wait, or most of those who could. The writer thread seals a batch, writes it with one system call that returns when the
disk has it, and resolves all its futures with one call into the loop. It asks for the interpreter's lock as seldom as that can be done,
twice for a batch. Idle, it sleeps; it wakes once, to let go of a segment in which nothing has moved for a minute.

The folder is bounded. When it is full, new requests are refused before anything of them is recorded; what closes an answer
that has begun is still taken, so that nothing stays half-recorded: there is at most one such entry for each open answer.

An entry may be recorded although its answer's last byte never arrived; the reverse cannot happen.
Source: Measures Art. 9; Cybersecurity Law Art. 23 (network logs).
"""

import asyncio
import contextlib
import errno
import fcntl
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from guiju.core.clock import now_us
from guiju.core.errors import GuijuError, Text, define
from guiju.core.ids import new_id
from guiju.records.spool.segment import (
    ENTRY_LIMIT_BYTES,
    FRAME,
    HEADER_BYTES,
    SEGMENT_ID_CHARACTERS,
    SUFFIX,
    TAG_BYTES,
    WRITER_SUFFIX,
    header,
    read_segment,
    segment_key,
)

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
_GROW_BYTES: Final = 2**20
_ZEROS: Final = bytes(_GROW_BYTES)
_DSYNC: Final[int] = getattr(os, "RWF_DSYNC", 0)
"""Linux: this write is on the disk when the call returns, as after `fdatasync`."""
_LOOK_AGAIN_S: Final = 1.0
_IDLE_S: Final = 60.0
_SEGMENTS_IN_LIMIT: Final = 8
_LEAST_SEGMENT_BYTES: Final = 2**16


_Waiting = tuple[bytes, asyncio.Future[None]]
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
    ) -> None:
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
        self._handed_at = 0.0
        self._next: asyncio.Handle | None = None
        """The hand-over of the next batch, when one is due."""
        self._at_once = False
        """It does not wait for its time."""
        self._busy = False
        self._batches: SimpleQueue[list[_Waiting] | None] = SimpleQueue()
        """To the thread: what to write; nothing to write, to let go of the segment; None to end."""
        self._thread: threading.Thread | None = None
        self._segment: _Segment | None = None

    def append(self, raw_entry: bytes, *, owed: bool = False) -> asyncio.Future[None]:
        """Queue one entry and return a future that resolves when it is on the disk.

        The future fails with SPOOL-UNWRITABLE when the disk refuses; then nothing of the entry is acknowledged.
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
        future: asyncio.Future[None] = loop.create_future()
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
        """Commit what is queued, end the segment and stop the thread. Nothing may be appended afterwards."""
        if self._thread is not None:
            self._hand_over()
            self._batches.put(None)
            await asyncio.to_thread(self._thread.join)

    def _start(self) -> asyncio.AbstractEventLoop:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._write_batches, name=f"spool {self._worker}", daemon=True)
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
        """Give the thread what has gathered."""
        self._next = None
        if self._queue:
            self._busy = True
            self._handed_at = time.monotonic()
            batch, self._queue = self._queue, []
            self._batches.put(batch)

    def _answer(self, batch: "list[_Waiting]", error: GuijuError | None) -> None:
        """On the loop: tell everybody in the batch, and see to the next."""
        for _, future in batch:
            if not future.done():
                if error is None:
                    future.set_result(None)
                else:
                    future.set_exception(error)
        self._busy = False
        if self._queue and self._next is None and self._loop is not None:
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
            self._used_bytes = _folder_bytes(self._folder)
            self._looked_at = now
        if self._used_bytes + size_bytes > self.limit_bytes:
            if self._segment is not None and self._batches.empty() and not self._busy:
                # What the recorder has read of this writer's own segment comes free only when the segment ends.
                self._batches.put([])
            raise GuijuError(SPOOL_FULL, used_bytes=self._used_bytes, limit_bytes=self.limit_bytes)

    # ── the writer thread ────────────────────────────────────────────────────────────────────────────────────────────

    def _write_batches(self) -> None:
        assert self._loop is not None
        while (batch := self._next_batch()) is not None:
            if not batch:
                self._let_go()
                continue
            error = self._commit(batch)
            try:
                self._loop.call_soon_threadsafe(self._answer, batch, error)
            except RuntimeError:  # the loop was closed under us: nobody is left to be told
                return
            self._prepare()
        self._let_go()
        if self._life is not None:
            with contextlib.suppress(OSError):
                os.close(self._life)

    def _next_batch(self) -> "list[_Waiting] | None":
        """Wait for the next batch; nothing to write when a segment has lain idle for long."""
        try:
            return self._batches.get(timeout=_IDLE_S if self._segment is not None else None)
        except Empty:
            return []

    def _let_go(self) -> None:
        segment, self._segment = self._segment, None
        if segment is not None:
            with contextlib.suppress(OSError):
                segment.end()

    def _commit(self, batch: "list[_Waiting]") -> GuijuError | None:
        """Seal and write the batch; return what the waiters are told."""
        try:
            if self._life is None:
                self._life = _locked_file(self._folder, self.id + WRITER_SUFFIX, b"")
            if self._segment is None:
                self._segment = _Segment(self._folder, self._recorder, self._next_name())
            self._segment.write([raw for raw, _ in batch])
        except Exception as problem:  # whatever it was, waiters are told and the thread lives on
            if self._segment is not None:
                with contextlib.suppress(OSError):
                    self._segment.end(failed=True)
                self._segment = None
            reason = os.strerror(problem.errno) if isinstance(problem, OSError) and problem.errno else repr(problem)
            return GuijuError(SPOOL_UNWRITABLE, reason=reason, folder=self._folder)
        return None

    def _next_name(self) -> str:
        self._segments += 1
        return f"{self.id}-{self._segments:06d}-{self._worker}{SUFFIX}"

    def _prepare(self) -> None:
        """After a commit: end a full segment, write zeros ahead, count the folder now and then."""
        segment = self._segment
        try:
            if segment is not None and segment.end_bytes >= self._segment_bytes:
                self._segment = None
                segment.end()
            elif segment is not None:
                segment.grow()
        except OSError:  # the next commit meets the same disk and tells its waiters
            pass
        now = time.monotonic()
        if now - self._looked_at > _LOOK_AGAIN_S:
            self._used_bytes = _folder_bytes(self._folder)
            self._looked_at = now


class _Segment:
    """A segment being written. Ends at `end_bytes`; behind it lie zeros."""

    def __init__(self, folder: Path, recorder: bytes, file_name: str) -> None:
        name = file_name[:SEGMENT_ID_CHARACTERS]
        secret = X25519PrivateKey.generate()
        ephemeral = secret.public_key().public_bytes_raw()
        shared = secret.exchange(X25519PublicKey.from_public_bytes(recorder))
        self._cipher = AESGCM(segment_key(shared, name, ephemeral, recorder))
        self._name = name.encode()
        self._counter = 0
        self.end_bytes = self._size_bytes = HEADER_BYTES
        self._descriptor = _locked_file(folder, file_name, header(name, ephemeral, now_us()))

    def write(self, entries: list[bytes]) -> None:
        """Seal and write entries; they are on the disk when this returns. Raises OSError."""
        content = self._sealed(entries)
        self.grow(len(content))
        _write_durably(self._descriptor, content, self.end_bytes)
        self.end_bytes += len(content)
        self._counter += len(entries)

    def _sealed(self, entries: list[bytes]) -> bytes:
        pack, encrypt, name, counter = FRAME.pack, self._cipher.encrypt, self._name, self._counter
        parts: list[bytes] = []
        for raw in entries:
            number = counter.to_bytes(4, "little")
            parts.append(pack(len(raw) + TAG_BYTES, counter))
            parts.append(encrypt(number + b"\0\0\0\0\0\0\0\0", raw, name + number))
            counter += 1
        return b"".join(parts)

    def grow(self, ahead_bytes: int = _GROW_BYTES // 4) -> None:
        """Keep at least `ahead_bytes` of zeros behind the end. Written, not only reserved: a commit over written bytes
        changes no file metadata and costs a third less."""
        while self._size_bytes - self.end_bytes < ahead_bytes:
            start = max(self._size_bytes, self.end_bytes)
            os.posix_fallocate(self._descriptor, start, _GROW_BYTES)
            _write_all(self._descriptor, _ZEROS, start)
            self._size_bytes = start + _GROW_BYTES

    def end(self, *, failed: bool = False) -> None:
        """Cut the zeros and what was not committed, set the end mark, and let go of the file and its key.

        After a failed write there is no mark: it would be sealed under a counter that the disk may have seen.
        """
        try:
            os.ftruncate(self._descriptor, self.end_bytes)
            if not failed:
                _write_all(self._descriptor, self._sealed([b""]), self.end_bytes)
            os.fdatasync(self._descriptor)
        finally:
            os.close(self._descriptor)


def _locked_file(folder: Path, name: str, content: bytes) -> int:
    """Make a file and return the descriptor that holds its lock.

    It is locked and filled before it gets its name: whoever sees it unlocked knows that its owner is gone.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = folder / f"{name}.new"
    descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        _write_all(descriptor, content, 0)
        os.fsync(descriptor)
        os.rename(draft, folder / name)
        _sync_folder(folder)
    except BaseException:
        os.close(descriptor)
        with contextlib.suppress(OSError):
            os.unlink(draft)
        raise
    return descriptor


def _write_all(descriptor: int, content: bytes, offset: int) -> None:
    """Write every byte; a disk that fills takes some and refuses the rest."""
    written = os.pwrite(descriptor, content, offset) if content else 0
    while written < len(content):
        written += os.pwrite(descriptor, memoryview(content)[written:], offset + written)


def _write_durably(descriptor: int, content: bytes, offset: int) -> None:
    """Write every byte and return when the disk has them: in one system call where that is possible, for each one gives the lock of
    the interpreter away and waits to get it back.
    """
    if _DSYNC:
        try:
            written = os.pwritev(descriptor, (content,), offset, _DSYNC)
        except OSError as problem:
            if problem.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
                raise
        else:
            if written == len(content):
                return
            content, offset = content[written:], offset + written
    _write_all(descriptor, content, offset)
    os.fdatasync(descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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
