"""Opened content as people and JSON read it: MessagePack unpacked, bytes as text where they are text. Pure."""

from typing import Any

import msgspec


def readable(content: bytes) -> Any:
    """Return content as JSON can hold it."""
    try:
        return _plain(msgspec.msgpack.decode(content))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _plain(content)


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return value.hex()
    if isinstance(value, dict):
        return {str(_plain(key)): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value if isinstance(value, (int, str, type(None))) else str(value)
