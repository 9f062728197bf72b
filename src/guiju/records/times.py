"""Times as people write them."""

from datetime import datetime

from guiju.core.clock import BEIJING
from guiju.core.errors import GuijuError, Text, define

TIME_UNREADABLE = define(
    "TIME-UNREADABLE",
    status=400,
    kind="invalid_request_error",
    zh=Text("“{text}”不是时间。", "什么也没有做。", "请按北京时间写成 2026-11-24T09:00，或只写日期 2026-11-24。"),
    en=Text("'{text}' is no time.", "Nothing was done.", "Write Beijing time as 2026-11-24T09:00, or a date alone, 2026-11-24."),
)


def beijing_time(text: str) -> datetime | None:
    """Return the time that a text names, in Beijing unless it has an offset of its own; None for an empty text.

    Raises TIME-UNREADABLE.

    >>> beijing_time("2026-11-24T09:00").isoformat()
    '2026-11-24T09:00:00+08:00'
    """
    if not text.strip():
        return None
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        raise GuijuError(TIME_UNREADABLE, text=text) from None
    return at if at.tzinfo else at.replace(tzinfo=BEIJING)
