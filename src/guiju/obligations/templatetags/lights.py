"""Template words of the board: lights by colour and shape, marks of certainty, periods."""

from datetime import datetime

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from guiju.core.deadlines import last_moment
from guiju.obligations.finding import Status
from guiju.obligations.values import Basis, Limit, Mark

register = template.Library()


@register.filter
def status_name(status: Status) -> str:
    """Return the name of a state."""
    return {
        "met": _("已履行"),
        "due": _("待办"),
        "overdue": _("逾期"),
        "breach": _("违反"),
        "needs_person": _("待人判断"),
        "not_built": _("未建"),
        "not_applicable": _("不适用"),
    }[status]


@register.simple_tag
def light(status: Status, number: int | None = None) -> SafeString:
    """Return the badge of a state: its colour, its shape, its name, and how many there are."""
    if number is None:
        return format_html('<span class="state {}">{}</span>', status, status_name(status))
    return format_html('<span class="state {}">{} {}</span>', status, status_name(status), number)


@register.simple_tag
def mark(value: Mark) -> SafeString:
    """Return how certain a fact is; what was read in the law says so too."""
    name = {"read": _("已读原文"), "second_hand": _("转述"), "unconfirmed": _("未证实"), "design": _("自定，非法律")}[value]
    return format_html('<span class="certainty {}">{}</span>', value, name)


@register.filter
def proof_name(what: str) -> str:
    """Return what a piece of evidence is; its number stands beside it."""
    names = {
        "attestation": _("声明"),
        "bundle": _("运行包"),
        "determination": _("适用性判断书"),
        "erasure": _("删除"),
        "library": _("词库"),
        "profile": _("服务画像"),
        "request": _("申请"),
        "requests": _("申请"),
        "retention_rule": _("保存期限"),
        "sweep": _("清除"),
    }
    return names.get(what, what)


@register.filter
def period(limit: Limit) -> str:
    """Return a period in words: `within 10 working days`."""
    one, several = {
        "minutes": (_("1 分钟"), _("%(n)d 分钟")),
        "hours": (_("1 小时"), _("%(n)d 小时")),
        "working_days": (_("1 个工作日"), _("%(n)d 个工作日")),
        "days": (_("1 日"), _("%(n)d 日")),
        "months": (_("1 个月"), _("%(n)d 个月")),
        "years": (_("1 年"), _("%(n)d 年")),
    }[limit.unit]
    amount = one if limit.amount == 1 else several % {"n": limit.amount}
    sense = {"within": _("%(amount)s 内"), "keep": _("至少保存 %(amount)s"), "before": _("提前 %(amount)s"), "every": _("每 %(amount)s")}[
        limit.sense
    ]
    return sense % {"amount": amount}


@register.filter
def deadline(due: datetime) -> str:
    """Return until when something is in time, in Beijing time."""
    return last_moment(due)


@register.filter
def basis_name(basis: Basis) -> str:
    """Return whose limit it is."""
    return {"law": _("法定"), "policy": _("自定")}[basis]
