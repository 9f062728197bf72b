"""The one set of logs: every process writes lines of the same form to standard error.

    2026-11-23T01:30:00.123Z gateway-0 INFO ready

One event is one line, whatever its text holds; API keys are cut out of it.
"""

import logging
import re
import sys
import time
from typing import Final

_SECRET: Final = re.compile(r"\bsk-[A-Za-z0-9_-]{8,}")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\x85\u2028\u2029]")
_CHATTY: Final = ("uvicorn.error", "django_tasks", "django_tasks_db", "waitress.queue")
"""Libraries that tell every turn of their loop: of them, warnings and worse."""


def configure(process_name: str, level: int = logging.INFO) -> None:
    """Send all logging of this process to standard error under `process_name`; warnings of Python too.

    A second call replaces the first.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter(process_name))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    logging.captureWarnings(True)


class LineFormatter(logging.Formatter):
    """One line for one event: UTC time in milliseconds, process, level, text."""

    def __init__(self, process_name: str) -> None:
        super().__init__()
        self._process = process_name

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; line breaks (a traceback's, too) become ` | `, other control characters vanish."""
        text = record.getMessage()
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        text = _SECRET.sub("sk-…", text.replace("\r\n", "\n"))
        text = _CONTROL.sub("", " | ".join(line for line in text.split("\n") if line.strip()))
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        return f"{at}.{int(record.msecs):03d}Z {self._process} {record.levelname} {text}"
