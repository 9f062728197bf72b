"""Promise 1 for a streamed answer: however the network cuts it, a client gets what screening the whole text allows.

The oracle is `Snapshot.examine` on the whole text of each field. The guarded lines are in `stream.py`:
- `_text`: without `if gate.hit is not None` the stop properties go red; with `return piece` for `return text`, too;
- `_finish`: `_flush` before the emission of `kept["delta"]` turns the order of the text around (red);
- `_choice`: log probabilities released while a gate holds text (drop `not any(gate.held …)`) are caught by the client;
- `tail`: `DONE` there and nowhere else; `sse.py`: without `_carriage_return` the cuts inside CRLF go red.
"""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guiju.gateway.stream import AnswerStream, UpstreamBroken
from guiju.gateway.tests.client import Heard, Path, hear
from guiju.gateway.tests.scripts import Step, chunk, events_of, left_behind
from guiju.labelling.values import ExplicitMode, Label
from guiju.screening.matching.snapshot import Snapshot
from guiju.screening.spellings.fold import fold
from guiju.screening.values import LibraryEntry, Policy

POLICY = Policy(personal_on_output={"*": "pass"})  # what is hidden has its own tests: test_personal.py
NOTICE = "【停】"
LABEL = "（AI 生成）"
LETTERS = "赌博毒abc賭Ａ"
NOISE = " .，\n*\u200b\u0301😀\u2028\u0085\\{}\"'"
FIELDS: tuple[Path, ...] = (
    ("content",),
    ("reasoning_content",),
    ("refusal",),
    ("x_note",),
    ("x_deep", "inner", "words"),
    ("x_list", 0, "words"),
    ("tool_calls", 0, "function", "arguments"),
    ("tool_calls", 1, "function", "arguments"),
)

# Strategies are made once: Hypothesis looks into each new one, which takes long.
terms = st.text(LETTERS, min_size=2, max_size=4).filter(lambda text: len(fold(text)) >= 2)
before, behind, numbers = st.text(LETTERS, max_size=1), st.text(LETTERS, max_size=2), st.integers(0, 10**9)
others = st.text(LETTERS + NOISE, max_size=5)


@st.composite
def entries(draw: st.DrawFn) -> LibraryEntry:
    term = draw(terms)
    longer = draw(before) + term + draw(behind)
    return LibraryEntry(f"kw-{draw(numbers)}", term, "A.1.h", "block", (longer,) if len(fold(longer)) > len(fold(term)) else ())


libraries = st.lists(entries(), min_size=1, max_size=4, unique_by=lambda entry: entry.id)


@st.composite
def scripts(draw: st.DrawFn, library: list[LibraryEntry], choices: int, fields: tuple[Path, ...]) -> list[Step]:
    parts = st.one_of(
        st.sampled_from([entry.term for entry in library] + [text for entry in library for text in entry.exceptions]),
        others,
    )
    steps: list[list[Step]] = []
    for choice in range(choices):
        for path in draw(st.lists(st.sampled_from(fields), min_size=1, max_size=3, unique=True)):
            text = "".join(draw(st.lists(parts, max_size=4)))
            width = draw(st.sampled_from((1, 2, 3, 100)))
            steps.append([Step(choice, path, text[at : at + width]) for at in range(0, len(text), width)])
    order = draw(st.lists(st.integers(0, len(steps) - 1), max_size=60)) if len(steps) > 1 else []
    script = [steps[place].pop(0) for place in order if steps[place]]
    for rest in steps:
        script += rest
    return script


@st.composite
def wires(draw: st.DrawFn, events: list[dict[str, Any]], done: bool) -> list[bytes]:
    """Return the events as bytes in any spelling the standard allows, cut anywhere."""
    raw = draw(st.sampled_from((b"", b"\xef\xbb\xbf")))
    style = st.tuples(st.sampled_from((b"\n", b"\r\n", b"\r")), st.sampled_from(("plain", "tight", "comment", "lines", "named", "wide")))
    for event in events:
        end, spelling = draw(style)
        body = json.dumps(event, ensure_ascii=draw(st.booleans()), indent=1 if spelling == "lines" else None).encode()
        lines = [b"data:" + (b"" if spelling == "tight" else b" ") + line for line in body.split(b"\n")]
        if spelling == "comment":
            lines = [b": keep-alive", b"", *lines]
        elif spelling == "named":
            lines = [b"event: message", b"id: 7", *lines, b"retry: 3000"]
        raw += b"".join(line + end for line in lines) + end * (3 if spelling == "wide" else 1)
    if done:
        raw += b"data: [DONE]\n\n"
    if draw(st.booleans()):
        return [raw[at : at + 1] for at in range(len(raw))]
    marks = sorted({0, len(raw), *draw(st.lists(st.integers(0, len(raw)), max_size=12))})
    return [raw[a:b] for a, b in zip(marks, marks[1:], strict=False)]


