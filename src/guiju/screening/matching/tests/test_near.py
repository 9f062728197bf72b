"""A term with near words counts with one of them near it, at exact places, streamed as whole; the earlier of the two is never held for it.

The oracle finds term and near word each by a library of its own and measures the distance in the exact fold of the whole text.
Guarded lines, each seen red when changed: `<= … within` in `go_together` and twice in `_paired`, `first_hit(each, seen)` and
`may_make_a_pair` in `_before_pairs`, the count in `_step_over`, `each.last > oldest` in `still_needed`, `if character in patterns` in the gate.
"""

import functools
import tracemalloc
from bisect import bisect_left

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guiju.core.errors import GuijuError
from guiju.screening.libraries.difference import find_difference
from guiju.screening.libraries.formats import Form, read_library, write_library
from guiju.screening.libraries.library import parse_csv, parse_yaml
from guiju.screening.libraries.variants import draft_rows
from guiju.screening.matching import gate as gates
from guiju.screening.matching import matcher as rooms
from guiju.screening.matching.continued import Before, Continued, before_of, reaching_in
from guiju.screening.matching.gate import Gate
from guiju.screening.matching.snapshot import Snapshot
from guiju.screening.matching.tests.test_continued import expected as continued_as
from guiju.screening.matching.tests.test_continued import reaches_in
from guiju.screening.matching.tests.test_continued import streamed as continued
from guiju.screening.matching.tests.test_gate import ESCAPED, LETTERS, NOISE, POLICY, allowed, cut, streamed
from guiju.screening.spellings.fold import fold, fold_exactly
from guiju.screening.values import PASS, LibraryEntry


def entry(term: str, near: str = "", within: int = 20, *exceptions: str, id: str = "kw-1", spellings: str = "") -> LibraryEntry:
    words, names = (tuple(filter(None, column.split("|"))) for column in (near, spellings))
    return LibraryEntry(id, term, "A.1.h", "block", exceptions, "both", names, words, within)


def found(snapshot: Snapshot, text: str) -> list[str]:
    return [f"{hit.start}:{text[hit.start : hit.end]}" for hit in snapshot.examine(text, "output", POLICY).hits]


TOGETHER = [
    (entry("海豚", "训练"), "海豚", []),
    (entry("海豚", "训练"), "训练", []),
    (entry("海豚", "训练"), "海豚在训练", ["3:训练"]),
    (entry("海豚", "训练"), "训练海豚", ["2:海豚"]),
    (entry("海豚", "训练"), "训练海豚训练", ["2:海豚", "4:训练"]),
    (entry("海豚", "训练|出租"), "出租。\n海豚", ["4:海豚"]),  # the distance counts folded characters: a line end is none
    (entry("海豚", "训练", 3), "海豚一二三训练", ["5:训练"]),
    (entry("海豚", "训练", 3), "海豚一二三四训练", []),
    (entry("海豚", "训练", 3), "训练一二三海豚", ["5:海豚"]),
    (entry("海豚", "训练", 3), "训练一二三四海豚", []),
    (entry("海豚", "训练", 3), "训练一、二……………………三\u200b海豚", ["15:海豚"]),
    (entry("海豚", "训练", 1), "海豚海豚一训练", ["5:训练"]),
    (entry("海豚", "训练", 1), "训练海豚海豚", ["2:海豚"]),
    (entry("海豚", "豚"), "海豚", []),  # a near word stands beside the term, not in it
    (entry("海豚", "豚训"), "海豚训", []),
    (entry("海豚", "豚训"), "海豚训海豚", ["3:海豚"]),
    (entry("海豚", "海豚"), "海豚又海豚", ["3:海豚"]),
    (entry("海豚", "租"), "租海豚", ["1:海豚"]),
    (entry("海豚", "租"), "海豚，租", ["3:租"]),
    (entry("海豚", "训练"), "海 豚 訓*練", ["4:訓*練"]),
    (entry("海豚", "训练"), "海豚，训。练", []),  # a near word stretches as a term does
    (entry("海豚", "rent"), "parents海豚", []),
    (entry("海豚", "rent"), "海豚 rents", []),
    (entry("海豚", "rent"), "海豚 rent", ["3:rent"]),
    (entry("sell dolphins", "now"), "Sell dolphins now!", ["14:now"]),
    (entry("海豚", "训练", 20, "海豚湾"), "海豚湾训练", []),
    (entry("海豚", "训练", 20, "海豚湾"), "训练海豚湾", []),
    (entry("海豚", "训练", 20, "海豚训练场地"), "海豚训练场地", []),
    (entry("海豚", "训练", 20, "海豚训练场地"), "海豚训练场", ["2:训练"]),
    (entry("海豚", "训练", spellings="pinyin"), "训练hai豚", ["2:hai豚"]),
    (entry("海豚馆", "训练", spellings="homophone"), "训练嗨囤馆", ["2:嗨囤馆"]),
    (entry("海豚馆", "训练", spellings="homophone"), "嗨囤馆", []),
]


