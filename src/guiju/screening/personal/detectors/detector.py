"""What every detector is: a frozen value that finds one kind of personal information or secret in a text.

A detector looks at a bounded piece of text: `pattern` has no repetition without end, `judge` looks at the match and at most
`BEHIND` characters before it. So a text can be read in pieces: whatever stands further back has been decided.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Final, NamedTuple

BEHIND: Final = 96
"""No detector looks further back than this from the first character that it would hide."""
PERSONAL: Final = "A.4.f"
"""Risk of all personal information: the rights of the person whom it belongs to."""
SECRET: Final = "A.3.c"
"""Risk of keys and passwords: whoever reads one can open what it opens."""
IN_FORCE: Final = date(2026, 11, 24)
"""Since when the first detectors are part of a release."""


DIGITS: Final = ("000000",)
"""What stands in every text that has a number of the longer kinds."""


class Found(NamedTuple):
    """One find, in characters of the usual spelling. From `hidden_start` to `hidden_end` is what masking replaces."""

    start: int
    end: int
    hidden_start: int
    hidden_end: int
    value: str
    """What a person would have to have said themselves, for it to be no news to them."""


def _always(match: re.Match[str]) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Detector:
    """One kind of personal information or secret. `code` is never used again for another kind."""

    code: str
    zh: str
    en: str
    risk: str
    source: str
    effective_from: date
    hold_chars: int
    """At most so many characters of a stream wait for the decision."""
    hints: tuple[str, ...]
    """One of these words stands in every text that has a find, written as `signs.py` says: `0` any digit, `A` any capital letter."""
    patterns: tuple[re.Pattern[str], ...]
    """A match is a candidate. Group `value`, where there is one, is the span; group `hidden` what is replaced; group `core` the value."""
    tail: re.Pattern[str]
    """The last character of a text in which a find can be open."""
    begun: Callable[[str], int]
    """Where the characters begin that a find at the open end of the text would hide; the text's length when there is none."""
    keep: tuple[int, int] = (0, 0)
    """So many characters at both ends stay readable, where there is no group `hidden`."""
    judge: Callable[[re.Match[str]], bool] = _always
    after: int = 1
    """So many characters behind a find have to be known."""

    def examine(self, text: str, since: int = 0) -> Iterator[Found]:
        """Yield every find that begins at or after `since`, in usual spelling; finds may overlap."""
        for pattern in self.patterns:
            match = pattern.search(text, since)
            while match is not None:
                if self.judge(match):
                    yield self._found(match)
                match = pattern.search(text, match.start() + 1)

    def _found(self, match: re.Match[str]) -> Found:
        groups = match.re.groupindex
        start, end = match.span("value") if "value" in groups else match.span()
        hidden = match.span("hidden") if "hidden" in groups else (start + self.keep[0], end - self.keep[1])
        return Found(start, end, *hidden, match["core"] if "core" in groups else match.string[start:end])


def ending_in(pattern: str, longest: int) -> Callable[[str], int]:
    """Return a `begun` for a short kind: the first place in the last `longest` characters from which `pattern` reaches the end.

    The group `hidden` of the pattern begins where the find would be hidden.
    """
    compiled = re.compile(f"(?:{pattern})\\Z", re.ASCII)

    def begun(text: str) -> int:
        match = compiled.search(text, max(0, len(text) - longest))
        return match.start("hidden") if match else len(text)

    return begun
