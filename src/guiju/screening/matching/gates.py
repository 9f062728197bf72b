"""The gates of one text: one for each reading, side by side; what leaves is what all of them let out.

When one finds a hit, the text ends there as soon as no other can have one further ahead.
"""

from guiju.screening.matching.gate import Gate, Trie
from guiju.screening.matching.rules import Rule


def open_gate(trie: Trie, passed: int = 0) -> "Gate | Gates":
    """Return the state that screens one text while it streams. The first `passed` characters have left already, whatever they begin."""
    return Gates([trie, *trie.readings], passed) if trie.readings else Gate(trie, passed)


class Gates:
    """One text on its way out, in several readings. Like a `Gate`: feed it pieces, send what it returns, stop when `hit` is set."""

    __slots__ = ("_gates", "_held", "_places", "_released", "hit")

    def __init__(self, tries: list[Trie], passed: int = 0) -> None:
        self.hit: tuple[int, int, Rule] | None = None
        self._gates = [Gate(trie, passed) for trie in tries]
        self._places = [0] * len(tries)  # up to where each has let the text out
        self._held = ""
        self._released = 0

    @property
    def held(self) -> str:
        """What was fed and neither returned nor cut off yet."""
        return self._held

    def feed(self, piece: str) -> str:
        """Take the next piece and return the text that may leave now, possibly empty."""
        if self.hit is not None:
            return ""
        self._held += piece
        return self._release([gate.feed(piece) for gate in self._gates])

    def finish(self) -> str:
        """Say that the text is complete and return what may leave of the rest."""
        if self.hit is not None:
            return ""
        return self._release([gate.finish() for gate in self._gates])

    def pause(self) -> str:
        """Let out what is held as if the text ended here, though it may go on; see `Gate.pause`."""
        if self.hit is not None or not self._held:
            return ""
        return self._release([gate.pause() for gate in self._gates])

    def _release(self, outs: list[str]) -> str:
        places = self._places = [place + len(out) for place, out in zip(self._places, outs, strict=True)]
        safe = min(places)
        hits = [gate.hit for gate, place in zip(self._gates, places, strict=True) if gate.hit is not None and place == safe]
        out = self._held[: safe - self._released]
        self._held = self._held[safe - self._released :]
        self._released = safe
        if hits:
            self.hit = min(hits, key=lambda hit: hit[:2])
            self._held = ""
        return out
