"""What the log probabilities of a streamed choice spell: screened as a text of its own, by tokens and by bytes, for they need not tell of the text.

Nothing of it is delivered from here; log probabilities wait while what they spell is held, and are left out once something in it is hidden.
Source: Measures Art. 4; decision 0053.
"""

import codecs
from collections.abc import Callable, Mapping
from typing import Any

from guiju.screening.outlet import Outlet
from guiju.screening.parts import bytes_of
from guiju.screening.values import Hit, Policy

_DECODER = codecs.getincrementaldecoder("utf-8")


class Spelled:
    """The log probabilities of one choice: what they have spelled so far, and those that wait."""

    __slots__ = ("_decoders", "_open", "_outlets", "waiting")

    def __init__(self, open_outlet: Callable[[], Outlet]) -> None:
        self.waiting: dict[str, list[Any]] = {}
        self._open = open_outlet
        self._outlets: dict[str, Outlet] = {}
        self._decoders: dict[str, codecs.IncrementalDecoder] = {}

    def take(self, logprobs: Mapping[str, Any]) -> None:
        """Take the log probabilities of the next event."""
        for name, entries in logprobs.items():
            if not isinstance(entries, list):
                continue
            self.waiting.setdefault(name, []).extend(entries)
            for entry in entries:
                token = entry.get("token") if isinstance(entry, dict) else None
                if isinstance(token, str):
                    self._feed(name, token)
                if listed := bytes_of(entry):
                    decoder = self._decoders.get(name) or self._decoders.setdefault(name, _DECODER("ignore"))
                    self._feed(f"{name} (bytes)", decoder.decode(bytes(listed)))

    def give(self, kept: dict[str, Any], *, hidden: bool) -> None:
        """Let those that wait out into `kept`, unless something that they spell is `hidden` in the text or has to be."""
        if self.waiting and not hidden and not any(outlet.has_hidden for outlet in self._outlets.values()):
            kept["logprobs"] = self.waiting
        self.waiting = {}

    def finish(self) -> None:
        """Say that no more come."""
        for outlet in self._outlets.values():
            outlet.finish()

    @property
    def stopped(self) -> bool:
        """Whether they spell something that must not leave."""
        return any(outlet.stopped for outlet in self._outlets.values())

    @property
    def holds(self) -> bool:
        """Whether what they spell could still become such a thing."""
        return any(outlet.holds for outlet in self._outlets.values())

    def hits(self, path: str, policy: Policy) -> list[Hit]:
        """Return what stopped them, in characters of what they spell."""
        return [hit for name, outlet in self._outlets.items() if outlet.stopped for hit in outlet.hits(f"{path}.{name}", policy)]

    def _feed(self, name: str, text: str) -> None:
        outlet = self._outlets.get(name)
        if outlet is None:
            outlet = self._outlets[name] = self._open()
        if not outlet.stopped:
            outlet.feed(text)
