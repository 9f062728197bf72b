"""A snapshot folds exactly only the parts around matches, and many texts in one pass; both give what each whole text alone gives.

Guarded lines, each seen red when changed: `begins - 1` in `_unfolded` of `matcher.py` (the character before decides about words), `maximum.accumulate`
there (a long match over a short one), `finish >= begins[place + 1]` in `_confirmed` (no hit over two texts), `last - self._longest` in `_is_excused`;
of long texts `behind`, `ahead` and `starts.searchsorted(starts[keep])` in `_read_long`, and `ESCAPE_BEGUN` in `cuts` of `portions.py`.
"""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guiju.screening.matching import matcher as rooms
from guiju.screening.matching.snapshot import Snapshot
from guiju.screening.matching.tests.test_gate import LETTERS, NOISE, libraries
from guiju.screening.spellings import portions
from guiju.screening.spellings.fold import fold
from guiju.screening.values import PASS, LibraryEntry, Policy, Verdict

POLICY = Policy()
pieces = st.one_of(st.text(LETTERS, max_size=4), st.text(NOISE, max_size=3))
texts = st.lists(pieces, max_size=20).map("".join)


def whole(monkeypatch: pytest.MonkeyPatch, snapshot: Snapshot, text: str) -> Verdict:
    """The oracle: every character folded exactly."""
    with monkeypatch.context() as patch:
        patch.setattr(rooms, "_SHORT_CHARACTERS", 10**9)
        return snapshot.examine(text, "output", POLICY)


@settings(max_examples=1000, deadline=None)
@given(libraries, texts, st.data())
def test_the_parts_around_matches_give_what_the_whole_gives(library: list[LibraryEntry], text: str, data: st.DataObject) -> None:
    planted = [entry.term for entry in library] + [longer for entry in library for longer in entry.exceptions]
    text += "".join(data.draw(st.lists(st.one_of(st.sampled_from(planted), pieces), max_size=10)))
    snapshot = Snapshot(library, "test")
    with pytest.MonkeyPatch.context() as patch:
        expected = whole(patch, snapshot, text)
        patch.setattr(rooms, "_SHORT_CHARACTERS", -1)
        assert snapshot.examine(text, "output", POLICY) == expected


