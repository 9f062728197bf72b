"""The figures of the home page. Counting is remembered for some seconds: eight people clicking cost as much as one."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar

from django.conf import settings
from django.core.cache import cache
from django.utils import timezone

from guiju.core.clock import BEIJING, now_us
from guiju.core.errors import GuijuError
from guiju.core.layout import DataFolder
from guiju.records import browse
from guiju.records.proving import newest_checkpoint
from guiju.records.spool.backlog import measure_backlog
from guiju.web.chart import Hour

DELIVERED: Final = "gateway.answer.delivered"
STOPPED: Final = "gateway.answer.stopped"
REFUSED: Final = "gateway.input.refused"
FAILED: Final = ("gateway.answer.interrupted", "gateway.upstream.failed", "gateway.request.rejected", "gateway.media.withheld")
FILES: Final = "gateway.media.delivered"
"""An answer that is a file counts as one that was delivered."""
_KEPT_S: Final = 10
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Today:
    """Answers since midnight in Beijing."""

    delivered: int = 0
    stopped: int = 0
    refused: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Spool:
    """What waits to become records, how old the oldest of it is at the most, and what it waits for where somebody knows."""

    size_bytes: int
    oldest_s: int
    late: bool
    reason: str

    @property
    def oldest_min(self) -> int:
        """The age in minutes; 0 below two of them, when seconds say more."""
        return self.oldest_s // 60 if self.oldest_s >= 120 else 0


@dataclass(frozen=True, slots=True)
class Ledger:
    """The newest checkpoint: how many records it covers, its root in hex, when it was written."""

    size: int = 0
    root: str = ""
    signed_at: datetime | None = None
    problem: Exception | None = None


def today() -> Today:
    """Count today's answers by how they ended."""
    return _remembered("figures-today", _today)


def last_day() -> list[Hour]:
    """Count the answers of the last 24 hours, hour by hour, the present hour last."""
    return _remembered("figures-day", _last_day)


def spool() -> Spool:
    """Look how much of the spool is not on record yet."""
    folder: DataFolder = settings.DATA_FOLDER
    backlog = measure_backlog(folder.spool, folder.run, now_us())
    return Spool(backlog.size_bytes, int(backlog.oldest_s), backlog.late, backlog.reason)


def _today() -> Today:
    midnight = timezone.now().astimezone(BEIJING).replace(hour=0, minute=0, second=0, microsecond=0)
    counts = browse.count_by_kind((DELIVERED, FILES, STOPPED, REFUSED, *FAILED), midnight)
    delivered = counts.get(DELIVERED, 0) + counts.get(FILES, 0)
    return Today(delivered, counts.get(STOPPED, 0), counts.get(REFUSED, 0), sum(counts.get(kind, 0) for kind in FAILED))


def _last_day() -> list[Hour]:
    this_hour = timezone.now().astimezone(BEIJING).replace(minute=0, second=0, microsecond=0)
    since = this_hour - timedelta(hours=23)
    counts = browse.count_by_hour((DELIVERED, FILES, STOPPED, REFUSED), since)
    hours = [since + timedelta(hours=place) for place in range(24)]
    return [
        Hour(
            hour,
            counts.get((hour, DELIVERED), 0) + counts.get((hour, FILES), 0),
            counts.get((hour, STOPPED), 0),
            counts.get((hour, REFUSED), 0),
        )
        for hour in hours
    ]


def _remembered(name: str, count: Callable[[], _T]) -> _T:
    known: _T | None = cache.get(name)
    if known is None:
        known = count()
        cache.set(name, known, _KEPT_S)
    return known


def ledger() -> Ledger:
    """Return the newest checkpoint of the log, its signature verified now."""
    folder: DataFolder = settings.DATA_FOLDER
    try:
        checkpoint = newest_checkpoint()
        if checkpoint is None:
            return Ledger()
        signed_at = datetime.fromtimestamp((folder.ledger / "checkpoint").stat().st_mtime, UTC)
    except (GuijuError, OSError) as problem:
        return Ledger(problem=problem)
    return Ledger(checkpoint.size, checkpoint.root.hex(), signed_at)
