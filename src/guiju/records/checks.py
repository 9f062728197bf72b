"""Whether logs are kept and whole, content is sealed, nothing is kept too long, erasures are done, and cases stay. Read only.

Source: Measures Arts. 9, 11, 14; Cybersecurity Law Art. 23(3); PIPL Arts. 19, 47.
"""

from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db.models import Exists, OuterRef, QuerySet

from guiju.core.deadlines import due_at
from guiju.obligations.finding import Case, Check, Finding, Proof
from guiju.obligations.values import Words
from guiju.records import recent
from guiju.records.kinds import KINDS
from guiju.records.models import Erasure, Hold, Removal, Request, RetentionRule
from guiju.records.recent import Recent
from guiju.records.tasks import latest_sweep
from guiju.records.values import BY_NAME, class_of
from guiju.services.flow import settings_now

LEDGER_CHECK_EVERY: Final = timedelta(hours=48)
"""The ledger is checked daily; a check that is older than this is missing."""
SWEEP_EVERY: Final = timedelta(hours=48)
ERASURE_WORKING_DAYS: Final = 15
"""CLK-DSR of the catalogue."""
WATCH_SILENT: Final = timedelta(hours=2)
"""The watch counts records each hour; without it nobody knows that none is missing."""
SHOWN: Final = 5


def latest_records(case: Case) -> list[Recent]:
    """Return the latest records of the service, looked up once in a judging."""
    return case.once(f"records.latest.{case.service}", lambda: recent.latest_of_service(case.service))


def latest_of(case: Case, kind: str) -> list[Recent]:
    """Return the latest records of a kind of the service, newest first: those among its latest of all kinds, and among the latest of the kind."""
    rare = case.once(f"records.of_kind.{kind}", lambda: recent.latest_by_service(kind)).get(case.service, [])
    found = {each.id: each for each in (*rare, *(each for each in latest_records(case) if each.kind == kind))}
    return sorted(found.values(), key=lambda each: each.at, reverse=True)


def watch_stands(case: Case, proof: tuple[Proof, ...]) -> Finding | None:
    """Return what is wrong with the watch for gaps; None while it runs."""
    watched = case.once("records.watched_at", recent.watched_at)
    if watched is None:
        return Finding("due", Words("尚未查过有无缺失", "Nothing was looked through for gaps yet"), proof)
    if case.now - watched > WATCH_SILENT:
        said = Words("缺失检查已超过两小时没有运行", "The watch for gaps has not run for more than two hours")
        return Finding("overdue", said, proof, watched + WATCH_SILENT)
    return None


def rules_stand(case: Case, name: str) -> Finding | None:
    """Return what is wrong with the database's own rules for a class of records; None while it keeps each kind for the least that the law asks."""
    of = BY_NAME[name]
    kept = case.once("records.rules", lambda: dict(RetentionRule.objects.values_list("kind", "minimum_days")))
    rules = {kind: kept.get(kind) for kind in KINDS if class_of(kind) is of}
    if None in rules.values():
        return Finding("due", Words("数据库还没有保存规则", "The database has no rules of retention yet"))
    short = {kind: days for kind, days in rules.items() if days and days < of.minimum_days}
    if short:
        said = Words(
            f"数据库只保证{of.zh} {min(short.values())} 天，少于 {of.minimum_days} 天",
            f"The database keeps {of.en} for {min(short.values())} days only, fewer than {of.minimum_days}",
        )
        return Finding("breach", said, (Proof("retention_rule", min(short)),))
    return None


def logs_kept(case: Case) -> Finding:
    """Judge GAI-9.3: no gap is open, the last check of the ledger is recent and held; six months are kept by the database itself."""
    return case.once("records.logs_kept", lambda: _logs_kept(case))


def _logs_kept(case: Case) -> Finding:
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
    if case.now - checked.at > LEDGER_CHECK_EVERY:
        return Finding(
            "overdue",
            Words("账本自检已超过两天", "The last check of the ledger is more than two days old"),
            proof,
            checked.at + LEDGER_CHECK_EVERY,
        )
    kept = settings.SITE.retention.log_days
    return (rules_stand(case, "log") or watch_stands(case, proof)) or Finding(
        "met",
        Words(f"日志保存 {kept} 天，账本自检通过，没有缺失", f"Logs are kept for {kept} days, the ledger holds, nothing is missing"),
        proof,
    )


