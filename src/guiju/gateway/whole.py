"""A whole answer: examined in one pass, labelled, and encoded. No input or output here.

A choice with a hit leaves as the approved notice alone: nothing of an answer that strayed needs to be shown.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from guiju.gateway.causation import tool_calls
from guiju.labelling.explicit import Applied, begins_with_label, ends_with_label, prefix, stays_readable, suffix
from guiju.labelling.implicit import aigc_object
from guiju.labelling.values import Label
from guiju.screening.snapshot import Snapshot
from guiju.screening.values import PASS, Hit, Policy, Verdict
from guiju.screening.view import paths, strings

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
    found = strings(value)
    if snapshot.finds_nothing(found):
        return PASS
    return snapshot.examine_all(paths(value), "output", policy)


def whole_answer(
    answer: dict[str, Any], snapshot: Snapshot, policy: Policy, label: Label, produce_id: str, *, prose: bool, notice: str
) -> WholeAnswer:
    """Return the answer as it may leave. `answer` is changed. Raises ValueError when it is no chat completion."""
    choices = answer.get("choices")
    if not isinstance(choices, list) or not choices or not all(isinstance(choice, dict) for choice in choices):
        raise ValueError("it has no choices")
    answer.pop("retraction", None)  # only this gateway retracts
    verdict = examine_json(snapshot, policy, answer)
    sent, calls = _sent(choices)
    if verdict.action != "deliver":
        answer = _without_hits(answer, choices, snapshot, policy, notice, produce_id)
        choices = answer["choices"]
    released = labelled = texts = 0
    for choice in choices:
        message = choice.get("message")
        content = message.get("content") if isinstance(message, dict) else None
        if isinstance(content, str) and content and content is not notice:  # the notice is written by people
            texts += 1
            released += len(content)
            if prose and label.mode != "interface" and not message.get("tool_calls") and stays_readable(content):
                labelled += 1
                message["content"] = (
                    (prefix(label) if begins_with_label(label.mode) else "")
                    + content
                    + (suffix(label) if ends_with_label(label.mode) else "")
                )
    applied: Applied = label.mode if texts and labelled == texts else "interface"
    answer["aigc"] = aigc_object(label, produce_id, applied)
    finishes = [str(choice.get("finish_reason") or "") for choice in choices]
    return WholeAnswer(_ENCODE(answer), verdict.hits, applied, finishes, released, sent, calls)


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


def _without_hits(
    answer: dict[str, Any], choices: list[dict[str, Any]], snapshot: Snapshot, policy: Policy, notice: str, produce_id: str
) -> dict[str, Any]:
    """Return the answer with the notice in place of every choice that has a hit; of all, when the hit is beside them."""

    def is_clean(value: object) -> bool:
        return examine_json(snapshot, policy, value).action == "deliver"

    beside = {name: value for name, value in answer.items() if name != "choices"}
    all_stop = not is_clean(beside)
    if all_stop:
        known: dict[str, Any] = {name: answer[name] for name in ("created", "usage") if name in answer and is_clean(answer[name])}
        answer = {"id": f"chatcmpl-{produce_id}", "object": "chat.completion", **known, "model": ""}
    kept = []
    retractions = []
    for place, choice in enumerate(choices):
        if all_stop or not is_clean(choice):
            index = choice.get("index")
            index = index if isinstance(index, int) else place
            message = {"role": "assistant", "content": notice, "refusal": None}
            kept.append({"index": index, "message": message, "logprobs": None, "finish_reason": "content_filter"})
            retractions.append({"choice": index, "reason": "content_filter", "replace_with": notice, "record": produce_id})
        else:
            kept.append(choice)
    return {**answer, "choices": kept, "retraction": retractions[0] if len(retractions) == 1 else retractions}
