"""What a guard is asked and what it answers, whatever it speaks. Pure: bytes out, bytes in.

A guard is a stranger: its answer may be cut, huge, in another language, or written by the text that it was to judge. Only an answer
that is whole and agrees with itself is a finding; anything else is `NoFinding`, and what it was asked about was not examined.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

import msgspec

from guiju.screening.risks import BY_ID, RISKS
from guiju.screening.values import Confidence, Direction

Level = Literal["safe", "controversial", "unsafe"]
OTHERWISE: Final = ("A.1.h",)
"""What an unsafe text falls under whose category says nothing to us: otherwise prohibited by law."""
UNKNOWN: Final = "(unknown)"
"""Stands for a category that the guard made up: records hold no words of its own."""
ANSWER_BYTES: Final = 2**16
"""No guard needs more to say what it found."""

OUR_RISKS: Final[Mapping[str, tuple[str, ...]]] = {risk.id: (risk.id,) for risk in RISKS}
"""The risks of a guard that answers with our own ids."""

ENCODE: Final = msgspec.json.Encoder().encode
_DECODE: Final = msgspec.json.Decoder(dict[str, Any]).decode


class NoFinding(ValueError):
    """The answer of a guard says nothing that can be relied on; the text says why."""


class Turn(NamedTuple):
    """One turn of a conversation as guards know it: `user` is whatever the model reads, `assistant` what it wrote."""

    role: Literal["user", "assistant"]
    text: str


class Passage(NamedTuple):
    """What is to be examined: the last turn, with those before it as its context. In an output the last turn is the answer."""

    direction: Direction
    turns: tuple[Turn, ...]


class Finding(NamedTuple):
    """What a guard says: how bad, which of its categories, its score from 0 to 1 as text, its own version; empty where it tells none."""

    level: Level
    categories: tuple[str, ...] = ()
    score: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class Form:
    """One way of asking a guard. `path` follows the guard's address; `ask` makes the body for a model; `read` understands the answer."""

    kind: str
    path: str
    ask: Callable[[Passage, str], bytes]
    read: Callable[[bytes, Passage], Finding]
    risks: Mapping[str, tuple[str, ...]]
    """The guard's category → the risks that it may stand for."""
    needs_model: bool = True
    signs: bool = False
    """Whether requests are signed with the key instead of carrying it."""

    def risks_of(self, finding: Finding) -> tuple[str, ...]:
        """Return the risks of a finding that is not safe, each once; at least one."""
        found = dict.fromkeys(risk for name in finding.categories for risk in self.risks.get(name) or OUR_RISKS.get(name, ()))
        return tuple(found) or OTHERWISE

    @property
    def uncovered(self) -> tuple[str, ...]:
        """The risks that no category of this guard stands for: its silence says nothing about them."""
        covered = {risk for risks in self.risks.values() for risk in risks}
        return tuple(risk.id for risk in RISKS if risk.id not in covered)


def confidence_of(level: Level) -> Confidence:
    """Return how sure a finding is: no guard alone is sure enough to be `high`."""
    return "medium" if level == "unsafe" else "low"


def answer_object(raw: bytes) -> dict[str, Any]:
    """Return the JSON object that an answer is. Raises NoFinding."""
    try:
        return _DECODE(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise NoFinding("its answer is no JSON object") from None


def chat_body(model: str, messages: Sequence[Mapping[str, str]], max_tokens: int, **more: object) -> bytes:
    """Return the body of a chat request that is answered as surely as the model can."""
    return ENCODE({"model": model, "messages": messages, "temperature": 0, "max_tokens": max_tokens, "stream": False, **more})


def chat_text(raw: bytes) -> tuple[str, str]:
    """Return what the one choice of a chat completion says, and the model that it names. Raises NoFinding."""
    answer = answer_object(raw)
    choices = answer.get("choices")
    if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], dict):
        raise NoFinding("its answer has not one choice")
    if choices[0].get("finish_reason") not in ("stop", None):
        raise NoFinding("its answer is cut")
    message = choices[0].get("message")
    text = message.get("content") if isinstance(message, dict) else None
    if not isinstance(text, str):
        raise NoFinding("its answer has no text")
    return text, plain(answer.get("model"))


def score_of(value: object) -> str:
    """Return a score as records show it; empty for none. Raises NoFinding for anything but a number from 0 to 1."""
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise NoFinding("its score is no number from 0 to 1")
    return f"{value:.4f}"


def known(categories: object, names: Mapping[str, object]) -> tuple[str, ...]:
    """Return the categories with those that are not known told as that, each once. Raises NoFinding for anything but texts."""
    if not isinstance(categories, list) or len(categories) > len(BY_ID) or not all(isinstance(each, str) for each in categories):
        raise NoFinding("its categories are no list of names")
    return tuple(dict.fromkeys(each if each in names else UNKNOWN for each in categories))


def plain(value: object) -> str:
    """Return a version or a model's name, if it looks like one; empty for anything else."""
    return value if isinstance(value, str) and len(value) <= 100 and value.isascii() and value.isprintable() else ""


def joined(passage: Passage) -> str:
    """Return the text of a passage for a guard that knows no conversation: the answer alone, or all that was asked."""
    if passage.direction == "output":
        return passage.turns[-1].text
    return "\n".join(turn.text for turn in passage.turns)
