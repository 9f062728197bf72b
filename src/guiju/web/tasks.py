"""Jobs that run apart from pages: the self-check of the ledger, daily and on demand."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.utils import timezone
from django_tasks import task
from django_tasks_db.models import DBTaskResult

from guiju.obligations import history
from guiju.records import flow as records
from guiju.records import tasks as records_tasks
from guiju.screening.review import tasks as reviews
from guiju.web.templatetags.guiju import chinese

EVERY: Final = timedelta(hours=24)
GIVEN_UP: Final = timedelta(hours=6)
"""A check that runs longer has lost its process; it no longer keeps another from being queued."""
KEPT_RESULTS: Final = 60


@dataclass(frozen=True, slots=True)
class Check:
    """The latest check as the home page shows it; `state` is good, bad, running or empty for none yet."""

    state: str
    finished_at: datetime | None = None
    text: str = ""
    detail: str = ""


@task()
def check_ledger() -> dict[str, Any]:
    """Check the whole ledger and leave `records.ledger.checked`; return what the home page shows of it."""
    report = records.check_ledger("guiju")
    failing = [step for step in report.steps if step.outcome == "fails"]
    shown = failing or report.steps[2:3]
    return {
        "ok": report.ok,
        "zh": "；".join(step.zh for step in shown),
        "en": "; ".join(step.en for step in shown),
        "detail": "; ".join(step.detail for step in failing),
    }


def queue_check() -> bool:
    """Queue a check; False when one is queued or running already."""
    if _under_way():
        return False
    check_ledger.enqueue()
    return True


def queue_due() -> None:
    """Queue the daily check when the last one is a day old, and what else is due; forget results nobody looks at any more."""
    records_tasks.queue_due()
    records.finish_erasures()
    reviews.do_due()
    latest = _checks().order_by("-enqueued_at").first()
    if latest is None or latest.enqueued_at < timezone.now() - EVERY:
        queue_check()
    old = list(_checks().order_by("-enqueued_at").values_list("pk", flat=True)[KEPT_RESULTS:])
    if old:
        _checks().filter(pk__in=old).delete()
    history.keep_day()  # last: what it judges may fail, and the rest is queued by then


def latest_check() -> Check:
    """Return the state of the latest check."""
    if _under_way():
        return Check("running")
    latest = _checks().filter(finished_at__isnull=False).order_by("-finished_at").first()
    if latest is None:
        return Check("")
    result = latest.return_value if isinstance(latest.return_value, dict) else {}
    text = str(result.get("zh" if chinese() else "en", "")) or latest.exception_class_path
    return Check("good" if result.get("ok") is True else "bad", latest.finished_at, text, str(result.get("detail", "")))


def _checks() -> Any:
    return DBTaskResult.objects.filter(task_path=check_ledger.module_path)


def _under_way() -> bool:
    return bool(_checks().filter(finished_at__isnull=True, enqueued_at__gt=timezone.now() - GIVEN_UP).exists())
