"""Start children in phases, start them anew when they crash, end them in order.

The loop sleeps until a signal, the end of a child, or the next start that is due. SIGTERM or Ctrl-C drains: gateways
first, then the recorder, then the rest; a second one ends everything at once. SIGHUP reloads.
"""

import contextlib
import logging
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from types import FrameType
from typing import Final

from guiju.core.process import SUPERVISOR_PID
from guiju.serve.children import After, Child, Plan, told_status

KILLED: Final = 130
SAME_REQUEST_S: Final = 0.5
"""Two signals so close are one wish to stop: `timeout` and terminals send to a process and to its group."""
_LONGEST_SLEEP_S: Final = 60.0

log = logging.getLogger("guiju.serve")


class Supervisor:
    """Runs phases of children. `run` returns when all of them have ended."""

    def __init__(
        self,
        phases: Sequence[Sequence[Plan]],
        environment: Mapping[str, str],
        *,
        reload: Callable[[], Sequence[Plan]] = lambda: (),
        changed: Callable[["Supervisor"], None] = lambda _: None,
        wait_before: Mapping[int, Callable[[], bool]] | None = None,
    ) -> None:
        """`reload` gives the children that a SIGHUP starts; `changed` is called after every start and end of a child.

        `wait_before` names, for a phase, a condition that must hold before it starts; it is asked whenever the loop
        wakes (`wake` makes it wake).
        """
        self.children: list[Child] = []
        self._phases = list(phases)
        self._begun = 0
        self._environment = {**environment, SUPERVISOR_PID: str(os.getpid())}
        self._reload = reload
        self._changed = changed
        self._wait_before = dict(wait_before or {})
        self._told: list[int] = []
        self._stopping = False
        self._stopped_at = 0.0
        self._status = 0
        self._order = 0
        self._kill_at: float | None = None
        self._listeners: list[socket.socket] = []
        self._wake_read, self._wake_write = socket.socketpair()

    def run(self) -> int:
        """Run until told to stop; return the exit status: 0 after a drain, 130 after a second Ctrl-C, a child's where one must not fail."""
        with self._signals(), self._wake_read, self._wake_write:
            try:
                while not (self._stopping and not self._running()):
                    self._begin_phases()
                    self._start_due()
                    self._sleep()
                    self._obey()
                    self._reap()
                    self._drain()
            finally:
                for child in self._running():  # only after an error of the supervisor itself
                    child.send(signal.SIGKILL)
        return self._status

    def wake(self) -> None:
        """Make the loop look again; may be called from any thread."""
        with contextlib.suppress(OSError):
            self._wake_write.send(b"\0")

    def list_down(self) -> list[str]:
        """Return the names of the children that should run and do not: ended and to be started anew, or waiting for their phase."""
        known = {child.plan.name for child in self.children}
        ended = [child.plan.name for child in self.children if child.pid is None]
        return ended + [plan.name for phase in self._phases[self._begun :] for plan in phase if plan.name not in known]

    # ── starting ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _begin_phases(self) -> None:
        while self._begun < len(self._phases) and not self._stopping and self._may_begin():
            for plan in self._phases[self._begun]:
                self._add(plan)
            self._begun += 1

    def _may_begin(self) -> bool:
        condition = self._wait_before.get(self._begun)
        return not any(child.plan.after in (After.DONE, After.DONE_OR_LEAVE) for child in self.children) and (
            condition is None or condition()
        )

    def _add(self, plan: Plan) -> None:
        if plan.listener is not None and plan.listener not in self._listeners:
            self._listeners.append(plan.listener)
        child = Child(plan)
        self.children.append(child)
        self._start(child)

    def _start(self, child: Child) -> None:
        try:
            child.start(self._environment)
        except OSError as problem:  # no memory or no process left: that passes
            log.error("%s could not be started: %s; again in %g s", child.plan.name, problem, child.plan_restart())
            return
        log.info("%s started, process %s", child.plan.name, child.pid)
        self._changed(self)

    def _start_due(self) -> None:
        now = time.monotonic()
        for child in self.children:
            if child.start_at is not None and child.start_at <= now and not self._stopping:
                self._start(child)

    # ── waiting ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _sleep(self) -> None:
        due = [child.start_at for child in self.children if child.start_at is not None and not self._stopping]
        if self._kill_at is not None:
            due.append(self._kill_at)
        wait_s = max(0.0, min(chain(due, [time.monotonic() + _LONGEST_SLEEP_S])) - time.monotonic())
        if self._told:
            wait_s = 0.0
        select.select([self._wake_read], [], [], wait_s)
        with contextlib.suppress(BlockingIOError):
            self._wake_read.recv(4096)

    def _obey(self) -> None:
        """Do what the signals since the last turn ask for."""
        told, self._told = self._told, []
        for number in told:
            if number == signal.SIGHUP:
                if not self._stopping:
                    for plan in self._reload():
                        self._add(plan)
            elif not self._stopping:
                self._stop(0)
            elif time.monotonic() - self._stopped_at > SAME_REQUEST_S:
                log.warning("told to stop a second time: ending everything at once")
                self._status = KILLED
                for child in self._running():
                    child.send(signal.SIGKILL)

    def _reap(self) -> None:
        for child in list(self.children):
            status = child.find_end()
            if status is None:
                continue
            self._ended(child, status)
            self._changed(self)

    def _ended(self, child: Child, status: int) -> None:
        name, after, told = child.plan.name, child.plan.after, told_status(status)
        over = self._stopping or after is After.FORGET or (status == 0 and after in (After.DONE, After.DONE_OR_LEAVE))
        if over:
            self.children.remove(child)
            log.log(logging.INFO if status == 0 else logging.WARNING, "%s ended with %s", name, told)
        elif after is After.DONE_OR_LEAVE:
            self.children.remove(child)
            log.error("%s ended with %s; nothing can run without it", name, told)
            self._stop(status if status > 0 else 1)
        else:
            wait_s = child.plan_restart()
            log.error("%s ended with %s; starting it anew%s", name, told, f" in {wait_s:g} s" if wait_s else "")

    # ── stopping ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _stop(self, status: int) -> None:
        log.info("stopping: answers under way are finished first")
        self._stopping = True
        self._stopped_at = time.monotonic()
        self._status = status
        for listener in self._listeners:
            listener.close()
        for child in list(self.children):
            if child.pid is None:
                self.children.remove(child)
        self._tell_next()

    def _drain(self) -> None:
        """Once an order of children has ended, tell the next; kill those that take too long."""
        if not self._stopping or self._kill_at is None:
            return
        ordered = [child for child in self._running() if child.plan.stop_order <= self._order]
        if not ordered:
            self._tell_next()
        elif time.monotonic() >= self._kill_at:
            for child in ordered:
                log.warning("%s did not end in time: killed", child.plan.name)
                child.send(signal.SIGKILL)
            self._kill_at = time.monotonic() + _LONGEST_SLEEP_S

    def _tell_next(self) -> None:
        running = self._running()
        self._kill_at = None
        if not running:
            return
        self._order = min(child.plan.stop_order for child in running)
        group = [child for child in running if child.plan.stop_order == self._order]
        for child in group:
            child.send(signal.SIGTERM)
        self._kill_at = time.monotonic() + max(child.plan.stop_within_s for child in group)

    def _running(self) -> list[Child]:
        return [child for child in self.children if child.pid is not None]

    # ── signals ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if number != signal.SIGCHLD:
            self._told.append(number)

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Take the signals while the loop runs; each one also wakes it."""
        self._wake_read.setblocking(False)
        self._wake_write.setblocking(False)
        numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
        before = [(number, signal.signal(number, self._note)) for number in numbers]
        waker = signal.set_wakeup_fd(self._wake_write.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(waker)
            for number, handler in before:
                signal.signal(number, handler)
