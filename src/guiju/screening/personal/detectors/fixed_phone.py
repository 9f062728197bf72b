"""Fixed telephone numbers: area code, a separator or brackets, and seven or eight digits."""

import re
from typing import Final

from guiju.screening.personal.detectors.detector import DIGITS, IN_FORCE, PERSONAL, Detector, ending_in

_AREA: Final = r"0(?:10|2[0-57-9]|[3-9]\d\d)"

FIXED_PHONE: Final = Detector(
    code="PI-FIXED-PHONE",
    zh="固定电话号码",
    en="fixed telephone number",
    risk=PERSONAL,
    source="PIPL Art. 4",
    effective_from=IN_FORCE,
    hold_chars=9,
    hints=DIGITS,
    patterns=(
        re.compile(
            rf"(?<![0-9A-Za-z])(?:[(（]{_AREA}[)）][ -]?|{_AREA}[ -])(?P<hidden>[2-9]\d{{2,3}})[ -]?\d{{4}}(?![0-9A-Za-z])(?![ -]\d)",
            re.ASCII,
        ),
    ),
    tail=re.compile(r"[0-9 -]"),
    begun=ending_in(r"(?<![0-9A-Za-z])(?:[(（]0\d{2,3}[)）][ -]?|0\d{2,3}[ -])(?P<hidden>[2-9]\d{0,3}(?:[ -]?\d{0,4})?[ -]?)", 17),
    after=2,
)
