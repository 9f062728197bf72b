"""Promise 1 with guards: in the strict way nothing leaves that a guard calls unsafe at the same points, however the stream is cut.

The oracle is the guard itself on the text up to each point. Guarded lines, each seen red when changed: `+ self._ahead` in `_may_leave`, the order
of `_settled`, the division of events in `_event`, `text.end()` at a finish, the wait for the input in `_may_leave`.
"""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guiju.core.errors import GuijuError
from guiju.gateway.bundle import Guard, GuardUse
from guiju.gateway.guard import GuardClient, NotExamined
from guiju.gateway.guard_parts import PARTS_AT_MOST, Growing, TooLong, answer_parts, input_parts, question_of, text_of, windows
from guiju.gateway.guard_stream import GuardedAnswer, Unsafe
from guiju.gateway.guarding import Examination, Guarding
from guiju.gateway.stream import UpstreamBroken
from guiju.gateway.tests.client import Heard, hear
from guiju.gateway.tests.scripts import chunk, nested
from guiju.gateway.tests.test_stream import NOTICE, POLICY, plain, said, stream_of
from guiju.screening.guards.form import Finding, Passage, Turn
from guiju.screening.matching.snapshot import Snapshot
from guiju.screening.values import Hit

EVERY = 8
NOTHING = Snapshot((), "v")
BAD = "毒"


class Scripted(GuardClient):
    """A guard that finds `BAD`, says nothing of `…`, and takes its time."""

    def __init__(self, delays: Sequence[int] = (0,), **settings: Any) -> None:
        super().__init__(Guard(name="g", kind="webhook", base_url="http://127.0.0.1:9", every_characters=EVERY, **settings))
        self.seen: list[Passage] = []
        self._delays = delays

    async def examine(self, passage: Passage) -> Finding:
        self.seen.append(passage)
        for _ in range(self._delays[len(self.seen) % len(self._delays)]):
            await asyncio.sleep(0)
        text = passage.turns[-1].text
        if "…" in text:
            raise NotExamined("timeout")
        return Finding("unsafe", ("A.1.h",)) if BAD in text else Finding("controversial", ("A.1.f",)) if "疑" in text else Finding("safe")


class Pieces:
    """An upstream's answer that is all there; it gives way between its pieces."""

    def __init__(self, pieces: Sequence[bytes], pauses: Sequence[int] = (0,)) -> None:
        self._pieces = list(pieces)
        self._pauses = pauses

    async def readany(self) -> bytes:
        for _ in range(self._pauses[len(self._pieces) % len(self._pauses)]):
            await asyncio.sleep(0)
        return self._pieces.pop(0) if self._pieces else b""


def run(
    pieces: Sequence[bytes], guard: Scripted, *, choices: int = 1, pauses: Sequence[int] = (0,), snapshot: Snapshot = NOTHING,
    asked: list[dict[str, Any]] | None = None, **use: Any,
) -> tuple[Heard, Guarding]:  # fmt: skip
    """Do what the exchange does with a guarded stream; return what a client hears."""

    async def go() -> tuple[Heard, Guarding]:
        guarding = Guarding([guard], GuardUse(guards=("g",), **use), POLICY)
        if asked:
            guarding.begin_input(asked)
        stream = stream_of(snapshot, choices)
        answer: Any = Pieces(pieces, pauses)
        guarded = GuardedAnswer(answer, guarding, (), on_input=lambda found: found.ending, on_wait=lambda _: None)
        sent = b""
        try:
            while not stream.ended:
                try:
                    raw = await guarded.readany()
                except Unsafe as found:
                    sent += stream.stop(found.hits, found.choice)
                    continue
                sent += stream.feed(raw) if raw else stream.finish()
        except (UpstreamBroken, GuijuError) as problem:
            code = problem.code.code if isinstance(problem, GuijuError) else "broken"
            sent += stream.fail({"code": code}, decide=False)
        finally:
            guarded.close()
            guarding.close()
        await asyncio.sleep(0)
        return hear(sent + stream.tail()), guarding

    return asyncio.run(go())


def events(text: str, widths: Sequence[int], path: tuple[str | int, ...] = ("content",)) -> list[bytes]:
    """Return a text as events of these widths in turn, then the finish."""
    found, at, turn = [], 0, 0
    while at < len(text):
        width = widths[turn % len(widths)]
        found.append(chunk([{"index": 0, "delta": nested(path, text[at : at + width]), "finish_reason": None}]))
        at, turn = at + width, turn + 1
    return plain([*found, chunk([{"index": 0, "delta": {}, "finish_reason": "stop"}])])


