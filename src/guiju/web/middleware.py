"""Headers that every page carries, and expected errors and refused methods as pages."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from guiju.core.errors import GuijuError
from guiju.web.access import page_at

Handler = Callable[[HttpRequest], HttpResponseBase]

HEADERS: Final = {
    # Only our own files run or style anything; a script or a style inside a page is never obeyed.
    "Content-Security-Policy": "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=()",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def security_headers(get_response: Handler) -> Handler:
    """Put `HEADERS` on every answer, and keep pages with people's data out of every cache."""

    def handle(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        for name, value in HEADERS.items():
            response.headers[name] = value
        if not request.path.startswith("/static/"):
            response.headers.setdefault("Cache-Control", "no-store")
        return response

    return handle


class ErrorPages:
    """Turn a GuijuError that reached the edge, and a refused method, into a page in three parts with its status."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if response.status_code != HTTPStatus.METHOD_NOT_ALLOWED:
            return response
        page = _wrong_method(request)
        page.headers["Allow"] = response.headers["Allow"]
        return page

    def process_exception(self, request: HttpRequest, problem: Exception) -> HttpResponse | None:
        if not isinstance(problem, GuijuError):
            return None
        text = problem.code.zh if (get_language() or "").startswith("zh") else problem.code.en
        parts = [part.format_map(problem.facts) for part in (text.happened, text.kept, text.todo)]
        return render(
            request,
            "web/error.html",
            {"code": problem.code.code, "happened": parts[0], "kept": parts[1], "todo": parts[2]},
            status=problem.code.status,
        )


def _wrong_method(request: HttpRequest) -> HttpResponse:
    """Answer a visit to an address that only takes forms, or a form sent to a page that takes none."""
    facts = {
        "happened": _("这个地址不能这样访问：它只接受表单，或只供查看。"),
        "kept": _("没有做任何改动。"),
        "todo": _("请到它所属的页面操作。"),
        "onward": page_at(request.path),
        "code": "METHOD-REFUSED",
    }
    return render(request, "web/error.html", facts, status=405)
