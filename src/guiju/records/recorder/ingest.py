"""Entries become records: sealed, numbered, written; all of it in the caller's transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from os import urandom
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.db import connection

from guiju.core.clock import utc_text
from guiju.core.master_keys import MasterKeys
from guiju.records.entry import Entry, encode_entry
from guiju.records.keys.sealing import SITE_SUBJECT, new_subject_key, seal, unwrap, wrap
from guiju.records.kinds import KINDS
from guiju.records.models import Head, MasterKeyRotation, Record, RecordContent, SubjectKey
from guiju.records.recorder.bulk import find_texts, insert_rows, instants
from guiju.records.recorder.incoming import DAMAGED, Incoming, aside, incoming

__all__ = ["DAMAGED", "Written", "record_body", "write_entries", "write_incoming"]

_VERSION: Final = 1
_SALT_BYTES: Final = 16
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_IDS_AT_ONCE: Final = 500
_RECORD: Final = ("index", "id", "at", "kind", "service", "actor", "subject", "content_hash", "body", "leaf")
_CONTENT: Final = ("record_id", "key_id", "sealed")


@dataclass(frozen=True, slots=True)
class Written:
    """What a batch became: leaves number `first` and following."""

    first: int
    leaves: list[bytes]


class _Body(msgspec.Struct):
    """A record's fields in the order of canonical JSON, which is that of their names."""

    actor: str
    at: str
    content_hash: str
    id: str
    kind: str
    metadata: msgspec.Raw
    obligations: tuple[str, ...]
    salt: str
    service: str
    subject: str
    v: int = _VERSION


_ENCODE: Final = msgspec.json.Encoder().encode


def write_entries(entries: Sequence[Entry], masters: MasterKeys) -> Written:
    """Write entries as the next records: `write_incoming` for entries that did not come as bytes."""
    return write_incoming([incoming(entry) for entry in entries], masters)


def write_incoming(arrived: Sequence[Incoming], masters: MasterKeys) -> Written:
    """Write what arrived as the next records. Call it inside a transaction that no other writer shares.

    Content of an entry that is older than the erasure of its subject is not kept: it was on its way when the subject was
    erased. The record is written with the hash of bytes that nobody can open, like one whose content was erased later.
    An id that was used before is not used twice: the later entry is kept aside as `records.entry.damaged`.
    Raises IntegrityError when another recorder has written the same numbers; then nothing is written.
    """
    checked = _set_repeated_aside(arrived)
    ciphers, erased_us = _ciphers([entry for entry, _ in checked if entry.content], masters)
    first = Head.objects.select_for_update().get().next_index  # held: a second writer waits here, and goes on behind this one
    # One call for all salts: a system call for each costs as much as the hash it goes into.
    salts = urandom(_SALT_BYTES * len(checked)).hex()
    records: list[tuple[Any, ...]] = []
    contents: list[tuple[Any, ...]] = []
    index = first
    for (entry, metadata), at, salt_at in zip(
        checked, instants([entry.at_us for entry, _ in checked]), range(0, len(salts), 2 * _SALT_BYTES), strict=True
    ):
        content_hash = ""
        if entry.content:
            subject = entry.subject or SITE_SUBJECT
            kept = entry.at_us > erased_us.get(subject, -1)
            key, cipher = ciphers[subject] if kept else (0, AESGCM(new_subject_key()))
            sealed = seal(cipher, entry.id, entry.content)
            content_hash = sha256(sealed).hexdigest()
            if kept:
                contents.append((entry.id, key, sealed))
        body = record_body(entry, metadata, salts[salt_at : salt_at + 2 * _SALT_BYTES], content_hash)
        leaf = sha256(body).digest()
        records.append((index, entry.id, at, entry.kind, entry.service, entry.actor, entry.subject, content_hash, body, leaf))
        index += 1
    insert_rows(Record, _RECORD, records)
    insert_rows(RecordContent, _CONTENT, contents)
    if records and connection.vendor == "sqlite":
        Head.objects.update(next_index=index)  # PostgreSQL's trigger has moved it
    return Written(first, [row[-1] for row in records])


def record_body(entry: Entry, metadata: bytes, salt: str, content_hash: str) -> bytes:
    """Return the canonical JSON of a record; `metadata` is that of its metadata.

    The salt keeps the hash of the body from being guessed once the body is erased.
    """
    obligations = entry.obligations
    if not obligations and (known := KINDS.get(entry.kind)) is not None:
        obligations = known.obligations
    return _ENCODE(
        _Body(
            entry.actor,
            utc_text(entry.at_us),
            content_hash,
            entry.id,
            entry.kind,
            msgspec.Raw(metadata),
            obligations,
            salt,
            entry.service,
            entry.subject,
        )
    )


def _set_repeated_aside(arrived: Sequence[Incoming]) -> list[Incoming]:
    """Return what arrived; each whose id is on record or came before in it is kept aside."""
    seen = find_texts(Record, "id", [each.entry.id for each in arrived])
    checked: list[Incoming] = []
    for each in arrived:
        entry = each.entry
        if entry.id in seen:
            checked.append(aside("its id was used before", encode_entry(entry), entry=entry.id, entry_kind=entry.kind))
        else:
            seen.add(entry.id)
            checked.append(each)
    return checked


def _ciphers(entries: Sequence[Entry], masters: MasterKeys) -> tuple[dict[str, tuple[int, AESGCM]], dict[str, int]]:
    """Return each subject's key row and cipher, and when those that were ever erased were; keys that are missing are made."""
    rows, erased_us = _find_keys(sorted({entry.subject or SITE_SUBJECT for entry in entries}))
    subjects = {entry.subject or SITE_SUBJECT for entry in entries if entry.at_us > erased_us.get(entry.subject or SITE_SUBJECT, -1)}
    if missing := sorted(subjects - rows.keys()):
        master = wrapping_master(masters)
        key = masters.get(master)
        SubjectKey.objects.bulk_create(
            [SubjectKey(subject=subject, master=master, wrapped=wrap(new_subject_key(), key, subject)) for subject in missing]
        )
        rows |= _find_keys(missing)[0]
    ciphers = {
        subject: (rows[subject].pk, AESGCM(unwrap(bytes(rows[subject].wrapped or b""), masters.get(rows[subject].master), subject)))
        for subject in subjects
    }
    return ciphers, erased_us


def _find_keys(subjects: list[str]) -> tuple[dict[str, SubjectKey], dict[str, int]]:
    """Return the keys in use, and the newest erasure of each subject that was erased, in microseconds since 1970."""
    found: dict[str, SubjectKey] = {}
    erased_us: dict[str, int] = {}
    for at in range(0, len(subjects), _IDS_AT_ONCE):
        for row in SubjectKey.objects.filter(subject__in=subjects[at : at + _IDS_AT_ONCE]):
            if row.destroyed_at is None:
                found[row.subject] = row
            else:
                erased_us[row.subject] = max(erased_us.get(row.subject, -1), (row.destroyed_at - _EPOCH) // timedelta(microseconds=1))
    return found, erased_us


def wrapping_master(masters: MasterKeys) -> str:
    """Return the id of the master key that wraps new keys: the one of the newest rotation, from its first instant on.

    The database says it, inside the batch's transaction: a recorder that has not heard of a rotation would go on wrapping
    under the old key, and the end of the rotation would miss what it wrote.
    """
    newest = MasterKeyRotation.objects.order_by("-begun_at").values_list("id", flat=True).first()
    return newest or masters.current
