"""Bank card numbers: the length and the first digits of a known issuer, and the Luhn check digit."""

import re
from typing import Final

from stdnum import luhn

from guiju.screening.personal.detectors.detector import DIGITS, IN_FORCE, PERSONAL, Detector, ending_in

_ISSUERS: Final = (
    (r"62|81", range(16, 20)),  # UnionPay
    (r"4", (16, 19)),  # Visa
    (r"5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720", (16,)),  # Mastercard
    (r"3[47]", (15,)),  # American Express
    (r"35(?:2[89]|[3-8])", (16,)),  # JCB
    (r"9558|9559|6013|60142", (19,)),  # older debit cards of mainland banks
)
"""First digits → lengths, from public listings of issuer numbers."""


def _is_number(match: re.Match[str]) -> bool:
    digits = re.sub("[ -]", "", match[0])
    return any(len(digits) in lengths and re.match(first, digits) for first, lengths in _ISSUERS) and luhn.is_valid(digits)


_BEFORE: Final = r"(?<![0-9A-Za-z])(?<!\d\.)"
_AFTER: Final = r"(?![0-9A-Za-z])"

BANK_CARD: Final = Detector(
    code="PI-BANK-CARD",
    zh="银行卡号",
    en="bank card number",
    risk=PERSONAL,
    source="PIPL Art. 28; ISO/IEC 7812-1",
    effective_from=IN_FORCE,
    hold_chars=20,
    hints=DIGITS,
    patterns=tuple(
        re.compile(_BEFORE + number + _AFTER, re.ASCII)
        for number in (r"\d{15,19}", r"\d{4}(?:[ -]\d{4}){3}", r"\d{4}(?:[ -]\d{4}){3}[ -]\d{1,3}", r"\d{4}[ -]\d{6}[ -]\d{5}")
    ),
    tail=re.compile(r"[0-9 -]"),
    begun=ending_in(
        r"(?<![0-9A-Za-z])(?:2[2-7]|[34-689]\d)\d\d(?P<hidden>\d{0,15}|(?:[ -]\d{4}){0,3}[ -]\d{0,4}|[ -]\d{5,6}|[ -]\d{6}[ -]\d{0,5})", 24
    ),
    keep=(4, 4),
    judge=_is_number,
)
