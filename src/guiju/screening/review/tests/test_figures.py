"""Figures of reviews against cases counted by hand.

Guarded: `1 - chance` in `cohen`; "disputed" for two clear answers that differ; `LEAST_SHOWN`; only exchanges drawn by chance are a sample.
"""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guiju.core.clock import BEIJING
from guiju.screening.review import chart, figures
from guiju.screening.review.agreement import Agreement, Share, cohen, wilson
from guiju.screening.review.figures import Settled
from guiju.screening.review.models import Decision, Finding, Item

NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)


def test_kappa_by_hand() -> None:
    # Two people on ten items: right/right 4, false/false 3, right/false 2, false/right 1. Agreed 0.7; by chance 0.6·0.5 + 0.4·0.5 = 0.5.
    pairs = [("right", "right")] * 4 + [("false", "false")] * 3 + [("right", "false")] * 2 + [("false", "right")]
    found = cohen(pairs)
    assert (found.cases, found.agreed, found.shown) == (10, 7, True)
    assert found.kappa == pytest.approx(0.4)
    assert cohen(pairs[:9]).shown is False


def test_kappa_at_its_ends() -> None:
    assert cohen([]) == Agreement(0, 0, None)
    assert cohen([("right", "right")] * 12) == Agreement(12, 12, None)  # chance alone agrees always
    assert cohen([("a", "b"), ("b", "a")]).kappa == pytest.approx(-1)
    assert cohen([("a", "a"), ("b", "b"), ("c", "c")]).kappa == pytest.approx(1)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), max_size=40))
def test_kappa_is_the_same_from_both_sides_and_never_above_one(pairs: list[tuple[str, str]]) -> None:
    found, turned = cohen(pairs), cohen([(other, one) for one, other in pairs])
    assert (found.kappa is None) == (turned.kappa is None)
    if found.kappa is not None and turned.kappa is not None:
        assert found.kappa == pytest.approx(turned.kappa)
        assert -1.000001 <= found.kappa <= 1.000001


@given(st.integers(0, 300), st.integers(0, 300))
def test_an_interval_holds_its_share_and_narrows(part: int, more: int) -> None:
    whole = part + more
    low, high = wilson(part, whole)
    assert 0 <= low <= high <= 1
    if whole:
        assert low - 1e-9 <= part / whole <= high + 1e-9
        wide = high - low
        low, high = wilson(part * 4, whole * 4)
        assert high - low < wide


def test_few_cases_are_no_share() -> None:
    assert not Share(9, 9).shown
    assert Share(5, 10).shown
    assert Share(0, 0).share == 0.0


def settled(
    verdict: str, rule: str = "kw-1", *, at: datetime = NOW, item: str = "i", origin: str = "hit", kind: str = "gateway.answer.delivered"
) -> Settled:
    return Settled(item, origin, kind, at, "input", rule, "A.1.h", verdict, (verdict,))


def test_rules_by_their_noise_and_weeks_in_beijing() -> None:
    found = (
        [settled("false", "kw-2")] * 3
        + [settled("right")] * 5
        + [settled("false")]
        + [settled("unsure", "kw-3"), settled("disputed", "kw-3")]
    )
    assert [(each.rule, each.right, each.false, each.unsure, each.disputed) for each in figures.by_rule(found)] == [
        ("kw-2", 0, 3, 0, 0),
        ("kw-1", 5, 1, 0, 0),
        ("kw-3", 0, 0, 1, 1),
    ]
    begins = figures.since(NOW)
    assert (begins.date(), begins.weekday(), begins.utcoffset()) == (date(2026, 9, 7), 0, timedelta(hours=8))
    late_sunday = datetime(2026, 11, 22, 23, 59, tzinfo=BEIJING)
    weeks = figures.by_week([*found, settled("right", at=late_sunday), settled("right", at=begins - timedelta(seconds=1))], begins)
    assert len(weeks) == 12
    assert [(week.begins_on.isoformat(), week.precision) for week in weeks[-2:]] == [
        ("2026-11-16", Share(1, 1)),
        ("2026-11-23", Share(5, 9)),
    ]
    assert sum(week.precision.whole for week in figures.by_week(found, begins, "kw-2")) == 3


def test_what_was_missed_and_what_was_wrongly_refused() -> None:
    found = [
        settled("missed", "", item="1", origin="sample"),
        settled("right", "", item="2", origin="sample"),
        settled("unsure", "", item="3", origin="sample"),
        settled("missed", "", item="4"),  # seen because of a hit: no chance drew it
        settled("false", item="5", kind="gateway.input.refused"),
        settled("false", item="6", kind="gateway.answer.stopped"),
        settled("right", "kw-2", item="6", kind="gateway.answer.stopped"),
        settled("unsure", item="7", kind="gateway.input.refused"),
        settled("false", item="8"),
    ]
    assert figures.missed_of_sample(found) == Share(1, 2)
    assert figures.wrongly_refused(found) == Share(1, 2)


@pytest.mark.django_db
def test_two_answers_about_one_rule_count_once() -> None:
    answers = {"1": ("right", "right"), "2": ("right", "false"), "3": ("unsure", "false"), "4": ("unsure", "unsure"), "5": ("false",)}
    for name, verdicts in answers.items():
        item = Item.objects.create(
            record=name, kind="gateway.input.refused", service="chat", at=NOW, origin="hit", queued_at=NOW, due_at=NOW, needs=len(verdicts)
        )
        for place, verdict in enumerate(verdicts):
            decision = Decision.objects.create(item=item, reviewer=f"person:{place}", at=NOW + timedelta(seconds=place), record="r")
            Finding.objects.create(decision=decision, direction="input", rule="kw-1", risk="A.1.h", verdict=verdict)
    found = figures.list_settled(NOW - timedelta(days=1))
    assert {each.item: each.verdict for each in found} == {"1": "right", "2": "disputed", "3": "false", "4": "unsure", "5": "false"}
    agreed = figures.agreement(found)
    assert (agreed.cases, agreed.agreed) == (4, 2)
    assert figures.list_settled(NOW + timedelta(seconds=1)) == []
    assert figures.list_settled(NOW - timedelta(days=1), until=NOW) == []
    assert figures.list_settled(NOW - timedelta(days=1), service="other") == []


def test_the_chart_draws_no_share_of_few() -> None:
    weeks = [figures.Week(date(2026, 11, 16), Share(9, 9)), figures.Week(date(2026, 11, 23), Share(8, 10))]
    drawn = chart.draw(weeks, "x")
    assert drawn.count("<circle") == 1
    assert "n=9" in drawn
    assert "80% (49%–94%)" in drawn
    assert "style=" not in drawn
