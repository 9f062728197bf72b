"""Sealed content once it is open: MessagePack of a request and an answer, or bytes that an entry could not be made of. Pure."""

from collections.abc import Iterator
from typing import Any

import msgspec


def plain(content: bytes) -> Any:
    """Return content as JSON can hold it: MessagePack unpacked, JSON inside it parsed, other bytes as text or hexadecimal."""
    try:
        unpacked = msgspec.msgpack.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _plain(content)
    # A lone byte of text is MessagePack too: a small number.
    return _plain(unpacked) if isinstance(unpacked, (dict, list, str)) else _plain(content)


def texts_of(content: bytes) -> Iterator[tuple[str, str]]:
    """Yield every text in content with the path that leads to it, as in `request.messages[0].content`."""
    yield from _texts(plain(content), "")


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        try:
            text = value.decode()
        except UnicodeDecodeError:
            return value.hex()
        try:
            parsed = msgspec.json.decode(value)
        except (msgspec.DecodeError, RecursionError):
            return text
        return parsed if isinstance(parsed, (dict, list)) else text
    if isinstance(value, dict):
        return {str(_plain(key)): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def _texts(value: Any, path: str) -> Iterator[tuple[str, str]]:
    waiting = [(path, value)]  # a list of its own: hostile nesting must not end in a recursion error
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, str):
            yield path, value
        elif isinstance(value, dict):
            waiting += [(f"{path}.{name}" if path else name, inner) for name, inner in reversed(value.items())]
        elif isinstance(value, list):
            waiting += [(f"{path}[{place}]", inner) for place, inner in reversed(list(enumerate(value)))]
