"""What retention has removed, as its records say: the numbers of one block as bits, read back to explain what is missing.

A record `records.retention.removed` names every number that went under it, so a removal that no such record names is seen, to the
single record. It lies in the ledger before anything is removed, and is never removed itself.
"""

import zlib
from base64 import b64decode, b64encode
from binascii import Error
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from guiju.records.models import Record

KIND: Final = "records.retention.removed"
BLOCK: Final = 65_536
"""Numbers to a block, which has one record for each removal: its bits take at most 8 kB."""


def bits_of(numbers: Iterable[int], first: int, until: int) -> bytes:
    """Return which of the numbers from `first` to before `until` these are: a bit for each, the lowest bit of a byte first."""
    bits = bytearray((until - first + 7) // 8)
    for number in numbers:
        bits[(number - first) >> 3] |= 1 << ((number - first) & 7)
    return bytes(bits)


def pack_bits(bits: bytes) -> str:
    """Return bits as a record keeps them: deflated, in base 64."""
    return b64encode(zlib.compress(bits, 9)).decode()


def unpack_bits(packed: str, first: int, until: int) -> bytes:
    """Return the bits. Raises ValueError for a text that holds none for this span, or for a span over two blocks."""
    size = (until - first + 7) // 8
    if first < 0 or not first < until <= (first // BLOCK + 1) * BLOCK:
        raise ValueError("the span of a removal is none of one block")
    try:
        bits = zlib.decompressobj().decompress(b64decode(packed, validate=True), size + 1)
    except (zlib.error, Error) as problem:
        raise ValueError(str(problem)) from None
    if len(bits) != size:
        raise ValueError("the bits of a removal do not fit its span")
    return bits


def unpack_numbers(packed: str, first: int, until: int) -> list[int]:
    """Return the numbers, rising. Raises ValueError as `unpack_bits` does."""
    bits = unpack_bits(packed, first, until)
    return [first + place * 8 + bit for place, byte in enumerate(bits) if byte for bit in range(8) if byte >> bit & 1]


@dataclass(frozen=True, slots=True)
class Removed:
    """What the records of removals name: for each kind of thing and block, spans of numbers with their bits."""

    spans: dict[tuple[str, int], list[tuple[int, bytes, str]]]

    def find(self, what: str, number: int) -> str:
        """Return the id of the record under which this number's record or content went; empty when none names it."""
        for first, bits, record in self.spans.get((what, number // BLOCK), ()):
            at = number - first
            if 0 <= at < len(bits) * 8 and bits[at >> 3] >> (at & 7) & 1:
                return record
        return ""


def removed_numbers() -> Removed:
    """Return what the records of removals name. One that cannot be read names nothing: what it should explain is missing then."""
    spans: dict[tuple[str, int], list[tuple[int, bytes, str]]] = {}
    for record in Record.objects.filter(kind=KIND).order_by("index").iterator(chunk_size=50):
        with suppress(KeyError, TypeError, ValueError):
            said = record.metadata
            first = int(said["first"])
            bits = unpack_bits(said["numbers"], first, int(said["until"]))
            spans.setdefault((said["what"], first // BLOCK), []).append((first, bits, record.id))
    return Removed(spans)
