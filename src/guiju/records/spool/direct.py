"""Writing past the page cache and beside the loop: a commit that needs neither a thread nor the interpreter's lock while the disk works.

Linux's own asynchronous input and output: the kernel is handed a buffer, and an event descriptor tells the loop when the disk has it. A
thread that waits for the disk has to get the interpreter's lock back each time, from a loop that is busy answering: that costs as much as
the write. Elsewhere, and where the kernel, the sandbox or the file system does not do it, `Direct` cannot be made or says so when asked.
Source: io_submit(2), eventfd(2), open(2) (O_DIRECT).
"""

import asyncio
import ctypes
import mmap
import os
import platform
import struct
import sys
from collections.abc import Callable
from typing import Final

BLOCK_BYTES: Final = 4_096
"""Places and lengths are multiples of this."""
BUFFER_BYTES: Final = 2**20
"""No write is larger."""
FLAG: Final[int] = getattr(os, "O_DIRECT", 0)

_NUMBERS: Final = {"x86_64": (206, 207, 208, 209), "aarch64": (0, 1, 4, 2), "riscv64": (0, 1, 4, 2)}
"""The numbers of io_setup, io_destroy, io_getevents and io_submit, which no library wraps."""
_IOCB: Final = struct.Struct("=QIiHhIQQqQII")
"""data ‖ key ‖ flags of the write ‖ operation ‖ priority ‖ descriptor ‖ buffer ‖ bytes ‖ offset ‖ 0 ‖ flags ‖ event descriptor."""
_EVENT: Final = struct.Struct("=QQqq")
"""data ‖ request ‖ result ‖ second result."""
_PWRITE: Final = 1
_TELL_DESCRIPTOR: Final = 1
_DSYNC: Final[int] = getattr(os, "RWF_DSYNC", 0)


class Direct:
    """One write at a time, told to `done` on the loop: how many bytes are on the disk, or an error number below zero."""

    def __init__(self, loop: asyncio.AbstractEventLoop, done: Callable[[int], None]) -> None:
        """Raises OSError where this machine cannot do it."""
        able = sys.platform == "linux" and sys.byteorder == "little" and FLAG and _DSYNC and hasattr(os, "eventfd")
        numbers = _NUMBERS.get(platform.machine()) if able else None
        if numbers is None:
            raise OSError(f"no asynchronous writes on {sys.platform} {platform.machine()}")
        setup, self._destroy, self._get_events, self._submit = numbers
        self._call = ctypes.CDLL(None, use_errno=True).syscall
        self._call.restype = ctypes.c_long
        context = ctypes.c_ulong(0)
        if self._call(setup, 1, ctypes.byref(context)):
            raise OSError(ctypes.get_errno(), "io_setup")
        self._context = ctypes.c_ulong(context.value)
        self._loop, self._done = loop, done
        self._told = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._buffer = mmap.mmap(-1, BUFFER_BYTES)
        self._held = ctypes.c_char.from_buffer(self._buffer)
        self._address = ctypes.addressof(self._held)
        self._request = ctypes.create_string_buffer(_IOCB.size)
        self._requests = (ctypes.c_void_p * 1)(ctypes.addressof(self._request))
        self._event = ctypes.create_string_buffer(_EVENT.size)
        loop.add_reader(self._told, self._ready)

    def write(self, descriptor: int, before: bytes, content: bytes, offset: int) -> int:
        """Begin to write and return how many bytes that are: `before`, `content`, and zeros up to the end of the block. Raises OSError: nothing
        was begun.

        `descriptor` was opened with `FLAG`, `offset` is a multiple of `BLOCK_BYTES`, and there is at most one write at a time.
        """
        begin, end = len(before), len(before) + len(content)
        size = -(-end // BLOCK_BYTES) * BLOCK_BYTES
        buffer = self._buffer
        buffer[:begin] = before
        buffer[begin:end] = content
        buffer[end:size] = bytes(size - end)
        _IOCB.pack_into(
            self._request, 0, 0, 0, _DSYNC, _PWRITE, 0, descriptor, self._address, size, offset, 0, _TELL_DESCRIPTOR, self._told
        )  # fmt: skip
        if self._call(self._submit, self._context, ctypes.c_long(1), self._requests) != 1:
            raise OSError(ctypes.get_errno(), "io_submit")
        return size

    def close(self) -> None:
        """Let go of what the kernel holds; it waits for a write that is under way."""
        self._loop.remove_reader(self._told)
        self._call(self._destroy, self._context)
        os.close(self._told)
        del self._held
        self._buffer.close()

    def _ready(self) -> None:
        os.eventfd_read(self._told)
        if self._call(self._get_events, self._context, ctypes.c_long(1), ctypes.c_long(1), self._event, None) == 1:
            self._done(_EVENT.unpack(self._event)[2])
