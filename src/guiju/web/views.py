"""The portal for the public, the home page of the console, the language switch, and the pages for errors."""

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.utils import translation
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from guiju.records.keeping.gaps import open_gaps
from guiju.screening import flow as screening
from guiju.web import chart, figures, tasks
from guiju.web.access import needs, onward_of, post_only
from guiju.web.live import bundle_in_force, gateway_state


@require_GET
def portal(request: HttpRequest) -> HttpResponse:
    """Show the public one card for each service: name, models, how its answers are labelled."""
    force = bundle_in_force()
    upstreams = {each.name: each for each in force.bundle.upstreams} if force else {}
    cards = [
        {"service": each, "models": [model for name in each.upstreams if name in upstreams for model in upstreams[name].models]}
        for each in (force.bundle.services if force else ())
    ]
    return render(request, "web/portal.html", {"cards": cards, "verifies": settings.SITE.verify.page == "on"})


@needs("records.view_record")
@require_GET
def home(request: HttpRequest) -> HttpResponse:
    """Show today's figures, the state of every part, and the last 24 hours."""
    facts = {
        "today": figures.today(),
        "charts": [chart.draw(figures.last_day(), _("过去 24 小时的回答"), width) for width in (chart.WIDTH, chart.NARROW)],
        "ledger": figures.ledger(),
        "spool": figures.spool(),
        "gateway": gateway_state(),
        "force": bundle_in_force(),
        "library": screening.find_active(),
        "check": tasks.latest_check(),
        "gaps": open_gaps().count(),
    }
    return render(request, "web/home.html", facts)


@needs("records.view_record")
@post_only
def start_ledger_check(request: HttpRequest) -> HttpResponse:
    """Queue a check of the whole ledger; its result appears on the home page."""
    if tasks.queue_check():
        messages.info(request, _("已开始自检，结果稍后显示在本页。"))
    else:
        messages.info(request, _("自检正在进行，结果稍后显示在本页。"))
    return redirect("web:home")


@post_only
def set_language(request: HttpRequest) -> HttpResponse:
    """Remember the language and go back to the page."""
    language = request.POST.get("language", "")
    response = HttpResponseRedirect(onward_of(request, "/"))
    if language in dict(settings.LANGUAGES):
        response.set_cookie(
            settings.LANGUAGE_COOKIE_NAME,
            language,
            max_age=settings.LANGUAGE_COOKIE_AGE,
            secure=settings.LANGUAGE_COOKIE_SECURE,
            httponly=settings.LANGUAGE_COOKIE_HTTPONLY,
            samesite="Lax",
        )
    return response


def form_expired(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer a form whose token is missing or old."""
    del reason
    facts = {
        "happened": _("这个表单已过期，或不是从本站提交的。"),
        "kept": _("没有做任何改动。"),
        "todo": _("请回到原来的页面，刷新后重新提交。"),
        "code": "FORM-EXPIRED",
    }
    return render(request, "web/error.html", facts, status=403)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer an address that does not exist, or that is not this person's to see."""
    del exception
    facts = {"happened": _("没有这个页面，或您无权查看。"), "todo": _("请核对地址，或联系管理员。")}
    return render(request, "web/error.html", facts, status=404)


def failed(request: HttpRequest) -> HttpResponse:
    """Answer for a defect of ours; the traceback is in the log."""
    with translation.override(translation.get_language() or "zh-hans"):
        facts = {
            "happened": _("页面出错了。"),
            "kept": _("已保存的内容不受影响；出错的操作没有完成。"),
            "todo": _("请稍后重试；运维请查看日志。"),
        }
        return render(request, "web/error.html", facts, status=500)
