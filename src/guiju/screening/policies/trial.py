"""What would happen to a text: the gateway's own functions, asked without a gateway. Nothing of the text is kept."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from guiju.core.errors import GuijuError
from guiju.gateway.approved import find_approved
from guiju.gateway.bundle import Service
from guiju.gateway.classified import judge_answer, judge_input
from guiju.gateway.inputs import examine_input, refusal_of
from guiju.gateway.whole import whole_answer
from guiju.screening.answers.match import Matcher
from guiju.screening.attacks import CODES as ATTACKS
from guiju.screening.classifier.judge import RULE_PREFIX
from guiju.screening.classifier.model import Classifier
from guiju.screening.matching.snapshot import Snapshot
from guiju.screening.risks import BY_ID, Risk
from guiju.screening.values import ENDS, GRAVITY, Action, Direction, Hit, Policy
from guiju.screening.view import strings

SAMPLE_NUMBER = "EXAMPLE"
_NOTHING_DONE = Policy()


@dataclass(frozen=True, slots=True)
class Told:
    """One find: what stands there, its risk, and the row that decided."""

    found: str
    hit: Hit
    risk: Risk | None
    row: str


@dataclass(frozen=True, slots=True)
class Trial:
    """What would happen: the action, each find, the error or text that the person would receive, the approved answer if one answers."""

    action: Action
    finds: tuple[Told, ...]
    outcome: str
    """`delivered`, `refused`, `stopped`, `masked`, `answered` or `unknown`: what became of the text."""
    problem: GuijuError | None = None
    text: str = ""
    approved: str = ""


def try_input(text: str, service: Service, policy: Policy, snapshot: Snapshot, matcher: Matcher | None) -> Trial:
    """Return what would happen to what a person writes."""
    request: dict[str, Any] = {"messages": [{"role": "user", "content": text}]}
    verdict = examine_input(snapshot, policy, request, strings(request))
    if service.classifier != "off":
        verdict = judge_input(verdict, Classifier.load(), _acting(service, policy), request["messages"])
    finds = _told(text, verdict.hits, policy, "input")
    refused = refusal_of(verdict)
    if matcher is not None and policy.approved_answers != "off" and (refused is None or verdict.action == "answer"):
        approved = find_approved(matcher, policy, request, service.label, time.time())
        if approved is not None:
            return Trial(verdict.action, finds, "answered", None, approved.text, str(approved.facts["id"]))
    if refused is None:
        return Trial(verdict.action, finds, "delivered")
    codes = ", ".join(sorted({hit.rule for hit in verdict.hits if hit.rule.startswith("PI-")}))
    return Trial(verdict.action, finds, "refused", GuijuError(refused, codes=codes, record=SAMPLE_NUMBER, reason=""))


def try_output(text: str, service: Service, policy: Policy, snapshot: Snapshot, *, chinese: bool) -> Trial:
    """Return what would happen to what a model writes; `text` of it is what the person would receive."""
    answer: dict[str, Any] = {"choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}]}
    notice = policy.stop_notice_zh if chinese else policy.stop_notice_en
    judged, _ = (
        judge_answer(Classifier.load(), _acting(service, policy), answer["choices"]) if service.classifier == "evidence" else ([], set())
    )
    classifier = Classifier.load() if service.classifier == "policy" else None
    whole = whole_answer(answer, snapshot, policy, service.label, SAMPLE_NUMBER, prose=True, notice=lambda: notice, classifier=classifier)
    received = str(json.loads(whole.body)["choices"][0]["message"]["content"])
    hits = (*whole.hits, *judged)
    action: Action = max((hit.action for hit in hits), key=GRAVITY.__getitem__, default="deliver")
    outcome = "stopped" if action in ENDS else "masked" if action == "mask" else "delivered"
    return Trial(action, _told(text, hits, policy, "output"), outcome, None, received)


def _acting(service: Service, policy: Policy) -> Policy:
    """Return the policy that the classifier's finds are under: none where they are evidence only."""
    return policy if service.classifier == "policy" else _NOTHING_DONE


def _told(text: str, hits: Sequence[Hit], policy: Policy, direction: Direction) -> tuple[Told, ...]:
    found = []
    for hit in hits:
        if hit.rule.startswith("PI-"):
            row = f"personal_on_{direction} {hit.rule}"
        elif hit.rule in ATTACKS:
            row = f"attack_on_input {hit.rule if hit.rule in policy.attack_on_input else '*'}"
        elif hit.rule.startswith(RULE_PREFIX) and hit.action == "deliver":
            row = f"classifier {hit.confidence} → deliver"
        else:
            decision = policy.decide(direction, hit.risk, hit.confidence)
            row = decision.row if decision.action == hit.action else f"{hit.confidence} → {hit.action}"
        found.append(Told(text[hit.start : hit.end], hit, BY_ID.get(hit.risk), row))
    return tuple(found)
