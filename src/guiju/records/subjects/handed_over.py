"""What an export for the person leaves out, so that it gives away no investigation and no rule (Measures Art. 11).

Their own words, the answers that they received, when and with which outcome: all of that is theirs. Who on the provider's side asked,
opened, searched or held, which rule it was that hit, and text that was never delivered to them are not. Every export for the person says
that some records about handling are not in it, whether there are any or not: otherwise saying so would itself tell.
"""

from typing import Any, Final

from django.db.models import Q

from guiju.screening.personal.finds import mask_all

INTERNAL: Final = ("records.", "screening.")
"""Kinds that begin so tell how records were handled: holds, requests, openings, searches, exports, packs, reviews."""
LEFT_OUT: Final = (
    "未包括：关于记录如何处理的部分记录、命中的具体规则，以及未曾送达的文字。",
    "Not included: some records about how records were handled, which rule a finding came from, and text that was never delivered.",
)
_STOPPED: Final = "gateway.answer.stopped"


def left_out() -> Q:
    """Return which records an export for the person leaves out, as a condition."""
    return Q(*[("kind__startswith", each) for each in INTERNAL], _connector=Q.OR)


def for_person(entry: dict[str, Any]) -> dict[str, Any]:
    """Return one exported record as the person may have it: no rules, no names of people, no text that was never delivered."""
    metadata: dict[str, Any] = _without_rules(entry["metadata"])
    metadata.pop("review", None)  # whether somebody looks at it
    given = entry | {"metadata": metadata}
    if entry["actor"].startswith("person:"):
        given["actor"] = ""
    content = entry["content"]
    if isinstance(content, dict) and "answer" in content:
        if entry["kind"] == _STOPPED:
            given["content"] = {name: value for name, value in content.items() if name != "answer"}
        elif _was_masked(entry["metadata"]):
            given["content"] = content | {"answer": _masked(content["answer"])}
    return given


def _without_rules(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: [{part: inner for part, inner in hit.items() if part != "rule"} if isinstance(hit, dict) else hit for hit in each]
            if name == "hits" and isinstance(each, list)
            else _without_rules(each)
            for name, each in value.items()
        }
    return value


def _was_masked(metadata: dict[str, Any]) -> bool:
    """Tell whether something in the answer was covered before it left: what is sealed is the answer as the model gave it."""
    output = metadata.get("output")
    hits = output.get("hits") if isinstance(output, dict) else None
    return any(isinstance(hit, dict) and hit.get("action") == "mask" for hit in hits or ())


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return mask_all(value)
    if isinstance(value, dict):
        return {name: _masked(inner) for name, inner in value.items()}
    return [_masked(inner) for inner in value] if isinstance(value, list) else value
