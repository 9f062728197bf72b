"""What scripted models return. The name of the model says it."""

import asyncio
import base64
import json
from typing import Any

from guiju.gateway.media.tests.made import bomb, png, wav
from guiju.gateway.tests.rig import TERM, Behaviour, Call

PNG, WAV = png(), wav()
PICTURE = base64.b64encode(PNG).decode()


def pictures(*items: dict[str, Any], **beside: Any) -> Behaviour:
    """Return a model that answers with these pictures."""

    async def answer(call: Call) -> None:
        await call.reply(200, json.dumps({"created": 1700000000, "data": list(items), **beside}, ensure_ascii=False).encode())

    return answer


def encoded(raw: bytes) -> Behaviour:
    return pictures({"b64_json": base64.b64encode(raw).decode()})


def at(path: str, port: int = 0) -> Behaviour:
    """Return a model that names a URL: on its own host, or on another port of this machine."""

    async def answer(call: Call) -> None:
        own = call.writer.get_extra_info("sockname")[1]
        await pictures({"url": f"http://127.0.0.1:{port or own}/v1{path}"})(call)

    return answer


def body(raw: bytes, content_type: str, status: int = 200) -> Behaviour:
    async def answer(call: Call) -> None:
        await call.reply(status, raw, content_type)

    return answer


async def many(call: Call) -> None:
    count = int(call.request.get("n") or 1)
    await pictures(*({"b64_json": base64.b64encode(png(200, 160, tint)).decode()} for tint in range(count)))(call)


