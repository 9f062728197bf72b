"""Hostile input: whatever is sent, there is a verdict, a term behind it is found, a stream is what the whole is, and little is held.

Time is measured in `bench/hostile.py`; here results, memory and what is held back are asserted, which no busy machine changes.
Guarded: what the fold drops (marks, zero width) must not hide a term; the mask's windows; what the gate holds back.
"""

import tracemalloc
from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guiju.gateway.inputs import examine_input
from guiju.screening.matching.snapshot import Snapshot
from guiju.screening.outlet import Outlet
from guiju.screening.personal.finds import NOTHING_SAID, mask, screen_for
from guiju.screening.review.texts import texts_shown
from guiju.screening.screener import Screener
from guiju.screening.tests.hostile import HOSTILE, TERM, near_misses
from guiju.screening.values import LibraryEntry, Policy
from guiju.screening.view import strings

ENTRIES = (LibraryEntry("kw-1", TERM, "A.1.h"), LibraryEntry("kw-2", "forbidden words", "A.1.f"))
SNAPSHOT = Snapshot(ENTRIES, "test")
POLICY = Policy()
SCREEN = screen_for(POLICY, "output")
CHARACTERS = 60_000
HELD_CHARACTERS = 1_000
"""What may be held of an answer that streams, whatever it is made of: a key or a token may still be going on."""
BYTES_PER_CHARACTER = 400
"""Working memory; the dearest are keys with a find every fifty characters, and ligatures that fold to eighteen."""


def streamed(text: str, cut: int) -> tuple[str, int, bool]:
    """Return what leaves of a streamed text, the most that was held, and whether it was stopped."""
    outlet = Outlet(SNAPSHOT.trie(POLICY, "output"), SCREEN, NOTHING_SAID)
    out: list[str] = []
    most = 0
    for at in range(0, len(text), cut):
        out.append(outlet.feed(text[at : at + cut]))
        most = max(most, len(outlet.held))
        if outlet.stopped:
            return "".join(out), most, True
    out.append(outlet.finish())
    return "".join(out), most, outlet.stopped


@pytest.mark.parametrize("name", HOSTILE)
def test_a_term_behind_it_is_found_and_nothing_in_it_is_one(name: str) -> None:
    text = HOSTILE[name](CHARACTERS)
    assert SNAPSHOT.examine(text, "input", POLICY).outcome == "pass"
    verdict = SNAPSHOT.examine(f"{text}。{TERM}", "input", POLICY)
    assert [(hit.start, hit.end) for hit in verdict.hits] == [(len(text) + 1, len(text) + 1 + len(TERM))]
    assert verdict.action == "refuse"


@pytest.mark.parametrize("name", HOSTILE)
def test_a_stream_is_what_the_whole_is_and_little_is_held(name: str) -> None:
    text = HOSTILE[name](CHARACTERS // 3)
    whole = mask(text, SCREEN, NOTHING_SAID).text
    left, held, stopped = streamed(text, 509)
    assert (left == whole, stopped) == (True, False)
    assert held <= HELD_CHARACTERS
    short = text[:1_500]
    assert streamed(short, 1)[0] == mask(short, SCREEN, NOTHING_SAID).text
    left, _, stopped = streamed(f"{text}。{TERM}。", 509)
    assert stopped
    assert TERM not in left
    assert len(left) <= len(text) + 1


@pytest.mark.parametrize("name", HOSTILE)
def test_working_memory_is_a_small_multiple_of_the_text(name: str) -> None:
    text = HOSTILE[name](CHARACTERS)
    SNAPSHOT.examine(text, "input", POLICY)  # tables that are made once
    mask(text, SCREEN, NOTHING_SAID)
    tracemalloc.start()
    try:
        SNAPSHOT.examine(text, "input", POLICY)
        mask(text, SCREEN, NOTHING_SAID)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= BYTES_PER_CHARACTER * CHARACTERS


@pytest.mark.parametrize("name", HOSTILE)
def test_a_request_and_what_a_reviewer_sees_of_it_stand_it_too(name: str) -> None:
    text = HOSTILE[name](5_000)
    request = {"model": "m", "messages": [{"role": "user", "content": text}, {"role": "user", "content": [{"type": "text", "text": TERM}]}]}
    verdict = examine_input(SNAPSHOT, POLICY, request, strings(request))
    assert verdict.action == "refuse"
    hits = [{"direction": "input", "path": hit.path, "start": hit.start, "end": hit.end, "rule": hit.rule} for hit in verdict.hits]
    kept = msgspec.msgpack.encode({"request": text.encode("utf-8", "surrogatepass"), "answer": {"choices[0].message.content": "好"}})
    assert [each.direction for each in texts_shown([kept], hits)][-1] == "output"


@pytest.mark.parametrize("name", ["one Han character", "one letter", "combining marks on every character", "half surrogates", "one digit"])
def test_a_megabyte_in_one_piece(name: str) -> None:
    text = HOSTILE[name](1_000_000)
    assert SNAPSHOT.examine(f"{text}。{TERM}", "output", POLICY).hits[0].start == len(text) + 1
    assert len(mask(text, SCREEN, NOTHING_SAID).text) == len(text)


def test_a_hundred_thousand_terms_without_their_last_character() -> None:
    terms = [chr(0x4E00 + place // 300) + chr(0x5E00 + place % 300) + "甲乙丙" + "丁戊"[place % 2] + "己" for place in range(100_000)]
    snapshot = Snapshot([LibraryEntry(f"kw-{place}", term, "A.1.h") for place, term in enumerate(terms)], "large")
    text = near_misses(terms, 1_000_000)
    assert snapshot.examine(text, "input", POLICY).outcome == "pass"
    assert snapshot.examine(text + terms[77_777], "input", POLICY).hits[-1].end == len(text) + len(terms[77_777])


def test_deep_nesting_is_examined_or_said_not_to_be() -> None:
    value: object = TERM
    for _ in range(200):
        value = {"a": [value]}
    assert TERM in strings(value)
    for _ in range(100_000):
        value = [value]
    with pytest.raises(RecursionError):  # which the gateway tells as a body that is nested too deeply
        strings(value)
    _take_apart(value)


def _take_apart(value: object) -> None:
    """Let go of a deep value level by level: the interpreter itself must not recurse over it."""
    while isinstance(value, list) and value:
        value = value.pop()


@given(st.lists(st.sampled_from(sorted(HOSTILE)), min_size=1, max_size=4), st.integers(1, 60), st.integers(1, 400))
@settings(max_examples=40, deadline=None)
def test_mixtures_too(names: list[str], cut: int, size: int) -> None:
    text = "".join(HOSTILE[name](size) for name in names)
    if SNAPSHOT.examine(text, "output", POLICY).outcome == "pass":
        left, held, stopped = streamed(text, cut)
        assert (left, stopped) == (mask(text, SCREEN, NOTHING_SAID).text, False)
        assert held <= HELD_CHARACTERS
    assert SNAPSHOT.examine(f"{text}。{TERM}", "input", POLICY).hits


def test_the_screener_answers_for_each_of_many() -> None:
    def coming() -> Iterator[str]:
        for make in HOSTILE.values():
            yield make(3_000)
            yield TERM

    verdicts = list(Screener(ENTRIES).examine_many(coming()))
    assert [any(hit.rule == "kw-1" for hit in verdict.hits) for verdict in verdicts] == [False, True] * len(HOSTILE)
    assert {verdict.outcome for verdict in verdicts} == {"pass", "hit"}
