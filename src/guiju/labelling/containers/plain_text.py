"""Plain text, tables of text, JSON and code: a text without metadata, so its label stands in a file beside it.

No document is read and no place is given for it by the guide: `NAME.aigc.json` beside `NAME` is guiju's choice. It holds the label
wrapped, and the SHA-256 of the text, so that a label laid beside another text is seen.
"""

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any, Final

from guiju.labelling.annex_e import VALUE_LIMIT_BYTES
from guiju.labelling.containers.source import PART_LIMIT_BYTES, Broken, Edit, Found, NoRoom, Site, Source, write_all

NAME: Final = "text"


def sniff(head: bytes) -> bool:
    """Tell whether the beginning can be a text: no byte is there that texts do not have."""
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return True
    return not any(byte < 32 and byte not in (9, 10, 12, 13, 27) for byte in head)


def examine(source: Source) -> Found:
    """Say that a text has no place for a label. `place` raises NoRoom: a label of a text is written beside it."""
    source.head(1)

    def place(_inner: str) -> list[Edit]:
        raise NoRoom("a plain text has no metadata; its label is written beside it, by write_file")

    return Found((), (), place, ("no_metadata: a plain text has no place for a label; look for the file beside it",))


def sidecar(source: Source, inner: str) -> bytes:
    """Return what the file beside a text holds."""
    return f'{{"AIGC": {inner},"SHA256":"{digest(source)}"}}\n'.encode()


def read_sidecar(source: Source, beside: Source) -> Site:
    """Return the label in the file beside a text. Raises Broken when it is none, or that of another text."""
    if beside.size > VALUE_LIMIT_BYTES:
        raise Broken("the file beside the text is longer than any label")
    text = beside.read(0, beside.size).decode("utf-8", "replace")
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Broken("the file beside the text is no JSON") from error
    told = found.get("SHA256") if isinstance(found, dict) else None
    if told is not None and told != digest(source):
        raise Broken("the file beside the text is the label of another text, or the text was changed")
    return Site("text:beside", 0, beside.size, text)


def put(target: Path, content: bytes | Source, mode: int) -> None:
    """Write a file that appears whole or not at all."""
    handle, name = tempfile.mkstemp(prefix=".guiju-", dir=target.parent)
    try:
        if isinstance(content, bytes):
            write_all(handle, content, 0)
        else:
            content.copy_to(handle, 0, content.size, 0)
            os.ftruncate(handle, content.size)
        os.fchmod(handle, mode)
        os.fsync(handle)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    finally:
        os.close(handle)


def digest(source: Source) -> str:
    """Return the SHA-256 of a source, read in steps."""
    sum_ = hashlib.sha256()
    for at in range(0, source.size, PART_LIMIT_BYTES):
        sum_.update(source.read(at, min(PART_LIMIT_BYTES, source.size - at)))
    return sum_.hexdigest()
