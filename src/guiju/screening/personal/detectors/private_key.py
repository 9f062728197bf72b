"""Private keys in PEM. A block that breaks off is one too."""

import re
from typing import Final

from guiju.screening.personal.detectors.detector import IN_FORCE, SECRET, Detector

_LONGEST: Final = 8_192
_HEAD: Final = r"-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
_BODY: Final = r"(?:[A-Za-z0-9+/=:, \t\r\n]|-(?!-))"
_BEGUN: Final = re.compile(rf"{_HEAD}(?P<hidden>{_BODY}{{0,{_LONGEST}}}+-?)\Z", re.ASCII)
_LINE: Final = re.compile(r"[A-Za-z0-9+/=]{32}")


def _holds_a_key(match: re.Match[str]) -> bool:
    return _LINE.search(match["hidden"]) is not None


def _begun(text: str) -> int:
    start = text.rfind("-----BEGIN ", max(0, len(text) - _LONGEST - 100))
    match = _BEGUN.match(text, start) if start >= 0 else None
    return match.start("hidden") if match else len(text)


PRIVATE_KEY: Final = Detector(
    code="PI-PRIVATE-KEY",
    zh="私钥",
    en="private key",
    risk=SECRET,
    source="Data Security Law Art. 27; RFC 7468",
    effective_from=IN_FORCE,
    hold_chars=_LONGEST + 1,
    hints=("-----BEGIN ",),
    patterns=(re.compile(rf"{_HEAD}(?P<hidden>{_BODY}{{32,{_LONGEST}}}+)", re.ASCII),),
    tail=re.compile(r"[A-Za-z0-9+/=:, \t\r\n-]"),
    begun=_begun,
    judge=_holds_a_key,
    after=2,
)
