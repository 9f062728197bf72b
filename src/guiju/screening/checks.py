"""Whether prohibited content is screened with a library that is filled and renewed, and personal information is masked. Read only.

Source: Measures Art. 4; GB/T 45654-2025 App. B, whose figures are read second-hand and therefore never a breach by themselves.
"""

from datetime import timedelta
from typing import Final

from guiju.gateway.checks import NOT_IN_FORCE, in_force
from guiju.obligations.finding import Case, Check, Finding, Proof
from guiju.obligations.values import Words
from guiju.records import recent
from guiju.screening import flow
from guiju.screening.detectors import CODES
from guiju.screening.review.flow import count_open
from guiju.web.live import bundle_in_force


def prohibited_screened(case: Case) -> Finding:
    """Judge GAI-4.1: a library is in force and in the bundle, filled and renewed as its profile asks, and reviews are in time."""
    return case.once("screening.prohibited_screened", lambda: _prohibited_screened(case))


def _prohibited_screened(case: Case) -> Finding:
    active = flow.find_active()
    if active is None:
        return Finding("breach", Words("没有启用关键词库", "No keyword library is in force"))
    force = case.once("bundle_in_force", bundle_in_force)
    put = recent.latest_of_kind(("screening.library.activated",))
    proof = (Proof("library", active.version[:16]), *([Proof("record", put.id)] if put else []))
    if force is None or force.bundle.library_version != active.version:
        return Finding("breach", Words("启用的词库没有发布到网关", "The library in force was not published to the gateway"), proof)
    late = count_open()["overdue"]
    if late:
        return Finding("overdue", Words(f"有 {late} 件待复核内容逾期", f"{late} items of the review queue are past their time"), proof)
    sizing = flow.size_version(active.version)
    renewal = sizing.profile.renewal
    renewed_by = sizing.renewed_at + timedelta(days=renewal.days) if sizing.renewed_at else None
    if renewed_by is not None and renewed_by < case.now:
        said = Words(
            f"词库超过 {renewal.days} 天没有更新（{sizing.profile.zh}）",
            f"The library was not renewed for {renewal.days} days ({sizing.profile.en})",
        )
        return Finding("overdue", said, proof, renewed_by)
    if sizing.empty or sizing.total_short:
        names = "、".join(each.risk.id for each in sizing.empty[:6])
        said = Words(
            f"词库尚缺 {sizing.total_short} 条" + (f"；{len(sizing.empty)} 类为空：{names}" if names else ""),
            f"The library is {sizing.total_short} terms short"
            + (f"; {len(sizing.empty)} risks are empty: {names.replace('、', ', ')}" if names else ""),
        )
        return Finding("due", said, proof, renewed_by)
    return Finding(
        "met",
        Words(f"词库 {sizing.total} 条，按期更新；复核按时", f"{sizing.total} terms, renewed in time; reviews in time"),
        proof,
        renewed_by,
    )


def persons_protected(case: Case) -> Finding:
    """Judge GAI-4.5: no detector's finds leave an answer as they are."""
    found = in_force(case)
    if found is None:
        return NOT_IN_FORCE
    service, bundle = found
    actions = service.policy.personal_on_output
    open_ = [code for code in CODES if actions.get(code, actions.get("*")) == "pass"]
    if open_:
        said = Words(f"回答中不掩去：{'、'.join(open_)}", f"Not masked in answers: {', '.join(open_)}")
        return Finding("needs_person", said, (bundle,))
    return Finding(
        "met",
        Words("回答中的个人信息和密钥一律掩去或停止", "Personal information and keys in answers are masked or stop them"),
        (bundle,),
    )


CHECKS: Final[dict[str, Check]] = {"GAI-4.1": prohibited_screened, "GAI-4.5": persons_protected}