def stream_of(snapshot: Snapshot, choices: int = 1, mode: ExplicitMode = "interface", prose: bool = True) -> AnswerStream:
    label = Label(mode=mode, text=LABEL, content_producer="p")
    return AnswerStream(snapshot, POLICY, label, "P1", choices=choices, prose=prose, notice=NOTICE)


def pour(stream: AnswerStream, pieces: list[bytes]) -> Heard:
    """Do what the exchange does: feed until the stream has ended, or the upstream has; then send the tail."""
    out = []
    try:
        for piece in pieces:
            out.append(stream.feed(piece))
            if stream.ended:
                break
        else:
            out.append(stream.finish())
    except UpstreamBroken as problem:
        out.append(stream.fail({"message": str(problem), "code": "upstream_broken"}))
    sent = b"".join(out)
    assert b"[DONE]" not in sent
    return hear(sent + stream.tail())


def plain(events: list[dict[str, Any]], done: bool = True) -> list[bytes]:
    return [b"data: " + json.dumps(event).encode() + b"\n\n" for event in events] + ([b"data: [DONE]\n\n"] if done else [])


def allowed(snapshot: Snapshot, text: str) -> tuple[str, bool]:
    hits = snapshot.examine(text, "output", POLICY).hits
    return (text[: min(hit.start for hit in hits)], True) if hits else (text, False)


def check(snapshot: Snapshot, script: list[Step], choices: int, heard: Heard) -> None:
    """Compare what a client heard with the oracle, choice by choice and field by field."""
    assert heard.dones == 1
    assert heard.after_done == 0
    assert not heard.errors
    retracted = [retraction["choice"] for retraction in heard.retractions]
    for choice in range(choices):
        whole: dict[Path, str] = {}
        for step in script:
            if step.choice == choice:
                whole[step.path] = whole.get(step.path, "") + step.piece
        verdicts = {path: allowed(snapshot, text) for path, text in whole.items()}
        ended = {path: [allowed(snapshot, whole[path][:at]) for at in places] for path, places in left_behind(script, choice).items()}
        got = {path: heard.text(choice, path) for path in whole}
        content = heard.text(choice)
        if not any(hit for _, hit in (*verdicts.values(), *(each for told in ended.values() for each in told))):
            assert got == whole
            assert heard.finishes[choice] == "stop"
            assert choice not in retracted
            continue
        if heard.finishes[choice] == "stop":
            assert got == whole
            assert not any(hit for _, hit in verdicts.values())
            continue
        assert heard.finishes[choice] == "content_filter"
        assert retracted.count(choice) == 1
        assert content.endswith(NOTICE)
        if ("content",) in whole:
            got["content",] = content.removesuffix(NOTICE).removesuffix("\n\n") if got["content",] != NOTICE else ""
        for path, text in got.items():
            assert any((clean + "\n\n").startswith(text) for clean in (verdicts[path][0], *(clean for clean, _ in ended.get(path, ()))))
        assert any(
            hit and got[path].rstrip("\n") == clean.rstrip("\n")
            for path in whole
            for clean, hit in _ends(verdicts[path], ended.get(path, []))
        )


def may_have_left(snapshot: Snapshot, script: list[Step], choice: int, path: Path) -> list[str]:
    """Return the most that may leave of a text: what screening the whole allows, or up to a place where it was left behind."""
    whole = "".join(step.piece for step in script if (step.choice, step.path) == (choice, path))
    return [allowed(snapshot, whole[:at])[0] for at in (len(whole), *left_behind(script, choice).get(path, ()))]


def _ends(verdict: tuple[str, bool], ended: list[tuple[str, bool]]) -> list[tuple[str, bool]]:
    """Return where a text may stop: at what screening the whole finds, in a tail that was let out before it came back, or at an end."""
    return [verdict, *ended, *((clean, verdict[1]) for clean, _ in ended)]


