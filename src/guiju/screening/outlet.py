"""The outlet of one answer text: the gate stops at a term, the mask hides personal information in what the gate lets out.

The mask reads behind the gate, so nothing leaves that either of them holds, and what leaves is the same for every way of cutting the
stream. When a term stops the text, what the mask still holds is not delivered: it may be half of a number.
"""

from collections.abc import Callable

from guiju.screening.matching.continued import Before, Continued, hit_of
from guiju.screening.matching.gate import Trie
from guiju.screening.matching.gates import open_gate
from guiju.screening.personal.finds import Screen
from guiju.screening.personal.mask import Mask
from guiju.screening.values import Hit, Policy


class Outlet:
    """One text on its way out. Feed it pieces; send what `feed` and `finish` return; stop when `stopped` is set.

    `before` is what it continues, where it continues something (`matching/continued.py`).
    """

    __slots__ = ("_before", "_gate", "_mask", "stopped")

    def __init__(
        self, trie: Trie, screen: Screen, said: Callable[[str], bool], *, machine: bool = False, before: Before | None = None
    ) -> None:
        self.stopped = False
        self._before = before
        self._gate = open_gate(trie) if before is None else Continued(trie, before.text)
        self._mask = Mask(screen, said, machine=machine) if screen.active else None

    @property
    def holds(self) -> bool:
        """Whether anything was fed that was neither returned nor cut off yet."""
        return bool(self._gate.held or (self._mask is not None and self._mask.held))

    @property
    def held(self) -> str:
        """What was fed and neither returned nor cut off yet."""
        return (self._mask.held if self._mask is not None else "") + self._gate.held

    @property
    def has_hidden(self) -> bool:
        """Whether anything in this text does not leave as it came."""
        return self._mask is not None and self._mask.has_found

    def feed(self, piece: str) -> str:
        """Take the next piece and return the text that may leave now, possibly empty."""
        gate, mask = self._gate, self._mask
        text = gate.feed(piece)
        if mask is not None and text:
            text = mask.feed(text)
        self.stopped = gate.hit is not None or (mask is not None and mask.stopped)
        return text

    def finish(self) -> str:
        """Say that the text is complete and return what may leave of the rest."""
        return self._rest(self._gate.finish(), Mask.finish)

    def pause(self) -> str:
        """Let out what is held as if the text ended here. It may go on all the same: what comes is examined together with what has left."""
        return self._rest(self._gate.pause(), Mask.pause)

    def _rest(self, text: str, end: Callable[[Mask], str]) -> str:
        gate, mask = self._gate, self._mask
        if mask is not None:
            if text:
                text = mask.feed(text)
            if gate.hit is None:
                text += end(mask)
        self.stopped = gate.hit is not None or (mask is not None and mask.stopped)
        return text

    def hits(self, path: str, policy: Policy) -> list[Hit]:
        """Return what was found, in characters of the original at `path`, with what the policy does about it."""
        found = self._mask.hits(path) if self._mask is not None else []
        if self._gate.hit is not None and not (self._mask is not None and self._mask.stopped):
            start, end, rule = self._gate.hit
            if start < 0 and self._before is not None:
                return [*found, hit_of(self._gate.hit, self._before, path, policy)]
            entry = rule.entry
            action = policy.action("output", entry.risk, entry.confidence)
            found.append(Hit(path, start, end, entry.risk, entry.id, entry.severity, action, entry.confidence))
        return found
