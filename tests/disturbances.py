"""What is done to a service under load: its processes are killed at random instants, its database goes away."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from tests.under_load import WORKERS, Seen, Site

Tell = Callable[[str], None]
_COMING_UP_S = 2.0


@dataclass
class Kills:
    """How many of what to kill, and how many it were."""

    wanted: int
    killed: Counter[str] = field(default_factory=Counter)

    async def __call__(self, site: Site, seen: Seen) -> None:
        """Kill something at random instants, never before it had the time to come up and serve."""
        while self.killed.total() < self.wanted:
            draw = random.random()
            if site.postgresql is not None and draw < 0.25:
                await self._kill_database(site)
                continue
            names = [*WORKERS, "recorder"] if draw < 0.30 else ["recorder"] if draw < 0.45 else [random.choice(WORKERS)]
            for name in names:
                await asyncio.sleep(max(0.0, site.started[name] + random.uniform(0.7, 1.3) - time.monotonic()))
            await _answers_come(seen)
            await asyncio.sleep(random.uniform(0, 0.03))
            for name in names:
                site.kill(name)
                self.killed["recorder" if name == "recorder" else "worker"] += 1

    async def _kill_database(self, site: Site) -> None:
        """Kill one process of PostgreSQL, which then recovers by itself, or the first of them, which is started again."""
        assert site.postgresql is not None
        await asyncio.sleep(random.uniform(0, 0.5))
        if random.random() < 0.7:
            if await asyncio.to_thread(site.postgresql.kill_one_of_its_processes, random.Random(random.random())):
                self.killed["PostgreSQL, one process"] += 1
            return
        await asyncio.to_thread(site.postgresql.kill)
        self.killed["PostgreSQL, whole"] += 1
        await asyncio.sleep(random.uniform(0, 1))
        await asyncio.to_thread(site.postgresql.start)


@dataclass
class Outage:
    """The database is stopped for a while under load, then started; what the service said of itself meanwhile."""

    seconds: float
    before_s: float
    measured_from: float = 0.0
    from_to: tuple[float, float] = (0.0, 0.0)
    ready_during: dict[str, Any] = field(default_factory=dict)
    drained_after_s: float = 0.0
    answers_during: int = 0

    async def __call__(self, site: Site, seen: Seen) -> None:
        """Measure as long before as asked, take the database away, bring it back, and wait until the backlog is gone."""
        assert site.postgresql is not None
        await _answers_come(seen)
        await asyncio.sleep(_COMING_UP_S)  # whoever asked while the second worker came up waited for it
        self.measured_from = time.monotonic()
        await asyncio.sleep(self.before_s)
        begun_at, begun = time.monotonic(), len(seen.whole)
        await asyncio.to_thread(site.postgresql.stop)
        await asyncio.sleep(self.seconds)
        self.ready_during = await asyncio.to_thread(site.ready)
        self.answers_during = len(seen.whole) - begun
        self.from_to = (begun_at, time.monotonic())
        await asyncio.to_thread(site.postgresql.start)
        back_at = time.monotonic()
        while (await asyncio.to_thread(site.ready))["spool"]["oldest_ms"] > 1_500:
            assert time.monotonic() < back_at + 60, "the backlog is not drained under load"
            await asyncio.sleep(0.1)
        self.drained_after_s = time.monotonic() - back_at

    def percentile_ms(self, seen: Seen, share: float, *, during: bool) -> float:
        """Return a percentile of the answers' times, of those asked during the outage or before it."""
        first, last = self.from_to
        waits = sorted(
            wait for asked_at, wait in seen.waits if (first <= asked_at < last if during else self.measured_from <= asked_at < first)
        )
        return waits[min(len(waits) - 1, int(len(waits) * share))] * 1000


async def _answers_come(seen: Seen) -> None:
    """Wait until the service is under load: three more answers have come."""
    whole, deadline = len(seen.whole), time.monotonic() + 20
    while len(seen.whole) < whole + 3 and time.monotonic() < deadline:  # noqa: ASYNC110  # polled, because answers come from many tasks
        await asyncio.sleep(0.002)


def with_progress(disturb: Kills, tell: Tell, every_s: float = 15.0) -> Callable[[Site, Seen], Awaitable[None]]:
    """Return the same disturbance, which tells now and then how far it has come."""

    async def told(site: Site, seen: Seen) -> None:
        async def report() -> None:
            while True:
                await asyncio.sleep(every_s)
                tell(f"{disturb.killed.total()} of {disturb.wanted} kills, {len(seen.whole)} answers received whole")

        reporting = asyncio.create_task(report())
        try:
            await disturb(site, seen)
        finally:
            reporting.cancel()

    return told
