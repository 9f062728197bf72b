"""A whole answer: examined in one pass, labelled, and encoded. No input or output here.

A choice with a hit leaves as the approved notice alone: nothing of an answer that strayed needs to be shown. Personal information is
hidden where it stands.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from guiju.gateway.causation import FINISH_CHARACTERS, tool_calls
from guiju.gateway.classified import judge_answer
from guiju.labelling.explicit import Applied, begins_with_label, ends_with_label, prefix, stays_readable, suffix, without_words
from guiju.labelling.implicit import aigc_object
from guiju.labelling.values import Label
from guiju.screening.classifier.model import Classifier
from guiju.screening.matching.continued import Before, hit_of, reaching_in
from guiju.screening.matching.conversation import begins_json, flags_in_answer
from guiju.screening.matching.decoded import flags_in_encoded
from guiju.screening.matching.snapshot import Snapshot
from guiju.screening.personal.finds import NOTHING_SAID, Screen, mask_value, screen_for
from guiju.screening.spellings.encoded import may_be_encoded
from guiju.screening.spellings.first_look import Units, units_of
from guiju.screening.values import ENDS, PASS, Hit, Policy, Verdict
from guiju.screening.view import paths, strings

_BESIDE: Final = frozenset(
    ("choices", "id", "object", "created", "model", "system_fingerprint", "service_tier", "usage", "aigc", "retraction")
)
_ENCODE: Final = msgspec.json.Encoder().encode


class WholeAnswer(msgspec.Struct, frozen=True, array_like=True):
    """An answer ready to leave: its bytes, what screening found, how it was labelled, why each choice ended."""

    body: bytes
    hits: Sequence[Hit]
    applied: Applied
    finishes: list[str]
    released_characters: int
    texts: list[str]
    """The text of each choice as the model sent it."""
    calls: list[tuple[str, str, str]]


def examine_json(snapshot: Snapshot, policy: Policy, value: object) -> Verdict:
    """Return the verdict on an answer, its view taken as a whole; paths are worked out only when something is found."""
    text = "\n".join(strings(value))
    return _examine(snapshot, policy, value, text, units_of(text))


def _examine(snapshot: Snapshot, policy: Policy, value: object, text: str, units: Units) -> Verdict:
    if snapshot.finds_nothing_in(text, units):
        return PASS
    return snapshot.examine_all(paths(value), "output", policy)


def whole_answer(
    answer: dict[str, Any], snapshot: Snapshot, policy: Policy, label: Label, produce_id: str, *, prose: bool, notice: Callable[[], str],
    said: Callable[[str], bool] = NOTHING_SAID, machine: bool = False, before: Before | None = None, classifier: Classifier | None = None,
    outside: Sequence[tuple[int, Hit]] = (),
) -> WholeAnswer:  # fmt: skip
    """Return the answer as it may leave. `answer` is changed. Raises ValueError when it is no chat completion.

    What the person `said` themselves is not hidden; a `machine` answer is JSON and stays it; `before` is what the answer continues; a
    `classifier` is given where the policy may act on what it finds; `outside` is what something else found, by place of the choice.
    """
    choices = answer.get("choices")
    if not isinstance(choices, list) or not choices or [choice for choice in choices if choice.__class__ is not dict]:
        raise ValueError("it has no choices")
    answer.pop("retraction", None)  # only this gateway retracts
    text = "\n".join(strings(answer))
    units = units_of(text)
    verdict = _examine(snapshot, policy, answer, text, units)
    hits = list(verdict.hits)
    sent, calls = _sent(choices)
    several = len(choices) > 1 or bool(calls) or begins_json(sent[0]) or has_reasoning(choices[0])
    if several or may_be_encoded(sent[0]):
        fields = _fields(choices)
        if several:
            hits += flags_in_answer(fields, snapshot, policy)
        hits += flags_in_encoded(fields, snapshot, policy, verdict.hits)
    judged, stopped_by_classifier = judge_answer(classifier, policy, choices) if classifier is not None else ([], set())
    stopped: set[int] = set()
    if verdict.action != "deliver":
        answer, stopped = _without_hits(answer, choices, snapshot, policy, produce_id)
    if before is not None:
        stopped |= _reaching_in(choices, snapshot, policy, before, hits)
    for place, hit in outside:
        hits.append(hit)
        if hit.action in ENDS:
            stopped.add(place)
    screen = screen_for(policy, "output")
    if screen.may_find(text, units):
        stopped |= _hide(answer, choices, stopped, screen, said, hits, machine)
    hits += judged
    stopped |= stopped_by_classifier
    said_instead = notice() if stopped else None
    if said_instead is not None:
        _put_notices(answer, choices, stopped, said_instead, produce_id)
    choices = answer["choices"]
    released = labelled = texts = 0
    finishes: list[str] = []
    for choice in choices:
        finishes.append(str(choice.get("finish_reason") or "")[:FINISH_CHARACTERS])
        message = choice.get("message")
        content = message.get("content") if isinstance(message, dict) else None
        if isinstance(content, str) and content and content is not said_instead:  # the notice is written by people
            texts += 1
            released += len(content)
            if prose and label.mode != "interface" and not message.get("tool_calls") and stays_readable(content):
                labelled += 1
                message["content"] = (
                    (prefix(label) if begins_with_label(label.mode) else "")
                    + content
                    + (suffix(label) if ends_with_label(label.mode) else "")
                )
    applied: Applied = label.mode if texts and labelled == texts else without_words(label)
    answer["aigc"] = aigc_object(label, produce_id, applied)
    return WholeAnswer(_ENCODE(answer), tuple(hits), applied, finishes, released, sent, calls)


def has_reasoning(choice: dict[str, Any]) -> bool:
    """Tell whether there is another text beside the content of a choice."""
    message = choice.get("message")
    return isinstance(message, dict) and bool(message.get("reasoning_content"))


def _sent(choices: list[dict[str, Any]]) -> tuple[list[str], list[tuple[str, str, str]]]:
    """Return the text of each choice, and the tools that they call."""
    texts: list[str] = []
    calls: list[tuple[str, str, str]] = []
    for choice in choices:
        message = choice.get("message")
        if isinstance(message, dict):
            content = message.get("content")
            texts.append(content if isinstance(content, str) else "")
            if message.get("tool_calls"):
                calls += tool_calls(message)
        else:
            texts.append("")
    return texts, calls


def _fields(choices: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Return (path, text) of the texts that a reader or a tool is given, choice by choice."""
    found: list[tuple[str, Any]] = []
    for place, choice in enumerate(choices):
        message = choice.get("message")
        if isinstance(message, dict):
            where = f"choices[{place}].message"
            found += [(f"{where}.{name}", message.get(name)) for name in ("reasoning_content", "content")]
            if message.get("tool_calls"):
                found += [(f"{where}.tool_calls[{n}].function.arguments", call[2]) for n, call in enumerate(tool_calls(message))]
    return [(path, text) for path, text in found if isinstance(text, str)]


