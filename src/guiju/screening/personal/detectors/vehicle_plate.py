"""Number plates of vehicles, those of new-energy vehicles too."""

import re
from typing import Final

from guiju.screening.personal.detectors.detector import IN_FORCE, PERSONAL, Detector, ending_in

_PLACES: Final = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼使"
_PLACE: Final = f"[{_PLACES}][A-HJ-NP-Z]"
_SEPARATOR: Final = "[ ·•.-]?"
_SIGN: Final = "[A-HJ-NP-Z0-9]"
_DIGITS_AT_LEAST: Final = 3


def _is_plate(match: re.Match[str]) -> bool:
    return sum(character.isdigit() for character in match[0]) >= _DIGITS_AT_LEAST


VEHICLE_PLATE: Final = Detector(
    code="PI-VEHICLE-PLATE",
    zh="机动车号牌",
    en="vehicle number plate",
    risk=PERSONAL,
    source="PIPL Art. 4; GA 36-2018",
    effective_from=IN_FORCE,
    hold_chars=8,
    hints=tuple(f"{place}A" for place in _PLACES),
    patterns=(
        re.compile(
            rf"{_PLACE}{_SEPARATOR}(?:{_SIGN}{{4}}[A-HJ-NP-Z0-9挂学警港澳]|[A-HJK]{_SIGN}\d{{4}}|\d{{5}}[A-HJK])(?![A-Za-z0-9])", re.ASCII
        ),
    ),
    tail=re.compile("[A-HJ-NP-Z0-9挂学警港澳 ·•.-]"),
    begun=ending_in(rf"{_PLACE}(?P<hidden>{_SEPARATOR}{_SIGN}{{0,6}}[挂学警港澳]?)", 10),
    keep=(2, 2),
    judge=_is_plate,
)
