"""The chart of the retention page: what sweeps removed in each month, drawn here as SVG without any style."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

WIDTH: Final = 560
NARROW: Final = 336
HEIGHT: Final = 160
_TOP: Final = 12
_FLOOR: Final = HEIGHT - 24
_LEFT: Final = 64
_RIGHT: Final = 12


@dataclass(frozen=True, slots=True)
class Month:
    """One column: contents and records removed in the month that begins on this day."""

    begins_on: date
    contents: int
    records: int


def draw(months: Sequence[Month], title: str, width: int = WIDTH) -> SafeString:
    """Return the chart, `width` units wide; contents below, records above."""
    top = max(1, *(month.contents + month.records for month in months))
    step = (width - _LEFT - _RIGHT) / len(months)
    scale = (_FLOOR - _TOP) / top
    lines = format_html_join("", '<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/><text x="{}" y="{}" text-anchor="end">{}</text>', [
        (_LEFT, width - _RIGHT, y, y, _LEFT - 6, y + 4, f"{value:,}") for value, y in ((value, round(_FLOOR - value * scale, 1)) for value in (0, top))
    ])  # fmt: skip
    named_every = 2 if width == WIDTH else 3
    columns = format_html_join(
        "", "{}", [(_column(month, _LEFT + at * step, step, scale, named=at % named_every == 0),) for at, month in enumerate(months)]
    )
    return format_html('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}{}</svg>', width, HEIGHT, title, lines, columns)


def _column(month: Month, x: float, step: float, scale: float, *, named: bool) -> SafeString:
    parts, y = [], float(_FLOOR)
    for name, count in (("delivered", month.contents), ("refused", month.records)):
        if count:
            height = max(2.0, count * scale)
            y -= height
            parts.append((name, round(x + step * 0.2, 1), round(y, 1), round(step * 0.6, 1), round(height, 1)))
    bars = format_html_join("", '<rect class="{}" x="{}" y="{}" width="{}" height="{}" rx="1.5"/>', parts)
    shown = month.begins_on.strftime("%Y-%m")
    name = format_html('<text x="{}" y="{}" text-anchor="middle">{}</text>', round(x + step / 2, 1), HEIGHT - 6, shown[2:]) if named else ""
    return format_html("<g><title>{} · {} / {}</title>{}{}</g>", shown, month.contents, month.records, bars, name)