@settings(max_examples=400, deadline=None)
@given(libraries, st.data(), st.integers(1, 3))
def test_what_arrives_is_what_screening_the_whole_would_allow(library: list[LibraryEntry], data: st.DataObject, choices: int) -> None:
    snapshot = Snapshot(library, "test")
    script = data.draw(scripts(library, choices, FIELDS))
    events = events_of(script, choices, finish_with_text=data.draw(st.booleans()))
    check(snapshot, script, choices, pour(stream_of(snapshot, choices), plain(events)))


@settings(max_examples=200, deadline=None)
@given(libraries, st.data(), st.integers(1, 2), st.booleans())
def test_nor_does_it_matter_how_the_bytes_are_spelled_and_cut(
    library: list[LibraryEntry], data: st.DataObject, choices: int, done: bool
) -> None:
    snapshot = Snapshot(library, "test")
    script = data.draw(scripts(library, choices, FIELDS[:3]))
    events = events_of(script, choices, finish_with_text=data.draw(st.booleans()))
    wire = data.draw(wires(events, done))
    check(snapshot, script, choices, pour(stream_of(snapshot, choices), wire))


@settings(max_examples=200, deadline=None)
@given(libraries, st.data())
def test_log_probabilities_follow_their_text(library: list[LibraryEntry], data: st.DataObject) -> None:
    """`hear` asserts at every event that the tokens spell no more than the text that has left."""
    snapshot = Snapshot(library, "test")
    script = data.draw(scripts(library, 1, FIELDS[:2]))
    events = events_of(script, 1, finish_with_text=data.draw(st.booleans()), logprobs=True)
    heard = pour(stream_of(snapshot), plain(events))
    whole = "".join(step.piece for step in script if step.path == ("content",))
    assert any(clean.startswith(heard.tokens.get(0, "")) for clean in may_have_left(snapshot, script, 0, ("content",)))
    if heard.finishes[0] == "stop":
        assert heard.tokens.get(0, "") == whole


@settings(max_examples=200, deadline=None)
@given(libraries, st.data(), st.integers(0, 60))
def test_an_answer_that_breaks_off_leaks_nothing_either(library: list[LibraryEntry], data: st.DataObject, keep: int) -> None:
    snapshot = Snapshot(library, "test")
    script = data.draw(scripts(library, 2, FIELDS))
    events = events_of(script, 2, finish_with_text=False)[:keep]
    heard = pour(stream_of(snapshot, 2), plain(events, done=False))
    begun = {choice["index"] for event in events for choice in event["choices"]}
    assert heard.dones == 1
    assert heard.after_done == 0
    assert len(heard.errors) <= 1
    assert heard.errors or (begun and begun == set(heard.finishes))
    for (choice, path), text in heard.texts.items():
        clean = text.split(NOTICE)[0].rstrip("\n") if path == ("content",) and NOTICE in text else text
        assert any(most.startswith(clean) for most in may_have_left(snapshot, script[:keep], choice, path))


@settings(max_examples=200, deadline=None)
@given(st.data(), st.sampled_from(("suffix", "prefix", "both")))
def test_the_label_stands_around_the_text_once(data: st.DataObject, mode: ExplicitMode) -> None:
    library = [LibraryEntry("kw-1", "赌博", "A.1.h", "block", ("赌博罪",))]
    snapshot = Snapshot(library, "test")
    text = "".join(data.draw(st.lists(st.sampled_from(("赌", "博", "罪", "今天", "\n", " ", "a", "。")), max_size=8)))
    width = data.draw(st.integers(1, 4))
    script = [Step(0, ("content",), text[at : at + width]) for at in range(0, len(text), width)]
    heard = pour(stream_of(snapshot, mode=mode), plain(events_of(script, 1, finish_with_text=data.draw(st.booleans()))))
    clean, hit = allowed(snapshot, text)
    got = heard.text()
    if clean.strip():
        assert got.count(LABEL) == {"suffix": 1, "prefix": 1, "both": 2}[mode]
        if mode != "suffix":
            assert got.lstrip().startswith(LABEL)
        if mode != "prefix":
            assert got.endswith(LABEL)
        assert heard.events[-1]["aigc"]["explicit"] == mode
    bare = got.replace(LABEL + "\n\n", "").replace("\n\n" + LABEL, "").replace(NOTICE, "")
    assert bare.rstrip("\n") == clean.rstrip("\n")
    assert (heard.finishes[0] == "content_filter") == hit


