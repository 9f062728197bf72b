"""PNG: chunks that are no pixels are carried over byte for byte; pictures of 16 bits a sample are read and written here."""

import zlib
from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from guiju.core.errors import GuijuError
from guiju.labelling.explicit.drawing import Array
from guiju.labelling.explicit.errors import LABEL_MEDIUM, LABEL_UNDECODABLE

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_CHANNELS: Final = {0: 1, 2: 3, 4: 2, 6: 4}
_STRUCTURE: Final = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"acTL", b"fcTL", b"fdAT"})
_OF_DEPTH: Final = frozenset({b"sBIT", b"bKGD", b"hIST"})
"""Chunks whose form hangs on the colour type: kept only when that stays."""
_BEFORE_PALETTE: Final = frozenset({b"cHRM", b"gAMA", b"iCCP", b"sBIT", b"sRGB", b"cICP", b"mDCV", b"cLLI", b"mDCv", b"cLLi"})


def chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield name and bytes of the whole chunk, in order, IEND included. Raises LABEL-UNDECODABLE for a file that is cut."""
    at = len(_SIGNATURE)
    while True:
        size = int.from_bytes(data[at : at + 4], "big")
        name = data[at + 4 : at + 8]
        if at + 12 + size > len(data):
            raise GuijuError(LABEL_UNDECODABLE, form="PNG", reason=f"it ends inside a chunk at byte {at}")
        yield name, data[at : at + 12 + size]
        if name == b"IEND":
            return
        at += 12 + size


def with_chunks_of(original: bytes, encoded: bytes) -> bytes:
    """Return a PNG with the new one's pixels and the original's other chunks: those before the pixels stay before, the others behind."""
    before: list[tuple[bytes, bytes]] = []
    after: list[tuple[bytes, bytes]] = []
    new = list(chunks(encoded))
    same = new[0][1][16:18] == original[24:26]
    seen = False
    for name, part in chunks(original):
        seen = seen or name == b"IDAT"
        if name not in _STRUCTURE and (same or name not in _OF_DEPTH):
            (after if seen else before).append((name, part))
    early = b"".join(part for name, part in before if name in _BEFORE_PALETTE)
    late = b"".join(part for name, part in before if name not in _BEFORE_PALETTE)
    out = [_SIGNATURE]
    placed = False
    for name, part in new:
        if name not in _STRUCTURE:
            continue
        if name == b"IEND":
            out.append(b"".join(part for _, part in after))
        if not placed and name in (b"IDAT", b"fcTL"):
            out.append(late)
            placed = True
        out.append(part)
        if name == b"IHDR":
            out.append(early)
    return b"".join(out)


def is_deep(data: bytes) -> bool:
    """Tell whether samples have 16 bits and the picture does not move."""
    return data[24:25] == b"\x10" and b"acTL" not in data[:4096]


def read_deep(data: bytes) -> Array:
    """Return the samples (height, width, channels) of a PNG of 16 bits. Raises GuijuError."""
    width, height = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    kind, interlaced = data[25], data[28]
    names = {name for name, _ in chunks(data)}
    if interlaced or kind not in _CHANNELS or b"tRNS" in names:
        raise GuijuError(LABEL_MEDIUM, form="PNG", reason="16 bits with interlacing or one transparent colour are not supported", reason_zh="不支持交错或指定透明色的 16 位图")  # fmt: skip
    step = 2 * _CHANNELS[kind]
    stride = width * step
    unpacker = zlib.decompressobj()
    wanted = height * (stride + 1)
    try:
        raw = unpacker.decompress(b"".join(part[8:-4] for name, part in chunks(data) if name == b"IDAT"), wanted)
    except zlib.error as error:
        raise GuijuError(LABEL_UNDECODABLE, form="PNG", reason=str(error)) from error
    if len(raw) != wanted:
        raise GuijuError(LABEL_UNDECODABLE, form="PNG", reason="its pixels are cut")
    rows = np.zeros((height + 1, stride), np.uint8)
    for place in range(height):
        start = place * (stride + 1)
        rows[place + 1] = _unfiltered(raw[start], raw[start + 1 : start + 1 + stride], rows[place], step)
    samples: Array = rows[1:].reshape(height, width, _CHANNELS[kind], 2)
    return samples[..., 0].astype(np.uint16) << 8 | samples[..., 1]


def _unfiltered(kind: int, line: bytes, above: Array, step: int) -> Any:
    found = np.frombuffer(line, np.uint8)
    if kind == 0:
        return found
    if kind == 1:
        return np.cumsum(found.reshape(-1, step), axis=0, dtype=np.uint8).reshape(-1)
    if kind == 2:
        return found + above
    if kind not in (3, 4):
        raise GuijuError(LABEL_UNDECODABLE, form="PNG", reason=f"a line has the unknown filter {kind}")
    row, up = bytearray(step) + bytearray(line), bytes(step) + above.tobytes()
    for at in range(step, len(row)):
        left = row[at - step]
        if kind == 3:
            guess = (left + up[at]) >> 1
        else:
            high, corner = up[at], up[at - step]
            from_left, from_high, from_corner = abs(high - corner), abs(left - corner), abs(left + high - 2 * corner)
            guess = left if from_left <= from_high and from_left <= from_corner else high if from_high <= from_corner else corner
        row[at] = row[at] + guess & 255
    return np.frombuffer(bytes(row[step:]), np.uint8)


def write_deep(original: bytes, samples: Array) -> bytes:
    """Return the PNG with these samples in place of its own; every other chunk stays byte for byte."""
    height, width, channels = samples.shape
    flat = samples.astype(">u2").tobytes()
    rows = np.frombuffer(flat, np.uint8).reshape(height, width * channels * 2)
    filtered = np.empty((height, rows.shape[1] + 1), np.uint8)
    filtered[:, 0] = 2  # Up: good enough, and quick
    filtered[0, 1:] = rows[0]
    filtered[1:, 1:] = rows[1:] - rows[:-1]
    packed = zlib.compress(filtered.tobytes(), 6)
    pixels = len(packed).to_bytes(4, "big") + b"IDAT" + packed + zlib.crc32(b"IDAT" + packed).to_bytes(4, "big")
    out = [_SIGNATURE]
    placed = False
    for name, part in chunks(original):
        if name == b"IDAT":
            out.append(b"" if placed else pixels)
            placed = True
        else:
            out.append(part)
    return b"".join(out)
