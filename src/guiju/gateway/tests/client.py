"""A client of streams for tests: reads server-sent events by the book and joins what the pieces spell."""

import json
from dataclasses import dataclass, field
from typing import Any

Path = tuple[str | int, ...]


@dataclass
class Heard:
    """What a client holds when a stream has ended. Keys of `texts` are (choice, path in the delta)."""

    events: list[dict[str, Any]] = field(default_factory=list)
    texts: dict[tuple[int, Path], str] = field(default_factory=dict)
    finishes: dict[int, str] = field(default_factory=dict)
    retractions: list[dict[str, Any]] = field(default_factory=list)
    errors: list[dict[str, Any]] = field(default_factory=list)
    tokens: dict[int, str] = field(default_factory=dict)
    usage: dict[str, Any] | None = None
    dones: int = 0
    after_done: int = 0

    def text(self, choice: int = 0, path: Path = ("content",)) -> str:
        return self.texts.get((choice, path), "")


def hear(raw: bytes) -> Heard:
    """Read a whole stream. Fails on anything that is not `data: <JSON>` events closed by blank lines."""
    heard = Heard()
    assert raw == b"" or raw.endswith(b"\n\n"), raw[-80:]
    for event in raw.split(b"\n\n")[:-1]:
        assert event.startswith(b"data: "), event
        assert b"\n" not in event, event
        if event == b"data: [DONE]":
            heard.dones += 1
            continue
        heard.after_done += heard.dones
        chunk = json.loads(event[6:])
        heard.events.append(chunk)
        _take(heard, chunk)
    return heard


def _take(heard: Heard, chunk: dict[str, Any]) -> None:
    if "error" in chunk:
        heard.errors.append(chunk["error"])
        return
    if chunk.get("usage"):
        heard.usage = chunk["usage"]
    if "retraction" in chunk:
        heard.retractions.append(chunk["retraction"])
    for choice in chunk["choices"]:
        index = choice["index"]
        assert index not in heard.finishes, "a choice spoke after its finish"
        _join(heard, index, choice["delta"], ())
        for entry in (choice.get("logprobs") or {}).get("content", []):
            heard.tokens[index] = heard.tokens.get(index, "") + entry["token"]
        assert heard.text(index).startswith(heard.tokens.get(index, "")), "a log probability left before its text"
        if choice["finish_reason"]:
            heard.finishes[index] = choice["finish_reason"]


def _join(heard: Heard, index: int, value: object, path: Path) -> None:
    if isinstance(value, str):
        heard.texts[index, path] = heard.texts.get((index, path), "") + value
    elif isinstance(value, dict):
        for name, item in value.items():
            _join(heard, index, item, (*path, name))
    elif isinstance(value, list):
        for place, item in enumerate(value):
            _join(heard, index, item, (*path, item.get("index", place) if isinstance(item, dict) else place))
