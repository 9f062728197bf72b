"""Jobs of the records: the daily sweep with the months made ahead, and the watch for gaps. Queued by the jobs process (web/jobs.py)."""

import logging
import time
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.utils import timezone
from django_tasks import task
from django_tasks_db.models import DBTaskResult

from guiju.core.settings import Retention
from guiju.records.keeping import sweep, watch
from guiju.records.models import Removal
from guiju.records.recorder.months import make_months

SWEEP_EVERY: Final = timedelta(hours=24)
RUN_S: Final = 240.0
"""One run of a sweep takes no longer, so that other jobs get their turn; what is left goes on a minute later."""
GIVEN_UP: Final = timedelta(minutes=30)
KEPT_RESULTS: Final = 60

_UP_SINCE: Final = timezone.now()
"""When this process began, and with it the service."""
log = logging.getLogger("guiju.records")


@task()
def sweep_records() -> dict[str, Any]:
    """Remove what is past its days, for as long as a run may take; return what was done."""
    ends = time.monotonic() + RUN_S
    kept: Retention = settings.SITE.retention
    make_months()
    return asdict(sweep.sweep(kept, stop=lambda: time.monotonic() > ends))


@task()
def watch_records() -> list[str]:
    """Look for gaps; return the keys of the new ones."""
    found = watch.look(timezone.now(), settings.SITE.limits.heartbeat_ms, _UP_SINCE)
    for gap in found:
        log.error("records are missing: %s", gap.en)
    return [gap.key for gap in found]


@dataclass(frozen=True, slots=True)
class LatestSweep:
    """The latest sweep as the page shows it."""

    finished_at: datetime | None = None
    contents: int = 0
    records: int = 0


def latest_sweep() -> LatestSweep:
    """Return what the latest run of a sweep did."""
    results = DBTaskResult.objects.filter(task_path=sweep_records.module_path, finished_at__isnull=False)
    latest = results.order_by("-finished_at").first()
    if latest is None or not isinstance(latest.return_value, dict):
        return LatestSweep()
    return LatestSweep(latest.finished_at, latest.return_value.get("contents", 0), latest.return_value.get("records", 0))


def next_sweep_at() -> datetime | None:
    """Return when the next sweep is due; None when it is due now."""
    latest = DBTaskResult.objects.filter(task_path=sweep_records.module_path).order_by("-enqueued_at").first()
    due = latest.enqueued_at + SWEEP_EVERY if latest is not None else None
    return due if due is not None and due > timezone.now() else None


def queue_due() -> None:
    """Queue the daily sweep, the rest of one that has not come to its end, and every minute the watch for gaps."""
    _queue_sweep()
    waiting = DBTaskResult.objects.filter(task_path=watch_records.module_path)
    if not waiting.filter(finished_at__isnull=True, enqueued_at__gt=timezone.now() - GIVEN_UP).exists():
        watch_records.enqueue()
    _forget_old(waiting)


def _queue_sweep() -> None:
    results = DBTaskResult.objects.filter(task_path=sweep_records.module_path)
    now = timezone.now()
    if settings.SITE.retention.sweeps == "on" and not results.filter(finished_at__isnull=True, enqueued_at__gt=now - GIVEN_UP).exists():
        unfinished = Removal.objects.filter(finished_at=None).exists()
        if unfinished or not results.filter(enqueued_at__gt=now - SWEEP_EVERY).exists():
            sweep_records.enqueue()
    _forget_old(results)


def _forget_old(results: Any) -> None:
    old = list(results.order_by("-enqueued_at").values_list("pk", flat=True)[KEPT_RESULTS:])
    if old:
        results.filter(pk__in=old).delete()
