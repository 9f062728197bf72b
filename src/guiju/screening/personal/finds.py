"""Personal information and secrets in whole texts: find them, hide them, and know what a person said themselves.

What a person wrote in the conversation is no news to them: the same value in an answer is delivered as it is.
Source: Measures Arts. 4(4), 11; PIPL Arts. 4, 28.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

from guiju.screening.personal.detectors import DETECTORS, Detector, Found
from guiju.screening.personal.plain import Plain, plain_of
from guiju.screening.personal.signs import Signs
from guiju.screening.spellings.first_look import Units, units_of
from guiju.screening.spellings.fold import fold
from guiju.screening.values import PASS, Action, Direction, Hit, Policy, Verdict
from guiju.screening.view import is_base64, paths, shortened, strings

MASK: Final = "*"
_IDENTIFIERS: Final = frozenset(("role", "id", "type", "name", "object", "call_id", "index"))
"""Fields that programs compare: never changed."""
_NEVER_EXAMINED: Final = frozenset(("system", "developer", "assistant"))
"""Roles that say nothing that a person or a tool has just given."""
NOUGHT: Final = "0"
_QUOTE: Final = re.compile(r'\\(?:.|\Z)|"', re.DOTALL)


class Quotes(NamedTuple):
    """Where a reader of JSON is: inside a string, after a backslash."""

    inside: bool
    escaped: bool


OUTSIDE: Final = Quotes(False, False)


class Find(NamedTuple):
    """One find in the original text, with what the policy does about it."""

    detector: Detector
    action: Action
    start: int
    end: int
    hidden: list[tuple[int, int]]
    """The original places of the characters that masking replaces, one after the other."""
    value: str
    plain: str
    """As it stands in the text, in usual spelling."""


class Screen:
    """The detectors that a policy listens to in one direction. Build it once for a policy: `screen_for`."""

    __slots__ = ("_signs", "active", "tails")

    def __init__(self, policy: Policy, direction: Direction) -> None:
        table: Mapping[str, str] = policy.personal_on_input if direction == "input" else policy.personal_on_output
        missing = "warn" if direction == "input" else "mask"
        chosen = [(detector, table.get(detector.code) or table.get("*") or missing) for detector in DETECTORS]
        self.active: tuple[tuple[Detector, Action], ...] = tuple((detector, action) for detector, action in chosen if action != "pass")  # type: ignore[misc]  # the settings allow no others
        self.tails: dict[str, tuple[Detector, ...]] = {}
        self._signs = Signs(self.hints)

    @property
    def hints(self) -> list[tuple[str, str]]:
        """(hint, code) of all detectors that are listened to."""
        return [(hint, detector.code) for detector, _ in self.active for hint in detector.hints]

    def candidates(self, text: str, since: int = 0) -> Iterator[tuple[Detector, Action, Found]]:
        """Yield the finds in a text of usual spelling that begin at or after `since`."""
        hinted = self._signs.owners_in(text[since:] if since else text)
        if hinted:
            for detector, action in self.active:
                if detector.code in hinted:
                    for found in detector.examine(text, since):
                        yield detector, action, found

    def finds_nothing(self, text: str, units: Units) -> bool:
        """Tell that nothing can be found in a text, given with its units: the quick look that nearly all traffic passes."""
        return not (self.active and self._signs.may_be_in(text, units))

    def may_find(self, text: str, units: Units) -> bool:
        """Tell whether there may be a find in a text, given with its units: the quick test that nearly all traffic fails."""
        if not (self.active and self._signs.may_be_in(text, units)):
            return False
        return next(self.candidates(plain_of(text).text), None) is not None

    def open_from(self, text: str) -> int:
        """Return where the first character stands that what comes after `text` could still hide; its length when there is none."""
        if not text:
            return 0
        last = text[-1]
        detectors = self.tails.get(last)
        if detectors is None:
            if len(self.tails) > 20_000:
                self.tails.clear()
            detectors = self.tails[last] = tuple(detector for detector, _ in self.active if detector.tail.match(last))
        least = len(text)
        for detector in detectors:
            least = min(least, detector.begun(text))
        return least

    def find(self, text: str) -> list[Find]:
        """Return every find in a whole text, in original places, by place."""
        if not self.active:
            return []
        plain = plain_of(text)
        finds = [
            Find(
                detector,
                action,
                plain.start(found.start),
                plain.end(found.end),
                hidden_places(plain, found),
                found.value,
                plain.text[found.start : found.end],
            )
            for detector, action, found in self.candidates(plain.text)
        ]
        finds.sort(key=lambda find: (find.start, find.end, find.detector.code))
        return finds


def hidden_places(plain: Plain, found: Found, before: int = 0) -> list[tuple[int, int]]:
    """Return where the characters stand that masking replaces; `before` characters of context stand before the plain text."""
    return [
        (plain.start(place), plain.end(place + 1))
        for place in range(found.hidden_start - before, found.hidden_end - before)
        if place >= 0 and plain.text[place].isalnum()
    ]


def screen_for(policy: Policy, direction: Direction) -> Screen:
    """Return the screen of a policy; equal tables share one."""
    table = policy.personal_on_input if direction == "input" else policy.personal_on_output
    known = _SCREENS.get((id(table), direction))
    if known is None:
        if len(_SCREENS) >= _SCREENS_KEPT:
            _SCREENS.clear()
        known = _SCREENS[id(table), direction] = (table, _screen(tuple(sorted(table.items())), direction))
    return known[1]


_SCREENS_KEPT: Final = 256
_SCREENS: Final[dict[tuple[int, Direction], tuple[Mapping[str, str], "Screen"]]] = {}
"""By the identity of a policy's table, which is kept so that no other gets its number; a policy does not change."""


