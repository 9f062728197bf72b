"""What the processes of one service owe each other: a child does not outlive the supervisor, and answers come first."""

import contextlib
import ctypes
import os
import platform
import signal
import struct
import sys
from collections.abc import Iterator
from typing import Final

SUPERVISOR_PID: Final = "GUIJU_SUPERVISOR_PID"
"""Environment variable by which a child knows whose child it was meant to be."""

_PR_SET_PDEATHSIG: Final = 1
_SCHED_SETATTR: Final = {"x86_64": 314, "aarch64": 274, "riscv64": 274}
"""The number of the system call `sched_setattr`, which no library wraps."""
_SCHED_ATTR: Final = struct.Struct("=IIQiIQQQII")
_SHORT_TURN_NS: Final = 100_000
_CAPABILITIES_3: Final = 0x20080522
"""The form in which the kernel takes capabilities: two sets of 32, each effective, permitted, inheritable."""
_CAP_SYS_NICE: Final = 1 << 23


def die_with_parent(sent: signal.Signals = signal.SIGTERM) -> None:
    """Have the kernel send `sent` to this process when its parent ends, however that happens; Linux only, else nothing.

    A parent that ended before this call is noticed too, when it had set SUPERVISOR_PID: then this process exits.
    """
    if not sys.platform.startswith("linux"):
        return
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(sent), 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    expected = os.environ.get(SUPERVISOR_PID, "")
    if expected and expected != str(os.getppid()):
        sys.exit(0)


def take_short_turns() -> None:
    """Ask the kernel for short turns on a core, for this thread and those that it starts: whoever asks for less is let in sooner.

    A process that answers and waits needs no more; it then need not wait until a longer turn of another program ends. Linux 6.12 and
    later; elsewhere it changes nothing, and a refusal is no error.
    """
    number = _SCHED_SETATTR.get(platform.machine()) if sys.platform.startswith("linux") else None
    if number is not None:
        niceness = os.getpriority(os.PRIO_PROCESS, 0)
        asked = _SCHED_ATTR.pack(_SCHED_ATTR.size, os.SCHED_OTHER, 0, niceness, 0, _SHORT_TURN_NS, 0, 0, 0, 0)
        ctypes.CDLL(None).syscall(number, 0, asked, 0)


@contextlib.contextmanager
def without_real_time() -> Iterator[None]:
    """Let nothing that this thread does, or the threads that it starts, take a core for itself while the block runs. Linux; elsewhere nothing.

    SVT-AV1 asks for real-time priority when it runs as root, and would let nothing else run on a machine with few cores.
    """
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "capset"):
        yield
        return
    head, sets = (ctypes.c_uint32 * 2)(_CAPABILITIES_3, 0), (ctypes.c_uint32 * 6)()
    kept = 0
    if libc.capget(head, sets) == 0:
        kept = sets[0]
        sets[0] = kept & ~_CAP_SYS_NICE
        libc.capset(head, sets)
    try:
        yield
    finally:
        if kept:
            sets[0] = kept
            libc.capset(head, sets)
