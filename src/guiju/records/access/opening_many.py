"""Opening the contents of many records for one pack: one request for all of them, and the records of it once the pack is there.

Where `records.opening_people` is 2, the first attempt asks once and names every record; the same attempt opens once another
person has approved. Nothing is used up and nothing goes on record before everything lies unsealed in the pack's draft.
Source: Measures Art. 11; PIPL Art. 51.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from guiju.core.errors import GuijuError, Text, define
from guiju.records.access import requests
from guiju.records.access.opening import approval_of, cipher_of, find_opening, load_masters, policy_is_one_person, unsealed
from guiju.records.access.requests import TEXT_CHARACTERS, Deed
from guiju.records.lease import keep_recorder_out
from guiju.records.models import Record, RecordContent, Request
from guiju.records.outbox import append

ERASED_MEANWHILE = define(
    "ERASED-MEANWHILE",
    status=409,
    kind="invalid_request_error",
    retry=True,
    zh=Text(
        "制作期间有 {count} 份内容被删除。",
        "记录包没有写出；批准没有用掉，也没有留下打开的记录。",
        "请再次执行；已删除的内容不会进入记录包。",
    ),
    en=Text(
        "{count} contents were erased while the pack was being made.",
        "No pack was written, no approval used, and no opening is on record.",
        "Do the same again; what was erased does not go into the pack.",
    ),
)
APPROVAL_GONE = define(
    "APPROVAL-GONE",
    status=409,
    kind="invalid_request_error",
    zh=Text("批准在制作期间已被使用或过期。", "记录包没有写出，也没有留下打开的记录。", "请再次执行，重新提出申请。"),
    en=Text(
        "The approval was used or expired while the pack was being made.",
        "No pack was written, and no opening is on record.",
        "Do the same again; that makes a new request.",
    ),
)
_AT_ONCE: Final = 200


@dataclass(frozen=True, slots=True)
class Opening:
    """What one person may open for one selection: the records by id, in order, and why. `openings` are those of whole subjects."""

    actor: str
    reason: str
    selection: str
    ids: tuple[str, ...]
    request: str
    """Id of the approved request; empty when none is needed."""
    openings: dict[str, Request]
    left_sealed: int
    """Records of the selection that were not there when it was asked for: the approval does not name them."""


def begin_opening(ids: Sequence[str], *, selection: str, actor: str, reason: str) -> Opening:
    """Return what may be opened of these records; nothing is used up yet. `selection` is how they were chosen, as text.

    Contents that are gone are passed over, and those of a subject that the actor has open need no further approval.
    Raises ValueError without a reason, and APPROVAL-NEEDED with one request for everything that needs it.
    """
    if not reason.strip():
        raise ValueError("opening sealed content needs a reason")
    there = [each for part in _parts(ids) for each in _contents(part)]
    openings = {subject: found for subject in {subject for _, subject in there} if subject and (found := find_opening(subject, actor))}
    needing = [] if policy_is_one_person() else [each for each in there if each[1] not in openings]
    if not needing:
        return Opening(actor, reason.strip()[:TEXT_CHARACTERS], selection, tuple(id for id, _ in there), "", openings, 0)
    approved = requests.find_approved(Deed.OPEN_RECORDS, actor=actor, selection=selection)
    if approved is None:
        subjects = {subject for _, subject in needing}
        asked = requests.ask(
            Deed.OPEN_RECORDS,
            actor=actor,
            reason=reason,
            subject=subjects.pop() if len(subjects) == 1 else "",
            selection=selection,
            records=tuple(id for id, _ in needing),
        )
        raise requests.approval_needed(asked)
    named = frozenset(approved.records)
    allowed = tuple(id for id, subject in there if id in named or subject in openings)
    return Opening(actor, approved.reason, selection, allowed, approved.id, openings, len(there) - len(allowed))


def list_contents(opening: Opening) -> Iterator[tuple[str, bytes]]:
    """Yield (record id, content) in the order of `ids`. Keys are read again for every batch: what is erased meanwhile is passed over.

    Raises CONTENT-UNREADABLE when content, key or record were tampered with.
    """
    masters = load_masters()
    for part in _parts(opening.ids):
        records = {each.id: each for each in Record.objects.filter(id__in=part)}
        contents = {each.record_id: each for each in RecordContent.objects.select_related("key").filter(record_id__in=part)}
        ciphers = {each.key_id: cipher_of(each.key, masters) for each in contents.values() if each.key.wrapped}
        for id in part:
            content = contents.get(id)
            if content is not None and content.key_id in ciphers:
                yield id, unsealed(records[id], bytes(content.sealed), ciphers[content.key_id])


def finish_opening(opening: Opening, ids: Sequence[str], *, pack: str) -> None:
    """Use the approval and leave `records.content.opened` for each of these records, inside the caller's transaction.

    `pack` is the SHA-256 of the pack that holds them. Raises ERASED-MEANWHILE, and APPROVAL-GONE when the approval was used or expired
    meanwhile: of two attempts at once, one uses it.
    """
    keep_recorder_out()  # and every erasure: from here to the commit no key is destroyed
    here = {id for part in _parts(ids) for id, _ in _contents(part)}
    if gone := len(set(ids) - here):
        raise GuijuError(ERASED_MEANWHILE, count=gone)
    request, named = None, frozenset[str]()
    if opening.request:
        request = requests.take(Deed.OPEN_RECORDS, actor=opening.actor, selection=opening.selection, id=opening.request)
        if request is None:
            raise GuijuError(APPROVAL_GONE)
        named = frozenset(request.records)
    for part in _parts(ids):
        records = {each.id: each for each in Record.objects.filter(id__in=part)}
        for id in part:
            record = records[id]
            used = request if request is not None and id in named else opening.openings.get(record.subject)
            metadata: dict[str, object] = {"record": id, "reason": used.reason if used else opening.reason, "pack_sha256": pack}
            metadata |= approval_of(used)
            append(kind="records.content.opened", actor=opening.actor, service=record.service, subject=record.subject, metadata=metadata)


def _contents(ids: Sequence[str]) -> list[tuple[str, str]]:
    """Return (id, subject) of those records whose content can be opened, in the order given."""
    rows = RecordContent.objects.filter(record_id__in=ids, key__wrapped__isnull=False)
    subjects = dict(rows.values_list("record__id", "record__subject"))
    return [(id, subjects[id]) for id in ids if id in subjects]


def _parts(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for at in range(0, len(ids), _AT_ONCE):
        yield ids[at : at + _AT_ONCE]