def _without_hits(
    answer: dict[str, Any], choices: list[dict[str, Any]], snapshot: Snapshot, policy: Policy, produce_id: str
) -> tuple[dict[str, Any], set[int]]:
    """Return the answer with what is clean beside the choices, and the places of the choices that have a hit; of all, when the
    hit is beside them.
    """

    def is_clean(value: object) -> bool:
        return examine_json(snapshot, policy, value).action == "deliver"

    beside = {name: value for name, value in answer.items() if name != "choices"}
    if is_clean(beside):
        return answer, {place for place, choice in enumerate(choices) if not is_clean(choice)}
    known: dict[str, Any] = {name: answer[name] for name in ("created", "usage") if name in answer and is_clean(answer[name])}
    answer = {"id": f"chatcmpl-{produce_id}", "object": "chat.completion", **known, "model": "", "choices": choices}
    return answer, set(range(len(choices)))


def _reaching_in(choices: list[dict[str, Any]], snapshot: Snapshot, policy: Policy, before: Before, hits: list[Hit]) -> set[int]:
    """Note in `hits` what begins in the last message and ends in a choice; return the places of those choices."""
    found = set()
    trie = snapshot.trie(policy, "output")
    for place, choice in enumerate(choices):
        message = choice.get("message")
        content = message.get("content") if isinstance(message, dict) else None
        hit = reaching_in(trie, before, content) if isinstance(content, str) else None
        if hit is not None:
            found.add(place)
            hits.append(hit_of(hit, before, f"choices[{place}].message.content", policy))
    return found


def _hide(
    answer: dict[str, Any], choices: list[dict[str, Any]], stopped: set[int], screen: Screen, said: Callable[[str], bool], hits: list[Hit],
    machine: bool,
) -> set[int]:  # fmt: skip
    """Hide personal information in the answer and note it in `hits`; return the places of the choices that it stops.

    Log probabilities spell the text, so those of a choice with something hidden are left out.
    """
    found: list[Hit] = []
    stops: set[int] = set()
    for name in answer.keys() - _BESIDE:
        answer[name] = mask_value(answer[name], screen, said, name, found)
    if any(hit.action == "stop" for hit in found):
        stops = set(range(len(choices)))
    for place, choice in enumerate(choices):
        if place in stopped:
            continue
        own: list[Hit] = []
        masked = {
            name: mask_value(value, screen, said, f"choices[{place}].{name}", own, machine=machine)
            for name, value in choice.items()
            if name not in ("logprobs", "index", "finish_reason")
        }
        if own:
            choice.update(masked)
            if "logprobs" in choice:
                choice["logprobs"] = None
        if any(hit.action == "stop" for hit in own):
            stops.add(place)
        found += own
    hits += found
    return stops


def _put_notices(answer: dict[str, Any], choices: list[dict[str, Any]], stopped: set[int], notice: str, produce_id: str) -> None:
    """Put the notice in place of every stopped choice, and tell interfaces so."""
    kept = list(choices)
    retractions = []
    for place in sorted(stopped):
        index = choices[place].get("index")
        index = index if isinstance(index, int) else place
        message = {"role": "assistant", "content": notice, "refusal": None}
        kept[place] = {"index": index, "message": message, "logprobs": None, "finish_reason": "content_filter"}
        retractions.append({"choice": index, "reason": "content_filter", "replace_with": notice, "record": produce_id})
    answer["choices"] = kept
    answer["retraction"] = retractions[0] if len(retractions) == 1 else retractions
