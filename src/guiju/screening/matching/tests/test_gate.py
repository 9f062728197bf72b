"""Promise 1: for every way of cutting a stream, what leaves is what screening the whole text would have allowed.

The oracle is `Snapshot.examine` on the whole text (its own engine, ahocorasick_rs), so the two check each other.
The guarded lines are in `gate.py`: without the `min(safe, …)` of `_release` both properties go red, and so they do
without `_settle` waiting for exceptions (`hopeful`) or for the end of a word (`word_end_known`).
"""

from hypothesis import given, settings
from hypothesis import strategies as st

from guiju.screening.matching.gate import Gate
from guiju.screening.matching.gates import Gates
from guiju.screening.matching.snapshot import Snapshot
from guiju.screening.spellings.fold import fold
from guiju.screening.values import LibraryEntry, Policy

POLICY = Policy()
LETTERS = "赌博罪徒毒abc1賭Ａ"
NOISE = " .，\n*\u200b\u0301😀\\u8d4c㍿\ud800"
ESCAPED = ["%E8%B5%8C", "%E8", "%B5", "%8C", "&#36172;", "&#21338", "&", "\\xe5\\x8d\\x9a", "\\u{535a}", "p", "аbс"]

# Strategies are made once: Hypothesis looks into each new one, which takes long.
terms = st.text(LETTERS + " ", min_size=2, max_size=6).filter(lambda text: len(fold(text)) >= 2)
around, numbers, exceptions_of = st.text(LETTERS, max_size=3), st.integers(0, 10**9), st.integers(0, 2)


@st.composite
def entries(draw: st.DrawFn) -> LibraryEntry:
    term = draw(terms)
    exceptions = [draw(around) + term + draw(around) for _ in range(draw(exceptions_of))]
    longer = tuple(text for text in exceptions if len(fold(text)) > len(fold(term)))
    return LibraryEntry(f"kw-{draw(numbers)}", term, "A.1.h", "block", longer)


libraries = st.lists(entries(), min_size=1, max_size=6, unique_by=lambda entry: entry.id)
texts = st.text(LETTERS + NOISE, max_size=60)


def allowed(snapshot: Snapshot, text: str) -> tuple[str, bool]:
    """The whole-text answer: everything before the first character of the first hit."""
    hits = snapshot.examine(text, "output", POLICY).hits
    return (text[: min(hit.start for hit in hits)], True) if hits else (text, False)


def streamed(gate: Gate | Gates, pieces: list[str]) -> tuple[str, bool]:
    out = []
    for piece in pieces:
        out.append(gate.feed(piece))
        if gate.hit:
            break
    else:
        out.append(gate.finish())
    return "".join(out), gate.hit is not None


def cut(text: str, places: list[int]) -> list[str]:
    marks = sorted({place % (len(text) + 1) for place in places} | {0, len(text)})
    return [text[a:b] for a, b in zip(marks, marks[1:], strict=False)]


@settings(max_examples=1500, deadline=None)
@given(libraries, texts, st.lists(st.integers(0, 1000), max_size=20))
def test_streamed_equals_whole_for_every_cut(library: list[LibraryEntry], text: str, places: list[int]) -> None:
    snapshot = Snapshot(library, "test")
    assert streamed(snapshot.gate(POLICY), cut(text, places)) == allowed(snapshot, text)
    assert streamed(snapshot.gate(POLICY), list(text)) == allowed(snapshot, text)


@settings(max_examples=1500, deadline=None)
@given(libraries, st.data())
def test_streamed_equals_whole_where_terms_are_dense(library: list[LibraryEntry], data: st.DataObject) -> None:
    parts = [entry.term for entry in library] + [text for entry in library for text in entry.exceptions] + list(NOISE) + ESCAPED
    text = "".join(data.draw(st.lists(st.one_of(st.sampled_from(parts), st.text(LETTERS, max_size=2)), max_size=8)))
    snapshot = Snapshot(library, "test")
    assert streamed(snapshot.gate(POLICY), list(text)) == allowed(snapshot, text)


@settings(max_examples=500, deadline=None)
@given(libraries, texts)
def test_held_text_could_still_become_a_hit(library: list[LibraryEntry], text: str) -> None:
    """Nothing is held for longer than needed: some continuation turns the held tail into a hit.

    Without exceptions, because what is being excused is held although no continuation makes it a hit.
    """
    snapshot = Snapshot([LibraryEntry(entry.id, entry.term, entry.risk) for entry in library], "test")
    gate = snapshot.gate(POLICY)
    sent = "".join(gate.feed(character) for character in text)
    if gate.hit or not gate.held or "\\" in gate.held:
        return
    endings = ["", *(fold(entry.term)[k:] for entry in library for k in range(len(fold(entry.term))))]
    hits = [snapshot.examine(text + ending + ".", "output", POLICY).hits for ending in endings]
    assert any(hit.start <= len(sent) for found in hits for hit in found)


def test_a_term_split_over_pieces_never_leaves_and_harmless_text_is_not_held() -> None:
    snapshot = Snapshot([LibraryEntry("kw-1", "赌博", "A.1.h", "block", ("赌博罪",))], "test")
    gate = snapshot.gate(POLICY)
    assert gate.feed("今天天气好，") == "今天天气好，"
    assert gate.feed("他在赌") == "他在"
    assert gate.feed("。") == "赌。"  # a full stop is not bridged by a two-character term, so nothing is open any more
    assert gate.feed("赌 ") == ""
    assert gate.feed("博") == ""
    assert gate.feed("。") == ""
    assert gate.hit is not None
    assert gate.hit[:2] == (10, 13)


def test_an_exception_frees_the_word_and_then_the_next_hit_still_counts() -> None:
    snapshot = Snapshot([LibraryEntry("kw-1", "赌博", "A.1.h", "block", ("赌博罪",))], "test")
    gate = snapshot.gate(POLICY)
    assert gate.feed("犯赌博") == "犯"
    assert gate.feed("罪的人") == "赌博罪的人"
    assert gate.feed("去赌博吧") == "去"
    assert gate.hit is not None
