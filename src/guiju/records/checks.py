"""Whether logs are kept and whole, content is sealed, nothing is kept too long, erasures are done, and cases stay. Read only.

Source: Measures Arts. 9, 11, 14; Cybersecurity Law Art. 23(3); PIPL Arts. 19, 47.
"""

from datetime import datetime, timedelta
from typing import Final

from django.conf import settings

from guiju.core.deadlines import due_at
from guiju.obligations.finding import Case, Check, Finding, Proof
from guiju.obligations.values import Words
from guiju.records import recent
from guiju.records.models import Erasure, Hold, Removal, Request, RetentionRule, SubjectKey
from guiju.records.tasks import latest_sweep
from guiju.records.values import CLASSES

LEDGER_CHECK_EVERY: Final = timedelta(hours=48)
"""The ledger is checked daily; a check that is older than this is missing."""
SWEEP_EVERY: Final = timedelta(hours=48)
ERASURE_WORKING_DAYS: Final = 15
"""CLK-DSR of the catalogue."""
SHOWN: Final = 5


def logs_kept(case: Case) -> Finding:
    """Judge GAI-9.3: no gap is open, the last check of the ledger is recent and held; six months are kept by the database itself."""
    return case.once("records.logs_kept", lambda: _logs_kept(case.now))


def _logs_kept(now: datetime) -> Finding:
    gaps = recent.list_open_gaps()
    if gaps:
        said = Words(f"有 {len(gaps)} 处记录缺失未处理", f"{len(gaps)} gaps in the records are open")
        return Finding("breach", said, tuple(Proof("record", each) for each in gaps[:SHOWN]))
    checked = recent.latest_of_kind(("records.ledger.checked",))
    if checked is None:
        return Finding("due", Words("账本尚未自检", "The ledger was not checked yet"))
    proof = (Proof("record", checked.id),)
    if not checked.metadata.get("ok"):
        return Finding("breach", Words("最近一次账本自检未通过", "The last check of the ledger did not hold"), proof)
    if now - checked.at > LEDGER_CHECK_EVERY:
        return Finding(
            "overdue",
            Words("账本自检已超过两天", "The last check of the ledger is more than two days old"),
            proof,
            checked.at + LEDGER_CHECK_EVERY,
        )
    kept = settings.SITE.retention.log_days
    return Finding(
        "met",
        Words(f"日志保存 {kept} 天，账本自检通过，没有缺失", f"Logs are kept for {kept} days, the ledger holds, nothing is missing"),
        proof,
    )


def inputs_protected(case: Case) -> Finding:
    """Judge GAI-11.1: inputs and use records are sealed under their subjects' keys, and who opened any is on record."""
    return case.once("records.inputs_protected", _inputs_protected)


def _inputs_protected() -> Finding:
    keys = SubjectKey.objects.order_by("-pk").first()
    if keys is None:
        return Finding("due", Words("还没有任何内容", "There is no content yet"))
    opened = recent.latest_of_kind(("records.content.opened", "records.subject.opened"))
    people = settings.SITE.records.opening_people
    said = Words(
        f"内容按主体密封；打开需 {people} 人，先留记录" + ("" if opened else "；尚无人打开过"),
        f"Content is sealed per subject; opening takes {people} and is on record first" + ("" if opened else "; nobody has opened any"),
    )
    return Finding("met", said, (Proof("record", opened.id) if opened else Proof("subject_key", str(keys.pk)),))


def nothing_kept_too_long(case: Case) -> Finding:
    """Judge GAI-11.3: what is past its days is removed daily, and every removal that was ordered is done."""
    return case.once("records.nothing_kept_too_long", lambda: _nothing_kept_too_long(case.now))


def _nothing_kept_too_long(now: datetime) -> Finding:
    if settings.SITE.retention.sweeps != "on":
        return Finding("breach", Words("自动清除已关闭（retention.sweeps）", "Removal is switched off (retention.sweeps)"))
    stuck = Removal.objects.filter(finished_at=None, ordered_at__lt=now - SWEEP_EVERY).order_by("ordered_at").first()
    if stuck is not None:
        return Finding(
            "overdue", Words("有清除已下令两天仍未完成", "A removal was ordered two days ago and is not done"), (Proof("record", stuck.id),)
        )
    swept = latest_sweep().finished_at
    if swept is None:
        return Finding("due", Words("尚未清除过", "Nothing was swept yet"))
    if now - swept > SWEEP_EVERY:
        return Finding("overdue", Words("清除已超过两天没有运行", "No sweep has run for more than two days"), (), swept + SWEEP_EVERY)
    removed = recent.latest_of_kind(("records.retention.removed",))
    proof = Proof("record", removed.id) if removed else Proof("sweep", swept.isoformat(timespec="seconds"))
    return Finding("met", Words("每日清除过期内容，已按时完成", "What is past its days is removed daily, and was in time"), (proof,))


def erasures_done(case: Case) -> Finding:
    """Judge GAI-11.7: no erasure that was asked for waits longer than the period for requests of persons.

    Source: PIPL Art. 47; period CLK-DSR.
    """
    return case.once("records.erasures_done", lambda: _erasures_done(case.now))


def _erasures_done(now: datetime) -> Finding:
    calendar = settings.SITE.calendar.work_calendar()
    waiting = Request.objects.filter(
        deed=Request.Deed.ERASE_SUBJECT, state__in=(Request.State.ASKED, Request.State.APPROVED), until__gt=now
    )
    oldest = waiting.order_by("asked_at").first()
    if oldest is not None:
        due = due_at(oldest.asked_at, ERASURE_WORKING_DAYS, "working_days", calendar)
        said = Words("有删除申请待办", "An erasure that was asked for waits")
        return Finding("overdue" if due <= now else "due", said, (Proof("request", oldest.id),), due)
    latest = Erasure.objects.order_by("-at").first()
    if latest is None:
        return Finding(
            "met", Words("没有待办的删除申请，也还没有删除过", "No erasure waits, and none was asked for yet"), (Proof("requests", "0"),)
        )
    return Finding(
        "met",
        Words("没有待办的删除申请；已删除的有签名凭证", "No erasure waits; those done have signed certificates"),
        (Proof("erasure", latest.id),),
    )


def cases_kept(case: Case) -> Finding:
    """Judge GAI-14.7: records of what was stopped and refused are kept, and standing holds keep what a case needs."""
    return case.once("records.cases_kept", _cases_kept)


def _cases_kept() -> Finding:
    kinds = next(each.kinds for each in CLASSES if each.name == "case")
    rules = dict(RetentionRule.objects.filter(kind__in=kinds).values_list("kind", "minimum_days"))
    latest = recent.latest_of_kind(("gateway.answer.stopped", "gateway.input.refused"))
    holds = Hold.objects.filter(lifted_at=None).count()
    if not rules:
        return Finding("due", Words("数据库还没有保存规则", "The database has no rules of retention yet"))
    days = settings.SITE.retention.case_days
    said = Words(f"处置记录保存 {days} 天；现有 {holds} 项保全", f"Records of measures are kept for {days} days; {holds} holds stand")
    return Finding("met", said, (Proof("record", latest.id) if latest else Proof("retention_rule", next(iter(rules))),))


CHECKS: Final[dict[str, Check]] = {
    "GAI-9.3": logs_kept,
    "GAI-11.1": inputs_protected,
    "GAI-11.3": nothing_kept_too_long,
    "GAI-11.7": erasures_done,
    "GAI-14.7": cases_kept,
}
