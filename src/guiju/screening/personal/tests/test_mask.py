"""Promise 1 for personal information: for every way of cutting a stream, the client gets exactly what masking the whole text gives.

The oracle is `mask` on the whole text. Guarded lines: without `open_from` in `_advance`, without `after` in the decision, or with a
context shorter than `2 * BEHIND`, the properties go red; without the bound of a detector's `hold_chars`, the last test does.
"""

import json
import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guiju.screening.matching.snapshot import Snapshot
from guiju.screening.outlet import Outlet
from guiju.screening.personal.detectors import CODES, DETECTORS
from guiju.screening.personal.detectors.tests.samples import SAMPLES, cut, planted
from guiju.screening.personal.finds import NOTHING_SAID, Said, mask, screen_for
from guiju.screening.personal.mask import Mask
from guiju.screening.values import LibraryEntry, Policy

MASKS = screen_for(Policy(), "output")
STOPS = screen_for(Policy(personal_on_output={"*": "mask", "PI-MOBILE-PHONE": "stop", "PI-EMAIL-ADDRESS": "stop"}), "output")


def through(state: Mask | Outlet, pieces: list[str]) -> str:
    out = []
    for piece in pieces:
        out.append(state.feed(piece))
        if state.stopped:
            break
    else:
        out.append(state.finish())
    return "".join(out)


@settings(max_examples=500, deadline=None)
@given(st.integers(0, 2**32))
def test_a_stream_is_masked_as_the_whole_text_is(seed: int) -> None:
    text, rng = planted(seed), random.Random(seed)
    whole = mask(text, MASKS, NOTHING_SAID)
    assert len(whole.text) == len(text)
    for pieces in (list(text), cut(text, rng), cut(text, rng)):
        state = Mask(MASKS, NOTHING_SAID)
        assert through(state, pieces) == whole.text
        assert state.hits("") == whole.hits


@settings(max_examples=300, deadline=None)
@given(st.text("0123456789 -()Xx@.a京A王姓名：\\un\u200b号室路北京市朝阳区建国", max_size=80), st.integers(0, 2**32))
def test_so_is_a_text_of_odds_and_ends(text: str, seed: int) -> None:
    whole = mask(text, MASKS, NOTHING_SAID)
    for pieces in (list(text), cut(text, random.Random(seed))):
        assert through(Mask(MASKS, NOTHING_SAID), pieces) == whole.text


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32))
def test_a_stop_cuts_at_the_first_character_that_must_not_leave_for_every_cut(seed: int) -> None:
    text, rng = planted(seed), random.Random(seed)
    by_character, pieces = Mask(STOPS, NOTHING_SAID), Mask(STOPS, NOTHING_SAID)
    out = through(by_character, list(text))
    assert through(pieces, cut(text, rng)) == out
    assert pieces.stopped == by_character.stopped == mask(text, STOPS, NOTHING_SAID).stopped
    assert pieces.hits("") == by_character.hits("")
    if not pieces.stopped:
        assert out == mask(text, STOPS, NOTHING_SAID).text


def test_what_an_address_ends_in_is_known_before_it_is_decided() -> None:
    """A label that begins with a hyphen could go on behind a find that was decided already."""
    text = "写给 someone@mail.example.-b.com 和 a.b@example.com.-"
    found = []
    for pieces in ([text], list(text)):
        state = Mask(MASKS, NOTHING_SAID)
        found.append((through(state, pieces), state.hits("")))
    assert found[0] == found[1]


TERMS = Snapshot(
    [
        LibraryEntry("kw-1", "5678", "A.1.h"),
        LibraryEntry("kw-2", "建国路", "A.1.h", "block", ("建国路口",)),
        LibraryEntry("kw-3", "王建", "A.1.h"),
    ],
    "test",
)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32))
def test_with_terms_nothing_leaks_from_either_for_any_cut(seed: int) -> None:
    """What leaves before a term is what the mask had let out by then: half a number is not delivered."""
    text, rng = planted(seed), random.Random(seed)
    trie = TERMS.trie(Policy(), "output")
    hits = TERMS.examine(text, "output", Policy()).hits
    if hits:
        state = Mask(MASKS, NOTHING_SAID)
        expected = state.feed(text[: min(hit.start for hit in hits)])
    else:
        expected = mask(text, MASKS, NOTHING_SAID).text
    for pieces in (list(text), cut(text, rng)):
        outlet = Outlet(trie, MASKS, NOTHING_SAID)
        assert through(outlet, pieces) == expected
        assert outlet.stopped == bool(hits)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32))