NEAR = [
    LibraryEntry("kw-1", "赌博", "A.1.h", "block", ("赌博罪", "反赌博")),
    LibraryEntry("kw-2", "海豚", "A.1.h", near=("租", "训练"), within=20, exceptions=("海豚音",)),
    LibraryEntry("kw-3", "株式", "A.1.f"),
]
PIECES = ["赌博", "反", "罪", "海豚", "音", "租", "训练", "㍿", "\\u8d4c", "%E8%B5%8C", "博", "。", " ", "\u200b", "好" * 15, "\\u8d"]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=60).map("".join))
def test_a_long_text_in_portions_gives_what_the_whole_gives(text: str) -> None:
    snapshot = Snapshot(NEAR, "test")
    expected = snapshot.examine(text, "output", POLICY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(portions, "PORTION", 40)
        patch.setattr(rooms, "_LONG_CHARACTERS", 40)
        assert snapshot.examine(text, "output", POLICY) == expected
        assert snapshot.examine_each(["好", text, "赌博", text], "output", POLICY)[1::2] == [expected, expected]
        assert not (snapshot.finds_nothing([text]) and expected is not PASS)


@settings(max_examples=500, deadline=None)
@given(libraries, st.lists(texts, max_size=6))
def test_many_in_one_pass_give_what_each_alone_gives(library: list[LibraryEntry], many: list[str]) -> None:
    snapshot = Snapshot(library, "test")
    with pytest.MonkeyPatch.context() as patch:
        expected = [whole(patch, snapshot, text) for text in many]
        assert snapshot.examine_each(many, "output", POLICY) == expected
        patch.setattr(rooms, "_SHORT_CHARACTERS", -1)
        assert snapshot.examine_each(many, "output", POLICY) == expected


@pytest.mark.parametrize(
    ("left", "right"),
    [("赌", "博"), ("赌\\", "n博"), ("\\u8d", "4c博"), ("赌\ud83d", "\ude00博"), ("赌 ", " 博"), ("赌博", "罪"), ("银行卡", "四件套")],
)
def test_nothing_reaches_over_two_texts(left: str, right: str) -> None:
    entries = [LibraryEntry("kw-1", "赌博", "A.1.h", "block", ("赌博罪",)), LibraryEntry("kw-2", "银行卡四件套", "A.1.h")]
    snapshot = Snapshot(entries, "test")
    assert snapshot.examine("银行卡\n四件套", "input", POLICY).hits  # in one text a line end is bridged
    alone = [snapshot.examine(text, "input", POLICY) for text in (left, right)]
    assert snapshot.examine_each([left, right], "input", POLICY) == alone
    assert (alone[0] is PASS) == ("赌博" not in fold(left))


def test_spans_far_into_a_long_text_are_exact() -> None:
    snapshot = Snapshot([LibraryEntry("kw-1", "赌博", "A.1.h")], "test")
    text = "今天天气好。😀" * 5_000 + r"去\u8d4c*賻博" + "㍿" * 1_000 + "ＡＢ賭 博。"
    (hit,) = snapshot.examine(text, "input", POLICY).hits
    assert text[hit.start : hit.end] == "賭 博"


def test_a_text_full_of_excused_matches_takes_time_in_proportion() -> None:
    """Each match must not be compared with every exception found."""
    snapshot = Snapshot([LibraryEntry("kw-1", "赌博", "A.1.h", "block", ("赌博罪",))], "test")

    def seconds(count: int) -> float:
        text, took = "赌博罪，" * count, []
        for _ in range(3):  # the best of three: a collection of everything that other tests left is not what is measured
            began = time.process_time()
            assert snapshot.examine(text, "input", POLICY) is PASS
            took.append(time.process_time() - began)
        return min(took)

    seconds(100)
    assert seconds(40_000) < 40 * max(seconds(4_000), 0.005)


def test_a_long_text_full_of_a_term_is_not_read_to_its_end() -> None:
    """Without the look at the beginning, ten megabytes of one term cost a gigabyte and seven seconds."""
    snapshot = Snapshot([LibraryEntry("kw-1", "赌博", "A.1.h", "block", ("赌博罪",))], "test")
    verdict = snapshot.examine("赌博，" * 400_000, "input", POLICY, "here")
    assert verdict.action == "refuse"
    assert 0 < len(verdict.hits) < 2**17
    assert {hit.path for hit in verdict.hits} == {"here"}


@pytest.mark.parametrize("before", [2**17 - 2, 2**17 - 1, 2**17, 300_000])
def test_in_a_long_text_what_decides_may_stand_behind_the_first_look(before: int) -> None:
    """The cut must not make a hit of an exception that it divides, nor hide a term that stands behind it."""
    snapshot = Snapshot([LibraryEntry("kw-1", "赌博", "A.1.h", "block", ("赌博罪",))], "test")
    filler = "好" * before
    assert snapshot.examine(filler + "赌博罪" + filler, "input", POLICY) is PASS
    verdict = snapshot.examine(filler + "赌博" + filler, "input", POLICY)
    assert [(hit.start, hit.end) for hit in verdict.hits] == [(before, before + 2)]


FLAGGED = LibraryEntry("kw-1", "赌博", "A.1.h", "flag", ("赌博罪",))


def test_of_a_rule_that_hits_again_and_again_the_first_hits_are_told_and_the_rest_are_counted() -> None:
    snapshot = Snapshot([FLAGGED, LibraryEntry("kw-2", "毒药", "A.1.h")], "test")
    text = "赌博，" * 200_000 + "毒药"
    verdict = snapshot.examine(text, "input", POLICY)
    assert [(hit.rule, hit.start) for hit in verdict.hits] == [("kw-1", 3 * place) for place in range(100)] + [("kw-2", 600_000)]
    assert [hit.more for hit in verdict.hits if hit.more] == [199_900]
    assert verdict.action == "refuse"


def test_of_very_many_texts_each_rule_is_told_and_the_rest_is_counted() -> None:
    snapshot = Snapshot([FLAGGED, LibraryEntry("kw-2", "毒药", "A.1.h")], "test")
    verdict = snapshot.examine_all([(str(place), "赌博") for place in range(100_000)] + [("last", "毒药")], "input", POLICY)
    assert sum(1 + hit.more for hit in verdict.hits if hit.rule == "kw-1") == 100_000
    assert len(verdict.hits) < 100_000
    assert [hit.path for hit in verdict.hits if hit.rule == "kw-2"] == ["last"]
