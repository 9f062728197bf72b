"""JSON Web Tokens: three parts in base64, the first of which is a JSON object that names an algorithm."""

import base64
import binascii
import re
from typing import Final

from guiju.screening.personal.detectors.detector import IN_FORCE, SECRET, Detector

_TOKEN: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-."
_SHOWN: Final = 6
_SIGN: Final = "[A-Za-z0-9_-]"
_BEGUN: Final = re.compile(rf"eyJ{_SIGN}{{3,1000}}(?:\.(?:e(?:y(?:J{_SIGN}{{0,3000}}(?:\.{_SIGN}{{0,1000}})?)?)?)?)?\Z", re.ASCII)


def _names_an_algorithm(match: re.Match[str]) -> bool:
    head = match.string[match.start() : match.string.index(".", match.start())]
    try:
        return b'"alg"' in base64.urlsafe_b64decode(head + "=" * (-len(head) % 4))
    except (binascii.Error, ValueError):
        return False


def _begun(text: str) -> int:
    start = len(text.rstrip(_TOKEN))
    return min(start + _SHOWN, len(text)) if _BEGUN.match(text, start) else len(text)


JSON_WEB_TOKEN: Final = Detector(
    code="PI-JSON-WEB-TOKEN",
    zh="JSON Web 令牌",
    en="JSON Web Token",
    risk=SECRET,
    source="Data Security Law Art. 27; RFC 7519",
    effective_from=IN_FORCE,
    hold_chars=5_002,
    hints=("eyJ",),
    patterns=(
        re.compile(
            rf"(?<![A-Za-z0-9_.-])eyJ{_SIGN}{{3}}(?P<hidden>{_SIGN}{{7,997}}\.eyJ{_SIGN}{{8,3000}}\.{_SIGN}{{16,1000}})(?![A-Za-z0-9_-])",
            re.ASCII,
        ),
    ),
    tail=re.compile("[A-Za-z0-9_.-]"),
    begun=_begun,
    judge=_names_an_algorithm,
)
