"""The order of a stream whose text waits: in a choice nothing of a later text leaves before the tail of an earlier one (decision 0046).

The oracle of what leaves is in `test_stream.py`, over the same interleavings. The guarded lines: in `stream.py`, `_settle` (without its
emission the order goes red, and with a tail that waits behind it the first property), the tool calls of one event apart (`state.waits`),
and `_settle` before a stop; in `choice.py`, `path not in self.paused` (without it more than one tail of a text leaves), and
`path not in self.spoke` (without it two fields that come side by side are let out piece by piece).
"""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from guiju.gateway.tests.client import Heard, Path, hear
from guiju.gateway.tests.scripts import chunk, events_of
from guiju.gateway.tests.test_stream import FIELDS, NOTICE, SNAPSHOT, allowed, check, libraries, plain, pour, said, scripts, stream_of
from guiju.screening.matching.snapshot import Snapshot
from guiju.screening.values import LibraryEntry


@settings(max_examples=200, deadline=None)
@given(libraries, st.data(), st.integers(1, 3), st.integers(0, 60))
def test_every_event_of_an_answer_has_a_choice_to_read(library: list[LibraryEntry], data: st.DataObject, choices: int, keep: int) -> None:
    """Everybody's loop reads `chunk.choices[0]`. Red when `_emit_beside` or `tail` sends `choices: []`; the usage at the end is OpenAI's way."""
    script = data.draw(scripts(library, choices, FIELDS))
    events = events_of(script, choices, finish_with_text=data.draw(st.booleans()))[:keep]
    for number, event in enumerate(events):
        event |= {"obfuscation": f"x{number}", f"x_{number}": number, "usage": None}
    usage = [chunk([], usage={"total_tokens": 9})] if len(events) < keep else []
    heard = pour(stream_of(Snapshot(library, "test"), choices), plain([*events, *usage], done=False))
    assert all(event["choices"] for event in heard.events if "error" not in event and not event.get("usage"))
    if not heard.errors and not heard.retractions:
        told = [name for event in heard.events for name in event if name.startswith("x_")]
        assert told == [f"x_{number}" for number in range(len(events))]


def test_a_first_event_that_waits_for_the_record_says_what_was_decided() -> None:
    """Red when `tail` decides the label of its last event only."""
    heard = pour(stream_of(SNAPSHOT, mode="suffix"), plain([*said(), chunk([], usage={"total_tokens": 1})]))
    assert [event["aigc"]["explicit"] for event in heard.events if "aigc" in event] == ["interface", "interface"]
    heard = pour(stream_of(SNAPSHOT, mode="suffix"), plain(said({"content": "好"})))
    assert [event["aigc"]["explicit"] for event in heard.events if "aigc" in event] == ["undecided", "suffix"]


Sent = dict[tuple[int, Path], list[int]]
"""Choice and text → in which event the upstream sent each of its characters."""


def sent_in(events: list[dict[str, Any]]) -> Sent:
    places: Sent = {}
    for number, event in enumerate(events):
        heard = hear(b"data: " + json.dumps(event).encode() + b"\n\n")
        for key, text in heard.texts.items():
            places.setdefault(key, []).extend([number] * len(text))
    return places


def check_order(events: list[dict[str, Any]], heard: Heard, exempt: set[tuple[int, Path]]) -> None:
    """When a character leaves, so has every character of the other texts of its choice that the upstream sent in an earlier event."""
    sent = sent_in(events)
    gone = dict.fromkeys(sent, 0)
    for event in heard.events:
        said_now = {
            key: text
            for key, text in hear(b"data: " + json.dumps(event).encode() + b"\n\n").texts.items()
            if key in sent and NOTICE not in text
        }
        for key, text in said_now.items():
            gone[key] += len(text)
        for key, text in said_now.items():
            if not text:
                continue
            latest = sent[key][gone[key] - 1]
            for other, places in sent.items():
                if other[0] == key[0] and other != key and other not in exempt:
                    assert gone[other] >= sum(place < latest for place in places), f"{key} left before {other}"


