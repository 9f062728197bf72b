"""The board of each day, kept for the chart: how many duties were in which state. It is drawn; no light is lit by it."""

from datetime import date, timedelta
from typing import Final

import msgspec
from django.db import transaction
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from guiju.core.canonical import canonical_json
from guiju.core.clock import BEIJING
from guiju.obligations.finding import Status
from guiju.obligations.judging import count_states, judge_all
from guiju.obligations.loading import shipped_catalogue
from guiju.obligations.models import BoardDay
from guiju.records import flow as records

DAYS: Final = 30
DRAWN: Final[tuple[Status, ...]] = ("met", "due", "overdue", "breach", "needs_person", "not_built")
WIDTH: Final = 720
NARROW: Final = 336
HEIGHT: Final = 140
_LEFT: Final = 36
_RIGHT: Final = 16
_FLOOR: Final = HEIGHT - 22


def keep_day() -> bool:
    """Keep the board of this Beijing day, once, and leave `obligations.board.computed`; False when it is kept already."""
    now = timezone.now()
    day = now.astimezone(BEIJING).date()
    if BoardDay.objects.filter(day=day).exists():
        return False
    counts = {service: count_states(lights) for service, lights in judge_all(now).items()}
    with transaction.atomic():
        for service, each in counts.items():
            BoardDay.objects.get_or_create(day=day, service=service, defaults={"counts": canonical_json(dict(each)).decode()})
        records.append(
            kind="obligations.board.computed",
            actor="guiju",
            metadata={
                "day": day.isoformat(),
                "catalogue": shipped_catalogue().version,
                "counts": {name: dict(each) for name, each in counts.items()},
            },
        )
    return True


def days_of(service: str, until: date) -> list[tuple[date, dict[Status, int]]]:
    """Return the boards that were kept of the last 30 days, the oldest first."""
    found = BoardDay.objects.filter(service=service, day__gt=until - timedelta(days=DAYS), day__lte=until)
    return [(each.day, msgspec.json.decode(each.counts, type=dict[Status, int])) for each in found]


def draw(days: list[tuple[date, dict[Status, int]]], until: date, width: int = WIDTH) -> SafeString:
    """Return the chart, `width` units wide: a column for each day, met at the bottom; a day without a board stays empty."""
    known = dict(days)
    top = max([1, *(sum(counts.get(state, 0) for state in DRAWN) for counts in known.values())])
    step = (width - _LEFT - _RIGHT) / DAYS
    columns = []
    for place in range(DAYS):
        day = until - timedelta(days=DAYS - 1 - place)
        x, y, parts = _LEFT + place * step, float(_FLOOR), []
        for state in DRAWN:
            count = known.get(day, {}).get(state, 0)
            height = (_FLOOR - 8) * count / top
            y -= height
            if count:
                parts.append((state, round(x + step * 0.12, 1), round(y, 1), round(step * 0.76, 1), round(height, 1)))
        bars = format_html_join("", '<rect class="day-{}" x="{}" y="{}" width="{}" height="{}"/>', parts)
        named = (DAYS - 1 - place) % (7 if width == WIDTH else 14) == 0
        text = (
            format_html('<text x="{}" y="{}" text-anchor="middle">{}</text>', round(x + step / 2, 1), HEIGHT - 6, f"{day:%m-%d}")
            if named
            else ""
        )
        told = " · ".join(f"{state} {known[day].get(state, 0)}" for state in DRAWN) if day in known else "–"
        columns.append((format_html("<g><title>{} {}</title>{}{}</g>", day.isoformat(), told, bars, text),))
    scale = format_html(
        '<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/><text x="{}" y="14" text-anchor="end">{}</text>',
        _LEFT,
        width,
        _FLOOR,
        _FLOOR,
        _LEFT - 6,
        top,
    )
    return format_html(
        '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}{}</svg>',
        width,
        HEIGHT,
        _("近 30 天的状态"),
        scale,
        format_html_join("", "{}", columns),
    )
