"""Answers that stray: a term put into each field, cut in every way, and a judgement of what reached the client.

A *near miss* begins like a term and goes on otherwise: all of it must arrive.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec

from bench.corpus import TERM_CHARACTERS, TERM_LENGTH, terms, text

Field = Literal["content", "reasoning_content", "arguments"]
_BEFORE: Final = text(20, 3)
_AFTER: Final = text(8, 4)
_OTHERWISE: Final = "好"
_DONE: Final = b"data: [DONE]\n\n"


@dataclass(frozen=True, slots=True)
class Case:
    """One answer: where the term stands, how it is spelled, where the stream is cut inside it (-1: after each character)."""

    field: Field
    term: str
    cut: int
    escaped: bool = False
    near_miss: int = 0
    """How many characters of the term are there before it goes on otherwise; 0 for the whole term."""
    choices: int = 1

    @property
    def name(self) -> str:
        """The field as the table shows it."""
        return "content, one of three choices" if self.choices > 1 else "arguments, escaped" if self.escaped else self.field

    @property
    def stray_choice(self) -> int:
        """The choice that strays; the others are clean."""
        return self.choices // 2

    @property
    def clean(self) -> str:
        """What stands in front of the term."""
        return ('{"q":"' if self.field == "arguments" else "") + _BEFORE

    @property
    def spelled(self) -> str:
        """The term, or its beginning and something else, as the answer spells it."""
        kept = self.term[: self.near_miss] if self.near_miss else self.term
        spelled = "".join(f"\\u{ord(character):04x}" for character in kept) if self.escaped else kept
        return spelled + (_OTHERWISE if self.near_miss else "")

    @property
    def after(self) -> str:
        """What stands behind the term."""
        return _AFTER + ('"}' if self.field == "arguments" else "")


def _cases() -> Iterator[Case]:
    fresh = iter(terms())
    for field, escaped in (("content", False), ("reasoning_content", False), ("arguments", False), ("arguments", True)):
        length = TERM_LENGTH * (6 if escaped else 1)
        for cut in range(-1, length + 1):
            yield Case(field, next(fresh), cut, escaped)  # type: ignore[arg-type]
        for near_miss in range(1, TERM_LENGTH):
            yield Case(field, next(fresh), -1, escaped, near_miss)  # type: ignore[arg-type]
    for cut in range(-1, TERM_LENGTH + 1):
        yield Case("content", next(fresh), cut, choices=3)


CASES: Final = tuple(_cases())


def deltas(case: Case) -> list[tuple[int, dict[str, Any]]]:
    """Return the stream as (choice, delta) in the order in which they are sent."""
    if case.field != "arguments":
        return [(choice, {case.field: piece}) for choice, piece in _pieces(case)]
    call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": ""}}
    return [
        (0, {"tool_calls": [call]}),
        *((choice, {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}) for choice, piece in _pieces(case)),
    ]


def _pieces(case: Case) -> list[tuple[int, str]]:
    """Return (choice, text) in the order in which they are sent; the clean choices take turns with the one that strays."""
    pieces = [case.clean, *case.spelled, case.after]
    if case.cut >= 0:
        pieces = [case.clean + case.spelled[: case.cut], case.spelled[case.cut :] + case.after]
    return [
        (choice, piece if choice == case.stray_choice else text(len(piece), choice)) for piece in pieces for choice in range(case.choices)
    ]


def whole(case: Case) -> list[dict[str, Any]]:
    """Return the choices of the same answer, not streamed."""
    choices = []
    for index in range(case.choices):
        said = case.clean + case.spelled + case.after if index == case.stray_choice else text(30, index)
        message: dict[str, Any] = {"role": "assistant", "content": None}
        if case.field == "arguments":
            message["tool_calls"] = [{"id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": said}}]
        else:
            message[case.field] = said
        choices.append({"index": index, "message": message, "logprobs": None, "finish_reason": "stop"})
    return choices


@dataclass(frozen=True, slots=True)
class Finding:
    """What one answer shows: characters of a term that arrived, clean ones that did not, whether it ended as it must."""

    leaked: int
    missing: int
    ended: bool


def received(case: Case, body: bytes) -> dict[int, str]:
    """Return what each choice of a streamed answer says in the field of the case."""
    said = dict.fromkeys(range(case.choices), "")
    for chunk in _chunks(body):
        for choice in chunk.get("choices", ()):
            delta = choice["delta"]
            if case.field == "arguments":
                said[choice["index"]] += "".join(call.get("function", {}).get("arguments", "") for call in delta.get("tool_calls", ()))
            else:
                said[choice["index"]] += delta.get(case.field) or ""
    return said


def judge_stream(case: Case, body: bytes) -> Finding:
    """Return what is wrong with a streamed answer to this case, as the client received it."""
    chunks = _chunks(body)
    finishes = {
        choice["index"]: choice["finish_reason"] for chunk in chunks for choice in chunk.get("choices", ()) if choice.get("finish_reason")
    }
    ended = body.endswith(b"\n\n" + _DONE) and body.count(_DONE) == 1
    leaked = missing = 0
    for index, said in received(case, body).items():
        strays = index == case.stray_choice
        stopped = strays and not case.near_miss
        wanted = case.clean if stopped else "".join(delta_text for choice, delta_text in _pieces(case) if choice == index)
        missing += len(wanted) - _shared(wanted, said)
        if stopped:
            # The notice follows in `content`; elsewhere nothing may follow at all.
            rest = said[len(wanted) :]
            leaked += _term_characters(rest) if case.field == "content" else len(rest)
        ended = ended and finishes.get(index) == ("content_filter" if stopped else "stop")
    if not case.near_miss:
        leaked = max(leaked, _term_characters(repr(chunks)))
    return Finding(leaked, missing, ended)


def _chunks(body: bytes) -> list[dict[str, Any]]:
    events = [event + b"\n\n" for event in body.split(b"\n\n") if event]
    return [msgspec.json.decode(event.removeprefix(b"data: ")) for event in events if event != _DONE]


def judge_whole(case: Case, body: bytes) -> Finding:
    """Return what is wrong with an answer to this case that was not streamed."""
    answer = msgspec.json.decode(body)
    message = answer["choices"][case.stray_choice]["message"]
    said = message["tool_calls"][0]["function"]["arguments"] if message.get("tool_calls") else message.get(case.field) or ""
    finish = answer["choices"][case.stray_choice]["finish_reason"]
    if case.near_miss:
        wanted = case.clean + case.spelled + case.after
        return Finding(0, len(wanted) - _shared(wanted, said), finish == "stop")
    return Finding(_term_characters(repr(answer)) + said.count("\\u"), 0, finish == "content_filter")


def _term_characters(shown: str) -> int:
    return sum(character in TERM_CHARACTERS for character in shown)


def _shared(wanted: str, arrived: str) -> int:
    """Return how many characters both begin with."""
    return next(
        (place for place, pair in enumerate(zip(wanted, arrived, strict=False)) if pair[0] != pair[1]), min(len(wanted), len(arrived))
    )
