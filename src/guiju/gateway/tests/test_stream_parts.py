"""A streamed answer in unusual shapes: its text in parts, a choice twice in one event, log probabilities that spell something else.

Guarded lines, each seen red when changed: the look for the same index in `_event`; `text_at` in `_nested`, `_parts`, `turn_to`, `nest`; in
`parted.py` the pause of a part and that it comes once, its return, both feeds of `_through`, the joined `finish`; `Spelled` in `_take_logprobs` and in `_finish`, its `holds`, both
its feeds, what is hidden in it.
"""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guiju.gateway.stream import AnswerStream
from guiju.gateway.tests.client import hear
from guiju.gateway.tests.scripts import chunk
from guiju.gateway.tests.test_parts import CLASSIFIER, HIDDEN, ID, LABEL, NOTICE, SNAPSHOT, spelled, text, thought
from guiju.gateway.tests.test_stream import NOTICE as OTHER_NOTICE
from guiju.gateway.tests.test_stream import SNAPSHOT as OTHER_SNAPSHOT
from guiju.gateway.tests.test_stream import plain, stream_of
from guiju.labelling.values import ExplicitMode, Label
from guiju.screening.outlet import Outlet
from guiju.screening.parted import Parted
from guiju.screening.personal.finds import NOTHING_SAID, screen_for
from guiju.screening.tests.test_watched import HARM, STOPS
from guiju.screening.values import Policy


def streamed(*deltas: dict[str, Any], mode: ExplicitMode = "interface", **more: Any) -> tuple[AnswerStream, list[dict[str, Any]]]:
    """Return a stream of these events (`delta`, or a choice that holds one), and the choices that left, in their order."""
    label = Label(mode=mode, text=LABEL, content_producer="p")
    policy = more.pop("policy", Policy())
    stream = AnswerStream(SNAPSHOT, policy, label, "P1", choices=1, prose=True, notice=NOTICE, **more)
    choices = [{"index": 0, "finish_reason": None, **(each if "delta" in each else {"delta": each})} for each in deltas]
    out = b""
    for piece in plain([chunk([each]) for each in [*choices, {"index": 0, "delta": {}, "finish_reason": "stop"}]]):
        out += stream.feed(piece)
        if stream.ended:
            break
    stream.note_flags()
    events = [json.loads(event[6:]) for event in (out + stream.tail()).split(b"\n\n")[:-1] if event != b"data: [DONE]"]
    return stream, [each for event in events for each in event["choices"]]


def read(choices: list[dict[str, Any]], kind: str = "text") -> str:
    """Return what a reader is shown of these: the parts of a kind, one after the other."""

    def words(value: Any, of: str) -> str:
        if isinstance(value, str):
            return value if of == kind else ""
        if isinstance(value, list):
            return "".join(words(each, of) for each in value)
        if isinstance(value, dict):
            return "".join(
                words(item, value.get("type", of) if of == "text" else of) for key, item in value.items() if key not in ("type", "index")
            )
        return ""

    return "".join(words(each["delta"].get("content"), "text") for each in choices)


def part(words: str, index: int | None = None) -> dict[str, Any]:
    return {"type": "text", "text": words} | ({} if index is None else {"index": index})


@pytest.mark.parametrize(
    "deltas",
    [
        [{"content": text("去赌", "博吧")}],
        [{"content": ["去赌", "博吧"]}],
        [{"content": text("去赌")}, {"content": text("博吧")}],
        [{"content": "去赌"}, {"content": text("博吧")}],
        [{"content": text("去赌")}, {"content": "博吧"}],
        [{"content": [part("去赌", 0)]}, {"content": [part("博吧", 1)]}],
        [{"content": [thought("想"), *text("去赌")]}, {"content": "博吧"}],
    ],
)
def test_a_term_over_two_parts_stops_the_choice_and_what_was_before_it_has_left(deltas: list[dict[str, Any]]) -> None:
    stream, left = streamed(*deltas)
    assert read(left) == f"去\n\n{NOTICE}"
    assert stream.finishes == ["content_filter"]
    assert [(hit.path, hit.start, hit.end, hit.rule) for hit in stream.hits] == [("choices[0].content", 1, 3, "kw-1")]
    assert "".join(stream.outcome().texts).startswith("去赌博")


def test_a_word_ends_where_its_part_ends() -> None:
    for deltas in ([{"content": text("buy drugs", "now")}], [{"content": [part("buy drugs", 0)]}, {"content": [part("now", 1)]}]):
        stream, left = streamed(*deltas)
        assert (read(left), stream.finishes) == (f"buy \n\n{NOTICE}", ["content_filter"])
        assert [(hit.start, hit.end) for hit in stream.hits] == [(4, 9)]
    stream, _ = streamed({"content": text("xx", "drugs now")})
    assert [(hit.start, hit.end) for hit in stream.hits] == [(2, 7)]
    assert read(streamed({"content": text("buy drug")}, {"content": text("store")})[1]) == "buy drugstore"  # pieces of one part