def came_back(events: list[dict[str, Any]]) -> set[tuple[int, Path]]:
    """Return the texts that went on after another of their choice had come in an event without them."""
    spoke: dict[int, set[Path]] = {}
    left: set[tuple[int, Path]] = set()
    back: set[tuple[int, Path]] = set()
    for event in events:
        now: dict[int, set[Path]] = {}
        for (choice, path), text in hear(b"data: " + json.dumps(event).encode() + b"\n\n").texts.items():
            if text:
                now.setdefault(choice, set()).add(path)
        for choice, paths in now.items():
            back |= {(choice, path) for path in paths if (choice, path) in left}
            left |= {(choice, path) for path in spoke.get(choice, set()) - paths}
            spoke[choice] = paths
    return back


@settings(max_examples=400, deadline=None)
@given(libraries, st.data(), st.integers(1, 3))
def test_nothing_of_a_later_text_leaves_before_an_earlier_tail(library: list[LibraryEntry], data: st.DataObject, choices: int) -> None:
    """Over random interleavings of texts and choices; a text that came back has given its order up."""
    snapshot = Snapshot(library, "test")
    script = data.draw(scripts(library, choices, FIELDS))
    events = events_of(script, choices, finish_with_text=data.draw(st.booleans()))
    heard = pour(stream_of(snapshot, choices), plain(events))
    check(snapshot, script, choices, heard)
    check_order(events, heard, came_back(events))


@settings(max_examples=300, deadline=None)
@given(libraries, st.data())
def test_one_text_after_the_other_leaves_in_order_and_each_up_to_its_own_hit(library: list[LibraryEntry], data: st.DataObject) -> None:
    """As models speak: reasoning, words, one call after the other. What leaves is exactly what screening each text allows, up to the first hit."""
    snapshot = Snapshot(library, "test")
    script = data.draw(scripts(library, 1, FIELDS))
    order = list(dict.fromkeys(step.path for step in script))
    script = [step for path in order for step in script if step.path == path]
    events = events_of(script, 1, finish_with_text=data.draw(st.booleans()))
    heard = pour(stream_of(snapshot), plain(events))
    check_order(events, heard, set())
    stopped = False
    for path in order:
        whole = "".join(step.piece for step in script if step.path == path)
        clean, hit = ("", False) if stopped else allowed(snapshot, whole)
        stopped = stopped or hit
        got = heard.text(0, path)
        assert (got.removesuffix(NOTICE).rstrip("\n") if path == ("content",) else got.rstrip("\n")) == clean.rstrip("\n")
    assert heard.finishes[0] == ("content_filter" if stopped else "stop")


def call(index: int, *pieces: str, **more: object) -> list[dict[str, Any]]:
    begun = {"index": index, "id": f"call_{index}", "type": "function", "function": {"name": "weather", "arguments": ""}, **more}
    return [{"tool_calls": [begun]}, *({"tool_calls": [{"index": index, "function": {"arguments": piece}}]} for piece in pieces)]


ARGUMENTS = [("tool_calls", place, "function", "arguments") for place in (0, 1)]


def test_a_call_is_complete_when_the_next_begins() -> None:
    """Text, then two calls, each with a tail that could begin a term."""
    stream = stream_of(SNAPSHOT)
    sent = b"".join(
        stream.feed(piece) for piece in plain(said({"content": "查一下赌"}, *call(0, '{"a": "赌'), *call(1)[:1], finish=None), False)
    )
    heard = hear(sent)
    assert heard.text() == "查一下赌"
    assert heard.text(0, ARGUMENTS[0]) == '{"a": "赌'
    first = next(place for place, event in enumerate(heard.events) if "call_1" in json.dumps(event))
    assert "赌" not in json.dumps(heard.events[first:], ensure_ascii=False)