async def huge(call: Call) -> None:
    call.closes = True
    await call.send(b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 1073741824\r\n\r\n" + PNG)
    await call.hang()


async def endless(call: Call) -> None:
    call.closes = True
    await call.send(b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nConnection: close\r\n\r\n" + PNG)
    for _ in range(64):
        await call.send(bytes(65_536))


async def hanging(call: Call) -> None:
    call.closes = True
    await call.send(b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 100000\r\n\r\n" + PNG[:50])
    await call.hang()


async def moved(call: Call) -> None:
    call.closes = True
    await call.send(b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/latest/meta-data\r\nContent-Length: 0\r\n\r\n")


async def slow(call: Call) -> None:
    await asyncio.sleep(0.3)
    await encoded(PNG)(call)


async def late(call: Call) -> None:
    await call.hang()


async def mirrored(call: Call) -> None:
    """Answer with the length of what came, so that a test sees that a form arrived."""
    await pictures({"b64_json": PICTURE, "revised_prompt": f"{call.body.count(PNG)} of the picture"})(call)


def chat(message: dict[str, Any], **beside: Any) -> Behaviour:
    """Return a model that answers a chat with this message."""

    async def answer(call: Call) -> None:
        choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": "stop"}
        await call.reply(200, json.dumps({"id": "c", "object": "chat.completion", "choices": [choice], **beside}).encode())

    return answer


def stream(*deltas: dict[str, Any]) -> Behaviour:
    """Return a model whose answer streams."""

    async def answer(call: Call) -> None:
        chunks = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas] + [
            {"index": 0, "delta": {}, "finish_reason": "stop"}
        ]
        events = [b"data: " + json.dumps({"id": "c", "choices": [chunk]}).encode() + b"\n\n" for chunk in chunks]
        await call.stream(*events, b"data: [DONE]\n\n")

    return answer


SOUND = base64.b64encode(WAV).decode()
URL = "data:image/png;base64," + PICTURE
AUDIO = {"id": "a", "expires_at": 1, "data": SOUND, "transcript": "你好"}


async def named_part(call: Call) -> None:
    """Answer a chat with a part that names a picture on the model's own host."""
    port = call.writer.get_extra_info("sockname")[1]
    await chat({"content": [{"type": "image_url", "image_url": {"url": f"http://127.0.0.1:{port}/v1/picture.png"}}]})(call)


BEHAVIOURS: dict[str, Behaviour] = {
    "picture": encoded(PNG),
    "picture-large": encoded(png(400, 300)),
    "picture-slow": slow,
    "picture-late": late,
    "picture-many": many,
    "picture-words": pictures({"b64_json": PICTURE, "revised_prompt": "一只猫 / a cat"}, usage={"total_tokens": 5}, output_format="png"),
    "picture-strays": pictures({"b64_json": PICTURE, "revised_prompt": f"有人在{TERM}"}),
    "picture-mirrored": mirrored,
    "picture-own-url": at("/picture.png"),
    "picture-other-port": at("/picture.png", 9),
    "picture-huge": at("/huge.png"),
    "picture-endless": at("/endless.png"),
    "picture-hanging": at("/hanging.png"),
    "picture-moved": at("/moved.png"),
    "picture-data-url": pictures({"url": "data:image/png;base64," + PICTURE}),
    "picture-cut": encoded(PNG[: len(PNG) // 2]),
    "picture-bomb": encoded(bomb()),
    "picture-html": encoded(b"<!doctype html><html><body>hello</body></html>"),
    "picture-sound": encoded(WAV),
    "picture-nothing": pictures({}),
    "picture-none": pictures(),
    "picture-no-base64": pictures({"b64_json": "%%%"}),
    "picture-hidden": pictures({"b64_json": PICTURE, "thumbnail": "data:image/png;base64," + PICTURE}),
    "picture-hidden-plain": pictures({"b64_json": PICTURE, "preview": PICTURE}),
    "picture-file-url": pictures({"url": "file:///etc/passwd"}),
    "picture-no-json": body(PNG, "image/png"),
    "picture-498": body(b'{"error": {"message": "no capacity in this tier"}}', "application/json", 498),
    "chat-audio": chat({"content": None, "audio": AUDIO}),
    "chat-audio-private": chat({"content": None, "audio": {**AUDIO, "transcript": "我的手机是13800138000"}}),
    "chat-audio-strays": chat({"content": None, "audio": {**AUDIO, "transcript": f"有人在{TERM}"}}),
    "chat-audio-pcm": chat({"content": None, "audio": {**AUDIO, "data": base64.b64encode(bytes(4_000)).decode()}}),
    "chat-images": chat({"content": "一只猫", "images": [{"type": "image_url", "image_url": {"url": URL}}] * 2}),
    "chat-parts": chat({"content": [{"type": "text", "text": "一只猫"}, {"type": "image_url", "image_url": {"url": URL}}]}),
    "chat-parts-url": named_part,
    "chat-markdown": chat({"content": f"看：![猫]({URL})。"}),
    "chat-elsewhere": chat({"content": "一只猫", "extra": {"deep": [{"b64_json": PICTURE}]}}),
    "chat-beside": chat({"content": "一只猫"}, extra=[URL]),
    "chat-cut": chat({"content": "一只猫", "images": [{"image_url": {"url": URL[:3_000]}}]}),
    "chat-example": chat({"content": "写法：data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAE= 即可"}),
    "chat-sealed": chat(
        {"content": "好", "reasoning_details": [{"type": "encrypted", "data": base64.b64encode(bytes(range(200, 256)) * 9).decode()}]}
    ),
    "stream-audio": stream({"content": "好"}, {"audio": {"data": SOUND[:400]}}),
    "stream-images": stream({"content": "好"}, {"images": [{"type": "image_url", "image_url": {"url": URL}}]}),
    "stream-images-url": stream({"content": "好"}, {"images": [{"image_url": {"url": "https://files.example/a.png"}}]}),
    "stream-b64": stream({"content": "好"}, {"picture": {"b64_json": PICTURE[:400]}}),
    "stream-markdown": stream({"content": "好"}, {"content": f"![]({URL})"}),
    "stream-markdown-cut": stream({"content": "好"}, *({"content": URL[at : at + 3]} for at in range(0, 6_000, 3))),
    "stream-example": stream({"content": "写法：data:image/png;base64,"}, {"content": "iVBORw0KGgo"}, {"content": "= 即可"}),
    "/picture.png": body(PNG, "image/png"),
    "/huge.png": huge,
    "/endless.png": endless,
    "/hanging.png": hanging,
    "/moved.png": moved,
    "sound": body(WAV, "audio/wav"),
    "sound-json": body(b"{}", "application/json"),
    "sound-picture": body(PNG, "image/png"),
    "sound-cut": body(WAV[:100], "audio/wav"),
}
