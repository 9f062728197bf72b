"""Which duties bind a service: every answer counts, and a missing one frees nobody."""

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from guiju.obligations.applicability import Answers, Binding, list_bindings
from guiju.obligations.loading import shipped_catalogue

TODAY = date(2026, 11, 29)
COVERED = {"generates": ("yes",), "public": ("yes",)}


def _bindings(answers: Answers) -> dict[str, Binding]:
    return {each.obligation.id: each for each in list_bindings(shipped_catalogue(), answers, TODAY)}


def test_without_answers_everything_binds_or_may() -> None:
    found = _bindings({})
    assert {each.binds for each in found.values()} == {"yes", "unknown"}
    assert found["GAI-9.3"].binds == "unknown"
    assert [because.fact for because in found["GAI-9.3"].because] == ["covered"]
    assert found["GAI-2.1"].binds == "yes"  # whoever offers anything has to decide


def test_a_public_service_is_bound_and_an_internal_one_keeps_its_proof() -> None:
    assert _bindings(COVERED)["GAI-9.3"].binds == "yes"
    inside = _bindings({"generates": ("yes",), "public": ("no",)})
    assert inside["GAI-9.3"].binds == "no"
    assert inside["GAI-2.2"].binds == "yes"


def test_facts_bring_their_duties() -> None:
    found = _bindings({**COVERED, "minors": ("likely",), "persons": ("over_10m",), "foreign": ("none",), "sectors": ("none",)})
    assert found["GAI-10.3"].binds == "yes"
    assert found["GAI-9.11"].binds == "yes"
    assert found["GAI-23.2"].binds == "no"
    assert found["GAI-23.2"].because[0].given == ("none",)
    assert found["GAI-2.3"].binds == "no"
    assert found["GAI-17.9"].binds == "unknown"  # nobody has said whether it is a companion


_facts = {each.id: [choice.id for choice in each.choices] for each in shipped_catalogue().facts.values()}


@given(st.dictionaries(st.sampled_from(sorted(_facts)), st.integers(0, 20), max_size=len(_facts)))
def test_a_further_answer_never_makes_an_answered_question_open(numbers: dict[str, int]) -> None:
    answers = {fact: (_facts[fact][number % len(_facts[fact])],) for fact, number in numbers.items()}
    fewer = dict(list(answers.items())[: len(answers) // 2])
    before, after = _bindings(fewer), _bindings(answers)
    for name, binding in before.items():
        if binding.binds != "unknown":
            assert after[name].binds == binding.binds
