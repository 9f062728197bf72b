"""What a check found, step by step, in two languages; frozen values that pages, terminals and programs show alike."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """One numbered step, with the outcome `holds`, `fails` or `open`.

    `open` is neither proven nor refuted; `detail` is for people who look closer.
    """

    number: int
    outcome: str
    zh: str
    en: str
    detail: str = ""


@dataclass(frozen=True)
class Report:
    """All steps of a check, and what they do not prove (zh, en)."""

    steps: tuple[Step, ...]
    not_proven: tuple[tuple[str, str], ...] = ()

    @property
    def ok(self) -> bool:
        """Whether no step fails."""
        return all(step.outcome != "fails" for step in self.steps)


class Broken(Exception):
    """Something that was to be checked does not hold; the text says what."""
