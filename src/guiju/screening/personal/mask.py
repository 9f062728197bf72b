"""The mask: hides personal information in a text while it streams, exactly as it is hidden in the whole text.

What a find would hide waits from its first hidden character on, until it is decided; how long is bounded by each detector's
`hold_chars`. What stays readable (the first digits of a number, a family name) never waits.
"""

import re
from collections.abc import Callable
from typing import Final, NamedTuple

from guiju.screening.personal.detectors import BEHIND, Detector, Found
from guiju.screening.personal.finds import MASK, NOUGHT, OUTSIDE, Screen, covered, follow, hidden_places, hit_of, is_bare_number
from guiju.screening.personal.plain import ANY_UNUSUAL, Plain, plain_of
from guiju.screening.values import Action, Hit

_CONTEXT_CHARACTERS: Final = 2 * BEHIND
_TRIGGER: Final = re.compile(rf"[0-9A-Za-z@名叫人主者]|{ANY_UNUSUAL}")
"""Without one of these, and with nothing open, a piece holds no find; only a name may follow on what was read before it."""
_LEAD: Final = re.compile("[名叫人主者]")
_LEAD_CHARACTERS: Final = 12


class _Noted(NamedTuple):
    """A find as it is told later, in characters of the original; from `hidden_at` on it is hidden."""

    start: int
    end: int
    detector: Detector
    action: Action
    hidden_at: int


