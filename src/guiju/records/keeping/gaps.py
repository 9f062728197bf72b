"""Gaps that the watch has found: listed, and closed by a person who says why.

A gap stays open until somebody has looked into it. It is not opened again for the same missing records.
"""

from datetime import UTC, datetime

from django.db import transaction
from django.db.models import QuerySet

from guiju.core.errors import GuijuError, Text, define
from guiju.records import flow
from guiju.records.keeping.watch import CLOSED
from guiju.records.models import Gap

GAP_UNKNOWN = define(
    "GAP-UNKNOWN",
    status=404,
    kind="not_found_error",
    zh=Text("没有编号为 {id} 的未处理缺失，或已有人处理。", "没有改动任何内容。", "请核对编号：guiju records gaps。"),
    en=Text(
        "There is no open gap with the number {id}, or somebody has closed it.", "Nothing was changed.", "Check it: guiju records gaps."
    ),
)
GAP_REASON = define(
    "GAP-REASON",
    status=400,
    kind="invalid_request_error",
    zh=Text("关闭缺失 {id} 没有写明理由。", "该缺失仍未处理。", "请写明查明的原因和采取的措施。"),
    en=Text("Gap {id} was to be closed without a reason.", "It stays open.", "Say what was found out, and what was done."),
)
REASON_CHARACTERS = 200


def open_gaps() -> QuerySet[Gap]:
    """Return the gaps that nobody has closed, the newest first."""
    return Gap.objects.filter(closed_at=None).order_by("-found_at", "-pk")


def close_gap(id: int, *, actor: str, reason: str) -> None:
    """Close a gap and leave `records.gap.closed`. Raises GAP-REASON, and GAP-UNKNOWN also for the second of two who close it."""
    said = reason.strip()[:REASON_CHARACTERS]
    if len(said) < 4:
        raise GuijuError(GAP_REASON, id=id)
    with transaction.atomic():
        closed = Gap.objects.filter(pk=id, closed_at=None).update(closed_at=datetime.now(UTC), closed_by=actor, closed_reason=said)
        if not closed:
            raise GuijuError(GAP_UNKNOWN, id=id)
        gap = Gap.objects.get(pk=id)
        flow.append(
            kind=CLOSED,
            actor=actor,
            service=gap.service,
            metadata={"gap": gap.key, "cause": gap.cause, "found": gap.record, "reason": said},
        )
