"""Pages about keeping: how long records are kept and what was removed; what is missing and who accounted for it."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.db.models import Count, Sum
from django.db.models.functions import TruncMonth
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from guiju.core.errors import GuijuError
from guiju.core.settings import Retention
from guiju.records import tasks
from guiju.records.keeping import chart as keeping_chart
from guiju.records.keeping import sweep
from guiju.records.keeping.gaps import close_gap as close
from guiju.records.keeping.gaps import open_gaps
from guiju.records.kinds import KINDS
from guiju.records.models import DayMark, Gap, Record, Removal
from guiju.records.values import CLASSES, RetentionClass, class_of
from guiju.web.access import actor_of, needs, post_only, text_of

_REPORTS = 20
_CLOSED = 50


@dataclass(frozen=True, slots=True)
class Row:
    """One class as the page shows it."""

    of: RetentionClass
    days: int
    content_days: int
    records: int


@needs("records.view_record")
@require_GET
def retention(request: HttpRequest) -> HttpResponse:
    """Show the classes with the law's least and the policy's most, the next sweep, and what the last ones removed."""
    kept: Retention = settings.SITE.retention
    counts: dict[str, int] = {}
    for kind, count in Record.objects.values_list("kind").annotate(Count("index")).order_by():
        of = class_of(kind)
        if of is not None:
            counts[of.name] = counts.get(of.name, 0) + count
    today = datetime.now(UTC).date()
    first = DayMark.objects.order_by("day").values_list("day", flat=True).first()
    months = list_months_removed(datetime.now(UTC))
    facts: dict[str, Any] = {
        "rows": [Row(of, kept.days_of(of.name), kept.content_days_of(of.name), counts.get(of.name, 0)) for of in CLASSES],
        "kept": kept,
        "trouble": sweep.find_clock_trouble(today),
        "under_way": Removal.objects.filter(finished_at=None).aggregate(count=Count("id"), ordered=Sum("ordered"), removed=Sum("removed")),
        "last": tasks.latest_sweep(),
        "next_at": tasks.next_sweep_at(),
        "content_from": first + timedelta(days=kept.content_days) if first else None,
        "records_from": first + timedelta(days=kept.log_days) if first else None,
        "reports": list(Removal.objects.order_by("-ordered_at", "-id")[:_REPORTS]),
        "charts": [keeping_chart.draw(months, _("每月清除"), width) for width in (keeping_chart.WIDTH, keeping_chart.NARROW)]
        if months
        else [],
        "kinds": len(KINDS),
    }
    return render(request, "records/retention.html", facts)


def list_months_removed(now: datetime) -> list[keeping_chart.Month]:
    """Return what sweeps removed in each of the last twelve months, oldest first; empty when they removed nothing."""
    since = (now - timedelta(days=335)).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    found = Removal.objects.filter(ordered_at__gte=since).annotate(month=TruncMonth("ordered_at", tzinfo=UTC))
    sums = {(month.date(), what): count for month, what, count in found.values_list("month", "what").annotate(Sum("removed")).order_by()}
    if not any(sums.values()):
        return []
    months, at = [], since.date()
    while at <= now.date():
        months.append(keeping_chart.Month(at, sums.get((at, "content"), 0), sums.get((at, "record"), 0)))
        at = (at + timedelta(days=32)).replace(day=1)
    return months


@needs("records.view_record")
@require_GET
def gaps(request: HttpRequest) -> HttpResponse:
    """Show the gaps that are open, and those that somebody has closed."""
    return _gaps(request)


@needs("records.close_gap")
@post_only
def close_gap(request: HttpRequest, number: int) -> HttpResponse:
    """Close a gap, for a reason; who, when and why is a record."""
    try:
        close(number, actor=actor_of(request), reason=text_of(request.POST, "reason", 200))
    except GuijuError as problem:
        return _gaps(request, refusal=problem, status=problem.code.status)
    messages.success(request, _("已记录处理结果，缺失已关闭。"))
    return redirect("records:gaps")


def _gaps(request: HttpRequest, *, refusal: GuijuError | None = None, status: int = 200) -> HttpResponse:
    facts = {
        "open": list(open_gaps()),
        "closed": list(Gap.objects.exclude(closed_at=None).order_by("-closed_at")[:_CLOSED]),
        "refusal": refusal,
    }
    return render(request, "records/gaps.html", facts, status=status)