def points_of(text: str) -> list[int]:
    growing = Growing(EVERY)
    growing.grow(text)
    growing.end()
    return list(growing.points)


def allowed(text: str) -> tuple[str, bool]:
    """Return what may leave in the strict way, and whether all of it."""
    done = 0
    for point in points_of(text):
        if BAD in text[:point]:
            return text[:done], False
        done = point
    return text, True


texts = st.text("你好天气abc。，!\n" + BAD, min_size=1, max_size=60)
widths = st.lists(st.integers(1, 70), min_size=1, max_size=4)
delays = st.lists(st.integers(0, 4), min_size=1, max_size=5)
fields = st.sampled_from(
    (("content",), ("reasoning_content",), ("tool_calls", 0, "function", "arguments"), ("x_note",), ("x_list", 0, "words"))
)


@settings(deadline=None)
@given(texts, widths, delays, delays, fields)
def test_the_strict_way_gives_what_the_guard_allows_for_every_cut(
    text: str, cut: list[int], slow: list[int], pauses: list[int], path: tuple[str | int, ...]
) -> None:
    heard, _ = run(events(text, cut, path), Scripted(slow), pauses=pauses)
    may, whole = allowed(text)
    got = heard.text(0, path)
    if path == ("content",) and not whole:
        assert got.endswith(NOTICE)
        got = got.removesuffix(NOTICE).removesuffix("\n\n") if may else got.removesuffix(NOTICE)
    assert got == may
    assert heard.finishes == {0: "stop" if whole else "content_filter"}
    assert len(heard.retractions) == (0 if whole else 1)
    assert heard.dones == 1
    assert not heard.errors


@settings(deadline=None)
@given(texts, widths, delays, st.integers(1, 100))
def test_alongside_runs_ahead_by_so_much_and_always_ends_in_a_retraction(text: str, cut: list[int], slow: list[int], lag: int) -> None:
    guard = Scripted(slow, lag_characters=lag)
    heard, _ = run(events(text, cut), guard, release="alongside")
    bad = BAD in text
    assert heard.finishes == {0: "content_filter" if bad else "stop"}
    assert len(heard.retractions) == bad
    got = heard.text(0)
    if not bad:
        assert got == text
        return
    shown = got.removesuffix(NOTICE).removesuffix("\n\n")
    first = next((point for point in points_of(text) if BAD in text[:point]), 0)
    assert text.startswith(shown) or shown == ""
    assert len(shown) <= first + lag


@settings(deadline=None)
@given(st.lists(texts, min_size=2, max_size=3), delays, st.sampled_from(("after_guard", "alongside")))
def test_each_choice_is_stopped_for_itself(contents: list[str], slow: list[int], release: str) -> None:
    steps = [
        chunk([{"index": index, "delta": {"content": text[at : at + 3]}, "finish_reason": None}])
        for at in range(0, 60, 3)
        for index, text in enumerate(contents)
        if text[at : at + 3]
    ]
    ends = [chunk([{"index": index, "delta": {}, "finish_reason": "stop"}]) for index in range(len(contents))]
    heard, _ = run(plain([*steps, *ends]), Scripted(slow), choices=len(contents), release=release)
    for index, text in enumerate(contents):
        assert heard.finishes[index] == ("content_filter" if BAD in text else "stop")
        if BAD not in text:
            assert heard.text(index) == text
        elif release == "after_guard":
            assert BAD not in heard.text(index)


def test_an_event_that_is_divided_keeps_its_role_its_finish_its_logprobs_and_its_order() -> None:
    first = {
        "role": "assistant",
        "tool_calls": [{"index": 0, "id": "call_1", "function": {"name": "f", "arguments": '{"a": "' + "x" * 20 + '"}'}}],
    }
    tokens = [{"token": "好" * 20, "logprob": -0.5, "top_logprobs": []}]
    pieces = plain([
        chunk([{"index": 0, "delta": first, "finish_reason": None}], x_top=1),
        chunk([{"index": 0, "delta": {"content": "好" * 20}, "finish_reason": "stop", "logprobs": {"content": tokens}}]),
        chunk([], usage={"total_tokens": 3}),
    ])  # fmt: skip
    heard, _ = run(pieces, Scripted())
    assert heard.text(0) == heard.tokens[0] == "好" * 20
    assert json.loads(heard.text(0, ("tool_calls", 0, "function", "arguments"))) == {"a": "x" * 20}
    calls = [choice["delta"]["tool_calls"][0] for event in heard.events for choice in event["choices"] if "tool_calls" in choice["delta"]]
    assert calls[0]["id"] == "call_1"
    assert [call.get("id") for call in calls[1:]] == [None] * (len(calls) - 1)
    assert heard.finishes == {0: "stop"}
    assert heard.usage == {"total_tokens": 3}
    assert [event["x_top"] for event in heard.events if "x_top" in event] == [1]


