"""What the scripted upstream can do, by the name of the model that is asked for: the good, the odd and the hostile."""

import asyncio
import gzip
import json
from typing import Any

from guiju.gateway.tests.rig import TERM, Behaviour, Call

DONE = b"data: [DONE]\n\n"


def completion(*contents: str | None, **message: Any) -> dict[str, Any]:
    choices = [
        {"index": place, "message": {"role": "assistant", "content": content, **message}, "logprobs": None, "finish_reason": "stop"}
        for place, content in enumerate(contents)
    ]
    usage = {"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5}
    return {"id": "chatcmpl-up", "object": "chat.completion", "created": 7, "model": "internal", "choices": choices, "usage": usage}


def event(delta: dict[str, Any] | None, finish: str | None = None, index: int = 0, **more: Any) -> bytes:
    choices = [{"index": index, "delta": delta, "finish_reason": finish}] if delta is not None else []
    chunk = {"id": "chatcmpl-up", "object": "chat.completion.chunk", "created": 7, "model": "internal", "choices": choices, **more}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


FIRST = event({"role": "assistant", "content": "你好，"})
LAST = event({}, "stop")


def _call(index: int, city: str) -> dict[str, Any]:
    function = {"name": "weather", "arguments": f'{{"city":"{city}"}}'}
    return {"index": index, "id": f"call_{index + 1}", "type": "function", "function": function}


def whole(body: object) -> Behaviour:
    return raw(json.dumps(body, ensure_ascii=False).encode())


def raw(body: bytes, status: int = 200, content_type: str = "application/json", *more: str) -> Behaviour:
    async def answer(call: Call) -> None:
        await call.reply(status, body, content_type, *more)

    return answer


def streamed(*pieces: bytes) -> Behaviour:
    async def answer(call: Call) -> None:
        await call.stream(*pieces[:1])
        await asyncio.sleep(0.05)  # the first piece travels alone
        for piece in pieces[1:]:
            await call.send(piece)

    return answer


def either(body: dict[str, Any], *pieces: bytes) -> Behaviour:
    """Answer whole or streamed, as asked."""

    async def answer(call: Call) -> None:
        if call.request.get("stream"):
            await call.stream(*pieces)
        else:
            await call.reply(200, json.dumps(body, ensure_ascii=False).encode())

    return answer


def refuse(status: int, message: str = "no such thing", *more: str) -> Behaviour:
    return raw(json.dumps({"error": {"message": message, "type": "t"}}).encode(), status, "application/json", *more)


async def hang_head(call: Call) -> None:
    await call.hang()


async def hang_body(call: Call) -> None:
    await call.send(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{"id": ')
    await call.hang()


async def slow_body(call: Call) -> None:
    await call.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n ")
    await call.hang()


async def hang_first(call: Call) -> None:
    await call.stream()
    await call.hang()


async def hang_middle(call: Call) -> None:
    await call.stream(FIRST)
    await call.hang()


async def hang_after_role(call: Call) -> None:
    await call.stream(event({"role": "assistant", "content": ""}))
    await call.hang()


async def hang_after_finish(call: Call) -> None:
    await call.stream(FIRST, LAST)
    await call.hang()


async def reset_head(call: Call) -> None:
    call.reset()


async def garbage_head(call: Call) -> None:
    await call.send(b"\x00\x01 this is not HTTP\r\n\r\n")
    call.closes = True


async def reset_body(call: Call) -> None:
    await call.send(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{"id": ')
    await asyncio.sleep(0.05)
    call.reset()


async def reset_middle(call: Call) -> None:
    await call.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
    await call.send(b"%x\r\n%s\r\n" % (len(FIRST), FIRST))
    await asyncio.sleep(0.05)
    call.reset()


async def reset_after_finish(call: Call) -> None:
    await call.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
    await call.send(b"%x\r\n%s\r\n" % (len(FIRST + LAST), FIRST + LAST))
    await asyncio.sleep(0.05)
    call.reset()


async def broken_chunks(call: Call) -> None:
    await call.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
    await call.send(b"%x\r\n%s\r\n" % (len(FIRST), FIRST))
    await asyncio.sleep(0.05)
    await call.send(b"zzz\r\nnot a chunk\r\n")
    call.closes = True


async def endless_event(call: Call) -> None:
    await call.stream(FIRST, b"data: ")
    for _ in range(80):
        await call.send(b"x" * 2**16)


async def flood(call: Call) -> None:
    await call.stream(FIRST)
    for _ in range(4_000):
        await call.send(event({"content": "字" * 4_000}))
    await call.send(LAST + DONE)


async def steady(call: Call) -> None:
    """Say one word every 20 ms until the other side leaves, or a hundred."""
    await call.stream(FIRST)
    for number in range(100):
        await call.send(event({"content": f"{number} "}))
        await asyncio.sleep(0.02)
    await call.send(LAST + DONE)


async def slow(call: Call) -> None:
    await call.hang()


_closed: set[int] = set()


async def closed_once(call: Call) -> None:
    """Close the connection without a word, as a server does that was restarted; answer the next time."""
    if len(_closed) % 2 == 0:
        call.closes = True
    else:
        await call.reply(200, json.dumps(completion("又好了")).encode())
    _closed.add(len(_closed))


async def parrot(call: Call) -> None:
    """Answer with fields nobody knows."""
    if call.request.get("stream"):
        await call.stream(
            event({"role": "assistant", "content": "好", "x_delta": {"deep": ["一", 2, None]}}, x_top={"y": [1.5, True]}),
            b"data: "
            + json.dumps({"choices": [{"index": 0, "delta": {}, "finish_reason": "length", "x_choice": "三"}]}).encode()
            + b"\n\n",
            event(None, usage={"total_tokens": 5, "x_tokens": 1}),
            DONE,
        )
        return
    answer = completion("好", x_message={"deep": ["一", 2, None]}) | {"x_top": {"y": [1.5, True]}, "service_tier": "default"}
    answer["choices"][0]["x_choice"] = "三"
    await call.reply(200, json.dumps(answer).encode())


BOMB = gzip.compress(json.dumps(completion("x" * 4 * 2**20)).encode())
ZIPPED = gzip.compress(json.dumps(completion("晴天")).encode())
HTML = b"<html><body><h1>Welcome</h1></body></html>"

BEHAVIOURS: dict[str, Behaviour] = {
    "goes_on": either(completion("博了一夜。"), event({"content": "博"}), event({"content": "了一夜。"}), LAST, DONE),
    "ok": either(completion("你好，世界"), FIRST, event({"content": "世界"}), LAST, event(None, usage={"total_tokens": 5}), DONE),
    "internal": either(completion("你好"), FIRST, LAST, DONE),
    "strays": either(completion(f"我们去{TERM}吧"), FIRST, event({"content": "我们去赌"}), event({"content": "博吧"}), LAST, DONE),
    "flags": either(completion("some flagged words here"), event({"content": "some flagged words here"}), LAST, DONE),
    "parrot": parrot,
    "numbered": raw(json.dumps(completion("好")).encode(), 200, "application/json", "X-Request-Id: req_0815"),
    "calls_tools": either(
        completion(None, tool_calls=[_call(0, "北京"), _call(1, "上海")]),
        event({"role": "assistant", "content": None, "tool_calls": [_call(0, "北京")]}),
        event({"tool_calls": [_call(1, "") | {"function": {"name": "weather", "arguments": '{"city":"'}}]}),
        event({"tool_calls": [{"index": 1, "function": {"arguments": '上海"}'}}]}),
        event({}, "tool_calls"),
        DONE,
    ),
    "closed_once": closed_once,
    "odd_usage": either(
        completion("好") | {"usage": {"total_tokens": 10**30, "x" * 500: 1, "y": 2}},
        FIRST,
        LAST,
        event(None, usage={"total_tokens": 10**30, "x" * 500: 1, "y": 2}),
        DONE,
    ),
    "steady": steady,
    "slow": slow,
    "slow_body": slow_body,
    "flood": flood,
    "hang_head": hang_head,
    "hang_body": hang_body,
    "hang_first": hang_first,
    "hang_middle": hang_middle,
    "hang_after_role": hang_after_role,
    "hang_after_finish": hang_after_finish,
    "reset_head": reset_head,
    "reset_body": reset_body,
    "reset_middle": reset_middle,
    "reset_after_finish": reset_after_finish,
    "broken_chunks": broken_chunks,
    "garbage_head": garbage_head,
    "endless_event": endless_event,
    "html": raw(HTML, 200, "text/html"),
    "odd_type": raw(HTML, 200, f"we talk of {TERM}".encode().decode("latin-1")),
    "html502": raw(HTML, 502, "text/html"),
    "json": whole(completion("你好")),
    "empty": raw(b""),
    "array": raw(b"[1, 2]"),
    "no_choices": whole({"id": "x"}),
    "empty_choices": whole({"id": "x", "choices": []}),
    "error_in_200": whole({"error": {"message": "overloaded"}}),
    "not_utf8": raw(b'{"choices": [{"message": {"content": "\xff\xfe"}}]}'),
    "deep": raw(b'{"choices": [' + b"[" * 5_000 + b"]" * 5_000 + b"]}"),
    "huge": raw(b'{"choices": "' + b"x" * 2**21 + b'"}'),
    "gzip": raw(ZIPPED, 200, "application/json", "Content-Encoding: gzip"),
    "gzip_broken": raw(ZIPPED[:20] + b"xxxxxxxxxxxx", 200, "application/json", "Content-Encoding: gzip"),
    "gzip_bomb": raw(BOMB, 200, "application/json", "Content-Encoding: gzip"),
    "event_stream": raw(FIRST + LAST + DONE, 200, "text/event-stream"),
    "redirect": raw(b"", 307, "text/plain", "Location: http://127.0.0.1:9/v1/chat/completions"),
    "refuse_400": refuse(400, "messages[0] has no role"),
    "refuse_words": refuse(400, f"we do not talk of {TERM}"),
    "refuse_401": refuse(401, "bad upstream key"),
    "refuse_403": refuse(403, "bad upstream key"),
    "refuse_404": refuse(404, "no such model"),
    "refuse_419": refuse(419, "come back tomorrow"),
    "refuse_422": refuse(422, "temperature is too high"),
    "refuse_429": refuse(429, "slow down", "Retry-After: 7"),
    "refuse_444": refuse(444, "no"),
    "refuse_498": refuse(498, "no capacity in this tier"),
    "refuse_499": refuse(499, "no"),
    "refuse_500": refuse(500, "traceback"),
    "refuse_html": raw(HTML, 400, "text/html"),
    "empty_stream": streamed(),
    "only_done": streamed(DONE),
    "comments": streamed(b": ping\n\n", b": ping\n\n"),
    "half_event": streamed(FIRST, b'data: {"choices": [{"ind'),
    "no_finish": streamed(FIRST),
    "bad_utf8": streamed(FIRST, b'data: {"choices": [{"index": 0, "delta": {"content": "\xff"}}]}\n\n'),
    "not_json": streamed(FIRST, b"data: <html>\n\n"),
    "no_choices_event": streamed(FIRST, b'data: {"id": "x"}\n\n'),
    "error_first": streamed(b'data: {"error": {"message": "overloaded"}}\n\n'),
    "error_middle": streamed(FIRST, b'data: {"error": {"message": "overloaded"}}\n\n'),
}
