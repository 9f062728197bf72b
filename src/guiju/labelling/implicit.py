"""The implicit label: seven keys that a program reads, in the order of GB 45438-2025 Annex E.

An answer over an API is not a file, so Annex E has no place for it; it travels as the `aigc` object of the answer and in
the first and last piece of a stream. `explicit_required` beside the keys tells an interface to show the label itself.
Source: Measures Art. 12; Labelling Measures Art. 5; GB 45438-2025 §6.1, Annex E.
"""

import re
from typing import Final, Literal

from guiju.labelling.explicit import Applied
from guiju.labelling.values import Label

GENERATED: Final = "1"
"""Label value: is generated (属于)."""

DEMO_PRODUCER: Final = "guiju-demo"
"""The producer of what the scripted demo model draws and plays: a name, and nobody's code."""

_ALLOWED: Final = re.compile(r"[!#-\[\]-~]*")
_USCC_ALPHABET: Final = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_PROVIDER_CODE: Final = re.compile(r"00[12][0-9A-Z]([0-9A-Z]{18})(?:00000|[12][0-9A-Z]{4})")


def aigc_object(label: Label, produce_id: str, applied: Applied | Literal["undecided"]) -> dict[str, object]:
    """Return the `aigc` object of an answer; a first write names the producer as propagator too.

    While it is undecided whether words will say it, the interface must: a label shown twice is better than none.
    """
    return {
        "Label": GENERATED,
        "ContentProducer": label.content_producer,
        "ProduceID": produce_id,
        "ReservedCode1": "",
        "ContentPropagator": label.content_producer,
        "PropagateID": produce_id,
        "ReservedCode2": "",
        "explicit": applied,
        "explicit_required": applied in ("interface", "undecided"),
    }


def is_label_value(text: str) -> bool:
    """Tell whether every character may stand in a label value: printable ASCII without space, quote and backslash."""
    return _ALLOWED.fullmatch(text) is not None


def is_provider_code(text: str) -> bool:
    """Tell whether this is a well-formed 27-character provider code with a right check character.

    Source: TC260-PG-20252A (form); GB 32100 (check character of the unified social credit code).
    """
    match = _PROVIDER_CODE.fullmatch(text)
    if not match:
        return False
    body, check = match[1][:17], match[1][17]
    if any(character not in _USCC_ALPHABET for character in match[1]):
        return False
    total = sum(_USCC_ALPHABET.index(character) * pow(3, place, 31) for place, character in enumerate(body))
    return _USCC_ALPHABET[(31 - total % 31) % 31] == check
