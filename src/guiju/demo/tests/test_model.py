"""The demo model recites what the tour needs: the starter library hits the script that strays, and no other."""

import asyncio
from typing import Any

import msgspec

from guiju.demo.model import app
from guiju.demo.scripts import SCRIPTS
from guiju.screening.libraries.library import starter_library
from guiju.screening.matching.snapshot import Snapshot
from guiju.screening.values import Policy


def ask(request: dict[str, Any]) -> tuple[int, bytes]:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": msgspec.json.encode({"model": "guiju-demo", **request}), "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(app({"type": "http", "path": "/v1/chat/completions"}, receive, send))
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent)


def test_the_starter_library_hits_the_script_that_strays_and_no_other() -> None:
    library = starter_library()
    snapshot = Snapshot(library.entries, library.version)
    for script in SCRIPTS:
        for text in (script.zh, script.en):
            verdict = snapshot.examine(text, "output", Policy())
            assert (verdict.action == "stop") == (script.name == "stray"), script.name


def test_the_long_script_is_long() -> None:
    long = next(script for script in SCRIPTS if script.name == "long")
    assert min(len(long.zh), len(long.en)) >= 600


def test_json_mode_is_json_and_a_tool_is_called() -> None:
    status, body = ask({"messages": [{"role": "user", "content": "天气"}], "response_format": {"type": "json_object"}})
    assert status == 200
    assert msgspec.json.decode(msgspec.json.decode(body)["choices"][0]["message"]["content"])["scripted"] is True
    tools = [{"type": "function", "function": {"name": "get_weather", "parameters": {}}}]
    _, body = ask({"messages": [{"role": "user", "content": "北京天气"}], "tools": tools})
    choice = msgspec.json.decode(body)["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["tool_calls"][0]["function"]["name"] == "get_weather"


def test_streamed_pieces_join_to_the_script() -> None:
    _, body = ask({"messages": [{"role": "user", "content": "你好"}], "stream": True, "stream_options": {"include_usage": True}, "n": 2})
    events = [msgspec.json.decode(line[6:]) for line in body.split(b"\n\n") if line.startswith(b"data: {")]
    for index in range(2):
        pieces = [c["delta"].get("content") or "" for event in events for c in event["choices"] if c["index"] == index]
        assert "".join(pieces) == SCRIPTS[-1].zh
    assert events[-1]["usage"]["completion_tokens"] > 0
    assert body.endswith(b"data: [DONE]\n\n")


def test_another_model_is_unknown() -> None:
    status, _ = ask({"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]})
    assert status == 404
