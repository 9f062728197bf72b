"""The board, one duty with its evidence, the profile and its determination; and the law itself, open to everybody."""

from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from guiju.core.clock import BEIJING
from guiju.core.errors import GuijuError
from guiju.obligations import exports, flow, history
from guiju.obligations.applicability import Answers, answers_of, question_of
from guiju.obligations.finding import GRAVEST
from guiju.obligations.judging import Light, all_checks, count_states, judge_service, list_notices, next_deadlines
from guiju.obligations.loading import differences, shipped_catalogue
from guiju.obligations.models import Attestation, Determination
from guiju.obligations.values import Chapter, Obligation
from guiju.records import recent
from guiju.records.kinds import KINDS
from guiju.services.flow import settings_now
from guiju.web.access import actor_of, needs, post_only, text_of
from guiju.web.templatetags.guiju import error_text

DEADLINES_SHOWN: Final = 8
ATTESTATIONS_SHOWN: Final = 20


@dataclass(frozen=True, slots=True)
class Shelf:
    """One article on the board and its lights."""

    number: int
    title: Any
    lights: list[Light]


@dataclass(frozen=True, slots=True)
class Part:
    """One chapter on the board."""

    chapter: Chapter
    shelves: list[Shelf]


def _service(service: str) -> Any:
    found = next((each for each in settings_now().services if each.id == service), None)
    if found is None:
        raise Http404(_("没有这项服务。"))
    return found


@needs("obligations.view_profile")
@require_GET
def board(request: HttpRequest) -> HttpResponse:
    """Show every light of one service at a glance, and the counts of all services."""
    services = settings_now().services
    if not services:
        return render(request, "obligations/board.html", {"services": []})
    chosen = _service(request.GET.get("service") or services[0].id)
    now = timezone.now()
    known: dict[str, Any] = {}
    lights = judge_service(chosen.id, now, known)
    counts = {chosen.id: count_states(lights)}
    others = [(each, counts.get(each.id) or count_states(judge_service(each.id, now, known))) for each in services]
    today = now.astimezone(BEIJING).date()
    days = history.days_of(chosen.id, today)
    profile = flow.profile_of(chosen.id)
    unanswered = shipped_catalogue().facts.keys() - flow.answers_of(chosen.id).keys()
    waits = profile is not None and not unanswered and flow.determination_of(chosen.id, now)[1] != "holds"
    facts = {
        "unanswered": len(unanswered),
        "to_sign": waits and profile is not None and profile.made_by != actor_of(request),
        "service": chosen,
        "services": [(each, {state: number for state, number in count.items() if number}) for each, count in others],
        "counts": [(state, counts[chosen.id][state]) for state in GRAVEST],
        "parts": _parts(lights),
        "deadlines": next_deadlines(lights, DEADLINES_SHOWN),
        "charts": [history.draw(days, today, width) for width in (history.WIDTH, history.NARROW)],
        "states": history.DRAWN,
        "now": now,
        "catalogue": shipped_catalogue().version,
        "notices": list_notices(now),
    }
    return render(request, "obligations/board.html", facts)


def _parts(lights: list[Light]) -> list[Part]:
    parts = []
    for chapter in shipped_catalogue().chapters:
        shelves = [
            Shelf(number, title, [each for each in lights if each.obligation.article == number])
            for number, title in chapter.articles.items()
        ]
        parts.append(Part(chapter, shelves))
    return parts


@needs("obligations.view_profile")
@require_GET
def duty(request: HttpRequest, service: str, obligation: str) -> HttpResponse:
    """Show one duty of one service: whether and why it binds, its state and reason, and the evidence down to its proof."""
    return _duty(request, service, obligation)


