"""Whether answers of a service are recorded, generation stops, and the service is up: judged from its latest records. Read only.

Source: Measures Arts. 9, 13 and 14.
"""

from datetime import timedelta
from typing import Final

from guiju.gateway.bundle import Service
from guiju.gateway.errors import UPSTREAM_REFUSED
from guiju.obligations.finding import Case, Check, Finding, Proof
from guiju.obligations.values import Words
from guiju.records import recent
from guiju.records.checks import latest_records, watch_stands
from guiju.records.recent import Recent
from guiju.screening.risks import RISKS
from guiju.screening.values import AUDIENCES, ENDS, Direction
from guiju.web.live import bundle_in_force

ANSWERS: Final = ("gateway.answer.delivered", "gateway.answer.stopped", "gateway.answer.interrupted")
FILES: Final = ("gateway.media.submitted", "gateway.media.delivered")
FAILED: Final = "gateway.upstream.failed"
SILENT: Final = timedelta(minutes=10)
LOOKED_BACK: Final = timedelta(hours=24)
FAILING_PERCENT: Final = 5
"""Of a service's exchanges of the last day, how many may fail upstream before somebody must look; our own figure."""


def in_force(case: Case) -> tuple[Service, Proof] | None:
    """Return the service as the bundle in force has it, and that bundle as evidence; None where there is none. Looked up once in a judging."""
    force = case.once("bundle_in_force", bundle_in_force)
    service = next((each for each in force.bundle.services if each.id == case.service), None) if force else None
    return (service, Proof("bundle", force.digest)) if force and service else None


def passed_risks(service: Service, direction: Direction) -> list[str]:
    """Return the risks of which a sure find would go on its way, for any reader."""
    return [risk.id for risk in RISKS if any(service.policy.action(direction, risk.id, "high", reader) not in ENDS for reader in AUDIENCES)]


NOT_IN_FORCE: Final = Finding("breach", Words("没有在用的运行包", "No bundle with this service is in force"))


def answers_recorded(case: Case) -> Finding:
    """Judge GAI-9.1: each exchange left its record; no gap of this service is open, and the watch for gaps is at work."""
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
    proof = (Proof("record", newest.id),)
    return watch_stands(case, proof) or Finding(
        "met", Words("每次回答在送出前落盘，没有缺失", "Each answer was durable before it left; none is missing"), proof
    )


def service_stable(case: Case) -> Finding:
    """Judge GAI-13.1: the service is in force, workers give signs of life, and few exchanges of the last day failed upstream."""
    found = in_force(case)
    if found is None:
        return NOT_IN_FORCE
    beat = case.once("records.worker_beat", lambda: recent.latest_of_kind(("gateway.worker.alive",)))
    if beat is None:
        return Finding("due", Words("还没有心跳", "There was no heartbeat yet"), (found[1],))
    proof = (Proof("record", beat.id),)
    if case.now - beat.at > SILENT:
        return Finding("breach", Words("网关没有心跳，服务未在运行", "No heartbeat: the service is not running"), proof)
    exchanges = [each for each in latest_records(case) if _tells_of_upstream(each)]
    if not exchanges:
        return Finding(
            "due", Words("网关在运行；还没有上游处理过的请求", "The gateway runs; no upstream has dealt with a request yet"), proof
        )
    day = [each for each in exchanges if case.now - each.at < LOOKED_BACK]
    judged = day or exchanges[:1]
    failed = [each for each in judged if _failed_upstream(each)]
    if 100 * len(failed) > FAILING_PERCENT * len(judged):
        said = (
            Words(
                f"最近一天看到的 {len(day)} 次中有 {len(failed)} 次上游失败",
                f"{len(failed)} of the {len(day)} exchanges seen of the last day failed upstream",
            )
            if day
            else Words("最后一次请求上游失败，此后没有请求", "The last exchange failed upstream, and none came after it")
        )
        return Finding("breach", said, (Proof("record", failed[0].id), *proof))
    said = (
        Words("网关在运行，上游正常", "The gateway runs, the upstreams answer")
        if day
        else Words(
            "网关在运行；最近一天没有请求，最后一次上游正常",
            "The gateway runs; the last day had no exchange, and the one before was answered",
        )
    )
    return Finding("met", said, (Proof("record", judged[0].id), *proof))


def _tells_of_upstream(exchange: Recent) -> bool:
    """Tell whether an exchange says how an upstream fares: a request that it does not take is the caller's mistake, and says nothing."""
    return exchange.kind in (*ANSWERS, *FILES) or (exchange.kind == FAILED and exchange.metadata.get("error") != UPSTREAM_REFUSED.code)


def _failed_upstream(exchange: Recent) -> bool:
    """Tell whether an upstream failed, before an answer or in the middle of one."""
    return exchange.kind == FAILED or (
        exchange.kind == "gateway.answer.interrupted" and str(exchange.metadata.get("reason", "")).startswith("UPSTREAM")
    )


def generation_stops(case: Case) -> Finding:
    """Judge GAI-14.1: what is surely prohibited ends an answer, for every risk and every reader; the latest stop is the evidence."""
    found = in_force(case)
    if found is None:
        return NOT_IN_FORCE
    service, proof = found
    passed = passed_risks(service, "output")
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
