"""What a reviewer is shown of an exchange: the latest question, the answer, and every other text that has a hit; the rest stays sealed.

Personal information is hidden in all of it. Places stay those of the original, because what hides is as long as what is hidden. Pure.
Source: PIPL Arts. 6, 19 (no more than the purpose needs).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from guiju.records.access.content import plain
from guiju.screening.personal.finds import mask_all
from guiju.screening.view import paths

SHOWN_CHARACTERS: Final = 20_000
"""Of a longer text the part around its first hit is shown."""
_LEAD: Final = 2_000
_MARGIN: Final = 80
"""Personal information that a cut would halve is hidden whole."""
_PROSE: Final = ("content", "reasoning_content", "reasoning", "refusal", "arguments", "transcript", "text")

JOINED: Final = " + "
"""Between the paths of a hit that reaches over several texts."""
_TO_THE_END: Final = 2**62
_Place = tuple[int, int, str]
"""Start, end, and the rule."""
_FORMAL: Final = ("role", "type", "detail", "format")
"""Fields of a message that nobody wrote."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a text; `rules` names what hits it, empty where nothing does."""

    text: str
    rules: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """One text: its direction and path, what is shown of it from character `begins` on, and how long all of it is."""

    direction: str
    path: str
    text: str
    begins: int
    whole_characters: int
    pieces: tuple[Piece, ...]

    @property
    def is_cut(self) -> bool:
        """Whether more stands in the sealed content."""
        return len(self.text) < self.whole_characters


_ASKED: Final = ("prompt", "input", "instructions")
"""Fields that hold what a person asks for where there are no messages."""


def texts_shown(contents: Sequence[bytes], hits: Sequence[Mapping[str, Any]]) -> list[Shown]:
    """Return what a reviewer sees of the contents of one exchange, the input first. `hits` are those of the item."""
    request, answer = None, None
    for content in contents:
        opened = plain(content)
        if isinstance(opened, dict):
            request = opened.get("request", request)
            answer = opened.get("answer", answer)
    return [*_shown("input", _input(request), hits), *_shown("output", _output(answer), hits)]


def _input(request: object) -> tuple[dict[str, str], set[str]]:
    """Return the texts of a request by path, and the paths that are shown anyway: the latest message of the person."""
    if not isinstance(request, dict):
        return ({"": request}, {""}) if isinstance(request, str) else ({}, set())
    texts = dict(paths(request))
    messages = request.get("messages")
    if not isinstance(messages, list):
        asked_for = {path for path in texts if path in _ASKED}  # a picture, a sound, a film: not who asks
        return texts, asked_for or set(texts)
    asked = [place for place, message in enumerate(messages) if isinstance(message, dict) and message.get("role") == "user"]
    latest = f"messages[{asked[-1]}]." if asked else f"messages[{len(messages) - 1}]."
    return texts, {path for path in texts if path.startswith(latest) and path.rpartition(".")[2] not in _FORMAL}


def _output(answer: object) -> tuple[dict[str, str], set[str]]:
    """Return the texts of an answer by path, and those that are shown anyway: what a person would have read."""
    if not isinstance(answer, dict):
        return ({"": answer}, {""}) if isinstance(answer, str) else ({}, set())
    if "choices" not in answer and all(isinstance(text, str) for text in answer.values()):
        return answer, set(answer)
    texts = dict(paths(answer))
    return texts, {path for path in texts if path.startswith("choices[") and path.rpartition(".")[2] in _PROSE}


def _shown(direction: str, found: tuple[dict[str, str], set[str]], hits: Sequence[Mapping[str, Any]]) -> Iterable[Shown]:
    texts, anyway = found
    here: dict[str, list[_Place]] = {}
    for hit in hits:
        for way, path, place in _places(hit):
            if way == direction:
                here.setdefault(path, []).append(place)
    for path, text in texts.items():
        if text and (path in anyway or path in here):
            yield _window(direction, path, text, here.get(path, []))


def _places(hit: Mapping[str, Any]) -> Iterable[tuple[str, str, _Place]]:
    """Yield (direction, path, place) of each text that a hit stands in: one that reaches over several begins in the first and ends in the last."""
    paths_of, direction, rule = str(hit.get("path")).split(JOINED), str(hit.get("direction")), str(hit.get("rule"))
    for number, path in enumerate(paths_of):
        start = int(hit["start"]) if number == 0 else 0
        end = int(hit["end"]) if number == len(paths_of) - 1 else _TO_THE_END
        yield "input" if len(paths_of) > 1 and path.startswith("messages[") else direction, path, (start, end, rule)


def _window(direction: str, path: str, text: str, hits: Sequence[_Place]) -> Shown:
    places = sorted(hits)
    begins = max(0, places[0][0] - _LEAD) if places and len(text) > SHOWN_CHARACTERS else 0
    ends = min(len(text), begins + SHOWN_CHARACTERS)
    margin = max(0, begins - _MARGIN)
    masked = mask_all(text[margin : ends + _MARGIN])[begins - margin : ends - margin]
    return Shown(direction, path, masked, begins, len(text), _pieces(masked, begins, places))


def _pieces(text: str, begins: int, places: Sequence[_Place]) -> tuple[Piece, ...]:
    pieces: list[Piece] = []
    at = 0
    for place in places:
        start, end = max(at, place[0] - begins), min(len(text), place[1] - begins)
        if start >= end:
            continue
        rules = ", ".join(dict.fromkeys(rule for first, last, rule in places if first - begins < end and last - begins > start))
        pieces += [Piece(text[at:start])] * (start > at) + [Piece(text[start:end], rules)]
        at = end
    return (*pieces, Piece(text[at:])) if at < len(text) else tuple(pieces)


def find_quote(texts: Sequence[Shown], quote: str) -> tuple[str, str, int, int] | None:
    """Return (direction, path, start, end) of words that a reviewer copied from what was shown; None when they stand nowhere.

    The answer is looked through first, and blanks at the ends of the words do not count.
    """
    quote = quote.strip()
    for shown in sorted(texts, key=lambda each: each.direction == "input"):
        for wanted in dict.fromkeys((quote, quote.replace("\r\n", "\n"))):
            at = shown.text.find(wanted)
            if wanted and at >= 0:
                return shown.direction, shown.path, shown.begins + at, shown.begins + at + len(wanted)
    return None
