"""Supply without the explicit label: the request names its grant, and the grant must be this user's, of this service, and in time.

The implicit label stays. Each delivery leaves the log of its recipient, durable before the last byte.
Source: Labelling Measures Art. 9.
"""

import time
from typing import Final

import msgspec

from guiju.core.errors import GuijuError, Text, define
from guiju.gateway.bundle import Waiver
from guiju.labelling.values import Label, WaivedLabel

HEADER: Final = b"x-guiju-unlabelled"
SUPPLIED: Final = "labelling.unlabelled.supplied"
DELIVERIES: Final = frozenset(
    {
        "gateway.answer.delivered",
        "gateway.answer.stopped",
        "gateway.answer.interrupted",
        "gateway.media.delivered",
        "gateway.export.delivered",
    }
)
"""Closing records with which content may have left."""

UNLABELLED_REFUSED = define(
    "UNLABELLED-REFUSED",
    status=403,
    kind="permission_error",
    zh=Text("请求要求不加显式标识，但该编号不属于这位用户、已到期或不存在。", "没有交给模型，什么也没有生成。", "请核对 X-Guiju-Unlabelled 和用户标识，或去掉该请求头，照常添加标识。"),
    en=Text(
        "The request asks for an answer without the explicit label, but the number is not this user's, has ended or does not exist.",
        "It was not given to the model; nothing was generated.",
        "Check X-Guiju-Unlabelled and the user's identifier, or leave the header out and take the label.",
    ),
)  # fmt: skip


def find_waiver(waivers: dict[str, Waiver], number: str, service: str, subject: str) -> Waiver:
    """Return the grant that a request names. Raises UNLABELLED-REFUSED for any other user, service or time."""
    found = waivers.get(number)
    if found is None or not subject or (found.service, found.subject) != (service, subject) or found.until_s <= time.time():
        raise GuijuError(UNLABELLED_REFUSED)
    return found


def waived(label: Label) -> Label:
    """Return the label of a service without its words; the implicit label stays."""
    return WaivedLabel(**(msgspec.structs.asdict(label) | {"mode": "interface"}))
