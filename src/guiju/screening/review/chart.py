"""The chart of the figures page: precision week by week with its interval, drawn here as SVG without any style."""

from collections.abc import Sequence
from typing import Final

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from guiju.screening.review.figures import Week

WIDTH: Final = 1040
NARROW: Final = 336
HEIGHT: Final = 220
_TOP: Final = 28
_FLOOR: Final = HEIGHT - 28
_LEFT: Final = 44
_RIGHT: Final = 16


def draw(weeks: Sequence[Week], title: str, width: int = WIDTH) -> SafeString:
    """Return the chart, `width` units wide: a point and its interval for each week of ten cases or more, above each week its cases."""
    step = (width - _LEFT - _RIGHT) / max(1, len(weeks))
    lines = format_html_join(
        "",
        '<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/><text x="{}" y="{}" text-anchor="end">{} %</text>',
        [(_LEFT, width - _RIGHT, _y(part / 100), _y(part / 100), _LEFT - 6, _y(part / 100) + 4, part) for part in (0, 50, 100)],
    )
    every = 1 if width == WIDTH else 3
    points = format_html_join(
        "", "{}", [(_point(week, _LEFT + (at + 0.5) * step, named=at % every == 0),) for at, week in enumerate(weeks)]
    )
    return format_html('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}{}</svg>', width, HEIGHT, title, lines, points)


def _y(share: float) -> float:
    return round(_FLOOR - share * (_FLOOR - _TOP), 1)


def _point(week: Week, x: float, *, named: bool) -> SafeString:
    found, x = week.precision, round(x, 1)
    drawn = SafeString("")
    told = f"{week.begins_on:%Y-%m-%d} · n = {found.whole}"
    if found.shown:
        low, high = _y(found.low), _y(found.high)
        told += f" · {found.share:.0%} ({found.low:.0%}–{found.high:.0%})"
        drawn = format_html(
            '<line class="interval" x1="{0}" x2="{0}" y1="{1}" y2="{2}"/><line class="interval" x1="{3}" x2="{4}" y1="{1}" y2="{1}"/>'
            '<line class="interval" x1="{3}" x2="{4}" y1="{2}" y2="{2}"/><circle class="delivered" fill="currentColor" cx="{0}" cy="{5}" r="4"/>',
            x, low, high, round(x - 5, 1), round(x + 5, 1), _y(found.share),
        )  # fmt: skip
    names = format_html('<text x="{}" y="{}" text-anchor="middle">{}</text>', x, HEIGHT - 8, f"{week.begins_on:%m-%d}") if named else ""
    count = format_html('<text x="{}" y="{}" text-anchor="middle">{}</text>', x, 14, f"n={found.whole}") if found.whole and named else ""
    return format_html("<g><title>{}</title>{}{}{}</g>", told, drawn, names, count)