@pytest.mark.parametrize(("row", "text", "hits"), TOGETHER)
def test_the_hit_is_the_later_of_the_two(row: LibraryEntry, text: str, hits: list[str]) -> None:
    snapshot = Snapshot([row], "test")
    assert found(snapshot, text) == hits
    assert not (hits and snapshot.finds_nothing([text]))
    for pieces in [[text[:at], text[at:]] for at in range(len(text) + 1)] + [list(text)]:
        assert streamed(snapshot.gate(POLICY), pieces) == allowed(snapshot, text)


def test_a_text_without_the_term_is_clean_at_the_first_look() -> None:
    assert Snapshot([entry("海豚", "训练|租")], "test").finds_nothing(["租训练"])


def test_words_of_two_texts_do_not_go_together() -> None:
    snapshot = Snapshot([entry("海豚", "训练")], "test")
    assert snapshot.examine_all([("a", "海豚"), ("b", "训练")], "input", POLICY) is PASS
    verdicts = snapshot.examine_each(["海豚", "训练海豚", "训练"], "input", POLICY)
    assert [[(hit.start, hit.end) for hit in verdict.hits] for verdict in verdicts] == [[], [(2, 4)], []]


def test_nothing_is_held_for_a_word_alone() -> None:
    snapshot = Snapshot([entry("大海豚馆", "马戏训练", 3)], "test")
    gate = snapshot.gate(POLICY)
    assert gate.feed("马戏") == "马戏"  # no term was seen
    assert gate.feed("训练，大") == "训练，"  # now a term near it would be a hit
    assert gate.feed("家") == "大家"
    assert gate.feed("一二大海豚馆") == "一二大海豚馆"  # too far away; but now a near word would be one
    assert gate.feed("马戏") == ""
    assert gate.feed("训") == ""
    assert gate.feed("练") == ""
    assert gate.feed("。") == ""
    assert gate.hit is not None
    assert gate.hit[:2] == (13, 17)


# Strategies are made once: Hypothesis reads the source of each new one, which takes longer than what is tested.
LETTER = st.text(LETTERS + "租", min_size=1, max_size=4).filter(fold)
SIMPLE = NOISE.replace("㍿", "")
SPELLINGS = ["", "", "", "leet", "~毒c|reversed", "homophone|pinyin", "shape"]
TERM = st.text(LETTERS, min_size=2, max_size=5).filter(lambda text: len(fold(text)) >= 2)
NEAR, LONGER = st.lists(LETTER, max_size=3), st.lists(st.text(LETTERS, min_size=1, max_size=2), max_size=1)
SPELLED, WITHIN, NUMBER = st.sampled_from(SPELLINGS), st.integers(1, 8), st.integers(0, 10**9)


@st.composite
def rows(draw: st.DrawFn) -> LibraryEntry:
    term = draw(TERM)
    near = tuple(draw(NEAR))
    longer = tuple(term + more for more in draw(LONGER))
    names = tuple(filter(None, draw(SPELLED).split("|")))
    within = draw(WITHIN)
    return LibraryEntry(f"kw-{draw(NUMBER)}", term, "A.1.h", "block", longer, "both", names, near, within)


libraries = st.lists(rows(), min_size=1, max_size=4, unique_by=lambda row: row.id)
KINDS = st.lists(st.sampled_from(["part", "part", "letters", "sign"]), max_size=12)


@functools.cache
def _between(noise: str) -> dict[str, st.SearchStrategy[str]]:
    return {"letters": st.text(LETTERS + noise, max_size=3), "sign": st.sampled_from("好天气" + noise)}


@st.composite
def dense(draw: st.DrawFn, library: list[LibraryEntry], noise: str) -> str:
    """Texts full of terms, near words and exceptions, some apart."""
    parts = [each for row in library for each in (row.term, *row.near, *row.exceptions)]
    pieces = {"part": st.sampled_from(parts), **_between(noise)}
    return "".join(draw(pieces[kind]) for kind in draw(KINDS))


ANY = st.lists(st.sampled_from([*ESCAPED, *LETTERS, "租"]), max_size=20).map("".join)


