"""The chart of the home page: answers of the last 24 hours, one column an hour, drawn here as SVG without any style."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

WIDTH: Final = 720
HEIGHT: Final = 176
_TOP: Final = 12
_BOTTOM: Final = 24
_LEFT: Final = 44
_FLOOR: Final = HEIGHT - _BOTTOM


@dataclass(frozen=True, slots=True)
class Hour:
    """One column; `begins_at` is aware, shown by its hour."""

    begins_at: datetime
    delivered: int
    stopped: int
    refused: int

    @property
    def total(self) -> int:
        return self.delivered + self.stopped + self.refused


def draw(hours: Sequence[Hour], title: str) -> SafeString:
    """Return the chart. Delivered is plain, stopped is hatched, refused is lighter: told apart without colour too."""
    top = _nice(max((hour.total for hour in hours), default=0))
    step = (WIDTH - _LEFT) / max(1, len(hours))
    scale = (_FLOOR - _TOP) / top
    lines = format_html_join("", '<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/><text x="{}" y="{}" text-anchor="end">{}</text>', [
        (_LEFT, WIDTH, y, y, _LEFT - 6, y + 4, value) for value, y in ((value, round(_FLOOR - value * scale, 1)) for value in (0, top // 2, top))
    ])  # fmt: skip
    columns = format_html_join("", "{}", [(_column(hour, _LEFT + place * step, step, scale),) for place, hour in enumerate(hours)])
    hatch = format_html(
        '<defs><pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
        '<rect class="hatch-ground" width="6" height="6"/><line class="hatch-line" x1="0" y1="0" x2="0" y2="6"/></pattern></defs>'
    ) if hours else SafeString("")  # fmt: skip
    return format_html('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}{}{}</svg>', WIDTH, HEIGHT, title, hatch, lines, columns)


def _column(hour: Hour, x: float, step: float, scale: float) -> SafeString:
    parts = []
    y = float(_FLOOR)
    for name, count in (("delivered", hour.delivered), ("refused", hour.refused), ("stopped", hour.stopped)):
        if count:
            height = max(2.0, count * scale)
            y -= height
            parts.append((name, round(x + step * 0.15, 1), round(y, 1), round(step * 0.7, 1), round(height, 1)))
    bars = format_html_join("", '<rect class="{}" x="{}" y="{}" width="{}" height="{}" rx="1.5"/>', parts)
    shown = hour.begins_at.strftime("%H:00")
    name = format_html('<text x="{}" y="{}" text-anchor="middle">{}</text>', round(x + step / 2, 1), HEIGHT - 6, shown) if hour.begins_at.hour % 4 == 0 else ""
    return format_html("<g><title>{} · {} / {} / {}</title>{}{}</g>", shown, hour.delivered, hour.stopped, hour.refused, bars, name)


def _nice(highest: int) -> int:
    """Return the smallest of 2, 4, 10, 20, 40, 100 … that is not below `highest`."""
    size = 1
    while True:
        for factor in (2, 4, 10):
            if highest <= factor * size:
                return factor * size
        size *= 10