SNAPSHOT = Snapshot([LibraryEntry("kw-1", "赌博", "A.1.h", "block", ("赌博罪",)), LibraryEntry("kw-2", "sell drugs", "A.1.f")], "test")


def said(*deltas: dict[str, Any], choice: int = 0, finish: str | None = "stop", **beside: object) -> list[dict[str, Any]]:
    events = [chunk([{"index": choice, "delta": delta, "finish_reason": None, **beside}]) for delta in deltas]
    return [*events, chunk([{"index": choice, "delta": {}, "finish_reason": finish}])] if finish else events


HIDDEN = {
    "unknown field": [{"x": "赌博"}],
    "name of a field": [{"赌博": "x"}],
    "name of a field without text": [{"赌博": True}],
    "name of a nested field": [{"x": {"赌博": 1}}],
    "name of a nested field with nothing": [{"x": {"赌博": None}}],
    "name deep in a list": [{"x": [{"y": {"赌博": 0}}]}],
    "role": [{"role": "赌博"}],
    "tool name": [{"tool_calls": [{"index": 0, "function": {"name": "赌博"}}]}],
    "tool name in two pieces": [{"tool_calls": [{"index": 0, "function": {"name": half}}]} for half in "赌博"],
    "tool call id in two pieces": [{"tool_calls": [{"index": 0, "id": half}]} for half in "赌博"],
    "list of strings": [{"x": ["好", "赌博"]}],
    "list in a list": [{"x": [[{"y": half}]]} for half in "赌博"],
    "content parts": [{"content": [{"type": "text", "text": half}]} for half in "赌博"],
    "legacy function call": [{"function_call": {"arguments": half}} for half in "赌博"],
    "audio transcript": [{"audio": {"transcript": half}} for half in "赌博"],
    "annotation": [{"annotations": [{"type": "url_citation", "url_citation": {"title": "赌博"}}]}],
    "escaped in arguments": [{"tool_calls": [{"index": 0, "function": {"arguments": part}}]} for part in ('{"a": "\\u8d', '4c\\u535a"}')],
}


@pytest.mark.parametrize("deltas", HIDDEN.values(), ids=HIDDEN)
def test_a_term_is_stopped_wherever_it_hides_in_a_delta(deltas: list[dict[str, Any]]) -> None:
    stream = stream_of(SNAPSHOT)
    heard = pour(stream, plain(said({"content": "好。"}, *deltas)))
    assert heard.finishes == {0: "content_filter"}
    assert [hit.rule for hit in stream.hits] == ["kw-1"]
    spelled = json.dumps(heard.events, ensure_ascii=False)
    assert "赌博" not in spelled
    assert "8d4c" not in spelled
    assert heard.text() == f"好。\n\n{NOTICE}"


BESIDE = {
    "finish reason": chunk([{"index": 0, "delta": {}, "finish_reason": "赌博"}]),
    "unknown field of the choice": chunk([{"index": 0, "delta": {"content": "好"}, "x": "赌博"}]),
    "name in the choice": chunk([{"index": 0, "delta": {}, "赌博": 1}]),
    "top level": chunk([{"index": 0, "delta": {"content": "好"}}], x={"y": ["赌博"]}),
    "top level name": chunk([{"index": 0, "delta": {"content": "好"}}], 赌博=1),
    "top level name with a value seen before": chunk([{"index": 0, "delta": {"content": "好"}}], 赌博="m"),
    "model": chunk([{"index": 0, "delta": {"content": "好"}}]) | {"model": "赌博"},
    "event without choices": chunk([], prompt_filter_results=[{"x": "赌博"}]),
    "usage": chunk([], usage={"赌博": 1}),
    "log probabilities": chunk([{"index": 0, "delta": {"content": "好"}, "logprobs": {"content": [{"token": "赌博"}]}}]),
}


@pytest.mark.parametrize("event", BESIDE.values(), ids=BESIDE)
def test_a_term_beside_the_text_stops_the_answer(event: dict[str, Any]) -> None:
    heard = pour(stream_of(SNAPSHOT), plain([*said({"content": "早。"}, finish=None), event, *said({"content": "再见"})]))
    assert "赌博" not in json.dumps(heard.events, ensure_ascii=False)
    assert heard.finishes == {0: "content_filter"}
    assert heard.text().startswith("早。")
    assert heard.text().endswith(NOTICE)
    assert heard.dones == 1


