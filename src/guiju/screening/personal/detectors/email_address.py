"""E-mail addresses: of what stands before the @, all but the first two characters is hidden; where there are no more, what follows it."""

import re
from typing import Final

from guiju.screening.personal.detectors.detector import IN_FORCE, PERSONAL, Detector

_LOCAL: Final = "A-Za-z0-9._%+-"
_LOCAL_CHARACTERS: Final = 64
_DOMAIN_CHARACTERS: Final = 135
_SHOWN: Final = 2
_NEVER_FIRST: Final = ".%+-"
_FIRST: Final = rf"(?<![{_LOCAL}])[A-Za-z0-9_]"
_DOMAIN: Final = r"(?:[A-Za-z0-9-]{1,40}\.){1,3}[A-Za-z]{2,12}(?![A-Za-z0-9-])(?!\.[A-Za-z0-9-])"
_RUN: Final = "".join(map(chr, range(128))).translate({code: None for code in range(128) if not re.match(f"[{_LOCAL}@]", chr(code))})


def _begun(text: str) -> int:
    """Return the first character that would be hidden of the address that the text's end may be in."""
    end = len(text)
    run = len(text.rstrip(_RUN))
    at = text.rfind("@", run)
    if at >= 0:
        local = max(run, text.rfind("@", run, at) + 1)
        if 1 <= at - local <= _LOCAL_CHARACTERS and end - at <= _DOMAIN_CHARACTERS + 2 and text[local] not in _NEVER_FIRST:
            return local + _SHOWN if at - local > _SHOWN else at + 1
        run = at + 1
    return run + _SHOWN if run + _SHOWN < end <= run + _LOCAL_CHARACTERS and text[run] not in _NEVER_FIRST else end


EMAIL_ADDRESS: Final = Detector(
    code="PI-EMAIL-ADDRESS",
    zh="电子邮箱地址",
    en="e-mail address",
    risk=PERSONAL,
    source="PIPL Art. 4",
    effective_from=IN_FORCE,
    hold_chars=_LOCAL_CHARACTERS + _DOMAIN_CHARACTERS + 1,
    hints=("@",),
    patterns=(
        re.compile(rf"{_FIRST}[{_LOCAL}](?P<hidden>[{_LOCAL}]{{1,62}})@{_DOMAIN}", re.ASCII),
        re.compile(rf"{_FIRST}[{_LOCAL}]?@(?P<hidden>{_DOMAIN})", re.ASCII),
    ),
    tail=re.compile(f"[{_LOCAL}@]"),
    begun=_begun,
    after=2,
)
