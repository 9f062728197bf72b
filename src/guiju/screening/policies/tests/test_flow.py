"""Versions of policies and approved answers: two people, one in force, lost races told, each step on record, the bundle follows.

The guarded lines: the look at `made_by` in `review`, at `policy_people` in `activate`, the comparison with `before`.
"""

import pytest

from guiju.core.errors import GuijuError
from guiju.core.keys import load_site_public_key
from guiju.core.layout import DataFolder
from guiju.gateway.bundle import Bundle, current_hash, load_bundle
from guiju.screening.answers.bank import ANSWERS_INVALID
from guiju.screening.policies import flow
from guiju.screening.policies.models import Version
from guiju.screening.policies.tests.conftest import BANK
from guiju.web.tests.rig import left

ONE, TWO = "person:one", "person:two"
ROWS = ("A.1 input * * refuse", "A.1.f input minor low hold")


def in_force(data: DataFolder) -> Bundle:
    return load_bundle(data.bundles, current_hash(data.bundles), load_site_public_key(data.keys))


def draft(*rows: str, actor: str = ONE, audience: str = "adult") -> Version:
    return flow.draft_policy("chat", rows or ROWS, audience, "试行", actor)


def steps(data: DataFolder) -> list[tuple[str, str]]:
    return [(each.kind, each.actor) for each in left(data) if each.kind.startswith(("screening.policy", "screening.answers"))]


def test_a_table_takes_the_place_of_the_settings_in_the_bundle(data: DataFolder) -> None:
    before = in_force(data).services[0].policy
    kept = flow.activate(draft(audience="minor").id, ONE, "")
    policy = in_force(data).services[0].policy
    assert (kept.state, policy.default_audience, sorted(map(str, policy.rows))) == ("active", "minor", sorted(ROWS))
    assert policy.action("input", "A.1.f", "low") == "hold"
    assert (policy.version, policy.short) == (kept.version, kept.version[:16])
    assert before.version == ""
    assert steps(data) == [("screening.policy.drafted", ONE), ("screening.policy.activated", ONE)]
    last = [each for each in left(data) if each.kind == "screening.policy.activated"][-1]
    assert last.metadata == {"version": kept.version, "before": "", "made_by": ONE, "reviewed_by": ""}
    assert last.service == "chat"
    flow.retire(kept.id, TWO, "试行结束")
    assert in_force(data).services[0].policy == before
    assert left(data)[-2].metadata == {"version": kept.version, "reason": "试行结束"}


def test_equal_content_is_one_version(data: DataFolder) -> None:
    assert draft().id == draft(*reversed(ROWS), actor=TWO).id
    assert flow.draft_policy("other", ROWS, "adult", "", ONE).id != draft().id
    assert len(steps(data)) == 2


def test_with_four_eyes_nobody_reviews_their_own_or_skips_it(data: DataFolder, four_eyes: None) -> None:
    kept = draft()
    with pytest.raises(GuijuError) as caught:
        flow.activate(kept.id, TWO, "")
    assert caught.value.code is flow.VERSION_NOT_REVIEWED
    with pytest.raises(GuijuError) as caught:
        flow.review(kept.id, ONE)
    assert caught.value.code is flow.VERSION_OWN
    assert "您本人" in caught.value.both()
    assert flow.review(kept.id, TWO).state == "reviewed"
    with pytest.raises(GuijuError) as caught:
        flow.review(kept.id, "person:three")
    assert caught.value.code is flow.VERSION_MOVED
    assert flow.activate(kept.id, ONE, "").state == "active"
    assert [kind for kind, _ in steps(data)] == [f"screening.policy.{step}" for step in ("drafted", "reviewed", "activated")]


def test_of_two_who_put_versions_in_force_the_second_is_told(data: DataFolder) -> None:
    first, second = draft(), draft("A.2 both * * hold")
    flow.activate(first.id, ONE, "")
    before = len(left(data))
    for stale in ("", second.id, "nobody"):
        with pytest.raises(GuijuError) as caught:
            flow.activate(second.id, TWO, stale)
        assert caught.value.code is flow.VERSION_MOVED
    assert (flow.get_version(first.id).state, flow.get_version(second.id).state) == ("active", "draft")
    assert len(left(data)) == before
    assert flow.activate(second.id, TWO, first.id).state == "active"
    assert flow.get_version(first.id).state == "retired"
    with pytest.raises(GuijuError) as caught:
        flow.activate(second.id, TWO, second.id)
    assert caught.value.code is flow.VERSION_MOVED


