"""Escapes: characters written as codes, as in JSON and programs (`\\u8d4c`, `\\xe8\\xb5\\x8c`), in addresses (`%E8%B5%8C`) and pages (`&#36172;`).

They are part of the fold of every text: each is short, ends by itself and stands for one character, so a text may be cut inside one.
"""

import re
from typing import Final

MARKS: Final = frozenset("\\%&")
"""What escapes begin with."""
_CONTROL: Final = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
_NAMED: Final = {
    "nbsp": "\u00a0", "ensp": "\u2002", "emsp": "\u2003", "thinsp": "\u2009", "shy": "\u00ad", "zwnj": "\u200c", "zwj": "\u200d",
    "amp": "&", "lt": "<", "gt": ">", "quot": '"',
}  # fmt: skip
"""The entities that stand for nothing, for space and for what must be escaped in a page."""
_HEX: Final = "[0-9a-fA-F]"
_NEXT: Final = ("[89abAB]", _HEX)
_BYTES: Final[tuple[tuple[str, ...], ...]] = (
    ("[fF]", "0", "[9abAB]", _HEX, *_NEXT, *_NEXT),
    ("[eE]", "[1-9a-cA-CefEF]", *_NEXT, *_NEXT),
    ("[cC]", "[2-9a-fA-F]", *_NEXT),
    ("[dD]", _HEX, *_NEXT),
    ("[2-7]", _HEX),
    ("0", "[9aAdD]"),
)
"""One character in UTF-8, digit by digit; longer ones first. Forms that UTF-8 forbids are no character."""
_PREFIXES: Final = (("%", "2", "5"), ("%",), ("\\\\", "x"))
"""What stands before each byte. `%25` is a per cent sign that was escaped itself: escaped twice."""


def _in_bytes() -> list[list[str]]:
    forms = []
    for prefix in _PREFIXES:
        for digits in _BYTES:
            form: list[str] = []
            for place, digit in enumerate(digits):
                form += [*prefix, digit] if place % 2 == 0 else [digit]
            forms.append(form)
    return forms


_SURROGATES: Final = ["\\\\", "u", "[dD]", "[89abAB]", _HEX, _HEX, "\\\\", "u", "[dD]", "[c-fC-F]", _HEX, _HEX]
_FOUR: Final = ["\\\\", "u", _HEX, _HEX, _HEX, _HEX]
_FORMS: Final = sorted(_in_bytes(), key=len, reverse=True)

ESCAPE: Final = re.compile(
    rf"\\u[dD][89abAB]{_HEX}{{2}}\\u[dD][c-fC-F]{_HEX}{{2}}|\\u{_HEX}{{4}}|\\u\{{{_HEX}{{1,6}}\}}|\\[nrtbf]"
    rf"|&\#[0-9]{{1,7}};?|&\#[xX]{_HEX}{{1,6}};?|&(?:{'|'.join(_NAMED)});|" + "|".join("".join(form) for form in _FORMS)
)


def _begun(tokens: list[str]) -> str:
    """Return the pattern of every beginning that is not the whole."""
    pattern = ""
    for token in reversed(tokens[1:-1]):
        pattern = f"(?:{token}{pattern})?"
    return tokens[0] + pattern


ESCAPE_BEGUN: Final = re.compile(
    "(?:"
    + "|".join(
        [_begun(each) for each in (_SURROGATES, _FOUR, *_FORMS, *([*"&", *name, ";"] for name in _NAMED))]
        + [rf"\\(?:u(?:\{{{_HEX}{{0,6}})?)?", rf"&(?:\#(?:[0-9]{{0,7}}|[xX]{_HEX}{{0,6}}))?"]
    )
    + r")\Z"
)
"""What stands open at the end of a piece: the next one decides what it means."""

_DIGITS: Final = re.compile(r"(?:%25|%|\\x)")


def may_escape(text: str) -> bool:
    """Tell whether an escape can be in the text: nearly none has one."""
    return "\\" in text or "%" in text or "&" in text


def unescaped(match: re.Match[str]) -> str:
    """Return the character that an escape stands for; U+FFFD where its number is none."""
    written = match[0]
    mark, kind = written[0], written[1]
    if mark == "%" or (mark == "\\" and kind == "x"):
        return bytes.fromhex(written[1:] if len(written) == 3 else _DIGITS.sub("", written)).decode()
    if mark == "&":
        if kind != "#":
            return _NAMED[written[1:-1]]
        number = written[2:].removesuffix(";")
        return _character(int(number[1:], 16) if number[0] in "xX" else int(number))
    if kind != "u":
        return _CONTROL[kind]
    if written[2] == "{":
        return _character(int(written[3:-1], 16))
    if len(written) == 12:
        return _character(0x10000 + ((int(written[2:6], 16) - 0xD800) << 10) + int(written[8:], 16) - 0xDC00)
    return _character(int(written.removeprefix("\\u"), 16))


def _character(code: int) -> str:
    return chr(code) if code <= 0x10FFFF else "\ufffd"
