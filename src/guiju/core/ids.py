"""Record ids: 26 characters, sortable by time, unique without asking anybody."""

import os
import time

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [a + b for a in _ALPHABET for b in _ALPHABET]


def new_id() -> str:
    """Return a new id: 50 bits of milliseconds, then 80 random bits, in Crockford base 32.

    Ids of different milliseconds sort by time; within one millisecond the order is random.
    """
    value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10), "big")
    pairs = _PAIRS
    return "".join([pairs[(value >> shift) & 1023] for shift in range(120, -1, -10)])
