"""An outlet under the classifier's eyes: where a policy lets the classifier stop an answer, it is asked at the end of each clause.

Places are a matter of the text alone (`clause_ends`), and at a stop the outlet decides what it holds as if the text ended there. So what
leaves is, for every way of cutting the stream, what screening the text up to the end of that clause allows. The clause itself has left
when it is judged: it is taken back by the notice, as after a guard's stop. Nothing is held back for it.
Source: Measures Arts. 4, 14; decision 0024; design, promise 1.
"""

from guiju.screening.classifier.judge import LOOK_BACK_CHARACTERS, Find, action_of, clause_ends, find_before
from guiju.screening.classifier.model import Classifier
from guiju.screening.outlet import Outlet
from guiju.screening.values import ENDS, Hit, Policy


class Watched:
    """One text on its way out, like an `Outlet`; stops at the end of a clause for which the policy has the classifier stop."""

    __slots__ = ("_classifier", "_examined", "_find", "_known", "_outlet", "_policy", "_text", "stopped")

    def __init__(self, outlet: Outlet, classifier: Classifier, policy: Policy) -> None:
        self.stopped = False
        self._outlet = outlet
        self._classifier = classifier
        self._policy = policy
        self._text = ""  # what was fed last: at least what a look back needs
        self._known = 0  # how many characters were forgotten before it
        self._examined = 0  # the place in it up to which clauses were judged
        self._find: Find | None = None

    @property
    def holds(self) -> bool:
        """Whether anything was fed that was neither returned nor cut off yet."""
        return self._outlet.holds

    @property
    def held(self) -> str:
        """What was fed and neither returned nor cut off yet."""
        return self._outlet.held

    @property
    def has_hidden(self) -> bool:
        """Whether anything in this text does not leave as it came."""
        return self._outlet.has_hidden

    def feed(self, piece: str) -> str:
        """Take the next piece and return the text that may leave now, possibly empty."""
        if self.stopped:
            return ""
        fed = len(self._text)
        self._text += piece
        out = ""
        for place in clause_ends(self._text, self._examined):
            out += self._outlet.feed(self._text[fed:place])
            fed = self._examined = place
            if self._outlet.stopped:
                self.stopped = True
                return out
            if self._is_stopped_at(place):
                self.stopped = True
                return out + self._outlet.finish()
        if fed < len(self._text):
            out += self._outlet.feed(self._text[fed:])
            self.stopped = self._outlet.stopped
        forget = self._examined - LOOK_BACK_CHARACTERS
        if forget > LOOK_BACK_CHARACTERS:
            self._text = self._text[forget:]
            self._known += forget
            self._examined -= forget
        return out

    def finish(self) -> str:
        """Say that the text is complete and return what may leave of the rest."""
        if self.stopped:
            return ""
        place = len(self._text)
        stops = place > self._examined and self._is_stopped_at(place)
        out = self._outlet.finish()
        self.stopped = stops or self._outlet.stopped
        return out

    def pause(self) -> str:
        """Let out what is held as if the text ended here, though it may go on; see `Outlet.pause`."""
        if self.stopped:
            return ""
        place = len(self._text)
        stops = place > self._examined and self._is_stopped_at(place)
        out = self._outlet.pause()
        self.stopped = stops or self._outlet.stopped
        return out

    def hits(self, path: str, policy: Policy) -> list[Hit]:
        """Return what was found, in characters of the original at `path`, with what the policy does about it."""
        hits = self._outlet.hits(path, policy)
        if self._find is not None:
            hits.append(self._find.hit(path, action_of(policy, "output", self._find)))
        return hits

    def _is_stopped_at(self, place: int) -> bool:
        """Judge what was said up to here; keep the find that stops, else the first of the surest."""
        find = find_before(self._classifier, self._text, place)
        if find is None:
            return False
        find = find._replace(start=find.start + self._known, end=find.end + self._known)
        ends = action_of(self._policy, "output", find) in ENDS
        if ends or self._find is None or (find.confidence, self._find.confidence) == ("medium", "low"):
            self._find = find
        return ends
