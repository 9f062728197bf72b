"""Exceptions proposed from false hits: drafts for the owner of the library, who writes them into the file; nothing enters a library here."""

import csv
import io
from collections.abc import Sequence

import msgspec
from django.db import transaction
from django.utils import timezone

from guiju.core.errors import GuijuError
from guiju.records import flow as records
from guiju.screening import flow as libraries
from guiju.screening.matching.snapshot import Snapshot
from guiju.screening.review.errors import PROPOSAL_REFUSED, PROPOSAL_SETTLED
from guiju.screening.review.flow import get_item
from guiju.screening.review.models import PHRASE_CHARACTERS, Finding, Proposal
from guiju.screening.spellings.fold import fold_exactly
from guiju.screening.values import LibraryEntry, Policy


def find_entry(rule: str) -> LibraryEntry | None:
    """Return the row of the library in force that a rule is made of; None for a rule that no row makes."""
    active = libraries.find_active()
    if active is None:
        return None
    return next((entry for entry in libraries.library_of(active.version).entries if entry.id == rule), None)


def excuses(entry: LibraryEntry, phrase: str) -> bool:
    """Tell whether this word is longer than the row's term and would, as an exception, excuse a hit that is one today."""
    if len(fold_exactly(phrase).characters) <= len(fold_exactly(entry.term).characters):
        return False  # it would excuse the term itself
    direction = "input" if entry.direction == "input" else "output"
    entry = msgspec.structs.replace(entry, near=())  # an exception excuses the term, whatever stands near it

    def hits(row: LibraryEntry) -> bool:
        return bool(Snapshot([row], "").examine(phrase, direction, Policy()).hits)  # type: ignore[arg-type]  # one of the two

    return hits(entry) and not hits(msgspec.structs.replace(entry, exceptions=(*entry.exceptions, phrase)))


def propose(record: str, *, rule: str, phrase: str, actor: str) -> Proposal:
    """Propose an exception to a term that somebody judged a false hit in this item; leave `screening.exception.proposed`.

    The same proposal made before is returned. Raises REVIEW-UNKNOWN, PROPOSAL-REFUSED.
    """
    item, phrase = get_item(record), phrase.strip()
    judged = Finding.objects.filter(decision__item=item, rule=rule, verdict=Finding.Verdict.FALSE).exists()
    entry = find_entry(rule) if judged and 0 < len(phrase) <= PHRASE_CHARACTERS else None
    if entry is None or not excuses(entry, phrase):
        raise GuijuError(PROPOSAL_REFUSED, phrase=phrase[:PHRASE_CHARACTERS], rule=rule[:60])
    with transaction.atomic():
        proposal, made = Proposal.objects.get_or_create(
            rule=rule, phrase=phrase, defaults={"item": item, "proposed_by": actor, "at": timezone.now()}
        )
        if made:
            facts: dict[str, object] = {"item": item.pk, "rule": rule, "proposal": proposal.pk}
            records.append(kind="screening.exception.proposed", actor=actor, service=item.service, metadata=facts)
    return proposal


def settle(number: int, *, adopted: bool, actor: str) -> Proposal:
    """Say that a proposal was written into the library's file, or will not be; leave `screening.exception.settled`.

    Raises PROPOSAL-SETTLED, also for the second of two at once.
    """
    state = Proposal.State.ADOPTED if adopted else Proposal.State.DISMISSED
    with transaction.atomic():
        rows = Proposal.objects.filter(pk=number, state=Proposal.State.DRAFT)
        if not rows.update(state=state, settled_by=actor, settled_at=timezone.now()):
            raise GuijuError(PROPOSAL_SETTLED, id=number)
        proposal = Proposal.objects.get(pk=number)
        facts: dict[str, object] = {"proposal": number, "rule": proposal.rule, "adopted": adopted}
        records.append(kind="screening.exception.settled", actor=actor, metadata=facts)
    return proposal


def as_csv(proposals: Sequence[Proposal]) -> bytes:
    """Return proposals as rows that stand beside those of the library: id, term, the exception proposed, when."""
    out = io.StringIO()
    rows = csv.writer(out)
    rows.writerow(["id", "term", "exception", "proposed_on"])
    for each in proposals:
        entry = find_entry(each.rule)
        rows.writerow([_plain(text) for text in (each.rule, entry.term if entry else "", each.phrase, each.at.date().isoformat())])
    return out.getvalue().encode("utf-8-sig")


def _plain(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula."""
    return "'" + cell if cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell
