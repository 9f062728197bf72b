"""The model behind the SDK tests: it answers what the request asks for (choices, tools, JSON, log probabilities, stream)."""

import json
from collections.abc import Iterator
from typing import Any

from guiju.gateway.tests.rig import Call

WEATHER = "今天天气很好，适合出门。"
JSON_ANSWER = '{"city": "北京", "degrees": 21}'
HELD = ("好，", "不赌", "球。", "也不赌", "马")
"""Pieces of which every other waits: what it ends in could begin a term."""
TURNS = ("北京", "上海")
CALLS = (("call_1", "weather", '{"city": "北京"}'), ("call_2", "weather", '{"city": "上海"}'))


async def speak(call: Call) -> None:
    """Answer a request whole or streamed."""
    request = call.request
    if request.get("stream"):
        await call.stream(*_events(request))
    else:
        choices = [_choice(request, index) for index in range(request.get("n") or 1)]
        usage = {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}
        answer = {**_head("chat.completion"), "choices": choices, "usage": usage}
        await call.reply(200, json.dumps(answer, ensure_ascii=False).encode())


async def hold(call: Call) -> None:
    """Stream text that waits, with a field beside it in every event, as OpenAI does."""
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}, *({"content": piece} for piece in HELD), {}]
    events = [
        {
            **_head("chat.completion.chunk"),
            "choices": [{"index": 0, "delta": delta, "finish_reason": None}],
            "obfuscation": str(place),
            "x_place": place,
        }
        for place, delta in enumerate(deltas)
    ]
    events[-1]["choices"][0]["finish_reason"] = "stop"
    await call.stream(*_wire(events))


async def turn(call: Call) -> None:
    """Stream reasoning, words and calls, one after the other, each of which ends in what could begin a term."""
    asked = call.request.get("tools") or []
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"reasoning_content": piece} for piece in ("先想一想，", "不赌")]
    deltas += [{"content": piece} for piece in ("我来查，", "不赌")]
    for place, (id_, name, _) in enumerate(CALLS if asked else ()):
        deltas.append({"tool_calls": [{"index": place, "id": id_, "type": "function", "function": {"name": name, "arguments": ""}}]})
        deltas += [{"tool_calls": [{"index": place, "function": {"arguments": piece}}]} for piece in ('{"city": "', f'{TURNS[place]}"}}')]
    deltas.append({})
    events = [
        {**_head("chat.completion.chunk"), "choices": [{"index": 0, "delta": delta, "finish_reason": None}], "obfuscation": str(place)}
        for place, delta in enumerate(deltas)
    ]
    events[-1]["choices"][0]["finish_reason"] = "tool_calls" if asked else "stop"
    await call.stream(*_wire(events))


def _wire(events: list[dict[str, Any]]) -> list[bytes]:
    return [b"data: " + json.dumps(event, ensure_ascii=False).encode() + b"\n\n" for event in events] + [b"data: [DONE]\n\n"]


def _text(request: dict[str, Any], index: int) -> str:
    asked = (request.get("response_format") or {}).get("type")
    return JSON_ANSWER if asked in ("json_object", "json_schema") else WEATHER if index == 0 else f"第{index + 1}种说法。"


def _head(kind: str) -> dict[str, Any]:
    return {"id": "chatcmpl-sdk", "object": kind, "created": 1700000000, "model": "sdk", "system_fingerprint": "fp_1"}


def _logprobs(request: dict[str, Any], text: str) -> dict[str, Any] | None:
    if not request.get("logprobs"):
        return None
    tokens = [{"token": letter, "logprob": -0.25, "bytes": list(letter.encode()), "top_logprobs": []} for letter in text]
    return {"content": tokens, "refusal": None}


def _choice(request: dict[str, Any], index: int) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": None, "refusal": None}
    if request.get("tools"):
        message["tool_calls"] = [
            {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}} for id_, name, arguments in CALLS
        ]
        return {"index": index, "message": message, "logprobs": None, "finish_reason": "tool_calls"}
    message["content"] = _text(request, index)
    return {"index": index, "message": message, "logprobs": _logprobs(request, message["content"]), "finish_reason": "stop"}


def _events(request: dict[str, Any]) -> list[bytes]:
    count = request.get("n") or 1
    finish = "tool_calls" if request.get("tools") else "stop"
    chunks = [
        *({"index": index, "delta": {"role": "assistant", "content": ""}} for index in range(count)),
        *(_call_chunks() if request.get("tools") else _text_chunks(request, count)),
        *({"index": index, "delta": {}, "finish_reason": finish} for index in range(count)),
    ]
    head = _head("chat.completion.chunk")
    events = [{**head, "choices": [{"finish_reason": None, "logprobs": None, **chunk}]} for chunk in chunks]
    if (request.get("stream_options") or {}).get("include_usage"):
        events.append({**head, "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}})
    return _wire(events)


def _call_chunks() -> Iterator[dict[str, Any]]:
    for place, (id_, name, arguments) in enumerate(CALLS):
        begun = {"index": place, "id": id_, "type": "function", "function": {"name": name, "arguments": ""}}
        yield {"index": 0, "delta": {"tool_calls": [begun]}}
        for at in range(0, len(arguments), 4):
            yield {"index": 0, "delta": {"tool_calls": [{"index": place, "function": {"arguments": arguments[at : at + 4]}}]}}


def _text_chunks(request: dict[str, Any], count: int) -> Iterator[dict[str, Any]]:
    """The choices speak in turn, two characters each."""
    texts = [_text(request, index) for index in range(count)]
    for at in range(0, max(map(len, texts)), 2):
        for index, text in enumerate(texts):
            piece = text[at : at + 2]
            if piece:
                yield {"index": index, "delta": {"content": piece}, "logprobs": _logprobs(request, piece)}
