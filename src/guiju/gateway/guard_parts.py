"""What guards are shown of a conversation and of an answer: parts that fit, and the points at which a growing text is examined. Pure."""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from guiju.screening.guards.form import Turn
from guiju.screening.parts import as_one_text
from guiju.screening.view import paths

PARTS_AT_MOST: Final = 32
"""More parts of one input or answer are not shown: it was not examined."""
CLAUSE_ENDS: Final = frozenset("。！？；…!?;\n")
_SILENT: Final = (".role", ".type", ".id", ".tool_call_id", ".detail", ".format", ".index")
"""Ends of paths under which nothing stands that anybody reads."""
_CONTEXT: Final = 2
"""One half of a window is for what was asked before."""


class Part(NamedTuple):
    """Something to be examined: the last turn, which is characters `start` to `end` of what stands at `path`."""

    turns: tuple[Turn, ...]
    path: str
    start: int
    end: int


class TooLong(Exception):
    """There are more parts than are shown."""


def turns_of(messages: Sequence[Mapping[str, Any]]) -> list[Turn]:
    """Return the conversation as guards know it. Everything but what the model wrote is a user's: instructions, tools, documents."""
    return [Turn("assistant" if each.get("role") == "assistant" else "user", text_of(each)) for each in messages]


def text_of(message: Mapping[str, Any]) -> str:
    """Return everything in a message that somebody reads: text, parts that are text, tool calls."""
    content = message.get("content")
    if isinstance(content, str) and len(message) == 2:
        return content
    return "\n".join(text for path, text in _read(message))


def input_parts(messages: Sequence[Mapping[str, Any]], window: int) -> list[Part]:
    """Return parts in which every turn of a conversation stands, each with as much before it as fits. Raises TooLong.

    Most conversations are one part. A long one is several, from its end to its beginning; a turn that does not fit alone is cut, with a
    tenth of a window standing in both pieces.
    """
    turns = turns_of(messages)
    parts: list[Part] = []
    at = len(turns) - 1
    while at >= 0:
        path, text = f"messages[{at}]", turns[at].text
        if not text:
            at -= 1
            continue
        if len(text) > window:
            parts += [Part((Turn(turns[at].role, text[a:b]),), path, a, b) for a, b in windows(0, len(text), window)]
            at -= 1
        else:
            first, room = at, window - len(text)
            while first and len(turns[first - 1].text) <= room:
                first -= 1
                room -= len(turns[first].text)
            parts.append(Part(tuple(turn for turn in turns[first : at + 1] if turn.text), path, 0, len(text)))
            at = first - 1
        if len(parts) > PARTS_AT_MOST:
            raise TooLong
    return parts


def windows(done: int, end: int, window: int) -> list[tuple[int, int]]:
    """Return (start, end) of windows that hold every character from `done` to `end`; those before stand in them where there is room.

    >>> windows(0, 10, 100), windows(0, 25, 10), windows(20, 25, 10)
    ([(0, 10)], [(0, 10), (9, 19), (15, 25)], [(15, 25)])
    """
    found = []
    at = done
    while end - at > window:
        found.append((at, at + window))
        at += window - window // 10
    return [*found, (max(0, end - window), end)]


def question_of(messages: Sequence[Mapping[str, Any]], window: int) -> tuple[Turn, ...]:
    """Return the last thing that was asked, as the context of an answer; its end, where it is long."""
    for message in reversed(messages):
        if message.get("role") != "assistant" and (text := text_of(message)):
            return (Turn("user", text[-(window // _CONTEXT) :]),)
    return ()


def answer_parts(message: object, question: tuple[Turn, ...], path: str, window: int) -> list[Part]:
    """Return the parts of a whole answer of one choice: every text in it, each for itself, a text in several parts as one. Raises TooLong."""
    parts = [
        Part((*question, Turn("assistant", text[start:end])), f"{path}.{name}", start, end)
        for name, text in (_read(as_one_text(message)) if isinstance(message, dict) else ())
        if text
        for start, end in windows(0, len(text), window)
    ]
    if len(parts) > PARTS_AT_MOST:
        raise TooLong
    return parts


def _read(message: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(path, text) for path, text in paths(message) if not f".{path}".endswith(_SILENT)]


class Growing:
    """One text of an answer while it grows: where it is to be examined, and how far it was.

    The points depend on the text alone, not on how it came: the first end of a clause at least half of `every` behind the last point, at the
    latest `every` behind it; and the end.
    """

    __slots__ = ("_every", "_offset", "_since", "_text", "cleared", "points")

    def __init__(self, every: int) -> None:
        self.cleared = 0
        """Up to here it was examined, or need not be."""
        self.points: deque[int] = deque()
        """Where it is to be examined, and was not asked about yet."""
        self._every = every
        self._text = ""
        self._offset = 0
        self._since = 0

    @property
    def length(self) -> int:
        """How many characters have come."""
        return self._offset + len(self._text)

    def grow(self, piece: str) -> list[int]:
        """Take the next piece; return the points that it brought."""
        at, found, since, every = self.length, [], self._since, self._every
        self._text += piece
        for character in piece:
            at += 1
            reached = at - since
            if reached >= every or (character in CLAUSE_ENDS and reached * 2 >= every):
                found.append(at)
                since = at
        self._since = since
        self.points += found
        return found

    def end(self) -> None:
        """Say that the text is complete: its end is a point."""
        if self._since < self.length:
            self._since = self.length
            self.points.append(self.length)

    def shown(self, start: int, end: int, window: int) -> str:
        """Return the characters from `start` to `end`; forgets those that no later point will show."""
        text = self._text[start - self._offset : end - self._offset]
        unneeded = end - window - self._offset
        if unneeded > 4 * window:
            self._text = self._text[unneeded:]
            self._offset += unneeded
        return text
