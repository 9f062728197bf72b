"""The records browser: a list that filters and pages by key, and one record with its proof and its sealed content."""

from collections.abc import Iterator
from typing import Any, Final

import msgspec
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from guiju.core.errors import GuijuError
from guiju.records import flow
from guiju.records.access.requests import APPROVAL_NEEDED, list_waiting, people_for
from guiju.records.browse import OPENED, Asked, NumberWrong, find_record, find_related, page_of
from guiju.records.meanings import meaning_of
from guiju.records.models import Record, Request
from guiju.records.proving import show_proof
from guiju.records.reasons import REASON_CHARACTERS
from guiju.screening.risks import BY_ID, GROUPS
from guiju.web.access import actor_of, needs, post_only, text_of
from guiju.web.templatetags.guiju import error_text, said

FILTER_CHARACTERS: Final = 200
_VALUE_CHARACTERS: Final = 2_000


@needs("records.view_record")
@require_GET
def records(request: HttpRequest) -> HttpResponse:
    """List records, newest first."""
    asked = Asked(*(text_of(request.GET, name, FILTER_CHARACTERS) for name in Asked.__dataclass_fields__))
    facts: dict[str, Any] = {"asked": asked, "waiting": list_waiting().count()}
    try:
        page = page_of(asked, before=_index(request, "before"), after=_index(request, "after"))
        facts |= {"found": page.found, "newer": page.newer, "older": page.older}
    except NumberWrong:
        facts["problem"] = _("编号应为 26 个字母和数字，没有查找。请核对后重试。")
    except ValueError:
        facts["problem"] = _("时间或翻页参数不对，没有查找。请改正后重试。")
    if request.headers.get("HX-Request") and not request.headers.get("HX-History-Restore-Request"):
        return render(request, "records/_found.html", facts)
    return render(request, "records/list.html", facts)


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
    response = JsonResponse(flow.prove(record.id), json_dumps_params={"ensure_ascii": False, "indent": 1})
    response.headers["Content-Disposition"] = f'attachment; filename="proof-{record.id}.json"'
    return response


@needs("records.open_record")
@post_only
def open_content(request: HttpRequest, id: str) -> HttpResponse:
    """Open the sealed content of one record, for a reason; who, when and why is a record itself."""
    record = _get(id)
    reason = text_of(request.POST, "reason", 200)
    if len(reason) < REASON_CHARACTERS:
        return _detail(request, record, refusal=_("请写明理由（至少 4 个字）。内容没有打开。"), status=400)
    try:
        content = flow.open_content(record.id, actor=actor_of(request), reason=reason)
    except GuijuError as problem:
        if problem.code not in (APPROVAL_NEEDED, flow.CONTENT_ERASED):
            raise
        return _detail(request, record, refusal=error_text(problem), waiting=problem.code is APPROVAL_NEEDED, status=problem.code.status)
    return _detail(request, record, opened=list(_readable(content)))


def _get(id: str) -> Record:
    record = find_record(id)
    if record is None:
        raise Http404
    return record


def _detail(
    request: HttpRequest,
    record: Record,
    *,
    refusal: str = "",
    waiting: bool = False,
    opened: list[tuple[str, str]] | None = None,
    status: int = 200,
) -> HttpResponse:
    facts = {
        "record": record,
        "metadata": [(meaning_of(name), name, value) for name, value in _flat(record.metadata)],
        "hits": list(_hits(record.metadata)),
        "begins": record.kind == OPENED,
        "related": find_related(record),
        "proof": show_proof(record.id),
        "content": flow.find_whereabouts(record),
        "refusal": refusal,
        "waiting": waiting,
        "asks_first": people_for(Request.Deed.OPEN_RECORD) > 1,
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
        text = str(value).lower() if isinstance(value, bool) else str(value)
        yield name, "—" if value is None or value == "" else text[:_VALUE_CHARACTERS]


def _hits(metadata: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for direction, name in (("input", _("输入")), ("output", _("输出"))):
        side = metadata.get(direction)
        for hit in side.get("hits", ()) if isinstance(side, dict) else ():
            risk = BY_ID.get(hit.get("risk", "")) or GROUPS.get(hit.get("risk", ""))
            yield {**hit, "direction": name, "risk_name": said(risk) if risk else ""}


def _readable(content: bytes) -> Iterator[tuple[str, str]]:
    """Give the parts of sealed content as (name, text): JSON is laid out, bytes that are no text are counted."""
    names = {"request": _("请求"), "answer": _("回答")}
    try:
        parts = msgspec.msgpack.decode(content)
    except msgspec.DecodeError:
        parts = content
    for name, part in parts.items() if isinstance(parts, dict) else [(_("内容"), parts)]:
        if isinstance(part, dict) and all(isinstance(text, str) for text in part.values()):
            for path, text in part.items():
                yield f"{names.get(str(name), name)} · {path}", text
        else:
            yield names.get(str(name), str(name)), _laid_out(part)


def _laid_out(part: Any) -> str:
    if isinstance(part, bytes):
        try:
            part = msgspec.json.decode(part)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return str(part, "utf-8", "replace")
    if isinstance(part, str):
        return part
    laid_out: bytes = msgspec.json.format(msgspec.json.encode(part), indent=2)
    return laid_out.decode()