@settings(max_examples=1000, deadline=None)
@given(libraries, st.data())
def test_the_whole_is_what_term_and_near_word_are_each_for_themselves(library: list[LibraryEntry], data: st.DataObject) -> None:
    library = [msgspec.structs.replace(row, spellings=()) for row in library]
    text = data.draw(dense(library, SIMPLE))
    exact = fold_exactly(text)

    def places(row: LibraryEntry) -> list[tuple[int, int, int, int]]:
        hits = Snapshot([row], "alone").examine(text, "output", POLICY).hits
        return [(bisect_left(exact.starts, hit.start), bisect_left(exact.starts, hit.end), hit.start, hit.end) for hit in hits]

    wanted = set()
    for row in library:
        terms = places(msgspec.structs.replace(row, near=()))
        if not row.near:
            wanted |= {(start, end, row.id) for _, _, start, end in terms}
        for word in row.near:
            for one in places(LibraryEntry("near", word, "A.1.h")):
                for term in terms:
                    earlier, later = sorted((one, term))
                    if 0 <= later[0] - earlier[1] <= row.within:
                        wanted.add((later[2], later[3], row.id))
    for short in (80, -1):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(rooms, "_SHORT_CHARACTERS", short)
            hits = Snapshot(library, "test").examine(text, "output", POLICY).hits
        assert [(hit.start, hit.end, hit.rule) for hit in hits] == sorted(wanted)


@settings(max_examples=1500, deadline=None)
@given(libraries, st.data(), st.lists(st.integers(0, 1000), max_size=12))
def test_streamed_equals_whole_for_every_cut(library: list[LibraryEntry], data: st.DataObject, places: list[int]) -> None:
    text = data.draw(st.one_of(dense(library, NOISE), ANY))
    snapshot = Snapshot(library, "test")
    whole = allowed(snapshot, text)
    assert streamed(snapshot.gate(POLICY), cut(text, places)) == whole
    assert streamed(snapshot.gate(POLICY), list(text)) == whole
    with pytest.MonkeyPatch.context() as patch:  # the fold is forgotten while something is read, too
        patch.setattr(gates, "_FOLDED_AT_MOST", 2)
        assert streamed(snapshot.gate(POLICY), list(text)) == whole
    assert not (whole[1] and snapshot.finds_nothing([text]))


@settings(max_examples=300, deadline=None)
@given(libraries, st.data())
def test_many_in_one_pass_give_what_each_alone_gives(library: list[LibraryEntry], data: st.DataObject) -> None:
    many = data.draw(st.lists(dense(library, NOISE), max_size=5))
    snapshot = Snapshot(library, "test")
    assert snapshot.examine_each(many, "output", POLICY) == [snapshot.examine(text, "output", POLICY) for text in many]


@settings(max_examples=500, deadline=None)
@given(libraries, st.data())
def test_held_text_could_still_become_a_hit(library: list[LibraryEntry], data: st.DataObject) -> None:
    """Nothing is held for longer than needed, and so nothing for the earlier of two. Without exceptions, as in `test_gate.py`."""
    library = [msgspec.structs.replace(row, exceptions=(), spellings=()) for row in library]
    text = data.draw(dense(library, SIMPLE.replace("\\u8d4c", "")))
    snapshot = Snapshot(library, "test")
    gate = snapshot.gate(POLICY)
    sent = "".join(gate.feed(character) for character in text)
    if gate.hit or not gate.held or "\\" in gate.held:
        return
    words = [fold(each) for row in library for each in (row.term, *row.near)]
    endings = ["", *(word[k:] for word in words for k in range(len(word)))]
    hits = [snapshot.examine(text + ending + ".", "output", POLICY).hits for ending in endings]
    assert any(hit.start <= len(sent) for several in hits for hit in several)


@settings(max_examples=500, deadline=None)
@given(libraries, st.data())
def test_an_answer_that_continues_is_streamed_as_whole(library: list[LibraryEntry], data: st.DataObject) -> None:
    both = data.draw(dense(library, SIMPLE.replace("\\", "").replace("\ud800", "")))
    at = data.draw(st.integers(0, len(both)))
    snapshot = Snapshot(library, "test")
    before, text = both[:at], both[at:]
    trie = snapshot.trie(POLICY, "output")
    assert continued(Continued(trie, before), list(text)) == continued_as(snapshot, before, text)
    assert (reaching_in(trie, Before("m", before, 0), text) is not None) == reaches_in(snapshot, before, text)
    last = before[-snapshot.longest :]
    if last and before_of([{"role": "assistant", "content": last}], snapshot, POLICY) is None:
        assert not reaches_in(snapshot, last, text)


def test_an_answer_may_complete_a_term_whose_near_word_stands_in_the_message() -> None:
    snapshot = Snapshot([entry("海豚", "训练|出租")], "test")
    for begun, rest in (("训练海", "豚"), ("海豚出", "租")):
        before = before_of([{"role": "assistant", "content": begun}], snapshot, POLICY)
        assert before is not None
        assert reaching_in(snapshot.trie(POLICY, "output"), before, rest) is not None


