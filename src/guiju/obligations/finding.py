"""What a check says: the state of one duty for one service, why, and the evidence. Every light on the board is one of these.

A check lives in the `checks.py` of the duty's package, reads records and state, and writes nothing. It is a function of a `Case`; the package lists it in
`CHECKS` under the id of the obligation.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal, TypeVar

from guiju.obligations.values import Words

_Known = TypeVar("_Known")
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
    """What a check is asked: which service, at which instant (aware), with which answers of its profile, and the id of that profile."""

    service: str
    now: datetime
    answers: Mapping[str, tuple[str, ...]]
    profile: str = field(default="", kw_only=True)
    known: dict[str, Any] = field(default_factory=dict, compare=False)
    """What the checks of one judging have looked up already."""

    def once(self, name: str, look: Callable[[], _Known]) -> _Known:
        """Return what `look` gives; the checks of one judging that name the same look once."""
        if name not in self.known:
            self.known[name] = look()
        found: _Known = self.known[name]
        return found


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
