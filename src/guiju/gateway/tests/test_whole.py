"""A whole answer: a term is stopped wherever it stands, the rest leaves as it came, and the label breaks nothing.

The guarded lines are in `whole.py`: `examine_json` over the whole answer, and `is_clean(choice)` in `_without_hits`.
"""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from guiju.gateway.whole import WholeAnswer, whole_answer
from guiju.labelling.values import ExplicitMode, Label
from guiju.screening.matching.snapshot import Snapshot
from guiju.screening.values import LibraryEntry, Policy

TERM = "赌博"
NOTICE = "【停】"
LABEL = "（AI 生成）"
SNAPSHOT = Snapshot([LibraryEntry("kw-1", TERM, "A.1.h", "block", ("赌博罪",)), LibraryEntry("kw-2", "flagged", "A.1.f", "flag")], "test")

FULL: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1700000000,
    "model": "m",
    "system_fingerprint": "fp",
    "service_tier": "default",
    "x_top": {"note": "text", "list": ["a", ["b"]]},
    "choices": [
        {
            "index": 0,
            "finish_reason": "tool_calls",
            "x_choice": "text",
            "logprobs": {
                "content": [
                    {"token": "hi", "logprob": -0.1, "bytes": [104], "top_logprobs": [{"token": "ho", "logprob": -2.0, "bytes": None}]}
                ],
                "refusal": None,
            },
            "message": {
                "role": "assistant",
                "content": "hello there",
                "refusal": "no",
                "reasoning_content": "let me think",
                "name": "bot",
                "annotations": [
                    {"type": "url_citation", "url_citation": {"url": "https://a.example", "title": "t", "start_index": 0, "end_index": 1}}
                ],
                "audio": {"id": "a1", "data": "QUJD", "transcript": "hello", "expires_at": 1},
                "function_call": {"name": "f", "arguments": "{}"},
                "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "x"}'}},
                    {"id": "c2", "type": "custom", "custom": {"name": "sql", "input": "select 1"}},
                ],
                "x_message": {"deep": [{"deeper": "text"}]},
            },
        }
    ],
    "usage": {
        "prompt_tokens": 1,
        "completion_tokens": 2,
        "total_tokens": 3,
        "completion_tokens_details": {"reasoning_tokens": 1},
        "x": "text",
    },
}


