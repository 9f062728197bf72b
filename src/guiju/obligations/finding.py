"""What a check says: the state of one duty for one service, why, and the evidence. Every light on the board is one of these.

A check lives in the `checks.py` of the duty's package, reads records and state, and writes nothing. It is a function of a `Case`; the package lists it in
`CHECKS` under the id of the obligation.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from guiju.obligations.values import Words

Status = Literal["met", "due", "overdue", "breach", "needs_person", "not_built", "not_applicable"]
"""`due`: something must be done, and there is time; `overdue`: the time has passed; `breach`: the duty is not kept.

`not_built` is guiju's own: nothing judges this duty yet. It is never shown as met.
"""
GRAVEST: Final[tuple[Status, ...]] = ("breach", "overdue", "due", "needs_person", "not_built", "met", "not_applicable")
"""The states, the gravest first."""


@dataclass(frozen=True, slots=True)
class Proof:
    """One piece of evidence: the id of a record, or of something else that `what` names (`attestation`, `library`, …)."""

    what: str
    id: str


@dataclass(frozen=True, slots=True)
class Case:
    """What a check is asked: which service, at which instant (aware), with which answers of its profile. `""` is the whole installation."""

    service: str
    now: datetime
    answers: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Finding:
    """The state of a duty, the reason for people, the evidence, and by when something is due (aware), if it is."""

    status: Status
    reason: Words
    evidence: tuple[Proof, ...] = ()
    due_at: datetime | None = None


Check = Callable[[Case], Finding]


def gravest(findings: list[Finding]) -> Finding:
    """Return the gravest of several findings; the first of equals. Raises ValueError when there is none."""
    return min(findings, key=lambda each: GRAVEST.index(each.status))
