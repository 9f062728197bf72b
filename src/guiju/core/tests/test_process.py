"""A child does not outlive its supervisor; who answers may ask for short turns."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from guiju.core.process import SUPERVISOR_PID, take_short_turns

CHILD = "from guiju.core.process import die_with_parent; import pathlib, sys, time; die_with_parent(); pathlib.Path(sys.argv[1]).touch(); time.sleep(60)"
PARENT = (
    "import subprocess, sys, time; p = subprocess.Popen([sys.executable, '-c', *sys.argv[1:]]); print(p.pid, flush=True); time.sleep(60)"
)


def _gone(pid: int) -> bool:
    try:
        return b"State:\tZ" in Path(f"/proc/{pid}/status").read_bytes()
    except OSError:
        return True


def test_ends_when_the_parent_is_killed(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    with subprocess.Popen([sys.executable, "-c", PARENT, CHILD, str(ready)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        deadline = time.monotonic() + 20
        while not ready.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        while not _gone(child) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert _gone(child)


def test_ends_when_the_parent_was_gone_before() -> None:
    code = "from guiju.core.process import die_with_parent; die_with_parent(); print('alive')"
    alive = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, SUPERVISOR_PID: str(os.getpid())}, capture_output=True, text=True, check=True
    )
    orphan = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, SUPERVISOR_PID: "1"}, capture_output=True, text=True, check=True
    )
    assert (alive.stdout, orphan.stdout) == ("alive\n", "")


def test_short_turns_change_nothing_else() -> None:
    """Asked for in a child that gave way before: it must not get its niceness back."""
    code = (
        "import os; from guiju.core.process import take_short_turns; before = os.nice(5); take_short_turns();"
        "print(os.getpriority(os.PRIO_PROCESS, 0) == before, os.sched_getscheduler(0) == os.SCHED_OTHER)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.split() == ["True", "True"]


def test_a_machine_that_knows_no_such_call_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "unknown")
    take_short_turns()
