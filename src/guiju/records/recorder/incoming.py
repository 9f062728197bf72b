"""What arrives, as the recorder takes it: an entry and the canonical JSON of its metadata. Pure.

Whatever the bytes hold, something comes out: what cannot become a record is kept whole inside an entry that can.
"""

import re
from typing import Final, NamedTuple

import msgspec

from guiju.core.canonical import canonical_json
from guiju.core.clock import now_us
from guiju.core.ids import new_id
from guiju.records.entry import Entry, decode_entry, encode_entry

DAMAGED: Final = "records.entry.damaged"
_ENCODE: Final = msgspec.json.Encoder(order="sorted").encode  # canonical JSON of a value in which no float is
_ID: Final = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}")
_TEXT_CHARACTERS: Final = 200
_LATEST_US: Final = 253_402_300_800_000_000  # the year 10000
_FLOAT_MARKS: Final = (b"\xca", b"\xcb")  # how MessagePack begins a float; bytes of other values may look the same


class Incoming(NamedTuple):
    """An entry that will become a record; `metadata` is the canonical JSON of its metadata."""

    entry: Entry
    metadata: bytes


def read_entry(raw: bytes) -> Incoming:
    """Return the entry in these bytes, or the one that keeps them aside when they cannot become a record."""
    try:
        entry = decode_entry(raw)
    except (msgspec.DecodeError, ValueError, RecursionError) as problem:
        return aside(str(problem)[:300], raw)
    if not (is_id(entry.id) and 0 <= entry.at_us < _LATEST_US and _are_names(entry.kind, entry.service, entry.actor, entry.subject)):
        return aside("an id, a time or a name is out of its range", raw)
    head = raw[: len(raw) - len(entry.content)]
    if any(mark in head for mark in _FLOAT_MARKS):
        return incoming(entry)
    # Without a mark there is no float, and looking at each value costs more than all the rest here.
    try:
        return Incoming(entry, _ENCODE(entry.metadata))
    except (TypeError, ValueError, RecursionError) as problem:
        return aside(str(problem)[:300], raw)


def is_id(text: str) -> bool:
    """Return whether a text has the form of a record's id; PostgreSQL cannot even look for one with a NUL."""
    return _ID.fullmatch(text) is not None


def incoming(entry: Entry) -> Incoming:
    """Return the entry with its canonical metadata, or the one that keeps it aside when it has none."""
    try:
        return Incoming(entry, canonical_json(entry.metadata))
    except (TypeError, ValueError, RecursionError) as problem:
        return aside(str(problem)[:300], encode_entry(entry))


def told_more(entry: Entry) -> Incoming:
    """Return an entry that arrived and to whose metadata texts alone were added: no float can be among them."""
    return Incoming(entry, _ENCODE(entry.metadata))


def aside(reason: str, raw: bytes, **facts: object) -> Incoming:
    """Return the entry that stands for something unreadable; the bytes themselves are its content."""
    metadata = {"reason": reason, "size_bytes": len(raw), **facts}
    return Incoming(Entry(new_id(), now_us(), DAMAGED, "", "recorder", "", (), metadata, raw), canonical_json(metadata))


def _are_names(kind: str, service: str, actor: str, subject: str) -> bool:
    """Return whether the texts fit their columns; no database keeps a NUL."""
    whole = f"{kind}{service}{actor}{subject}"
    return max(len(kind), len(service), len(actor), len(subject)) <= _TEXT_CHARACTERS and "\0" not in whole
