"""Requests to open or to erase, and who approves them: the queue, and the latest that were settled."""

from typing import Final

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from guiju.core.errors import GuijuError
from guiju.records.access.requests import APPROVING, Deed, State, approve, list_reviewers, list_waiting, refuse
from guiju.records.keeping.hold import Selection, count_held, list_holds_on, set_hold, standing_holds
from guiju.records.kinds import KINDS
from guiju.records.models import Hold, Request
from guiju.records.times import beijing_time
from guiju.web.access import actor_of, needs, post_only, text_of
from guiju.web.templatetags.guiju import error_text

SHOWN: Final = 50


@needs("records.view_record")
@require_GET
def requests(request: HttpRequest) -> HttpResponse:
    """List what waits for a decision, what one's own approvals allow, and what was settled lately."""
    actor = actor_of(request)
    waiting = [
        {
            "asked": each,
            "own": each.asked_by == actor,
            "may": _may(request, each),
            "holds": list_holds_on(each.subject) if each.deed == Deed.ERASE_SUBJECT else [],
        }
        for each in list_waiting()[:SHOWN]
    ]
    usable = Request.objects.filter(state__in=(State.APPROVED, State.OPEN), until__gt=timezone.now(), asked_by=actor).order_by("until")
    settled = Request.objects.exclude(pk__in=[each["asked"].pk for each in waiting]).order_by("-asked_at")[:SHOWN]  # type: ignore[attr-defined]  # values of one list
    holds = [{"hold": each, "count": count_held(each)} for each in standing_holds()[:SHOWN]]
    reviewers = list_reviewers()[:SHOWN] if request.user.has_perm(APPROVING[Deed.OPEN_REVIEW]) else []
    facts = {
        "waiting": waiting,
        "usable": usable,
        "reviewers": reviewers,
        "settled": settled,
        "holds": holds,
        "kinds": list(KINDS.values()),
    }
    return render(request, "records/requests.html", facts)


@needs("records.view_record")
@post_only
def decide(request: HttpRequest, id: str) -> HttpResponse:
    """Approve or refuse another person's request, or withdraw one's own."""
    asked = Request.objects.filter(id=id).first()
    own = asked is not None and asked.asked_by == actor_of(request)
    approving = request.POST.get("decision") == "approve"
    if asked is None or not (_may(request, asked) or (own and not approving)):
        raise Http404(_("没有这个页面，或您无权查看。"))
    reason = text_of(request.POST, "reason", 200)
    try:
        (approve if approving else refuse)(id, actor=actor_of(request), reason=reason)
        messages.success(request, _("已批准；由申请人操作。") if approving else _("已撤回。") if own else _("已拒绝。"))
    except GuijuError as problem:
        messages.error(request, error_text(problem))
    return redirect("records:requests")


@needs("records.set_hold")
@post_only
def hold_selection(request: HttpRequest) -> HttpResponse:
    """Set a legal hold on a selection of records."""
    reason = text_of(request.POST, "reason", 200)
    subject, kind, service, since, until, reference = (
        text_of(request.POST, name, 200) for name in ("subject", "kind", "service", "since", "until", "reference")
    )
    try:
        selection = Selection(subject, kind, service, beijing_time(since), beijing_time(until))
        tell_hold(request, set_hold(selection, actor=actor_of(request), reason=reason, reference=reference))
    except GuijuError as problem:
        messages.error(request, error_text(problem))
    return redirect("records:requests")


def tell_hold(request: HttpRequest, made: Hold) -> None:
    """Say on the next page that a hold was set and how much it selects; one that selects nothing is a warning."""
    count = count_held(made)
    if count:
        messages.success(request, _("保全已设定，现有 %(count)d 条记录属于它。") % {"count": count})
    else:
        messages.warning(request, _("保全已设定，但现在没有任何记录属于它：请核对条件。今后符合条件的记录会被保全。"))


def _may(request: HttpRequest, asked: Request) -> bool:
    return request.user.has_perm(APPROVING[Deed(asked.deed)])
