"""Template words of the console: two languages in one value, states with colour and shape, short hashes."""

from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from guiju.core.clock import BEIJING
from guiju.core.errors import GuijuError

register = template.Library()

TONES: Final = {
    "delivered": "good",
    "stopped": "bad",
    "refused": "warn",
    "rejected": "warn",
    "failed": "bad",
    "interrupted": "warn",
    "damaged": "bad",
}
"""Last word of a record kind → tone; each tone has its own colour and its own shape. All others are notes."""


def chinese() -> bool:
    """Tell whether the page at hand is in Chinese."""
    return not (get_language() or "").startswith("en")


@register.filter
def said(value: Any) -> str:
    """Return the `.zh` or `.en` of a value that has both, or the first or second of a pair."""
    if isinstance(value, tuple):
        return str(value[0] if chinese() else value[1])
    return str(value.zh if chinese() else value.en)


@register.filter
def percent(share: float) -> str:
    """Return a share in percent, without a fraction."""
    return f"{share:.0%}"


@register.filter
def error_text(problem: GuijuError) -> str:
    """Return the three parts of an error in the reader's language."""
    return problem.text("zh" if chinese() else "en")


@register.filter
def short(value: object) -> str:
    """Return the first 12 characters of a hash or key."""
    return str(value)[:12]


@register.filter
def beijing(value: datetime | int | str | None) -> str:
    """Return Beijing time, to the second; `value` is an aware datetime, RFC 3339 text or microseconds since 1970."""
    if value is None or value == "":
        return "—"
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    at = datetime.fromtimestamp(value / 1_000_000, BEIJING) if isinstance(value, int) else value.astimezone(BEIJING)
    return at.strftime("%Y-%m-%d %H:%M:%S")


@register.simple_tag
def state(tone: str, text: object) -> SafeString:
    """Return a badge: `good`, `bad`, `warn`, `note`, or anything else for a neutral one."""
    return format_html('<span class="state {}">{}</span>', tone, text)


@register.simple_tag
def kind_badge(kind: str) -> SafeString:
    """Return the badge of a record kind, in the reader's language."""
    return _kind_badge(kind, chinese())


@lru_cache(maxsize=512)
def _kind_badge(kind: str, in_chinese: bool) -> SafeString:
    from guiju.records.kinds import KINDS

    known = KINDS.get(kind)
    name = kind if known is None else known.zh if in_chinese else known.en
    return format_html('<span class="state {}" title="{}">{}</span>', TONES.get(kind.rpartition(".")[2], "note"), kind, name)


@register.simple_tag
def kind_options(chosen: str) -> SafeString:
    """Return the options of all record kinds, in the reader's language, with one of them chosen."""
    options = _kind_options(chinese())
    return SafeString("".join(option.replace(">", " selected>", 1) if kind == chosen else option for kind, option in options.items()))


@lru_cache(maxsize=2)
def _kind_options(in_chinese: bool) -> dict[str, str]:
    from guiju.records.kinds import KINDS

    return {
        kind.name: format_html('<option value="{}">{}</option>', kind.name, kind.zh if in_chinese else kind.en) for kind in KINDS.values()
    }


@register.filter
def deed_name(deed: str) -> str:
    """Return what a request asks for."""
    names = {
        "open_record": _("打开记录"),
        "open_records": _("打开多条记录"),
        "open_subject": _("打开主体"),
        "erase_subject": _("删除主体"),
        "open_review": _("查看复核队列中的内容"),
    }
    return names.get(deed, deed)


@register.simple_tag
def request_badge(request: Any) -> SafeString:
    """Return the badge of a request: where it stands, or that its time has passed."""
    if request.state in ("asked", "approved", "open") and request.until <= timezone.now():
        return state("", _("已过期"))
    tone, text = {
        "asked": ("note", _("等待批准")),
        "approved": ("good", _("已批准")),
        "refused": ("bad", _("未批准")),
        "open": ("warn", _("已打开")),
        "done": ("", _("已完成")),
    }.get(request.state, ("", request.state))
    return state(tone, text)


@register.filter
def policy_scope(risk: str) -> str:
    """Return what a row of a policy is about: `*` is all that no other row names."""
    return _("全部") if risk == "*" else risk


@register.filter
def action_name(action: str) -> str:
    """Return the name of what a verdict does."""
    known = {
        "deliver": _("放行"),
        "refuse": _("拒绝"),
        "stop": _("停止"),
        "mask": _("遮盖"),
        "warn": _("提示"),
        "answer": _("标准答案"),
        "hold": _("留待复核"),
    }
    return known.get(action, action)


@register.simple_tag
def action_badge(action: str) -> SafeString:
    """Return the badge of what a verdict does: colour and shape."""
    tone = {"deliver": "good", "warn": "warn", "mask": "warn", "answer": "note", "hold": "warn"}.get(action, "bad")
    return format_html('<span class="state {}">{}</span>', tone, action_name(action))


@register.filter
def policy_word(word: str) -> str:
    """Return the name of a word of a policy's row: who reads, how sure, which way."""
    known = {
        "*": _("全部"),
        "adult": _("成年人"),
        "minor": _("未成年人"),
        "minor-0-3": _("不满 3 岁"),
        "minor-3-8": _("3 至不满 8 岁"),
        "minor-8-12": _("8 至不满 12 岁"),
        "minor-12-16": _("12 至不满 16 岁"),
        "minor-16-18": _("16 至不满 18 岁"),
        "high": _("高"),
        "medium": _("中"),
        "low": _("低"),
        "input": _("输入"),
        "output": _("输出"),
        "both": _("输入与输出"),
    }
    return known.get(word, word)


@register.filter
def force_name(force: str) -> str:
    """Return how binding a figure of a standard is."""
    return {"must": _("应"), "should": _("宜"), "unclear": _("应或宜：资料不一")}.get(force, force)


@register.filter
def gap_cause(cause: str) -> str:
    """Return the name of the cause of a gap."""
    known = {
        "numbers": _("序号缺失"),
        "ledger": _("账本与数据库不符"),
        "segment": _("暂存段缺失"),
        "service": _("回答没有记录"),
        "heartbeat": _("网关进程心跳停止"),
        "recorder": _("记录进程心跳停止"),
        "clock": _("时钟跳变"),
    }
    return known.get(cause, cause)
