"""Heartbeats: that a worker and the recorder live is itself on record, so that silence can be told from nothing happening.

One small record a minute for each process, left out of lists unless they are asked for. A worker tells how many answers of each
service it has recorded so far; the recorder tells whether the clock has jumped since its last one.
"""

import time
from typing import Final

from guiju.core.clock import now_us
from guiju.core.ids import new_id
from guiju.records.entry import Entry

QUIET_KINDS: Final = ("gateway.worker.alive", "records.recorder.alive")
"""What lists leave out unless it is asked for."""
JUMP_MS: Final = 5_000
RECORDER_EVERY_S: Final = 60.0


def worker_beat(writer: str, worker: str, beat: int, services: dict[str, int], *, last: bool = False) -> Entry:
    """Return a worker's heartbeat: `services` maps each service to the answers recorded since the worker began."""
    kind = "gateway.worker.ended" if last else "gateway.worker.alive"
    metadata: dict[str, object] = {"writer": writer, "beat": beat, "services": dict(services)}
    return Entry(new_id(), now_us(), kind, "", worker, "", (), metadata)


class RecorderHeart:
    """When the recorder's next heartbeat is due, and what it says of the clock."""

    def __init__(self) -> None:
        self._due_at = time.monotonic() + RECORDER_EVERY_S
        self._clocks = _clocks_ms()

    def due(self) -> bool:
        """Return whether a heartbeat is due."""
        return time.monotonic() >= self._due_at

    def beat(self) -> Entry:
        """Return the heartbeat; the next one is due a minute later."""
        self._due_at = time.monotonic() + RECORDER_EVERY_S
        before, self._clocks = self._clocks, _clocks_ms()
        jump_ms = (self._clocks[0] - before[0]) - (self._clocks[1] - before[1])
        metadata: dict[str, object] = {"clock_jump_ms": jump_ms} if abs(jump_ms) > JUMP_MS else {}
        return Entry(new_id(), now_us(), "records.recorder.alive", "", "recorder", "", (), metadata)


def _clocks_ms() -> tuple[int, int]:
    """Return the wall clock and one that nobody sets; it goes on while the machine sleeps."""
    return time.time_ns() // 1_000_000, time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000
