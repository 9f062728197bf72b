"""What screening makes of an input: terms everywhere; prompt attacks and personal information in what people and tools gave.

Source: Measures Arts. 4, 11.
"""

from collections.abc import Sequence
from typing import Any

from guiju.core.errors import ErrorCode
from guiju.gateway import errors
from guiju.screening.attacks.screen import GIVEN, examine_attacks, listens, may_attack
from guiju.screening.conversation import across, joints, source_of, texts_of, with_sources
from guiju.screening.personal import examine_messages, screen_for
from guiju.screening.snapshot import Snapshot, verdict_of
from guiju.screening.values import ENDS, PASS, Hit, Policy, Verdict
from guiju.screening.view import paths


def examine_input(
    snapshot: Snapshot, policy: Policy, request: dict[str, Any], view: Sequence[str], documents: frozenset[str] = frozenset()
) -> Verdict:
    """Return the verdict on everything that the model would read; `view` holds the strings of the request, `documents` the paths of those
    that are retrieved passages.
    """
    messages = request["messages"]
    runs = joints(messages, snapshot.longest)
    if snapshot.finds_nothing([*view, *texts_of(runs)] if runs else view):
        verdict = PASS
    else:
        verdict = snapshot.examine_all(paths(request), "input", policy)
        hits = with_sources((*verdict.hits, *(across(runs, snapshot, "input", policy) if runs else ())), request, documents)
        verdict = verdict_of(hits)
    text = "\n".join(view)
    if listens(policy) and may_attack(text):
        attacks = _attacks(snapshot, policy, request, documents, harmful=bool(verdict.hits))
        verdict = verdict_of((*verdict.hits, *attacks)) if attacks else verdict
    if verdict.action in ENDS or screen_for(policy, "input").finds_nothing(text):
        return verdict
    personal = examine_messages(messages, policy)
    if personal is PASS:
        return verdict
    return verdict_of((*verdict.hits, *with_sources(personal.hits, request, documents)))


def _attacks(snapshot: Snapshot, policy: Policy, request: dict[str, Any], documents: frozenset[str], *, harmful: bool) -> list[Hit]:
    """Return the prompt attacks in what people, tools and documents gave, and the terms in what these hide."""
    messages = request["messages"]
    given = [(path, text, source_of(path, messages, documents)) for path, text in paths(request)]

    def screen(path: str, text: str) -> Sequence[Hit]:
        return with_sources(snapshot.examine(text, "input", policy, path).hits, request, documents)

    return examine_attacks([each for each in given if each[2] in GIVEN], policy, harmful, screen)


def refusal_of(verdict: Verdict) -> ErrorCode | None:
    """Return the error of an input that is refused; None for one that goes on."""
    if verdict.action not in ENDS:
        return None
    personal = [hit for hit in verdict.hits if hit.action in ENDS and hit.rule.startswith("PI-")]
    return (
        errors.INPUT_PERSONAL
        if personal and len(personal) == len([hit for hit in verdict.hits if hit.action in ENDS])
        else errors.INPUT_REFUSED
    )


def warnings(hits: Sequence[Hit]) -> list[tuple[bytes, bytes]]:
    """Return the headers that tell an interface what the input holds: kinds of personal information, and risks; never which term."""
    personal = sorted({hit.rule for hit in hits if hit.action == "warn" and hit.rule.startswith("PI-")})
    risks = sorted({hit.risk for hit in hits if hit.action == "warn" and not hit.rule.startswith("PI-")})
    named = ((b"x-guiju-personal-information", personal), (b"x-guiju-risk", risks))
    return [(name, ", ".join(found).encode()) for name, found in named if found]
