"""Jobs of the records: the daily sweep, and the months made ahead. Queued by the jobs process (web/jobs.py)."""

import time
from dataclasses import asdict
from datetime import timedelta
from typing import Any, Final

from django.conf import settings
from django.utils import timezone
from django_tasks import task
from django_tasks_db.models import DBTaskResult

from guiju.core.settings import Retention
from guiju.records import sweep
from guiju.records.models import Removal
from guiju.records.months import make_months

SWEEP_EVERY: Final = timedelta(hours=24)
RUN_S: Final = 240.0
"""One run of a sweep takes no longer, so that other jobs get their turn; what is left goes on a minute later."""
GIVEN_UP: Final = timedelta(minutes=30)
KEPT_RESULTS: Final = 60


@task()
def sweep_records() -> dict[str, Any]:
    """Remove what is past its days, for as long as a run may take; return what was done."""
    ends = time.monotonic() + RUN_S
    kept: Retention = settings.SITE.retention
    make_months()
    return asdict(sweep.sweep(kept, stop=lambda: time.monotonic() > ends))


def queue_due() -> None:
    """Queue the daily sweep, and the rest of one that has not come to its end."""
    results = DBTaskResult.objects.filter(task_path=sweep_records.module_path)
    now = timezone.now()
    if settings.SITE.retention.sweeps == "on" and not results.filter(finished_at__isnull=True, enqueued_at__gt=now - GIVEN_UP).exists():
        unfinished = Removal.objects.filter(finished_at=None).exists()
        if unfinished or not results.filter(enqueued_at__gt=now - SWEEP_EVERY).exists():
            sweep_records.enqueue()
    old = list(results.order_by("-enqueued_at").values_list("pk", flat=True)[KEPT_RESULTS:])
    if old:
        results.filter(pk__in=old).delete()
