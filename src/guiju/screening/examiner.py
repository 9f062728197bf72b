"""The examiner: keyword library, detectors and classifier together, over whole texts. What the Screener and the moderations API ask.

Each part says what it says alone; their hits stand side by side, and the gravest action is the verdict's. What is left out is named
(`covered_by`), and a pass says nothing of it.
Source: Measures Arts. 4, 11, 14; design §4 (library + classifier + policy).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from guiju.screening.classifier.judge import Find, action_of, find_in, find_in_answer
from guiju.screening.classifier.model import Classifier
from guiju.screening.detectors import DETECTORS
from guiju.screening.personal import hit_of, screen_for
from guiju.screening.snapshot import Snapshot
from guiju.screening.values import GRAVITY, PASS, Direction, Hit, Policy, Verdict

_TOGETHER: Final = 16
"""So many texts get one quick look for personal information together."""


@dataclass(frozen=True, slots=True)
class Examiner:
    """What looks at a text: a library, the detectors unless they are left out, a classifier if there is one."""

    snapshot: Snapshot
    detectors: bool = True
    classifier: Classifier | None = None

    def examine_all(self, strings: Sequence[tuple[str, str]], direction: Direction, policy: Policy) -> Verdict:
        """Return the verdict on a view: (path, text) pairs, the terms looked for in one pass."""
        hits = list(self.snapshot.examine_all(strings, direction, policy).hits)
        for (path, _), more in zip(strings, self._beside([text for _, text in strings], direction, policy), strict=True):
            hits += [_at(hit, path) for hit in more]
        return verdict_of(hits)

    def examine_each(self, texts: Sequence[str], direction: Direction, policy: Policy) -> list[Verdict]:
        """Return the verdict on each of many texts, the terms looked for in one pass. Paths are empty."""
        verdicts = self.snapshot.examine_each(texts, direction, policy)
        for place, more in enumerate(self._beside(texts, direction, policy)):
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

    def _beside(self, texts: Sequence[str], direction: Direction, policy: Policy) -> list[list[Hit]]:
        """Return what detectors and classifier find in each text."""
        found: list[list[Hit]] = [[] for _ in texts]
        screen = screen_for(policy, direction)
        if self.detectors and screen.active:
            for first in range(0, len(texts), _TOGETHER):
                some = texts[first : first + _TOGETHER]
                if screen.finds_nothing("\n".join(some)):
                    continue
                for place, text in enumerate(some, first):
                    if not screen.finds_nothing(text):
                        found[place] += [hit_of(find.detector, find.action, find.start, find.end, "") for find in screen.find(text)]
        if self.classifier is not None:
            for place, text in enumerate(texts):
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
