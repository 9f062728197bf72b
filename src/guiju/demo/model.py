"""The demo model: an OpenAI-compatible server that only recites. It serves a first start that has no upstream yet.

    python -m guiju.demo.model --fd N

Everything it says is in `scripts.py`; every answer names it as scripted. It calls a tool when one is offered and the
question asks for the weather, draws hills and plays five notes, answers in JSON mode, honours `n`, `logprobs`, `stream_options` and streams in small pieces.
"""

import argparse
import asyncio
import base64
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from typing import Any, Final

import msgspec
import uvicorn

from guiju.core.ids import new_id
from guiju.demo.drawn import SIZES, melody, picture
from guiju.demo.scripts import JSON_ANSWER, TOOL_ARGUMENTS, choose_script, is_chinese

MODEL: Final = "guiju-demo"
FINGERPRINT: Final = "scripted-demo"
PIECE_DELAY_S: Final = 0.015
_ENCODE: Final = msgspec.json.Encoder().encode

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve `POST …/chat/completions`, `…/images/generations`, `…/audio/speech` and `GET …/models`."""
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    path = scope["path"]
    if path.endswith("/models"):
        models = [{"id": MODEL, "object": "model", "created": 0, "owned_by": "guiju (scripted)"}]
        await _reply(send, 200, {"object": "list", "data": models})
    elif path.endswith(("/chat/completions", "/images/generations", "/audio/speech")):
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        request = msgspec.json.decode(body)
        if request.get("model") != MODEL:
            error = {"message": f"the demo has one model: {MODEL}", "type": "invalid_request_error", "code": "model_not_found"}
            await _reply(send, 404, {"error": error})
        elif path.endswith("/images/generations"):
            await _draw(request, send)
        elif path.endswith("/audio/speech"):
            await _reply_with(send, 200, melody(), b"audio/wav")
        else:
            await _answer(request, send)
    else:
        await _reply(send, 404, {"error": {"message": "the demo model has no such path", "type": "invalid_request_error"}})


async def _answer(request: dict[str, Any], send: Send) -> None:
    head = {"id": f"chatcmpl-{new_id()}", "created": int(time.time()), "model": MODEL, "system_fingerprint": FINGERPRINT}
    messages = [_message(request) for _ in range(request.get("n") or 1)]
    usage = {"prompt_tokens": len(str(request.get("messages"))), "completion_tokens": sum(len(m["content"] or "") for m in messages)}
    usage["total_tokens"] = usage["prompt_tokens"] + usage["completion_tokens"]
    if not request.get("stream"):
        choices = [
            {
                "index": index,
                "message": message,
                "logprobs": _logprobs(request, message["content"] or ""),
                "finish_reason": _finish(message),
            }
            for index, message in enumerate(messages)
        ]
        await _reply(send, 200, {**head, "object": "chat.completion", "choices": choices, "usage": usage})
        return
    head["object"] = "chat.completion.chunk"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream; charset=utf-8")]})
    for index, message in enumerate(messages):
        for delta in _deltas(message):
            choice = {"index": index, "delta": delta, "logprobs": _logprobs(request, delta.get("content") or ""), "finish_reason": None}
            await _event(send, {**head, "choices": [choice]})
            await asyncio.sleep(PIECE_DELAY_S)
        await _event(send, {**head, "choices": [{"index": index, "delta": {}, "finish_reason": _finish(message)}]})
    if (request.get("stream_options") or {}).get("include_usage"):
        await _event(send, {**head, "choices": [], "usage": usage})
    await send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})


def _message(request: dict[str, Any]) -> dict[str, Any]:
    """Return the scripted message for a request."""
    text = _last_user_text(request.get("messages") or [])
    message: dict[str, Any] = {"role": "assistant", "content": None, "refusal": None}
    tools = [tool["function"]["name"] for tool in request.get("tools") or [] if tool.get("type") == "function"]
    if tools and ("天气" in text or "weather" in text.lower()):
        message["tool_calls"] = [
            {"id": f"call_{new_id()}", "type": "function", "function": {"name": tools[0], "arguments": TOOL_ARGUMENTS}}
        ]
    elif (request.get("response_format") or {}).get("type") in ("json_object", "json_schema"):
        message["content"] = JSON_ANSWER
    else:
        script = choose_script(text)
        message["content"] = script.zh if is_chinese(text) or not text.strip() else script.en
    return message


def _last_user_text(messages: list[dict[str, Any]]) -> str:
    for message in reversed(messages):
        if message.get("role") == "user":
            content = message.get("content")
            if isinstance(content, list):
                return " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
            return str(content or "")
    return ""


def _finish(message: dict[str, Any]) -> str:
    return "tool_calls" if message.get("tool_calls") else "stop"


def _deltas(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Cut a message into deltas of one to four characters, always the same way."""
    if message.get("tool_calls"):
        call = message["tool_calls"][0]
        name = {"name": call["function"]["name"], "arguments": ""}
        yield {"role": "assistant", "content": None, "tool_calls": [{"index": 0, "id": call["id"], "type": "function", "function": name}]}
        for piece in _pieces(call["function"]["arguments"]):
            yield {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}
    else:
        yield {"role": "assistant", "content": ""}
        for piece in _pieces(message["content"]):
            yield {"content": piece}


