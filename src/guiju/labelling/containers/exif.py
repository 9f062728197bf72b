"""The label in EXIF: UserComment with the wrapped JSON (read, and blanked when the label moves to XMP), and one vendor's own form.

Source: TC260-PG-20259A Annex B; Exif 2.32 §4.6.5 (UserComment).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from guiju.labelling.annex_e import mentions_label
from guiju.labelling.containers.source import VALUE_LIMIT_BYTES, Broken, Edit, Site, may_hide_label

_USER_COMMENT: Final = 0x9286
_DESCRIPTION: Final = 0x010E
TEXTS: Final = (_USER_COMMENT, _DESCRIPTION)
_EXIF_IFD: Final = 0x8769
_ENTRIES_LIMIT: Final = 4096


@dataclass(frozen=True, slots=True)
class Exif:
    """What an EXIF block holds: sites, the edits that blank them in place, and traces of generation that are no label."""

    sites: tuple[Site, ...] = ()
    blanks: tuple[Edit, ...] = ()
    traces: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def examine(block: bytes, at: int) -> Exif:
    """Read a TIFF-headed EXIF block that lies at `at` of its file.

    Cameras and editors leave directories that lead nowhere. Such a block is passed over with a note when no word of a label stands in it:
    its values lie there as they are. Raises Broken otherwise.
    """
    try:
        return _examine(block, at)
    except Broken as error:
        if may_hide_label(block):
            raise
        return Exif(notes=(f"exif_broken: {error.reason}; no word of a label stands in it",))


def _examine(block: bytes, at: int) -> Exif:
    if block[:4] == b"II*\0":
        order = "<"
    elif block[:4] == b"MM\0*":
        order = ">"
    else:
        raise Broken("an EXIF block has no TIFF header", at)
    try:
        return _read(block, at, order)
    except struct.error as error:
        raise Broken("an EXIF directory leads out of its block", at) from error


def _read(block: bytes, at: int, order: str) -> Exif:
    sites: list[Site] = []
    blanks: list[Edit] = []
    traces: list[str] = []
    (first,) = struct.unpack_from(order + "I", block, 4)
    directories = [first]
    seen: set[int] = set()
    entries = 0
    while directories:
        place = directories.pop()
        if place in seen:
            continue
        seen.add(place)
        for tag, start, length in _entries(block, place, order):
            entries += 1
            if entries > _ENTRIES_LIMIT:
                raise Broken(f"EXIF has more than {_ENTRIES_LIMIT} entries", at + place)
            if tag == _EXIF_IFD:
                directories.append(struct.unpack_from(order + "I", block, start)[0])
                continue
            if tag not in TEXTS:
                continue
            if start + length > len(block):
                raise Broken("an EXIF value reaches beyond its block", at + place)
            found = examine_value(tag, block[start : start + length], at + start, order)
            sites += found.sites
            blanks += found.blanks
            traces += found.traces
    return Exif(tuple(sites), tuple(blanks), tuple(traces))


def examine_value(tag: int, value: bytes, at: int, order: str) -> Exif:
    """Read one value that lies at `at` of its file: a UserComment, or a description."""
    text = _comment(value, order) if tag == _USER_COMMENT else value.decode("utf-8", "replace").rstrip("\0 ")
    if mentions_label(text):
        name, keep = ("exif:UserComment", 8) if tag == _USER_COMMENT else ("exif:ImageDescription", 0)
        site, blank = Site(name, at, at + len(value), text), Edit(at + keep, at + len(value), bytes(len(value) - keep))
        return Exif((site,), (blank,))
    return Exif(traces=("exif: a vendor's label that is not Annex E",) if "ServiceProvider" in text and "ContentId" in text else ())


def _entries(block: bytes, place: int, order: str) -> Iterator[tuple[int, int, int]]:
    (count,) = struct.unpack_from(order + "H", block, place)
    sizes = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1, 9: 4, 10: 8, 13: 4}
    for entry in range(place + 2, place + 2 + 12 * count, 12):
        tag, kind, items, offset = struct.unpack_from(order + "HHII", block, entry)
        length = items * sizes.get(kind, 1)
        yield tag, entry + 8 if length <= 4 else offset, length


def _comment(value: bytes, order: str) -> str:
    code, text = value[:8], value[8 : 8 + VALUE_LIMIT_BYTES * 2]
    if code == b"UNICODE\0":
        return text.decode("utf-16-le" if order == "<" else "utf-16-be", "replace").rstrip("\0 ")
    if code in (b"ASCII\0\0\0", b"JIS\0\0\0\0\0", bytes(8)):
        return text.decode("utf-8", "replace").rstrip("\0 ")
    return value.decode("utf-8", "replace").rstrip("\0 ")
