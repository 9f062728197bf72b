"""Pages about one keyword library (its rows, its size against the standard), about two of them, and about all that was done."""

from typing import Any, Final

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.views.decorators.http import require_GET

from guiju.screening import flow
from guiju.screening.libraries.difference import find_difference
from guiju.screening.libraries.library import COLUMNS
from guiju.screening.libraries.sizing import SIGNED, load_profiles
from guiju.screening.models import LibraryVersion
from guiju.screening.risks import RISKS
from guiju.screening.spellings.fold import fold
from guiju.web.access import needs, text_of

ROWS_SHOWN: Final = 100
CHANGES_SHOWN: Final = 500
STEPS_SHOWN: Final = 200
SEARCH_CHARACTERS: Final = 64
_AT_SIGHT: Final = frozenset(("term", "risk", "severity", "direction", *SIGNED))


@needs("screening.view_libraryversion")
@require_GET
def rows(request: HttpRequest, version: str) -> HttpResponse:
    """Show the rows of a version, a page at a time: all, those that hold a text, of one risk, or without source or reviewer."""
    kept = flow.get_version(version)
    library = flow.library_of(kept.version)
    sought, risk, lacking = (text_of(request.GET, name, SEARCH_CHARACTERS) for name in ("q", "risk", "lacking"))
    found = library.rows()
    if risk:
        found = [row for row in found if row["risk"] == risk]
    if lacking:
        found = [row for row in found if not all(row[column] for column in SIGNED)]
    if sought:
        folded, plain = fold(sought), sought.lower()
        found = [row for row in found if (folded and folded in fold(row["term"])) or plain in "\n".join(row.values()).lower()]
    page = Paginator(found, ROWS_SHOWN).get_page(request.GET.get("page"))
    facts: dict[str, Any] = {
        "kept": kept,
        "page": page,
        "rows": [{**row, "more": [(name, row[name]) for name in COLUMNS if name not in _AT_SIGHT and row[name]]} for row in page],
        "risks": RISKS,
        "q": sought,
        "risk": risk,
        "lacking": lacking,
        "query": _query(q=sought, risk=risk, lacking=lacking),
    }
    return render(request, "screening/rows.html", facts)


@needs("screening.view_libraryversion")
@require_GET
def check(request: HttpRequest, version: str) -> HttpResponse:
    """Show a version against a profile: counts by risk, total, renewal, rows that nobody signed for."""
    kept = flow.get_version(version)
    sizing = flow.size_version(kept.version, text_of(request.GET, "profile", SEARCH_CHARACTERS))
    facts = {"kept": kept, "sizing": sizing, "profiles": list(load_profiles()), "asked": [each for each in sizing.counts if each.least]}
    return render(request, "screening/check.html", facts)


@needs("screening.view_libraryversion")
@require_GET
def compare(request: HttpRequest) -> HttpResponse:
    """Show what differs between two versions; with none named, the one in force and the one before."""
    versions = list(LibraryVersion.objects.defer("body")[:STEPS_SHOWN])
    active, former = flow.find_active(), flow.find_former()
    before = flow.get_version(name) if (name := request.GET.get("before", "")) else former
    after = flow.get_version(name) if (name := request.GET.get("after", "")) else active
    facts: dict[str, Any] = {"versions": versions, "before": before, "after": after, "shown": CHANGES_SHOWN}
    if before is not None and after is not None:
        found = find_difference(flow.library_of(before.version), flow.library_of(after.version))
        risks = {risk.id: risk for risk in RISKS}
        facts |= {
            "found": found,
            "by_risk": [
                {"risk": risks[id], "added": added, "removed": removed, "changed": changed}
                for id, added, removed, changed in found.by_risk()
            ],
            "by_column": found.by_column().items(),
            "added": found.added[:CHANGES_SHOWN],
            "removed": found.removed[:CHANGES_SHOWN],
            "changed": [(each, list(each.columns.items())) for each in found.changed[:CHANGES_SHOWN]],
        }
    return render(request, "screening/compare.html", facts)


@needs("screening.view_libraryversion")
@require_GET
def history(request: HttpRequest) -> HttpResponse:
    """Show every step that was taken with a library, newest first."""
    return render(request, "screening/history.html", {"steps": flow.list_steps(STEPS_SHOWN), "shown": STEPS_SHOWN})


def _query(**values: str) -> str:
    query = QueryDict(mutable=True)
    query.update({name: value for name, value in values.items() if value})
    return query.urlencode()
