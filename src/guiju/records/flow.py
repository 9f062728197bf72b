"""What may be done with records: append one, open sealed content, prove one, check the ledger, hold, erase, finish.

Opening, erasure, holds and the outbox are files of their own; their verbs are here for other duties.
"""

from pathlib import Path
from typing import Any

import msgspec
from django.conf import settings

from guiju.core.errors import GuijuError, Text, define
from guiju.core.keys import load_ring, load_site_public_key
from guiju.core.layout import DataFolder
from guiju.records.access.marked import Marked, list_marked, list_sealed, tell_whereabouts
from guiju.records.access.opening import RECORD_UNKNOWN, open_content, open_subject
from guiju.records.access.opening_review import ask_for_review, find_review_permission, open_for_review, opening_needs_two
from guiju.records.access.reading import Read, Reading, begin_reading, list_read, use_reading
from guiju.records.access.whereabouts import CONTENT_ERASED, CONTENT_NONE, find_whereabouts
from guiju.records.keeping.hold import held_records, held_subjects, lift_hold, set_hold
from guiju.records.log.merkle import PROOF_INVALID, inclusion_path
from guiju.records.log.note import signed_by
from guiju.records.log.proof import Proof, check_proof, make_leaf_proof, make_proof
from guiju.records.log.report import Report
from guiju.records.log.signers import verify_site_checkpoint
from guiju.records.log.tiles import TileReader, read_checkpoint
from guiju.records.models import Record
from guiju.records.outbox import OUTBOX_SIGNAL, append, signal_outbox
from guiju.records.recorder.issued import LEAST_CHARACTERS, Issued, find_file, find_number, find_text, holds_texts, is_findable, since
from guiju.records.subjects.erasure import erase_subject, finish_erasures

__all__ = [
    "CONTENT_ERASED",
    "CONTENT_NONE",
    "LEAST_CHARACTERS",
    "OUTBOX_SIGNAL",
    "RECORD_UNKNOWN",
    "RECORD_WAITING",
    "Issued",
    "Marked",
    "Read",
    "Reading",
    "append",
    "ask_for_review",
    "begin_reading",
    "check_ledger",
    "erase_subject",
    "find_file",
    "find_number",
    "find_review_permission",
    "find_text",
    "find_whereabouts",
    "finish_erasures",
    "held_records",
    "held_subjects",
    "holds_texts",
    "is_findable",
    "lift_hold",
    "list_marked",
    "list_read",
    "list_sealed",
    "open_content",
    "open_for_review",
    "open_subject",
    "opening_needs_two",
    "prove",
    "prove_leaf",
    "set_hold",
    "signal_outbox",
    "since",
    "stamp_roots",
    "tell_whereabouts",
    "use_reading",
]

RECORD_WAITING = define(
    "RECORD-WAITING",
    status=503,
    kind="server_error",
    retry=True,
    zh=Text("记录 {id} 已写入，尚无检查点涵盖它。", "记录已持久保存。", "请稍候一秒再试；若一直如此，请检查记录进程的日志。"),
    en=Text(
        "Record {id} is written, but no checkpoint covers it yet.",
        "The record is durable.",
        "Try again in a second; if this lasts, look at the recorder's log.",
    ),
)


def prove(record_id: str) -> dict[str, Any]:
    """Return the proof document of one record, checked with this site's key; `proof.check_proof` checks it anywhere.

    Raises RECORD-UNKNOWN, RECORD-WAITING before the next checkpoint, TILE-MISSING, NOTE-INVALID, and PROOF-INVALID when
    record, tiles and checkpoint do not fit together.
    """
    record = Record.objects.filter(id=record_id).first()
    if record is None:
        raise GuijuError(RECORD_UNKNOWN, id=record_id)
    folder: DataFolder = settings.DATA_FOLDER
    origin, ring = settings.SITE.ledger.origin, load_ring(folder.keys)
    note = read_checkpoint(folder.ledger)
    size = verify_site_checkpoint(note, origin, ring).size if note is not None else 0
    if note is None or record.index >= size:
        raise GuijuError(RECORD_WAITING, id=record_id)
    key = signed_by(note, origin, *[each.public_key() for each in ring if each.covers(size)])[1][0]
    path = inclusion_path(record.index, size, TileReader(folder.ledger, size).subtree)
    document: dict[str, Any] = msgspec.to_builtins(make_proof(record.index, bytes(record.body), path, note, size, origin, key))
    for step in check_proof(document, key).steps:
        if step.outcome == "fails":
            raise GuijuError(PROOF_INVALID, reason=f"{step.en}: {step.detail}")
    return document


def prove_leaf(record_id: str) -> dict[str, Any]:
    """Return the proof of a record without what it says, for the public. Raises as `prove` does."""
    return make_leaf_proof(msgspec.convert(prove(record_id), Proof))


def check_ledger(actor: str) -> Report:
    """Check the whole ledger and leave `records.ledger.checked` with what was found."""
    from guiju.records.verify import verify_ledger  # here, because only this function needs it

    folder: DataFolder = settings.DATA_FOLDER
    report = verify_ledger(folder, settings.SITE.ledger.origin, load_site_public_key(folder.keys), stamps=stamp_roots())
    steps = {str(step.number): step.outcome for step in report.steps}
    append(kind="records.ledger.checked", actor=actor, metadata={"ok": report.ok, "steps": steps})
    return report


def stamp_roots() -> Path | None:
    """Return the file with the root certificates of the time-stamp authority; None when none is set."""
    return Path(settings.SITE.ledger.tsa_root_file) if settings.SITE.ledger.tsa_root_file else None
