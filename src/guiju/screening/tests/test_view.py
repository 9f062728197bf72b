"""The view holds every string that reaches a model: a marker is put in each place by a walker of this test's own.

The guarded lines are in `view.py`: `found.append(name)` for names, and the two `else` branches that descend.
"""

import base64
import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from guiju.screening.view import BINARY_CHARACTERS, paths, strings

PICTURE = "data:image/png;base64," + base64.b64encode(bytes(range(256)) * 40).decode()
SOUND = base64.b64encode(b"RIFF" + bytes(range(255, 0, -1)) * 40).decode()

REQUEST: dict[str, Any] = {
    "model": "m",
    "messages": [
        {"role": "developer", "content": "be kind", "name": "dev"},
        {"role": "system", "content": [{"type": "text", "text": "be brief"}]},
        {
            "role": "user",
            "name": "ann",
            "content": [
                {"type": "text", "text": "look"},
                {"type": "image_url", "image_url": {"url": "https://a.example/b.png", "detail": "low"}},
                {"type": "input_audio", "input_audio": {"data": "not base64!", "format": "wav"}},
                {"type": "file", "file": {"file_data": "not base64!", "file_id": "f", "filename": "a.pdf"}},
            ],
        },
        {
            "role": "assistant",
            "content": [{"type": "text", "text": "ok"}, {"type": "refusal", "refusal": "no"}],
            "refusal": "not that",
            "audio": {"id": "a"},
            "function_call": {"name": "f", "arguments": "{}"},
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "x"}'}},
                {"id": "c2", "type": "custom", "custom": {"name": "sql", "input": "select"}},
            ],
            "reasoning_content": "hm",
        },
        {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "sunny"}]},
        {"role": "function", "name": "f", "content": "done"},
    ],
    "tools": [
        {
            "type": "function",
            "function": {
                "name": "weather",
                "description": "tells",
                "strict": True,
                "parameters": {
                    "type": "object",
                    "properties": {"city": {"type": "string", "description": "where", "enum": ["a", "b"]}},
                    "required": ["city"],
                    "additionalProperties": False,
                },
            },
        },
        {"type": "custom", "custom": {"name": "sql", "description": "asks", "format": {"type": "grammar", "grammar": {"definition": "s: x", "syntax": "lark"}}}},
    ],
    "tool_choice": {"type": "function", "function": {"name": "weather"}},
    "functions": [{"name": "f", "description": "old", "parameters": {"type": "object"}}],
    "function_call": {"name": "f"},
    "parallel_tool_calls": True,
    "response_format": {"type": "json_schema", "json_schema": {"name": "s", "description": "d", "schema": {"type": "object", "title": "t"}, "strict": True}},
    "prediction": {"type": "content", "content": [{"type": "text", "text": "likely"}]},
    "metadata": {"topic": "x"},
    "stop": ["END", "FIN"],
    "logit_bias": {"50256": -100},
    "user": "u",
    "safety_identifier": "s",
    "prompt_cache_key": "k",
    "prompt_cache_retention": "24h",
    "reasoning_effort": "low",
    "verbosity": "low",
    "service_tier": "auto",
    "modalities": ["text", "audio"],
    "audio": {"voice": "alloy", "format": "wav"},
    "web_search_options": {"search_context_size": "low", "user_location": {"type": "approximate", "approximate": {"city": "c", "country": "CN", "region": "r", "timezone": "t"}}},
    "stream_options": {"include_usage": True, "include_obfuscation": False},
    "extra_body": {"chat_template": "tpl", "documents": [{"title": "t", "text": "d"}]},
    "unknown_extra": [["deep", {"deeper": "text"}]],
    "n": 1, "temperature": 0.5, "top_p": 1, "max_tokens": 5, "max_completion_tokens": 5, "presence_penalty": 0, "frequency_penalty": 0.0,
    "logprobs": None, "top_logprobs": None, "seed": 7, "store": False, "stream": False,
}  # fmt: skip

DEFINED = {"temperature", "messages", "role", "content", "tool_calls", "function", "arguments", "url", "data", "schema"}
"""Names that the API defines; some of them stand in the request above."""

Path = tuple[str | int, ...]


def walk(value: object, path: Path = ()) -> Iterator[Path]:
    if isinstance(value, str):
        yield path
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from walk(item, (*path, name))
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from walk(item, (*path, place))


def objects(value: object, path: Path = ()) -> Iterator[Path]:
    if isinstance(value, dict):
        yield path
        for name, item in value.items():
            yield from objects(item, (*path, name))
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from objects(item, (*path, place))


def at(value: Any, path: Path) -> Any:
    for step in path:
        value = value[step]
    return value


def test_every_string_in_every_place_is_in_the_view_with_its_path() -> None:
    marked = copy.deepcopy(REQUEST)
    places = list(walk(REQUEST))
    assert len(places) > 80
    for number, path in enumerate(places):
        at(marked, path[:-1])[path[-1]] = f"marker-{number}!"
    found = dict(paths(marked))
    for number, path in enumerate(places):
        shown = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")
        assert found[shown] == f"marker-{number}!"
        assert f"marker-{number}!" in strings(marked)


