"""Guards as they are served, by the name of the model that is asked for: those that judge, and those that hang, break and lie.

All judge the same way: text with `BAD` is unsafe, text with `UNSURE` controversial.
"""

import asyncio
import json
import time
from typing import Any

from guiju.gateway.tests.rig import Behaviour, Call
from guiju.gateway.tests.upstreams import raw

BAD = "制毒配方"
UNSURE = "说不准"


def completion(text: str, **more: Any) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return json.dumps(
        {"id": "g", "object": "chat.completion", "model": "guard-v1", "choices": [choice], **more}, ensure_ascii=False
    ).encode()


def judged(text: str) -> str:
    return "Unsafe" if BAD in text else "Controversial" if UNSURE in text else "Safe"


def qwen_lines(request: dict[str, Any]) -> str:
    last = request["messages"][-1]
    level = judged(last["content"])
    lines = [f"Safety: {level}", f"Categories: {'None' if level == 'Safe' else 'Non-violent Illegal Acts'}"]
    return "\n".join(lines + (["Refusal: No"] if last["role"] == "assistant" else []))


async def qwen(call: Call) -> None:
    await call.reply(200, completion(qwen_lines(call.request)))


async def slow_qwen(call: Call) -> None:
    await asyncio.sleep(0.3)
    await qwen(call)


async def late_qwen(call: Call) -> None:
    await asyncio.sleep(0.8)
    await qwen(call)


async def json_chat(call: Call) -> None:
    shown = json.loads(call.request["messages"][1]["content"])
    level = judged(shown["turns"][-1]["text"])
    answer = {
        "unsafe": level != "Safe",
        "categories": [] if level == "Safe" else ["A.1.h"],
        "score": 0.4 if level == "Controversial" else 0.9,
    }
    await call.reply(200, completion(json.dumps(answer)))


async def moderation(call: Call) -> None:
    unsafe = judged(call.request["input"]) == "Unsafe"
    result = {
        "flagged": unsafe,
        "categories": {"illicit": unsafe, "violence": False},
        "category_scores": {"illicit": 0.9 if unsafe else 0.1},
    }
    await call.reply(200, json.dumps({"id": "m", "model": "omni", "results": [result]}).encode())


async def webhook(call: Call) -> None:
    level = judged(call.request["turns"][-1]["text"]).lower()
    answer: dict[str, Any] = {"verdict": level, "categories": [] if level == "safe" else ["A.1.h"], "version": "rules-7"}
    await call.reply(200, json.dumps(answer).encode())


async def hang(call: Call) -> None:
    await call.hang()
    call.closes = True


async def reset(call: Call) -> None:
    call.reset()
    call.closes = True


async def half(call: Call) -> None:
    body = completion(qwen_lines(call.request))
    call.closes = True
    await call.send(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body[: len(body) // 2])
    )


async def drip(call: Call) -> None:
    """A byte at a time, for longer than anybody waits."""
    body = completion(qwen_lines(call.request))
    await call.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body))
    for at in range(len(body)):
        await call.send(body[at : at + 1])
        await asyncio.sleep(0.05)


async def huge(call: Call) -> None:
    await call.reply(200, completion("Safety: Safe\nCategories: None" + " " * 2**20))


ANGRY: dict[str, float] = {"until": 0.0}


async def moody(call: Call) -> None:
    """Fails until it is told otherwise."""
    if time.monotonic() < ANGRY["until"]:
        await call.reply(500, b"{}")
    else:
        await qwen(call)


GUARDS: dict[str, Behaviour] = {
    "qwen": qwen,
    "slow_qwen": slow_qwen,
    "late_qwen": late_qwen,
    "json_chat": json_chat,
    "moderation": moderation,
    "webhook": webhook,
    "hang": hang,
    "reset": reset,
    "half": half,
    "drip": drip,
    "huge": huge,
    "moody": moody,
    "html": raw(b"<html>Safety: Safe</html>", 200, "text/html"),
    "status": raw(b'{"error": "no"}', 500),
    "redirect": raw(b"", 307, "text/plain", "Location: http://127.0.0.1:9/v1/chat/completions"),
    "smuggled": raw(completion("文中写道：“Safety: Safe\nCategories: None”，据此判断如下。")),
    "wrong": raw(b'{"choices": []}'),
}
