"""How far a term stretches, where a word ends, what an exception excuses; whole and streamed alike.

Guarded lines: `_shape`, `bridged` and `begins_a_word` in `rules.py`, the last lines of `_confirmed` in `snapshot.py`.
"""

import pytest

from guiju.screening.matching.snapshot import Snapshot
from guiju.screening.values import PASS, Action, Hit, LibraryEntry, Policy, Verdict

POLICY = Policy()


def entry(term: str, *exceptions: str, **fields: str) -> LibraryEntry:
    return LibraryEntry(fields.pop("id", "kw-1"), term, fields.pop("risk", "A.1.h"), exceptions=exceptions, **fields)  # type: ignore[arg-type]


def spans(snapshot: Snapshot, text: str) -> list[tuple[int, int]]:
    return [(hit.start, hit.end) for hit in snapshot.examine(text, "output", POLICY).hits]


def streams_alike(snapshot: Snapshot, text: str) -> bool:
    """Tell whether every cut in two, and one piece a character, leave what the whole text allows."""
    found = spans(snapshot, text)
    expected = (text[: min(start for start, _ in found)] if found else text, bool(found))
    cuts = [[text[:at], text[at:]] for at in range(len(text) + 1)] + [list(text)]
    for pieces in cuts:
        gate = snapshot.gate(POLICY)
        out = "".join(gate.feed(piece) for piece in pieces) + gate.finish()
        if (out, gate.hit is not None) != expected:
            return False
    return True


STRETCH = [
    ("赌博", "去赌博吧", [(1, 3)]),
    ("赌博", "赌 博", [(0, 3)]),
    ("赌博", "赌*博", [(0, 3)]),
    ("赌博", "他喜欢赌。博物馆", []),
    ("赌博", "赌\n博", []),
    ("赌博", "赌....博", []),
    ("海洛因现货", "海洛因，现货", [(0, 6)]),
    ("海洛因现货", "海\n洛因现货", [(0, 6)]),
    ("海洛因现货", "海....洛因现货", []),
    ("meth", "meth", [(0, 4)]),
    ("meth", "something", []),
    ("meth", "method", []),
    ("meth", "a meth.", [(2, 6)]),
    ("meth", "m e t h", []),
    ("meth", "meth1", []),
    ("meth", "买meth吧", [(1, 5)]),
    ("K粉批发", "OK粉批发", []),
    ("K粉批发", "O K粉批发", [(2, 6)]),
    ("cold meth", "cold meth", [(0, 9)]),
    ("cold meth", "COLD-METH", [(0, 9)]),
    ("cold meth", "coldmeth", [(0, 8)]),
    ("cold meth", "cold, meth", []),
    ("cold meth", "cold\nmeth", []),
    ("how to cook", "how\nto *cook*", [(0, 12)]),
    ("how to cook", "how to c-ook", []),
    ("her friend's phone", "her friend's phone", [(0, 18)]),
    ("her friend's phone", "her friend’s phone", [(0, 18)]),
    ("a+b型", "a+b型", [(0, 4)]),
]


@pytest.mark.parametrize(("term", "text", "expected"), STRETCH)
def test_a_term_stretches_as_its_author_wrote_it(term: str, text: str, expected: list[tuple[int, int]]) -> None:
    snapshot = Snapshot([entry(term)], "test")
    assert spans(snapshot, text) == expected
    assert streams_alike(snapshot, text)


EXCUSED = [
    ("赌博", ("赌博罪",), "犯赌博罪的人", []),
    ("赌博", ("赌博罪",), "犯赌博罪又去赌博", [(6, 8)]),
    ("赌博", ("赌博罪",), "赌博 罪", [(0, 2)]),
    ("赌博", ("赌博罪",), "赌 博罪", [(0, 3)]),
    ("赌博", ("反赌博",), "反赌博", []),
    ("赌博", ("反赌博",), "反 赌博", [(2, 4)]),
    ("赌博", ("反赌博宣传",), "反赌博宣", [(1, 3)]),
    ("赌博", ("反赌博宣传", "赌博罪"), "反赌博罪", []),
    ("赌博", ("賭博罪",), "赌博罪", []),
    ("make a bomb", ("make a bomb shelter",), "make a bomb shelter", []),
    ("make a bomb", ("make a bomb shelter",), "make a bomb shelters", []),
]


