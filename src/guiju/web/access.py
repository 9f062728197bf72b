"""Who may see a page of the console: people who signed in and hold the permission; the others see nothing of it."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext as _

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
                return redirect_to_login(request.get_full_path())
            if not request.user.has_perm(permission):
                raise Http404(_("没有这个页面，或您无权查看。"))
            response = view(request, *args, **kwargs)
            patch_vary_headers(response, ["Cookie"])
            return response

        guarded.permission = permission  # type: ignore[attr-defined]  # read by the test that looks at every console address
        return guarded

    return wrap


def actor_of(request: HttpRequest) -> str:
    """Return how the signed-in person appears as the actor of a record."""
    return f"person:{request.user.get_username()}"


def text_of(values: QueryDict, name: str, limit_characters: int) -> str:
    """Return one field of a form without white space around it, cut to a limit, and without the zero character.

    PostgreSQL refuses the zero character in any text: a page would fail on it.
    """
    return str(values.get(name, "")).replace("\0", "").strip()[:limit_characters]
