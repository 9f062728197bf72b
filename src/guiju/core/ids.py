"""Record ids: 26 characters, sortable by time, unique without asking anybody."""

import os
import time
from collections.abc import Iterator

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [a + b for a in _ALPHABET for b in _ALPHABET]
_BLOCK = 4_000
_random: Iterator[int] = iter(())  # random bytes are fetched a block at a time: a system call for each id costs more than the id


def new_id() -> str:
    """Return a new id: 50 bits of milliseconds, then 80 random bits, in Crockford base 32.

    Ids of different milliseconds sort by time; within one millisecond the order is random. A process that forks must
    not use ids on both sides; guiju starts its processes afresh.
    """
    global _random
    low = next(_random, None)
    if low is None:
        raw = os.urandom(_BLOCK)
        _random = iter([int.from_bytes(raw[at : at + 10], "big") for at in range(0, _BLOCK, 10)])
        low = next(_random)
    value = (time.time_ns() // 1_000_000) << 80 | low
    pairs = _PAIRS
    high, middle = value >> 90, value >> 50
    return (
        pairs[high >> 30 & 1023] + pairs[high >> 20 & 1023] + pairs[high >> 10 & 1023] + pairs[high & 1023]
        + pairs[middle >> 30 & 1023] + pairs[middle >> 20 & 1023] + pairs[middle >> 10 & 1023] + pairs[middle & 1023]
        + pairs[value >> 40 & 1023] + pairs[value >> 30 & 1023] + pairs[value >> 20 & 1023] + pairs[value >> 10 & 1023] + pairs[value & 1023]
    )  # fmt: skip


def id_prefix(at_ms: int) -> str:
    """Return the ten characters with which ids made at this millisecond begin; as text it lies before all of them.

    >>> id_prefix(0), id_prefix(1_790_000_000_000)
    ('0000000000', '01M3250V00')
    """
    return "".join(_ALPHABET[at_ms >> shift & 31] for shift in range(45, -1, -5))


def made_at_ms(id: str) -> int:
    """Return the millisecond at which an id was made; 0 for a text that is none.

    >>> made_at_ms("01M3250V000000000000000000")
    1790000000000
    """
    try:
        value = 0
        for character in id[:10]:
            value = value << 5 | _ALPHABET.index(character)
    except ValueError:
        return 0
    return value
