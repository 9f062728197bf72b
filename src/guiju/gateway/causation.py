"""The causation record: what the gateway can know, when an answer leaves, of how it came about.

Who was asked (upstream, model, its version and weights as registered), with what (decoding parameters, system prompt, tools and
their results, what the application had retrieved), what came back, what screening, labels and notices made of it. Texts
themselves are sealed; here they appear as *fingerprints* (`core/fingerprint.py`): equal texts of one service have equal ones, and
nobody without the installation's key can guess a text from one.
Source: Measures Arts. 9, 14; Civil Procedure Evidence Provisions Arts. 93 to 95 (what a court asks of electronic evidence).
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, Literal

import msgspec

from guiju.core.errors import GuijuError
from guiju.core.fingerprint import fingerprint
from guiju.gateway.bundle import Upstream
from guiju.gateway.errors import FIELD_INVALID
from guiju.labelling.explicit import Applied
from guiju.screening.personal.finds import mask_all
from guiju.screening.values import Audience, Hit, Verdict

DECODING: Final = frozenset(
    """
    temperature top_p top_k min_p seed n max_tokens max_completion_tokens presence_penalty frequency_penalty repetition_penalty
    reasoning_effort logprobs top_logprobs parallel_tool_calls
    """.split()
)
"""Parameters that decide how a model draws its words. Others may hold what a person wrote, and are in the sealed request."""
EXTENSION: Final = "guiju"
"""The field of a request in which an application says what only it knows. It is not passed on."""

_COUNT_LIMIT: Final = 2**53
_LISTED: Final = 50
_HITS_LISTED: Final = 20
_PLAIN: Final = re.compile(r"[A-Za-z0-9_.:/-]{1,100}")
_SYSTEM: Final = frozenset(("system", "developer"))


class Retrieved(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A passage that the application put before the model: the document's id, its version, the passage's hash, the score, and the path
    of the string of the request that holds it (`messages[1].content[0].text`): what is found there is the document's, not the person's.
    """

    id: str
    version: str = ""
    sha256: str = ""
    score: str | float | int = ""
    path: str = ""


