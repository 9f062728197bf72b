"""A whole answer: examined in one pass, labelled, and encoded. No input or output here.

A choice with a hit leaves as the approved notice alone: nothing of an answer that strayed needs to be shown. Personal information is
hidden where it stands. Parts that a reader sees as one text are examined as one, too (`screening/parts.py`).
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from guiju.gateway.causation import FINISH_CHARACTERS, tool_calls
from guiju.gateway.classified import judge_answer
from guiju.labelling.explicit import Applied, begins_with_label, ends_with_label, prefix, stays_readable, suffix, without_words
from guiju.labelling.implicit import aigc_object
from guiju.labelling.values import Label
from guiju.screening.classifier.model import Classifier
from guiju.screening.matching.continued import Before, hit_of, reaching_in
from guiju.screening.matching.conversation import begins_json, flags_in_answer
from guiju.screening.matching.decoded import flags_in_encoded
from guiju.screening.matching.snapshot import Snapshot, verdict_of
from guiju.screening.parts import CONTENT, THOUGHTS, Joined, joined_in, spelled_by, text_of
from guiju.screening.personal.finds import NOTHING_SAID, Screen, mask, mask_value, screen_for
from guiju.screening.spellings.encoded import may_be_encoded
from guiju.screening.spellings.first_look import Units, units_of
from guiju.screening.values import ENDS, PASS, Hit, Policy, Verdict
from guiju.screening.view import paths, strings

_BESIDE: Final = frozenset(
    ("choices", "id", "object", "created", "model", "system_fingerprint", "service_tier", "usage", "aigc", "retraction")
)
_ENCODE: Final = msgspec.json.Encoder().encode


class WholeAnswer(msgspec.Struct, frozen=True, array_like=True):
    """An answer ready to leave: its bytes, what screening found, how it was labelled, why each choice ended."""

    body: bytes
    hits: Sequence[Hit]
    applied: Applied
    finishes: list[str]
    released_characters: int
    texts: list[str]
    """The text of each choice as the model sent it."""
    calls: list[tuple[str, str, str]]


def examine_json(snapshot: Snapshot, policy: Policy, value: object) -> Verdict:
    """Return the verdict on an answer, its view taken as a whole; paths are worked out only when something is found."""
    text = "\n".join(strings(value))
    return _examine(snapshot, policy, value, text, units_of(text))


def _examine(snapshot: Snapshot, policy: Policy, value: object, text: str, units: Units, together: Sequence[Joined] = ()) -> Verdict:
    """Return the verdict on a value and on what is read `together` in it; `text` holds all of both."""
    if snapshot.finds_nothing_in(text, units):
        return PASS
    verdict = snapshot.examine_all(paths(value), "output", policy)
    if not together:
        return verdict
    joined = {each.path: each for each in together}
    more = snapshot.examine_all([(each.path, each.text) for each in together], "output", policy)
    found = {_place(hit): hit for hit in verdict.hits}
    for hit in more.hits:
        standing = joined[hit.path].standing(hit)
        found.setdefault(_place(standing), standing)
    return verdict_of(list(found.values()))


def _place(hit: Hit) -> tuple[str, int, int, str]:
    return hit.path, hit.start, hit.end, hit.rule


def whole_answer(
    answer: dict[str, Any], snapshot: Snapshot, policy: Policy, label: Label, produce_id: str, *, prose: bool, notice: Callable[[], str],
    said: Callable[[str], bool] = NOTHING_SAID, machine: bool = False, before: Before | None = None, classifier: Classifier | None = None,
    outside: Sequence[tuple[int, Hit]] = (),
) -> WholeAnswer:  # fmt: skip
    """Return the answer as it may leave. `answer` is changed. Raises ValueError when it is no chat completion.

    What the person `said` themselves is not hidden; a `machine` answer is JSON and stays it; `before` is what the answer continues; a
    `classifier` is given where the policy may act on what it finds; `outside` is what something else found, by place of the choice.
    """
    choices = answer.get("choices")
    if not isinstance(choices, list) or not choices or [choice for choice in choices if choice.__class__ is not dict]:
        raise ValueError("it has no choices")
    answer.pop("retraction", None)  # only this gateway retracts
    sent, calls, together = _sent(choices)
    view = strings(answer)
    if together:
        view += [each.text for each in together]
    text = "\n".join(view)
    units = units_of(text)
    verdict = _examine(snapshot, policy, answer, text, units, together)
    hits = list(verdict.hits)
    several = len(choices) > 1 or bool(calls) or begins_json(sent[0]) or has_reasoning(choices[0])
    if several or may_be_encoded(sent[0]):
        fields = _fields(choices)
        if several:
            hits += flags_in_answer(fields, snapshot, policy)
        hits += flags_in_encoded(fields, snapshot, policy, verdict.hits)
    judged, stopped_by_classifier = judge_answer(classifier, policy, choices) if classifier is not None else ([], set())
    stopped: set[int] = set()
    if verdict.action != "deliver":
        answer, stopped = _without_hits(answer, choices, snapshot, policy, produce_id)
    if before is not None:
        stopped |= _reaching_in(choices, snapshot, policy, before, hits)
    for place, hit in outside:
        hits.append(hit)
        if hit.action in ENDS:
            stopped.add(place)
    screen = screen_for(policy, "output")
    if screen.may_find(text, units):
        stopped |= _hide(answer, choices, stopped, screen, said, hits, machine)
    hits += judged
    stopped |= stopped_by_classifier
    said_instead = notice() if stopped else None
    if said_instead is not None:
        _put_notices(answer, choices, stopped, said_instead, produce_id)
    choices = answer["choices"]
    released = labelled = texts = 0
    finishes: list[str] = []
    for choice in choices:
        finishes.append(str(choice.get("finish_reason") or "")[:FINISH_CHARACTERS])
        message, content = choice.get("message"), _content(choice)
        text = text_of(content)
        if text and content is not said_instead:  # the notice is written by people
            texts += 1
            released += len(text)
            if prose and label.mode != "interface" and not message.get("tool_calls") and stays_readable(text):
                labelled += 1
                before_it = prefix(label) if begins_with_label(label.mode) else ""
                behind = suffix(label) if ends_with_label(label.mode) else ""
                if content is text:
                    message["content"] = before_it + text + behind
                else:
                    joined_in(content)[CONTENT].put_around(before_it, behind)
    applied: Applied = label.mode if texts and labelled == texts else without_words(label)
    answer["aigc"] = aigc_object(label, produce_id, applied)
    return WholeAnswer(_ENCODE(answer), tuple(hits), applied, finishes, released, sent, calls)


def has_reasoning(choice: dict[str, Any]) -> bool:
    """Tell whether there may be another text beside the text of a choice: its reasoning, or thoughts among its parts."""
    message = choice.get("message")
    return isinstance(message, dict) and (bool(message.get("reasoning_content")) or message.get("content").__class__ is list)


def _sent(choices: list[dict[str, Any]]) -> tuple[list[str], list[tuple[str, str, str]], list[Joined]]:
    """Return the text of each choice, the tools that they call, and what has to be read together beside the single strings."""
    texts: list[str] = []
    calls: list[tuple[str, str, str]] = []
    together: list[Joined] = []
    for place, choice in enumerate(choices):
        message = choice.get("message")
        content = message.get("content") if isinstance(message, dict) else None
        texts.append(text_of(content))
        if isinstance(message, dict) and message.get("tool_calls"):
            calls += tool_calls(message)
        if content.__class__ is list or choice.get("logprobs"):
            together += _parts(choice, place) + _spelled(choice, place)
    return texts, calls, together


def _content(choice: dict[str, Any]) -> object:
    message = choice.get("message")
    return message.get("content") if isinstance(message, dict) else None


def _parts(choice: dict[str, Any], place: int) -> list[Joined]:
    """Return the texts of a choice that several parts of its content make together."""
    return [each for each in joined_in(_content(choice), f"choices[{place}].message.content").values() if len(each.pieces) > 1]


def _spelled(choice: dict[str, Any], place: int) -> list[Joined]:
    """Return what the log probabilities of a choice spell beside its text."""
    return spelled_by(choice.get("logprobs"), f"choices[{place}].logprobs", text_of(_content(choice)))


def _fields(choices: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Return (path, text) of the texts that a reader or a tool is given, choice by choice."""
    found: list[tuple[str, Any]] = []
    for place, choice in enumerate(choices):
        message = choice.get("message")
        if isinstance(message, dict):
            where = f"choices[{place}].message"
            content = message.get("content")
            found.append((f"{where}.reasoning_content", message.get("reasoning_content")))
            if content.__class__ is list and (thoughts := joined_in(content, f"{where}.content").get(THOUGHTS)) is not None:
                found.append((thoughts.path, thoughts.text))
            found.append((f"{where}.content", text_of(content)))
            if message.get("tool_calls"):
                found += [(f"{where}.tool_calls[{n}].function.arguments", call[2]) for n, call in enumerate(tool_calls(message))]
    return [(path, text) for path, text in found if isinstance(text, str)]


