"""A text that was let out as if it ended, and goes on: what leaves next is what the whole text allows behind what has left, and it stops at the same hit.

The guarded lines: in `Gate.pause`, putting back what `finish` decided (without it a term over the pause passes); in `Gate._release`,
`max(safe, self._released)`; in `Gates._release`, `place == safe`; in `Continued.pause`, keeping the joint; in `Mask.pause`, putting back
what was held, and `out[self._left :]`.
"""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from guiju.screening.matching.continued import Continued
from guiju.screening.matching.gate import Gate
from guiju.screening.matching.gates import Gates
from guiju.screening.matching.snapshot import Snapshot
from guiju.screening.matching.tests import test_near as near
from guiju.screening.matching.tests.test_gate import ESCAPED, LETTERS, NOISE, POLICY, libraries
from guiju.screening.outlet import Outlet
from guiju.screening.personal.detectors.tests.samples import cut, planted
from guiju.screening.personal.finds import NOTHING_SAID
from guiju.screening.personal.mask import Mask
from guiju.screening.personal.tests.test_mask import MASKS, STOPS
from guiju.screening.values import LibraryEntry, Policy

AnyGate = Gate | Gates | Continued
NOTHING = Policy(personal_on_output={"*": "pass"})


def played(gate: AnyGate, pieces: list[str], pause_after: int = -1) -> tuple[str, object]:
    """Return what leaves, and the hit; after so many pieces the text pauses."""
    out = []
    for place, piece in enumerate(pieces):
        out.append(gate.feed(piece))
        if place == pause_after:
            out.append(gate.pause())
            assert gate.hit or not gate.held
            out.append(gate.pause())  # nothing new: nothing happens
        if gate.hit:
            break
    else:
        out.append(gate.finish())
    return "".join(out), gate.hit


def check_gate(gates: list[AnyGate], text: str, place: int) -> None:
    ended, whole, paused = gates
    begun, found = played(ended, list(text[:place]))
    all_, hit = played(whole, list(text))
    expected = (begun, found) if found else (begun + all_[place:], hit)
    assert played(paused, list(text), place - 1) == expected


@settings(max_examples=1500, deadline=None)
@given(libraries, st.data())
def test_a_gate_goes_on_behind_what_has_left(library: list[LibraryEntry], data: st.DataObject) -> None:
    parts = [entry.term for entry in library] + [text for entry in library for text in entry.exceptions] + list(NOISE) + ESCAPED
    text = "".join(data.draw(st.lists(st.one_of(st.sampled_from(parts), st.text(LETTERS, max_size=2)), max_size=8))) or "x"
    snapshot = Snapshot(library, "test")
    place = data.draw(st.integers(1, len(text)))
    check_gate([snapshot.gate(POLICY) for _ in range(3)], text, place)


@settings(max_examples=500, deadline=None)
@given(near.libraries, st.data())
def test_so_do_the_gates_of_several_readings_and_words_that_count_near_others(library: list[LibraryEntry], data: st.DataObject) -> None:
    text = data.draw(near.dense(library, " ，\n")) + "x"
    snapshot = Snapshot(library, "test")
    check_gate([snapshot.gate(NOTHING) for _ in range(3)], text, data.draw(st.integers(1, len(text))))


@settings(max_examples=500, deadline=None)
@given(libraries, st.data())
def test_so_does_an_answer_that_continues_the_last_message(library: list[LibraryEntry], data: st.DataObject) -> None:
    parts = [entry.term for entry in library]
    both = "好" + "".join(data.draw(st.lists(st.one_of(st.sampled_from(parts), st.text(LETTERS, max_size=2)), min_size=2, max_size=6)))
    joint = data.draw(st.integers(0, len(both) - 1))
    before, text = both[:joint], both[joint:]
    trie = Snapshot(library, "test").trie(POLICY, "output")
    place = data.draw(st.integers(1, len(text)))
    ended, whole, paused = (Continued(trie, before) for _ in range(3))
    begun, found = played(ended, list(text[:place]))
    all_, hit = played(whole, list(text))
    got, stopped = played(paused, list(text), place - 1)
    if found:
        assert (got, stopped) == (begun, found)
        return
    assert got == begun + all_[place:]
    assert bool(stopped) == bool(hit)


def through(state: Mask | Outlet, pieces: list[str], pause_after: int = -1) -> str:
    out = []
    for place, piece in enumerate(pieces):
        out.append(state.feed(piece))
        if place == pause_after and not state.stopped:
            out.append(state.pause())
            assert not state.held
        if state.stopped:
            break
    else:
        out.append(state.finish())
    return "".join(out)


@settings(max_examples=500, deadline=None)
@given(st.integers(0, 2**32), st.booleans(), st.booleans())
def test_what_is_masked_goes_on_behind_what_has_left(seed: int, stops: bool, machine: bool) -> None:
    text, rng = planted(seed), random.Random(seed)
    pieces = cut(text, rng)
    after = rng.randrange(len(pieces))
    place = len("".join(pieces[: after + 1]))
    ended, whole, paused = (Mask(STOPS if stops else MASKS, NOTHING_SAID, machine=machine) for _ in range(3))
    begun, all_ = through(ended, [text[:place]]), through(whole, [text])
    got = through(paused, pieces, after)
    if ended.stopped:
        assert got == begun
        return
    assert got == begun + all_[place:]
    assert paused.stopped == whole.stopped
    if not whole.stopped:
        kept = paused.hits("")
        assert [hit for hit in whole.hits("") if hit not in kept] == []
        assert len(kept) == len(set(kept))


def test_an_identity_number_over_a_pause_is_not_completed() -> None:
    number = "11010519491231002X"
    outlet = Outlet(Snapshot([], "test").trie(Policy(), "output"), MASKS, NOTHING_SAID)
    left = outlet.feed(f"号码 {number[:8]}") + outlet.pause()
    assert left == f"号码 {number[:8]}"
    assert outlet.feed(number[8:]) + outlet.finish() == "******002X"
    assert outlet.has_hidden
