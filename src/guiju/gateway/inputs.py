"""What screening makes of an input: terms everywhere; prompt attacks and personal information in what people and tools gave.

Source: Measures Arts. 4, 11.
"""

from collections.abc import Sequence
from typing import Any, Final

from guiju.core.errors import ErrorCode
from guiju.gateway import errors
from guiju.screening.attacks.screen import GIVEN, examine_attacks, listens, may_attack, signs_of
from guiju.screening.matching.conversation import across, joints, source_of, source_of_message, texts_of, with_sources
from guiju.screening.matching.decoded import hits_in_encoded
from guiju.screening.matching.snapshot import Snapshot, verdict_of
from guiju.screening.personal.finds import examine_messages, screen_for
from guiju.screening.personal.signs import Signs
from guiju.screening.spellings.encoded import decoded_runs, may_be_encoded
from guiju.screening.spellings.first_look import units_of
from guiju.screening.values import ENDS, PASS, Hit, Policy, Verdict
from guiju.screening.view import paths, strings, without_files


def examine_input(
    snapshot: Snapshot, policy: Policy, request: dict[str, Any], view: Sequence[str], documents: frozenset[str] = frozenset()
) -> Verdict:
    """Return the verdict on everything that the model would read; `view` holds the strings of the request, `documents` the paths of those
    that are retrieved passages.
    """
    messages = request["messages"]
    runs = joints(messages, snapshot.longest)
    text = "\n".join([*view, *texts_of(runs)] if runs else view)
    units = units_of(text)
    verdict = PASS
    worded, hinted = snapshot.look(text, units)
    if worded:
        verdict = snapshot.examine_all(paths(request), "input", policy)
        hits = with_sources((*verdict.hits, *(across(runs, snapshot, "input", policy) if runs else ())), request, documents)
        verdict = verdict_of(hits)
    attacks, listening = _listening(policy)
    signs, code = listening.look(text, units)
    if code and (found := hits_in_encoded(_encoded(view, request), snapshot, "input", policy, verdict.hits)):
        verdict = verdict_of((*verdict.hits, *with_sources(found, request, documents)))
    if attacks and (signs or hinted) and may_attack("\n".join(view if documents else _given(messages)), hinted=hinted):
        found = _attacks(snapshot, policy, request, documents, harmful=bool(verdict.hits))
        verdict = verdict_of((*verdict.hits, *found)) if found else verdict
    if not signs or verdict.action in ENDS:
        return verdict
    personal = examine_messages(messages, policy)
    if personal is PASS:
        return verdict
    return verdict_of((*verdict.hits, *with_sources(personal.hits, request, documents)))


_LISTENING: Final[dict[int, tuple[bool, Signs, Policy]]] = {}
"""By the identity of the policy, which is kept so that no other gets its number; a policy does not change."""


def _listening(policy: Policy) -> tuple[bool, Signs]:
    """Return whether a policy wants to know of attacks, and the signs of all that it wants to know."""
    known = _LISTENING.get(id(policy))
    if known is None:
        if len(_LISTENING) >= 256:
            _LISTENING.clear()
        attacks = listens(policy)
        known = _LISTENING[id(policy)] = attacks, signs_of(screen_for(policy, "input"), attacks), policy
    return known[0], known[1]


def _encoded(view: Sequence[str], request: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the strings of a request with their paths if a run in one of them can be read; none for names and numbers of a request."""
    return list(paths(request)) if any(may_be_encoded(text) and next(decoded_runs(text), None) for text in view) else []


def _given(messages: Sequence[dict[str, Any]]) -> list[str]:
    """Return what people and tools gave, and files in anybody's message: what the look for attacks is about. A request names the roles
    too, and what the application and the model say is their own.
    """
    return strings([each for each in messages if source_of_message(each) in GIVEN or each.get("content").__class__ is list])


def _attacks(snapshot: Snapshot, policy: Policy, request: dict[str, Any], documents: frozenset[str], *, harmful: bool) -> list[Hit]:
    """Return the prompt attacks in what people, tools and documents gave, and the terms in what these hide."""
    messages = request["messages"]
    given = [(path, text, source_of(path, messages, documents)) for path, text in without_files(list(paths(request)))]

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