class Told(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What an application tells: its conversation and turn, where the person is and who they are, what it retrieved, what it runs on."""

    conversation: str = ""
    turn: str = ""
    channel: str = ""
    application: str = ""
    audience: Audience | Literal[""] = ""
    """Who reads, where the application knows better than its service's `default_audience`."""
    retrieval: tuple[Retrieved, ...] = ()


NOTHING_TOLD: Final = Told()
NO_PATHS: Final[frozenset[str]] = frozenset()


FINISH_CHARACTERS: Final = 100


class Outcome(msgspec.Struct, frozen=True):
    """What became of an answer: findings, endings, label, and what the upstream said of itself."""

    hits: Sequence[Hit]
    finishes: Sequence[str]
    """Why each choice ended, at most `FINISH_CHARACTERS` each."""
    applied: Applied
    released_characters: int
    upstream_id: str
    usage: object
    answered_as: str
    system_fingerprint: object
    texts: Sequence[str]
    """The text of each choice, as the model sent it."""
    calls: Sequence[tuple[str, str, str]]
    """(id, name, arguments) of each tool that the model called."""


def read_told(value: object) -> Told:
    """Return what the application tells. Raises FIELD-INVALID with the place of the mistake."""
    try:
        told = msgspec.convert(value, Told)
    except msgspec.ValidationError as problem:
        raise _invalid(str(problem)) from None
    texts = [told.conversation, told.turn, told.channel, told.application]
    for each in told.retrieval:
        texts += [each.id, each.version, each.sha256, str(each.score), each.path]
    if len(told.retrieval) > 200 or any(len(text) > 200 for text in texts):
        raise _invalid("at most 200 passages, each text of at most 200 characters")
    return told


def documents_of(told: Told) -> frozenset[str]:
    """Return the paths of the strings that hold retrieved passages."""
    return frozenset([each.path for each in told.retrieval if each.path]) if told.retrieval else NO_PATHS


def _invalid(reason: str) -> GuijuError:
    return GuijuError(
        FIELD_INVALID, param=EXTENSION, wanted_zh=f"接口文档所述的形式（{reason}）", wanted_en=f"as the API page says ({reason})"
    )


def cause(request: Mapping[str, Any], told: Told, key: bytes, service: str) -> dict[str, object]:
    """Return what is known of the request: parameters, system prompt, tool results, what the application tells."""
    messages = request["messages"]
    found: dict[str, object] = {
        "decoding": {} if DECODING.isdisjoint(request) else _decoding(request),
        "messages": len(messages),
    }
    system: list[str] = []
    results: list[dict[str, str]] = []
    for message in messages:
        role = message.get("role")
        if role == "user" or role == "assistant":
            continue
        if role in _SYSTEM:
            system.append(_text(message.get("content")))
        elif role == "tool" or role == "function":
            call = message.get("tool_call_id") or message.get("name")
            results.append({"call": _plain(call), "result": fingerprint(key, service, _text(message.get("content")))})
    if system:
        found["system_prompt"] = fingerprint(key, service, "\n".join(system))
    if results:
        found["tool_results"] = results[-_LISTED:]
    tools = request.get("tools")
    if isinstance(tools, list) and tools:
        found["tools"] = [_tool_name(tool) for tool in tools[:_LISTED]]
    if told is not NOTHING_TOLD:
        found["application"] = _without_personal(_told(told))
    return found


def _decoding(request: Mapping[str, Any]) -> dict[str, object]:
    return {name: _parameter(request[name]) for name in request.keys() & DECODING if request[name] is not None}


def effect(outcome: Outcome, key: bytes, service: str) -> dict[str, object]:
    """Return what is known of the answer: findings, endings, usage, a fingerprint of each text, the tools the model called."""
    found: dict[str, object] = {
        "outcome": "hit" if outcome.hits else "pass",
        "released_characters": outcome.released_characters,
        "hits": [],
        "texts": [fingerprint(key, service, text) for text in outcome.texts],
    }
    if outcome.hits:
        found |= told_of(outcome.hits)
    if outcome.calls:
        found["tool_calls"] = [
            {"id": _plain(identity), "name": _plain(name), "arguments": fingerprint(key, service, arguments)}
            for identity, name, arguments in outcome.calls[:_LISTED]
        ]
    return found


def examined(verdict: Verdict, size_bytes: int) -> dict[str, object]:
    """Return what screening made of the input."""
    found: dict[str, object] = {"outcome": verdict.outcome, "bytes": size_bytes}
    if verdict.hits or verdict.reason:
        found |= {"reason": verdict.reason, **told_of(verdict.hits)}
    return found


def told_of(hits: Sequence[Hit]) -> dict[str, object]:
    """Return the first hits, and where there are more than these, how many there are in all."""
    count = len(hits) + sum([hit.more for hit in hits])
    found: dict[str, object] = {"hits": listed(hits)}
    return found if count <= _HITS_LISTED else found | {"hits_in_all": count}


def listed(hits: Sequence[Hit]) -> list[dict[str, object]]:
    """Return the first hits as records show them: where, which risk and rule, how sure, what was done, who said the text; never the words."""
    return [
        {
            "path": hit.path,
            "start": hit.start,
            "end": hit.end,
            "risk": hit.risk,
            "rule": hit.rule,
            "action": hit.action,
            "confidence": hit.confidence,
        }
        | ({"source": hit.source} if hit.source else {})
        for hit in hits[:_HITS_LISTED]
    ]


def counts(usage: object) -> dict[str, int] | None:
    """Return the counts that an upstream reports; what is no count is left out."""
    if not isinstance(usage, dict):
        return None
    return {name[:100]: count for name, count in usage.items() if count.__class__ is int and -_COUNT_LIMIT < count < _COUNT_LIMIT}


def source(upstream: Upstream, asked: str, outcome: Outcome, headers: Mapping[bytes, bytes]) -> dict[str, object]:
    """Return who answered: the supplier, the model by both its names, what the provider registered of it, the supplier's number."""
    found: dict[str, object] = {"name": upstream.name, "model": asked[:100], "answered_as": outcome.answered_as[:100]}
    found["answer"] = outcome.upstream_id[:100]
    if upstream.supplier:
        found["supplier"] = upstream.supplier
    if asked in upstream.model_version:
        found["version"] = upstream.model_version[asked]
    if asked in upstream.weights_sha256:
        found["weights_sha256"] = upstream.weights_sha256[asked]
    if asked in upstream.filing_number:
        found["filing_number"] = upstream.filing_number[asked]
    if isinstance(outcome.system_fingerprint, str) and outcome.system_fingerprint:
        found["system_fingerprint"] = _plain_again(outcome.system_fingerprint)
    number = headers.get(b"x-request-id") or headers.get(b"request-id")
    if number:
        found["request_id"] = _plain(number.decode("latin-1"))
    return found


def tool_calls(message: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return (id, name, arguments) of each tool that a whole answer calls; what has another shape is left out."""
    calls = message.get("tool_calls")
    found = []
    for call in calls if isinstance(calls, list) else ():
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict):
            found.append((str(call.get("id")), str(function.get("name")), str(function.get("arguments"))))
    return found


def _text(content: object) -> str:
    """Return the text of a message; text parts and several messages are joined by line ends, so that a file can be compared."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join([part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str)])


def _parameter(value: object) -> object:
    if value is True or value is False or (value.__class__ is int and abs(value) < _COUNT_LIMIT):
        return value
    return _plain(repr(value) if isinstance(value, float) else value)  # canonical JSON holds no floats


def _plain(value: object) -> str:
    """Return an identifier as it is, and of anything else only that it was there: it may be a person's words."""
    return value if isinstance(value, str) and _PLAIN.fullmatch(value) else "" if value is None else "(sealed)"


@lru_cache(256)
def _plain_again(text: str) -> str:
    """Tell the same of what is nearly always one of a few."""
    return _plain(text)


def _tool_name(tool: object) -> str:
    function = tool.get("function") if isinstance(tool, dict) else None
    return _plain(function.get("name")) if isinstance(function, dict) else "(sealed)"


def _without_personal(value: Any) -> Any:
    """Return what an application tells with everything personal in it hidden: records keep it in clear."""
    if isinstance(value, str):
        return mask_all(value)
    if isinstance(value, dict):
        return {name: _without_personal(item) for name, item in value.items()}
    return [_without_personal(item) for item in value] if isinstance(value, list) else value


def _told(told: Told) -> dict[str, object]:
    found: dict[str, object] = {
        name: value
        for name, value in (
            ("conversation", told.conversation),
            ("turn", told.turn),
            ("channel", told.channel),
            ("application", told.application),
            ("audience", told.audience),
        )
        if value
    }
    if told.retrieval:
        found["retrieval"] = [
            {
                name: value
                for name, value in (("id", each.id), ("version", each.version), ("sha256", each.sha256), ("score", str(each.score)))
                if value
            }
            for each in told.retrieval
        ]
    return found
