"""The conversation as the unit: what one speaker says is read on over the ends of messages, parts and fields.

A term may be split over turns (`怎样制造炸` … `弹`), over the text parts of a message, over the arguments and results of tools, over the
values of a JSON text, or over a last message and the answer that continues it. So what one speaker said is put together at its
*joints*: of each piece as many characters as the longest term has, at its end and at its start; a short piece whole, so that a term with
one character a turn is read too. Only a hit that reaches over a joint counts, for all others are found where they stand.

What keeps unrelated turns apart: nothing is put between two pieces and nothing taken away, so a turn that ends in a full stop or a line
end keeps it, and a term of two or three characters bridges neither (`rules.py`). Between two pieces that meet in letters or digits, words
are taken to end, and also once to go on. Over turns a hit is of medium confidence, within one message of high.
Source: Measures Art. 4; design, promise 1.
"""

import re
import string
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from guiju.screening.matching.snapshot import Snapshot
from guiju.screening.values import Direction, Hit, Policy, Source

ROLES: Final[dict[object, Source]] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}
WORDLIKE: Final = frozenset(string.ascii_letters + string.digits)
_MESSAGE: Final = re.compile(r"messages\[(\d{1,9})\]")
_JSON_BEGINS: Final = frozenset("{[ \t\r\n")
VALUES_AT_MOST: Final = 10_000
"""Of a JSON text, so many values are put together; a list of more is no way to spell a word."""


class Piece(NamedTuple):
    """A string that somebody said: the number of the message, where in it (or the whole path, for an answer), and the text."""

    message: int
    steps: str
    text: str

    @property
    def path(self) -> str:
        """Where the string stands in the request."""
        return f"messages[{self.message}]{self.steps}" if self.steps[0] == "." else self.steps


Part = tuple[Piece, int, str]
"""A piece, or its start or its end: the piece, at which of its characters the part begins, the part."""


class Run(NamedTuple):
    """Parts of one speaker put together."""

    text: str
    source: Source
    parts: list[Part]
    between_words: str

    def begins(self) -> list[int]:
        """Return where each part begins in the text."""
        found: list[int] = []
        at = 0
        for (_, _, before), (_, _, text) in zip([self.parts[0], *self.parts], self.parts, strict=False):
            if found:
                at += len(before) + len(_between(before, text, self.between_words))
            found.append(at)
        return found


def source_of_message(message: Mapping[str, Any]) -> Source:
    """Return who says a message; an unknown role counts as the person."""
    role = message.get("role")
    return ROLES.get(role, "user") if role.__class__ is str else "user"


def joints(messages: Sequence[Any], reach: int) -> list[Run]:
    """Return what has to be read over the joints of a conversation; empty for one plain message. `reach` is the longest term's length."""
    if not reach:
        return []
    if len(messages) == 1:
        content = messages[0].get("content")
        if content.__class__ is str and content[:1] not in _JSON_BEGINS and "tool_calls" not in messages[0]:
            return []
    said: dict[Source, list[Piece]] = {}
    runs: list[Run] = []
    for source, piece in _pieces(messages):
        said.setdefault(source, []).append(piece)
        if piece.text[0] in _JSON_BEGINS:
            runs += _put_together(_values(piece), source, reach)
    for source, pieces in said.items():
        if len(pieces) > 1:
            runs += _put_together(pieces, source, reach)
    if len(messages) > 1 and source_of_message(messages[-1]) == "assistant":  # the words that the answer is to begin with
        before, last = said.get("user", [])[-1:], [piece for piece in said.get("assistant", []) if piece.message == len(messages) - 1]
        runs += _put_together([*before, *last[:1]], "assistant", reach)
    return runs


def begins_json(text: str) -> bool:
    """Tell whether a text begins as JSON may."""
    return text[:1] in _JSON_BEGINS


def joints_of_answer(texts: Sequence[tuple[str, str]], reach: int) -> list[Run]:
    """Return what can be read over the ends of the choices and fields of an answer, (path, text) in their order; empty for one text."""
    pieces = [Piece(0, path, text) for path, text in texts if text]
    runs = _put_together(pieces, "assistant", reach) if len(pieces) > 1 and reach else []
    for piece in pieces:
        if piece.text[0] in _JSON_BEGINS:
            runs += _put_together(_values(piece), "assistant", reach)
    return runs


def flags_in_answer(texts: Sequence[tuple[str, str]], snapshot: Snapshot, policy: Policy) -> list[Hit]:
    """Return what reaches over two texts of an answer. It only flags: when the second text comes, the first has left."""
    runs = joints_of_answer(texts, snapshot.longest)
    if not runs or snapshot.finds_nothing(texts_of(runs)):
        return []
    return [msgspec.structs.replace(hit, action="deliver", confidence="low") for hit in across(runs, snapshot, "output", policy)]


