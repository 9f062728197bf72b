"""A watermark in the pixels of a picture: an aid for the provider's own audits, off unless a service asks for it. It is no label.

Blind, by quantisation: the picture's luminance goes through one step of the Haar wavelet; of every 4×4 block of the low band the largest
singular value is moved onto one of two lattices, and which of the two is the bit. (The DCT that is usual in between is left out: it is orthogonal, so
singular values do not change under it.) Which bit a block bears and where its lattice lies come from the key; all blocks vote.

What is borne: the first 12 characters of the file's number (60 bits: its time to the millisecond, and 10 random bits) and 36 bits of HMAC over them. So
a picture without a mark, or with another site's, reads as marked once in 2^36 times.

What it withstands and what not is measured in docs/watermark.md. Whoever wants to be rid of it can be; nobody without the key can see it, so nothing
that others have to recognise may rest on it. Source: Labelling Measures Art. 5 (watermarks are encouraged, not required).
"""

import hashlib
import hmac
import io
import re
import warnings
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt
from PIL import Image

from guiju.core.errors import GuijuError, Text, define
from guiju.labelling.explicit import png, segments
from guiju.labelling.explicit.encoders import STILL, is_ycc
from guiju.labelling.explicit.media import find_form

WATERMARK_UNEXAMINED = define(
    "WATERMARK-UNEXAMINED",
    status=400,
    kind="invalid_request_error",
    zh=Text("无法在该文件中查找水印：{reason_zh}。", "文件未改动；这不表示其中没有水印。", "请使用完整的静态图片，尺寸须与送出时相同。"),
    en=Text(
        "No watermark could be looked for in this file: {reason}.",
        "The file is unchanged; this does not say that it has none.",
        "Give a whole still picture of the size in which it was delivered.",
    ),
)

SIDE_AT_LEAST: Final = 256
"""Pixels of the shorter side; below that too few blocks vote."""
PIXELS_AT_MOST: Final = 4096 * 4096
PREFIX_CHARACTERS: Final = 12
_PREFIX_BITS: Final = 5 * PREFIX_CHARACTERS
_CHECK_BITS: Final = 36
BITS: Final = _PREFIX_BITS + _CHECK_BITS
_STEP: Final = 28.0
"""Distance of two places of a lattice. An even block moves by at most 1.75 of 255, by up to 3.5 where it is white."""
_BLOCK: Final = 8
"""Pixels of a block's side: 4 in the low band."""
_DARK: Final = 2.5
"""Blocks whose value is below so many steps, of mean 9 of 255 or less, stay as they are: what is black shows any change."""
_LARGEST: Final = 2040.0
"""Singular value of a white block."""
_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_NUMBER: Final = re.compile(f"[{_ALPHABET}]{{26}}")
_CHANGED: Final = frozenset({"L", "LA", "RGB", "RGBA", "YCbCr"})
_READ: Final = _CHANGED | {"P", "CMYK"}

Plane = npt.NDArray[np.float32]


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A watermark of this site. `confidence` 0–1: how clearly the blocks voted, on average of the bits."""

    prefix: str
    """The first characters of the file's number."""
    confidence: float


class Borne(msgspec.Struct, frozen=True, kw_only=True):
    """A picture after `embed`. `skipped` tells why nothing was changed; empty where it bears the mark, which was read back."""

    data: bytes
    skipped: str = ""
    psnr_db: float = 0.0
    """Of luminance, between the picture before and after, encoding included."""


def embed(data: bytes, number: str, key: bytes) -> Borne:
    """Return the picture with its number as watermark, in its own form; unchanged, with the reason, where it cannot bear one. Never raises.

    Alpha, metadata and everything that is no luminance stay as the encoders of the explicit label keep them.
    """
    if not _NUMBER.fullmatch(number):
        return Borne(data=data, skipped="number of another form")
    try:
        marked, before = _marked(data, number, key)
        after = _luminance(marked)
    except GuijuError as error:
        return Borne(data=data, skipped=str(error.facts.get("reason", error.code.code)))
    found = _read(after, key)
    if found is None or found.prefix != number[:PREFIX_CHARACTERS]:
        return Borne(data=data, skipped="the picture does not hold it")
    error_squared = float(np.mean((after - before) ** 2))
    return Borne(data=marked, psnr_db=round(10 * float(np.log10(255**2 / max(error_squared, 1e-6))), 1))


