"""Entries become records: checked, sealed, numbered, written; all of it in the caller's transaction."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from os import urandom
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.db import connection, models

from guiju.core.canonical import canonical_json
from guiju.core.clock import now_us, utc_text
from guiju.core.ids import new_id
from guiju.core.master_keys import MasterKeys
from guiju.records.entry import Entry, decode_entry, encode_entry
from guiju.records.kinds import KINDS
from guiju.records.models import MasterKeyRotation, Record, SubjectKey
from guiju.records.sealing import SITE_SUBJECT, new_subject_key, seal, unwrap, wrap

DAMAGED: Final = "records.entry.damaged"
_VERSION: Final = 1
_ENCODE: Final = msgspec.json.Encoder(order="sorted").encode  # canonical JSON; the floats were looked for in the metadata
_ID: Final = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}")
_TEXT: Final = re.compile(r"[^\x00]{0,200}")
_SALT_BYTES: Final = 16
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST_US: Final = 253_402_300_800_000_000  # the year 10000
_IDS_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class Written:
    """What a batch became: leaves number `first` and following."""

    first: int
    leaves: list[bytes]


def damaged_entry(reason: str, raw: bytes, **facts: object) -> Entry:
    """Return the entry that stands for something unreadable; the bytes themselves are its content."""
    return Entry(new_id(), now_us(), DAMAGED, "", "recorder", "", (), {"reason": reason, "size_bytes": len(raw), **facts}, raw)


def read_entry(raw: bytes) -> Entry:
    """Return the entry in these bytes, or the one that keeps them aside when they cannot become a record."""
    try:
        entry = decode_entry(raw)
    except (msgspec.DecodeError, ValueError, RecursionError) as problem:
        return damaged_entry(str(problem)[:300], raw)
    texts = (entry.kind, entry.service, entry.actor, entry.subject)
    if not _ID.fullmatch(entry.id) or not all(map(_TEXT.fullmatch, texts)) or not 0 <= entry.at_us < _LATEST_US:
        return damaged_entry("an id, a time or a name is out of its range", raw)
    return entry


def write_entries(entries: Sequence[Entry], masters: MasterKeys) -> Written:
    """Write entries as the next records. Call it inside a transaction that no other writer shares.

    Content of an entry that is older than the erasure of its subject is not kept: it was on its way when the subject was
    erased. The record is written with the hash of bytes that nobody can open, like one whose content was erased later.
    An id that was used before is not used twice: the later entry is kept aside as `records.entry.damaged`.
    Raises IntegrityError when another recorder has written the same numbers; then nothing is written.
    """
    checked = _check(entries)
    ciphers, erased_us = _ciphers([entry for entry, _ in checked if entry.content], masters)
    newest: int | None = Record.objects.aggregate(newest=models.Max("index"))["newest"]
    first = 0 if newest is None else newest + 1
    adapt = _datetime_adapter()
    records: list[tuple[Any, ...]] = []
    contents: list[tuple[Any, ...]] = []
    for index, (entry, metadata) in enumerate(checked, first):
        content_hash = ""
        if entry.content:
            subject = entry.subject or SITE_SUBJECT
            kept = entry.at_us > erased_us.get(subject, -1)
            key, cipher = ciphers[subject] if kept else (0, AESGCM(new_subject_key()))
            sealed = seal(cipher, entry.id, entry.content)
            content_hash = sha256(sealed).hexdigest()
            if kept:
                contents.append((index, key, sealed))
        body = record_body(entry, metadata, urandom(_SALT_BYTES).hex(), content_hash)
        at = adapt(_EPOCH + timedelta(microseconds=entry.at_us))
        leaf = sha256(body).digest()
        records.append((index, entry.id, at, entry.kind, entry.service, entry.actor, entry.subject, content_hash, body, leaf))
    _insert("records_record", "index id at kind service actor subject content_hash body leaf", records)
    _insert("records_recordcontent", "record_id key_id sealed", contents)
    return Written(first, [row[-1] for row in records])


def record_body(entry: Entry, metadata: bytes, salt: str, content_hash: str) -> bytes:
    """Return the canonical JSON of a record; `metadata` is that of its metadata.

    The salt keeps the hash of the body from being guessed once the body is erased.
    """
    known = KINDS.get(entry.kind)
    return _ENCODE(
        {
            "v": _VERSION,
            "id": entry.id,
            "at": utc_text(entry.at_us),
            "kind": entry.kind,
            "service": entry.service,
            "actor": entry.actor,
            "subject": entry.subject,
            "obligations": list(entry.obligations or (known.obligations if known else ())),
            "metadata": msgspec.Raw(metadata),
            "content_hash": content_hash,
            "salt": salt,
        }
    )


def _check(entries: Sequence[Entry]) -> list[tuple[Entry, bytes]]:
    """Return the entries with the canonical JSON of their metadata; what has none, or an id used before, is kept aside."""
    ids = [entry.id for entry in entries]
    seen: set[str] = set()
    for at in range(0, len(ids), _IDS_AT_ONCE):
        seen.update(Record.objects.filter(id__in=ids[at : at + _IDS_AT_ONCE]).values_list("id", flat=True))
    checked: list[tuple[Entry, bytes]] = []
    for entry in entries:
        kept = entry
        if entry.id in seen:
            kept = damaged_entry("its id was used before", encode_entry(entry), entry=entry.id, entry_kind=entry.kind)
        seen.add(entry.id)
        try:
            metadata = canonical_json(kept.metadata)
        except (TypeError, ValueError, RecursionError) as problem:
            kept = damaged_entry(str(problem)[:300], encode_entry(entry))
            metadata = canonical_json(kept.metadata)
        checked.append((kept, metadata))
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


def _datetime_adapter() -> Callable[[datetime], Any]:
    return connection.ops.adapt_datetimefield_value


def _insert(table: str, columns: str, rows: list[tuple[Any, ...]]) -> None:
    """Insert rows past the ORM, which costs several times what they do."""
    if rows:
        names = columns.split()
        listed = ", ".join(f'"{name}"' for name in names)
        marks = ", ".join(["%s"] * len(names))
        with connection.cursor() as cursor:
            cursor.executemany(f"INSERT INTO {table} ({listed}) VALUES ({marks})", rows)  # noqa: S608  # names are ours
