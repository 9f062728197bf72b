"""Which obligations bind a service, and why: the answers of its profile against the conditions of the catalogue.

A question without an answer never frees a service: the duty counts as binding and says which answer is missing.
Source: Measures Arts. 2, 20, 22 and 23.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal

from guiju.obligations.values import Catalogue, Condition, Obligation, Words

Answers = Mapping[str, tuple[str, ...]]
"""What the profile of a service says: fact → answers given; a fact that is not there has no answer."""
Binds = Literal["yes", "no", "unknown"]


@dataclass(frozen=True, slots=True)
class Because:
    """One fact that decided: what the catalogue wants, and what the profile says; `given` is empty without an answer."""

    fact: str
    wanted: tuple[str, ...]
    given: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Binding:
    """Whether one obligation binds the service, and the facts that decided it."""

    obligation: Obligation
    binds: Binds
    because: tuple[Because, ...]


COVERED = Words("《办法》是否适用于该服务", "Do the Measures apply to the service")
_YES_OR_NO = {"yes": Words("是", "yes"), "no": Words("否", "no")}


def question_of(because: Because, catalogue: Catalogue) -> Words:
    """Return the question behind a fact, a derived one too."""
    fact = catalogue.facts.get(because.fact)
    return fact.question if fact is not None else COVERED


def answers_of(because: Because, catalogue: Catalogue) -> Words:
    """Return what was answered, as the profile names it; nothing where there is no answer."""
    fact = catalogue.facts.get(because.fact)
    names = {each.id: each.title for each in fact.choices} if fact is not None else _YES_OR_NO
    given = [names.get(each, Words(each, each)) for each in because.given]
    return Words("、".join(each.zh for each in given), ", ".join(each.en for each in given))


def list_bindings(catalogue: Catalogue, answers: Answers, on: date) -> list[Binding]:
    """Return the obligations of a Beijing day in the order of the Measures, each with whether it binds this service."""
    known = {**answers, "covered": covered(answers)}
    return [bind(each, known) for each in catalogue.in_force(on).values()]


def covered(answers: Answers) -> tuple[str, ...]:
    """Return whether the Measures cover the service: it generates content and serves the public; nothing while that is unknown.

    Source: Measures Arts. 2 and 22.
    """
    given = [answers.get(fact, ()) for fact in ("generates", "public")]
    if ("no",) in given:
        return ("no",)
    return ("yes",) if all(each == ("yes",) for each in given) else ()


def bind(obligation: Obligation, answers: Answers) -> Binding:
    """Return whether this obligation binds. `answers` has the derived facts, too."""
    conditions: tuple[Condition, ...] = obligation.applies or ({"covered": ("yes",)},)
    found = [_fulfilled(each, answers) for each in conditions]
    for binds in ("yes", "unknown", "no"):
        for each, because in found:
            if each == binds:
                return Binding(obligation, binds, because)
    raise AssertionError("an obligation has at least one condition")


def _fulfilled(condition: Condition, answers: Answers) -> tuple[Binds, tuple[Because, ...]]:
    decided = [(Because(fact, wanted, answers.get(fact, ())), _meets(wanted, answers.get(fact, ()))) for fact, wanted in condition.items()]
    against = tuple(because for because, meets in decided if meets == "no")
    if against:
        return "no", against
    unknown = tuple(because for because, meets in decided if meets == "unknown")
    if unknown:
        return "unknown", unknown
    return "yes", tuple(because for because, _ in decided)


def _meets(wanted: tuple[str, ...], given: tuple[str, ...]) -> Binds:
    """Tell whether an answer is one that is wanted."""
    if not given:
        return "unknown"
    return "yes" if set(wanted) & set(given) else "no"
