"""The parts of a JPEG, a GIF or a RIFF file that are no pixels: carried from the original into what an encoder made of the new pixels."""

from collections.abc import Iterator
from typing import Final

from guiju.core.errors import GuijuError
from guiju.labelling.explicit.errors import LABEL_UNDECODABLE

_SOI, _SOS, _APP0, _APP14 = 0xD8, 0xDA, 0xE0, 0xEE
_COM: Final = 0xFE
_GIF_TRAILER: Final = b"\x3b"


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield marker and bytes of the segments before the pixels; the last is SOS with all that follows."""
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            break
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker == _SOS:
            yield marker, data[at:]
            return
        length = 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if length < 4 or at + length > len(data):
            break
        yield marker, data[at : at + length]
        at += length
    raise GuijuError(LABEL_UNDECODABLE, form="JPEG", reason="its segments do not lead to the pixels")


def without_other_pictures(data: bytes) -> bytes:
    """Return a JPEG without the index of further pictures (MPF): they would leave without a label, and behind the first they do not follow."""
    parts = [part for marker, part in _jpeg_segments(data) if not (marker == 0xE2 and part[4:8] == b"MPF\0")]
    return b"\xff\xd8" + b"".join(parts)


def with_segments_of(original: bytes, encoded: bytes) -> bytes:
    """Return a JPEG with the new one's pixels and the original's application segments and comments, byte for byte, in their order.

    The Adobe segment is the new one's: it says how the new pixels are to be read.
    """
    before = list(_jpeg_segments(original))
    after = list(_jpeg_segments(encoded))
    has_jfif = any(marker == _APP0 for marker, _ in before)
    kept = [part for marker, part in before if (_APP0 <= marker <= 0xEF and marker != _APP14) or marker == _COM]
    new = [part for marker, part in after if not (_APP0 <= marker <= 0xEF or marker == _COM)]
    own = [part for marker, part in after if marker == _APP14 or (marker == _APP0 and not has_jfif)]
    return b"\xff\xd8" + b"".join(kept[:1] + own + kept[1:] if has_jfif else own + kept) + b"".join(new)


def with_extensions_of(original: bytes, encoded: bytes) -> bytes:
    """Return a GIF with the new one's frames and the original's comments and application extensions (but the loop, which is the new one's)."""
    kept = b"".join(_gif_extensions(original))
    if not kept:
        return encoded
    body = encoded.removesuffix(_GIF_TRAILER)
    return b"GIF89a" + body[6:] + kept + _GIF_TRAILER


def _gif_extensions(data: bytes) -> Iterator[bytes]:
    at = 13 + (3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0)
    while at < len(data) and data[at] != 0x3B:
        if data[at] == 0x2C:
            at += 10 + (3 << (data[at + 9] & 7) + 1 if data[at + 9] & 0x80 else 0) + 1
            at = _after_blocks(data, at)
            continue
        if data[at] != 0x21:
            return
        end = _after_blocks(data, at + 2)
        label, name = data[at + 1], data[at + 3 : at + 14]
        if label == 0xFE or (label == 0xFF and name not in (b"NETSCAPE2.0", b"ANIMEXTS1.0")):
            yield data[at:end]
        at = end


def _after_blocks(data: bytes, at: int) -> int:
    while at < len(data) and data[at]:
        at += 1 + data[at]
    return at + 1


def riff_names(data: bytes) -> set[bytes]:
    """Return the names of the chunks of a RIFF file, those inside animation frames too."""
    names, at = set(), 12
    while at + 8 <= len(data):
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        names.add(name)
        at += 8 + (16 if name == b"ANMF" else size + (size & 1))
    return names
