"""Time: aware UTC inside, Beijing time on pages and in legal deadlines."""

import time
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache

BEIJING = timezone(timedelta(hours=8), "CST")


def now_us() -> int:
    """Return microseconds since 1970-01-01 UTC."""
    return time.time_ns() // 1000


def utc_text(at_us: int) -> str:
    """Return RFC 3339 text with microseconds and `Z`, the form used in records."""
    second, us = divmod(at_us, 1_000_000)
    return f"{_second_text(second)}.{us:06d}Z"


def beijing_text(at_us: int) -> str:
    """Return `2026-11-23 09:30:00` in Beijing time, the form shown to people."""
    return datetime.fromtimestamp(at_us // 1_000_000, BEIJING).strftime("%Y-%m-%d %H:%M:%S")


@lru_cache(maxsize=64)
def _second_text(second: int) -> str:
    """Return `2026-11-23T01:30:00`. Kept for a while: what is recorded together happened in the same few seconds."""
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