def test_json_stays_json_and_as_long(seed: int) -> None:
    rng = random.Random(seed)
    value: dict[str, object] = {
        "note": planted(seed), "number": int(SAMPLES["PI-MOBILE-PHONE"][0](random.Random(1)).replace("-", "").replace(" ", "")),
        "list": [6222021234567890, "卡 " + SAMPLES["PI-BANK-CARD"][0](rng), 4111111111111111],
    }  # fmt: skip
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False)):
        whole = mask(text, MASKS, NOTHING_SAID, machine=True)
        assert len(whole.text) == len(text)
        assert json.loads(whole.text)["list"][2] == 4111000000001111
        assert through(Mask(MASKS, NOTHING_SAID, machine=True), cut(text, rng)) == whole.text


def test_what_the_person_said_is_delivered_to_them() -> None:
    said = Said(
        [{"role": "user", "content": [{"type": "text", "text": "我的手机是１３８-1234-5678"}]}, {"role": "tool", "content": "13912345678"}]
    )
    text = "您的手机 13812345678 已登记，客服手机 13912345678。"
    expected = "您的手机 13812345678 已登记，客服手机 139****5678。"
    assert mask(text, MASKS, said).text == expected
    assert through(Mask(MASKS, said), list(text)) == expected


@pytest.mark.parametrize("detector", DETECTORS, ids=lambda detector: detector.code)
def test_no_more_is_held_than_the_detector_says(detector: object) -> None:
    """The bound of each detector, measured on its own values with every character a piece."""
    rng = random.Random(7)
    assert detector in DETECTORS
    code = detector.code
    alone = screen_for(Policy(personal_on_output={"*": "pass", code: "mask"}), "output")
    for make in SAMPLES[code]:
        for _ in range(60):
            state = Mask(alone, NOTHING_SAID)
            for character in "前文" + make(rng) + "，后文":
                state.feed(character)
                assert len(state.held) <= CODES[code].hold_chars


HOSTILE = {
    "digits": "1" * 10**6, "spaced digits": "1 " * 500_000, "groups": "1234 " * 200_000, "ids": "11010519491231002" * 60_000,
    "at signs": "a@" * 500_000, "dotted": "aa@a.b.c." * 111_000, "locals": "a.b-c_" * 166_000, "divisions": "省市区" * 333_000,
    "addresses": "北京市朝阳区路1号1室" * 83_000, "leads": "姓名：" * 333_000, "plates": "京A12" * 250_000, "tokens": "eyJhbG." * 142_000,
    "keys": "sk-abcdefghij" * 76_000, "heads": "-----BEGIN PRIVATE KEY-----" * 37_000, "body": "-----BEGIN PRIVATE KEY-----" + "A" * 10**6,
    "backslashes": "\\" * 10**6, "escapes": "\\u0031" * 166_000, "invisible": "1\u200b" * 500_000, "only invisible": "138" + "\u200b" * 10**6,
}  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_megabyte_of_anything_takes_bounded_time(text: str) -> None:
    """Whole, and in pieces of 500 characters. A second or two here; super-linear time would take minutes."""
    began = time.process_time()
    whole = mask(text, MASKS, NOTHING_SAID)
    state = Mask(MASKS, NOTHING_SAID)
    out, held = [], 0
    for at in range(0, len(text), 500):
        out.append(state.feed(text[at : at + 500]))
        held = max(held, len(state.held))
    out.append(state.finish())
    assert time.process_time() - began < 20
    assert held <= 500 + max(detector.hold_chars for detector in DETECTORS)
    assert "".join(out) == whole.text
