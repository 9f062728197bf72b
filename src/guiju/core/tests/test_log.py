"""One event, one line, no secret."""

import logging
import re
import subprocess
import sys

from guiju.core.log import LineFormatter


def _line(message: str, *arguments: object) -> str:
    return LineFormatter("test").format(logging.LogRecord("x", logging.WARNING, "f", 1, message, arguments, None))


def test_a_line_has_time_process_level_text() -> None:
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z test WARNING hello 3", _line("hello %d", 3))


def test_text_cannot_forge_a_line() -> None:
    forged = _line("%s", "a\n2026-01-01T00:00:00.000Z gateway-0 INFO all is well\r\x1b[2K\u2028b\x85c")
    assert len(forged.splitlines()) == 1
    assert "\x1b" not in forged


def test_api_keys_are_cut_out() -> None:
    assert "abcdefgh" not in _line("key %s refused", "sk-guiju-abcdefghijklmnop")


def test_a_traceback_is_one_line() -> None:
    code = "from guiju.core.log import configure; import logging, warnings\nconfigure('p')\nwarnings.warn('odd')\ntry: 1/0\nexcept ZeroDivisionError: logging.exception('no')"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = run.stderr.splitlines()
    assert len(lines) == 2
    assert "odd" in lines[0]
    assert "ZeroDivisionError" in lines[1]
