"""What the classifier says of an exchange, where a service lets its policy act on it: what the person said, and whole answers.

Streams are watched clause by clause (`screening/watched.py`), in the same places as whole answers here. Where a service takes what it
says as evidence only, none of this runs: the recorder looks at the exchange afterwards, off the way of the answer.
Source: Measures Arts. 4, 14; decision 0024.
"""

from collections.abc import Sequence
from typing import Any, Final

from guiju.screening.classifier.judge import action_of, find_in, find_under, said_by_the_user
from guiju.screening.classifier.model import Classifier
from guiju.screening.outlet import Outlet
from guiju.screening.parted import Parted
from guiju.screening.parts import CONTENT, THOUGHTS, words_in
from guiju.screening.values import ENDS, GRAVITY, Hit, Policy, Verdict
from guiju.screening.watched import Watched

FIELDS: Final = (CONTENT, ("reasoning_content",), THOUGHTS)
"""The texts of an answer that are words for people; `words_in` has those of a whole one."""
Way = Outlet | Watched | Parted
"""How one text of an answer leaves."""


def judge_input(verdict: Verdict, classifier: Classifier, policy: Policy, messages: Sequence[Any]) -> Verdict:
    """Return the verdict with what the classifier says of the last turn of the person, and of all their turns together."""
    if verdict.action in ENDS:
        return verdict
    hits = []
    for path, text in said_by_the_user(messages):
        find = find_in(classifier, text)
        if find is not None:
            hits.append(find.hit(path, action_of(policy, "input", find)))
    if not hits:
        return verdict
    action = max(verdict.action, *(hit.action for hit in hits), key=GRAVITY.__getitem__)
    return Verdict("hit", action, (*verdict.hits, *hits))


def judge_answer(classifier: Classifier, policy: Policy, choices: Sequence[dict[str, Any]]) -> tuple[list[Hit], set[int]]:
    """Return what the classifier says of the words of each choice, and the places of the choices that it stops."""
    hits: list[Hit] = []
    stopped: set[int] = set()
    for place, choice in enumerate(choices):
        for words in words_in(choice.get("message"), f"choices[{place}].message"):
            find = find_under(policy, classifier, words.text)
            if find is not None:
                action = action_of(policy, "output", find)
                hits.append(words.standing(find.hit(words.path, action)))
                if action in ENDS:
                    stopped.add(place)
    return hits, stopped


def watched(outlet: Outlet, path: tuple[str | int, ...], classifier: Classifier | None, policy: Policy) -> Outlet | Watched:
    """Return the way out of the text at this path of a stream: under the classifier's eyes where it may stop words for people."""
    return outlet if classifier is None or path not in FIELDS else Watched(outlet, classifier, policy)