def extract(data: bytes, key: bytes, size: tuple[int, int] | None = None) -> Found | None:
    """Return the watermark under this key, None for none that can be read. Raises WATERMARK-UNEXAMINED where that cannot be said.

    `size` is width and height in which it was delivered, for a picture that was resized since.
    """
    return _read(_luminance(data, size), key)


# ── pictures and their luminance ────────────────────────────────────────────────────────────────────────────────────


def _refused(reason: str, reason_zh: str) -> GuijuError:
    return GuijuError(WATERMARK_UNEXAMINED, reason=reason, reason_zh=reason_zh)


def _marked(data: bytes, number: str, key: bytes) -> tuple[bytes, Plane]:
    """Return the marked file and the luminance before."""
    form = find_form(data)
    if form == "PNG" and png.is_deep(data):
        raise _refused("16 bits a sample", "每个样本 16 位")
    original = segments.without_other_pictures(data) if form == "JPEG" else data
    with _opened(original, form) as image:
        if image.mode not in _CHANGED or "transparency" in image.info:
            raise _refused(f"pixels of mode {image.mode}", f"像素模式 {image.mode}")
        before = _plane(image)
        change = _change(before, _bits(number[:PREFIX_CHARACTERS], key), key)
        bands = image.split()
        lit = 3 if image.mode in ("RGB", "RGBA") else 1
        image.paste(Image.merge(image.mode, [*(_changed(band, change) for band in bands[:lit]), *bands[lit:]]))
        try:
            return STILL[form](image, image, original), before
        except Exception as error:
            raise _refused(f"not encoded: {type(error).__name__}", "无法重新编码") from error


def _changed(band: Image.Image, change: Plane) -> Image.Image:
    samples = np.asarray(band, np.float32) + change
    return Image.fromarray(np.clip(np.rint(samples), 0, 255).astype(np.uint8))


def _luminance(data: bytes, size: tuple[int, int] | None = None) -> Plane:
    with _opened(data, find_form(data), size) as image:
        if image.mode not in _READ:
            raise _refused(f"pixels of mode {image.mode}", f"像素模式 {image.mode}")
        plane = _plane(image)
        if size in (None, image.size):
            return plane
        return np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.BICUBIC), np.float32)


