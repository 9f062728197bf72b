"""The pages of policies and approved answers: what a policy does to any text and why, its table, its versions, and the bank."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from guiju.core.errors import GuijuError
from guiju.gateway.bundle import Service
from guiju.screening import flow as screening
from guiju.screening.answers.bank import ANSWERS_INVALID
from guiju.screening.answers.match import Matcher
from guiju.screening.classifier.coverage import not_covered
from guiju.screening.policies import flow
from guiju.screening.policies.flow import Subject
from guiju.screening.policies.models import Version
from guiju.screening.policies.trial import Trial, try_input, try_output
from guiju.screening.risks import GROUPS, RISKS, Risk
from guiju.screening.table import READERS, SCOPES, SURENESS
from guiju.screening.values import AUDIENCES, CONFIDENCES, Action, Audience, Direction, Policy, PolicyRow
from guiju.web.access import actor_of, needs, post_only, text_of
from guiju.web.live import bundle_in_force
from guiju.web.templatetags.guiju import chinese

BANK_LIMIT_BYTES: Final = 16 * 2**20
TRY_CHARACTERS: Final = 20_000
BLANK_ROWS: Final = 3
SHOWN_PROBLEMS: Final = 200
ACTIONS: Final = ("deliver", "warn", "refuse", "stop", "answer", "hold")
_SOON_S: Final = 30 * 86_400


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the matrix: a group or a risk, and what is done at each confidence; None where the risks of a group differ."""

    id: str
    names: tuple[str, str]
    actions: tuple[Action | None, ...]
    is_group: bool


@dataclass(frozen=True, slots=True)
class Entered:
    """A row of the form as somebody entered it, and what is wrong with it."""

    risk: str = ""
    direction: str = "input"
    audience: str = "*"
    confidence: str = "*"
    action: str = "deliver"
    wrong: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """What a page is about: the service, the direction, the reader, and the version looked at (empty: what is in force)."""

    service: Service
    direction: Direction
    audience: Audience
    version: Version | None
    policy: Policy

    @property
    def query(self) -> str:
        """The address behind the question mark."""
        named = {"service": self.service.id, "direction": self.direction, "audience": self.audience}
        return urlencode(named | ({"version": self.version.id} if self.version else {}))


# ── policies ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@needs("policies.view_version")
@require_GET
def policy(request: HttpRequest) -> HttpResponse:
    """Show the matrix, the box to try texts, the rows and the versions of a service."""
    return _policy_page(request)


@needs("policies.view_version")
@post_only
def try_text(request: HttpRequest) -> HttpResponse:
    """Show what would happen to a text and why. The text is not kept."""
    asked = _asked(request)
    text = request.POST.get("text", "").replace("\0", "")[:TRY_CHARACTERS]
    shown: Policy = asked.policy.read_by(asked.audience)
    snapshot = screening.snapshot_of(screening.active_library().version)
    trial: Trial
    if asked.direction == "input":
        trial = try_input(text, asked.service, shown, snapshot, matcher_in_force())
    else:
        trial = try_output(text, asked.service, shown, snapshot, chinese=chinese())
    facts: dict[str, Any] = {"trial": trial, "text": text, "pieces": _pieces(text, trial), "not_covered": not_covered()}
    if request.headers.get("HX-Request"):
        return render(request, "policies/_tried.html", {**facts, "asked": asked})
    return _policy_page(request, **facts)


@needs("policies.add_version")
@post_only
def draft(request: HttpRequest) -> HttpResponse:
    """Keep the rows of the form as a draft, or show every mistake with its row and keep nothing."""
    asked = _asked(request)
    columns = [request.POST.getlist(name)[:300] for name in ("risk", "direction_of", "audience_of", "confidence", "action")]
    entered = [Entered(*(value[:40] for value in values)) for values in zip(*columns, strict=False) if values[0]]
    rows = [f"{each.risk} {each.direction} {each.audience} {each.confidence} {each.action}" for each in entered]
    try:
        kept = flow.draft_policy(
            asked.service.id, rows, request.POST.get("default_audience", ""), text_of(request.POST, "name", 200), actor_of(request)
        )
    except GuijuError as problem:
        if problem.code is not flow.POLICY_INVALID:
            raise
        wrong = {each.place: (each.zh, each.en) for each in problem.facts["problems"]}
        shown = [replace(each, wrong=wrong.get(place)) for place, each in enumerate(entered)]
        return _policy_page(request, entered=shown, refused=problem, status=problem.code.status)
    messages.success(request, _("已保存为草稿；启用后才会生效。"))
    return redirect(f"{reverse('policies:policy')}?{urlencode({'service': asked.service.id, 'version': kept.id})}")


