"""The official Python SDK, unmodified, against a real worker."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from guiju.gateway.tests.rig import KEYS, REVOKED, TERM, Worker
from tests.sdk.scripted import WEATHER

LABEL = "\n\n（AI 生成）"
ASK: list[Any] = [{"role": "user", "content": "北京天气怎么样？"}]
TOOLS: list[Any] = [
    {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}
]


@pytest.fixture
def client(worker: Worker) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=worker.url, api_key=KEYS["main"], max_retries=0) as made:
        yield made


def test_a_chat_with_its_label_and_request_id(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="sdk", messages=ASK)
    assert answer.choices[0].message.content == WEATHER + LABEL
    assert answer.usage is not None
    assert answer.usage.total_tokens == 8
    extra = answer.model_extra or {}
    assert extra["aigc"]["ProduceID"] == answer._request_id
    assert extra["aigc"]["Label"] == "1"


def test_raw_response_headers(client: openai.OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(model="sdk", messages=ASK)
    assert raw.headers["x-aigc-label"] == "1"
    assert raw.headers["x-aigc-produceid"] == raw.headers["x-request-id"]
    assert raw.parse().choices[0].finish_reason == "stop"


def test_a_stream_with_usage(client: openai.OpenAI) -> None:
    text, finishes, usage = "", [], None
    for chunk in client.chat.completions.create(model="sdk", messages=ASK, stream=True, stream_options={"include_usage": True}):
        usage = chunk.usage or usage
        for choice in chunk.choices:
            text += choice.delta.content or ""
            finishes += [choice.finish_reason] if choice.finish_reason else []
    assert text == WEATHER + LABEL
    assert finishes == ["stop"]
    assert usage is not None
    assert usage.total_tokens == 8


def test_the_stream_helper(client: openai.OpenAI) -> None:
    with client.chat.completions.stream(model="sdk", messages=ASK) as stream:
        deltas = "".join(event.delta for event in stream if event.type == "content.delta")
        final = stream.get_final_completion()
    assert deltas == final.choices[0].message.content == WEATHER + LABEL
    assert final.choices[0].finish_reason == "stop"


def test_two_choices_whole_and_streamed(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="sdk", messages=ASK, n=2)
    assert [choice.message.content for choice in answer.choices] == [WEATHER + LABEL, "第2种说法。" + LABEL]
    texts = {0: "", 1: ""}
    for chunk in client.chat.completions.create(model="sdk", messages=ASK, n=2, stream=True):
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
    assert texts == {0: WEATHER + LABEL, 1: "第2种说法。" + LABEL}


def test_parallel_tool_calls_whole_and_streamed(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="sdk", messages=ASK, tools=TOOLS, parallel_tool_calls=True)
    with client.chat.completions.stream(model="sdk", messages=ASK, tools=TOOLS) as stream:
        done = [event for event in stream if event.type == "tool_calls.function.arguments.done"]
        final = stream.get_final_completion()
    assert [json.loads(event.arguments) for event in done] == [{"city": "北京"}, {"city": "上海"}]
    for message, reason in (
        (answer.choices[0].message, answer.choices[0].finish_reason),
        (final.choices[0].message, final.choices[0].finish_reason),
    ):
        assert reason == "tool_calls"
        assert not message.content
        calls = message.tool_calls or []
        assert [call.id for call in calls] == ["call_1", "call_2"]
        assert [json.loads(call.function.arguments)["city"] for call in calls if call.type == "function"] == ["北京", "上海"]


def test_log_probabilities_whole_and_streamed(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="sdk", messages=ASK, logprobs=True)
    logprobs = answer.choices[0].logprobs
    assert logprobs is not None
    assert "".join(entry.token for entry in logprobs.content or []) == answer.choices[0].message.content == WEATHER
    tokens = ""
    for chunk in client.chat.completions.create(model="sdk", messages=ASK, logprobs=True, stream=True):
        for choice in chunk.choices:
            tokens += "".join(entry.token for entry in (choice.logprobs.content if choice.logprobs else None) or [])
    assert tokens == WEATHER


def test_json_mode_stays_json(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="sdk", messages=ASK, response_format={"type": "json_object"})
    assert json.loads(answer.choices[0].message.content or "") == {"city": "北京", "degrees": 21}
    with client.chat.completions.stream(model="sdk", messages=ASK, response_format={"type": "json_object"}) as stream:
        final = stream.get_final_completion()
    assert json.loads(final.choices[0].message.content or "") == {"city": "北京", "degrees": 21}
    assert (final.model_extra or {})["aigc"]["explicit_required"] is True


def test_models_are_listed(client: openai.OpenAI) -> None:
    assert "listed" in {model.id for model in client.models.list()}


def test_a_stopped_answer(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(model="strays", messages=ASK)
    assert whole.choices[0].finish_reason == "content_filter"
    text, finish, retraction = "", "", None
    for chunk in client.chat.completions.create(model="strays", messages=ASK, stream=True):
        retraction = (chunk.model_extra or {}).get("retraction", retraction)
        for choice in chunk.choices:
            text += choice.delta.content or ""
            finish = choice.finish_reason or finish
    assert finish == "content_filter"
    assert TERM not in text
    assert retraction is not None
    assert retraction["replace_with"] in text


ERRORS: dict[str, tuple[dict[str, Any], type[openai.APIStatusError], str]] = {
    "unknown key": ({"key": "sk-wrong"}, openai.AuthenticationError, "key_unknown"),
    "revoked key": ({"key": REVOKED}, openai.AuthenticationError, "key_revoked"),
    "unknown model": ({"key": KEYS["narrow"]}, openai.NotFoundError, "model_unknown"),
    "refused input": ({"messages": [{"role": "user", "content": TERM}]}, openai.BadRequestError, "input_refused"),
    "wrong type": ({"messages": []}, openai.BadRequestError, "field_invalid"),
    "upstream says no": ({"model": "refuse_422"}, openai.UnprocessableEntityError, "upstream_refused"),
    "upstream is busy": ({"model": "refuse_429"}, openai.RateLimitError, "upstream_busy"),
    "upstream fails": ({"model": "refuse_500"}, openai.InternalServerError, "upstream_failed"),
    "upstream hangs": ({"model": "hang_head"}, openai.InternalServerError, "upstream_timeout"),
}


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize(("request_", "kind", "code"), ERRORS.values(), ids=ERRORS)
def test_errors_are_the_sdks_own(
    client: openai.OpenAI, request_: dict[str, Any], kind: type[openai.APIStatusError], code: str, streams: bool
) -> None:
    sent = {"model": "sdk", "messages": ASK, **request_}
    key = sent.pop("key", KEYS["main"])
    with pytest.raises(kind) as caught:
        client.with_options(api_key=key).chat.completions.create(**sent, stream=streams)
    assert caught.value.code == code
    assert caught.value.request_id
    assert TERM not in str(caught.value)


def test_an_error_in_the_middle_of_a_stream(client: openai.OpenAI) -> None:
    heard: list[str] = []
    stream = client.chat.completions.create(model="error_middle", messages=ASK, stream=True)
    with pytest.raises(openai.APIError) as caught:
        heard.extend(choice.delta.content or "" for chunk in stream for choice in chunk.choices)
    assert "".join(heard).startswith("你好，")
    assert caught.value.code == "upstream_broken"


def test_the_asynchronous_client(worker: Worker) -> None:
    async def ask() -> list[str]:
        async with openai.AsyncOpenAI(base_url=worker.url, api_key=KEYS["main"], max_retries=0) as client:

            async def one() -> str:
                stream = await client.chat.completions.create(model="sdk", messages=ASK, stream=True)
                return "".join([choice.delta.content or "" async for chunk in stream for choice in chunk.choices])

            return await asyncio.gather(*(one() for _ in range(10)))

    assert asyncio.run(ask()) == [WEATHER + LABEL] * 10


def test_moderations(client: openai.OpenAI) -> None:
    answer = client.moderations.create(input=["今天天气好", TERM], model="omni-moderation-latest")
    assert answer.model == "guiju-screening-library-1"
    clean, hit = answer.results
    assert (clean.flagged, hit.flagged) == (False, True)
    assert (clean.categories.illicit, hit.categories.illicit, hit.categories.violence) == (False, True, False)
    assert hit.category_scores.illicit == 1.0
    assert hit.category_applied_input_types.illicit == ["text"]
    assert (hit.categories.model_extra or {})["A.1.h"] is True
    assert hit.categories.sexual_minors is None  # type: ignore[comparison-overlap]  # nothing covers it: the SDK takes the null
    assert "sexual/minors" in (hit.model_extra or {})["not_covered"]


def test_moderation_of_parts_an_answer_and_an_error(client: openai.OpenAI) -> None:
    parts: list[Any] = [{"type": "text", "text": "好"}, {"type": "image_url", "image_url": {"url": "https://pictures.example/1.png"}}]
    (result,) = client.moderations.create(input=parts).results
    assert result.flagged is True
    assert (result.model_extra or {})["not_examined"] == [{"index": 1, "type": "image_url"}]
    assert client.moderations.create(input=TERM, extra_body={"guiju": {"direction": "output"}}).results[0].flagged
    with pytest.raises(openai.BadRequestError) as caught:
        client.moderations.create(input=[])
    assert caught.value.code == "field_invalid"
    with pytest.raises(openai.AuthenticationError):
        client.with_options(api_key="sk-wrong").moderations.create(input="x")
