"""What the processes of one service owe each other: a child does not outlive the supervisor, and answers come first."""

import ctypes
import os
import platform
import signal
import struct
import sys
from typing import Final

SUPERVISOR_PID: Final = "GUIJU_SUPERVISOR_PID"
"""Environment variable by which a child knows whose child it was meant to be."""

_PR_SET_PDEATHSIG: Final = 1
_SCHED_SETATTR: Final = {"x86_64": 314, "aarch64": 274, "riscv64": 274}
"""The number of the system call `sched_setattr`, which no library wraps."""
_SCHED_ATTR: Final = struct.Struct("=IIQiIQQQII")
_SHORT_TURN_NS: Final = 100_000


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