def test_pieces_of_an_unknown_text_beside_the_delta_never_spell_a_term() -> None:
    events = [chunk([{"index": 0, "delta": {}, "text": half}]) for half in "赌博"]
    heard = pour(stream_of(SNAPSHOT), plain([*events, *said()]))
    assert heard.finishes == {0: "content_filter"}
    assert "".join(choice.get("text", "") for event in heard.events for choice in event["choices"]) == "赌"


def test_one_choice_stops_and_the_others_go_on() -> None:
    first = said({"content": "好赌"}, {"content": "博"}, finish=None)
    second = said({"content": "晴天"}, choice=1, finish=None)
    heard = pour(
        stream_of(SNAPSHOT, 2), plain([*first, *second, *said({"content": "无声"}, choice=0), *said({"content": "，出门"}, choice=1)])
    )
    assert heard.text(0) == f"好\n\n{NOTICE}"
    assert heard.text(1) == "晴天，出门"
    assert heard.finishes == {0: "content_filter", 1: "stop"}
    assert [retraction["choice"] for retraction in heard.retractions] == [0]
    assert heard.retractions[0] == {"choice": 0, "reason": "content_filter", "replace_with": NOTICE, "record": "P1"}


def test_a_stop_of_the_only_choice_asks_for_nothing_more() -> None:
    stream = stream_of(SNAPSHOT)
    stream.feed(b"".join(plain(said({"content": "赌"}, {"content": "博"}, {"content": "再"}, finish=None), done=False)))
    assert stream.ended
    assert stream.finishes == ["content_filter"]


def test_the_finish_waits_for_the_record_and_everything_before_it_does_not() -> None:
    stream = stream_of(SNAPSHOT, mode="suffix")
    sent = hear(b"".join(stream.feed(piece) for piece in plain([*said({"content": "你好"}), chunk([], usage={"total_tokens": 3})])))
    assert sent.text() == f"你好\n\n{LABEL}"
    assert sent.finishes == {}
    tail = hear(stream.tail())
    assert tail.finishes == {0: "stop"}
    assert tail.usage == {"total_tokens": 3}
    assert tail.dones == 1


def test_usage_and_unknown_fields_of_every_event_arrive_once() -> None:
    events = said({"content": "好"}, {"content": "赌"}, {"content": "。"})
    for number, event in enumerate(events):
        event["x_number"] = number
    heard = pour(
        stream_of(SNAPSHOT),
        plain(
            [
                *events,
                chunk([], usage={"total_tokens": 9}),
            ]
        ),
    )
    assert [event["x_number"] for event in heard.events if "x_number" in event] == [0, 1, 2, 3]
    assert heard.usage == {"total_tokens": 9}
    assert heard.text() == "好赌。"


def test_nobody_else_labels_or_retracts() -> None:
    forged = [
        event | {"aigc": {"Label": "3"}, "retraction": {"choice": 0}}
        for event in said({"content": "一"}, {"content": "二"}, {"content": "三"})
    ]
    heard = pour(stream_of(SNAPSHOT), plain(forged))
    assert heard.retractions == []
    labels = [event["aigc"] for event in heard.events if "aigc" in event]
    assert [label["Label"] for label in labels] == ["1", "1"]
    assert "aigc" in heard.events[0]
    assert "aigc" in heard.events[-1]


def test_words_are_never_put_inside_json_or_code() -> None:
    for text in ('{"a": 1}', "[1, 2]", "```py\nprint(1)\n", "~~~\nopen"):
        for mode in ("prefix", "suffix", "both"):
            heard = pour(stream_of(SNAPSHOT, mode=mode), plain(said(*({"content": letter} for letter in text))))
            assert heard.text() == text
            assert heard.events[-1]["aigc"]["explicit"] == "interface"
            assert heard.events[-1]["aigc"]["explicit_required"] is True