@pytest.mark.parametrize("release", ["after_guard", "alongside"])
def test_what_was_not_examined_stops_or_goes_on_and_is_told(release: str) -> None:
    text = "你好，世界真大呀…后面还有很多很多话要说呢"
    heard, guarding = run(events(text, [3]), Scripted(), release=release)
    assert [error["code"] for error in heard.errors] == ["GUARD-UNAVAILABLE"]
    assert heard.text(0) == "你好，世界真大呀"[:8] if release == "after_guard" else text.startswith(heard.text(0))
    assert guarding.told()["outcome"] == "could_not_examine"
    assert guarding.told()["reason"] == "g: timeout"
    heard, guarding = run(events(text, [3]), Scripted(), release=release, could_not_examine="deliver")
    assert (heard.text(0), heard.finishes, heard.errors) == (text, {0: "stop"}, [])
    assert guarding.missed == {"output": "g: timeout"}
    listed: Any = guarding.told()["listed"]
    assert {note["verdict"] for note in listed} == {"safe", "could_not_examine"}
    assert all(note["guard"] == "g" and note["path"] == "choices[0].content" for note in listed)


def test_a_finding_that_the_policy_only_flags_goes_on_and_is_told() -> None:
    heard, guarding = run(events("疑似的话", [2]), Scripted())
    assert heard.text(0) == "疑似的话"
    assert guarding.flags == [Hit("choices[0].content", 0, 4, "A.1.f", "GD-g", "flag", "deliver", "low")]
    assert guarding.told()["outcome"] == "hit"


def test_a_text_is_examined_to_its_end_when_its_choice_finishes_not_when_the_stream_does() -> None:
    guard = Scripted()
    shown: list[int] = []

    class Late(Pieces):
        async def readany(self) -> bytes:
            if len(self._pieces) == 1:  # `[DONE]`, which takes its time
                for _ in range(20):
                    await asyncio.sleep(0)
                shown.append(len(guard.seen))
            return await super().readany()

    async def go() -> bytes:
        guarding = Guarding([guard], GuardUse(guards=("g",)), POLICY)
        answer: Any = Late(events("好", [1]))
        guarded = GuardedAnswer(answer, guarding, (), on_input=lambda found: found.ending, on_wait=lambda _: None)
        found = b""
        while raw := await guarded.readany():
            found += raw
        return found

    assert b'"finish_reason": "stop"' in asyncio.run(go())
    assert shown == [1]


def test_nothing_leaves_before_the_word_on_the_input_where_it_waits_and_the_end_waits_always() -> None:
    good, bad = [{"role": "user", "content": "你好"}], [{"role": "user", "content": f"怎么制{BAD}"}]
    for directions in ("input", "both"):
        for way in ("wait", "alongside"):
            heard, _ = run(events("好", [1]), Scripted([30], directions=directions), asked=good, input=way)
            assert (heard.text(0), heard.finishes) == ("好", {0: "stop"})
        heard, _ = run(events(f"好{BAD}", [1]), Scripted([30, 0], directions=directions), asked=bad, input="wait")
        assert heard.text(0) == ""
        assert [error["code"] for error in heard.errors] == ["INPUT-REFUSED"]
    heard, _ = run(events("好", [1]), Scripted([30], directions="input"), asked=bad, input="alongside")
    assert (heard.text(0), heard.finishes, len(heard.retractions)) == (f"好\n\n{NOTICE}", {0: "content_filter"}, 1)


@pytest.mark.parametrize(
    "pieces",
    [
        [b"data: {"],
        [b"data: <html>\n\n"],
        [*plain(said({"content": "好"}, finish=None), done=False)],
        [b"data: " + b'{"choices": [{"index": 0, "delta": ' + b'{"a": ' * 900 + b"1" + b"}" * 900 + b"}]}\n\n"],
        [b'data: {"choices": [{"index": true, "delta": {"content": 5}}]}\n\n'],
        [b'data: {"choices": {"index": 0}}\n\n'],
    ],
)
def test_what_is_no_stream_is_told_as_without_guards(pieces: list[bytes]) -> None:
    heard, _ = run(pieces, Scripted())
    assert heard.errors == [{"code": "broken"}]
    assert heard.dones == 1


