"""An answer whose text comes in several parts is read as a reader sees it: one text, for terms, detectors, classifier, guards and the label.

Guarded lines, each seen red when changed: `together` in `whole_answer` and in `_without_hits`, both `_parts` and `_spelled` in `_hide`,
`text_of` in `_sent`, `put_around`, `words_in` in `judge_answer` and in `afterwards.py`, `as_one_text` in `guard_parts.py`.
"""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guiju.gateway.guard_parts import answer_parts
from guiju.gateway.inputs import examine_input
from guiju.gateway.whole import WholeAnswer, whole_answer
from guiju.labelling.values import ExplicitMode, Label
from guiju.screening.classifier.afterwards import Afterwards
from guiju.screening.classifier.model import Classifier
from guiju.screening.matching.continued import before_of
from guiju.screening.matching.snapshot import Snapshot
from guiju.screening.tests.test_watched import HARM, STOPS
from guiju.screening.values import LibraryEntry, Policy
from guiju.screening.view import strings

CLASSIFIER = Classifier.load()
NOTICE = "【停】"
LABEL = "（AI 生成）"
ENTRIES = [
    LibraryEntry("kw-1", "赌博", "A.1.h", "block", ("赌博罪",)),
    LibraryEntry("kw-2", "琥珀石榴", "A.1.f", "flag"),
    LibraryEntry("kw-3", "drugs", "A.1.h"),
]
SNAPSHOT = Snapshot(ENTRIES, "test")
ID, HIDDEN = "11010519491231002X", "110***********002X"


def text(*texts: str) -> list[Any]:
    return [{"type": "text", "text": each} for each in texts]


def thought(*texts: str) -> dict[str, Any]:
    return {"type": "thinking", "thinking": text(*texts)}


def answer(content: object, mode: ExplicitMode = "interface", policy: Policy | None = None, **more: Any) -> tuple[WholeAnswer, Any]:
    """Return what is made of an answer with this content, and its first choice as it leaves."""
    asked = {name: more.pop(name) for name in ("before", "classifier") if name in more}
    value = {"choices": [{"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop", **more}]}
    label = Label(mode=mode, text=LABEL, content_producer="p")
    made = whole_answer(value, SNAPSHOT, policy or Policy(), label, "P1", prose=True, notice=lambda: NOTICE, **asked)
    return made, json.loads(made.body)["choices"][0]


def told(made: WholeAnswer) -> list[tuple[str, int, int, str]]:
    return [(hit.path, hit.start, hit.end, hit.rule) for hit in made.hits]


@pytest.mark.parametrize(
    "content", [text("去赌", "博吧"), ["去赌", "博吧"], [thought("想"), *text("去赌"), {"type": "text", "text": "博吧"}]]
)
def test_a_term_over_two_parts_stops_the_answer_and_is_told_with_both_places(content: list[Any]) -> None:
    made, left = answer(content)
    assert (left["message"]["content"], left["finish_reason"]) == (NOTICE, "content_filter")
    [(path, start, end, rule)] = told(made)
    assert (start, end, rule) == (1, 1, "kw-1")
    first, last = path.split(" + ")
    assert first.startswith("choices[0].message.content[")
    assert first < last
    assert made.texts[0] == "去赌博吧"


def test_a_person_s_term_over_two_parts_is_refused() -> None:
    """Guarded: the list in `_pieces` of `matching/conversation.py`."""
    request = {"messages": [{"role": "user", "content": text("去赌", "博吧")}]}
    verdict = examine_input(SNAPSHOT, Policy(), request, strings(request), frozenset())
    assert verdict.action == "refuse"
    assert [hit.path for hit in verdict.hits] == ["messages[0].content[0].text + messages[0].content[1].text"]