def _duty(request: HttpRequest, service: str, obligation: str, refusal: GuijuError | None = None) -> HttpResponse:
    chosen = _service(service)
    now = timezone.now()
    found = next((each for each in judge_service(service, now) if each.obligation.id == obligation), None)
    if found is None:
        raise Http404(_("没有这项义务，或它不约束提供者。"))
    check = all_checks().get(obligation)
    catalogue = shipped_catalogue()
    facts = {
        "service": chosen,
        "light": found,
        "each": found.obligation,
        "because": [(question_of(one, catalogue), answers_of(one, catalogue)) for one in found.binding.because],
        "check": f"{check.__module__}.{check.__name__}" if check else "",
        "attestations": Attestation.objects.defer("document").filter(service=service, obligation=obligation)[:ATTESTATIONS_SHOWN],
        "kinds": [kind for kind in KINDS.values() if obligation in kind.obligations],
        "latest": recent.latest_of_kind(kind.name for kind in KINDS.values() if obligation in kind.obligations),
        "now": now,
        "refusal": error_text(refusal) if refusal else "",
        "statement_characters": flow.STATEMENT_CHARACTERS,
        "said_before": request.POST if refusal else {},
        **_law_of(found.obligation),
    }
    return render(request, "obligations/duty.html", facts, status=refusal.code.status if refusal else 200)


@needs("obligations.add_attestation")
@post_only
def attest(request: HttpRequest, service: str, obligation: str) -> HttpResponse:
    """Keep what a person says of a duty, with its document and its last day."""
    _service(service)
    upload = request.FILES.get("document")
    small = upload is not None and (upload.size or 0) <= flow.DOCUMENT_LIMIT_BYTES
    document = upload.read() if upload is not None and small else b""
    try:
        last_day = date.fromisoformat(text_of(request.POST, "last_day", 10))
    except ValueError:
        last_day = date.min
    try:
        flow.attest(
            service, obligation, text_of(request.POST, "statement", flow.STATEMENT_CHARACTERS + 1), document, upload.name or "" if upload else "", last_day, actor_of(request)
        )  # fmt: skip
    except GuijuError as refusal:
        return _duty(request, service, obligation, refusal)
    messages.success(request, _("声明已保存并记录。"))
    return redirect("obligations:duty", service, obligation)


@needs("obligations.change_attestation")
@post_only
def withdraw(request: HttpRequest, service: str, obligation: str, attestation: str) -> HttpResponse:
    """Withdraw an attestation."""
    try:
        flow.withdraw(attestation, actor_of(request))
    except GuijuError as refusal:
        return _duty(request, service, obligation, refusal)
    messages.success(request, _("声明已撤回。"))
    return redirect("obligations:duty", service, obligation)


@needs("obligations.view_attestation")
@require_GET
def document(request: HttpRequest, service: str, obligation: str, attestation: str) -> HttpResponse:
    """Give the document of an attestation, as a download that no browser runs."""
    try:
        found = flow.document_of(service, obligation, attestation)
    except GuijuError as refusal:
        if refusal.code is flow.ATTESTATION_GONE:
            raise Http404(_("没有这份文件。")) from refusal
        return _duty(request, service, obligation, refusal)
    response = HttpResponse(bytes(found.document), content_type="application/octet-stream")
    response["Content-Disposition"] = f'attachment; filename="{found.id}.bin"'
    return response


@needs("obligations.view_profile")
@require_GET
def profile(request: HttpRequest, service: str) -> HttpResponse:
    """Show the profile of a service, what it decides, and its determination."""
    return _profile(request, service)


def _profile(request: HttpRequest, service: str, refusal: GuijuError | None = None, given: Answers | None = None) -> HttpResponse:
    """Show the profile; `given` are answers that were refused, to be corrected."""
    chosen = _service(service)
    answers = flow.answers_of(service)
    now = timezone.now()
    made, holds = flow.determination_of(service, now)
    kept = flow.profile_of(service)
    catalogue = shipped_catalogue()
    lights = judge_service(service, now) if answers else []
    facts = {
        "service": chosen,
        "questions": [(each, (answers if given is None else given).get(each.id, ())) for each in catalogue.facts.values()],
        "open": [each for each in catalogue.facts.values() if each.id not in answers],
        "profile": kept,
        "own": kept is not None and kept.made_by == actor_of(request),
        "made": made,
        "holds": holds,
        "binding": [(binds, [each.obligation for each in lights if each.binding.binds == binds]) for binds in ("yes", "unknown", "no")],
        "refusal": error_text(refusal) if refusal else "",
        "catalogue": catalogue.version,
    }
    return render(request, "obligations/profile.html", facts, status=refusal.code.status if refusal else 200)