def test_calls_that_come_in_one_event_leave_one_after_the_other() -> None:
    calls = [{"index": place, "function": {"arguments": text}} for place, text in enumerate(("一赌", "二赌", "三"))]
    heard = pour(stream_of(SNAPSHOT), plain(said({"content": "好赌", "tool_calls": calls}, finish="tool_calls")))
    spelled = [text for event in heard.events for text in hear(b"data: " + json.dumps(event).encode() + b"\n\n").texts.values() if text]
    assert "".join(spelled) == "好赌一赌二赌三"
    bare = [{"function": {"arguments": text}} for text in ("一赌", "二赌", "三")]
    assert pour(stream_of(SNAPSHOT), plain(said({"tool_calls": bare}))).text(0, ("tool_calls", 2, "function", "arguments")) == "三"


def test_a_text_that_comes_back_completes_no_term_and_gives_away_one_tail_at_most() -> None:
    """赌 has left when the other text began; what completes it does not leave. From then on the text waits for itself."""
    back = [{"content": "好赌"}, {"x_note": "注"}, {"content": "球，赌"}, {"x_note": "意"}]
    stream = stream_of(SNAPSHOT)
    heard = hear(b"".join(stream.feed(piece) for piece in plain(said(*back, finish=None), False)))
    assert (heard.text(), heard.text(0, ("x_note",))) == ("好赌球，", "注意")
    heard = pour(stream_of(SNAPSHOT), plain(said(*back, {"content": "博"})))
    assert (heard.text(), heard.finishes) == (f"好赌球，\n\n{NOTICE}", {0: "content_filter"})
    stream = stream_of(SNAPSHOT)
    heard = pour(stream, plain(said(*back[:2], {"content": "博。"})))
    assert heard.text() == f"好赌\n\n{NOTICE}"
    assert [(hit.start, hit.end) for hit in stream.hits] == [(1, 3)]


def test_fields_that_come_side_by_side_wait_each_for_itself_and_are_complete_before_the_next() -> None:
    """As some services send reasoning twice in each event: no tail is given away while both go on."""
    twice = [{"reasoning": piece, "reasoning_details": [{"index": 0, "text": piece}]} for piece in ("想赌", "球，赌", "博罪，赌")]
    stream = stream_of(SNAPSHOT)
    one = hear(b"".join(stream.feed(piece) for piece in plain(said(twice[0], finish=None), False)))
    assert one.text(0, ("reasoning",)) == one.text(0, ("reasoning_details", 0, "text")) == "想"
    two = hear(b"".join(stream.feed(piece) for piece in plain(said(twice[1] | {"x_note": "注"}, finish=None), False)))
    assert two.text(0, ("reasoning",)) == two.text(0, ("reasoning_details", 0, "text")) == "赌球，"
    heard = hear(b"".join(stream.feed(piece) for piece in plain(said(twice[2], {"content": "好"}, finish=None), False)))
    assert heard.text(0, ("reasoning",)) == heard.text(0, ("reasoning_details", 0, "text")) == "赌博罪，赌"
    assert heard.events[-1]["choices"][0]["delta"] == {"content": "好"}


def test_a_tail_that_is_a_term_if_it_ends_there_stops_before_the_next_text() -> None:
    """赌博 would be excused by 罪; when a call begins, the words have ended. Nothing of the call leaves."""
    heard = pour(stream_of(SNAPSHOT), plain(said({"content": "好赌博"}, *call(0, "{}"))))
    assert (heard.text(), heard.finishes) == (f"好\n\n{NOTICE}", {0: "content_filter"})
    assert "call_0" not in json.dumps(heard.events)


def test_a_stop_in_a_later_text_lets_the_earlier_tail_out_first() -> None:
    heard = pour(stream_of(SNAPSHOT), plain(said({"reasoning_content": "想赌"}, {"content": "好赌博。"})))
    assert (heard.text(0, ("reasoning_content",)), heard.text()) == ("想赌", f"好\n\n{NOTICE}")