def test_every_name_that_the_api_does_not_define_is_in_the_view() -> None:
    for path in objects(REQUEST):
        marked = copy.deepcopy(REQUEST)
        at(marked, path)["a name of mine"] = None
        assert "a name of mine" in strings(marked)
        assert "a name of mine" in [text for _, text in paths(marked)]
    assert DEFINED.isdisjoint(strings(dict.fromkeys(DEFINED, 1)))


def test_both_ways_of_walking_give_the_same() -> None:
    assert strings(REQUEST) == [text for _, text in paths(REQUEST)]
    odd = {"a": PICTURE, "data": SOUND, "list": [PICTURE, "data:text/plain;base64,aGk=", None, 1.5, True], "": {"": ""}}
    assert strings(odd) == [text for _, text in paths(odd)]


def test_pictures_and_sounds_are_not_taken_for_words() -> None:
    assert strings({"image_url": {"url": PICTURE}}) == []
    assert strings({"input_audio": {"data": SOUND, "format": "mp3"}}) == ["mp3"]
    assert strings({"file": {"file_data": SOUND}}) == []


TEXT = "我们去赌博吧。"
SPELLINGS = {
    "plain": "data:text/plain;base64," + base64.b64encode(TEXT.encode()).decode(),
    "in capitals": "DATA:Text/Plain;Base64," + base64.b64encode(TEXT.encode()).decode(),
    "with a charset": "data:text/plain;charset=utf-8;base64," + base64.b64encode(TEXT.encode()).decode(),
    "in GB 18030": "data:text/plain;charset=gb18030;base64," + base64.b64encode(TEXT.encode("gb18030")).decode(),
    "in GB 18030, not said": "data:text/plain;base64," + base64.b64encode(TEXT.encode("gb18030")).decode(),
    "in UTF-16": "data:text/plain;charset=utf-16;base64," + base64.b64encode(TEXT.encode("utf-16")).decode(),
    "no type": "data:;base64," + base64.b64encode(TEXT.encode()).decode(),
    "called a picture": "data:image/png;base64," + base64.b64encode(TEXT.encode()).decode(),
    "JSON": "data:application/json;base64," + base64.b64encode(json.dumps([TEXT], ensure_ascii=False).encode()).decode(),
    "safe for URLs": "data:text/plain;base64," + base64.urlsafe_b64encode(("?>~~" * 3 + TEXT).encode()).decode().rstrip("="),
    "over lines": "data:text/plain;base64," + base64.encodebytes((TEXT * 9).encode()).decode(),
    "long": "data:text/plain;base64," + base64.b64encode(TEXT.encode() * 200).decode(),
    "percent": "data:text/plain,%E8%B5%8C%E5%8D%9A",
    "as it is": f"data:text/plain,{TEXT}",
}


@pytest.mark.parametrize("url", SPELLINGS.values(), ids=SPELLINGS)
def test_text_in_a_data_url_is_in_the_view(url: str) -> None:
    for value in ({"image_url": {"url": url}}, [url], {"file": {"file_data": url}}):
        assert any("赌博" in text for text in strings(value))
        assert any("赌博" in text for _, text in paths(value))


def test_text_in_a_file_is_in_the_view() -> None:
    for text in (TEXT, TEXT * 300):
        assert any(TEXT in found for found in strings({"file": {"file_data": base64.b64encode(text.encode()).decode()}}))


def test_words_are_not_taken_for_base64() -> None:
    """A thousand letters, hyphens and line ends are base64 too; only a field that holds files is read so."""
    words = "how-to-sell-drugs\n" * (BINARY_CHARACTERS // 10)
    for value in ({"content": words}, {"content": [{"text": words}]}, {"x": {"y": words}}, [words], {words: 1}):
        assert words in strings(value)


@pytest.mark.parametrize(
    "url",
    [
        "data:",
        "data:,",
        "data:;base64,",
        "data:;base64,=",
        "data:;charset=nonsense;base64,aGk=",
        "data:text/plain;base64,a",
        "data:x;base64,%%%",
    ],
)
def test_a_broken_data_url_is_text(url: str) -> None:
    assert url in strings([url])


def test_a_name_of_a_megabyte_does_not_stand_before_each_value_under_it() -> None:
    """Red when paths are not shortened: ten thousand values under one long name took ten gigabytes."""
    value: object = [f"value {place}" for place in range(1_000)]
    for _ in range(50):
        value = {"a name of thirty characters ...": value}
    found = paths({"k" * 1_000_000: value, "l" * 1_000: "short", "messages": [{"content": "好"}]})
    assert max(len(path) for path, _ in found) < 450
    assert len({path for path, _ in found}) == len(found) == 1_000 + 50 + 2 + 2
    assert [text for _, text in found] == strings({"k" * 1_000_000: value, "l" * 1_000: "short", "messages": [{"content": "好"}]})
    assert found[-1] == ("messages[0].content", "好")
