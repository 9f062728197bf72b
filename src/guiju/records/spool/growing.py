"""A spool segment while it is written (`segment.py` tells how its bytes lie), and files that are durable when a call returns."""

import contextlib
import errno
import fcntl
import mmap
import os
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from guiju.core.clock import now_us
from guiju.core.durable import sync_folder
from guiju.records.spool import direct
from guiju.records.spool.segment import END_SUFFIX, FRAME, HEADER_BYTES, SEGMENT_ID_CHARACTERS, TAG_BYTES, header, segment_key

_GROW_BYTES: Final = 2**20
_ZEROS: Final = mmap.mmap(-1, _GROW_BYTES, prot=mmap.PROT_READ)
"""They begin with a page, as a write past the page cache asks for, and fill no memory."""
_DSYNC: Final[int] = getattr(os, "RWF_DSYNC", 0)
"""Linux: this write is on the disk when the call returns, as after `fdatasync`."""


class GrowingSegment:
    """A segment being written. Ends at `end_bytes`; behind it lie zeros. One at a time may write entries; `make_room` may run beside."""

    def __init__(self, folder: Path, recorder: bytes, file_name: str, *, beside_cache: bool = False) -> None:
        """With `beside_cache`, `descriptor` is for writes past the page cache. Raises OSError."""
        name = file_name[:SEGMENT_ID_CHARACTERS]
        secret = X25519PrivateKey.generate()
        ephemeral = secret.public_key().public_bytes_raw()
        shared = secret.exchange(X25519PublicKey.from_public_bytes(recorder))
        self._cipher = AESGCM(segment_key(shared, name, ephemeral, recorder))
        self._name = name.encode()
        self._counter = 0
        self._last_block = header(name, ephemeral, now_us())
        """What lies in the block in which the segment ends."""
        self.end_bytes = self._size_bytes = HEADER_BYTES
        self._clean_bytes = 0
        """So far the file's zeros are on the disk, and a write past the page cache waits for nothing."""
        self.untouched = True
        """Whether no entry was ever tried: then it may be tried again under the same counter."""
        self.spoilt = False
        """Whether a write past the cache has failed: nothing more may be written."""
        self.path = folder / file_name
        self._descriptor = locked_file(folder, file_name, self._last_block)
        self.descriptor = -1
        if beside_cache:
            with contextlib.suppress(OSError):  # a file system that knows no such thing
                self.descriptor = os.open(self.path, os.O_WRONLY | os.O_CLOEXEC | direct.FLAG)

    def write(self, entries: list[bytes]) -> None:
        """Seal and write entries; they are on the disk when this returns. Raises OSError."""
        content = self.sealed(entries)
        self._grow(len(content))
        self.untouched = False
        write_durably(self._descriptor, content, self.end_bytes)
        self.written(content, len(entries))

    def sealed(self, entries: list[bytes]) -> bytes:
        """Return the frames of the entries that come next."""
        pack, encrypt, name, counter = FRAME.pack, self._cipher.encrypt, self._name, self._counter
        parts: list[bytes] = []
        for raw in entries:
            number = counter.to_bytes(4, "little")
            parts.append(pack(len(raw) + TAG_BYTES, counter))
            parts.append(encrypt(number + b"\0\0\0\0\0\0\0\0", raw, name + number))
            counter += 1
        return b"".join(parts)

    def is_to_end(self) -> bool:
        """Return whether the recorder asks for the end: something in front of the newest entries cannot be read, and may be a write under way."""
        return os.access(self.path.with_suffix(END_SUFFIX), os.F_OK)

    def has_room(self, size_bytes: int) -> bool:
        """Tell whether so many bytes can be written past the page cache now."""
        return self.end_bytes + size_bytes + direct.BLOCK_BYTES <= self._clean_bytes

    def last_block(self) -> tuple[bytes, int]:
        """Return what lies in the block in which the segment ends, and where that begins: what is written past the page cache begins with it."""
        return self._last_block, self.end_bytes - len(self._last_block)

    def written(self, content: bytes, count: int) -> None:
        """Note that so many entries are on the disk: `content`, as `sealed` gave it."""
        self.untouched = False
        self.end_bytes += len(content)
        kept = self.end_bytes % direct.BLOCK_BYTES
        if kept > len(content):
            content = self._last_block + content
        self._last_block = content[len(content) - kept :]
        self._counter += count

    def make_room(self) -> None:
        """Keep zeros behind the end. Written, not only reserved: a commit over written bytes changes no file metadata and costs a third
        less. Raises OSError.
        """
        if self.descriptor < 0:
            self._grow(_GROW_BYTES // 4)
            return
        if self._clean_bytes < self._size_bytes:
            os.fdatasync(self._descriptor)
            os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            self._clean_bytes = self._size_bytes
        while self._clean_bytes - self.end_bytes < _GROW_BYTES // 2:
            os.posix_fallocate(self._descriptor, self._size_bytes, _GROW_BYTES)
            if os.pwritev(self.descriptor, (_ZEROS,), self._size_bytes, _DSYNC) < _GROW_BYTES:
                return
            self._size_bytes += _GROW_BYTES
            self._clean_bytes = self._size_bytes

    def _grow(self, ahead_bytes: int) -> None:
        while self._size_bytes - self.end_bytes < ahead_bytes:
            start = self._size_bytes
            until = start + _GROW_BYTES - start % _GROW_BYTES
            os.posix_fallocate(self._descriptor, start, until - start)
            _write_all(self._descriptor, memoryview(_ZEROS)[: until - start], start)
            self._size_bytes = until

    def end(self, *, failed: bool = False) -> None:
        """Cut the zeros and what was not committed, set the end mark, and let go of the file and its key.

        After a failed write there is no mark: it would be sealed under a counter that the disk may have seen. The block that was acknowledged in
        part is written anew, and whole: a disk that did not take it may not give it back either, and for less than a block, or to cut one, the
        kernel would have to read it first. Raises OSError: what could be done was done.
        """
        try:
            try:
                if failed and self._last_block:
                    block = self._last_block.ljust(direct.BLOCK_BYTES, b"\0")
                    _write_all(self._descriptor, block, self.end_bytes - len(self._last_block))
            finally:
                os.ftruncate(self._descriptor, self.end_bytes)
                if not failed:
                    _write_all(self._descriptor, self.sealed([b""]), self.end_bytes)
                os.fdatasync(self._descriptor)
        finally:
            os.close(self._descriptor)
            if self.descriptor >= 0:
                os.close(self.descriptor)


def locked_file(folder: Path, name: str, content: bytes) -> int:
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
        sync_folder(folder)
    except BaseException:
        os.close(descriptor)
        with contextlib.suppress(OSError):
            os.unlink(draft)
        raise
    return descriptor


def _write_all(descriptor: int, content: bytes | memoryview, offset: int) -> None:
    """Write every byte; a disk that fills takes some and refuses the rest."""
    written = os.pwrite(descriptor, content, offset) if content else 0
    while written < len(content):
        written += os.pwrite(descriptor, memoryview(content)[written:], offset + written)


def write_durably(descriptor: int, content: bytes, offset: int) -> None:
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
