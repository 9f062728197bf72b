"""Boxes of MP4, MOV and M4A: what is no media is carried from the original into what a muxer made."""

from collections.abc import Iterator

from guiju.core.errors import GuijuError
from guiju.labelling.explicit.errors import LABEL_UNDECODABLE


def boxes(data: bytes, start: int = 0, stop: int | None = None) -> Iterator[tuple[bytes, int, int, int]]:
    """Yield name, start, start of the body and end of each box. Raises GuijuError LABEL-UNDECODABLE for sizes that lie."""
    at, stop = start, len(data) if stop is None else stop
    while at + 8 <= stop:
        size, name, body = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8], at + 8
        if size == 1:
            size, body = int.from_bytes(data[at + 8 : at + 16], "big"), at + 16
        elif size == 0:
            size = stop - at
        if size < body - at or at + size > stop:
            raise GuijuError(LABEL_UNDECODABLE, form="MP4", reason=f"the box at byte {at} is longer than the file")
        yield name, at, body, at + size
        at += size


def with_metadata_of(original: bytes, made: bytes) -> bytes:
    """Return the new file with the original's `moov/udta`, `moov/meta` and top-level `uuid` and `meta` boxes, the index before the media.

    Boxes of the same name in the new one give way to the original's.
    """
    kept = b"".join(original[at:end] for name, at, _, end in _inside(original, b"moov") if name in (b"udta", b"meta"))
    beside = b"".join(original[at:end] for name, at, _, end in boxes(original) if name in (b"uuid", b"meta"))
    parts = list(boxes(made))
    head = b"".join(made[at:end] for name, at, _, end in parts if name == b"ftyp")
    index = b"".join(made[at:end] for name, at, _, end in _inside(made, b"moov") if name not in (b"udta", b"meta")) + kept
    moov = bytearray((len(index) + 8).to_bytes(4, "big") + b"moov" + index)
    rest = [(at, end) for name, at, _, end in parts if name not in (b"ftyp", b"moov", b"free", b"skip")]
    place = len(head) + len(moov) + len(beside)
    moved = []
    for at, end in rest:
        moved.append((at, end, place - at))
        place += end - at
    _move_chunks(moov, moved)
    return head + bytes(moov) + beside + b"".join(made[at:end] for at, end in rest)


def _inside(data: bytes, name: bytes) -> Iterator[tuple[bytes, int, int, int]]:
    for found, _, body, end in boxes(data):
        if found == name:
            yield from boxes(data, body, end)


def _move_chunks(moov: bytearray, moved: list[tuple[int, int, int]]) -> None:
    """Add to every chunk offset how far the part that it lies in has moved."""
    for name, body, end in _leaves(bytes(moov), 0, len(moov)):
        width = {b"stco": 4, b"co64": 8}.get(name)
        if width is None:
            continue
        for at in range(body + 8, end - width + 1, width):
            offset = int.from_bytes(moov[at : at + width], "big")
            by = next((by for start, stop, by in moved if start <= offset < stop), 0)
            moov[at : at + width] = (offset + by).to_bytes(width, "big")


def _leaves(data: bytes, start: int, stop: int) -> Iterator[tuple[bytes, int, int]]:
    for name, _, body, end in boxes(data, start, stop):
        if name in (b"moov", b"trak", b"mdia", b"minf", b"stbl"):
            yield from _leaves(data, body, end)
        else:
            yield name, body, end
