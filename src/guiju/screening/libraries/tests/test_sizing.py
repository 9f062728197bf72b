"""What the standard asks of a library is read from dated profiles, and nothing short of it is called met."""

from datetime import UTC, datetime, timedelta

import pytest

from guiju.core.errors import GuijuError
from guiju.screening.libraries.library import Library, Row, make_library, starter_library
from guiju.screening.libraries.sizing import DEFAULT_PROFILE, PROFILE_UNKNOWN, as_json, get_profile, load_profiles, size_library
from guiju.screening.risks import RISKS

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
SIGNED = {"source": "某法第一条", "reviewer": "审核员", "reviewed_on": "2026-11-20"}


def _full(**changes: int) -> Library:
    """Return a library that has what the profile asks for, but for `changes`: risk → how many terms fewer."""
    least = get_profile().least()
    counts = {risk: count - changes.get(risk.replace(".", "_"), 0) for risk, count in least.items()}
    counts["A.1.h"] += 10_000 - sum(least.values())
    rows = [{"term": f"词条{risk[-1]}{number:05}", "risk": risk, **SIGNED} for risk, count in counts.items() for number in range(count)]
    return make_library([Row(place, fields) for place, fields in enumerate(rows)], "x")


@pytest.fixture(scope="module")
def full() -> Library:
    return _full()


def test_every_profile_says_where_its_figures_come_from() -> None:
    profiles = load_profiles()
    assert list(profiles) == ["gbt45654@2025", "tc260-003@2024-02"]
    for profile in profiles.values():
        assert not profile.confirmed  # nobody compared them with the official text: turns red when somebody claims it without a change here
        assert profile.renewal.source
        assert all(figure.source and figure.mark for figure in (profile.total, *profile.risks.values()))
        assert set(profile.least()) == {risk.id for risk in RISKS if risk.keyword_set}
        assert profile.from_ <= profile.read_on


def test_an_unknown_profile_names_the_known_ones() -> None:
    with pytest.raises(GuijuError) as raised:
        get_profile("gbt45654@1999")
    assert raised.value.code is PROFILE_UNKNOWN
    assert DEFAULT_PROFILE in str(raised.value)


def test_the_starter_library_is_short_and_says_where() -> None:
    found = size_library(starter_library(), get_profile(), renewed_at=NOW, now=NOW)
    assert [each.risk.id for each in found.empty] == ["A.1.a", "A.1.b", "A.1.c", "A.1.d", "A.1.e", "A.1.g"]
    assert not found.met
    assert found.total_short == 10_000 - len(starter_library().entries)
    assert found.unsigned["reviewer"] == len(starter_library().entries)


def test_all_that_is_asked_is_met(full: Library) -> None:
    found = size_library(full, get_profile(), renewed_at=NOW - timedelta(days=7), now=NOW)
    assert found.met
    assert (found.total_short, found.short, found.empty, found.overdue) == (0, (), (), False)
    assert as_json(found)["met"] is True
    assert len(as_json(found)["risks"]) == 31


def test_each_thing_that_is_missing_is_seen(full: Library) -> None:
    profile = get_profile()
    late = size_library(full, profile, renewed_at=NOW - timedelta(days=7, seconds=1), now=NOW)
    assert (late.overdue, late.met) == (True, False)
    unknown = size_library(full, profile, renewed_at=None, now=NOW)
    assert (unknown.overdue, unknown.met) == (None, False)  # not known is not in time
    short = size_library(_full(A_2_b=1), profile, renewed_at=NOW, now=NOW)
    assert [(each.risk.id, each.short) for each in short.short] == [("A.2.b", 1)]
    assert not short.met
    rows = [Row(place, row) for place, row in enumerate(full.rows())]
    rows[5] = Row(5, rows[5].fields | {"reviewed_on": ""})
    unsigned = size_library(make_library(rows, "x"), profile, renewed_at=NOW, now=NOW)
    assert (unsigned.unsigned, unsigned.met) == ({"source": 0, "reviewer": 0, "reviewed_on": 1}, False)
    few = size_library(make_library(rows[:-1], "x"), profile, renewed_at=NOW, now=NOW)
    assert (few.total_short, few.met) == (1, False)