def _pieces(text: str) -> Iterator[str]:
    at, step = 0, 0
    while at < len(text):
        length = 1 + (step * 7 + 2) % 4
        yield text[at : at + length]
        at, step = at + length, step + 1


def _logprobs(request: dict[str, Any], text: str) -> dict[str, Any] | None:
    if not request.get("logprobs") or not text:
        return None
    entries = [{"token": character, "logprob": -0.1, "bytes": list(character.encode()), "top_logprobs": []} for character in text]
    return {"content": entries, "refusal": None}


async def _event(send: Send, chunk: dict[str, Any]) -> None:
    await send({"type": "http.response.body", "body": b"data: " + _ENCODE(chunk) + b"\n\n", "more_body": True})


async def _draw(request: dict[str, Any], send: Send) -> None:
    """Answer with as many pictures as are asked for; all of them drawn by code."""
    size = request.get("size") or SIZES[2]
    if size not in SIZES:
        await _reply(
            send, 400, {"error": {"message": f"size is one of {', '.join(SIZES)}", "type": "invalid_request_error", "param": "size"}}
        )
        return
    prompt = str(request.get("prompt", ""))
    drawn = [await asyncio.to_thread(picture, f"{prompt}{number or ''}", size) for number in range(min(int(request.get("n") or 1), 10))]
    data = [{"b64_json": base64.b64encode(each).decode()} for each in drawn]
    await _reply(send, 200, {"created": int(time.time()), "data": data, "output_format": "png", "size": size})


async def _reply(send: Send, status: int, value: dict[str, Any]) -> None:
    await _reply_with(send, status, _ENCODE(value), b"application/json")


async def _reply_with(send: Send, status: int, body: bytes, content_type: bytes) -> None:
    headers = [(b"content-type", content_type), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def main(arguments: list[str] | None = None) -> int:
    """Serve on an inherited socket until told to stop; return the exit status."""
    from guiju.core.log import configure
    from guiju.core.process import die_with_parent
    from guiju.gateway.server import Server

    parser = argparse.ArgumentParser(prog="guiju.demo.model")
    parser.add_argument("--fd", type=int, required=True)
    options = parser.parse_args(arguments)
    configure("demo-model")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent()
    config = uvicorn.Config(app, loop="uvloop", http="httptools", ws="none", log_config=None, access_log=False, timeout_graceful_shutdown=5)
    Server(config).run(sockets=[socket.socket(fileno=options.fd)])
    return 0


if __name__ == "__main__":
    sys.exit(main())
