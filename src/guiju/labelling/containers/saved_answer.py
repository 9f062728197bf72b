"""An answer of the API that somebody saved, whole or as its stream: the seven keys of its `aigc` object.

It is no file of Annex E, and nothing protects the object: whoever saved it may have changed it. Read only: a label of a text is written
beside it (`plain_text.py`). The first and last event of a stream say the same; where they differ, each is a place of its own.
"""

import json
from typing import Any, Final

from guiju.labelling.annex_e import KEYS, no_key_twice
from guiju.labelling.containers.source import LABELS_LIMIT, PART_LIMIT_BYTES, TEXT_LIMIT_BYTES, Site, Source

NAME: Final = "answer"
CHANNEL: Final = "answer:aigc"
_BEGINNINGS: Final = (b"{", b"data:", b"event:", b"id:", b"retry:", b":")


def find_sites(source: Source) -> tuple[Site, ...]:
    """Return the labels of a saved answer, each once; none where this is no answer, has none, or is over 16 MiB."""
    head = source.head(64).removeprefix(b"\xef\xbb\xbf").lstrip()
    if source.size > TEXT_LIMIT_BYTES or not head.startswith(_BEGINNINGS):
        return ()
    raw = b"".join(source.read(at, min(PART_LIMIT_BYTES, source.size - at)) for at in range(0, source.size, PART_LIMIT_BYTES))
    if head.startswith(b"{"):
        text = _label_of(raw)
        return (Site(CHANNEL, 0, len(raw), text),) if text else ()
    found: dict[str, Site] = {}
    at = 0
    for line in raw.splitlines(keepends=True):  # of bytes: CR and LF alone end a line
        text = _label_of(line.removeprefix(b"data:")) if line.startswith(b"data:") and b'"aigc"' in line else ""
        if text and len(found) < LABELS_LIMIT:
            found.setdefault(text, Site(CHANNEL, at, at + len(line), text))
        at += len(line)
    return tuple(found.values())


def _label_of(raw: bytes) -> str:
    """Return the seven keys of an answer's `aigc` object as JSON, what is beside them left out; empty where there is none."""
    try:
        found: Any = json.loads(raw.decode("utf-8-sig"), object_pairs_hook=no_key_twice)
    except (ValueError, RecursionError):
        return ""
    aigc = found.get("aigc") if isinstance(found, dict) else None
    if not isinstance(aigc, dict):
        return ""
    return (
        json.dumps({key: value for key, value in aigc.items() if key not in ("explicit", "explicit_required")})
        if set(aigc) & set(KEYS)
        else ""
    )
