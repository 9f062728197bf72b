"""From probabilities to finds: which text the classifier thinks is harmful, of which group, and how sure it is.

A find is of `medium` confidence above the score that 1 % of the harmless validation texts reach, and of `low` above that of 5 %; both
scores lie with the weights (`Head.cuts`). An answer is examined at the ends of its clauses, each time with the characters before, so
that an answer that streams and one that is whole are looked at in the same places. Nobody is ever sanctioned by a find.

Source: Measures Arts. 4, 14; decision 0024.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from guiju.screening.classifier.model import Classifier
from guiju.screening.values import ENDS, Action, Confidence, Direction, Hit, Policy, PolicyRow

RULE_PREFIX: Final = "CL-"
ANY: Final = "any"
ATTACK: Final = "attack"
LOOK_BACK_CHARACTERS: Final = 100
"""At the end of a clause so much of the answer is looked at: with more, one sentence among ordinary ones counts for too little."""
LONGEST_CLAUSE_CHARACTERS: Final = 100
"""A clause that does not end is looked at after so many characters."""
SAID_CHARACTERS: Final = 4_000
"""So much of a conversation is looked at as one text."""
_ENDS_CLAUSE: Final = re.compile(r"[。！？；!?;\n]")


class Find(NamedTuple):
    """What the classifier says of a text: the place in it, the group of risks (`A.1`, or `attack`: a way, no risk), the rule, and how sure it is."""

    start: int
    end: int
    risk: str
    rule: str
    confidence: Confidence

    def hit(self, path: str, action: Action) -> Hit:
        """Return the hit that this find leaves. It never blocks by itself: its severity is `flag`."""
        return Hit(path, self.start, self.end, self.risk, self.rule, "flag", action, self.confidence)


def find_in(classifier: Classifier, text: str, direction: Direction = "input") -> Find | None:
    """Return what the classifier finds in a whole text; None for nothing, which is no promise that it is harmless."""
    return _find(classifier, text, 0, len(text), direction)


def find_in_answer(classifier: Classifier, text: str) -> Find | None:
    """Return the first find of medium confidence at the end of a clause, else the first of low confidence."""
    least: Find | None = None
    for place in (*clause_ends(text), len(text)):
        find = find_before(classifier, text, place)
        if find is not None and find.confidence == "medium":
            return find
        least = least or find
    return least


def find_before(classifier: Classifier, text: str, place: int) -> Find | None:
    """Return what the classifier finds in what an answer says up to `place`, looking back at most `LOOK_BACK_CHARACTERS`."""
    return _find(classifier, text, max(0, place - LOOK_BACK_CHARACTERS), place, "output")


def clause_ends(text: str, since: int = 0) -> Iterator[int]:
    """Yield where clauses end, behind their last character. `since` is where one has ended: what came before is not looked at.

    >>> list(clause_ends("你好。今天天气不错！后来"))
    [3, 10]
    """
    place = since
    while True:
        found = _ENDS_CLAUSE.search(text, place, place + LONGEST_CLAUSE_CHARACTERS)
        if found is not None:
            place = found.end()
        elif len(text) - place >= LONGEST_CLAUSE_CHARACTERS:
            place += LONGEST_CLAUSE_CHARACTERS
        else:
            return
        yield place


def action_of(policy: Policy, direction: Direction, find: Find) -> Action:
    """Return what a policy does with a find: `deliver`, unless one of its rows names this confidence.

    The tables of a policy that name no confidence are about terms that block: a classifier does not stop what nobody has decided that
    it may stop.
    """
    telling: list[tuple[tuple[int, int, int, int], PolicyRow]] = []
    for row in policy.rows:
        if row.confidence == find.confidence:
            ranks = row.ranks(direction, find.risk, find.confidence, policy.default_audience)
            if ranks is not None:
                telling.append((ranks, row))
    return min(telling, key=lambda each: each[0])[1].action if telling else "deliver"


def may_end(policy: Policy, direction: Direction) -> bool:
    """Tell whether any find of the classifier would end a text of this direction; if not, there is no hurry to look for one."""
    return any(row.confidence in ("medium", "low") and row.action in ENDS and row.direction in (direction, "both") for row in policy.rows)


def _find(classifier: Classifier, text: str, start: int, end: int, direction: Direction) -> Find | None:
    scores = classifier.scores(text if end - start == len(text) else text[start:end])
    cuts = classifier.cuts[direction]
    score = scores[ANY]
    if score < cuts.low:
        return None
    groups = [name for name in classifier.columns if name not in (ANY, ATTACK)]
    risk = max(groups, key=scores.__getitem__)
    attack = scores.get(ATTACK, 0.0) > scores[risk]
    rule = f"{RULE_PREFIX}{'ATTACK' if attack else risk.replace('.', '')}"
    return Find(start, end, ATTACK if attack else risk, rule, "medium" if score >= cuts.medium else "low")


def find_under(policy: Policy, classifier: Classifier, text: str) -> Find | None:
    """Return the find at which a policy stops an answer, the first there is; without one, what `find_in_answer` returns."""
    surest: Find | None = None
    for place in (*clause_ends(text), len(text)):
        find = find_before(classifier, text, place)
        if find is not None:
            if action_of(policy, "output", find) in ENDS:
                return find
            if surest is None or (find.confidence, surest.confidence) == ("medium", "low"):
                surest = find
    return surest


def said_by_the_user(messages: Sequence[Any]) -> list[tuple[str, str]]:
    """Return (path, text) of what the person said last and, when they said more before, of the whole of it: its last `SAID_CHARACTERS`."""
    said: list[tuple[str, str]] = []
    for place, message in enumerate(messages):
        if isinstance(message, dict) and message.get("role") == "user":
            content = message.get("content")
            parts = content if isinstance(content, list) else [{"text": content}]
            texts = [part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str)]
            said.append((f"messages[{place}].content", "\n".join(texts)))
    if not said:
        return []
    last = said[-1]
    if len(said) == 1:
        return [last]
    return [last, ("messages", "\n".join(text for _, text in said)[-SAID_CHARACTERS:])]
