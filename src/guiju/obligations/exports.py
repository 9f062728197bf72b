"""Documents of the duties as they stand now: OSCAL for tools, the gap matrix for counsel."""

from typing import Any, Literal

from django.utils import timezone

from guiju.core.clock import BEIJING
from guiju.obligations import matrix, oscal
from guiju.obligations.judging import all_checks, judge_all
from guiju.obligations.loading import shipped_catalogue


def oscal_document(part: Literal["catalog", "component", "results"]) -> dict[str, Any]:
    """Return an OSCAL document: the law, what guiju does about it, or every light now."""
    now = timezone.now()
    today = now.astimezone(BEIJING).date()
    catalogue = shipped_catalogue()
    if part == "catalog":
        return oscal.catalog_document(catalogue, today)
    if part == "component":
        return oscal.component_document(catalogue, dict(all_checks()), today)
    return oscal.results_document(catalogue, judge_all(now), now)


def matrix_file(form: Literal["csv", "xlsx"]) -> bytes:
    """Return the gap matrix (DOC-19) of all services."""
    lights = judge_all(timezone.now())
    return matrix.as_workbook(shipped_catalogue(), lights) if form == "xlsx" else matrix.as_csv(shipped_catalogue(), lights)
