"""EBML, the form below Matroska and WebM: elements with a name, a length of one to eight bytes, and data or further elements.

Source: RFC 8794.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from guiju.labelling.containers.source import Broken, Source

HEADER: Final = 0x1A45DFA3
VOID: Final = 0xEC
CRC: Final = 0xBF
_HEAD_BYTES: Final = 12


@dataclass(frozen=True, slots=True)
class Element:
    """One element: its name, where it begins, where its data begins, where it ends; None: its writer did not know."""

    name: int
    at: int
    body: int
    stop: int | None


def element_at(source: Source, at: int, end: int) -> Element:
    """Return the element that begins here, within a parent that ends at `end`. Raises Broken."""
    head = source.read(at, min(_HEAD_BYTES, end - at))
    width = _width(head, 0, at)
    if width > 4:
        raise Broken("an element has no name", at)
    name = int.from_bytes(head[:width], "big")
    size_width = _width(head, width, at)
    size = int.from_bytes(head[width : width + size_width], "big") & ~(1 << 7 * size_width)
    body = at + width + size_width
    if size == (1 << 7 * size_width) - 1:
        return Element(name, at, body, None)
    if body + size > end:
        raise Broken("an element reaches beyond what holds it", at)
    return Element(name, at, body, body + size)


def children(source: Source, at: int, end: int, limit: int) -> Iterator[tuple[Element, int]]:
    """Yield the elements between two places, each with its end; one without an end is refused, and so are more than `limit`."""
    for _ in range(limit):
        if at == end:
            return
        each = element_at(source, at, end)
        if each.stop is None:
            raise Broken("an element does not say where it ends", at)
        yield each, each.stop
        at = each.stop
    raise Broken(f"there are more than {limit} elements", at)


def _width(head: bytes, at: int, place: int) -> int:
    """Return how many bytes the number at this place has: one more than its leading zero bits."""
    if at >= len(head) or not head[at]:
        raise Broken("an element is cut, or is none", place)
    width = 9 - head[at].bit_length()
    if at + width > len(head):
        raise Broken("an element is cut", place)
    return width


def element(name: int, body: bytes, size_width: int = 0) -> bytes:
    """Return an element; its length takes `size_width` bytes, or as few as it needs."""
    return _name(name) + size(len(body), size_width) + body


def _name(name: int) -> bytes:
    return name.to_bytes((name.bit_length() + 7) // 8, "big")


def size(length: int, width: int = 0) -> bytes:
    """Return a length as it is written, in this many bytes; the one with all bits set means that it is not known."""
    width = width or next(each for each in range(1, 9) if length < (1 << 7 * each) - 1)
    return (length | 1 << 7 * width).to_bytes(width, "big")


def void(length: int) -> bytes:
    """Return a free element of this length, two bytes at least, or nothing."""
    if not length:
        return b""
    if length < 10:
        return element(VOID, bytes(length - 2), 1)
    return element(VOID, bytes(length - 9), 8)


def filled(name: int, body: bytes, length: int) -> bytes | None:
    """Return an element with a free one behind it, together of this length; None when that cannot be."""
    plain = element(name, body)
    rest = length - len(plain)
    if rest == 1 and len(size(len(body))) < 8:
        return element(name, body, len(size(len(body))) + 1)
    return plain + void(rest) if rest == 0 or rest >= 2 else None


def check_sum(body: bytes) -> bytes:
    """Return the element that guards the data behind it."""
    return element(CRC, zlib.crc32(body).to_bytes(4, "little"))
