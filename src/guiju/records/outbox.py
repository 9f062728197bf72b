"""The outbox: what the paper side leaves on record, in the transaction of what it tells; the recorder numbers it."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from django.conf import settings
from django.db import transaction

from guiju.core.canonical import canonical_json
from guiju.core.clock import now_us
from guiju.core.ids import new_id
from guiju.core.keys import load_recorder_public_key
from guiju.core.layout import DataFolder
from guiju.records.entry import Entry, encode_entry
from guiju.records.keys.sealing import seal_to
from guiju.records.kinds import KINDS
from guiju.records.models import OutboxEntry

OUTBOX_SIGNAL: Final = "outbox"


def append(
    *,
    kind: str,
    actor: str,
    service: str = "",
    subject: str = "",
    metadata: dict[str, object] | None = None,
    content: bytes = b"",
    obligations: tuple[str, ...] = (),
) -> str:
    """Leave a record of something done on the paper side and return its id.

    It is written in the caller's transaction: no deed without its record, no record without its deed. The recorder numbers
    it within a second. Raises ValueError for a kind that is not declared, TypeError for metadata with floats.
    """
    if kind not in KINDS:
        raise ValueError(f"record kind {kind} is not declared")
    metadata = metadata or {}
    canonical_json(metadata)
    entry = Entry(new_id(), now_us(), kind, service, actor, subject, obligations, metadata, content)
    folder: DataFolder = settings.DATA_FOLDER
    recipient = load_recorder_public_key(folder.keys).public_bytes_raw()
    OutboxEntry.objects.create(sealed=seal_to(recipient, encode_entry(entry)))
    transaction.on_commit(lambda: signal_outbox(folder.spool))
    return entry.id


def signal_outbox(spool: Path) -> None:
    """Tell the recorder, which watches the time of this file, that the outbox has something."""
    with suppress(OSError):  # it looks by itself every few seconds
        spool.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(spool / OUTBOX_SIGNAL, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.utime(descriptor)
        finally:
            os.close(descriptor)