def _without_hits(
    answer: dict[str, Any], choices: list[dict[str, Any]], snapshot: Snapshot, policy: Policy, produce_id: str
) -> tuple[dict[str, Any], set[int]]:
    """Return the answer with what is clean beside the choices, and the places of the choices that have a hit; of all, when the
    hit is beside them.
    """

    def is_clean(value: object, together: Sequence[Joined] = ()) -> bool:
        text = "\n".join([*strings(value), *(each.text for each in together)])
        return _examine(snapshot, policy, value, text, units_of(text), together).action == "deliver"

    beside = {name: value for name, value in answer.items() if name != "choices"}
    if is_clean(beside):
        return answer, {
            place for place, choice in enumerate(choices) if not is_clean(choice, _parts(choice, place) + _spelled(choice, place))
        }
    known: dict[str, Any] = {name: answer[name] for name in ("created", "usage") if name in answer and is_clean(answer[name])}
    answer = {"id": f"chatcmpl-{produce_id}", "object": "chat.completion", **known, "model": "", "choices": choices}
    return answer, set(range(len(choices)))


def _reaching_in(choices: list[dict[str, Any]], snapshot: Snapshot, policy: Policy, before: Before, hits: list[Hit]) -> set[int]:
    """Note in `hits` what begins in the last message and ends in a choice; return the places of those choices."""
    found = set()
    trie = snapshot.trie(policy, "output")
    for place, choice in enumerate(choices):
        hit = reaching_in(trie, before, text_of(_content(choice)))
        if hit is not None:
            found.add(place)
            hits.append(hit_of(hit, before, f"choices[{place}].message.content", policy))
    return found