def places(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield the way to every string of a JSON value."""
    if isinstance(value, str):
        yield path
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from places(item, (*path, name))
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from places(item, (*path, place))


def at(value: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        value = value[step]
    return value


def put(value: Any, path: tuple[str | int, ...], text: str) -> Any:
    changed = copy.deepcopy(value)
    at(changed, path[:-1])[path[-1]] = text
    return changed


def answer(value: dict[str, Any], mode: ExplicitMode = "interface", *, prose: bool = True) -> tuple[WholeAnswer, dict[str, Any]]:
    label = Label(mode=mode, text=LABEL, content_producer="p")
    whole = whole_answer(copy.deepcopy(value), SNAPSHOT, Policy(), label, "P1", prose=prose, notice=lambda: NOTICE)
    return whole, json.loads(whole.body)


def said(*contents: str | None, **message: Any) -> dict[str, Any]:
    choices = [
        {"index": place, "message": {"role": "assistant", "content": content, **message}, "finish_reason": "stop"}
        for place, content in enumerate(contents)
    ]
    return {"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": choices}


def test_a_clean_answer_leaves_as_it_came_with_the_label_object_beside_it() -> None:
    whole, left = answer(FULL)
    label = left.pop("aigc")
    assert left == FULL
    assert whole.hits == ()
    assert list(label)[:7] == [
        "Label",
        "ContentProducer",
        "ProduceID",
        "ReservedCode1",
        "ContentPropagator",
        "PropagateID",
        "ReservedCode2",
    ]


@pytest.mark.parametrize("path", list(places(FULL)), ids=lambda path: ".".join(map(str, path)))
def test_a_term_is_stopped_in_every_string_of_an_answer(path: tuple[str | int, ...]) -> None:
    whole, left = answer(put(FULL, path, f"go {TERM} now"))
    assert TERM not in whole.body.decode()
    assert [hit.rule for hit in whole.hits] == ["kw-1"]
    assert [choice["finish_reason"] for choice in left["choices"]] == ["content_filter"]
    assert left["choices"][0]["message"]["content"] == NOTICE
    assert left["retraction"] == {"choice": 0, "reason": "content_filter", "replace_with": NOTICE, "record": "P1"}


@pytest.mark.parametrize(
    "path", [(), ("x_top",), ("usage",), ("choices", 0), ("choices", 0, "message"), ("choices", 0, "message", "x_message")]
)
@pytest.mark.parametrize("name", [TERM, f"choices[0].{TERM}", f"choices[0]{TERM}"])
def test_a_term_is_stopped_in_every_name(path: tuple[str | int, ...], name: str) -> None:
    changed = copy.deepcopy(FULL)
    at(changed, path)[name] = 1
    whole, left = answer(changed)
    assert TERM not in whole.body.decode()
    assert left["choices"][0]["finish_reason"] == "content_filter"


@pytest.mark.parametrize("index", [TERM, {"x": TERM}, [TERM]])
def test_an_index_that_is_no_number_does_not_leave(index: object) -> None:
    changed = copy.deepcopy(FULL)
    changed["choices"][0]["index"] = index
    whole, left = answer(changed)
    assert TERM not in whole.body.decode()
    assert left["choices"][0]["index"] == 0


def test_only_the_choice_with_the_hit_is_stopped() -> None:
    whole, left = answer(said("晴天", f"去{TERM}", "雨天", f"又{TERM}"), "suffix")
    assert [choice["message"]["content"] for choice in left["choices"]] == [f"晴天\n\n{LABEL}", NOTICE, f"雨天\n\n{LABEL}", NOTICE]
    assert whole.applied == "suffix"
    assert whole.released_characters == 4
    assert whole.finishes == ["stop", "content_filter", "stop", "content_filter"]
    assert [retraction["choice"] for retraction in left["retraction"]] == [1, 3]


def test_a_hit_beside_the_choices_stops_them_all() -> None:
    _, left = answer(said("晴天", "雨天") | {"note": TERM, "usage": {"total_tokens": 3}})
    assert [choice["message"]["content"] for choice in left["choices"]] == [NOTICE, NOTICE]
    assert left["usage"] == {"total_tokens": 3}
    assert "note" not in left


def test_an_excused_word_and_a_flagged_one_leave() -> None:
    whole, left = answer(said("赌博罪是罪名, flagged"))
    assert left["choices"][0]["message"]["content"] == "赌博罪是罪名, flagged"
    assert [(hit.rule, hit.action) for hit in whole.hits] == [("kw-2", "deliver")]
    assert "retraction" not in left


def test_nobody_else_labels_or_retracts() -> None:
    _, left = answer(said("好") | {"aigc": {"Label": "3"}, "retraction": {"choice": 0}})
    assert left["aigc"]["Label"] == "1"
    assert "retraction" not in left


@pytest.mark.parametrize(
    ("mode", "wanted"),
    [("suffix", f"好\n\n{LABEL}"), ("prefix", f"{LABEL}\n\n好"), ("both", f"{LABEL}\n\n好\n\n{LABEL}"), ("interface", "好")],
)
def test_the_label_stands_where_the_service_wants_it(mode: ExplicitMode, wanted: str) -> None:
    whole, left = answer(said("好"), mode)
    assert left["choices"][0]["message"]["content"] == wanted
    assert whole.applied == left["aigc"]["explicit"] == mode
    assert left["aigc"]["explicit_required"] is (mode == "interface")


UNTOUCHED = {
    "an object": '{"a": "赌"}',
    "an array": " [1, 2]\n",
    "deep brackets": "[" * 5_000 + "]" * 5_000,
    "an open fence": "see:\n```py\nprint(1)",
    "an open fence of tildes": "~~~\nx",
    "a fence closed by too few": "````\n```\n",
    "nothing": "",
    "blanks": " \n",
}


@pytest.mark.parametrize("text", UNTOUCHED.values(), ids=UNTOUCHED)
@pytest.mark.parametrize("mode", ["suffix", "prefix", "both"])
def test_what_a_program_reads_is_left_alone(text: str, mode: ExplicitMode) -> None:
    whole, left = answer(said(text), mode)
    assert left["choices"][0]["message"]["content"] == text
    assert whole.applied == "interface"
    assert left["aigc"]["explicit_required"] is True


def test_tool_calls_and_json_mode_are_left_alone() -> None:
    calls = [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    assert answer(said("calling", tool_calls=calls), "both")[1]["choices"][0]["message"]["content"] == "calling"
    assert answer(said("words"), "both", prose=False)[1]["choices"][0]["message"]["content"] == "words"
    assert answer(said(None, refusal="no"), "both")[0].applied == "interface"


@pytest.mark.parametrize("text", ["[see note]", "{not json}", "```py\nx\n```", "text with ``` inside", "~~~\nx\n~~~\nafter"])
def test_what_only_looks_like_it_is_labelled(text: str) -> None:
    assert answer(said(text), "suffix")[1]["choices"][0]["message"]["content"] == f"{text}\n\n{LABEL}"


@pytest.mark.parametrize("value", [{}, {"choices": None}, {"choices": []}, {"choices": {}}, {"choices": ["x"]}, {"choices": [None]}])
def test_what_is_no_answer_is_refused(value: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="choices"):
        answer(value)


def test_a_record_does_not_take_a_long_finish_whole() -> None:
    """Guarded: the cut at `FINISH_CHARACTERS`; what leaves is not cut."""
    value = said("好")
    value["choices"][0]["finish_reason"] = "x" * 1_000
    made, left = answer(value)
    assert (made.finishes, left["choices"][0]["finish_reason"]) == (["x" * 100], "x" * 1_000)