@needs("policies.review_version")
@post_only
def review(request: HttpRequest, version: str) -> HttpResponse:
    """Say that a version was looked at."""
    kept = flow.review(version, actor_of(request))
    messages.success(request, _("已复核，可以启用。"))
    return redirect(_home_of(kept))


@needs("policies.change_version")
@post_only
def activate(request: HttpRequest, version: str) -> HttpResponse:
    """Put a version in force in place of the one that the page showed."""
    kept = flow.activate(version, actor_of(request), request.POST.get("before", "")[:26], text_of(request.POST, "reason", 200))
    messages.success(request, _("已启用，一秒内对所有请求生效。"))
    return redirect(_home_of(kept))


@needs("policies.change_version")
@post_only
def retire(request: HttpRequest, version: str) -> HttpResponse:
    """Take a version out of force."""
    kept = flow.retire(version, actor_of(request), text_of(request.POST, "reason", 200))
    messages.success(request, _("已停用。"))
    return redirect(_home_of(kept))


# ── approved answers ────────────────────────────────────────────────────────────────────────────────────────────────────


@needs("policies.view_version")
@require_GET
def answers(request: HttpRequest) -> HttpResponse:
    """Show the bank in force, its versions, the form to import, and a box to ask."""
    return _answers_page(request)


@needs("policies.add_version")
@post_only
def import_answers(request: HttpRequest) -> HttpResponse:
    """Take a CSV or YAML file; keep it as a draft, or show every mistake with its line and keep nothing."""
    file = request.FILES.get("file")
    if file is None or (file.size or 0) > BANK_LIMIT_BYTES:
        refusal = _("请选择一个不超过 %(limit)d MB 的 CSV 或 YAML 文件；没有导入任何一行。") % {"limit": BANK_LIMIT_BYTES // 2**20}
        return _answers_page(request, refusal=refusal, status=400 if file is None else 413)
    try:
        kept = flow.draft_answers((file.name or "answers.csv").replace("\0", ""), file.read(), actor_of(request))
    except GuijuError as problem:
        if problem.code is not ANSWERS_INVALID:
            raise
        found = problem.facts["problems"]
        shown = {"problems": found[:SHOWN_PROBLEMS], "problem_count": len(found)}
        return _answers_page(request, status=problem.code.status, **shown)
    messages.success(request, _("已导入 %(count)d 条；启用后才会生效。") % {"count": kept.rows})
    return redirect("policies:answers")


@needs("policies.view_version")
@require_GET
def download(request: HttpRequest, version: str) -> HttpResponse:
    """Return the rows of a bank as CSV, with a byte order mark so that spreadsheet programs read the Chinese."""
    kept = Version.objects.filter(id=version, subject=Subject.ANSWERS).first()
    if kept is None:
        raise Http404
    response = HttpResponse(b"\xef\xbb\xbf" + bytes(kept.body), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="answers-{kept.version[:12]}.csv"'
    return response


@needs("policies.view_version")
@post_only
def ask(request: HttpRequest) -> HttpResponse:
    """Show which answer of the bank in force a question would get. The question is not kept."""
    question = request.POST.get("question", "").replace("\0", "")[:TRY_CHARACTERS]
    matcher = matcher_in_force()
    return _answers_page(request, asked_for=question, match=matcher.find(question, time.time(), near=True) if matcher else None)


def matcher_in_force() -> Matcher | None:
    """Return the approved answers in force, ready to be asked; None where there are none."""
    active = flow.find_active(Subject.ANSWERS)
    return _matcher(active.version) if active is not None else None


@lru_cache(maxsize=2)
def _matcher(version: str) -> Matcher:
    return Matcher(flow.bank_of(version).answers, version)


# ── what pages show ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _asked(request: HttpRequest) -> Asked:
    """Read what the page is about from its address, or from the form. Raises 404 where no service is in force."""
    values = request.POST if request.method == "POST" else request.GET
    force = bundle_in_force()
    services = force.bundle.services if force else ()
    if not services:
        raise Http404(_("还没有发布运行包。"))
    service = next((each for each in services if each.id == values.get("service")), services[0])
    direction: Direction = "output" if values.get("direction") == "output" else "input"
    audience: Audience = next((each for each in AUDIENCES if each == values.get("audience")), service.policy.default_audience)
    version = next((each for each in flow.list_versions(Subject.POLICY, service.id) if each.id == values.get("version")), None)
    shown = flow.with_table(service.policy, *flow.table_of(version.id)) if version else service.policy
    return Asked(service, direction, audience, version, shown)


def _policy_page(
    request: HttpRequest, *, entered: Sequence[Entered] = (), refused: GuijuError | None = None, status: int = 200, **facts: Any
) -> HttpResponse:
    asked = _asked(request)
    force = bundle_in_force()
    active = flow.find_active(Subject.POLICY, asked.service.id)
    versions = flow.list_versions(Subject.POLICY, asked.service.id)
    against = next((each for each in versions if each.id == request.GET.get("against")), active)
    before = flow.table_of(against.id)[0] if against else ()
    shown = asked.policy.rows
    written = shown if active or asked.version else (*shown, *rows_of_settings(asked.policy))
    rows = list(entered) or [Entered(row.risk, row.direction, row.audience, row.confidence, row.action) for row in written]
    page = {
        "asked": asked,
        "services": force.bundle.services if force else (),
        "active": active,
        "lines": matrix(asked.policy.read_by(asked.audience), asked.direction),
        "rows": [*rows, *([Entered()] * BLANK_ROWS)],
        "refused": refused,
        "versions": versions,
        "against": against,
        "gone": [str(row) for row in before if row not in shown] if asked.version else [],
        "new": [str(row) for row in shown if row not in before] if asked.version else [],
        "people": _people(),
        "scopes": SCOPES,
        "readers": READERS,
        "audiences": AUDIENCES,
        "sureness": SURENESS,
        "directions": ("input", "output", "both"),
        "confidences": CONFIDENCES,
        "actions": ACTIONS,
        "me": actor_of(request),
    }
    return render(request, "policies/policy.html", {**page, **facts}, status=status)


def _answers_page(request: HttpRequest, *, status: int = 200, **facts: Any) -> HttpResponse:
    active = flow.find_active(Subject.ANSWERS)
    bank = flow.active_bank()
    now = time.time()
    until = [answer.until_s for answer in bank.answers] if bank else []
    page = {
        "active": active,
        "bank": bank,
        "expired": sum(each <= now for each in until),
        "soon": sum(now < each <= now + _SOON_S for each in until),
        "versions": flow.list_versions(Subject.ANSWERS),
        "people": _people(),
        "limit": BANK_LIMIT_BYTES // 2**20,
        "me": actor_of(request),
    }
    return render(request, "policies/answers.html", {**page, **facts}, status=status)


def matrix(policy: Policy, direction: Direction) -> list[Line]:
    """Return what a policy does: a line for each group, and for each risk of a group whose risks differ."""

    def actions(risk: Risk) -> tuple[Action, ...]:
        return tuple(policy.action(direction, risk.id, confidence) for confidence in CONFIDENCES)

    lines = []
    for id, names in GROUPS.items():
        risks = [risk for risk in RISKS if risk.group == id]
        columns = [set(column) for column in zip(*map(actions, risks), strict=True)]
        lines.append(Line(id, names, tuple(next(iter(column)) if len(column) == 1 else None for column in columns), True))
        if any(len(column) > 1 for column in columns):
            lines += [Line(risk.id, (risk.zh, risk.en), actions(risk), False) for risk in risks]
    return lines


def rows_of_settings(policy: Policy) -> list[PolicyRow]:
    """Return what `on_input` and `on_output` say beyond the defaults as rows, so that a first version begins with what is in force."""
    plain = Policy()
    tables = (("input", policy.on_input, plain.on_input), ("output", policy.on_output, plain.on_output))
    return [
        PolicyRow(scope, direction, "*", confidence, action)  # type: ignore[arg-type]  # input or output
        for direction, table, default in tables
        for scope, action in table.items()
        if default.get(scope) != action
        for confidence in ("high", "medium")
    ]


def _pieces(text: str, trial: Trial) -> list[tuple[str, str]]:
    """Cut a text where finds begin and end: each piece with what the graver of its finds does, empty where there is none."""
    edges = sorted({0, len(text), *(edge for told in trial.finds for edge in (told.hit.start, told.hit.end) if edge <= len(text))})
    pieces = []
    for start, end in zip(edges, edges[1:], strict=False):
        covering = {told.hit.action for told in trial.finds if told.hit.start <= start and end <= told.hit.end}
        pieces.append((text[start:end], "" if not covering else "flag" if covering <= {"deliver", "warn"} else "block"))
    return pieces


def _people() -> int:
    people: int = settings.SITE.screening.policy_people
    return people


def _home_of(kept: Version) -> str:
    if kept.subject == Subject.ANSWERS:
        return reverse("policies:answers")
    return f"{reverse('policies:policy')}?{urlencode({'service': kept.service})}"
