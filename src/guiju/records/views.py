"""The records browser: a list that filters and pages by key, and one record with its proof and its sealed content."""

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from guiju.core.clock import BEIJING
from guiju.records import flow, proving
from guiju.records.kinds import KINDS
from guiju.records.models import Record
from guiju.records.proving import prove
from guiju.screening.risks import BY_ID
from guiju.web.access import actor_of, needs
from guiju.web.templatetags.guiju import said

PAGE_RECORDS: Final = 50
OPENED: Final = "gateway.answer.opened"
CLOSING: Final = ("gateway.answer.delivered", "gateway.answer.stopped", "gateway.answer.interrupted")
REASON_CHARACTERS: Final = 4
_VALUE_CHARACTERS: Final = 2_000
_SEARCHED: Final = 500
"""How many closing records after the opening one are looked through."""
_ID: Final = re.compile("[0-9A-HJKMNP-TV-Z]{26}")


@dataclass(frozen=True, slots=True)
class Asked:
    """What the list was asked for; empty text for no condition. Times are Beijing times as browsers send them."""

    kind: str = ""
    service: str = ""
    subject: str = ""
    since: str = ""
    until: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """Records newest first, with the query strings of the pages beside it; empty where there is none."""

    found: list[Record]
    newer: str
    older: str


@needs("records.view_record")
@require_GET
def records(request: HttpRequest) -> HttpResponse:
    """List records, newest first."""
    asked = Asked(*(request.GET.get(name, "").strip()[:128] for name in Asked.__dataclass_fields__))
    facts: dict[str, Any] = {"asked": asked, "kinds": list(KINDS.values())}
    try:
        page = page_of(asked, before=_index(request, "before"), after=_index(request, "after"))
        facts |= {"found": page.found, "newer": page.newer, "older": page.older}
    except ValueError:
        facts["problem"] = _("时间或翻页参数不对，没有查找。请改正后重试。")
    if request.headers.get("HX-Request") and not request.headers.get("HX-History-Restore-Request"):
        return render(request, "records/_found.html", facts)
    return render(request, "records/list.html", facts)


def page_of(asked: Asked, before: int | None = None, after: int | None = None) -> Page:
    """Return one page. `before` and `after` are record indices: the cost does not grow with the distance from the newest.

    Raises ValueError for a time that is none.
    """
    matching = _matching(asked)
    if after is not None:
        rows = list(matching.filter(index__gt=after).order_by("index")[: PAGE_RECORDS + 1])
        more_newer, more_older = len(rows) > PAGE_RECORDS, True
        found = rows[:PAGE_RECORDS][::-1]
    else:
        rows = list((matching if before is None else matching.filter(index__lt=before)).order_by("-index")[: PAGE_RECORDS + 1])
        more_newer, more_older = before is not None, len(rows) > PAGE_RECORDS
        found = rows[:PAGE_RECORDS]
    if not found:
        return Page([], "", "")
    query = {name: value for name, value in asdict(asked).items() if value}
    newer = urlencode(query | {"after": found[0].index}) if more_newer else ""
    return Page(found, newer, urlencode(query | {"before": found[-1].index}) if more_older else "")


def _matching(asked: Asked) -> QuerySet[Record]:
    matching = Record.objects.all()
    if asked.kind:
        matching = matching.filter(kind=asked.kind)
    if asked.service:
        matching = matching.filter(service=asked.service)
    if asked.subject:
        matching = matching.filter(subject=asked.subject)
    if asked.since:
        matching = matching.filter(at__gte=_beijing(asked.since))
    if asked.until:
        matching = matching.filter(at__lt=_beijing(asked.until))
    return matching


def _beijing(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BEIJING)


def _index(request: HttpRequest, name: str) -> int | None:
    text = request.GET.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise ValueError(text)
    return int(text)


@needs("records.view_record")
@require_GET
def detail(request: HttpRequest, id: str) -> HttpResponse:
    """Show one record with its proof, verified now."""
    return _detail(request, _get(id))


