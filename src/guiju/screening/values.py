"""Frozen values of screening, shared with the live side."""

from typing import Literal

import msgspec

Direction = Literal["input", "output"]
Action = Literal["deliver", "refuse", "stop", "warn", "mask"]
PersonalInputAction = Literal["warn", "refuse", "pass"]
PersonalOutputAction = Literal["mask", "stop", "pass"]
Outcome = Literal["pass", "hit", "could_not_examine"]
Confidence = Literal["high", "medium", "low"]
"""How sure a find is. High: a term that blocks, a value that was checked. Medium: the classifier above its 1 % threshold, a guard's
"unsafe". Low: a term that only flags, the classifier above its 5 % threshold, a guard's "controversial"."""
Audience = Literal["adult", "minor-0-3", "minor-3-8", "minor-8-12", "minor-12-16", "minor-16-18"]
"""Who reads: an adult, or a minor of an age band (from this birthday to before that one). Source: the bands of minors' mode."""


class LibraryEntry(msgspec.Struct, frozen=True, array_like=True):
    """One row of the keyword library as the matcher needs it."""

    id: str
    term: str
    risk: str
    severity: Literal["block", "flag"] = "block"
    exceptions: tuple[str, ...] = ()
    direction: Literal["both", "input", "output"] = "both"


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """What a verdict does, by direction. Keys of the tables are risk ids (`A.1.f`), groups (`A.1`) or `*`."""

    on_input: dict[str, Action] = msgspec.field(default_factory=lambda: {"*": "refuse"})
    on_output: dict[str, Action] = msgspec.field(default_factory=lambda: {"*": "stop"})
    personal_on_input: dict[str, PersonalInputAction] = msgspec.field(default_factory=lambda: {"*": "warn"})
    """What personal information and secrets do, by detector code or `*`."""
    personal_on_output: dict[str, PersonalOutputAction] = msgspec.field(default_factory=lambda: {"*": "mask"})
    could_not_examine: Literal["stop", "deliver"] = "stop"
    stop_notice_zh: str = "本次回答已停止：内容属于服务协议所列的禁止情形。"
    stop_notice_en: str = "This answer was stopped: its content falls under the cases that the service agreement forbids."

    def action(self, direction: Direction, risk: str, confidence: Confidence = "high", audience: Audience = "adult") -> Action:
        """Return what a hit of this risk does; the most particular row of the table decides. A hit of low confidence only flags."""
        if confidence == "low":
            return "deliver"
        table = self.on_input if direction == "input" else self.on_output
        found = table.get(risk) or table.get(risk[:3]) or table.get("*")
        return found or ("refuse" if direction == "input" else "stop")


class Hit(msgspec.Struct, frozen=True, array_like=True):
    """A term or personal information found. `start` and `end` are characters of the original text at `path`; what stands there is
    not told.
    """

    path: str
    start: int
    end: int
    risk: str
    rule: str
    severity: Literal["block", "flag"]
    action: Action
    confidence: Confidence = "high"


class Verdict(msgspec.Struct, frozen=True):
    """What screening found in one text or view. `action` is the gravest of the hits, `deliver` for a pass."""

    outcome: Outcome
    action: Action
    hits: tuple[Hit, ...] = ()
    reason: str = ""


PASS = Verdict("pass", "deliver")
ENDS: frozenset[Action] = frozenset(("refuse", "stop"))
"""Actions after which the text is not delivered."""
