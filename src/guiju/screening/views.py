"""The page of the keyword libraries: versions, what they cover and what they do not, import, and a box to try texts.

Pages about one version, two versions and all steps are in `library_views.py`.
"""

from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from guiju.core.errors import GuijuError
from guiju.screening import flow
from guiju.screening.libraries.formats import TYPES, write_library
from guiju.screening.libraries.library import COLUMNS, LIBRARY_INVALID
from guiju.screening.libraries.workbook_reader import WORKBOOK_REFUSED
from guiju.screening.models import LibraryVersion
from guiju.screening.risks import GROUPS, RISKS, Risk
from guiju.screening.values import Direction, LibraryEntry, Policy
from guiju.web.access import actor_of, needs, post_only, text_of
from guiju.web.templatetags.guiju import error_text

LIBRARY_LIMIT_BYTES: Final = 32 * 2**20
TRY_CHARACTERS: Final = 20_000
SHOWN_PROBLEMS: Final = 200
VERSIONS_SHOWN: Final = 50
COUNT_DIGITS: Final = 9


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many terms a risk has in the library in force; a gap is a risk that a library must cover and does not."""

    risk: Risk
    terms: int

    @property
    def gap(self) -> bool:
        return self.risk.keyword_set and not self.terms


@dataclass(frozen=True, slots=True)
class Group:
    """A group of risks as the page shows it."""

    id: str
    names: tuple[str, str]
    risks: tuple[Coverage, ...]

    @property
    def gaps(self) -> int:
        return sum(each.gap for each in self.risks)


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a tried text; `severity` is empty where nothing hits."""

    text: str
    severity: str


@needs("screening.view_libraryversion")
@require_GET
def libraries(request: HttpRequest) -> HttpResponse:
    """Show the versions, the coverage of the one in force, and the forms."""
    return render(request, "screening/libraries.html", _page(request))


@needs("screening.add_libraryversion")
@post_only
def import_file(request: HttpRequest) -> HttpResponse:
    """Take a CSV, YAML or XLSX file; keep it as a draft, or show every mistake with its line and keep nothing."""
    file = request.FILES.get("file")
    if file is None:
        return render(
            request,
            "screening/libraries.html",
            {**_page(request), "refusal": _("没有选择文件。现有词库不变，请选择一个 CSV、XLSX 或 YAML 文件。")},
            status=400,
        )
    name = (file.name or "library.csv").replace("\0", "")
    if (file.size or 0) > LIBRARY_LIMIT_BYTES:
        text = _("文件“%(name)s”超过 %(limit)d MB。没有导入任何一行，请拆分或精简后再导入。") % {
            "name": name,
            "limit": LIBRARY_LIMIT_BYTES // 2**20,
        }
        return render(request, "screening/libraries.html", {**_page(request), "refusal": text}, status=413)
    try:
        kept = flow.import_library(name, file.read(), actor_of(request))
    except GuijuError as problem:
        if problem.code is WORKBOOK_REFUSED:
            return render(
                request, "screening/libraries.html", {**_page(request), "refusal": error_text(problem)}, status=problem.code.status
            )
        if problem.code is not LIBRARY_INVALID:
            raise
        problems = problem.facts["problems"]
        found = {"refused_name": name, "problems": problems[:SHOWN_PROBLEMS], "problem_count": len(problems)}
        return render(request, "screening/libraries.html", {**_page(request), **found}, status=problem.code.status)
    messages.success(request, _("已导入“%(name)s”，共 %(count)d 条；启用后才会生效。") % {"name": kept.name, "count": kept.entries})
    return redirect("screening:libraries")


@needs("screening.change_libraryversion")
@post_only
def activate(request: HttpRequest, version: str) -> HttpResponse:
    """Put a version in force, or go back to one that was, for a reason; what drops much is told with its figures first, and confirmed."""
    given = text_of(request.POST, "dropping", COUNT_DIGITS)
    dropping = int(given) if given.isascii() and given.isdecimal() else 0
    try:
        kept = flow.activate_library(version, actor_of(request), text_of(request.POST, "reason", flow.REASON_LONGEST), dropping=dropping)
    except GuijuError as problem:
        if problem.code not in (flow.REVIEW_NEEDED, flow.PROVENANCE_MISSING, flow.REASON_MISSING, flow.EMPTY, flow.LOSS):
            raise
        told = {"refusal": error_text(problem)} | ({"loss": problem.facts, "chosen": version} if problem.code is flow.LOSS else {})
        return render(request, "screening/libraries.html", {**_page(request), **told}, status=problem.code.status)
    messages.success(request, _("“%(name)s”已启用，一秒内对所有请求生效。") % {"name": kept.name})
    return redirect("screening:libraries")


