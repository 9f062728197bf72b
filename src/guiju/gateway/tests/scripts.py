"""What an upstream streams, piece by piece, and the events that carry it."""

from dataclasses import dataclass
from typing import Any

from guiju.gateway.tests.client import Path


@dataclass
class Step:
    """One piece that the upstream sends: to which choice, which field, and what else stands in the event."""

    choice: int
    path: Path
    piece: str


def nested(path: Path, text: str) -> dict[str, Any]:
    value: Any = text
    for step in reversed(path):
        value = [{"index": step, **value}] if isinstance(step, int) else {step: value}
    return value  # type: ignore[no-any-return]


def chunk(choices: list[dict[str, Any]], **more: object) -> dict[str, Any]:
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices, **more}


def events_of(script: list[Step], choices: int, *, finish_with_text: bool, logprobs: bool = False) -> list[dict[str, Any]]:
    """Return the events of a script; the finish stands in the last event of a choice, or in one of its own."""
    last = {step.choice: place for place, step in enumerate(script)}
    events = []
    for place, step in enumerate(script):
        ends = finish_with_text and last[step.choice] == place
        choice: dict[str, Any] = {"index": step.choice, "delta": nested(step.path, step.piece), "finish_reason": "stop" if ends else None}
        if logprobs and step.path == ("content",):
            choice["logprobs"] = {"content": [{"token": letter, "logprob": -0.5, "top_logprobs": []} for letter in step.piece]}
        events.append(chunk([choice]))
    alone = [index for index in range(choices) if not (finish_with_text and index in last)]
    return events + [chunk([{"index": index, "delta": {}, "finish_reason": "stop"}]) for index in alone]


def left_behind(script: list[Step], choice: int) -> dict[Path, list[int]]:
    """Return after how many characters each text of a choice had another one go on."""
    lengths: dict[Path, int] = {}
    places: dict[Path, list[int]] = {}
    spoke: Path = ()
    for step in script:
        if step.choice == choice:
            if spoke and step.path != spoke:
                places.setdefault(spoke, []).append(lengths[spoke])
            spoke = step.path
            lengths[spoke] = lengths.get(spoke, 0) + len(step.piece)
    return places
