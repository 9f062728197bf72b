"""Streams whose text waits, as the official Python SDK reads them.

What its helper takes for complete is complete: red when `AnswerStream._settle` lets nothing out (strict tools then raise JSONDecodeError).
"""

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from guiju.gateway.tests.rig import KEYS, Worker
from tests.sdk.scripted import HELD, TURNS

ASK: list[Any] = [{"role": "user", "content": "北京天气怎么样？"}]
TOOLS: list[Any] = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "strict": True,
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
                "additionalProperties": False,
            },
        },
    }
]
LABEL = "\n\n（AI 生成）"


@pytest.fixture
def client(worker: Worker) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=worker.url, api_key=KEYS["main"], max_retries=0) as made:
        yield made


def test_every_piece_has_a_choice_to_read(client: openai.OpenAI) -> None:
    """The loop of every guide. Red when `AnswerStream._emit_beside` sends `choices: []`."""
    text, beside = "", []
    for chunk in client.chat.completions.create(model="held", messages=ASK, stream=True):
        text += chunk.choices[0].delta.content or ""
        beside.append((chunk.model_extra or {}).get("x_place"))
    assert text == "".join(HELD) + LABEL
    assert [each for each in beside if each is not None] == list(range(len(HELD) + 2))


@pytest.mark.parametrize("asked", ["words", "tools", "json"])
def test_the_first_event_claims_nothing_about_the_label_that_is_not_decided(client: openai.OpenAI, asked: str) -> None:
    """The helper keeps the first `aigc`, a loop the last. Red when `AnswerStream._emit` puts the label's mode into the first."""
    more: dict[str, Any] = {"tools": TOOLS} if asked == "tools" else {"response_format": {"type": "json_object"}} if asked == "json" else {}
    last: dict[str, Any] = {}
    with client.chat.completions.stream(model="sdk", messages=ASK, **more) as stream:
        for event in stream:
            if event.type == "chunk":
                last = (event.chunk.model_extra or {}).get("aigc") or last
        first = (stream.get_final_completion().model_extra or {})["aigc"]
    told = {"words": ("suffix", False), "tools": ("interface", True), "json": ("interface", True)}[asked]
    assert (last["explicit"], last["explicit_required"]) == told
    assert (first["explicit"], first["explicit_required"]) == ("interface" if asked == "json" else "undecided", True)
    own = ("explicit", "explicit_required")
    assert {key: value for key, value in first.items() if key not in own} == {key: value for key, value in last.items() if key not in own}


@pytest.mark.parametrize("strict", [True, False])
def test_the_helper_hears_each_call_complete_and_once(client: openai.OpenAI, strict: bool) -> None:
    tools = [{**TOOLS[0], "function": {**TOOLS[0]["function"], "strict": strict}}]
    done, words = [], []
    with client.chat.completions.stream(model="turn", messages=ASK, tools=tools) as stream:
        for event in stream:
            if event.type == "tool_calls.function.arguments.done":
                done.append((event.index, json.loads(event.arguments)))
            elif event.type == "content.done":
                words.append(event.content)
        final = stream.get_final_completion()
    assert done == list(enumerate({"city": city} for city in TURNS))
    assert words == ["我来查，不赌"]
    calls = final.choices[0].message.tool_calls or []
    assert [call.function.parsed_arguments for call in calls] == [{"city": city} if strict else None for city in TURNS]
    assert (final.choices[0].message.model_extra or {})["reasoning_content"] == "先想一想，不赌"


def test_reasoning_is_complete_when_the_words_begin(client: openai.OpenAI) -> None:
    heard: list[str] = []
    for chunk in client.chat.completions.create(model="turn", messages=ASK, stream=True):
        delta = chunk.choices[0].delta
        heard += [f"reasoning {text}" for text in [(delta.model_extra or {}).get("reasoning_content")] if text]
        heard += [f"words {delta.content}"] if delta.content else []
    kinds = [each.split()[0] for each in heard]
    assert kinds == sorted(kinds)
    assert "".join(each.removeprefix("reasoning ") for each in heard if each.startswith("r")) == "先想一想，不赌"
