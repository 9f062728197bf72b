"""The frame around every page: navigation, languages, the person signed in."""

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

from guiju.labelling.supply import flow as supplies
from guiju.records.access.requests import APPROVING, count_to_decide
from guiju.web.access import actor_of


@dataclass(frozen=True, slots=True)
class Place:
    """One entry of the navigation."""

    name: str
    href: str
    here: bool
    count: int = 0


@cache
def _at(page: str) -> str:
    """Return the address of a page; they are the same for everybody and in both languages."""
    return reverse(page)


def context(request: HttpRequest) -> dict[str, Any]:
    """Return what every template may use."""
    in_console = request.path.startswith("/console/")
    places = _places(request) if in_console else []
    return {"places": places, "in_console": in_console}


def _places(request: HttpRequest) -> list[Place]:
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return []
    known = [
        (_("概览"), _at("web:home"), "records.view_record"),
        (_("看板"), _at("obligations:board"), "obligations.view_profile"),
        (_("记录"), _at("records:list"), "records.view_record"),
        (_("词库"), _at("screening:libraries"), "screening.view_libraryversion"),
        (_("策略"), _at("policies:policy"), "policies.view_version"),
        (_("复核"), _at("review:queue"), "review.view_item"),
        (_("服务"), _at("services:services"), "services.view_apikey"),
        (_("试用"), _at("web:playground"), "services.view_apikey"),
    ]
    home = _at("web:home")
    places = [
        Place(name, href, request.path == href or (href != home and request.path.startswith(href)))
        for name, href, permission in known
        if user.has_perm(permission)
    ]
    deeds = [deed for deed, permission in APPROVING.items() if user.has_perm(permission)]
    if deeds:
        href = _at("records:requests")
        here = request.path.startswith(href)
        places = [replace(place, here=place.here and not here) for place in places]
        places.insert(2, Place(_("审批"), href, here, count_to_decide(actor_of(request), deeds)))
    return _with_supplies(request, places) if user.has_perm("supply.view_supply") else places


def _with_supplies(request: HttpRequest, places: list[Place]) -> list[Place]:
    """Lead to the supplies without the explicit label: by way of the services, or straight for who may not see those."""
    href, services = _at("supply:supplies"), _at("services:services")
    here = request.path.startswith(href)
    count = supplies.count_to_decide(actor_of(request)) if request.user.has_perm("supply.decide_supply") else 0
    if any(place.href == services for place in places):
        return [replace(place, here=place.here or here, count=count) if place.href == services else place for place in places]
    return [*places, Place(_("免显式标识"), href, here, count)]
