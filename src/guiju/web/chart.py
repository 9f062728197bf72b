"""The chart of the home page: answers of the last 24 hours, one column an hour, drawn here as SVG without any style."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

WIDTH: Final = 1040
NARROW: Final = 336
HEIGHT: Final = 200
_TOP: Final = 12
_BOTTOM: Final = 24
_LEFT: Final = 40
_RIGHT: Final = 20
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


def draw(hours: Sequence[Hour], title: str, width: int = WIDTH) -> SafeString:
    """Return the chart, `width` units wide. Stopped is hatched: told apart without colour too."""
    return _drawn(tuple(hours), title, width)


@lru_cache(maxsize=8)
def _drawn(hours: tuple[Hour, ...], title: str, width: int) -> SafeString:
    top = _nice(max((hour.total for hour in hours), default=0))
    step = (width - _LEFT - _RIGHT) / max(1, len(hours))
    hatch = f"hatch-{width}"
    named_every = 4 if width == WIDTH else 8
    scale = (_FLOOR - _TOP) / top
    lines = format_html_join("", '<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/><text x="{}" y="{}" text-anchor="end">{}</text>', [
        (_LEFT, width - _RIGHT, y, y, _LEFT - 6, y + 4, value) for value, y in ((value, round(_FLOOR - value * scale, 1)) for value in (0, top // 2, top))
    ])  # fmt: skip
    columns = format_html_join(
        "",
        "{}",
        [
            (_column(hour, _LEFT + place * step, step, scale, hatch, named=hour.begins_at.hour % named_every == 0),)
            for place, hour in enumerate(hours)
        ],
    )
    pattern = format_html(
        '<defs><pattern id="{}" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
        '<rect class="hatch-ground" width="6" height="6"/><line class="hatch-line" x1="0" y1="0" x2="0" y2="6"/></pattern></defs>',
        hatch,
    )
    return format_html(
        '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}{}{}</svg>', width, HEIGHT, title, pattern, lines, columns
    )


def _column(hour: Hour, x: float, step: float, scale: float, hatch: str, *, named: bool) -> SafeString:
    parts = []
    y = float(_FLOOR)
    for name, count in (("delivered", hour.delivered), ("refused", hour.refused), ("stopped", hour.stopped)):
        if count:
            height = max(2.0, count * scale)
            y -= height
            parts.append(
                (
                    name,
                    f"url(#{hatch})" if name == "stopped" else "currentColor",
                    round(x + step * 0.15, 1),
                    round(y, 1),
                    round(step * 0.7, 1),
                    round(height, 1),
                )
            )
    bars = format_html_join("", '<rect class="{}" fill="{}" x="{}" y="{}" width="{}" height="{}" rx="1.5"/>', parts)
    shown = hour.begins_at.strftime("%H:00")
    name = format_html('<text x="{}" y="{}" text-anchor="middle">{}</text>', round(x + step / 2, 1), HEIGHT - 6, shown) if named else ""
    return format_html("<g><title>{} · {} / {} / {}</title>{}{}</g>", shown, hour.delivered, hour.stopped, hour.refused, bars, name)


def _nice(highest: int) -> int:
    """Return the smallest of 2, 4, 10, 20, 40, 100 … that is not below `highest`."""
    size = 1
    while True:
        for factor in (2, 4, 10):
            if highest <= factor * size:
                return factor * size
        size *= 10
