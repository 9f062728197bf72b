"""The page of the services: what the bundle in force says of each, and the API keys."""

from typing import Final

from django.contrib import messages
from django.db.models import F
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from guiju.services import flow
from guiju.services.models import ApiKey
from guiju.web.access import actor_of, needs, post_only, text_of
from guiju.web.live import bundle_in_force, gateway_state

LABEL_CHARACTERS: Final = 100
KEYS_SHOWN: Final = 200


@needs("services.view_apikey")
@require_GET
def services(request: HttpRequest) -> HttpResponse:
    """Show services, upstreams, policy, label and keys as they are in force."""
    return _page(request)


@needs("services.add_apikey")
@post_only
def create(request: HttpRequest) -> HttpResponse:
    """Make a key and show it, this once; only its hash is kept."""
    label = text_of(request.POST, "label", LABEL_CHARACTERS) or _("未命名")
    key, secret = flow.create_key(request.POST.get("service", ""), label, actor_of(request))
    flow.publish(actor=actor_of(request))
    return _page(request, made=key, secret=secret)


@needs("services.change_apikey")
@post_only
def revoke(request: HttpRequest, key: str) -> HttpResponse:
    """Revoke a key for good."""
    flow.revoke_key(key, actor_of(request))
    flow.publish(actor=actor_of(request))
    messages.success(request, _("密钥已撤销，一秒内失效。"))
    return redirect("services:services")


def _page(request: HttpRequest, made: ApiKey | None = None, secret: str = "") -> HttpResponse:
    force = bundle_in_force()
    upstreams = {each.name: each for each in force.bundle.upstreams} if force else {}
    shown = [
        {"service": each, "upstreams": [upstreams[name] for name in each.upstreams if name in upstreams]}
        for each in (force.bundle.services if force else ())
    ]
    facts = {
        "force": force,
        "services": shown,
        "gateway": gateway_state(),
        "keys": ApiKey.objects.order_by(F("revoked_at").asc(nulls_first=True), "-created_at")[:KEYS_SHOWN],
    }
    return render(request, "services/services.html", {**facts, "made": made, "secret": secret})
