"""Whether prohibited content is screened with a library that is filled and renewed, and personal information is masked. Read only.

Source: Measures Art. 4; GB/T 45654-2025 App. B, whose figures are read second-hand and therefore never a breach by themselves.
"""

from collections.abc import Iterator
from typing import Final

from guiju.gateway.bundle import Service
from guiju.gateway.checks import NOT_IN_FORCE, in_force, passed_risks
from guiju.obligations.finding import Case, Check, Finding, Proof, gravest
from guiju.obligations.values import Words
from guiju.records import recent
from guiju.screening import flow
from guiju.screening.libraries.sizing import Sizing
from guiju.screening.personal.detectors import CODES
from guiju.screening.review.flow import count_open
from guiju.web.live import bundle_in_force

RISKS_NAMED: Final = 6


def prohibited_screened(case: Case) -> Finding:
    """Judge GAI-4.1: a library is in force and in the bundle, filled and renewed as its profile asks; reviews are in time; the service's policy
    lets nothing sure and nothing unexamined go on its way.
    """
    found = in_force(case)
    return gravest(
        [
            case.once("screening.library_holds", lambda: _library_holds(case)),
            NOT_IN_FORCE if found is None else _policy_holds(*found),
        ]
    )


def _policy_holds(service: Service, bundle: Proof) -> Finding:
    let_out, let_in = (passed_risks(service, direction) for direction in ("output", "input"))
    if let_out:
        said = Words(f"策略放行回答中已确定的违法内容：{'、'.join(let_out)}", f"The policy lets sure finds leave: {', '.join(let_out)}")
        return Finding("breach", said, (bundle,))
    if let_in:
        said = Words(
            f"策略放行输入中已确定的违法内容：{'、'.join(let_in)}", f"The policy lets sure finds into the model: {', '.join(let_in)}"
        )
        return Finding("needs_person", said, (bundle,))
    if service.policy.could_not_examine == "deliver" or (service.guard.guards and service.guard.could_not_examine == "deliver"):
        said = Words("未能审查的内容按设置放行（could_not_examine）", "What could not be examined is delivered (could_not_examine)")
        return Finding("needs_person", said, (bundle,))
    return Finding("met", Words("策略对全部风险拦截", "The policy stops every risk"), (bundle,))


def _library_holds(case: Case) -> Finding:
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
    if not sizing.total:
        return Finding("breach", Words("启用的词库没有任何词条", "The library in force holds no term"), proof)
    renewal = sizing.profile.renewal
    renewed_by = sizing.due_at
    if renewed_by is not None and renewed_by < case.now:
        said = Words(
            f"词库超过 {renewal.days} 天没有新词条（{sizing.profile.zh}）",
            f"The library got no new term for {renewal.days} days ({sizing.profile.en})",
        )
        return Finding("overdue", said, proof, renewed_by)
    wanting = list(_wanting(sizing))
    if wanting:
        said = Words("；".join(each.zh for each in wanting), "; ".join(each.en for each in wanting))
        return Finding("due", said, proof, renewed_by)
    return Finding(
        "met",
        Words(f"词库 {sizing.total} 条，按期更新；复核按时", f"{sizing.total} terms, renewed in time; reviews in time"),
        proof,
        renewed_by,
    )


_SIGNED_ZH: Final = {"source": "来源", "reviewer": "审核人", "reviewed_on": "审核日期"}


def _wanting(sizing: Sizing) -> Iterator[Words]:
    """Yield what a library lacks against its profile."""
    if sizing.total_short:
        yield Words(f"词库尚缺 {sizing.total_short} 条", f"The library is {sizing.total_short} terms short")
    few = [each for each in sizing.short if each.terms]
    for each, zh, en in ((sizing.empty, "类为空", "risks are empty"), (few, "类不足", "risks have too few")):
        if each:
            names = [one.risk.id for one in each[:RISKS_NAMED]]
            yield Words(f"{len(each)} {zh}：{'、'.join(names)}", f"{len(each)} {en}: {', '.join(names)}")
    unsigned = {column: rows for column, rows in sizing.unsigned.items() if rows}
    if unsigned:
        zh = "、".join(f"{_SIGNED_ZH[column]}（{column}）{rows} 条" for column, rows in unsigned.items())
        yield Words(f"没有填写{zh}", "Rows lack: " + ", ".join(f"{column} {rows}" for column, rows in unsigned.items()))
    if sizing.renewed_at is None:
        yield Words("不知何时更新过", "When it was renewed is not known")


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
