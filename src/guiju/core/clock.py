"""Time: aware UTC inside, Beijing time on pages and in legal deadlines."""

import time
from datetime import UTC, datetime, timedelta, timezone

BEIJING = timezone(timedelta(hours=8), "CST")


def now_us() -> int:
    """Return microseconds since 1970-01-01 UTC."""
    return time.time_ns() // 1000


def utc_text(at_us: int) -> str:
    """Return RFC 3339 text with microseconds and `Z`, the form used in records."""
    return datetime.fromtimestamp(at_us / 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at_us % 1_000_000:06d}Z"


def beijing_text(at_us: int) -> str:
    """Return `2026-11-23 09:30:00` in Beijing time, the form shown to people."""
    return datetime.fromtimestamp(at_us // 1_000_000, BEIJING).strftime("%Y-%m-%d %H:%M:%S")
