"""One choice of an answer while it streams: what came of it, what left, and how it ended."""

from typing import Any

from guiju.gateway.classified import Way
from guiju.gateway.inline import Run
from guiju.gateway.places import Path


class Choice:
    """One choice of the answer while it streams."""

    __slots__ = (
        "begun", "ended", "gates", "index", "labelled_after", "labelled_before", "logprobs", "partial", "released", "runs", "texts",
    )  # fmt: skip

    def __init__(self, index: int) -> None:
        self.index = index
        self.gates: dict[Path, Way] = {}
        self.texts: dict[Path, list[str]] = {}
        self.logprobs: dict[str, list[Any]] = {}
        self.released = 0
        self.begun = False  # whether the first words of the content have left
        self.labelled_before = False
        self.labelled_after = False
        self.partial: dict[str, Any] = {}  # what of the event at hand may leave, field by field
        self.ended = ""
        self.runs: dict[Path, Run] = {}
        """The base64 behind a data URL in a running text."""

    def tool_calls(self) -> list[tuple[str, str, str]]:
        """Return (id, name, arguments) of each tool that the choice called, joined from their pieces."""
        found: dict[Any, dict[str, str]] = {}
        for path, pieces in self.texts.items():
            if path[0] == "tool_calls" and len(path) > 2:
                found.setdefault(path[1], {})[str(path[-1])] = "".join(pieces)
        return [(call.get("id", ""), call.get("name", ""), call.get("arguments", "")) for call in found.values()]
