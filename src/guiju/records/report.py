"""What a check found, step by step, in two languages; a frozen value that pages, terminals and programs show alike."""

from dataclasses import dataclass
from typing import Literal

Outcome = Literal["holds", "fails", "open"]


@dataclass(frozen=True, slots=True)
class Step:
    """One numbered step. `open` is neither proven nor refuted; `detail` is for people who look closer."""

    number: int
    outcome: Outcome
    zh: str
    en: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """All steps of a check, and what they do not prove (zh, en)."""

    steps: tuple[Step, ...]
    not_proven: tuple[tuple[str, str], ...] = ()

    @property
    def ok(self) -> bool:
        """Whether no step fails."""
        return all(step.outcome != "fails" for step in self.steps)
