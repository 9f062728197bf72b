"""The lines of an answer's head, checked: what the application names a header must not end a line, nor begin another answer.

Source: RFC 9112 §4 and §5, RFC 9110 §5.5 and §15.
"""

import http
import re
from collections.abc import Iterable
from typing import Final

_NAME: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+")
_VALUE_BYTES: Final = bytes([0x09, *range(0x20, 0x7F), *range(0x80, 0x100)])
_NAMES_KEPT: Final = 256


class _Names(dict[bytes, bytes]):
    """Name → how its line begins. Filled as names turn up."""

    def __missing__(self, name: bytes) -> bytes:
        if not _NAME.fullmatch(name):
            raise RuntimeError("a header that is none")
        begun = name + b": "
        if len(self) < _NAMES_KEPT:
            self[name] = begun
        return begun


class _StatusLines(dict[int, bytes]):
    """Status → the first line of an answer. A status that has no phrase (499 of proxies, 498 of model servers) goes without one."""

    def __missing__(self, status: int) -> bytes:
        if not 200 <= status <= 999:
            raise RuntimeError("a status that ends no answer")
        return b"HTTP/1.1 %d \r\n" % status


_BEGUN: Final = _Names()
STATUS_LINES: Final = _StatusLines(
    {each.value: b"HTTP/1.1 %d %s\r\n" % (each.value, each.phrase.encode()) for each in http.HTTPStatus if each.value >= 200}
)
BODILESS: Final = frozenset((204, 304))
"""Statuses whose answer has no body."""


def head_lines(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return the lines of these headers. Raises RuntimeError for a name that is not in small letters, as ASGI asks for, and for a value
    that holds a line end or anything else that would end it.
    """
    lines = [_BEGUN[name] + value + b"\r\n" for name, value in headers]
    joined = b"".join(lines)
    if joined.translate(None, _VALUE_BYTES) != b"\r\n" * len(lines):
        raise RuntimeError("a header that is none")
    return joined
