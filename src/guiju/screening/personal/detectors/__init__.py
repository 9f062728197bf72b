"""The detectors of personal information and secrets, one block a file. A new one is a file and a line in `DETECTORS`."""

from typing import Final

from guiju.screening.personal.detectors.api_key import API_KEY
from guiju.screening.personal.detectors.bank_card import BANK_CARD
from guiju.screening.personal.detectors.detector import BEHIND, Detector, Found
from guiju.screening.personal.detectors.email_address import EMAIL_ADDRESS
from guiju.screening.personal.detectors.fixed_phone import FIXED_PHONE
from guiju.screening.personal.detectors.json_web_token import JSON_WEB_TOKEN
from guiju.screening.personal.detectors.mobile_phone import MOBILE_PHONE
from guiju.screening.personal.detectors.organisation_code import ORGANISATION_CODE
from guiju.screening.personal.detectors.passport import PASSPORT
from guiju.screening.personal.detectors.person_name import PERSON_NAME
from guiju.screening.personal.detectors.postal_address import POSTAL_ADDRESS
from guiju.screening.personal.detectors.private_key import PRIVATE_KEY
from guiju.screening.personal.detectors.resident_id import RESIDENT_ID
from guiju.screening.personal.detectors.vehicle_plate import VEHICLE_PLATE

DETECTORS: Final[tuple[Detector, ...]] = (
    RESIDENT_ID,
    MOBILE_PHONE,
    FIXED_PHONE,
    BANK_CARD,
    PASSPORT,
    VEHICLE_PLATE,
    ORGANISATION_CODE,
    EMAIL_ADDRESS,
    POSTAL_ADDRESS,
    PERSON_NAME,
    API_KEY,
    PRIVATE_KEY,
    JSON_WEB_TOKEN,
)
CODES: Final[dict[str, Detector]] = {detector.code: detector for detector in DETECTORS}

__all__ = ["BEHIND", "CODES", "DETECTORS", "Detector", "Found"]