# ── what guards are shown ───────────────────────────────────────────────────────────────────────────────────────────────


@given(st.text("ab。，\n", max_size=80), st.lists(st.integers(1, 9), min_size=1, max_size=5), st.integers(2, 12))
def test_points_depend_on_the_text_alone(text: str, cut: list[int], every: int) -> None:
    whole, pieces = Growing(every), Growing(every)
    whole.grow(text)
    at = turn = 0
    while at < len(text):
        pieces.grow(text[at : at + cut[turn % len(cut)]])
        at, turn = at + cut[turn % len(cut)], turn + 1
    for growing in (whole, pieces):
        growing.end()
    assert whole.points == pieces.points
    marks = [0, *whole.points]
    assert marks[-1] == len(text)
    assert all(0 < b - a <= every for a, b in zip(marks, marks[1:], strict=False))


@given(st.integers(0, 300), st.integers(0, 300), st.integers(1, 50))
def test_windows_hold_every_character(done: int, more: int, window: int) -> None:
    end = done + more
    found = windows(done, end, window)
    assert all(0 <= b - a <= window for a, b in found)
    assert set(range(done, end)) <= {at for a, b in found for at in range(a, b)}


def test_a_long_text_is_forgotten_and_still_shown_where_it_is_needed() -> None:
    growing, text = Growing(100), "".join(chr(0x4E00 + place % 5_000) for place in range(30_000))
    for at in range(0, len(text), 100):
        growing.grow(text[at : at + 100])
        while growing.points:
            end = growing.points.popleft()
            for a, b in windows(max(0, end - 100), end, 400):
                assert growing.shown(a, b, 400) == text[a:b]
    assert len(growing._text) < 3_000


@given(
    st.lists(st.tuples(st.sampled_from(("user", "assistant", "system", "tool")), st.text("ab", max_size=70)), min_size=1, max_size=6),
    st.integers(5, 60),
)
def test_every_turn_of_a_conversation_is_shown(turns: list[tuple[str, str]], window: int) -> None:
    messages = [{"role": role, "content": text} for role, text in turns]
    parts = input_parts(messages, window)
    assert all(sum(len(turn.text) for turn in part.turns) <= window for part in parts)
    whole = [turn.text for part in parts for turn in part.turns]
    for place, (_, text) in enumerate(turns):
        pieces = [part for part in parts if part.path == f"messages[{place}]" and part.end - part.start < len(text)]
        assert text in ("", *whole) or {at for part in pieces for at in range(part.start, part.end)} == set(range(len(text)))
        assert all(part.turns[-1].text == text[part.start : part.end] for part in pieces)
    assert all(turn.text for part in parts for turn in part.turns)


def test_texts_of_messages_parts_tools_and_questions() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    message = {
        "role": "assistant",
        "content": [{"type": "text", "text": "一"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}],
        "tool_calls": [call],
    }
    assert text_of(message) == "一\n{}" or text_of(message).startswith("一\n")
    assert question_of([{"role": "user", "content": "问"}, {"role": "assistant", "content": "答"}], 100) == (Turn("user", "问"),)
    assert question_of([{"role": "assistant", "content": "答"}], 100) == ()
    assert [part.path for part in answer_parts({"role": "assistant", "content": "答", "refusal": "不"}, (), "m", 100)] == [
        "m.content",
        "m.refusal",
    ]
    with pytest.raises(TooLong):
        input_parts([{"role": "user", "content": "x" * 100 * (PARTS_AT_MOST + 5)}], 90)
    with pytest.raises(TooLong):
        answer_parts({"content": "x" * 100 * (PARTS_AT_MOST + 5)}, (), "m", 90)


def test_an_input_that_is_too_long_was_not_examined() -> None:
    async def go() -> Examination:
        guarding = Guarding([Scripted(window_characters=100)], GuardUse(guards=("g",)), POLICY)
        guarding.begin_input([{"role": "user", "content": "x" * 100_000}])
        assert guarding.input is not None
        return await guarding.input

    assert asyncio.run(go()) == Examination((), "too long")
