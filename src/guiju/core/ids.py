"""Record ids: 26 characters, sortable by time, unique without asking anybody."""

import os
import time
from collections.abc import Iterator

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
_OF_BYTE = _ALPHABET.encode() * 8
"""The character that the five low bits of a byte are."""
_BLOCK = 4_000
_random: Iterator[str] = iter(())  # random bytes are fetched a block at a time: a system call for each id costs more than the id
_now: tuple[int, str] = (0, "")
"""The last millisecond, and how its ids begin."""


def new_id() -> str:
    """Return a new id: 50 bits of milliseconds, then 80 random bits, in Crockford base 32.

    Ids of different milliseconds sort by time; within one millisecond the order is random. A process that forks must
    not use ids on both sides; guiju starts its processes afresh.
    """
    global _random, _now
    rest = next(_random, None)
    if rest is None:
        block = os.urandom(_BLOCK).translate(_OF_BYTE).decode()
        _random = iter([block[at : at + 16] for at in range(0, len(block), 16)])
        rest = next(_random)
    at_ms = time.time_ns() // 1_000_000
    made_at, prefix = _now  # read once: another thread may write it meanwhile
    if made_at != at_ms:
        prefix = id_prefix(at_ms)
        _now = (at_ms, prefix)
    return prefix + rest


def id_prefix(at_ms: int) -> str:
    """Return the ten characters with which ids made at this millisecond begin; as text it lies before all of them.

    >>> id_prefix(0), id_prefix(1_790_000_000_000)
    ('0000000000', '01M3250V00')
    """
    return "".join([_PAIRS[at_ms >> shift & 1023] for shift in (40, 30, 20, 10, 0)])


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