class Mask:
    """One text on its way out. Feed it pieces; send what `feed` and `finish` return; stop when `stopped` is set.

    `machine` texts are JSON: a number outside of quotes gets noughts, so that what is read stays JSON.
    """

    __slots__ = (
        "_context", "_finds", "_hidden", "_known", "_left", "_machine", "_origins", "_quotes", "_raw", "_released", "_said",
        "_screen", "_stop_at", "stopped",
    )  # fmt: skip

    def __init__(self, screen: Screen, said: Callable[[str], bool], *, machine: bool = False) -> None:
        self.stopped = False
        self._screen = screen
        self._said = said
        self._machine = machine
        self._context = ""  # in usual spelling: what was released last
        self._origins: list[int] | None = None  # where each character of the context stood; None where they follow each other
        self._known = 0  # how many characters of context and held text there were when finds were last looked for
        self._raw = ""  # held, as it came
        self._released = 0
        self._quotes = OUTSIDE
        self._hidden: dict[tuple[int, int], str] = {}  # places in the held text
        self._finds: list[_Noted] = []  # in the order in which they were decided
        self._left = 0  # so much of the held text has left, in a pause
        self._stop_at: int | None = None  # the place in the held text of the first character that must not leave

    @property
    def held(self) -> str:
        """What was fed and not returned yet."""
        return self._raw[self._left :]

    @property
    def has_found(self) -> bool:
        """Whether anything was found that is not delivered as it came."""
        return bool(self._finds)

    def hits(self, path: str) -> list[Hit]:
        """Return what was found, in characters of the original."""
        return [hit_of(find.detector, find.action, find.start, find.end, path) for find in sorted(self._finds, key=_order)]

    def feed(self, piece: str) -> str:
        """Take the next piece and return the text that may leave now, possibly empty."""
        if self.stopped:
            return ""
        context = self._context
        if not self._raw and not _TRIGGER.search(piece) and not _LEAD.search(context, max(0, len(context) - _LEAD_CHARACTERS)):
            if self._origins is not None:
                self._origins = (self._origins + list(range(self._released, self._released + len(piece))))[-_CONTEXT_CHARACTERS:]
            self._context = context = (context + piece)[-_CONTEXT_CHARACTERS:]
            self._known = len(context)
            self._released += len(piece)
            if self._machine:
                self._quotes = follow(piece, self._quotes)
            return piece
        self._raw += piece
        return self._advance(final=False)

    def finish(self) -> str:
        """Say that the text is complete and return what may leave of the rest."""
        return self._advance(final=True) if self._raw and not self.stopped else ""

    def pause(self) -> str:
        """Let out what is held as if the text ended here. It may go on all the same: then finds reach over what has left, and hide the rest."""
        if self.stopped or self._left == len(self._raw):
            return ""
        context, known, raw, released, quotes = self._context, self._known, self._raw, self._released, self._quotes
        hidden, origins = dict(self._hidden), None if self._origins is None else [*self._origins]
        text = self.finish()
        if not self.stopped:
            self._context, self._known, self._raw, self._released, self._quotes = context, known, raw, released, quotes
            self._hidden, self._origins, self._left = hidden, origins, len(raw)
        return text

    def _advance(self, *, final: bool) -> str:
        plain = plain_of(self._raw, final=final)
        before = len(self._context)
        text = self._context + plain.text
        length = len(text)
        decided = length if final else self._screen.open_from(text)
        news = []
        for detector, action, found in self._screen.candidates(text, max(0, before - BEHIND)):
            known_with = found.end + detector.after
            if known_with > length and not final:
                decided = min(decided, found.hidden_start)  # what follows may still show that it is none
            elif known_with > self._known and not self._said(found.value):
                news.append((known_with, detector.code, detector, action, found))
        for _, _, detector, action, found in sorted(news, key=lambda new: new[:2]):
            self._note(detector, action, found, plain, before)
        self._known = length
        return self._release(text, plain, before, max(before, decided))

    def _note(self, detector: Detector, action: Action, found: Found, plain: Plain, before: int) -> None:
        if found.start >= before:
            start = self._released + plain.start(found.start - before)
        else:
            start = self._origins[found.start] if self._origins is not None else self._released - before + found.start
        end = self._released + plain.end(found.end - before)
        places = hidden_places(plain, found, before)
        noted = _Noted(start, end, detector, action, self._released + places[0][0] if places else end)
        if not self._left or noted not in self._finds:  # else it was found in a pause
            self._finds.append(noted)
        if not places:
            return
        if action == "stop":
            self._stop_at = min(places[0][0], self._stop_at if self._stop_at is not None else places[0][0])
            return
        bare = self._machine and is_bare_number(plain_text(self._context, plain, found), follow(self._raw[: places[0][0]], self._quotes))
        self._hidden |= dict.fromkeys(places, NOUGHT if bare else MASK)

    def _release(self, text: str, plain: Plain, before: int, decided: int) -> str:
        """Return the held text before the place `decided` of `text`, hidden where it must be."""
        cut = plain.start(decided - before)
        if self._stop_at is not None and self._stop_at <= cut:
            cut = self._stop_at
            self.stopped = True
            self._forget_from(self._released + cut)
        out = self._raw[:cut]
        if self._hidden:
            out = covered(out, {place: sign for place, sign in self._hidden.items() if place[1] <= cut})
            self._hidden = {(start - cut, end - cut): sign for (start, end), sign in self._hidden.items() if end > cut}
        if self._stop_at is not None:
            self._stop_at -= cut
        if self._machine:
            self._quotes = follow(self._raw[:cut], self._quotes)
        if self._left:
            out, self._left = out[self._left :], max(self._left - cut, 0)
        self._keep(text, plain, before, decided)
        self._raw = "" if self.stopped else self._raw[cut:]
        self._released += cut
        return out

    def _forget_from(self, hidden_at: int) -> None:
        """Keep the finds before a stop and the one that stopped: of those that hide the same character, the first that was decided.

        Others may or may not be decided yet, as the stream was cut.
        """
        stopping = next(find for find in self._finds if find.hidden_at == hidden_at and find.action == "stop")
        self._finds = [find for find in self._finds if find.hidden_at < hidden_at or find is stopping]

    def _keep(self, text: str, plain: Plain, before: int, decided: int) -> None:
        """Remember the characters before the place `decided`: what comes next may have to look back at them."""
        first = max(0, decided - _CONTEXT_CHARACTERS)
        if plain.starts is not None or self._origins is not None:
            origins = self._origins if self._origins is not None else list(range(self._released - before, self._released))
            origins += [self._released + plain.start(place) for place in range(decided - before)]
            self._origins = origins[first:]
        self._context = text[first:decided]
        self._known -= first


def _order(find: _Noted) -> tuple[int, int, str]:
    return find.start, find.end, find.detector.code


def plain_text(context: str, plain: Plain, found: Found) -> str:
    """Return a find as it stands in context and held text, in usual spelling."""
    return (context + plain.text)[found.start : found.end]
