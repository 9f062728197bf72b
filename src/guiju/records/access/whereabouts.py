"""Where the sealed content of a record is: there, never there, erased with its subject, or removed at the end of its days."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from guiju.core.clock import BEIJING
from guiju.core.errors import GuijuError, Text, define
from guiju.records.models import Erasure, Record, RecordContent, Removal

CONTENT_NONE = define(
    "CONTENT-NONE",
    status=404,
    kind="not_found_error",
    zh=Text("记录 {id} 从来没有封存内容。", "记录本身及其证明不变。", "无需处理；元数据仍可查看。"),
    en=Text(
        "Record {id} never had sealed content.",
        "The record and its proof are unchanged.",
        "Nothing needs doing; its metadata can still be read.",
    ),
)
CONTENT_ERASED = define(
    "CONTENT-ERASED",
    status=410,
    kind="invalid_request_error",
    zh=Text(
        "记录 {id} 的内容已于 {at} 删除，证书 {certificate}。",
        "记录本身、内容的哈希值及其证明不变。",
        "内容无法恢复；证书可在主体 {subject} 的页面下载。",
    ),
    en=Text(
        "The content of record {id} was erased on {at}, certificate {certificate}.",
        "The record, the hash of the content and its proof are unchanged.",
        "It cannot be brought back; the certificate is on the page of the subject {subject}.",
    ),
)
CONTENT_REMOVED = define(
    "CONTENT-REMOVED",
    status=410,
    kind="invalid_request_error",
    zh=Text(
        "记录 {id} 的内容保存期满，已按 {at} 的安排清除（记录 {order}）。",
        "记录本身、内容的哈希值及其证明不变。",
        "内容无法恢复；保存期限见设置 [retention]。",
    ),
    en=Text(
        "The content of record {id} was past its days and went by the removal of {at} (record {order}).",
        "The record, the hash of the content and its proof are unchanged.",
        "It cannot be brought back; the days are those of the settings under [retention].",
    ),
)
CONTENT_MISSING = define(
    "CONTENT-MISSING",
    status=500,
    kind="server_error",
    zh=Text(
        "记录 {id} 的内容不在，而没有证书或清除记录说明其去向。", "记录本身及其证明不变。", "请运行 guiju verify，并查明内容为何缺失。"
    ),
    en=Text(
        "The content of record {id} is not there, and no certificate or removal accounts for it.",
        "The record and its proof are unchanged.",
        "Run guiju verify, and find out why it is missing.",
    ),
)
_CODES: Final = {"none": CONTENT_NONE, "erased": CONTENT_ERASED, "removed": CONTENT_REMOVED, "missing": CONTENT_MISSING}


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where content is; `at` and `paper` (the certificate, or the record that ordered its removal) for what is gone."""

    state: Literal["none", "sealed", "erased", "removed", "missing"]
    at: datetime | None = None
    paper: str = ""


def find_whereabouts(record: Record) -> Whereabouts:
    """Return where a record's sealed content is."""
    if not record.content_hash:
        return Whereabouts("none")
    if RecordContent.objects.filter(record_id=record.id, key__wrapped__isnull=False).exists():
        return Whereabouts("sealed")
    for removal in Removal.objects.filter(what=Removal.What.CONTENT, first__lte=record.index, until__gt=record.index):
        place = record.index - removal.first
        if bytes(removal.bits)[place >> 3] >> (place & 7) & 1:
            return Whereabouts("removed", removal.ordered_at, removal.id)
    # What was written before an erasure went with the first one after it, also when it arrived later.
    erasure = Erasure.objects.filter(subject=record.subject, at__gte=record.at).order_by("at").first() if record.subject else None
    return Whereabouts("erased", erasure.at, erasure.id) if erasure is not None else Whereabouts("missing")


def content_gone(record: Record, found: Whereabouts) -> GuijuError:
    """Return the error that says why there is no content to open."""
    at = found.at.astimezone(BEIJING).strftime("%Y-%m-%d %H:%M") if found.at else ""
    facts = {"erased": {"at": at, "certificate": found.paper, "subject": record.subject}, "removed": {"at": at, "order": found.paper}}
    return GuijuError(_CODES[found.state], id=record.id, **facts.get(found.state, {}))
