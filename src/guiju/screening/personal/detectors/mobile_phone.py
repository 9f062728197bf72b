"""Mobile telephone numbers of the mainland, with or without the country code."""

import re
from typing import Final

from guiju.screening.personal.detectors.detector import DIGITS, IN_FORCE, PERSONAL, Detector, ending_in

_SERIES: Final = r"1(?:3\d|4[014-9]|5[0-35-9]|6[2567]|7[0-8]|8\d|9[0-35-9])"
"""The series in use, from public listings; a new one is a change of this line."""

MOBILE_PHONE: Final = Detector(
    code="PI-MOBILE-PHONE",
    zh="手机号码",
    en="mobile telephone number",
    risk=PERSONAL,
    source="PIPL Art. 4",
    effective_from=IN_FORCE,
    hold_chars=14,
    hints=DIGITS,
    patterns=(
        re.compile(
            rf"(?<![0-9A-Za-z])(?<!\d\.)(?:(?:00)?86)?(?P<core>{_SERIES}(?:\d{{8}}|[ -]\d{{4}}[ -]\d{{4}}))(?![0-9A-Za-z])", re.ASCII
        ),
    ),
    tail=re.compile(r"[0-9 -]"),
    begun=ending_in(
        r"(?<![0-9A-Za-z])(?:1[3-9]\d|86\d|008)(?P<hidden>\d{0,12}|(?:\d\d|\d{4})?[ -]\d{0,4}|(?:\d\d|\d{4})?[ -]\d{4}[ -]\d{0,4})", 17
    ),
    keep=(3, 4),
)
