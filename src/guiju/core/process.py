"""What the processes of one service owe each other: a child does not outlive the supervisor."""

import ctypes
import os
import signal
import sys
from typing import Final

SUPERVISOR_PID: Final = "GUIJU_SUPERVISOR_PID"
"""Environment variable by which a child knows whose child it was meant to be."""

_PR_SET_PDEATHSIG: Final = 1


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