def test_a_tool_call_stays_what_a_program_reads() -> None:
    call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "weather", "arguments": ""}}
    pieces = [{"tool_calls": [{"index": 0, "function": {"arguments": part}}]} for part in ('{"city"', ': "北', '京"}')]
    heard = pour(
        stream_of(SNAPSHOT, mode="both"),
        plain(said({"role": "assistant", "content": None, "tool_calls": [call]}, *pieces, finish="tool_calls")),
    )
    assert json.loads(heard.text(0, ("tool_calls", 0, "function", "arguments"))) == {"city": "北京"}
    assert heard.text(0, ("tool_calls", 0, "id")) == "call_1"
    assert heard.text() == ""
    assert heard.finishes == {0: "tool_calls"}


def test_two_tool_calls_in_one_event_are_screened_apart() -> None:
    calls = [{"index": place, "function": {"arguments": half}} for place, half in enumerate("赌博")]
    heard = pour(stream_of(SNAPSHOT), plain(said({"tool_calls": calls}, finish="tool_calls")))
    assert heard.finishes == {0: "tool_calls"}
    assert heard.text(0, ("tool_calls", 1, "function", "arguments")) == "博"


BROKEN = {
    "nothing at all": [],
    "nothing but the end": [b"data: [DONE]\n\n"],
    "half an event": [*plain(said({"content": "好"}, finish=None), done=False), b'data: {"choices": [{"ind'],
    "no finish": plain(said({"content": "好"}, finish=None), done=False),
    "not JSON": [b"data: <html>\n\n"],
    "not an object": [b"data: [1]\n\n"],
    "invalid UTF-8": [b'data: {"choices": [{"index": 0, "delta": {"content": "\xff\xfe"}}]}\n\n'],
    "lone surrogate": [b'data: {"choices": [{"index": 0, "delta": {"content": "\\ud800"}}]}\n\n'],
    "no choices": [b'data: {"id": "x"}\n\n'],
    "choices of another kind": [b'data: {"choices": {"index": 0}}\n\n'],
    "a choice that is none": [b'data: {"choices": [7]}\n\n'],
    "an index that is none": [b'data: {"choices": [{"index": "a", "delta": {}}]}\n\n'],
    "an index beyond all": [b'data: {"choices": [{"index": 1000000, "delta": {}}]}\n\n'],
    "a delta that is none": [b'data: {"choices": [{"index": 0, "delta": "x"}]}\n\n'],
    "a finish that is none": [b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": {"a": 1}}]}\n\n'],
    "logprobs that are none": [b'data: {"choices": [{"index": 0, "delta": {}, "logprobs": [1]}]}\n\n'],
    "an error": [b'data: {"error": {"message": "overloaded"}}\n\n'],
    "an event without end": [b"data: " + b"x" * 2**20] * 5,
    "nested too deeply": [b'data: {"choices": [{"index": 0, "delta": {"x": ' + b"[" * 5000 + b"]" * 5000 + b"}}]}\n\n"],
}


@pytest.mark.parametrize("pieces", BROKEN.values(), ids=BROKEN)
def test_a_broken_stream_ends_with_one_error_and_done(pieces: list[bytes]) -> None:
    heard = pour(stream_of(SNAPSHOT), pieces)
    assert len(heard.errors) == 1
    assert heard.dones == 1
    assert heard.finishes == {}
    assert heard.text() in ("", "好")
    assert all(
        {"id", "object", "created", "model", "choices", "aigc"} <= set(event)
        for event in heard.events
        if "error" not in event and "aigc" in event
    )


def test_what_follows_the_end_is_not_read() -> None:
    heard = pour(stream_of(SNAPSHOT), [b"".join([*plain(said({"content": "好"})), *plain(said({"content": "赌博"}))])])
    assert heard.text() == "好"
    assert heard.finishes == {0: "stop"}


def test_an_answer_that_cannot_be_recorded_ends_with_the_error_alone() -> None:
    stream = stream_of(SNAPSHOT)
    sent = b"".join(stream.feed(piece) for piece in plain(said({"content": "好"})))
    heard = hear(sent + stream.fail({"code": "not_recorded"}) + stream.tail())
    assert heard.finishes == {}
    assert [error["code"] for error in heard.errors] == ["not_recorded"]
    assert heard.dones == 1


def test_a_record_does_not_take_a_long_finish_whole() -> None:
    """Guarded: the cut at `FINISH_CHARACTERS`."""
    stream = stream_of(SNAPSHOT)
    stream.feed(b'data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"%s"}]}\n\ndata: [DONE]\n\n' % (b"x" * 1_000))
    assert stream.finishes == ["x" * 100]