def across(runs: Sequence[Run], snapshot: Snapshot, direction: Direction, policy: Policy) -> list[Hit]:
    """Return the hits that reach over a joint. A hit's path names both strings, `start` is a place in the first, `end` in the last."""
    verdict = snapshot.examine_all([(str(place), run.text) for place, run in enumerate(runs)], direction, policy)
    hits: dict[tuple[str, int, int, str], Hit] = {}
    for hit in verdict.hits:
        run = runs[int(hit.path)]
        begins = run.begins()
        first, last = bisect_right(begins, hit.start) - 1, bisect_right(begins, hit.end - 1) - 1
        if first == last:
            continue
        (a, a_offset, _), (b, b_offset, _) = run.parts[first], run.parts[last]
        start, end = hit.start - begins[first] + a_offset, hit.end - begins[last] + b_offset
        confidence = "medium" if hit.confidence == "high" and a.message != b.message else hit.confidence
        action = policy.action(direction, hit.risk, confidence)
        found = msgspec.structs.replace(
            hit, path=f"{a.path} + {b.path}", start=start, end=end, action=action, confidence=confidence, source=run.source
        )
        hits.setdefault((found.path, start, end, found.rule), found)
    return list(hits.values())


def source_of(path: str, messages: Sequence[Any], documents: frozenset[str] = frozenset()) -> Source:
    """Return who said the string at a path of the request; `documents` are paths that the application names as retrieved passages.

    >>> source_of("messages[0].content", [{"role": "tool"}]), source_of("tools[0].function.description", [])
    ('tool', 'system')
    """
    place = _MESSAGE.match(path)
    if place is None or int(place[1]) >= len(messages):
        return "system"
    if path in documents or path.removesuffix(" (decoded)") in documents or ".file.file_data" in path:
        return "document"
    if ".tool_calls[" in path:
        return "assistant"
    return source_of_message(messages[int(place[1])])


def _pieces(messages: Sequence[Any]) -> list[tuple[Source, Piece]]:
    """Return what was said, in order: contents, and as the tools' own speech what they were asked and what they gave."""
    found: list[tuple[Source, Piece]] = []
    for number, message in enumerate(messages):
        source = source_of_message(message)
        content = message.get("content")
        if content.__class__ is str:
            if content:
                found.append((source, Piece(number, ".content", content)))
        elif content.__class__ is list:
            for place, part in enumerate(content):
                text = part.get("text") if part.__class__ is dict else part
                if text.__class__ is str and text:
                    found.append((source, Piece(number, f".content[{place}]{'' if part is text else '.text'}", text)))
        calls = message.get("tool_calls")
        for place, call in enumerate(calls if calls.__class__ is list else ()):
            function = call.get("function") if call.__class__ is dict else None
            arguments = function.get("arguments") if function.__class__ is dict else None
            if arguments.__class__ is str and arguments:
                found.append(("tool", Piece(number, f".tool_calls[{place}].function.arguments", arguments)))
    return found


def _values(piece: Piece) -> list[Piece]:
    """Return the strings that a JSON text holds as values; none when it is no JSON."""
    try:
        value = msgspec.json.decode(piece.text)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return []
    found: list[str] = []
    waiting = [value]
    while waiting and len(found) < VALUES_AT_MOST:
        each = waiting.pop()
        if each.__class__ is str:
            found.append(each)
        elif each.__class__ is dict:
            waiting += reversed(each.values())
        elif each.__class__ is list:
            waiting += reversed(each)
    return [Piece(piece.message, f"{piece.steps} (value {place})", text) for place, text in enumerate(found) if text]


def _put_together(pieces: Iterable[Piece], source: Source, reach: int) -> list[Run]:
    runs: list[Run] = []
    parts: list[Part] = []
    for piece in pieces:
        text = piece.text
        if parts and text[0] in WORDLIKE and parts[-1][2][-1] in WORDLIKE:  # a word may also go on: `explo` + `sives`
            runs.append(_run([parts[-1], (piece, 0, text[:reach])], source, ""))
        if len(text) <= 2 * reach:
            parts.append((piece, 0, text))
            continue
        if parts:
            parts.append((piece, 0, text[:reach]))
            runs.append(_run(parts, source, " "))
        parts = [(piece, len(text) - reach, text[-reach:])]
    if len(parts) > 1:
        runs.append(_run(parts, source, " "))
    return runs


def _run(parts: list[Part], source: Source, between_words: str) -> Run:
    texts: list[str] = []
    before = ""
    for _, _, text in parts:
        if before and before[-1] in WORDLIKE:
            texts.append(_between(before, text, between_words))
        texts.append(text)
        before = text
    return Run("".join(texts), source, parts, between_words)


def _between(before: str, text: str, between_words: str) -> str:
    """Return what keeps two parts apart: words end at a joint, but a single letter is a part of one."""
    return between_words if before[-1] in WORDLIKE and text[0] in WORDLIKE and len(before) > 1 < len(text) else ""


def texts_of(runs: Sequence[Run]) -> list[str]:
    """Return the texts of the runs, for the quick test."""
    return [run.text for run in runs]


def with_sources(hits: Iterable[Hit], request: Mapping[str, Any], documents: frozenset[str] = frozenset()) -> tuple[Hit, ...]:
    """Return the hits, each with who said the text that it stands in."""
    messages = request["messages"]
    return tuple(hit if hit.source else msgspec.structs.replace(hit, source=source_of(hit.path, messages, documents)) for hit in hits)
