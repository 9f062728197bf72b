"""The frame around every page: navigation, languages, the person signed in."""

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _


@dataclass(frozen=True, slots=True)
class Place:
    """One entry of the navigation."""

    name: str
    href: str
    here: bool


def context(request: HttpRequest) -> dict[str, Any]:
    """Return what every template may use."""
    return {"places": _places(request), "in_console": request.path.startswith("/console/")}


def _places(request: HttpRequest) -> list[Place]:
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return []
    known = [
        (_("概览"), reverse("web:home"), "records.view_record"),
        (_("记录"), reverse("records:list"), "records.view_record"),
        (_("词库"), reverse("screening:libraries"), "screening.view_libraryversion"),
        (_("服务"), reverse("services:services"), "services.view_apikey"),
        (_("试用"), reverse("web:playground"), "services.view_apikey"),
    ]
    home = reverse("web:home")
    return [
        Place(name, href, request.path == href or (href != home and request.path.startswith(href)))
        for name, href, permission in known
        if user.has_perm(permission)
    ]