def test_a_part_that_goes_on_after_another_is_read_together_with_what_has_left() -> None:
    """A client that joins by index reads 赌博 in the first part."""
    stream, left = streamed({"content": [part("去赌", 0)]}, {"content": [part("场", 1)]}, {"content": [part("博吧", 0)]})
    assert (read(left), stream.finishes) == (f"去赌场\n\n{NOTICE}", ["content_filter"])


def test_an_upstream_that_alternates_between_parts_gets_one_beginning_out_and_no_more() -> None:
    """Guarded: `_left` in parted.py. A client that joins by index would read `drug` in the first part."""
    deltas = [{"content": [part(words, place)]} for letter in "drugs" for place, words in ((0, letter), (1, "好"))]
    stream, left = streamed(*deltas)
    assert stream.finishes == ["content_filter"]
    assert read(left).removesuffix(NOTICE).replace("好", "").strip() == "d"
    stream, left = streamed(*deltas[:-2])
    assert (sorted(read(left)), stream.finishes) == (sorted("drug好好好好"), ["stop"])


def test_what_a_part_holds_that_is_not_the_last_counts_as_held() -> None:
    """Guarded: `holds` and `held` in parted.py look at all parts."""

    def outlet() -> Outlet:
        return Outlet(SNAPSHOT.trie(Policy(), "output"), screen_for(Policy(), "output"), NOTHING_SAID)

    parted = Parted(outlet(), outlet)
    left = ""
    for place, words in ((0, "d"), (1, "好"), (0, "r"), (1, "好")):
        parted.turn_to(("content", place))
        left += parted.feed(words)
    assert (left, parted.holds, parted.held) == ("d好好", True, "r")


def test_pieces_of_one_part_that_an_exception_excuses_leave() -> None:
    stream, left = streamed({"content": text("这是赌")}, {"content": text("博")}, {"content": text("罪。")})
    assert (read(left), stream.finishes, stream.hits) == ("这是赌博罪。", ["stop"], [])


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["赌", "博", "罪", "琥珀", "a", "drugs", " ", "。", "好"])), max_size=10),
    st.data(),
)
def test_whatever_the_parts_a_stream_is_stopped_where_its_text_or_a_part_is(said: list[tuple[int, str]], data: st.DataObject) -> None:
    """The oracle examines the joined text, and each part for itself; parts come one after the other, cut anywhere."""
    said.sort(key=lambda each: each[0])
    parts = ["".join(words for place, words in said if place == index) for index in range(3)]
    whole = "".join(parts)
    stops = any(SNAPSHOT.examine(each, "output", Policy()).action != "deliver" for each in (whole, *parts))
    pieces = [part(letter, index) for index, words in enumerate(parts) for letter in words]
    ends = sorted({0, len(pieces), *data.draw(st.lists(st.integers(0, len(pieces)), max_size=5))})
    stream, left = streamed(*({"content": pieces[a:b]} for a, b in zip(ends, ends[1:], strict=False)))
    assert stream.finishes == ["content_filter" if stops else "stop"]
    heard = read(left)
    if not stops:
        assert heard == whole
        return
    before = heard.removesuffix(NOTICE).removesuffix("\n\n")
    assert whole.startswith(before)
    assert before == read(streamed({"content": pieces})[1]).removesuffix(NOTICE).removesuffix("\n\n")
    for each in (before, *(before[len("".join(parts[:n])) :][: len(words)] for n, words in enumerate(parts))):
        assert "赌博" not in each.replace("赌博罪", "")


def test_thoughts_that_wait_leave_as_a_part() -> None:
    """A client that reads parts gets parts: what is held of thoughts has their shape when it leaves."""
    stream, left = streamed({"content": [thought("我想去赌")]}, {"content": text("好")})
    assert (read(left), read(left, "thinking")) == ("好", "我想去赌")
    shapes = [each["delta"]["content"] for each in left if each["delta"].get("content")]
    assert [thought("赌")] in shapes
    assert stream.texts()["choices[0].content.thinking"] == "我想去赌"
    stream, left = streamed({"content": [thought("我想去赌")]}, {"content": [thought("博")]})
    assert stream.finishes == ["content_filter"]
    assert read(left, "thinking") == "我想去"


@pytest.mark.parametrize("at", [1, 7, 12])
def test_personal_information_over_two_parts_is_hidden(at: int) -> None:
    for deltas in (
        [{"content": text(f"号码 {ID[:at]}", f"{ID[at:]} 如上")}],
        [{"content": text(f"号码 {ID[:at]}")}, {"content": text(f"{ID[at:]} 如上")}],
    ):
        stream, left = streamed(*deltas)
        assert read(left) == f"号码 {HIDDEN} 如上"
        assert [(hit.rule, hit.start, hit.end) for hit in stream.hits] == [("PI-RESIDENT-ID", 3, 21)]