def test_going_back_needs_a_reason_and_is_on_record(data: DataFolder) -> None:
    first, second = draft(), draft("A.2 both * * hold")
    flow.activate(first.id, ONE, "")
    flow.activate(second.id, ONE, first.id)
    for reason in ("", "  "):
        with pytest.raises(GuijuError) as caught:
            flow.activate(first.id, ONE, second.id, reason)
        assert caught.value.code is flow.VERSION_REASON
        with pytest.raises(GuijuError) as caught:
            flow.retire(second.id, ONE, reason)
        assert caught.value.code is flow.VERSION_REASON
    flow.activate(first.id, ONE, second.id, "误拦过多")
    last = [each for each in left(data) if each.kind == "screening.policy.activated"][-1]
    assert (last.metadata["reason"], last.metadata["back"], last.metadata["before"]) == ("误拦过多", True, second.version)


def test_what_was_in_force_with_one_person_is_reviewed_before_it_comes_back_with_two(
    data: DataFolder, request: pytest.FixtureRequest
) -> None:
    kept = flow.activate(draft().id, ONE, "")
    flow.retire(kept.id, ONE, "停用")
    request.getfixturevalue("four_eyes")
    with pytest.raises(GuijuError) as caught:
        flow.activate(kept.id, ONE, "", "回来")
    assert caught.value.code is flow.VERSION_NOT_REVIEWED
    flow.review(kept.id, TWO)
    assert flow.activate(kept.id, ONE, "", "回来").state == "active"


@pytest.mark.parametrize(
    ("rows", "audience", "place"),
    [
        (("A.1 input * * refuse", "A.1 input * * hold"), "adult", 1),
        (("A.1 input * * explode",), "adult", 0),
        (("A.1 input * refuse",), "adult", 0),
        ((), "adult", -1),
        (ROWS, "child", -1),
        (("\0 input * * refuse",), "adult", 0),
    ],
)
def test_a_wrong_table_keeps_nothing_and_names_the_row(data: DataFolder, rows: tuple[str, ...], audience: str, place: int) -> None:
    with pytest.raises(GuijuError) as caught:
        flow.draft_policy("chat", rows, audience, "", ONE)
    assert caught.value.code is flow.POLICY_INVALID
    assert caught.value.facts["problems"][0].place == place
    assert "没有保存草稿" in caught.value.both()
    assert not Version.objects.exists()


def test_a_bank_goes_the_same_way_and_into_the_bundle(data: DataFolder, four_eyes: None) -> None:
    kept = flow.draft_answers("bank.csv", BANK, ONE)
    assert in_force(data).answers == ()
    flow.review(kept.id, TWO)
    flow.activate(kept.id, ONE, "")
    bundle = in_force(data)
    assert bundle.answers_version == kept.version
    assert [answer.id for answer in bundle.answers] == ["id-1", "id-2"]
    assert steps(data) == [("screening.answers.drafted", ONE), ("screening.answers.reviewed", TWO), ("screening.answers.activated", ONE)]
    flow.retire(kept.id, ONE, "换版")
    assert (in_force(data).answers, in_force(data).answers_version) == ((), "")


def test_a_wrong_bank_keeps_nothing(data: DataFolder) -> None:
    with pytest.raises(GuijuError) as caught:
        flow.draft_answers("bank.csv", BANK + b"id-1,x\n", ONE)
    assert caught.value.code is ANSWERS_INVALID
    assert not Version.objects.exists()


def test_versions_that_nobody_knows_are_told(data: DataFolder) -> None:
    for act in (
        lambda: flow.review("x", ONE),
        lambda: flow.activate("x", ONE, ""),
        lambda: flow.retire("x", ONE, "r"),
        lambda: flow.table_of("x"),
    ):
        with pytest.raises(GuijuError) as caught:
            act()
        assert caught.value.code is flow.VERSION_UNKNOWN
