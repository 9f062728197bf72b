"""An approved answer on its way to the client: a chat completion like any other, but no model was asked.

What people wrote is not generated, and carries no label that says it is; what a model wrote and people reviewed is labelled like every
other answer. No input or output here.
Source: Measures Arts. 4, 12; Labelling Measures Art. 2 (what is to be labelled was generated).
"""

import re
import time
from typing import Any, Final, NamedTuple

import msgspec

from guiju.gateway.sse import DONE
from guiju.labelling.explicit import (
    Applied,
    asks_for_words,
    begins_with_label,
    ends_with_label,
    prefix,
    stays_readable,
    suffix,
    without_words,
)
from guiju.labelling.implicit import aigc_object
from guiju.labelling.values import Label
from guiju.screening.answers.match import Match, Matcher
from guiju.screening.values import Policy

_ENCODE: Final = msgspec.json.Encoder().encode
_HAN: Final = re.compile("[\u3400-\u9fff\U00020000-\U000323af]")
_NO_TOKENS: Final = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
"""No model was asked, so nothing was counted."""


class Approved(NamedTuple):
    """An approved answer ready to leave: its text for people, how it is labelled, and what its record says."""

    text: str
    applied: Applied | None
    """None where people wrote it: there is nothing to label."""
    facts: dict[str, object]


def find_approved(matcher: Matcher, policy: Policy, request: dict[str, Any], label: Label, now_s: float) -> Approved | None:
    """Return the approved answer to what a person asks last, or None: for anything but words, for a program, or where nothing fits."""
    if not asks_for_words(request):
        return None
    question = question_of(request["messages"][-1])
    match = matcher.find(question, now_s, near=policy.approved_answers == "near") if question else None
    return approved_of(match, matcher.short, question, label) if match is not None else None


def question_of(message: dict[str, Any]) -> str:
    """Return what a person asks in a message; empty where it is not a person's, or not words alone."""
    content = message.get("content")
    if message.get("role") != "user":
        return ""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = [part.get("text") for part in parts if isinstance(part, dict) and part.get("type") == "text"]
    return "\n".join(map(str, texts)) if texts and len(texts) == len(parts) else ""


def approved_of(match: Match, version: str, question: str, label: Label) -> Approved:
    """Return the words of a match: English where the question has no Chinese and the answer has English."""
    answer = match.answer
    text = answer.answer_zh if _HAN.search(question) or not answer.answer_en else answer.answer_en
    facts: dict[str, object] = {"id": answer.id, "version": version, "match": match.match, "score_per_mille": match.score_per_mille}
    if answer.origin == "people":
        return Approved(text, None, facts)
    if label.mode == "interface" or not stays_readable(text):
        return Approved(text, without_words(label), facts)
    before, after = begins_with_label(label.mode), ends_with_label(label.mode)
    return Approved(f"{prefix(label) if before else ''}{text}{suffix(label) if after else ''}", label.mode, facts)


def whole_body(approved: Approved, request: dict[str, Any], model: str, label: Label, produce_id: str) -> bytes:
    """Return the chat completion."""
    choices = [
        {
            "index": index,
            "message": {"role": "assistant", "content": approved.text, "refusal": None},
            "logprobs": None,
            "finish_reason": "stop",
        }
        for index in range(request.get("n") or 1)
    ]
    return _ENCODE({**_head(approved, "chat.completion", model, label, produce_id), "choices": choices, "usage": _NO_TOKENS})


def stream_body(approved: Approved, request: dict[str, Any], model: str, label: Label, produce_id: str) -> bytes:
    """Return the same as the events of a stream, `[DONE]` included."""
    head = _head(approved, "chat.completion.chunk", model, label, produce_id)
    indices = range(request.get("n") or 1)
    options = request.get("stream_options")
    counted = isinstance(options, dict) and options.get("include_usage") is True
    chunks: list[dict[str, Any]] = []
    for index in indices:
        for delta, finish in (({"role": "assistant", "content": ""}, None), ({"content": approved.text}, None), ({}, "stop")):
            chunks.append({**head, "choices": [{"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}]})
    if counted:
        chunks = [{**chunk, "usage": None} for chunk in chunks] + [{**head, "choices": [], "usage": _NO_TOKENS}]
    return b"".join([b"data: " + _ENCODE(chunk) + b"\n\n" for chunk in chunks]) + DONE


def _head(approved: Approved, kind: str, model: str, label: Label, produce_id: str) -> dict[str, Any]:
    head: dict[str, Any] = {"id": f"chatcmpl-{produce_id}", "object": kind, "created": int(time.time()), "model": model}
    head["approved_answer"] = {name: approved.facts[name] for name in ("id", "version")}
    if approved.applied is not None:
        head["aigc"] = aigc_object(label, produce_id, approved.applied)
    return head
