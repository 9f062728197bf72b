"""A text on its way out that comes in parts: what leaves is what the joined text allows, and each part for itself.

A reader may see the parts as one text or one under the other, so both readings are screened: each part passes an outlet of its own, and
what that lets out passes the outlet of the joined text. A part has ended where another begins; one that goes on all the same is read together
with what has left of it. That happens once for each part (decision 0046): from its second tail on it waits for itself, or an upstream that
alternates would get a term out bit by bit.
Source: Measures Art. 4; decision 0053; design, promise 1.
"""

from collections.abc import Callable

import msgspec

from guiju.screening.outlet import Outlet
from guiju.screening.parts import Path
from guiju.screening.values import Hit, Policy
from guiju.screening.watched import Watched


class Parted:
    """A text in parts on its way out, like an `Outlet`. Say with `turn_to` to which part the next piece belongs."""

    __slots__ = ("_fed", "_joined", "_left", "_next", "_open", "_own", "_part", "_parts", "stopped")

    def __init__(self, joined: Outlet | Watched, open_own: Callable[[], Outlet]) -> None:
        """`joined` is the outlet of the joined text, which may have let out some of it; `open_own` gives the outlet of a new part."""
        self.stopped = False
        self._joined = joined
        self._open = open_own
        self._own: Outlet | None = None
        self._next: Path = ()
        self._part: Path = ()
        self._fed = 0
        self._left: set[Path] = set()  # parts whose tail was let out because another began
        self._parts: dict[Path, tuple[int, Outlet]] = {}  # each with the character of the parts at which it began

    @property
    def holds(self) -> bool:
        """Whether anything was fed that was neither returned nor cut off yet."""
        return self._joined.holds or any(own.holds for _, own in self._parts.values())

    @property
    def held(self) -> str:
        """What was fed and neither returned nor cut off yet."""
        return self._joined.held + "".join([own.held for _, own in self._parts.values()])

    @property
    def has_hidden(self) -> bool:
        """Whether anything in this text does not leave as it came."""
        return self._joined.has_hidden or any(own.has_hidden for _, own in self._parts.values())

    def turn_to(self, part: Path) -> None:
        """Say to which part the next pieces belong."""
        self._next = part

    def feed(self, piece: str) -> str:
        """Take the next piece and return the text that may leave now, possibly empty."""
        own, out = self._own, ""
        if own is not None and self._next != self._part:
            if self._part not in self._left:
                self._left.add(self._part)
                out = self._through(own, own.pause())
            own = None
        if self.stopped:
            return out
        if own is None:
            self._part = self._next
            if self._part not in self._parts:
                self._parts[self._part] = (self._fed, self._open())
            _, own = self._parts[self._part]
            self._own = own
        self._fed += len(piece)
        return out + self._through(own, own.feed(piece))

    def finish(self) -> str:
        """Say that the text is complete and return what may leave of the rest."""
        if self.stopped:
            return ""
        out = ""
        for _, own in self._parts.values():
            if not self.stopped and (own is self._own or own.holds):
                out += self._through(own, own.finish())
        if not self.stopped:
            out += self._joined.finish()
            self.stopped = self._joined.stopped
        return out

    def pause(self) -> str:
        """Let out what is held as if the text ended here, though it may go on; see `Outlet.pause`."""
        if self.stopped:
            return ""
        out = self._through(self._own, self._own.pause()) if self._own is not None else ""
        if not self.stopped:
            out += self._joined.pause()
            self.stopped = self._joined.stopped
        return out

    def hits(self, path: str, policy: Policy) -> list[Hit]:
        """Return what was found, in characters of the joined text at `path`, with what the policy does about it."""
        found = self._joined.hits(path, policy)
        for begins, own in self._parts.values():
            found += [msgspec.structs.replace(hit, start=hit.start + begins, end=hit.end + begins) for hit in own.hits(path, policy)]
        return found

    def _through(self, own: Outlet, text: str) -> str:
        out = self._joined.feed(text) if text else ""
        self.stopped = own.stopped or self._joined.stopped
        return out
