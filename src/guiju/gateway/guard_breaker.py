"""The circuit breaker of a guard: after several failures it is left alone for a while, then one request tries whether it is back.

closed ──(failures in the window)──► open ──(its time is over)──► half-open ──(the probe succeeds)──► closed
                                       ▲                             └──(the probe fails)──► open
"""

from collections import deque
from typing import Literal

State = Literal["closed", "open", "half_open"]


class Breaker:
    """The state of one guard in one worker. Seconds of a monotonic clock are passed in."""

    __slots__ = ("_failed_at", "_failures", "_open_s", "_opened_at", "_probes", "_window_s", "state")

    def __init__(self, *, failures: int, window_s: float, open_s: float) -> None:
        self.state: State = "closed"
        self._failures = failures
        self._window_s = window_s
        self._open_s = open_s
        self._failed_at: deque[float] = deque(maxlen=failures)
        self._opened_at = 0.0
        self._probes = False

    def admits(self, now: float) -> bool:
        """Tell whether a request may be sent; while half open, to one only."""
        if self.state == "closed":
            return True
        if self.state == "open" and now - self._opened_at >= self._open_s:
            self.state = "half_open"
            self._probes = False
        if self.state == "half_open" and not self._probes:
            self._probes = True
            return True
        return False

    def succeeded(self) -> bool:
        """Note an answer; return whether the guard is available again by it."""
        was, self.state = self.state, "closed"
        if was != "closed":
            self._failed_at.clear()
        return was != "closed"

    def failed(self, now: float) -> bool:
        """Note a failure; return whether the guard has become unavailable by it."""
        if self.state == "half_open":
            self.state, self._opened_at = "open", now
            return False  # it was unavailable all the while
        self._failed_at.append(now)
        if self.state == "closed" and len(self._failed_at) == self._failures and now - self._failed_at[0] <= self._window_s:
            self.state, self._opened_at = "open", now
            return True
        return False

    def gave_up(self) -> None:
        """Note that nothing was learned, because who asked is gone: the next request is the probe."""
        self._probes = False