def test_only_the_choice_with_the_hit_is_stopped() -> None:
    choices = [{"index": n, "message": {"content": text(*parts)}} for n, parts in enumerate((("好", "的"), ("去赌", "博")))]
    label = Label(mode="interface", content_producer="p")
    made = whole_answer({"choices": choices}, SNAPSHOT, Policy(), label, "P1", prose=True, notice=lambda: NOTICE)
    left = json.loads(made.body)["choices"]
    assert left[0]["message"]["content"] == text("好", "的")
    assert left[1]["message"]["content"] == NOTICE


def test_a_term_over_two_thoughts_stops_it_and_one_over_thoughts_and_text_is_flagged() -> None:
    assert answer([thought("去赌", "博吧"), *text("好")])[1]["message"]["content"] == NOTICE
    made, left = answer([thought("去赌"), *text("博吧")])
    assert left["message"]["content"] == [thought("去赌"), *text("博吧")]
    assert [(hit.path, hit.action) for hit in made.hits] == [
        ("choices[0].message.content.thinking + choices[0].message.content", "deliver")
    ]


def test_a_part_is_examined_for_itself_too() -> None:
    """A word ends where its part ends: a reader may see a line break there. What would excuse it elsewhere does not."""
    assert told(answer(text("buy drugs", "now"))[0]) == [("choices[0].message.content[0].text", 4, 9, "kw-3")]
    assert answer(text("赌博", "罪"))[1]["message"]["content"] == NOTICE
    assert answer(text("这是赌博罪", "。"))[1]["message"]["content"] == text("这是赌博罪", "。")


def test_words_that_are_flagged_over_a_joint_are_flagged_and_leave() -> None:
    made, left = answer(text("琥珀", "石榴"))
    assert left["message"]["content"] == text("琥珀", "石榴")
    assert told(made) == [("choices[0].message.content[0].text + choices[0].message.content[1].text", 0, 2, "kw-2")]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(["赌", "博", "罪", "琥珀", "石榴", "a", "drugs", " ", "。", "好"]), max_size=8), st.data())
def test_whatever_the_parts_an_answer_is_stopped_where_its_text_or_a_part_is(pieces: list[str], data: st.DataObject) -> None:
    """The oracle examines the joined text, and each part for itself."""
    whole = "".join(pieces)
    marks = sorted({0, len(whole), *data.draw(st.lists(st.integers(0, len(whole)), max_size=3))})
    parts = [whole[a:b] for a, b in zip(marks, marks[1:], strict=False)] or [""]
    wanted = any(SNAPSHOT.examine(each, "output", Policy()).action != "deliver" for each in (whole, *parts))
    made, left = answer(text(*parts))
    assert (left["finish_reason"] == "content_filter") is wanted
    assert left["message"]["content"] == (NOTICE if wanted else text(*parts))
    assert len(set(told(made))) == len(made.hits)
    assert made.texts == [whole]


@pytest.mark.parametrize("at", range(1, len(ID)))
def test_personal_information_over_two_parts_is_hidden_in_both(at: int) -> None:
    made, left = answer(text(f"号码 {ID[:at]}", f"{ID[at:]} 如上"))
    first, second = (part["text"] for part in left["message"]["content"])
    assert first + second == f"号码 {HIDDEN} 如上"
    assert len(first) == 3 + at
    assert [(hit.rule, hit.action) for hit in made.hits] == [("PI-RESIDENT-ID", "mask")]


def test_personal_information_over_two_parts_stops_where_the_policy_says_so() -> None:
    _, left = answer(text(f"号码 {ID[:7]}", ID[7:]), policy=Policy(personal_on_output={"*": "stop"}))
    assert left["message"]["content"] == NOTICE


@pytest.mark.parametrize(
    ("mode", "wanted"), [("suffix", ("好", f"的\n\n{LABEL}")), ("prefix", (f"{LABEL}\n\n好", "的")), ("both", (f"{LABEL}\n\n好", f"的\n\n{LABEL}"))]
)  # fmt: skip
def test_the_label_stands_around_the_parts(mode: ExplicitMode, wanted: tuple[str, str]) -> None:
    made, left = answer([thought("想"), *text("好", "的")], mode)
    assert left["message"]["content"] == [thought("想"), *text(*wanted)]
    assert (made.applied, made.released_characters) == (mode, 2)


