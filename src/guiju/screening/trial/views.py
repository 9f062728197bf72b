"""Pages of the dry run: begin one, watch it, see its counts. Nothing of what people wrote is shown."""

from typing import Any, Final

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from guiju.core.errors import GuijuError
from guiju.records.access.requests import APPROVAL_NEEDED
from guiju.screening import flow
from guiju.screening.models import LibraryTrial, LibraryVersion
from guiju.screening.trial import chart, tasks
from guiju.screening.trial.running import DAYS_AT_MOST, TRIAL_REFUSED, begin_trial, settle_lost
from guiju.web.access import actor_of, needs, post_only, text_of
from guiju.web.templatetags.guiju import error_text

SHOWN: Final = 50
BARS: Final = 20


@needs("screening.view_libraryversion")
@require_GET
def trials(request: HttpRequest) -> HttpResponse:
    """Show the dry runs and the form to begin one."""
    return _trials(request)


@needs("screening.change_libraryversion")
@needs("records.open_record")
@post_only
def begin(request: HttpRequest) -> HttpResponse:
    """Begin a dry run; where two people open, ask for the approval first."""
    days = text_of(request.POST, "days", 3)
    version = text_of(request.POST, "version", 64)
    try:
        begun = begin_trial(version, int(days) if days.isdecimal() else 0, actor_of(request), text_of(request.POST, "reason", 200))
    except GuijuError as problem:
        if problem.code not in (TRIAL_REFUSED, APPROVAL_NEEDED, flow.LIBRARY_UNKNOWN, flow.LIBRARY_MISSING):
            raise
        return _trials(request, refusal=error_text(problem), version=version, status=problem.code.status)
    tasks.run_trial.enqueue(begun.id)
    messages.success(request, _("试运行已排队；内容由程序读取，只留下次数。"))
    return redirect("screening:trial", begun.id)


@needs("screening.view_libraryversion")
@require_GET
def trial(request: HttpRequest, id: str) -> HttpResponse:
    """Show how far a dry run is, or its counts."""
    settle_lost()
    found = LibraryTrial.objects.select_related("library").defer("library__body", "ids").filter(id=id).first()
    if found is None:
        raise Http404(_("没有这个页面，或您无权查看。"))
    facts: dict[str, Any] = {"trial": found, "share": 100 * found.done // found.total if found.total else 100}
    if found.state == LibraryTrial.State.DONE:
        entries = {entry.id: entry for version in (found.before, found.library_id) for entry in flow.library_of(version).entries}
        rules = [{**rule, "entry": entries.get(rule["rule"])} for rule in found.counts["rules"]]
        bars = [(_name(rule), rule["newly"]) for rule in rules if rule["newly"]][:BARS]
        sides = ((_("使用者的输入"), _("拒绝"), found.counts["inputs"]), (_("模型的回答"), _("停止"), found.counts["answers"]))
        facts |= {
            "sides": [{"name": name, "deed": deed, "counts": counts} for name, deed, counts in sides],
            "rules": [rule for rule in rules if rule["newly"] or rule["no_longer"]],
            "charts": [chart.draw(bars, _("新命中的规则"), width) for width in (chart.WIDTH, chart.NARROW)] if bars else [],
        }
    return render(request, "screening/trial.html", facts)


def _trials(request: HttpRequest, *, refusal: str = "", version: str = "", status: int = 200) -> HttpResponse:
    settle_lost()
    facts = {
        "trials": LibraryTrial.objects.select_related("library").defer("library__body", "ids")[:SHOWN],
        "versions": LibraryVersion.objects.defer("body").exclude(state=LibraryVersion.State.ACTIVE)[:SHOWN],
        "version": version or text_of(request.GET, "version", 64),
        "days": DAYS_AT_MOST,
        "refusal": refusal,
    }
    return render(request, "screening/trials.html", facts, status=status)


def _name(rule: dict[str, Any]) -> str:
    return f"{rule['entry'].risk} {rule['entry'].term}" if rule["entry"] is not None else str(rule["rule"])