def inputs_protected(case: Case) -> Finding:
    """Judge GAI-11.1: the service's inputs and use records are sealed under their subjects' keys, and who opened any is on record."""
    sealed = recent.latest_sealed(latest_records(case))
    if sealed is None:
        return Finding("due", Words("还没有任何内容", "There is no content yet"))
    opened = case.once("records.opened", lambda: recent.latest_of_kind(("records.content.opened", "records.subject.opened")))
    people = settings.SITE.records.opening_people
    said = Words(
        f"内容按主体密封；打开需 {people} 人，先留记录" + ("" if opened else "；尚无人打开过"),
        f"Content is sealed per subject; opening takes {people} and is on record first" + ("" if opened else "; nobody has opened any"),
    )
    return Finding("met", said, (Proof("record", sealed), *([Proof("record", opened.id)] if opened else [])))


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
    waiting = _unanswered(now).order_by("asked_at").first()
    if waiting is not None:
        lapsed = waiting.until <= now
        said = (
            Words(
                "有删除申请没有人处理就过期了，须重新提出并处理", "An erasure that was asked for lapsed undone; ask for it again and do it"
            )
            if lapsed
            else Words("有删除申请待办", "An erasure that was asked for waits")
        )
        proof = (Proof("request", waiting.id),)
        due = due_at(waiting.asked_at, ERASURE_WORKING_DAYS, "working_days", settings_now().calendar.work_calendar())
        return Finding("overdue" if due <= now else "due", said, proof, due)
    left = Erasure.objects.filter(finished_at=None, at__lt=now - SWEEP_EVERY).order_by("at").first()
    if left is not None:
        said = Words(
            "有删除已销毁密钥，密文两天仍未移除", "An erasure destroyed the key two days ago, and the sealed bytes are still there"
        )
        return Finding("overdue", said, (Proof("erasure", left.id),), left.at + SWEEP_EVERY)
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


def _unanswered(now: datetime) -> QuerySet[Request]:
    """Return the requests to erase that nobody carried out or refused; one that lapsed is not settled by that."""
    same = Request.objects.filter(deed=Request.Deed.ERASE_SUBJECT, subject=OuterRef("subject"))
    refused = same.filter(state=Request.State.REFUSED, decided_at__gte=OuterRef("asked_at"))
    erased = Erasure.objects.filter(subject=OuterRef("subject"), at__gte=OuterRef("asked_at"))
    asked = Request.objects.filter(
        deed=Request.Deed.ERASE_SUBJECT, state__in=(Request.State.ASKED, Request.State.APPROVED), asked_at__lte=now
    )
    return asked.exclude(Exists(erased)).exclude(Exists(refused))


def cases_kept(case: Case) -> Finding:
    """Judge GAI-14.7: the database itself keeps records of what the service stopped and refused, and holds keep what a case needs."""
    wrong = rules_stand(case, "case")
    if wrong is not None:
        return wrong
    kinds = BY_NAME["case"].kinds
    latest = next((each for each in latest_records(case) if each.kind in kinds), None)
    holds = case.once("records.holds", lambda: Hold.objects.filter(lifted_at=None).count())
    days = settings.SITE.retention.case_days
    said = Words(
        f"处置记录保存 {days} 天；现有 {holds} 项保全" + ("" if latest else "；尚无处置"),
        f"Records of measures are kept for {days} days; {holds} holds stand" + ("" if latest else "; there was no measure yet"),
    )
    return Finding("met", said, (Proof("record", latest.id) if latest else Proof("retention_rule", kinds[0]),))


CHECKS: Final[dict[str, Check]] = {
    "GAI-9.3": logs_kept,
    "GAI-11.1": inputs_protected,
    "GAI-11.3": nothing_kept_too_long,
    "GAI-11.7": erasures_done,
    "GAI-14.7": cases_kept,
}
