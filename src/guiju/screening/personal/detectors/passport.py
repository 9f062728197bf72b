"""Numbers of Chinese passports and travel permits, where a word nearby says that it is one."""

import re
from typing import Final

from guiju.screening.personal.detectors.detector import IN_FORCE, PERSONAL, Detector, ending_in

_WORDS: Final = ("护照", "護照", "通行证", "通行證", "assport")
_WORD_WITHIN: Final = 24


def _is_told(match: re.Match[str]) -> bool:
    """Tell whether a word before the number says what it is: nine characters alone are an order or a part number as well."""
    before = match.string[max(0, match.start() - _WORD_WITHIN) : match.start()]
    return any(word in before for word in _WORDS)


PASSPORT: Final = Detector(
    code="PI-PASSPORT",
    zh="护照与通行证号码",
    en="passport or travel permit number",
    risk=PERSONAL,
    source="PIPL Arts. 4, 28",
    effective_from=IN_FORCE,
    hold_chars=8,
    hints=_WORDS,
    patterns=(re.compile(r"(?<![0-9A-Za-z])(?:[CDEGHKMPS]\d{8}|E[A-HJ-NP-Z]\d{7})(?![0-9A-Za-z])", re.ASCII),),
    tail=re.compile("[0-9]"),
    begun=ending_in(r"(?<![0-9A-Za-z])[CDEGHKMPS][A-HJ-NP-Z0-9](?P<hidden>\d{0,7})", 9),
    keep=(2, 2),
    judge=_is_told,
)