def _hide(
    answer: dict[str, Any], choices: list[dict[str, Any]], stopped: set[int], screen: Screen, said: Callable[[str], bool], hits: list[Hit],
    machine: bool,
) -> set[int]:  # fmt: skip
    """Hide personal information in the answer and note it in `hits`; return the places of the choices that it stops.

    Log probabilities spell the text, so those of a choice with something hidden are left out.
    """
    found: list[Hit] = []
    stops: set[int] = set()
    for name in answer.keys() - _BESIDE:
        answer[name] = mask_value(answer[name], screen, said, name, found)
    if any(hit.action == "stop" for hit in found):
        stops = set(range(len(choices)))
    for place, choice in enumerate(choices):
        if place in stopped:
            continue
        own: list[Hit] = []
        masked = {
            name: mask_value(value, screen, said, f"choices[{place}].{name}", own, machine=machine)
            for name, value in choice.items()
            if name not in ("logprobs", "index", "finish_reason")
        }
        for joined in _parts(masked, place):
            once_more = mask(joined.text, screen, said, joined.path, machine=machine)
            own += [joined.standing(hit) for hit in once_more.hits]
            joined.put_back(once_more.text)
        for joined in _spelled(choice, place):
            own += [joined.standing(hit) for hit in mask(joined.text, screen, said, joined.path).hits]
        if own:
            choice.update(masked)
            if "logprobs" in choice:
                choice["logprobs"] = None
        if any(hit.action == "stop" for hit in own):
            stops.add(place)
        found += own
    hits += found
    return stops


def _put_notices(answer: dict[str, Any], choices: list[dict[str, Any]], stopped: set[int], notice: str, produce_id: str) -> None:
    """Put the notice in place of every stopped choice, and tell interfaces so."""
    kept = list(choices)
    retractions = []
    for place in sorted(stopped):
        index = choices[place].get("index")
        index = index if isinstance(index, int) else place
        message = {"role": "assistant", "content": notice, "refusal": None}
        kept[place] = {"index": index, "message": message, "logprobs": None, "finish_reason": "content_filter"}
        retractions.append({"choice": index, "reason": "content_filter", "replace_with": notice, "record": produce_id})
    answer["choices"] = kept
    answer["retraction"] = retractions[0] if len(retractions) == 1 else retractions
