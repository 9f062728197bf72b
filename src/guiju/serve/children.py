"""One child process: how it is started, what its end means, when it is started anew."""

import logging
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

RUNS_WELL_S: Final = 10.0
"""A child that ran this long before it ended is started anew at once."""
WAITS_S: Final = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
"""Waits before the first, second, … start after ends in quick succession."""

log = logging.getLogger("guiju.serve")


class After(Enum):
    """What the end of a child means."""

    RESTART = "restart"
    """It should run always: start it anew."""
    DONE = "done"
    """It has one task: status 0 is the end of it, everything else is tried again."""
    DONE_OR_LEAVE = "done or leave"
    """It has one task without which nothing can run: any other status ends the supervisor with that status."""
    FORGET = "forget"
    """It has one task; its status is logged."""


class Priority(Enum):
    """Who waits for whom when the cores do not suffice for all."""

    LIVE = "live"
    """Answers: nothing comes before them."""
    BACKGROUND = "background"
    """What must keep up, but may be late: it takes no core from an answer that has just arrived."""
    PAGES = "pages"
    """Pages and jobs: they run on what the others leave, and stop in the middle of their turn when one of those wakes."""


_NICENESS: Final = {Priority.LIVE: 0, Priority.BACKGROUND: 10, Priority.PAGES: 15}


@dataclass(frozen=True, slots=True)
class Plan:
    """How one child is run. `{fd}` in the command becomes the number of the inherited socket."""

    name: str
    command: tuple[str, ...]
    after: After = After.RESTART
    stop_order: int = 2
    """Children of a lower order end before those of a higher one are told to."""
    stop_within_s: float = 15.0
    listener: socket.socket | None = None
    priority: Priority = Priority.LIVE
    environment: Mapping[str, str] | None = None
    waits_for: int | None = None
    """Descriptor of a pipe, `{go}` in the command: the process gets ready and goes on when the pipe's other end is closed."""


class Child:
    """A plan and the process that carries it out."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.starts = 0
        self.start_at: float | None = None
        """When to start it anew (monotonic seconds); None while it runs or is over."""
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._quick_ends = 0

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self._process.pid if self._process is not None else None

    def start(self, environment: Mapping[str, str]) -> None:
        """Start the process. It gets its own process group, so that Ctrl-C reaches the supervisor alone."""
        plan = self.plan
        descriptors = {}
        if plan.listener is not None:
            descriptors["{fd}"] = plan.listener.fileno()
        if plan.waits_for is not None:
            descriptors["{go}"] = plan.waits_for
        command = list(plan.command)
        for name, number in descriptors.items():
            command = [part.replace(name, str(number)) for part in command]
        self.start_at = None
        self.starts += 1
        self._started_at = time.monotonic()
        self._process = subprocess.Popen(
            command,
            env={**environment, **(plan.environment or {})},
            pass_fds=tuple(descriptors.values()),
            stdin=subprocess.DEVNULL,
            process_group=0,
        )
        try:
            _give_way(self._process.pid, plan.priority)
        except OSError as problem:  # it may be gone already: then its end is seen next
            log.debug("%s keeps its priority: %s", plan.name, problem)

    def find_end(self) -> int | None:
        """Return the status with which the process has ended since it was last asked; None when it has not."""
        if self._process is None:
            return None
        status = self._process.poll()
        if status is not None:
            self._process = None
        return status

    def plan_restart(self) -> float:
        """Set when it is started anew and return the wait in seconds: none for the first end, longer for each quick one."""
        ran_s = time.monotonic() - self._started_at
        self._quick_ends = 0 if ran_s >= RUNS_WELL_S else self._quick_ends + 1
        wait_s = WAITS_S[min(max(self._quick_ends - 1, 0), len(WAITS_S) - 1)]
        self.start_at = time.monotonic() + wait_s
        return wait_s

    def send(self, sent: signal.Signals) -> None:
        """Send a signal to the process, if it runs; a kill goes to all that it started."""
        if self._process is not None and self._process.poll() is None:
            if sent is signal.SIGKILL:
                os.killpg(self._process.pid, sent)
            else:
                self._process.send_signal(sent)


def _give_way(pid: int, priority: Priority) -> None:
    """Let a process that has just started wait for others as its priority says; its threads inherit it."""
    if priority is Priority.LIVE:
        return
    os.setpriority(os.PRIO_PROCESS, pid, max(_NICENESS[priority], os.getpriority(os.PRIO_PROCESS, pid)))
    if hasattr(os, "SCHED_IDLE"):  # Linux: niceness alone lets it end its turn of some milliseconds before an answer goes on
        os.sched_setscheduler(pid, os.SCHED_IDLE if priority is Priority.PAGES else os.SCHED_BATCH, os.sched_param(0))


def told_status(status: int) -> str:
    """Return how a process ended, in words: `status 2`, or `SIGKILL`."""
    if status >= 0:
        return f"status {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"