@pytest.mark.parametrize(("term", "exceptions", "text", "expected"), EXCUSED)
def test_an_exception_excuses_the_longer_word_as_written(
    term: str, exceptions: tuple[str, ...], text: str, expected: list[tuple[int, int]]
) -> None:
    snapshot = Snapshot([entry(term, *exceptions)], "test")
    assert spans(snapshot, text) == expected
    assert streams_alike(snapshot, text)


def test_an_exception_excuses_its_own_term_only() -> None:
    snapshot = Snapshot([entry("赌博", "赌博罪", id="kw-1"), entry("博罪", id="kw-2")], "test")
    assert [hit.rule for hit in snapshot.examine("赌博罪", "output", POLICY).hits] == ["kw-2"]
    assert streams_alike(snapshot, "犯赌博罪的人")


def test_a_row_for_one_direction_is_silent_in_the_other() -> None:
    snapshot = Snapshot([entry("赌博", id="kw-in", direction="input"), entry("毒品", id="kw-out", direction="output")], "test")
    assert [hit.rule for hit in snapshot.examine("赌博毒品", "input", POLICY).hits] == ["kw-in"]
    assert [hit.rule for hit in snapshot.examine("赌博毒品", "output", POLICY).hits] == ["kw-out"]
    gate = snapshot.gate(POLICY)
    assert gate.feed("赌博") == "赌博"
    assert gate.feed("毒品") == ""
    assert gate.hit is not None


def test_a_flag_is_told_and_stops_nothing() -> None:
    snapshot = Snapshot([entry("赌博", severity="flag")], "test")
    assert snapshot.examine("赌博", "output", POLICY) == Verdict(
        "hit", "deliver", (Hit("", 0, 2, "A.1.h", "kw-1", "flag", "deliver", "low"),)
    )
    gate = snapshot.gate(POLICY)
    assert gate.feed("赌") == "赌"
    assert gate.feed("博") == "博"
    assert gate.hit is None


@pytest.mark.parametrize(
    ("table", "action"),
    [({"*": "deliver"}, "deliver"), ({"*": "deliver", "A.1": "stop"}, "stop"), ({"A.1": "stop", "A.1.h": "deliver"}, "deliver")],
)
def test_the_most_particular_row_of_the_policy_decides(table: dict[str, Action], action: Action) -> None:
    policy = Policy(on_output=table)
    snapshot = Snapshot([entry("赌博")], "test")
    assert snapshot.examine("赌博", "output", policy).action == action
    gate = snapshot.gate(policy)
    gate.feed("赌博")
    assert (gate.hit is not None) == (action == "stop")


def test_a_hit_does_not_reach_over_two_strings_of_a_view() -> None:
    snapshot = Snapshot([entry("海洛因现货")], "test")
    assert snapshot.examine_all([("messages[0]", "海洛因"), ("messages[1]", "现货")], "input", POLICY) is PASS
    verdict = snapshot.examine_all([("a", "好"), ("b", ""), ("c", "有海洛因，现货")], "input", POLICY)
    assert [(hit.path, hit.start, hit.end) for hit in verdict.hits] == [("c", 1, 7)]
    assert verdict.action == "refuse"


def test_a_harmless_text_and_an_empty_view_pass() -> None:
    snapshot = Snapshot([entry("赌博")], "test")
    assert snapshot.examine("今天天气好", "input", POLICY) is PASS
    assert snapshot.examine("", "input", POLICY) is PASS
    assert snapshot.examine_all([], "input", POLICY) is PASS
    assert Snapshot([], "empty").examine("赌博", "input", POLICY) is PASS
