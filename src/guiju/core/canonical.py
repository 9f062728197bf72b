"""Canonical JSON: one byte string for one value, so that hashes and signatures mean something."""

from typing import Any

import msgspec

_ENCODER = msgspec.json.Encoder(order="sorted")


def canonical_json(value: Any) -> bytes:
    """Return UTF-8 JSON with sorted keys, no white space and no floats' ambiguity.

    Values are None, bool, int, str, lists and dicts with string keys. Floats are refused:
    two programs may print the same float differently, and then a proof fails for no reason.
    Raises TypeError for a float or an unknown type.
    """
    _refuse_floats(value)
    return _ENCODER.encode(value)


def _refuse_floats(value: Any) -> None:
    if isinstance(value, float):
        raise TypeError(f"canonical JSON takes no floats ({value!r}): give an integer with its unit in the name, or text")
    if isinstance(value, dict):
        for item in value.values():
            _refuse_floats(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _refuse_floats(item)
