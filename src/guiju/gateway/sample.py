"""Which exchanges a person will look at: every unsure find, and a sample of all others that nobody can steer.

Source: Measures Art. 4; GB/T 45654-2025 (spot checks of what filters let through).
"""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Final, Literal

from guiju.screening.values import Hit

Mark = Literal["hit", "sample", ""]
_WHOLE: Final = 2**64


def review_mark(exchange: str, found: Sequence[Sequence[Hit]], key: bytes, per_mille: int) -> Mark:
    """Return why a person reviews an exchange: `hit` for a find that is unsure or that the policy holds, `sample`, or empty.

    The sample is drawn by a hash of the exchange's id under the site's own key (32 bytes), whether or not something was found: neither
    a client nor an operator who sees ids can tell before which ones are drawn, and the draw can be checked afterwards.
    """
    if per_mille <= 0 and not any(found):
        return ""
    for hits in found:
        for hit in hits:
            if hit.confidence != "high" or hit.action == "hold":
                return "hit"
    return "sample" if per_mille > 0 and is_drawn(exchange, key, per_mille, b"guiju sample") else ""


def is_drawn(id: str, key: bytes, per_mille: int, purpose: bytes) -> bool:
    """Tell whether this id is among the `per_mille` of a thousand that the key draws for a purpose (at most 16 bytes)."""
    drawn = blake2b(id.encode(), digest_size=8, key=key, person=purpose).digest()
    return int.from_bytes(drawn) * 1_000 < per_mille * _WHOLE
