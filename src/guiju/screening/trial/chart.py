"""The chart of a dry run: in how many requests and answers each rule newly hits, drawn here as SVG without any style."""

from collections.abc import Sequence
from typing import Final

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

WIDTH: Final = 1040
NARROW: Final = 336
_ROW: Final = 26
_LABEL_SHARE: Final = 3
_NUMBER: Final = 64


def draw(bars: Sequence[tuple[str, int]], title: str, width: int = WIDTH) -> SafeString:
    """Return horizontal bars, `width` units wide: (name, count), the largest first. Names are cut to their room."""
    left = width // _LABEL_SHARE
    room = left // 14
    top = max((count for _, count in bars), default=1)
    scale = (width - left - _NUMBER) / top
    rows = format_html_join(
        "",
        '<g><title>{} · {}</title><text x="0" y="{}">{}</text><rect class="refused" x="{}" y="{}" width="{}" height="14" rx="1.5"/>'
        '<text x="{}" y="{}">{}</text></g>',
        [
            (
                name, f"{count:,}", place * _ROW + 17, name if len(name) <= room else name[: room - 1] + "…",
                left, place * _ROW + 6, round(max(2.0, count * scale), 1), round(left + max(2.0, count * scale) + 6, 1), place * _ROW + 17, f"{count:,}",
            )
            for place, (name, count) in enumerate(bars)
        ],
    )  # fmt: skip
    return format_html(
        '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>', width, max(1, len(bars)) * _ROW + 6, title, rows
    )
