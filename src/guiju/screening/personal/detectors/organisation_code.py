"""Unified social credit codes of organisations and sole traders, by their check character."""

import re
from typing import Final

from stdnum.cn import uscc

from guiju.screening.personal.detectors.detector import DIGITS, IN_FORCE, Detector, ending_in

_SIGN: Final = "[0-9A-HJ-NPQRTUWXY]"


def _is_code(match: re.Match[str]) -> bool:
    return uscc.is_valid(match[0])


ORGANISATION_CODE: Final = Detector(
    code="PI-ORGANISATION-CODE",
    zh="统一社会信用代码",
    en="unified social credit code",
    risk="A.4.g",
    source="GB 32100-2015",
    effective_from=IN_FORCE,
    hold_chars=15,
    hints=DIGITS,
    patterns=(re.compile(rf"(?<![0-9A-Za-z])[1-9ANY]{_SIGN}\d{{6}}{_SIGN}{{10}}(?![0-9A-Za-z])", re.ASCII),),
    tail=re.compile(_SIGN),
    begun=ending_in(rf"(?<![0-9A-Za-z])[1-9ANY]{_SIGN}\d(?P<hidden>\d{{0,5}}|\d{{5}}{_SIGN}{{0,10}})", 18),
    keep=(3, 4),
    judge=_is_code,
)
