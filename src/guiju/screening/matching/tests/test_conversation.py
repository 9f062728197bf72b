"""What one speaker says is read over the ends of messages, parts and fields; what different speakers say is kept apart.

The guarded lines: `first == last` in `across` (without it a hit inside one turn is told twice), `_between` (without it words of two turns
melt), the tail and head of `_put_together` (without either, long turns hide a split).
"""

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guiju.gateway.inputs import examine_input
from guiju.screening.matching.conversation import joints, source_of
from guiju.screening.matching.snapshot import Snapshot
from guiju.screening.values import Hit, LibraryEntry, Policy, Verdict
from guiju.screening.view import strings

LIBRARY = [
    LibraryEntry("kw-1", "赌博", "A.1.h", "block", ("赌博罪",)),
    LibraryEntry("kw-2", "代办假身份证", "A.1.h"),
    LibraryEntry("kw-3", "sell drugs", "A.1.f"),
    LibraryEntry("kw-4", "explosives", "A.1.f"),
    LibraryEntry("kw-5", "留意一下", "A.1.f", "flag"),
]
SNAPSHOT = Snapshot(LIBRARY, "test")
POLICY = Policy(personal_on_input={"*": "pass"}, personal_on_output={"*": "pass"})


def says(role: str, content: Any, **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


def part(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}


def calls(arguments: str) -> dict[str, Any]:
    return says("assistant", None, tool_calls=[{"id": "c1", "type": "function", "function": {"name": "f", "arguments": arguments}}])


def examine(*messages: dict[str, Any], snapshot: Snapshot = SNAPSHOT, documents: frozenset[str] = frozenset()) -> Verdict:
    request = {"messages": list(messages)}
    return examine_input(snapshot, POLICY, request, strings(request), documents)


def over_joints(*messages: dict[str, Any]) -> list[Hit]:
    return [hit for hit in examine(*messages).hits if " + " in hit.path]


FOUND = {
    "two turns": [says("user", "怎样开设赌"), says("assistant", "什么？"), says("user", "博网站")],
    "one character a turn": [says("user", letter) for letter in "代办假身份证"],
    "letters, one a turn": [says("user", letter) for letter in "sell drugs"],
    "a word of English": [says("user", "tell me of explo"), says("user", "sives please")],
    "words of English": [says("user", "where to sell"), says("user", "drugs in town")],
    "parts of one message": [says("user", [part("去赌"), part("博吧")])],
    "a picture between the parts": [says("user", [part("去赌"), {"type": "image_url", "image_url": {"url": "https://a.example/b.png"}}, part("博吧")])],
    "a part and a turn": [says("user", [part("你好"), part("去赌")]), says("user", "博吧")],
    "a long term over a full stop": [says("user", "我要代办假。"), says("user", "身份证")],
    "the arguments of a tool": [says("user", "查"), calls('{"a": "去赌", "b": "博吧"}')],
    "arguments and result": [calls('{"q": "赌'), says("tool", "博", tool_call_id="c1")],
    "values of a result": [says("tool", json.dumps({"x": ["去赌", {"y": "博"}]}))],
    "results of two tools": [says("tool", "去赌", tool_call_id="a"), says("tool", "博吧", tool_call_id="b")],
    "system and developer": [says("system", "你去赌"), says("developer", "博吧"), says("user", "好")],
    "the words that the answer begins with": [says("user", "请接着写：他去赌"), says("assistant", "博了")],
    "long turns": [says("user", "春" * 500 + "赌"), says("user", "博" + "秋" * 500)],
    "an unknown role": [says("somebody", "去赌"), says("somebody", "博吧")],
}  # fmt: skip
KEPT_APART = {
    "different speakers": [says("user", "我喜欢赌"), says("assistant", "博物馆很多"), says("user", "是的")],
    "a full stop": [says("user", "他不喜欢赌。"), says("user", "博物馆在哪里")],
    "a line end": [says("user", "他不喜欢赌\n"), says("user", "博物馆在哪里")],
    "an exception": [says("user", "什么是赌"), says("user", "博罪")],
    "inside one turn": [says("user", "你好"), says("user", "去做饭")],
    "words that only touch": [says("user", "we drew explo"), says("user", "rers on sives")],
    "tool and person": [says("tool", "去赌", tool_call_id="a"), says("user", "博物馆")],
    "what is no JSON": [says("tool", '{"a": "去赌", "b": "博')],
}


@pytest.mark.parametrize("messages", FOUND.values(), ids=FOUND)
def test_a_split_term_is_found_and_both_places_are_told(messages: list[dict[str, Any]]) -> None:
    hits = over_joints(*messages)
    assert hits
    assert examine(*messages).action == "refuse"
    for hit in hits:
        first, last = hit.path.split(" + ")
        assert first != last
        assert hit.source == source_of(first, messages) or hit.source in ("tool", "assistant")


@pytest.mark.parametrize("messages", KEPT_APART.values(), ids=KEPT_APART)
def test_what_is_not_said_in_one_breath_is_no_hit(messages: list[dict[str, Any]]) -> None:
    assert examine(*messages).outcome == "pass"


def test_a_hit_has_its_place_in_both_strings_and_is_surer_within_one_message() -> None:
    [turns] = over_joints(says("user", "怎样开设赌"), says("assistant", "什么？"), says("user", " 博网站"))
    assert (turns.path, turns.start, turns.end) == ("messages[0].content + messages[2].content", 4, 2)
    assert (turns.confidence, turns.source, turns.rule) == ("medium", "user", "kw-1")
    long = "春" * 500
    [parts] = over_joints(says("user", [part(long + "赌"), part("博" + long)]))
    assert (parts.path, parts.start, parts.end) == ("messages[0].content[0].text + messages[0].content[1].text", 500, 1)
    assert parts.confidence == "high"


def test_a_hit_inside_one_turn_is_told_once() -> None:
    verdict = examine(says("user", "去赌博吧"), says("user", "好"))
    assert [(hit.path, hit.source) for hit in verdict.hits] == [("messages[0].content", "user")]


def test_flagged_words_over_a_joint_only_flag() -> None:
    verdict = examine(says("user", "请留意"), says("user", "一下"))
    assert [hit.action for hit in verdict.hits] == ["deliver"]
    assert verdict.action == "deliver"


@pytest.mark.parametrize(
    ("message", "path", "source"),
    [
        (says("system", "去赌博"), "messages[0].content", "system"),
        (says("developer", "去赌博"), "messages[0].content", "system"),
        (says("user", "去赌博"), "messages[0].content", "user"),
        (says("assistant", "去赌博"), "messages[0].content", "assistant"),
        (says("tool", "去赌博", tool_call_id="a"), "messages[0].content", "tool"),
        (says("nobody", "去赌博"), "messages[0].content", "user"),
        (calls('{"q": "去赌博"}'), "messages[0].tool_calls[0].function.arguments", "assistant"),
        (says("user", [{"type": "file", "file": {"file_data": "data:text/plain,去赌博"}}]), "", "document"),
    ],
)
def test_every_role_is_examined_and_a_hit_says_whose_the_text_was(message: dict[str, Any], path: str, source: str) -> None:
    """A hit in a document or a tool's result is not the person's misuse, so the record tells them apart."""
    verdict = examine(message, says("user", "请总结"))
    assert verdict.action == "refuse"
    assert {hit.source for hit in verdict.hits} == {source}
    assert not path or {hit.path for hit in verdict.hits} == {path}


def test_a_retrieved_passage_that_the_application_names_is_a_document() -> None:
    passage = frozenset({"messages[0].content[1].text"})
    verdict = examine(says("user", [part("请总结"), part("去赌博")]), documents=passage)
    assert [hit.source for hit in verdict.hits] == ["document"]
    assert verdict.action == "refuse"


def test_what_the_application_says_beside_the_messages_is_the_systems() -> None:
    request = {"messages": [says("user", "你好")], "tools": [{"type": "function", "function": {"name": "f", "description": "去赌博"}}]}
    verdict = examine_input(SNAPSHOT, POLICY, request, strings(request))
    assert [hit.source for hit in verdict.hits] == ["system"]
    odd = {"messages": [says("user", "你好")], "messages[9]": "去赌博", "messages[x": "去赌博"}
    assert {hit.source for hit in examine_input(SNAPSHOT, POLICY, odd, strings(odd)).hits} == {"system"}


@settings(max_examples=300, deadline=None)
@given(st.text("春夏秋冬ab .，", max_size=90), st.text("春夏秋冬ab .，", max_size=90), st.integers(1, 5), st.sampled_from(["turns", "parts", "values"]))  # fmt: skip
def test_wherever_a_term_is_split_it_is_found(before: str, behind: str, at: int, how: str) -> None:
    a, b = before + "代办假身份证"[:at], "代办假身份证"[at:] + behind
    messages = {
        "turns": [says("user", a), says("assistant", "嗯。"), says("user", b)],
        "parts": [says("user", [part(a), part(b)])],
        "values": [says("tool", json.dumps([a, b]))],
    }[how]
    [hit] = {(hit.rule, hit.start) for hit in over_joints(*messages)}
    assert hit == ("kw-2", len(before))


def test_one_plain_message_has_no_joints_and_hostile_ones_take_linear_time() -> None:
    assert joints([says("user", "你好")], 64) == []
    assert joints([says("user", 5), says("user", None), says("user", ["x", 7, {"text": 3}]), says("user", "")], 64) == []

    def cpu_s(count: int) -> float:
        begun = time.process_time()
        examine(*[says("user", letter) for letter in "春夏" * count], says("tool", "[" * 50_000), says("tool", json.dumps(["赌"] * count)))
        return time.process_time() - begun

    assert cpu_s(20_000) < 3  # quadratic would be minutes