def test_a_program_s_text_in_parts_gets_no_words() -> None:
    made, left = answer(text('{"a": ', "1}"), "suffix")
    assert left["message"]["content"] == text('{"a": ', "1}")
    assert made.applied == "interface"


def test_an_answer_in_parts_that_completes_a_term_of_the_last_message_stops() -> None:
    before = before_of([{"role": "assistant", "content": "他去赌"}], SNAPSHOT, Policy())
    assert answer(text("博", "了"), before=before)[1]["message"]["content"] == NOTICE


def test_the_classifier_reads_the_parts_as_one_text() -> None:
    half = len(HARM) // 2
    made, left = answer(text(HARM[:half], HARM[half:]), policy=STOPS, classifier=CLASSIFIER)
    assert left["message"]["content"] == NOTICE
    assert told(made) == [("choices[0].message.content[0].text + choices[0].message.content[1].text", 0, len(HARM) - half, "CL-A1")]
    assert answer([thought(HARM)], policy=STOPS, classifier=CLASSIFIER)[1]["message"]["content"] == NOTICE
    sealed = {"answer": json.dumps({"choices": [{"message": {"content": text(HARM[:half], HARM[half:])}}]}).encode()}
    found = Afterwards(CLASSIFIER).assess("1", {}, msgspec.msgpack.encode(sealed))
    assert [hit["rule"] for hit in found["output"]["hits"]] == ["CL-A1"]  # type: ignore[index]  # a hit is what the test asks for


def test_guards_are_shown_the_parts_as_one_text() -> None:
    message = {"role": "assistant", "content": [thought("想", "好"), *text("怎样", "做饭")]}
    shown = [(part.path, part.turns[-1].text) for part in answer_parts(message, (), "m", 100) if "(name)" not in part.path]
    assert shown == [("m.content[0].thinking[0].text", "想好"), ("m.content[1].text", "怎样做饭")]
    assert message["content"] == [thought("想", "好"), *text("怎样", "做饭")]


def spelled(words: str, *, by_bytes: bool = False) -> dict[str, Any]:
    return {"content": [{"token": "?" if by_bytes else each, "logprob": -1.0, "bytes": list(each.encode())} for each in words]}


@pytest.mark.parametrize("by_bytes", [False, True])
def test_log_probabilities_may_not_spell_what_the_text_does_not_say(by_bytes: bool) -> None:
    words = "今天很好"
    assert answer(words, logprobs=spelled(words))[1]["logprobs"] == spelled(words)
    made, left = answer(words, logprobs=spelled("去赌博吧", by_bytes=by_bytes))
    assert (left["message"]["content"], left["logprobs"]) == (NOTICE, None)
    assert [hit.rule for hit in made.hits] == ["kw-1"]
    made, left = answer(words, logprobs=spelled(f"号码 {ID}", by_bytes=by_bytes))
    assert (left["message"]["content"], left["logprobs"]) == (words, None)


def test_what_is_hidden_in_the_text_is_told_once_and_its_log_probabilities_do_not_leave() -> None:
    made, left = answer(f"号码 {ID}", logprobs=spelled(f"号码 {ID}"))
    assert (left["message"]["content"], left["logprobs"]) == (f"号码 {HIDDEN}", None)
    assert [hit.path for hit in made.hits] == ["choices[0].message.content"]


@pytest.mark.parametrize(
    "logprobs", [{"content": None}, {"content": ["去赌", 1]}, {"content": [{"token": 1, "bytes": [300, "x"]}]}, "去", 7]
)
def test_log_probabilities_of_another_shape_harm_nobody(logprobs: object) -> None:
    assert answer("好", logprobs=logprobs)[1]["logprobs"] == logprobs
