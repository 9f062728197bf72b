"""An answer's text that comes in parts, as a reader sees it: the text parts of a message are one text, and so are its thoughts.

Most models send a string. Some send a list (`[{"type": "thinking", "thinking": […]}, {"type": "text", "text": "…"}]`), whole and streamed,
and a reader is shown the parts one after the other. So a term may not stand over two of them, and what looks at words for people looks at
all of them together. Each part is examined for itself as well: at its end a word may end. No input or output here.
Source: Measures Art. 4; decision 0053.
"""

import copy
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any, Final, NamedTuple

import msgspec

from guiju.screening.values import Hit

Path = tuple[str | int, ...]

CONTENT: Final[Path] = ("content",)
THOUGHTS: Final[Path] = ("content", "thinking")
_ALSO: Final = frozenset(("thinking", "reasoning", "refusal"))
"""Kinds of parts that are words for people and no part of the answer's text."""


def text_at(path: Path) -> Path:
    """Return the text that a string at this path of a message is a piece of: for one in a part, the text that the parts make together.

    >>> text_at(("content", 1, "text")), text_at(("content", 0, "thinking", 2, "text")), text_at(("content", 0, "image_url", "url"))
    (('content',), ('content', 'thinking'), ('content', 0, 'image_url', 'url'))
    """
    if path[0] != "content" or len(path) == 1 or not isinstance(path[1], int):
        return path
    names = [step for step in path if isinstance(step, str)]
    if len(names) > 1 and names[-1] == "text":
        names.pop()
    return tuple(names) if len(names) == 1 or (len(names) == 2 and names[1] in _ALSO) else path


class Piece(NamedTuple):
    """One string of a text: what holds it, under which name or place, its path for the record, and how long it is."""

    holder: Any
    key: Any
    path: str
    length: int


class Joined(NamedTuple):
    """A text that came in pieces, put together."""

    path: str
    text: str
    pieces: Sequence[Piece]

    def standing(self, hit: Hit) -> Hit:
        """Return a hit in the text as records tell it: where the pieces stand, with both paths when it reaches over a joint."""
        if not self.pieces:
            return hit
        ends = list(accumulate(piece.length for piece in self.pieces))
        last = len(ends) - 1
        first = min(bisect_right(ends, hit.start), last)
        until = min(bisect_right(ends, max(hit.start, hit.end - 1)), last)
        a, b = self.pieces[first], self.pieces[until]
        start, end = hit.start - (ends[first] - a.length), hit.end - (ends[until] - b.length)
        return msgspec.structs.replace(hit, path=a.path if first == until else f"{a.path} + {b.path}", start=start, end=end)

    def put_back(self, text: str) -> None:
        """Put a text of the same length into the places of the pieces."""
        at = 0
        for piece in self.pieces:
            piece.holder[piece.key] = text[at : at + piece.length]
            at += piece.length

    def put_around(self, before: str, behind: str) -> None:
        """Put words before the first piece and behind the last."""
        first, last = self.pieces[0], self.pieces[-1]
        first.holder[first.key] = before + first.holder[first.key]
        last.holder[last.key] += behind


def joined_in(content: object, path: str = "content") -> dict[Path, Joined]:
    """Return the texts that the parts of a list content make together, by what they are: `CONTENT`, `THOUGHTS`; nothing for a string."""
    if content.__class__ is not list:
        return {}
    found: dict[Path, list[Piece]] = {}
    for steps, piece in _strings(content, CONTENT, path):
        text = text_at(steps)
        if text is not steps:
            found.setdefault(text, []).append(piece)
    return {
        text: Joined(".".join((path, *map(str, text[1:]))), "".join([piece.holder[piece.key] for piece in pieces]), pieces)
        for text, pieces in found.items()
    }


def text_of(content: object) -> str:
    """Return the text of a message's content, be it a string or a list of parts; empty for anything else."""
    if content.__class__ is str:
        return content
    joined = joined_in(content).get(CONTENT)
    return joined.text if joined is not None else ""


def words_in(message: object, path: str) -> list[Joined]:
    """Return the words for people in a message at a path: its text, its reasoning, the thoughts among its parts."""
    if not isinstance(message, dict):
        return []
    found = [
        Joined(f"{path}.{field}", message[field], ()) for field in ("content", "reasoning_content") if isinstance(message.get(field), str)
    ]
    joined = joined_in(message.get("content"), f"{path}.content")
    return found + [joined[text] for text in (CONTENT, THOUGHTS) if text in joined]


def as_one_text(message: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a message whose text stands in the first of its parts, and in the others nothing; without several parts, the message itself."""
    if not any(len(each.pieces) > 1 for each in joined_in(message.get("content")).values()):
        return message
    content = copy.deepcopy(message["content"])
    for each in joined_in(content).values():
        for piece in each.pieces:
            piece.holder[piece.key] = ""
        first = each.pieces[0]
        first.holder[first.key] = each.text
    return {**message, "content": content}


def spelled_by(logprobs: object, path: str, text: str) -> list[Joined]:
    """Return what log probabilities spell, where that is not the text that they tell of: by their tokens, and by the bytes of these."""
    found: list[Joined] = []
    if not isinstance(logprobs, dict):
        return found
    for name, entries in logprobs.items():
        if not isinstance(entries, list):
            continue
        tokens = [
            Piece(entry, "token", f"{path}.{name}[{place}].token", len(entry["token"]))
            for place, entry in enumerate(entries)
            if isinstance(entry, dict) and isinstance(entry.get("token"), str)
        ]
        known = {"", text, by_token := "".join([piece.holder["token"] for piece in tokens])}
        if by_token not in ("", text):
            found.append(Joined(f"{path}.{name}", by_token, tokens))
        by_byte = bytes([each for entry in entries for each in bytes_of(entry)]).decode(errors="ignore")
        if by_byte not in known:
            found.append(Joined(f"{path}.{name} (bytes)", by_byte, ()))
    return found


def bytes_of(entry: object) -> Sequence[int]:
    """Return the bytes that an entry of log probabilities names; empty where they are none."""
    listed = entry.get("bytes") if isinstance(entry, dict) else None
    if not isinstance(listed, list) or not all(each.__class__ is int and 0 <= each < 256 for each in listed):
        return ()
    return listed


def _strings(value: Any, steps: Path, path: str) -> Iterator[tuple[Path, Piece]]:
    """Yield every string under a value, with its path as steps."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        here = f"{path}.{key}" if isinstance(key, str) else f"{path}[{key}]"
        if isinstance(item, str):
            yield (*steps, key), Piece(value, key, here, len(item))
        elif isinstance(item, (dict, list)):
            yield from _strings(item, (*steps, key), here)
