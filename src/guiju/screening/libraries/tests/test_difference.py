"""Two libraries compared: every row is added, removed, changed or the same, and going both ways agrees."""

from hypothesis import given, settings
from hypothesis import strategies as st

from guiju.screening.libraries.difference import as_json, find_difference
from guiju.screening.libraries.library import Library, Row, make_library

RISKS = ["A.1.f", "A.1.h", "A.2.e"]
DIRECTIONS = ["", "both", "input", "output"]
ROWS = st.lists(
    st.tuples(
        st.integers(0, 8), st.sampled_from(RISKS), st.sampled_from(DIRECTIONS), st.sampled_from(["block", "flag"]), st.sampled_from("甲乙")
    ),
    max_size=12,
    unique_by=lambda row: (row[0], row[1], row[2] or "both"),
)


def _library(rows: list[tuple[int, str, str, str, str]]) -> Library:
    return make_library(
        [
            Row(place, {"term": f"词条{number}号", "risk": risk, "direction": direction, "severity": severity, "note": note})
            for place, (number, risk, direction, severity, note) in enumerate(rows)
        ],
        "x",
        kept=True,  # which may be empty
    )


def test_each_kind_of_change_is_told() -> None:
    before = _library(
        [(1, "A.1.f", "", "block", "甲"), (2, "A.1.f", "", "block", "甲"), (3, "A.1.f", "", "block", "甲"), (4, "A.1.h", "", "block", "甲")]
    )
    after = _library(
        [(1, "A.1.f", "", "block", "甲"), (2, "A.1.f", "", "flag", "乙"), (3, "A.2.e", "", "block", "甲"), (5, "A.1.h", "", "block", "甲")]
    )
    found = find_difference(before, after)
    assert [row["term"] for row in found.added] == ["词条5号"]
    assert [row["term"] for row in found.removed] == ["词条4号"]
    assert [(each.term, each.columns) for each in found.changed] == [
        ("词条2号", {"severity": ("block", "flag"), "note": ("甲", "乙")}),
        ("词条3号", {"risk": ("A.1.f", "A.2.e")}),
    ]
    assert found.same == 1
    assert found.by_risk() == [("A.1.f", 0, 0, 1), ("A.1.h", 1, 1, 0), ("A.2.e", 0, 0, 1)]
    assert found.by_column() == {"risk": 1, "severity": 1, "note": 1}
    assert as_json(found)["by_risk"][1] == {"risk": "A.1.h", "added": 1, "removed": 1, "changed": 0}


@settings(max_examples=200, deadline=None)
@given(ROWS, ROWS)
def test_every_row_is_accounted_for_once(a: list, b: list) -> None:
    before, after = _library(a), _library(b)
    found, back = find_difference(before, after), find_difference(after, before)
    assert len(found.removed) + len(found.changed) + found.same == len(before.entries)
    assert len(found.added) + len(found.changed) + found.same == len(after.entries)
    assert (back.added, back.removed, back.same) == (found.removed, found.added, found.same)
    assert not find_difference(before, before).changed
    if before.version == after.version:
        assert found.same == len(after.entries)
