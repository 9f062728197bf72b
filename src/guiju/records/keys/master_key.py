"""The master key is rotated: subject keys are wrapped anew in batches; not a byte of content is written again.

From the first instant new subject keys are wrapped under the new master key (`ingest.wrapping_master`), and both lie in
the key folder until none is left under an old one. What a kill leaves behind, step by step:
1. the next key's file written, the rotation not in the database: the next run takes the same key;
2. some batches wrapped: each wrapped key names its master key; the next run goes on with the others;
3. all wrapped, the new key not yet `master.key`: `put_next_in_force` finds what is done, and does the rest.
Source: Measures Art. 11; PIPL Art. 51 (3).
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from django.conf import settings
from django.db import connection, transaction

from guiju.core.keys import KEY_BYTES
from guiju.core.layout import DataFolder
from guiju.core.master_keys import MasterKeys, load_master_keys, make_next, put_next_in_force
from guiju.records.keys.forget import forget_old_bytes, forgetting
from guiju.records.keys.sealing import unwrap, wrap
from guiju.records.lease import keep_recorder_out
from guiju.records.models import MasterKeyRotation, SubjectKey
from guiju.records.outbox import append

BATCH_KEYS: Final = 500
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Rotated:
    """The end of a rotation: the new master key, the one before (empty when a former run had put it aside), keys wrapped now."""

    id: str
    before: str
    wrapped: int


def rotate_master_key(actor: str, progress: Progress | None = None) -> Rotated:
    """Put a new master key in force, or finish a rotation that was begun; leave `records.master_key.` records.

    `progress` is told (done, all) in keys. Safe beside a recorder that writes, and beside another rotation.
    Raises MASTER-KEY-UNKNOWN and CONTENT-UNREADABLE when a key cannot be unwrapped: those before it are wrapped anew, it and
    those after it are as they were.
    """
    folder: DataFolder = settings.DATA_FOLDER
    rotation = _begin(folder, actor)
    masters = load_master_keys(folder.keys)
    masters.get(rotation.id)
    left = SubjectKey.objects.filter(destroyed_at=None).exclude(master=rotation.id)
    whole, done = left.count(), 0
    told = progress or (lambda done, whole: None)
    told(0, whole)
    while wrapped := _wrap_batch(masters, rotation.id):
        done += wrapped
        told(min(done, whole), whole)
    forget_old_bytes()
    before = put_next_in_force(folder.keys, rotation.id)
    with transaction.atomic():
        rows = MasterKeyRotation.objects.filter(id=rotation.id, finished_at=None)
        if rows.update(finished_at=datetime.now(UTC)):
            append(kind="records.master_key.rotated", actor=actor, metadata={"master_key": rotation.id})
    told(whole, whole)
    return Rotated(rotation.id, before, done)


def _begin(folder: DataFolder, actor: str) -> MasterKeyRotation:
    """Return the rotation under way, or begin one."""
    unfinished = MasterKeyRotation.objects.filter(finished_at=None).order_by("-begun_at").first()
    if unfinished is not None:
        return unfinished
    id = make_next(folder.keys, os.urandom(KEY_BYTES))
    with transaction.atomic():
        keep_recorder_out()
        rotation, begun = MasterKeyRotation.objects.get_or_create(id=id, defaults={"begun_at": datetime.now(UTC)})
        if begun:
            before = load_master_keys(folder.keys).current
            metadata: dict[str, object] = {"master_key": id, "before": before}
            append(kind="records.master_key.rotation_begun", actor=actor, metadata=metadata)
    return rotation


def _wrap_batch(masters: MasterKeys, id: str) -> int:
    """Wrap the next keys under the new master key in one transaction; return how many, 0 when none is left."""
    with forgetting(), transaction.atomic():
        rows = list(SubjectKey.objects.filter(destroyed_at=None).exclude(master=id).order_by("pk")[:BATCH_KEYS])
        wrapped = [
            (wrap(unwrap(bytes(row.wrapped or b""), masters.get(row.master), row.subject), masters.get(id), row.subject), id, row.pk)
            for row in rows
        ]
        with connection.cursor() as cursor:
            # Its condition keeps a key that is destroyed at this moment destroyed.
            cursor.executemany("UPDATE records_subjectkey SET wrapped = %s, master = %s WHERE id = %s AND destroyed_at IS NULL", wrapped)
    return len(rows)
