"""One choice of an answer while it streams: what came of it, what left, and how it ended."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from guiju.gateway.classified import Way
from guiju.gateway.inline import Run
from guiju.gateway.places import Path, shown
from guiju.gateway.spelled import Spelled
from guiju.labelling.explicit import Applied, without_words
from guiju.labelling.values import Label
from guiju.screening.matching.conversation import flags_in_answer
from guiju.screening.matching.decoded import flags_in_encoded
from guiju.screening.matching.snapshot import Snapshot
from guiju.screening.parts import CONTENT
from guiju.screening.values import Hit, Policy

NO_PATHS: Final[frozenset[Path]] = frozenset()
_MARKUP: Final = "{[`~"
"""A text that begins with one of these may be for a program: no words are put before it."""


class Choice:
    """One choice of the answer while it streams."""

    __slots__ = (
        "begun", "ended", "gates", "index", "labelled_after", "labelled_before", "logprobs", "now", "partial", "paused", "released", "runs",
        "spoke", "texts",
    )  # fmt: skip

    def __init__(self, index: int) -> None:
        self.index = index
        self.gates: dict[Path, Way] = {}
        self.texts: dict[Path, list[str]] = {}
        self.logprobs: Spelled | None = None
        self.released = 0
        self.begun = False  # whether the first words of the content have left
        self.labelled_before = False
        self.labelled_after = False
        self.partial: dict[str, Any] = {}  # what of the event at hand may leave, field by field
        self.ended = ""
        self.now: list[Path] = []
        """The texts, names and numbers of calls of which the event at hand says something new."""
        self.spoke: list[Path] = []
        """Those of the last event that did."""
        self.paused: frozenset[Path] = NO_PATHS
        """Texts whose tail was let out because another began or went on: once for each. One that comes back waits for itself."""
        self.runs: dict[Path, Run] = {}
        """The base64 behind a data URL in a running text."""

    def left_behind(self) -> list[Path]:
        """End an event that said something: return the texts that spoke last, not in this event, and still hold a tail; oldest first."""
        self.spoke, self.now = self.now, self.spoke
        behind = [
            path
            for path in self.now
            if path not in self.spoke and path not in self.paused and (gate := self.gates.get(path)) is not None and gate.holds
        ]
        self.now.clear()
        if behind:
            self.paused |= set(behind)
        return behind

    @property
    def waits(self) -> bool:
        """Whether a text of which the event at hand says something holds a tail that may leave when another begins."""
        return any(path not in self.paused and (gate := self.gates.get(path)) is not None and gate.holds for path in self.now)

    def led(self, path: Path, text: str, lead: str) -> str:
        """Return the text with `lead`, the label, before it, where these are the first words of an answer in prose."""
        if self.begun or path != CONTENT or not text.strip() or not lead:
            return text
        self.begun = True
        if text.lstrip()[0] in _MARKUP:
            return text
        self.labelled_before = True
        return lead + text

    def give_logprobs(self, kept: dict[str, Any]) -> None:
        """Let the log probabilities out into `kept`, unless something in this choice was hidden: they would spell it."""
        if self.logprobs is not None:
            self.logprobs.give(kept, hidden=any(gate.has_hidden for gate in self.gates.values()))

    def tool_calls(self) -> list[tuple[str, str, str]]:
        """Return (id, name, arguments) of each tool that the choice called, joined from their pieces."""
        found: dict[Any, dict[str, str]] = {}
        for path, pieces in self.texts.items():
            if path[0] == "tool_calls" and len(path) > 2:
                found.setdefault(path[1], {})[str(path[-1])] = "".join(pieces)
        return [(call.get("id", ""), call.get("name", ""), call.get("arguments", "")) for call in found.values()]


def applied_to(choices: Collection[Choice], label: Label) -> Applied:
    """Return how an answer was labelled for people: by words in every text it holds, or else by the interface."""
    texts = [choice for choice in choices if choice.released]
    before = bool(texts) and all(choice.labelled_before for choice in texts)
    after = bool(texts) and all(choice.labelled_after for choice in texts)
    return "both" if before and after else "suffix" if after else "prefix" if before else without_words(label)


def flags_of(choices: Collection[Choice], texts: Mapping[str, str], snapshot: Snapshot, policy: Policy) -> list[Hit]:
    """Return what stopped nothing in an answer: personal information that was hidden, and words that are only flagged."""
    hits = [
        hit
        for choice in choices
        for path, gate in choice.gates.items()
        if not gate.stopped
        for hit in gate.hits(shown(choice.index, path), policy)
    ]
    named = list(texts.items())
    clear: Sequence[Hit] = ()
    if not snapshot.finds_nothing([text for _, text in named]):
        clear = snapshot.examine_all(named, "output", policy).hits
        hits += [hit for hit in clear if hit.action == "deliver"]
    hits += flags_in_answer(named, snapshot, policy)
    hits += flags_in_encoded(named, snapshot, policy, clear)
    return hits
