"""A text as the detectors read it: usual spelling, one character for one, with the way back into the original.

Full-width letters and digits and odd dashes become ASCII; invisible characters vanish; escapes as in JSON
(`\\u5f20`, `\\n`) become the character that they stand for. Nothing else is folded: case and separators tell a key from a word.
Each character is decided by itself, so a text may be cut anywhere; what an open escape means is not known before its end.
"""

import re
from typing import Final, NamedTuple

INVISIBLE_RUN: Final = 16
"""More invisible characters than this in a row end whatever was being read: what is held back stays bounded."""
BREAK: Final = "\x00"

_RANGES: Final = ("\u00ad", "\u034f", "\u061c", "\u180e", "\u200b\u200f", "\u202a\u202e", "\u2060\u2064", "\ufe00\ufe0f", "\ufeff")
INVISIBLE: Final = "".join(chr(code) for both in _RANGES for code in range(ord(both[0]), ord(both[-1]) + 1))
"""Characters that nobody sees."""
USUAL: Final = {
    **{chr(0xFEE0 + code): chr(code) for code in (*range(0x30, 0x3A), *range(0x40, 0x5B), *range(0x61, 0x7B), *b"%+-./_")},
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2212", "-"),
    **dict.fromkeys("\u00a0\u2007\u202f\u3000", " "),
}
_ESCAPE: Final = r"\\(?:u([0-9a-fA-F]{4})|([nrtbf/]))"
_UNUSUAL: Final = re.compile(f"{_ESCAPE}|([{INVISIBLE}]+)|[{re.escape(''.join(USUAL))}]")
ANY_UNUSUAL: Final = rf"[\\{INVISIBLE}{re.escape(''.join(USUAL))}]"
"""A character that does not stand for itself."""
_ANY_UNUSUAL: Final = re.compile(ANY_UNUSUAL)
_ONE_INVISIBLE: Final = re.compile(f"[{INVISIBLE}]")
_OPEN: Final = re.compile(rf"(?:\\(?:u[0-9a-fA-F]{{0,3}})?|[{INVISIBLE}]{{1,{INVISIBLE_RUN}}})\Z")
_CONTROL: Final = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "/": "/"}


class Plain(NamedTuple):
    """A text in usual spelling. `starts` and `ends` lead back, and are None where nothing was changed; `read` is how much of
    the original was read: an open end is not.
    """

    text: str
    starts: list[int] | None
    ends: list[int] | None
    read: int

    def start(self, place: int) -> int:
        """Return where the original of the character at `place` begins; the end of what was read for the place after the last."""
        if self.starts is None:
            return place
        return self.starts[place] if place < len(self.starts) else self.read

    def end(self, place: int) -> int:
        """Return where the original of the character before `place` ends."""
        return place if self.ends is None else self.ends[place - 1]


def plain_of(text: str, *, final: bool = True) -> Plain:
    """Return the text in usual spelling; without `final`, an escape or a run of invisible characters at its end stays unread."""
    if _ANY_UNUSUAL.search(text) is None:
        return Plain(text, None, None, len(text))
    read = len(text)
    if not final:
        begun = _OPEN.search(text, max(0, read - INVISIBLE_RUN - 1))
        # A run that is longer than the window is a break already, and so it is decided.
        if begun and not (begun.end() - begun.start() == INVISIBLE_RUN and _is_long_run(text, begun.start())):
            read = begun.start()
    out: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    at = 0
    for match in _UNUSUAL.finditer(text, 0, read):
        here, after = match.span()
        if here > at:
            out.append(text[at:here])
            starts.extend(range(at, here))
            ends.extend(range(at + 1, here + 1))
        at = after
        code, control, invisible = match.groups()
        if invisible:
            if after - here <= INVISIBLE_RUN:
                continue
            usual = BREAK
        else:
            usual = chr(int(code, 16)) if code else _CONTROL[control] if control else USUAL[match[0]]
        out.append(usual)
        starts.append(here)
        ends.append(after)
    if at < read:
        out.append(text[at:read])
        starts.extend(range(at, read))
        ends.extend(range(at + 1, read + 1))
    return Plain("".join(out), starts, ends, read)


def _is_long_run(text: str, start: int) -> bool:
    return start > 0 and _ONE_INVISIBLE.match(text, start - 1) is not None
