"""Frozen values of screening, shared with the live side."""

import hashlib
from functools import cached_property
from typing import Final, Literal, NamedTuple

import msgspec

from guiju.screening.risks import BY_ID

Direction = Literal["input", "output"]
Action = Literal["deliver", "refuse", "stop", "warn", "mask", "answer", "hold"]
"""`answer` is an approved answer where there is one, else a refusal; `hold` is not delivered, and a person is to look at it."""
PersonalInputAction = Literal["warn", "refuse", "pass"]
PersonalOutputAction = Literal["mask", "stop", "pass"]
AttackAction = Literal["flag", "refuse", "pass"]
Outcome = Literal["pass", "hit", "could_not_examine"]
Confidence = Literal["high", "medium", "low"]
"""How sure a find is. High: a term that blocks, a value that was checked. Medium: the classifier above its 1 % threshold, a guard's
"unsafe". Low: a term that only flags, the classifier above its 5 % threshold, a guard's "controversial"."""
Audience = Literal["adult", "minor", "minor-0-3", "minor-3-8", "minor-8-12", "minor-12-16", "minor-16-18"]
"""Who reads: an adult, a minor whose age is not known, or a minor from this birthday to before that one. Source: the bands of minors' mode."""
ClassifierUse = Literal["off", "evidence", "policy"]
"""What a service makes of the classifier: nothing; evidence for people, gathered after the answer; or what its policy says, at once."""
AUDIENCES: Final[tuple[Audience, ...]] = ("adult", "minor", "minor-0-3", "minor-3-8", "minor-8-12", "minor-12-16", "minor-16-18")
CONFIDENCES: Final[tuple[Confidence, ...]] = ("high", "medium", "low")

Source = Literal["", "system", "user", "assistant", "tool", "document"]
"""Who said a text: the application, the person, the model, a tool, or a document put before the model; empty where it is not told apart."""

WITHIN: Final = 20
"""How many folded characters may stand between a term and its near word where the row does not say."""


class LibraryEntry(msgspec.Struct, frozen=True, array_like=True):
    """One row of the keyword library as the matcher needs it."""

    id: str
    term: str
    risk: str
    severity: Literal["block", "flag"] = "block"
    exceptions: tuple[str, ...] = ()
    direction: Literal["both", "input", "output"] = "both"
    spellings: tuple[str, ...] = ()
    """Which further spellings of the term count: names out of `spellings.check.SPELLINGS`, and aliases after `~`."""
    near: tuple[str, ...] = ()
    """Other words: where there are any, the term counts only with one of them at most `within` folded characters before or after it."""
    within: int = WITHIN

    @property
    def confidence(self) -> Confidence:
        """How sure a hit of this term is."""
        return "low" if self.severity == "flag" else "high"


class PolicyRow(msgspec.Struct, frozen=True, array_like=True):
    """One row of a policy's table: what is done with a find of this risk (`A.1.f`), group (`A.1`) or any (`*`), in this direction, for
    these readers (`minor` is every minor), at this confidence.
    """

    risk: str
    direction: Literal["input", "output", "both"]
    audience: str
    confidence: Literal["high", "medium", "low", "*"]
    action: Action

    def __str__(self) -> str:
        return f"{self.risk} {self.direction} {self.audience} {self.confidence} {self.action}"

    def ranks(self, direction: Direction, risk: str, confidence: Confidence, audience: Audience) -> tuple[int, int, int, int] | None:
        """Return how wide this row is about such a find, column by column, 0 for the narrowest; None when it does not tell of it."""
        wide = 0 if self.risk == risk else 1 if self.risk == risk[:3] else 2 if self.risk == "*" else None
        readers = 0 if self.audience == audience else 2 if self.audience == "*" else 1 if self.audience == audience[:5] == "minor" else None
        if wide is None or readers is None or self.direction not in (direction, "both") or self.confidence not in (confidence, "*"):
            return None
        return wide, readers, int(self.direction == "both"), int(self.confidence == "*")


class Decision(NamedTuple):
    """What a policy does with a find, and the row that says so; the settings' tables and the rule for low confidence are rows too."""

    action: Action
    row: str