@needs("obligations.add_profile")
@post_only
def answer(request: HttpRequest, service: str) -> HttpResponse:
    """Keep the answers of a profile."""
    _service(service)
    answers = {fact: tuple(filter(None, request.POST.getlist(f"fact-{fact}"))) for fact in shipped_catalogue().facts}
    try:
        flow.answer_profile(service, answers, actor_of(request))
    except GuijuError as refusal:
        return _profile(request, service, refusal, answers)
    messages.success(request, _("画像已保存并记录。"))
    return redirect("obligations:profile", service)


@needs("obligations.sign_determination")
@post_only
def determine(request: HttpRequest, service: str) -> HttpResponse:
    """Sign the scope determination."""
    _service(service)
    try:
        flow.determine_scope(service, actor_of(request))
    except GuijuError as refusal:
        return _profile(request, service, refusal)
    messages.success(request, _("适用性判断书已签署。"))
    return redirect("obligations:profile", service)


@needs("obligations.view_profile")
@require_GET
def determination(request: HttpRequest, service: str, number: str) -> HttpResponse:
    """Give the signed note of a determination."""
    found = Determination.objects.filter(id=number, service=service).first()
    if found is None:
        raise Http404(_("没有这份判断书。"))
    response = HttpResponse(found.note, content_type="text/plain; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="DOC-01-{service}-{found.id}.txt"'
    return response


@needs("obligations.view_profile")
@require_GET
def matrix(request: HttpRequest, form: str) -> HttpResponse:
    """Give the gap matrix for counsel (DOC-19) as CSV or workbook."""
    if form not in ("csv", "xlsx"):
        raise Http404(_("没有这份文件。"))
    kind = "text/csv; charset=utf-8" if form == "csv" else "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    response = HttpResponse(exports.matrix_file("csv" if form == "csv" else "xlsx"), content_type=kind)
    response["Content-Disposition"] = f'attachment; filename="DOC-19.{form}"'
    return response


@needs("obligations.view_profile")
@require_GET
def oscal(request: HttpRequest, part: str) -> HttpResponse:
    """Give an OSCAL document: the law, what guiju does, or the lights."""
    if part not in ("catalog", "component", "results"):
        raise Http404(_("没有这份文件。"))
    response = JsonResponse(exports.oscal_document(part), json_dumps_params={"ensure_ascii": False, "indent": 1})  # type: ignore[arg-type]  # looked up above
    response["Content-Disposition"] = f'attachment; filename="oscal-{part}.json"'
    return response


# ── the law, for everybody ────────────────────────────────────────────────────────────────────────────────────────────


@require_GET
def law(request: HttpRequest) -> HttpResponse:
    """Show the Measures, chapter by chapter: every duty with its certainty."""
    catalogue = shipped_catalogue()
    newest = [versions[-1] for versions in catalogue.obligations.values()]
    parts = [
        (chapter, [(number, title, [each for each in newest if each.article == number]) for number, title in chapter.articles.items()])
        for chapter in catalogue.chapters
    ]
    return render(
        request, "obligations/law.html", {"parts": parts, "statutes": catalogue.statutes.values(), "catalogue": catalogue.version}
    )


@require_GET
def law_duty(request: HttpRequest, obligation: str) -> HttpResponse:
    """Show one duty as it can be cited: text, periods, related laws, penalties, versions."""
    catalogue = shipped_catalogue()
    versions = catalogue.obligations.get(obligation)
    if versions is None:
        raise Http404(_("没有这项义务。"))
    changes = [(new, differences(old, new)) for old, new in zip(versions, versions[1:], strict=False)]
    names = _law_of(versions[-1])
    return render(
        request,
        "obligations/law_duty.html",
        {"each": versions[-1], "versions": versions, "changes": changes, "catalogue": catalogue.version, **names},
    )


def _law_of(each: Obligation) -> dict[str, Any]:
    """Return what the names in an obligation stand for."""
    catalogue = shipped_catalogue()
    return {
        "article_title": catalogue.chapter_of(each.article).articles[each.article],
        "hooks": [(hook, catalogue.statutes[hook.law]) for hook in each.hooks],
        "clocks": [catalogue.clocks[name] for name in each.clocks],
        "penalties": [catalogue.penalties[name] for name in each.penalties],
        "documents": [catalogue.documents[name] for name in each.documents],
    }
