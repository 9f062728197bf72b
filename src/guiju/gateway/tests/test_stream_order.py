"""A stream whose text waits stays one that every client can read."""

from hypothesis import given, settings
from hypothesis import strategies as st

from guiju.gateway.tests.test_stream import FIELDS, SNAPSHOT, chunk, events_of, libraries, plain, pour, said, scripts, stream_of
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
