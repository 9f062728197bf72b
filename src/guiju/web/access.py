"""Who may see a page of the console: people who signed in and hold the permission; the others see nothing of it."""

from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlencode, urlsplit

from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from django.urls import Resolver404, resolve
from django.utils.cache import patch_vary_headers
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

View = Callable[..., HttpResponseBase]


def needs(permission: str) -> Callable[[View], View]:
    """Let through signed-in people who hold `permission` (`app.verb_model`).

    Anybody not signed in is sent to the sign-in page; somebody signed in without the permission gets 404, so that the
    page does not even tell that it exists.
    """

    def wrap(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not request.user.is_authenticated:
                if request.headers.get("HX-Request"):
                    # The whole page reloads and meets the sign-in page.
                    return HttpResponse(status=204, headers={"HX-Refresh": "true"})
                return redirect_to_login(_asked_for(request))
            if not request.user.has_perm(permission):
                raise Http404(_("没有这个页面，或您无权查看。"))
            response = view(request, *args, **kwargs)
            patch_vary_headers(response, ["Cookie"])
            return response

        guarded.permission = permission  # type: ignore[attr-defined]  # read by the test that looks at every console address
        return guarded

    return wrap


def post_only(view: View) -> View:
    """Let through forms that are sent; a visit gets 405. `page_at` knows such an address by this mark and leads past it."""
    guarded: View = require_POST(view)
    guarded.post_only = True  # type: ignore[attr-defined]  # read by page_at
    return guarded


def page_at(address: str) -> str:
    """Return an address of this site as it can be visited: for one that only takes forms, the page that it lies below."""
    parts = urlsplit(address)
    path = parts.path
    if not _takes_only_forms(path):
        return address
    while path != "/":
        path = path.rstrip("/").rpartition("/")[0] + "/"
        if _takes_only_forms(path) is False:
            break
    return path + (f"?{parts.query}" if parts.query else "")


def onward_of(request: HttpRequest, otherwise: str) -> str:
    """Return the page of this site that the field `next` asks for, as it can be visited; `otherwise` for any other site."""
    asked = request.POST.get("next") or request.GET.get("next") or ""
    safe = url_has_allowed_host_and_scheme(asked, {request.get_host()}, require_https=request.is_secure())
    return page_at(asked) if safe else otherwise


def _takes_only_forms(path: str) -> bool | None:
    """Tell whether visiting `path` is refused; None when there is nothing."""
    try:
        return getattr(resolve(path).func, "post_only", False)
    except Resolver404:
        return None


def _asked_for(request: HttpRequest) -> str:
    """Return where to go on after signing in: a form's page is found by its address, a subject's also by the form's field."""
    subject = text_of(request.POST, "subject", 200)
    return request.get_full_path() if not subject else f"{request.path}?{urlencode({'subject': subject})}"


def actor_of(request: HttpRequest) -> str:
    """Return how the signed-in person appears as the actor of a record."""
    return f"person:{request.user.get_username()}"


def text_of(values: QueryDict, name: str, limit_characters: int) -> str:
    """Return one field of a form without white space around it, cut to a limit, and without the zero character.

    PostgreSQL refuses the zero character in any text: a page would fail on it.
    """
    return str(values.get(name, "")).replace("\0", "").strip()[:limit_characters]
