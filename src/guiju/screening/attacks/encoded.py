"""A request in code, with the order to decode it: base64, hexadecimal, ROT13, Morse. What it decodes to is screened too.

Runs that `spellings/encoded.py` reads are screened in every text, whatever stands beside them; here they are told as an attack.
"""

import codecs
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from guiju.screening.attacks.kind import Kind, Span
from guiju.screening.spellings.encoded import decoded_runs, of_base64, of_hexadecimal
from guiju.screening.values import Confidence

_BASE64: Final = re.compile(r"(?<![A-Za-z0-9+/=_-])[A-Za-z0-9+/_-]{12,100000}={0,2}(?![A-Za-z0-9+/=_-])")
_HEX: Final = re.compile(r"(?<![0-9A-Za-z])(?:(?:0x|\\x)?[0-9a-fA-F]{2}[ ,]?){6,50000}(?![0-9A-Za-z])")
_MORSE: Final = re.compile(r"(?:[.·\-–—−]{1,6}[ /|]{1,3}){5,2000}[.·\-–—−]{1,6}")
_ROT13: Final = re.compile(r"rot[ -]?13", re.IGNORECASE)
_SHIFT: Final = re.compile(r"(?:凯撒|恺撒|移位|caesar|shift)", re.IGNORECASE)
_BY: Final = re.compile(r"(?<!\d)([1-9]|1\d|2[0-5])(?!\d)")
_DECODE: Final = re.compile("解密|解码|译码|破译|decod|decrypt|decipher", re.IGNORECASE)
_THEN: Final = re.compile("回答|作答|答复|执行|遵循|回应|answer|respond|reply|carry out|execute|follow", re.IGNORECASE)
_THEN_WITHIN: Final = 160
_CODED: Final = re.compile(
    r"(?:(?:0x|\\x|%|&#|U\+)[0-9A-Fa-f]{2,8}[ ,;|/-]{0,2}){6}|(?<![0-9A-Fa-f])(?:[0-9A-Fa-f]{2,8}[ ,;|/-]{1,2}){6}|(?<![0-9A-Za-z])[0-9A-Fa-f]{12}"
)
_LETTERED: Final = re.compile(r"[A-Za-z][A-Za-z ,.']{11,4000}|[\u4e00-\u9fff，。？！、]{4,4000}")
_WORDS: Final = re.compile(r"[A-Za-z][A-Za-z ,.']{11,4000}")
_LETTERS: Final = dict(
    zip(
        ".- -... -.-. -.. . ..-. --. .... .. .--- -.- .-.. -- -. --- .--. --.- .-. ... - ..- ...- .-- -..- -.-- --..".split(),
        "abcdefghijklmnopqrstuvwxyz",
        strict=True,
    )
)
_PLAIN_MORSE: Final = str.maketrans("·–—−", ".---")
_HEX_SIGNS: Final = re.compile(r"0x|\\x|[ ,]")
DECODED_AT_MOST: Final = 100_000
"""So many characters of decoded text are screened for one text; who sends more is told by the kind alone."""


def _base64(run: str) -> str:
    return _speech(of_base64(run))


def _hexadecimal(run: str) -> str:
    return _speech(of_hexadecimal(_HEX_SIGNS.sub("", run)))


def _speech(text: str) -> str:
    """Return a text that could be a request: half of it letters."""
    return text if 2 * sum(character.isalpha() for character in text) >= len(text) else ""


def _morse(run: str) -> str:
    letters = [_LETTERS.get(sign, "") for sign in re.split(r"[ /|]+", run.translate(_PLAIN_MORSE))]
    return "".join(letters) if letters.count("") * 5 <= len(letters) else ""


def _moved(run: str, by: int) -> str:
    """Return letters moved back in the alphabet, and Chinese characters moved back in Unicode."""
    moved = []
    for sign in run:
        if sign.isascii() and sign.isalpha():
            base = 97 if sign.islower() else 65
            moved.append(chr((ord(sign) - base - by) % 26 + base))
        else:
            moved.append(chr(ord(sign) - by) if "\u4e1a" <= sign <= "\u9fff" else sign)
    return "".join(moved)


def _order(text: str) -> tuple[int, int] | None:
    """Return where it says: decode this, and then do what it says."""
    acts = [match.end() for match in _THEN.finditer(text)]
    if not acts:
        return None
    for match in _DECODE.finditer(text):
        place = bisect_right(acts, match.end())
        if place < len(acts) and acts[place] - match.end() <= _THEN_WITHIN:
            return match.start(), acts[place]
    return None


def _examine(text: str) -> Iterator[Span]:
    left = DECODED_AT_MOST
    ways: list[tuple[re.Pattern[str], Callable[[str], str]]] = [(_BASE64, _base64), (_HEX, _hexadecimal), (_MORSE, _morse)]
    if _ROT13.search(text):
        ways.append((_WORDS, lambda run: codecs.decode(run, "rot13")))
    shift, order = _SHIFT.search(text), _order(text)
    if shift and order:
        steps = {3, *(int(each[1]) for each in _BY.finditer(text[:2_000]))}
        ways += [(_LETTERED, partial(_moved, by=step)) for step in sorted(steps)[:6]]
    elif order and _CODED.search(text):
        yield Span(*order, "low")
    screened = {run.text for run in decoded_runs(text)}
    for pattern, decode in ways:
        for match in pattern.finditer(text):
            decoded = decode(match[0])[:left]
            if decoded:
                left -= len(decoded)
                confidence: Confidence = "low" if decode not in (_base64, _hexadecimal) else "medium"
                yield Span(match.start(), match.end(), confidence, "" if decoded in screened else decoded)
            if left <= 0:
                return


ENCODED: Final = Kind(
    code="PA-ENCODED",
    zh="编码绕过",
    en="encoding trick",
    hints=(
        *("base64", "解码", "译码", "解密", "编码", "十六进制", "摩斯", "莫尔斯", "摩尔斯", "密文", "暗号", "凯撒", "恺撒"),
        *("decod", "decipher", "decrypt", "encoded", "rot13", "caesar", "hexadecimal", "hexstring", "morse", "cipher", "atob"),
    ),
    reads="written",
    examine=_examine,
)
