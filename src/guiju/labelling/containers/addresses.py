"""Addresses within a file of the ISO base media family: where samples lie, and where they lie once something in front has grown.

Every address is moved by the same rule, so that a sample's bytes are the same before and after. What is in front of the samples
grows into free space where there is some; then nothing moves.
"""

import struct
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from guiju.labelling.containers.boxes import Box
from guiju.labelling.containers.source import Edit, NoRoom

LONG: Final = 0xFFFFFFFFFFFFFFFF


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Addresses counted from the beginning of the file: `count` of them from `at` on, one in every `stride` bytes behind `skip`."""

    box: Box
    at: int
    count: int
    width: int
    stride: int
    skip: int
    lowest: int = 0
    highest: int = 0

    @property
    def stop(self) -> int:
        return self.at + self.count * self.stride


@dataclass(frozen=True, slots=True, eq=False)
class Index:
    """A segment index: `first` counts from its own end, and `total` bytes are told apart from there."""

    box: Box
    at: int
    width: int
    first: int
    total: int


def entries_of(table: Table, window: bytes) -> Sequence[int]:
    """Return the addresses in these bytes of a table."""
    letter = "Q" if table.width == 8 else "I"
    if table.stride == table.width:
        return struct.unpack(f">{len(window) // table.width}{letter}", window)
    form = f">{table.skip}x{letter}{table.stride - table.skip - table.width}x"
    return [value for (value,) in struct.iter_unpack(form, window)]


class Moves:
    """Where each byte of the original lies in the edited file."""

    def __init__(self, edits: Sequence[Edit]) -> None:
        self._starts: list[int] = []
        self._stops: list[int] = []
        self._grown: list[int] = []
        grown = 0
        for edit in sorted((each for each in edits if each.grown), key=lambda each: (each.start, each.stop)):
            grown += edit.grown
            self._starts.append(edit.start)
            self._stops.append(edit.stop)
            self._grown.append(grown)

    @property
    def last(self) -> int:
        """From where on all bytes move alike."""
        return self._stops[-1] if self._stops else 0

    @property
    def first(self) -> int:
        """Where the first byte lies that moves; beyond any file when none does."""
        return self._stops[0] if self._stops else LONG

    def to(self, address: int) -> int:
        """Return the new address. Raises NoRoom where what stands there is written anew."""
        place = bisect_right(self._stops, address)
        if place < len(self._starts) and self._starts[place] < address:
            raise NoRoom("an address leads into the metadata")
        return address + (self._grown[place - 1] if place else 0)

    def all(self, addresses: Sequence[int]) -> Sequence[int]:
        """Return the new addresses of many, most of which move alike."""
        if not self._stops or not addresses:
            return addresses
        if min(addresses) >= self._stops[-1]:
            grown = self._grown[-1]
            return [address + grown for address in addresses]
        return [self.to(address) for address in addresses]


def moved_table(table: Table, window: bytes, moves: Moves, width: int) -> bytes:
    """Return a window of a table with its new addresses, which have been seen to have room."""
    moved = moves.all(entries_of(table, window))
    letter = "Q" if width == 8 else "I"
    if table.stride == table.width:
        return struct.pack(f">{len(moved)}{letter}", *moved)
    changed = bytearray(window)
    for place, address in enumerate(moved):
        struct.pack_into(">" + letter, changed, place * table.stride + table.skip, address)
    return bytes(changed)