def test_a_stream_remembers_little_however_long_it_is() -> None:
    """Terms and near words all the time, none of them near enough; and a pair at the end of it is found at its place."""
    snapshot = Snapshot([entry("海豚", "训练|租", 200), entry("训练场", "船", 200, id="kw-2")], "test")
    for text in ["训练" * 5_000, "海豚" * 5_000, f"海豚{'一' * 201}租{'一' * 201}" * 100, "租 " * 5_000 + "一" * 150]:
        for pieces in ([text], [text[at : at + 7] for at in range(0, len(text), 7)]):
            gate = snapshot.gate(POLICY)
            tracemalloc.start()
            assert sum(len(gate.feed(piece)) for piece in pieces) >= len(text) - 2
            kept, _ = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert len(pieces) == 1 or kept < 60_000
            assert isinstance(gate, Gate)
            assert len(gate._seen) < 10
            gate.feed("船。海豚和训练。")
            gate.finish()
            assert (gate.hit is not None) == allowed(snapshot, text + "船。海豚和训练。")[1]
            assert gate.hit is None or gate.hit[0] == len(allowed(snapshot, text + "船。海豚和训练。")[0])


def test_a_text_full_of_pairs_takes_time_in_proportion() -> None:
    """Each term is compared with the near words about it only, and each of those is told once."""
    snapshot = Snapshot([entry("海豚", "租|训练", 200)], "test")
    assert sum(1 + hit.more for hit in snapshot.examine("海豚租" * 30_000, "output", POLICY).hits) == 59_999


# The library


def test_a_library_without_the_columns_keeps_its_version_and_one_with_them_comes_back_in_every_form() -> None:
    plain, empty = (parse_csv(raw.encode()) for raw in ("term,risk\n海豚,A.1.h\n", "term,risk,near,within\n海豚,A.1.h,,\n"))
    assert plain == empty
    assert b"near" not in plain.csv
    assert b"within" not in plain.csv
    library = parse_csv("term,risk,near,within\n海豚,A.1.h,训练 | 租|训练,7\n鲸鱼,A.1.h,租,\n白鲸,A.1.h,,\n".encode())
    rows = {row.term: row for row in library.entries}
    assert (rows["海豚"].near, rows["海豚"].within) == (("训练", "租"), 7)
    assert (rows["鲸鱼"].near, rows["鲸鱼"].within) == (("租",), 20)
    assert rows["白鲸"].near == ()
    forms: list[Form] = ["csv", "xlsx", "yaml"]
    for form in forms:
        again = read_library(f"x.{form}", write_library(library, form))
        assert again.version == library.version
        assert {row.term: row for row in again.entries} == rows
    assert parse_yaml("- {term: 海豚, risk: A.1.h, near: [训练, 租], within: 7}".encode()).entries[0] == rows["海豚"]
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(library.entries), type=tuple[LibraryEntry, ...]) == library.entries
    (before, after) = (parse_csv(f"term,risk,near,within\n海豚,A.1.h,训练,{within}\n".encode()) for within in ("", "30"))
    assert find_difference(before, after).changed[0].columns == {"within": ("", "30")}


@pytest.mark.parametrize(
    ("near", "within", "column"),
    [
        ("。", "", "near"),
        ("训....练", "", "near"),
        ("长" * 65, "", "near"),
        ("|".join(f"第{n}个" for n in range(65)), "", "near"),
        ("|", "", "near"),
        ("训练", "0", "within"),
        ("训练", "201", "within"),
        ("训练", "-1", "within"),
        ("训练", "2.5", "within"),
        ("训练", "２０", "within"),
        ("", "20", "within"),
    ],
)
def test_what_cannot_be_near_is_refused_with_its_line(near: str, within: str, column: str) -> None:
    with pytest.raises(GuijuError) as refused:
        parse_csv(f"term,risk,near,within\n鲸鱼,A.1.h,,\n海豚,A.1.h,{near},{within}\n".encode())
    (problem,) = refused.value.facts["problems"]
    assert (problem.line, problem.column_name) == (3, column)
    assert problem.reason_zh != problem.reason_en


def test_a_variant_counts_near_the_same_words() -> None:
    """Without them, a draft of a term that is only sometimes meant would always be."""
    drafts = draft_rows([{"term": "出租海豚", "risk": "A.1.h", "near": "训练|租", "within": "9"}], ["homophone"])
    assert drafts
    assert {(draft["near"], draft["within"]) for draft in drafts} == {("训练|租", "9")}
