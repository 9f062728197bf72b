"""Proofs of records of this site: made from the database and the ledger, checked before anybody sees them."""

from dataclasses import dataclass
from typing import Any

import msgspec
from django.conf import settings
from django.utils.translation import get_language

from guiju.core.errors import GuijuError, Text, define
from guiju.core.keys import load_site_public_key
from guiju.core.layout import DataFolder
from guiju.records.flow import RECORD_UNKNOWN
from guiju.records.merkle import PROOF_INVALID, inclusion_path
from guiju.records.models import Record
from guiju.records.note import Checkpoint, verify_checkpoint
from guiju.records.proof import check_proof, make_proof
from guiju.records.report import Report
from guiju.records.tiles import TileReader, read_checkpoint

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

_TONES = {"holds": "good", "fails": "bad", "open": "note"}


@dataclass(frozen=True, slots=True)
class ShownStep:
    """A step in the reader's language; `tone` is good, bad or note."""

    tone: str
    text: str
    detail: str


@dataclass(frozen=True, slots=True)
class Shown:
    """A proof as a page shows it: it holds, it waits for a checkpoint, or it does not hold."""

    ok: bool
    waiting: bool
    steps: tuple[ShownStep, ...]


def proof_of(record_id: str) -> dict[str, Any]:
    """Return the proof document of one record, checked.

    Raises RECORD-UNKNOWN, RECORD-WAITING before the next checkpoint, TILE-MISSING, NOTE-INVALID, and PROOF-INVALID when
    record, tiles and checkpoint do not fit together.
    """
    record = Record.objects.filter(id=record_id).first()
    if record is None:
        raise GuijuError(RECORD_UNKNOWN, id=record_id)
    document, report = _prove(record)
    if not report.ok:
        failed = next(step for step in report.steps if step.outcome == "fails")
        raise GuijuError(PROOF_INVALID, reason=f"{failed.en}: {failed.detail}")
    return document


def prove(record: Record) -> Shown:
    """Return the proof of a record for a page, made and checked now; raises nothing."""
    chinese = (get_language() or "zh").startswith("zh")
    try:
        _, report = _prove(record)
    except GuijuError as problem:
        waiting = problem.code is RECORD_WAITING
        step = ShownStep("note" if waiting else "bad", problem.text("zh" if chinese else "en"), "")
        return Shown(False, waiting, (step,))
    steps = tuple(ShownStep(_TONES[step.outcome], step.zh if chinese else step.en, step.detail) for step in report.steps)
    return Shown(report.ok, False, steps)


def newest_checkpoint() -> Checkpoint | None:
    """Return the newest checkpoint of this site, its signature checked; None before the first. Raises NOTE-INVALID."""
    folder: DataFolder = settings.DATA_FOLDER
    note = read_checkpoint(folder.ledger)
    return verify_checkpoint(note, settings.SITE.ledger.origin, load_site_public_key(folder.keys)) if note is not None else None


def _prove(record: Record) -> tuple[dict[str, Any], Report]:
    folder: DataFolder = settings.DATA_FOLDER
    origin, key = settings.SITE.ledger.origin, load_site_public_key(folder.keys)
    note = read_checkpoint(folder.ledger)
    size = verify_checkpoint(note, origin, key).size if note is not None else 0
    if note is None or record.index >= size:
        raise GuijuError(RECORD_WAITING, id=record.id)
    path = inclusion_path(record.index, size, TileReader(folder.ledger, size).subtree)
    document = msgspec.to_builtins(make_proof(record.index, bytes(record.body), path, note, size, origin, key))
    return document, check_proof(document, key)