@needs("records.view_record")
@require_GET
def proof(request: HttpRequest, id: str) -> HttpResponse:
    """Return the proof of one record as a file that `guiju verify` and other programs can check."""
    record = _get(id)
    response = JsonResponse(proving.proof_of(record.id), json_dumps_params={"ensure_ascii": False, "indent": 2})
    response.headers["Content-Disposition"] = f'attachment; filename="proof-{record.id}.json"'
    return response


@needs("records.open_record")
@require_POST
def open_content(request: HttpRequest, id: str) -> HttpResponse:
    """Open the sealed content of one record, for a reason; who, when and why is a record itself."""
    record = _get(id)
    reason = request.POST.get("reason", "").strip()
    if len(reason) < REASON_CHARACTERS:
        return _detail(request, record, refusal=_("请写明理由（至少 4 个字）。内容没有打开。"), status=400)
    content = flow.open_content(record.id, actor=actor_of(request), reason=reason[:200])
    return _detail(request, record, opened=list(_readable(content)))


def _get(id: str) -> Record:
    record = Record.objects.filter(id=id).first()
    if record is None:
        raise Http404
    return record


def _detail(request: HttpRequest, record: Record, *, refusal: str = "", opened: list[tuple[str, str]] | None = None, status: int = 200) -> HttpResponse:
    facts = {
        "record": record,
        "metadata": list(_flat(record.metadata)),
        "hits": list(_hits(record.metadata)),
        "related": _related(record),
        "proof": prove(record),
        "refusal": refusal,
        "opened": opened,
    }
    return render(request, "records/detail.html", facts, status=status)


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Give the leaves of metadata as (dotted name, text) rows; hits have a table of their own."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key != "hits":
                yield from _flat(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list):
        yield name, ", ".join(str(item) for item in value)[:_VALUE_CHARACTERS] or "—"
    else:
        yield name, "—" if value is None or value == "" else str(value)[:_VALUE_CHARACTERS]


def _hits(metadata: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for direction, name in (("input", _("输入")), ("output", _("输出"))):
        side = metadata.get(direction)
        for hit in side.get("hits", ()) if isinstance(side, dict) else ():
            risk = BY_ID.get(hit.get("risk", ""))
            yield {**hit, "direction": name, "risk_name": said(risk) if risk else ""}


def _readable(content: bytes) -> Iterator[tuple[str, str]]:
    """Give the parts of sealed content as (name, text): JSON is laid out, bytes that are no text are counted."""
    names = {"request": _("请求"), "answer": _("回答")}
    try:
        parts = msgspec.msgpack.decode(content)
    except msgspec.DecodeError:
        parts = content
    for name, part in parts.items() if isinstance(parts, dict) else [(_("内容"), parts)]:
        yield names.get(str(name), str(name)), _laid_out(part)


def _laid_out(part: Any) -> str:
    if isinstance(part, bytes):
        try:
            part = msgspec.json.decode(part)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return part.decode("utf-8", "replace")
    if isinstance(part, str):
        return part
    return msgspec.json.format(msgspec.json.encode(part), indent=2).decode()


def closing_record(answer: str) -> Record | None:
    """Return the record that closes the answer with this id; None while there is none.

    A whole answer's record has the answer's id. A streamed one has a record that opens it under that id, and one that
    closes it soon after, whose metadata name it.
    """
    if not _ID.fullmatch(answer):
        return None
    first = Record.objects.filter(id=answer).first()
    if first is None or first.kind != OPENED:
        return first
    later = Record.objects.filter(index__gt=first.index, kind__in=CLOSING).order_by("index")[:_SEARCHED]
    return next((record for record in later if record.metadata.get("answer") == answer), None)


def _related(record: Record) -> list[Record]:
    """Return the other record of the same streamed answer: the one that opened it, or the one that closed it."""
    if record.kind == OPENED:
        other = closing_record(record.id)
    else:
        answer = record.metadata.get("answer")
        other = Record.objects.filter(id=answer).exclude(id=record.id).first() if isinstance(answer, str) else None
    return [other] if other else []
