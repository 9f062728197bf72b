"""Hostile texts of any size, by name: what somebody would send to make screening slow, blind or fall over. No input or output."""

import base64
from collections.abc import Callable, Sequence
from typing import Final

TERM: Final = "违禁词条"
"""A made-up term that tests put behind hostile text: it must still be found."""

Make = Callable[[int], str]


def _repeated(*pieces: str) -> Make:
    whole = "".join(pieces)
    return lambda size: (whole * (size // len(whole) + 1))[:size]


def _every_code_point(size: int) -> str:
    return "".join(chr(code % 0x110000) for code in range(size))


def _nested_escapes(size: int) -> str:
    text = "违"
    while len(text) < size:
        text = "".join(f"\\u{ord(character) & 0xFFFF:04x}" for character in text)
    return text[:size]


def _nested_percent(size: int) -> str:
    return ("%" + "25" * (size // 2))[:size]


def _nested_base64(size: int) -> str:
    raw = "违禁".encode()
    while len(raw) < size:
        raw = base64.b64encode(raw)
    return raw.decode()[:size]


HOSTILE: Final[dict[str, Make]] = {
    "one letter": _repeated("a"),
    "one Han character": _repeated("违"),
    "one blank": _repeated(" "),
    "one line end": _repeated("\n"),
    "one digit": _repeated("1"),
    "zero characters": _repeated("\0"),
    "combining marks on one letter": lambda size: "e" + "\u0301\u0336" * (size // 2),
    "combining marks on every character": _repeated("违\u0336\u0301\u0489禁\u0336\u0301\u0489词"),
    "zero width between characters": _repeated("违\u200b\u200d\u2060\ufeff禁"),
    "zero width alone": _repeated("\u200b"),
    "separators after a beginning": lambda size: "违禁词" + "." * (size - 3),
    "beginnings of the term": _repeated("违禁词"),
    "the term with a gap too wide": _repeated("违……………………禁……………………词……………………条"),
    "emoji joined": _repeated("👩\u200d👩\u200d👧\u200d"),
    "variation selectors": _repeated("违\ufe0f\U000e0100"),
    "directions turned": _repeated("\u202e违\u202d禁\u2066词\u2069"),
    "half surrogates": _repeated("\ud800违\udfff\udbff"),
    "every code point": _every_code_point,
    "escapes of escapes": _nested_escapes,
    "percent signs of percent signs": _nested_percent,
    "base64 of base64": _nested_base64,
    "backslashes": _repeated("\\"),
    "quotes": _repeated('\\"'),
    "brackets": _repeated("["),
    "numbers of eleven digits": _repeated("13800138000"),
    "digits and blanks": _repeated("1 3-8.0 "),
    "at signs": _repeated("a@"),
    "dots and letters": _repeated("a."),
    "key-like runs": _repeated("sk-", "A" * 47),
    "beginnings of private keys": _repeated("-----BEGIN PRIVATE KEY-----\n"),
    "beginnings of tokens": _repeated("eyJhbGciOi.eyJ"),
    "addresses": _repeated("北京市海淀区中关村大街1号"),
    "names": _repeated("我叫张三，"),
    "full width": _repeated("ｅ＠１３８"),
    "ligatures that fold to many": _repeated("\ufdfa"),
}
"""Name → text of about so many characters."""


def near_misses(terms: Sequence[str], size: int) -> str:
    """Return text made of terms without their last character, which nothing may hit."""
    whole = "。".join(term[:-1] for term in terms)
    return (whole * (size // max(1, len(whole)) + 1))[:size]