@lru_cache(maxsize=256)
def _screen(table: tuple[tuple[str, str], ...], direction: Direction) -> Screen:
    return Screen(Policy(**{f"personal_on_{direction}": dict(table)}), direction)  # type: ignore[arg-type]  # as they came


class Said:
    """What the person said in this conversation; made when an answer holds a find, for most hold none."""

    __slots__ = ("_folded", "_messages")

    def __init__(self, messages: Sequence[Any]) -> None:
        self._messages = messages
        self._folded: str | None = None

    def __call__(self, value: str) -> bool:
        """Tell whether the person gave this value, in whatever spelling and with whatever separators."""
        if self._folded is None:
            said = [message.get("content") for message in self._messages if isinstance(message, dict) and message.get("role") == "user"]
            self._folded = fold("\n".join(strings(said)))
        folded = fold(value)
        return bool(folded) and folded in self._folded


NOTHING_SAID: Final = Said(())
_EVERYTHING: Final = Policy()


def examine_messages(messages: Sequence[Any], policy: Policy) -> Verdict:
    """Return what was found in what people and tools gave: the messages of an input, but for those of the application and the model."""
    screen = screen_for(policy, "input")
    if not screen.active:
        return PASS
    text = "\n".join(strings([message.get("content") for message in messages if str(message.get("role")) not in _NEVER_EXAMINED]))
    if not screen.may_find(text, units_of(text)):
        return PASS
    given = [(f"messages[{place}]", message) for place, message in enumerate(messages) if str(message.get("role")) not in _NEVER_EXAMINED]
    hits = [
        hit_of(find.detector, find.action, find.start, find.end, f"{where}.{path}")
        for where, message in given
        for path, text in paths({"content": message.get("content")})
        for find in screen.find(text)
    ]
    if not hits:
        return PASS
    refused = any(hit.action == "refuse" for hit in hits)
    return Verdict("hit", "refuse" if refused else "warn", tuple(hits))


def hit_of(detector: Detector, action: Action, start: int, end: int, path: str) -> Hit:
    """Return the hit that a find leaves in the record."""
    return Hit(path, start, end, detector.risk, detector.code, "flag" if action in ("warn", "mask", "deliver") else "block", action)


class Masked(NamedTuple):
    """A whole text as it may leave."""

    text: str
    hits: list[Hit]
    stopped: bool


def mask(text: str, screen: Screen, said: Callable[[str], bool], path: str = "", *, machine: bool = False) -> Masked:
    """Return a text with what its policy hides replaced, character for character; the length stays.

    For a `machine` (tool arguments, JSON mode) a number outside of quotes gets zeros, so that what is read stays JSON.
    """
    finds = screen.find(text)
    if not finds:
        return Masked(text, [], False)
    hits: list[Hit] = []
    hidden: dict[tuple[int, int], str] = {}
    stopped = False
    quotes, followed = OUTSIDE, 0
    for find in finds:
        if said(find.value):
            continue
        hits.append(hit_of(find.detector, find.action, find.start, find.end, path))
        stopped |= find.action == "stop"
        if machine:
            quotes, followed = follow(text[followed : find.start], quotes), find.start
        sign = NOUGHT if machine and is_bare_number(find.plain, quotes) else MASK
        hidden |= dict.fromkeys(find.hidden, sign)
    return Masked(covered(text, hidden), hits, stopped)


def mask_all(text: str) -> str:
    """Return a text with everything personal in it hidden, whatever the policy of a service: for what records keep in clear."""
    return mask(text, screen_for(_EVERYTHING, "output"), NOTHING_SAID).text


def covered(text: str, hidden: Mapping[tuple[int, int], str]) -> str:
    """Return the text with these places replaced, each by as many signs as it is long."""
    out: list[str] = []
    at = 0
    for (start, end), sign in sorted(hidden.items()):
        out += (text[at:start], sign * (end - start))
        at = end
    return "".join((*out, text[at:]))


def follow(text: str, quotes: Quotes) -> Quotes:
    """Return where a reader of JSON is after this text: inside a string or not, after a backslash or not."""
    inside, escaped = quotes
    start = 1 if escaped and text else 0
    if text:
        escaped = False
    for token in _QUOTE.finditer(text, start):
        if token[0] == '"':
            inside = not inside
        else:
            escaped = len(token[0]) == 1
    return Quotes(inside, escaped)


def is_bare_number(found: str, quotes: Quotes) -> bool:
    """Tell whether a find is a JSON number: nothing but digits, outside of a string."""
    return not quotes.inside and found.isdecimal()


def mask_value(value: Any, screen: Screen, said: Callable[[str], bool], path: str, hits: list[Hit], *, machine: bool = False) -> Any:
    """Return a JSON value with every string in it masked, but for identifiers and sounds, and note the hits."""
    if isinstance(value, str):
        masked = mask(value, screen, said, path, machine=machine)
        hits += masked.hits
        return masked.text
    if isinstance(value, dict):
        return {
            name: item
            if name in _IDENTIFIERS or (name == "data" and isinstance(item, str) and is_base64(item))
            else mask_value(item, screen, said, shortened(f"{path}.{name}"), hits, machine=machine or name == "arguments")
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [mask_value(item, screen, said, shortened(f"{path}[{place}]"), hits, machine=machine) for place, item in enumerate(value)]
    return value
