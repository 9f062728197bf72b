"""What may be done with records: append one, open the sealed content of one, prove one, check the ledger."""

import os
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.db import transaction

from guiju.core.canonical import canonical_json
from guiju.core.clock import now_us
from guiju.core.errors import GuijuError, Text, define
from guiju.core.ids import new_id
from guiju.core.keys import load_recorder_public_key, load_ring, load_site_public_key
from guiju.core.layout import DataFolder
from guiju.core.master_keys import load_master_keys
from guiju.records.entry import Entry, encode_entry
from guiju.records.kinds import KINDS
from guiju.records.merkle import PROOF_INVALID, inclusion_path
from guiju.records.models import OutboxEntry, Record, RecordContent
from guiju.records.note import signed_by
from guiju.records.proof import check_proof, make_proof
from guiju.records.report import Report
from guiju.records.sealing import CONTENT_UNREADABLE, seal_to, unseal, unwrap
from guiju.records.signers import verify_site_checkpoint
from guiju.records.tiles import TileReader, read_checkpoint

RECORD_UNKNOWN = define(
    "RECORD-UNKNOWN",
    status=404,
    kind="not_found_error",
    zh=Text("没有编号为 {id} 的记录。", "什么也没有打开。", "请核对编号；刚发生的事一秒内入账。"),
    en=Text(
        "There is no record with the id {id}.", "Nothing was opened.", "Check the id; what has just happened is on record within a second."
    ),
)
CONTENT_NONE = define(
    "CONTENT-NONE",
    status=404,
    kind="not_found_error",
    zh=Text("记录 {id} 没有封存内容，或其内容已删除。", "记录本身及其证明不变。", "无需处理；元数据仍可查看。"),
    en=Text(
        "Record {id} has no sealed content, or its content was erased.",
        "The record and its proof are unchanged.",
        "Nothing needs doing; its metadata can still be read.",
    ),
)

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


def open_content(record_id: str, *, actor: str, reason: str) -> bytes:
    """Return the sealed content of a record; leave `records.content.opened` with who and why first.

    Raises RECORD-UNKNOWN, CONTENT-NONE, ValueError without a reason, and CONTENT-UNREADABLE when content, key or record were
    tampered with.
    """
    if not reason.strip():
        raise ValueError("opening sealed content needs a reason")
    record = Record.objects.filter(id=record_id).first()
    if record is None:
        raise GuijuError(RECORD_UNKNOWN, id=record_id)
    content = RecordContent.objects.select_related("key").filter(record=record).first()
    if content is None or not content.key.wrapped:
        raise GuijuError(CONTENT_NONE, id=record_id)
    sealed = bytes(content.sealed)
    if sha256(sealed).hexdigest() != record.content_hash:
        raise GuijuError(CONTENT_UNREADABLE, what=f"the content of record {record_id}", reason="it does not have the recorded hash")
    folder: DataFolder = settings.DATA_FOLDER
    key = unwrap(bytes(content.key.wrapped), load_master_keys(folder.keys).get(content.key.master), content.key.subject)
    opened = unseal(AESGCM(key), record.id, sealed)
    metadata: dict[str, object] = {"record": record.id, "reason": reason.strip()}
    append(kind="records.content.opened", actor=actor, service=record.service, subject=record.subject, metadata=metadata)
    return opened


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


def check_ledger(actor: str) -> Report:
    """Check the whole ledger and leave `records.ledger.checked` with what was found."""
    from guiju.records.verify import verify_ledger  # here, because only this function needs it

    folder: DataFolder = settings.DATA_FOLDER
    report = verify_ledger(folder, settings.SITE.ledger.origin, load_site_public_key(folder.keys))
    steps = {str(step.number): step.outcome for step in report.steps}
    append(kind="records.ledger.checked", actor=actor, metadata={"ok": report.ok, "steps": steps})
    return report


def signal_outbox(spool: Path) -> None:
    """Tell the recorder, which watches the time of this file, that the outbox has something."""
    with suppress(OSError):  # it looks by itself every few seconds
        spool.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(spool / OUTBOX_SIGNAL, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.utime(descriptor)
        finally:
            os.close(descriptor)
