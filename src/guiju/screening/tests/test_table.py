"""The policy as a table: the most particular row decides, for every table; crossing rows and rows that never decide are told by row."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guiju.screening.matching.snapshot import Snapshot
from guiju.screening.table import ACTIONS, READERS, SCOPES, SURENESS, Mistake, body_of, cells, mistakes_of, read_body, read_row, version_of
from guiju.screening.values import AUDIENCES, CONFIDENCES, ENDS, Action, Audience, Confidence, Direction, LibraryEntry, Policy, PolicyRow


def rows(*texts: str) -> tuple[PolicyRow, ...]:
    read = [read_row(text) for text in texts]
    assert all(isinstance(row, PolicyRow) for row in read), read
    return tuple(row for row in read if isinstance(row, PolicyRow))


def covered(row: PolicyRow) -> set[tuple[Direction, str, Confidence, Audience]]:
    """Return the finds that a row tells of, by the words of its columns: the oracle knows nothing of ranks."""
    return {
        (direction, risk, confidence, audience)
        for direction, risk, confidence, audience in cells()
        if row.direction in ("both", direction)
        and (row.risk == "*" or risk == row.risk or risk.startswith(row.risk + "."))
        and row.confidence in ("*", confidence)
        and (row.audience in ("*", audience) or (row.audience == "minor" and audience.startswith("minor")))
    }


@st.composite
def drawn_rows(draw: st.DrawFn) -> PolicyRow:
    direction = draw(st.sampled_from(("input", "output", "both")))
    risk = draw(st.sampled_from(("*", "A.1", "A.2", "A.1.f", "A.1.h", "A.2.i")))
    audience, confidence = draw(st.sampled_from(READERS)), draw(st.sampled_from(SURENESS))
    return PolicyRow(risk, direction, audience, confidence, draw(st.sampled_from(ACTIONS[direction])))  # type: ignore[arg-type]  # drawn from the words allowed


@given(st.lists(drawn_rows(), max_size=8))
def test_the_most_particular_row_decides_and_every_mistake_is_told(table: list[PolicyRow]) -> None:
    scopes = [covered(row) for row in table]
    expected: dict[tuple[Direction, str, Confidence, Audience], Action] = {}
    crosses, deciding = False, set()
    for cell in cells():
        telling = [place for place, scope in enumerate(scopes) if cell in scope]
        narrowest = [place for place in telling if all(scopes[place] <= scopes[other] for other in telling)]
        if len(narrowest) == 1:
            expected[cell] = table[narrowest[0]].action
            deciding.add(narrowest[0])
        elif telling:
            crosses = True
    found = mistakes_of(table)
    assert bool(found) == (crosses or len(deciding) < len(table))
    if not found:
        policy = Policy(rows=tuple(reversed(table)))
        for direction, risk, confidence, audience in cells():
            otherwise = "deliver" if confidence == "low" else "refuse" if direction == "input" else "stop"
            assert policy.action(direction, risk, confidence, audience) == expected.get((direction, risk, confidence, audience), otherwise)


@given(st.lists(drawn_rows(), max_size=6), st.sampled_from(AUDIENCES))
def test_a_table_comes_back_as_it_was_kept_and_its_order_is_no_matter(table: list[PolicyRow], reader: Audience) -> None:
    back, audience = read_body(body_of(table, reader))
    assert audience == reader
    assert sorted(map(str, back)) == sorted(map(str, table))
    assert version_of(back, audience) == version_of(list(reversed(table)), reader)
    assert version_of(table, reader) != version_of([*table, PolicyRow("A.5", "both", "*", "*", "hold")], reader)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "five words"),
        ("A.1 input * *", "five words"),
        ("A.9 input * * refuse", "the risk is one of"),
        ("A.1 inward * * refuse", "the direction is one of"),
        ("A.1 input child * refuse", "the audience is one of"),
        ("A.1 input * sure refuse", "the confidence is one of"),
        ("A.1 input * * stop", "an input's action"),
        ("A.1 output * * refuse", "an output's action"),
        ("A.1 both * * warn", "both directions' action"),
        ("A.1 output * * mask", "an output's action"),
    ],
)
def test_a_wrong_row_says_what_is_wrong(text: str, says: str) -> None:
    found = read_row(text)
    assert isinstance(found, Mistake)
    assert says in found.en


@pytest.mark.parametrize(
    ("texts", "place", "says"),
    [
        (("A.1 input * * refuse", "A.1 input * * hold"), 1, "it and row 1 both tell of A.1.a input adult high"),
        (("A.1 input * * refuse", "* input minor * hold"), 1, "it and row 1 both tell of A.1.a input minor high"),
        (("A.1 both * * hold", "A.1 input * * refuse", "A.1 output * * stop"), 0, "never decides"),
        (("A.1 input * * refuse",) * 2, 1, "neither is the narrower"),
        (tuple(["A.1 input * * refuse"] * 201), 200, "at most 200"),
    ],
)
def test_a_wrong_table_names_the_row(texts: tuple[str, ...], place: int, says: str) -> None:
    found = mistakes_of(rows(*texts))
    assert found[0].place == place
    assert says in found[0].en


def test_without_rows_the_settings_tables_decide_as_before() -> None:
    policy = Policy(on_input={"A.1.f": "deliver", "A.1": "refuse"}, on_output={"*": "deliver"})
    assert [policy.action("input", risk) for risk in ("A.1.f", "A.1.h", "A.2.a")] == ["deliver", "refuse", "refuse"]
    assert policy.action("output", "A.1.f", "medium") == "deliver"
    assert policy.action("input", "A.1.h", "low") == "deliver"
    assert policy.decide("input", "A.1.h").row == "on_input A.1"


def test_a_row_says_that_it_decided_and_for_whom() -> None:
    policy = Policy(rows=rows("* input minor * refuse", "* input minor-16-18 low warn"), on_input={"*": "deliver"})
    assert policy.decide("input", "A.1.f", "low", "minor-16-18") == ("warn", "* input minor-16-18 low warn")
    assert policy.decide("input", "A.1.f", "low", "minor") == ("refuse", "* input minor * refuse")
    assert policy.decide("input", "A.1.f", "low", "adult").action == "deliver"
    teenager = policy.read_by("minor-16-18")
    assert teenager.action("input", "A.1.f", "low") == "warn"
    assert policy.read_by("minor-16-18") is teenager
    assert policy.read_by("adult") is policy
    assert teenager.short != policy.short


def _entry(term: str, severity: str) -> LibraryEntry:
    return LibraryEntry(f"kw-{term}", term, "A.1.h", severity)  # type: ignore[arg-type]  # given below


@pytest.mark.parametrize("audience", AUDIENCES)
@pytest.mark.parametrize("text", ["头奖号码任你选，进群", "先看头奖再说", "头号码", "头奖号"])
def test_a_stream_stops_where_the_whole_text_is_stopped_for_every_reader(audience: Audience, text: str) -> None:
    """Flag terms too, where a row stops low confidence: the gate knows of them."""
    snapshot = Snapshot([_entry("头奖号码", "block"), _entry("进群", "flag"), _entry("头奖", "flag")], "test")
    policy = Policy(rows=rows("* output minor low hold", "* output minor-8-12 * deliver")).read_by(audience)
    ending = [hit.start for hit in snapshot.examine(text, "output", policy).hits if hit.action in ENDS]
    for cut in range(len(text) + 1):
        gate = snapshot.gate(policy)
        left = gate.feed(text[:cut]) + gate.feed(text[cut:]) + gate.finish()
        assert left == text[: min(ending, default=len(text))], cut


def test_a_find_is_decided_once_and_remembered() -> None:
    policy = Policy(rows=rows(*(f"{scope} input * * refuse" for scope in SCOPES[1:])))
    for _ in range(2):
        for confidence in CONFIDENCES:
            assert policy.action("input", "A.3.a", confidence) == "refuse"
    assert policy.decide("input", "A.3.a", "low") is policy.decide("input", "A.3.a", "low")
