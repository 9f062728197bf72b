"""Whether answers of a service are recorded, generation stops, and the service is up: judged from its latest records. Read only.

Source: Measures Arts. 9, 13 and 14.
"""

from datetime import timedelta
from typing import Final

from guiju.gateway.bundle import Service
from guiju.obligations.finding import Case, Check, Finding, Proof
from guiju.obligations.values import Words
from guiju.records import recent
from guiju.records.recent import Recent
from guiju.screening.risks import RISKS
from guiju.web.live import bundle_in_force

ANSWERS: Final = ("gateway.answer.delivered", "gateway.answer.stopped", "gateway.answer.interrupted")
FAILED: Final = "gateway.upstream.failed"
SILENT: Final = timedelta(minutes=10)
FAILING_PERCENT: Final = 5
"""Of a service's latest exchanges, how many may fail upstream before somebody must look; our own figure."""


def latest_records(case: Case) -> list[Recent]:
    """Return the latest records of the service, looked up once in a judging."""
    return case.once(f"records.latest.{case.service}", lambda: recent.latest_of_service(case.service))


def in_force(case: Case) -> tuple[Service, Proof] | None:
    """Return the service as the bundle in force has it, and that bundle as evidence; None where there is none. Looked up once in a judging."""
    force = case.once("bundle_in_force", bundle_in_force)
    service = next((each for each in force.bundle.services if each.id == case.service), None) if force else None
    return (service, Proof("bundle", force.digest)) if force and service else None


NOT_IN_FORCE: Final = Finding("breach", Words("没有在用的运行包", "No bundle with this service is in force"))


def answers_recorded(case: Case) -> Finding:
    """Judge GAI-9.1: each exchange left its record; no gap of this service is open."""
    gaps = recent.list_open_gaps(case.service)
    if gaps:
        return Finding(
            "breach",
            Words(f"有 {len(gaps)} 处记录缺失未处理", f"{len(gaps)} gaps in the records are open"),
            tuple(Proof("record", each) for each in gaps[:5]),
        )
    newest = next((each for each in latest_records(case) if each.kind in ANSWERS), None)
    if newest is None:
        return Finding("due", Words("还没有回答过", "There was no answer yet"))
    return Finding(
        "met",
        Words("每次回答在送出前落盘，没有缺失", "Each answer was durable before it left; none is missing"),
        (Proof("record", newest.id),),
    )


def service_stable(case: Case) -> Finding:
    """Judge GAI-13.1: workers give signs of life, and few of the latest exchanges failed upstream."""
    beat = case.once("records.worker_beat", lambda: recent.latest_of_kind(("gateway.worker.alive",)))
    if beat is None:
        return Finding("due", Words("还没有心跳", "There was no heartbeat yet"))
    proof = (Proof("record", beat.id),)
    if case.now - beat.at > SILENT:
        return Finding("breach", Words("网关没有心跳，服务未在运行", "No heartbeat: the service is not running"), proof)
    exchanges = [each for each in latest_records(case) if each.kind in ANSWERS or each.kind == FAILED]
    failed = [each for each in exchanges if each.kind == FAILED and case.now - each.at < timedelta(hours=24)]
    if exchanges and 100 * len(failed) > FAILING_PERCENT * len(exchanges):
        said = Words(
            f"最近 {len(exchanges)} 次中有 {len(failed)} 次上游失败",
            f"{len(failed)} of the latest {len(exchanges)} exchanges failed upstream",
        )
        return Finding("breach", said, (Proof("record", failed[0].id), *proof))
    return Finding("met", Words("网关在运行，上游正常", "The gateway runs, the upstreams answer"), proof)


def generation_stops(case: Case) -> Finding:
    """Judge GAI-14.1: what is surely prohibited ends an answer, for every risk; the latest stop is the evidence."""
    found = in_force(case)
    if found is None:
        return NOT_IN_FORCE
    service, proof = found
    passed = [risk.id for risk in RISKS if service.policy.action("output", risk.id) in ("deliver", "warn")]
    if passed:
        return Finding(
            "breach",
            Words(f"策略放行已确定的违法内容：{'、'.join(passed)}", f"The policy lets sure finds leave: {', '.join(passed)}"),
            (proof,),
        )
    stopped = next((each for each in latest_records(case) if each.kind == "gateway.answer.stopped"), None)
    return Finding(
        "met",
        Words("策略对全部风险停止生成", "The policy stops generation for every risk"),
        (Proof("record", stopped.id), proof) if stopped else (proof,),
    )


CHECKS: Final[dict[str, Check]] = {"GAI-9.1": answers_recorded, "GAI-13.1": service_stable, "GAI-14.1": generation_stops}
