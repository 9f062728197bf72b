"""Which of the forms that are built of boxes a file is: by its brands, and without them by its first boxes.

Source: ISO/IEC 14496-12 §4.3; ISO/IEC 23008-12 Annex B; AV1 Image File Format §6.
"""

import struct
from typing import Final, Literal


def _set(names: str) -> frozenset[bytes]:
    return frozenset(name.encode().ljust(4) for name in names.split())


_PICTURES: Final = _set("heic heix heim heis hevc hevx hevm hevs mif1 mif2 mif3 msf1 avif avis avci avcs miaf")
_FILMS: Final = _set(
    "isom iso2 iso3 iso4 iso5 iso6 iso7 iso8 iso9 isoa isob isoc mp41 mp42 mp71 avc1 av01 hvc1 dvh1 piff qt M4A M4B M4P M4V M4VH M4VP "
    "f4v f4p f4a f4b F4V F4P 3gp4 3gp5 3gp6 3gp7 3gp8 3gp9 3gr6 3gs6 3ge6 3ge7 3gg6 3g2a 3g2b 3g2c mmp4 MSNV XAVC dash msdh msix cmfc "
    "cmf2 cmfs cmff cmfl NDAS NDSC NDSH NDSM NDSP NDSS NDXC NDXH NDXM NDXP NDXS ndsc"
)
_OTHERS: Final = _set("crx jp2 jpx jpm jph jxl mj2s mjp2")
"""Raw pictures, JPEG 2000 and JPEG XL: built of the same boxes, and not examined."""
_FILLING: Final = (b"wide", b"free", b"skip", b"pnot")


def family(head: bytes) -> Literal["film", "picture"] | None:
    """Return what the beginning of a file says that it is; None for what is not examined here."""
    names = _brands(head)
    if not names:
        return "film" if _is_old(head) else None
    if names[0] in _OTHERS:
        return None
    for name in names:
        if name in _PICTURES:
            return "picture"
        if name in _FILMS:
            return "film"
    return None


def _brands(head: bytes) -> list[bytes]:
    """Return the brands, the chief one first; none when the file does not begin with them."""
    if len(head) < 16 or head[4:8] not in (b"ftyp", b"styp"):
        return []
    stop = min(int.from_bytes(head[:4], "big"), len(head))
    return [head[8:12], *(head[at : at + 4] for at in range(16, stop - 3, 4))]


def _is_old(head: bytes) -> bool:
    """Tell whether the boxes are those of QuickTime from before there were brands: its head or its samples, behind filling."""
    at = 0
    while at + 8 <= len(head):
        size, kind = struct.unpack_from(">I4s", head, at)
        if kind in (b"moov", b"mdat"):
            return size >= 8 or size in (0, 1)
        if kind not in _FILLING or size < 8:
            return False
        at += size
    return False
