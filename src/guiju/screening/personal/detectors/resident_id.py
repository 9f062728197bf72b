"""Resident identity numbers: 18 characters with a check digit, or the 15 digits of older cards."""

import re
from datetime import date
from functools import lru_cache
from typing import Final

from stdnum import numdb
from stdnum.cn import ric

from guiju.screening.personal.detectors.detector import DIGITS, IN_FORCE, PERSONAL, Detector, ending_in

_FIRST_YEAR: Final = 1800
_LAST_YEAR: Final = 2099


def _is_number(match: re.Match[str]) -> bool:
    """Tell whether area, date of birth and check digit can be right together.

    Of an area code in 18 digits the province alone is asked: codes come and go, and the check digit is proof enough. The older
    form has none, so the whole area code must have existed.
    """
    number = re.sub("[ -]", "", match[0]).upper()
    if len(number) == 18:
        return _area(number[:2]) and _is_date(number[6:14]) and ric.calc_check_digit(number) == number[-1]
    return _is_date("19" + number[6:12]) and _area(number[:6])


@lru_cache(maxsize=4096)
def _area(code: str) -> bool:
    return all(properties for _, properties in numdb.get("cn/loc").info(code))


def _is_date(digits: str) -> bool:
    try:
        born = date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return False
    return _FIRST_YEAR <= born.year <= _LAST_YEAR


RESIDENT_ID: Final = Detector(
    code="PI-RESIDENT-ID",
    zh="居民身份证号码",
    en="resident identity number",
    risk=PERSONAL,
    source="PIPL Arts. 4, 28; GB 11643-1999",
    effective_from=IN_FORCE,
    hold_chars=17,
    hints=DIGITS,
    patterns=(
        re.compile(r"(?<![0-9A-Za-z])\d{6}[ -]?\d{8}[ -]?\d{3}[\dXx](?![0-9A-Za-z])", re.ASCII),
        re.compile(r"(?<![0-9A-Za-z])\d{15}(?![0-9A-Za-z])", re.ASCII),
    ),
    tail=re.compile(r"[0-9Xx -]"),
    begun=ending_in(r"(?<![0-9A-Za-z])\d{3}(?P<hidden>\d{0,3}|\d{3}[ -]?\d{0,8}|\d{3}[ -]?\d{8}[ -]?(?:\d{0,3}|\d{3}[\dXx]))", 20),
    keep=(3, 4),
    judge=_is_number,
)
