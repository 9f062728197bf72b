"""The page of supplies without the explicit label: who asked, who decided, what runs, and the log of each recipient."""

from datetime import date

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from guiju.core.errors import GuijuError
from guiju.labelling.supply import flow
from guiju.services import flow as services
from guiju.web.access import actor_of, needs, post_only, text_of
from guiju.web.templatetags.guiju import error_text

SHOWN = 200


@needs("supply.view_supply")
@require_GET
def supplies(request: HttpRequest) -> HttpResponse:
    """Show all cases, newest first."""
    return _page(request)


@needs("supply.add_supply")
@post_only
def ask(request: HttpRequest) -> HttpResponse:
    """Keep a recipient's request."""
    upload = request.FILES.get("agreement")
    small = upload is not None and (upload.size or 0) <= flow.AGREEMENT_LIMIT_BYTES
    days = text_of(request.POST, "days", 4)
    try:
        accepted_on = date.fromisoformat(text_of(request.POST, "accepted_on", 10))
    except ValueError:
        accepted_on = date.max
    try:
        flow.ask(
            text_of(request.POST, "service", 63),
            text_of(request.POST, "user", 500),
            identity=text_of(request.POST, "identity", flow.TEXT_CHARACTERS),
            agreement=upload.read() if upload is not None and small else b"",
            agreement_version=text_of(request.POST, "agreement_version", flow.TEXT_CHARACTERS),
            accepted_on=accepted_on,
            purpose=text_of(request.POST, "purpose", flow.PURPOSE_CHARACTERS + 1),
            days=int(days) if days.isdecimal() and days.isascii() else 0,
            actor=actor_of(request),
        )
    except GuijuError as refusal:
        return _page(request, refusal)
    messages.success(request, _("申请已记录，等待另一人决定。"))
    return redirect("supply:supplies")


@needs("supply.decide_supply")
@post_only
def decide(request: HttpRequest, id: str) -> HttpResponse:  # the name that the address uses
    """Grant or refuse what somebody else entered; a grant is in force within a second."""
    granted = request.POST.get("decision") == "grant"
    try:
        flow.decide(id, grant=granted, reason=text_of(request.POST, "reason", flow.TEXT_CHARACTERS), actor=actor_of(request))
        services.publish(actor=actor_of(request))
    except GuijuError as refusal:
        return _page(request, refusal)
    messages.success(request, _("已批准，一秒内生效。") if granted else _("已拒绝。"))
    return redirect("supply:supplies")


@needs("supply.change_supply")
@post_only
def end(request: HttpRequest, id: str) -> HttpResponse:  # the name that the address uses
    """End a grant before its day."""
    try:
        flow.end(id, actor=actor_of(request))
        services.publish(actor=actor_of(request))
    except GuijuError as refusal:
        return _page(request, refusal)
    messages.success(request, _("已终止，一秒内生效。"))
    return redirect("supply:supplies")


@needs("supply.view_supply")
@require_GET
def agreement(request: HttpRequest, id: str) -> HttpResponse:  # the name that the address uses
    """Give the agreement of a case, as a download that no browser runs."""
    try:
        found = flow.agreement_of(id)
    except GuijuError:
        raise Http404(_("没有这份文件。")) from None
    response = HttpResponse(bytes(found.agreement), content_type="application/octet-stream")
    response["Content-Disposition"] = f'attachment; filename="{found.id}.bin"'
    return response


def _page(request: HttpRequest, refusal: GuijuError | None = None) -> HttpResponse:
    facts = {
        "supplies": flow.list_supplies(SHOWN),
        "services": services.settings_now().services,
        "now": timezone.now(),
        "actor": actor_of(request),
        "refusal": error_text(refusal) if refusal else "",
        "longest": flow.LONGEST_DAYS,
    }
    return render(request, "supply/supplies.html", facts, status=refusal.code.status if refusal else 200)