def _opened(data: bytes, form: str, size: tuple[int, int] | None = None) -> Any:
    """Return the decoded picture, after a look at its size and the one that is wanted. Raises WATERMARK-UNEXAMINED."""
    if form not in STILL:
        raise _refused(f"form {form}", f"文件类型 {form}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            image = Image.open(io.BytesIO(data), formats=(form.upper(),))
            width, height = image.size
            if getattr(image, "n_frames", 1) != 1:
                raise _refused("more than one picture", "含多幅图")
            wide, high = size or (width, height)
            if min(wide, high) < SIDE_AT_LEAST or max(width * height, wide * high) > PIXELS_AT_MOST:
                raise _refused(f"size {wide}x{high}", f"尺寸 {wide}x{high}")
            if form == "JPEG" and is_ycc(image):
                image.draft("YCbCr", None)
            image.load()
        except GuijuError:
            raise
        except Exception as error:  # a decoder raises whatever it likes for files that are cut or lie about themselves
            raise _refused(f"cannot be decoded ({type(error).__name__})", "无法解码") from error
    return image


def _plane(image: Image.Image) -> Plane:
    if image.mode in ("L", "LA", "YCbCr"):
        return np.asarray(image.getchannel(0), np.float32)
    red, green, blue = (np.asarray(band, np.float32) for band in image.convert("RGB").split())
    weighed: Plane = np.float32(0.299) * red + np.float32(0.587) * green + np.float32(0.114) * blue
    return weighed


# ── bits ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _bits(prefix: str, key: bytes) -> npt.NDArray[np.bool_]:
    """Return the bits that a number's prefix is borne as."""
    value = 0
    for character in prefix:
        value = value << 5 | _ALPHABET.index(character)
    value = value << _CHECK_BITS | _check(prefix, key)
    return np.array([value >> place & 1 for place in range(BITS)], bool)


def _check(prefix: str, key: bytes) -> int:
    digest = hmac.digest(key, b"watermark of " + prefix.encode(), "sha256")
    return int.from_bytes(digest[:8], "big") >> (64 - _CHECK_BITS)


def _read(luminance: Plane, key: bytes) -> Found | None:
    low = _low_band(luminance)
    bears, lattice = _plan(key, len(low))
    values = np.linalg.svd(low, compute_uv=False)[:, 0]
    bright = values >= (_DARK - 0.5) * _STEP
    votes = np.bincount(bears, -np.sin(2 * np.pi * (values / _STEP - lattice)) * bright, BITS) / np.maximum(
        np.bincount(bears, bright, BITS), 1
    )
    value = sum(1 << place for place, vote in enumerate(votes.tolist()) if vote > 0)
    number = value >> _CHECK_BITS
    prefix = "".join(_ALPHABET[number >> shift & 31] for shift in range(_PREFIX_BITS - 5, -1, -5))
    if value & (1 << _CHECK_BITS) - 1 != _check(prefix, key):
        return None
    return Found(prefix=prefix, confidence=round(float(np.abs(votes).mean()), 2))


# ── blocks ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _low_band(luminance: Plane) -> Plane:
    """Return the 4×4 blocks of the Haar wavelet's low band; the rest at the right and lower edge is left out."""
    down, across = (size // _BLOCK for size in luminance.shape)
    whole = luminance[: down * _BLOCK, : across * _BLOCK]
    low: Plane = (whole[0::2, 0::2] + whole[1::2, 0::2] + whole[0::2, 1::2] + whole[1::2, 1::2]) / np.float32(2)
    return low.reshape(down, 4, across, 4).swapaxes(1, 2).reshape(-1, 4, 4)


def _plan(key: bytes, blocks: int) -> tuple[npt.NDArray[np.intp], Plane]:
    """Return which bit each block bears, all bits alike often, and how far its lattice is shifted, in steps."""
    drawn = np.frombuffer(hashlib.shake_256(b"blocks" + key).digest(8 * blocks), "<u4").reshape(blocks, 2)
    bears = np.empty(blocks, np.intp)
    bears[np.argsort(drawn[:, 0], kind="stable")] = np.arange(blocks) % BITS
    return bears, (drawn[:, 1] / 2**32).astype(np.float32)


def _change(luminance: Plane, bits: npt.NDArray[np.bool_], key: bytes) -> Plane:
    """Return what is added to the luminance of each pixel."""
    low = _low_band(luminance)
    bears, lattice = _plan(key, len(low))
    left, values, right = np.linalg.svd(low)
    largest = values[:, 0]
    offset = (np.where(bits[bears], np.float32(0.75), np.float32(0.25)) + lattice) * np.float32(_STEP)
    wanted = np.rint((largest - offset) / _STEP) * np.float32(_STEP) + offset
    wanted = np.where(wanted > _LARGEST, wanted - np.float32(_STEP), wanted)
    wanted = np.where(largest < _DARK * _STEP, largest, wanted)
    moved = (wanted - largest)[:, None, None] * left[:, :, :1] * right[:, :1, :]
    down, across = (size // _BLOCK for size in luminance.shape)
    back = moved.reshape(down, across, 4, 4).swapaxes(1, 2).reshape(down * 4, across * 4)
    change = np.zeros_like(luminance)
    change[: down * _BLOCK, : across * _BLOCK] = np.repeat(np.repeat(back / 2, 2, 0), 2, 1)
    return change
