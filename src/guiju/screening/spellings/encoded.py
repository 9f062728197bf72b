"""Runs of base64 (standard and URL-safe), hexadecimal and percent-encoding in a text, and the texts that they stand for.

A run is sixteen characters of their alphabets or more, whatever stands around it; lines that follow each other are also read as one.
What is decoded may hold a run in its turn, two deep and no deeper. What a run stands for is never longer than the run, and lines are read
at most twice, so all that is decoded is at most four times as long as the text. A picture, a key or a hash stands for no text.
"""

import binascii
import re
import string
from collections.abc import Iterator
from typing import Final, NamedTuple

RUN_CHARACTERS: Final = 16
"""Shorter runs are words and numbers."""
DEEPEST: Final = 2
"""So often one code is read inside another."""
RUN_SIGNS: Final = string.ascii_letters + string.digits + "+/_-%"
_ANY: Final = re.compile("[A-Za-z0-9+/_%-]")
_LINE: Final = re.compile(rf"[A-Za-z0-9+/_%-]{{{RUN_CHARACTERS},}}={{0,2}}")
_RUN: Final = re.compile(rf"[A-Za-z0-9+/_%-]{{{RUN_CHARACTERS}}}[A-Za-z0-9+/_%\r\n-]*={{0,2}}")
_HEX: Final = re.compile("[0-9A-Fa-f]+")
_TO_STANDARD: Final = str.maketrans("-_", "+/", "%=\r\n")
_ESCAPED: Final = (("+", ("%2B", "%2b")), ("/", ("%2F", "%2f")), ("=", ("%3D", "%3d")))
"""The signs of base64 that addresses escape."""
_IS_SIGN: Final = bytes(chr(code) in RUN_SIGNS for code in range(256))
RUN: Final = b"\x01" * RUN_CHARACTERS
"""A run, each of its signs as one byte."""
_CONTROLS: Final = bytes({*range(0x20), 0x7F} - set(b"\t\n\r\f"))


class Decoded(NamedTuple):
    """What a run stands for; `start` and `end` are the run's place in the original text."""

    start: int
    end: int
    text: str


def may_be_encoded(text: str) -> bool:
    """Tell whether a text has a run: the quick test that nearly all fail, about 1 ns a character.

    Of what is not all ASCII every sixteenth character is looked at first: a run cannot stand between two of them.
    """
    if not text.isascii() and _ANY.search(text[RUN_CHARACTERS - 1 :: RUN_CHARACTERS]) is None:
        return False
    return RUN in text.encode("ascii", "replace").translate(_IS_SIGN)


def decoded_runs(text: str) -> Iterator[Decoded]:
    """Yield what the runs of a text stand for, in its order, the outer code before the inner one.

    >>> [tuple(each) for each in decoded_runs("请读 5LuK5aSp5aSp5rCU5b6I5aW9 谢谢")]
    [(3, 27, '今天天气很好')]
    """
    for outer in _decoded_in(text):
        yield outer
        decoded = outer.text
        for _ in range(DEEPEST - 1):
            if not may_be_encoded(decoded):
                break
            decoded = "\n".join([inner.text for inner in _decoded_in(decoded)])
            if decoded:
                yield outer._replace(text=decoded)


def _decoded_in(text: str) -> Iterator[Decoded]:
    for match in _RUN.finditer(text):
        written = match[0].rstrip("\r\n")
        whole = decode(written)
        if whole:
            yield Decoded(match.start(), match.start() + len(written), whole)
        if "\n" in written and not (whole and _is_one_code(written)):
            for line in _LINE.finditer(text, match.start(), match.end()):
                decoded = decode(line[0])
                if decoded:
                    yield Decoded(line.start(), line.end(), decoded)


def _is_one_code(written: str) -> bool:
    """Tell whether lines look like one code that was wrapped. Where they do not, each may be a code of its own, and together they shift."""
    *lines, last = written.split()
    width = len(lines[0])
    return width % 4 == 0 and len(last) <= width and all(len(line) == width for line in lines)


def decode(run: str) -> str:
    """Return the text that a run stands for; empty when it stands for none that a person could read."""
    if "%" in run:
        digits = run.replace("%", "")
        if run[::3] == "%" * (len(digits) // 2) and _HEX.fullmatch(digits) and (text := of_hexadecimal(digits)):
            return text
        for sign, escapes in _ESCAPED:
            for escape in escapes:
                run = run.replace(escape, sign)
    run = run.translate(_TO_STANDARD)
    if _HEX.fullmatch(run) and (text := of_hexadecimal(run)):
        return text
    for first in range(4):  # what stands right before the code shifts it
        text = _of_standard(run[first:])
        if text:
            return text
    return ""


def of_base64(run: str) -> str:
    """Return the text that base64 in one piece stands for, else an empty text."""
    return _of_standard(run.translate(_TO_STANDARD))


def _of_standard(run: str) -> str:
    return readable(binascii.a2b_base64(run[:-1] + "==" if len(run) % 4 == 1 else run + "=="))


def of_hexadecimal(run: str) -> str:
    """Return the text that hexadecimal digits stand for, else an empty text."""
    return readable(bytes.fromhex(run)) if len(run) % 2 == 0 else ""


def readable(raw: bytes) -> str:
    """Return bytes of UTF-8 as text where nine tenths of its characters can be read, else an empty text."""
    unreadable = len(raw) - len(raw.translate(None, _CONTROLS))
    if 10 * unreadable > len(raw):
        return ""  # a picture: not even decoded
    text = raw.decode(errors="replace")
    unreadable += text.count("\ufffd")
    return text if len(text) > 3 and 10 * unreadable <= len(text) else ""
