"""The examiner: library, prompt attacks, detectors and classifier together, over whole texts. What the Screener and the moderations API ask.

Each part says what it says alone; their hits stand side by side, and the gravest action is the verdict's. What is left out is named
(`covered_by`), and a pass says nothing of it.
Source: Measures Arts. 4, 11, 14; design §4 (library + classifier + policy).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from guiju.screening.attacks.screen import GIVEN, examine_attacks, has_hints, listens, may_attack, signs_of
from guiju.screening.classifier.judge import RULE_PREFIX, Find, action_of, find_in, find_in_answer
from guiju.screening.classifier.model import Classifier
from guiju.screening.matching.decoded import flags_in_encoded, hits_in_encoded
from guiju.screening.matching.snapshot import Snapshot
from guiju.screening.personal.detectors import DETECTORS
from guiju.screening.personal.finds import Screen, hit_of, screen_for
from guiju.screening.spellings.encoded import may_be_encoded
from guiju.screening.spellings.first_look import units_of
from guiju.screening.values import GRAVITY, PASS, Direction, Hit, Policy, Source, Verdict
from guiju.screening.view import without_files

_TOGETHER: Final = 16
"""So many texts get one quick look together."""
_FOUR: Final = 4
_APART: Final = "\0"
"""Stands between texts that are looked at together. With a line end there, they would begin as talks do."""


class _Look(NamedTuple):
    """Some of the texts, from which on, and what there may be in them."""

    first: int
    texts: Sequence[str]
    encoded: bool
    attacks: bool
    personal: bool


def _that_may_attack(look: _Look) -> Iterator[tuple[int, str]]:
    """Yield the texts of a look that may hold an attack, each with its place: looked at in fours first, for few of them do."""
    for four in range(0, len(look.texts), _FOUR):
        some = look.texts[four : four + _FOUR]
        if may_attack(_APART.join(some)):
            yield from ((place, text) for place, text in enumerate(some, look.first + four) if may_attack(text))


def _from_the_user(_: str) -> Source:
    return "user"


@dataclass(frozen=True, slots=True)
class Examiner:
    """What looks at a text: a library, the detectors unless they are left out, a classifier if there is one."""

    snapshot: Snapshot
    detectors: bool = True
    classifier: Classifier | None = None

    def examine_all(
        self, strings: Sequence[tuple[str, str]], direction: Direction, policy: Policy, said_by: Callable[[str], Source] = _from_the_user
    ) -> Verdict:
        """Return the verdict on a view: (path, text) pairs, the terms looked for in one pass. `said_by` tells who said the text at a path."""
        hits = list(self.snapshot.examine_all(strings, direction, policy).hits)
        looks = self._looks([text for _, text in strings], direction, policy)
        if any(look.encoded for look in looks):
            hits += self._encoded(strings, direction, policy, tuple(hits))
        if any(look.attacks for look in looks):
            written = without_files(strings)
            given = [(path, text, source) for path, text in written if (source := said_by(path)) in GIVEN and may_attack(text)]
            hits += self._attacks(given, policy, harmful=bool(hits))
        for (path, _), more in zip(strings, self._beside(looks, direction, policy), strict=True):
            hits += [_at(hit, path) for hit in more]
        return verdict_of(hits)

    def examine_each(self, texts: Sequence[str], direction: Direction, policy: Policy) -> list[Verdict]:
        """Return the verdict on each of many texts, the terms looked for in one pass. Paths are empty; each text is a person's."""
        verdicts = self.snapshot.examine_each(texts, direction, policy)
        looks = self._looks(texts, direction, policy)
        found = self._beside(looks, direction, policy)
        for look in looks:
            for place, text in enumerate(look.texts if look.encoded else (), look.first):
                if may_be_encoded(text):
                    found[place] += self._encoded([("", text)], direction, policy, verdicts[place].hits)
            if look.attacks:
                for place, text in _that_may_attack(look):
                    harmful = bool(verdicts[place].hits) or any(not hit.rule.startswith(("PI-", RULE_PREFIX)) for hit in found[place])
                    found[place] += self._attacks([("", text, "user")], policy, harmful=harmful)
        for place, more in enumerate(found):
            if more:
                verdicts[place] = verdict_of([*verdicts[place].hits, *more])
        return verdicts

    def scores(self, texts: Sequence[str]) -> Mapping[str, float]:
        """Return for each column of the classifier the highest probability among these texts; nothing without a classifier."""
        if self.classifier is None or not texts:
            return {}
        each = self.classifier.scores_many(texts)
        return {column: max(scores[column] for scores in each) for column in self.classifier.columns}

    @property
    def covered_by(self) -> Mapping[str, str]:
        """Return what each part looks for: what a pass says something about."""
        risks = sorted({entry.risk for entry in self.snapshot.entries})
        return {
            "library": " ".join(risks),
            "detectors": " ".join(detector.code for detector in DETECTORS) if self.detectors else "",
            "classifier": " ".join(self.classifier.columns) if self.classifier is not None else "",
        }

    def _looks(self, texts: Sequence[str], direction: Direction, policy: Policy) -> list[_Look]:
        """Take the quick looks that nearly all texts pass, at several texts at once."""
        screen = self._screen(direction, policy)
        listening = direction == "input" and listens(policy)
        signs = signs_of(screen, listening) if screen is not None or listening else None
        looks = []
        for first in range(0, len(texts), _TOGETHER):
            some = texts[first : first + _TOGETHER]
            text = _APART.join(some)
            signed = signs is not None and signs.may_be_in(text, units_of(text))
            attacks = listening and (signed or has_hints(text))
            looks.append(_Look(first, some, may_be_encoded(text), attacks, signed and screen is not None))
        return looks

    def _screen(self, direction: Direction, policy: Policy) -> Screen | None:
        """Return the detectors that are listened to; None where there are none."""
        screen = screen_for(policy, direction)
        return screen if self.detectors and screen.active else None

    def _encoded(self, strings: Sequence[tuple[str, str]], direction: Direction, policy: Policy, known: Sequence[Hit]) -> list[Hit]:
        if direction == "output":
            return flags_in_encoded(strings, self.snapshot, policy, known)
        return hits_in_encoded(strings, self.snapshot, direction, policy, known)

    def _attacks(self, given: Sequence[tuple[str, str, Source]], policy: Policy, *, harmful: bool) -> list[Hit]:
        def screen(path: str, text: str) -> Sequence[Hit]:
            return self.snapshot.examine(text, "input", policy, path).hits

        return examine_attacks(given, policy, harmful, screen)

    def _beside(self, looks: Sequence[_Look], direction: Direction, policy: Policy) -> list[list[Hit]]:
        """Return what detectors and classifier find in each text."""
        found: list[list[Hit]] = [[] for look in looks for _ in look.texts]
        screen = self._screen(direction, policy)
        for look in looks:
            for place, text in enumerate(look.texts, look.first):
                if look.personal and screen is not None and not screen.finds_nothing(text, units_of(text)):
                    found[place] += [hit_of(find.detector, find.action, find.start, find.end, "") for find in screen.find(text)]
                if self.classifier is not None:
                    find = judged(self.classifier, text, direction)
                    if find is not None:
                        found[place].append(find.hit("", action_of(policy, direction, find)))
        return found


def judged(classifier: Classifier, text: str, direction: Direction) -> Find | None:
    """Return what the classifier finds in a whole text: an answer is looked at clause by clause, as it is while it streams."""
    return find_in(classifier, text) if direction == "input" else find_in_answer(classifier, text)


def verdict_of(hits: Sequence[Hit]) -> Verdict:
    """Return the verdict that these hits make together, in the order of their places."""
    if not hits:
        return PASS
    ordered = sorted(hits, key=lambda hit: (hit.path, hit.start, hit.end, hit.rule))
    return Verdict("hit", max((hit.action for hit in ordered), key=GRAVITY.__getitem__), tuple(ordered))


def _at(hit: Hit, path: str) -> Hit:
    return Hit(path, hit.start, hit.end, hit.risk, hit.rule, hit.severity, hit.action, hit.confidence)
