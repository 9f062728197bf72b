"""What there is about one person in the records: found, exported. Erasing is `erasure.py`; records are never corrected.

A wrong record is answered by a later one that says so: the log only grows. Source: Measures Art. 11; PIPL Arts. 45–47.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Max, Min
from django.template.loader import render_to_string
from django.utils import translation

from guiju.core.errors import GuijuError
from guiju.records.access.content import plain
from guiju.records.access.opening import SUBJECT_UNKNOWN, Opened, approval_of, find_opening, get_opening, list_opened
from guiju.records.keeping.hold import list_holds_on
from guiju.records.kinds import KINDS
from guiju.records.models import Erasure, Hold, Record, RecordContent, Request, SubjectKey
from guiju.records.outbox import append
from guiju.records.subjects.handed_over import LEFT_OUT, for_person, left_out

PAGE_RECORDS: Final = 200
FORM: Final = "guiju-subject-export-1"
_LANGUAGES: Final[tuple[tuple[Literal["zh", "en"], str], ...]] = (("zh", "zh-hans"), ("en", "en"))


@dataclass(frozen=True, slots=True)
class Found:
    """What there is about a subject; times are None when there is nothing."""

    subject: str
    records: int
    contents: int
    first_at: datetime | None
    last_at: datetime | None
    sealed_since: datetime | None
    holds: list[Hold]
    erasures: list[Erasure]
    requests: list[Request]


@dataclass(frozen=True, slots=True)
class Export:
    """One export: the records about a subject up to `last_index`, their contents opened or not, and how it came about."""

    id: str
    subject: str
    last_index: int
    records: int
    opened: bool
    actor: str
    reason: str
    at: datetime
    complete: bool
    """For the file, with everything; otherwise for the person, as `handed_over` says."""


def find(subject: str) -> Found:
    """Return what there is about a subject. Raises SUBJECT-UNKNOWN."""
    told = Record.objects.filter(subject=subject).aggregate(count=Count("index"), first=Min("at"), last=Max("at"))
    if not subject or not told["count"]:
        raise GuijuError(SUBJECT_UNKNOWN, subject=subject or "–")
    key = SubjectKey.objects.filter(subject=subject, destroyed_at=None).first()
    contents = RecordContent.objects.filter(record__subject=subject, key__destroyed_at=None).count()
    return Found(
        subject=subject,
        records=told["count"],
        contents=contents,
        first_at=told["first"],
        last_at=told["last"],
        sealed_since=key.created_at if key else None,
        holds=list_holds_on(subject),
        erasures=list(Erasure.objects.filter(subject=subject).order_by("-at")),
        requests=list(Request.objects.filter(subject=subject).order_by("-asked_at")[:20]),
    )


def begin_export(subject: str, *, actor: str, reason: str, opened: bool, complete: bool = False) -> Export:
    """Leave `records.subject.exported`, durable before a byte is given out; return what `list_members` writes.

    It is for the person, without what `handed_over` leaves out, unless it is `complete`: that is for the file.
    With `opened` the contents are in it, and the actor has the subject open. Raises SUBJECT-UNKNOWN, OPENING-NEEDED,
    ValueError without a reason.
    """
    if not reason.strip():
        raise ValueError("an export needs a reason")
    rows = Record.objects.filter(subject=subject)
    if not subject or not rows.exists():
        raise GuijuError(SUBJECT_UNKNOWN, subject=subject or "–")
    told = (rows if complete else rows.exclude(left_out())).aggregate(count=Count("index"), last=Max("index"))
    last = -1 if told["last"] is None else told["last"]
    opening = get_opening(subject, actor) if opened else None
    metadata: dict[str, object] = {"reason": reason.strip()[:200], "records": told["count"], "last_index": last, "opened": opened}
    metadata["complete"] = complete
    metadata |= {"opening": opening.id} | approval_of(opening) if opening else {}
    with transaction.atomic(durable=True):
        id = append(kind="records.subject.exported", actor=actor, subject=subject, metadata=metadata)
    return Export(id, subject, last, told["count"], opened, actor, reason.strip(), datetime.now(UTC), complete)


def list_members(export: Export) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Yield (file name, pieces) of every file of an export; read each to its end before the next. Memory stays bounded.

    `records.json` is for programs; the pages in Chinese and English hold the same for people, `PAGE_RECORDS` on each.
    Raises OPENING-NEEDED in the middle when the contents are in it and the opening is withdrawn: an erasure does that.
    """
    yield "records.json", _json(export)
    pages = max(1, -(-export.records // PAGE_RECORDS))
    for language, locale in _LANGUAGES:
        after = -1
        for number in range(1, pages + 1):
            page = _page_of(export, after)
            after = page[-1].record.index if page else after
            yield page_name(language, number), iter([_html(export, page, language, locale, number, pages)])


def page_name(language: str, number: int) -> str:
    """Return the file name of a page of an export."""
    return f"records-{language}-{number:04d}.html"


def _json(export: Export) -> Iterator[bytes]:
    head: dict[str, object] = {
        "export": FORM,
        "id": export.id,
        "origin": settings.SITE.ledger.origin,
        "subject": export.subject,
        "at": export.at.isoformat(timespec="seconds"),
        "contents_opened": export.opened,
        "count": export.records,
        "complete": export.complete,
    }
    head |= {"by": export.actor, "reason": export.reason} if export.complete else {"left_out_zh": LEFT_OUT[0], "left_out_en": LEFT_OUT[1]}
    yield _dumped(head)[:-1] + b',\n"records": ['
    comma = b"\n"
    for each in _list(export, -1):
        yield comma + _dumped(_given(export, each))
        comma = b",\n"
    yield b"\n]}\n"


def entry_of(each: Opened) -> dict[str, Any]:
    """Return one record as programs read it."""
    record = each.record
    body: dict[str, Any] = json.loads(bytes(record.body))
    kind = KINDS.get(record.kind)
    told = {name: body[name] for name in ("id", "at", "kind", "service", "actor", "subject", "obligations", "metadata", "content_hash")}
    names = {"kind_zh": kind.zh if kind else "", "kind_en": kind.en if kind else ""}
    return {"index": record.index, **told, **names, "content_state": each.state, "content": plain(each.content) if each.content else None}


def _html(export: Export, page: list[Opened], language: str, locale: str, number: int, pages: int) -> bytes:
    facts = {
        "export": export,
        "origin": settings.SITE.ledger.origin,
        "language": language,
        "number": number,
        "pages": pages,
        "before": page_name(language, number - 1) if number > 1 else "",
        "behind": page_name(language, number + 1) if number < pages else "",
        "other": page_name("en" if language == "zh" else "zh", number),
        "entries": [_readable(export, each) for each in page],
        "left_out": LEFT_OUT,
    }
    with translation.override(locale):
        return render_to_string("records/export.html", facts).encode()


def _given(export: Export, each: Opened) -> dict[str, Any]:
    return entry_of(each) if export.complete else for_person(entry_of(each))


def _readable(export: Export, each: Opened) -> dict[str, Any]:
    entry = _given(export, each)
    return entry | {
        "record": each.record,
        "pairs": list(pairs_of(entry["metadata"])),
        "texts": list(pairs_of(entry["content"])) if entry["content"] is not None else [],
    }


def pairs_of(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield every leaf of a JSON value as (path, text)."""
    waiting = [(path, value)]  # a list of its own: hostile nesting must not end in a recursion error
    while waiting:
        path, value = waiting.pop()
        inner: Iterable[tuple[str, Any]]
        if isinstance(value, dict) and value:
            inner = [(f"{path}.{name}" if path else str(name), each) for name, each in value.items()]
        elif isinstance(value, list) and value:
            inner = [(f"{path}[{place}]", each) for place, each in enumerate(value)]
        else:
            yield path, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            continue
        waiting += reversed(list(inner))


def _page_of(export: Export, after: int) -> list[Opened]:
    page = []
    for each in _list(export, after):
        page.append(each)
        if len(page) == PAGE_RECORDS:
            break
    return page


def _list(export: Export, after: int) -> Iterator[Opened]:
    without = None if export.complete else left_out()
    listed = list_opened(export.subject, after=after, last=export.last_index, opened=export.opened, without=without)
    for number, each in enumerate(listed):
        if export.opened and not number % PAGE_RECORDS and find_opening(export.subject, export.actor) is None:
            get_opening(export.subject, export.actor)  # an opening that ended in the middle ends the export
        yield each


def _dumped(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")