class Policy(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """What a verdict does. `rows` decide first, the most particular of them; what no row tells of, `on_input` and `on_output` decide."""

    rows: tuple[PolicyRow, ...] = ()
    version: str = ""
    """Of the table, where it is one that was put in force in the console: the hash of `rows` and `default_audience`."""
    on_input: dict[str, Action] = msgspec.field(default_factory=lambda: {"*": "refuse"})
    """By risk (`A.1.f`), group (`A.1`) or `*`; likewise the next."""
    on_output: dict[str, Action] = msgspec.field(default_factory=lambda: {"*": "stop"})
    default_audience: Audience = "adult"
    """Who reads where the application does not say."""
    approved_answers: Literal["near", "exact", "off"] = "near"
    personal_on_input: dict[str, PersonalInputAction] = msgspec.field(default_factory=lambda: {"*": "warn"})
    """What personal information and secrets do, by detector code or `*`."""
    personal_on_output: dict[str, PersonalOutputAction] = msgspec.field(default_factory=lambda: {"*": "mask"})
    attack_on_input: dict[str, AttackAction] = msgspec.field(default_factory=lambda: {"*": "flag"})
    """What a prompt attack in a person's message does, by its kind's code or `*`: `refuse` only where it is sure, or comes with harm."""
    attack_on_documents: dict[str, AttackAction] = msgspec.field(default_factory=lambda: {"*": "flag"})
    """The same in what tools and documents brought."""
    could_not_examine: Literal["stop", "deliver"] = "stop"
    stop_notice_zh: str = "本次回答已停止：内容属于服务协议所列的禁止情形。"
    stop_notice_en: str = "This answer was stopped: its content falls under the cases that the service agreement forbids."

    def action(self, direction: Direction, risk: str, confidence: Confidence = "high", audience: Audience | None = None) -> Action:
        """Return what a hit of this risk does; without an audience, for `default_audience`."""
        return self.decide(direction, risk, confidence, audience).action

    def decide(self, direction: Direction, risk: str, confidence: Confidence = "high", audience: Audience | None = None) -> Decision:
        """Return what a hit of this risk does and which row says so: the most particular one that tells of it."""
        asked = (direction, risk, confidence, audience or self.default_audience)
        known = self._decided.get(asked)
        if known is None:
            known = self._decided[asked] = self._decide(*asked)
        return known

    def read_by(self, audience: Audience) -> "Policy":
        """Return this policy as it is for such a reader: the same, with another `default_audience`."""
        if audience == self.default_audience:
            return self
        if audience not in self._readers:
            self._readers[audience] = msgspec.structs.replace(self, default_audience=audience)
        return self._readers[audience]

    def ends(self, direction: Direction) -> frozenset[tuple[str, Confidence]]:
        """Return the risks and confidences of hits that end a text of this direction; remembered."""
        return self._input_ends if direction == "input" else self._output_ends

    @cached_property
    def short(self) -> str:
        """What records carry: the first 16 hex digits of the version in force, or else of the hash of all that the policy says."""
        return self.version[:16] or hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()[:16]

    @cached_property
    def _decided(self) -> dict[tuple[Direction, str, Confidence, Audience], Decision]:
        return {}

    @cached_property
    def _readers(self) -> dict[Audience, "Policy"]:
        return {}

    @cached_property
    def _input_ends(self) -> frozenset[tuple[str, Confidence]]:
        return self._ends("input")

    @cached_property
    def _output_ends(self) -> frozenset[tuple[str, Confidence]]:
        return self._ends("output")

    def _ends(self, direction: Direction) -> frozenset[tuple[str, Confidence]]:
        return frozenset(
            (risk, confidence) for risk in BY_ID for confidence in CONFIDENCES if self.action(direction, risk, confidence) in ENDS
        )

    def _decide(self, direction: Direction, risk: str, confidence: Confidence, audience: Audience) -> Decision:
        telling = [(ranks, row) for row in self.rows if (ranks := row.ranks(direction, risk, confidence, audience)) is not None]
        if telling:
            row = min(telling, key=lambda each: each[0])[1]
            return Decision(row.action, str(row))
        if confidence == "low":
            return Decision("deliver", "low → deliver")
        name, table = ("on_input", self.on_input) if direction == "input" else ("on_output", self.on_output)
        for scope in (risk, risk[:3], "*"):
            if scope in table:
                return Decision(table[scope], f"{name} {scope}")
        return Decision("refuse" if direction == "input" else "stop", name)


class Hit(msgspec.Struct, frozen=True, array_like=True):
    """A term or personal information found. `start` and `end` are characters of the original text at `path`; what stands there is
    not told. A hit that reaches over two strings has both paths, `a + b`: then `start` is a place in the first, `end` in the second.
    """

    path: str
    start: int
    end: int
    risk: str
    rule: str
    severity: Literal["block", "flag"]
    action: Action
    confidence: Confidence = "high"
    source: Source = ""
    more: int = 0
    """How many further places of this rule there are at this path that are not told: counted, not looked at one by one."""


class Verdict(msgspec.Struct, frozen=True):
    """What screening found in one text or view. `action` is the gravest of the hits, `deliver` for a pass."""

    outcome: Outcome
    action: Action
    hits: tuple[Hit, ...] = ()
    reason: str = ""


PASS = Verdict("pass", "deliver")
ENDS: frozenset[Action] = frozenset(("refuse", "stop", "answer", "hold"))
"""Actions after which the text is not delivered."""
GRAVITY: Final[dict[Action, int]] = {"deliver": 0, "warn": 1, "mask": 2, "answer": 3, "stop": 4, "refuse": 5, "hold": 6}
"""Which of several actions a verdict takes: the gravest."""