@pytest.mark.parametrize(("mode", "before", "behind"), [("suffix", "", f"\n\n{LABEL}"), ("both", f"{LABEL}\n\n", f"\n\n{LABEL}")])
def test_the_label_stands_around_the_parts(mode: ExplicitMode, before: str, behind: str) -> None:
    stream, left = streamed({"content": [thought("想")]}, {"content": text("好")}, {"content": text("的")}, mode=mode)
    assert read(left) == f"{before}好的{behind}"
    assert stream.applied == mode


def test_the_classifier_reads_the_parts_as_one_text() -> None:
    half = len(HARM) // 2
    stream, _ = streamed({"content": text(HARM[:half])}, {"content": text(HARM[half:])}, policy=STOPS, classifier=CLASSIFIER)
    assert (stream.finishes, stream.hits[0].rule) == (["content_filter"], "CL-A1")
    stream, _ = streamed({"content": [thought(HARM)]}, policy=STOPS, classifier=CLASSIFIER)
    assert stream.finishes == ["content_filter"]


def lettered(words: str, tokens: str, **how: Any) -> list[dict[str, Any]]:
    entries = spelled(tokens, **how)["content"]
    return [{"delta": {"content": word}, "logprobs": {"content": [entry]}} for word, entry in zip(words, entries, strict=True)]


def tokens(choices: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [entry for each in choices for entry in (each.get("logprobs") or {}).get("content", ())]


@pytest.mark.parametrize("by_bytes", [False, True])
def test_log_probabilities_may_not_spell_what_the_text_does_not_say(by_bytes: bool) -> None:
    """Half of the term waits, and does not leave."""
    stream, left = streamed(*lettered("今天很好", "去赌博吧", by_bytes=by_bytes))
    assert stream.finishes == ["content_filter"]
    assert [entry["bytes"] for entry in tokens(left)] == [list("去".encode())]
    assert {hit.rule for hit in stream.hits} == {"kw-1"}
    assert stream.hits[-1].path == "choices[0].logprobs.content (bytes)"


def test_a_word_that_ends_with_the_log_probabilities_is_found() -> None:
    stream, left = streamed(*lettered("好好好好好", "drugs"))
    assert (stream.finishes, tokens(left)) == (["content_filter"], [])


def test_personal_information_in_log_probabilities_does_not_leave() -> None:
    stream, left = streamed(*lettered("好" * len(ID), ID))
    assert (read(left), stream.finishes) == ("好" * len(ID), ["stop"])
    assert HIDDEN.partition("*")[0].startswith("".join(entry["token"] for entry in tokens(left)))


def test_tokens_without_bytes_and_what_is_hidden_in_a_part() -> None:
    bare = [{"delta": {"content": "好"}, "logprobs": {"content": [{"token": each, "logprob": -1.0}]}} for each in "去赌博"]
    assert streamed(*bare)[0].finishes == ["content_filter"]
    stream, left = streamed({"delta": {"content": text(f"号码 {ID} ", "好")}, "logprobs": {"content": [{"token": "x"}]}})
    assert (read(left), tokens(left), stream.finishes) == (f"号码 {HIDDEN} 好", [], ["stop"])


def test_log_probabilities_that_spell_the_text_leave_with_it() -> None:
    _, left = streamed(*lettered("他去赌场吧", "他去赌场吧"))
    assert tokens(left) == spelled("他去赌场吧")["content"]


@pytest.mark.parametrize(
    ("first", "second", "finish", "wanted"),
    [
        ("好，去赌", "博吧", None, f"好，去\n\n{OTHER_NOTICE}"),
        ("好", "的", None, "好的"),
        ("好", "的", "stop", "好的"),
        ("去赌", "场吧", "stop", "去赌场吧"),
    ],
)
def test_what_a_choice_says_twice_in_one_event_leaves_in_its_order(first: str, second: str, finish: str | None, wanted: str) -> None:
    stream = stream_of(OTHER_SNAPSHOT)
    choices = [
        {"index": 0, "delta": {"content": first}, "finish_reason": None},
        {"index": 0, "delta": {"content": second}, "finish_reason": finish},
    ]
    end = [] if finish else [chunk([{"index": 0, "delta": {}, "finish_reason": "stop"}])]
    sent = b"".join(stream.feed(piece) for piece in plain([chunk(choices), *end]))
    heard = hear(sent + stream.tail())
    assert (heard.text(), heard.finishes) == (wanted, {0: "content_filter" if OTHER_NOTICE in wanted else "stop"})