@needs("screening.review_libraryversion")
@post_only
def review(request: HttpRequest, version: str) -> HttpResponse:
    """Review what somebody else imported."""
    try:
        kept = flow.review_library(version, actor_of(request), text_of(request.POST, "reason", flow.REASON_LONGEST))
    except GuijuError as problem:
        if problem.code is not flow.REVIEW_REFUSED:
            raise
        return render(request, "screening/libraries.html", {**_page(request), "refusal": error_text(problem)}, status=problem.code.status)
    messages.success(request, _("“%(name)s”已审核，可以启用。") % {"name": kept.name})
    return redirect("screening:libraries")


@needs("screening.view_libraryversion")
@require_GET
def download(request: HttpRequest, version: str) -> HttpResponse:
    """Return the rows as CSV, or in the form that is asked for; importing the file gives the same version."""
    kept = flow.get_version(version)
    form = form if (form := request.GET.get("form", "")) in TYPES else "csv"
    raw = write_library(flow.library_of(kept.version), form, flow.profile_in_use().least())
    response = HttpResponse(raw, content_type=TYPES[form])
    response.headers["Content-Disposition"] = f'attachment; filename="keywords-{kept.version[:12]}.{form}"'
    return response


@needs("screening.view_libraryversion")
@post_only
def try_text(request: HttpRequest) -> HttpResponse:
    """Show what the library in force would find in a text. The text is not kept."""
    text = request.POST.get("text", "")[:TRY_CHARACTERS]
    direction: Direction = "input" if request.POST.get("direction") == "input" else "output"
    library = flow.active_library()
    verdict = flow.snapshot_of(library.version).examine(text, direction, Policy())
    entries = {entry.id: entry for entry in library.entries}
    risks = {risk.id: risk for risk in RISKS}
    hits = [
        {"term": entries[hit.rule].term, "risk": risks[hit.risk], "hit": hit, "found": text[hit.start : hit.end]} for hit in verdict.hits
    ]
    tried = {"tried": True, "text": text, "direction": direction, "hits": hits, "pieces": _pieces(text, verdict.hits, entries)}
    if request.headers.get("HX-Request"):
        return render(request, "screening/_tried.html", tried)
    return render(request, "screening/libraries.html", {**_page(request), **tried})


def _page(request: HttpRequest) -> dict[str, Any]:
    versions = list(LibraryVersion.objects.defer("body")[:VERSIONS_SHOWN])
    sizing = flow.size_kept(active.version) if (active := flow.find_active()) else None
    counts = flow.library_of(active.version).count_by_risk() if active else {}
    groups = [
        Group(id, names, tuple(Coverage(risk, counts.get(risk.id, 0)) for risk in RISKS if risk.group == id))
        for id, names in GROUPS.items()
    ]
    return {
        "versions": versions,
        "active": active,
        "groups": groups,
        "gaps": sum(group.gaps for group in groups),
        "limit": LIBRARY_LIMIT_BYTES // 2**20,
        "sizing": sizing,
        "actor": actor_of(request),
        "two_people": settings.SITE.screening.library_people > 1,
        "columns": ", ".join(COLUMNS),
    }


def _pieces(text: str, hits: Any, entries: dict[str, LibraryEntry]) -> list[Piece]:
    """Cut a text where hits begin and end; where hits overlap the graver one colours the piece."""
    edges = sorted({0, len(text), *(edge for hit in hits for edge in (hit.start, hit.end))})
    pieces = []
    for start, end in zip(edges, edges[1:], strict=False):
        covering = {hit.severity for hit in hits if hit.start <= start and end <= hit.end}
        pieces.append(Piece(text[start:end], "block" if "block" in covering else "flag" if covering else ""))
    return pieces
