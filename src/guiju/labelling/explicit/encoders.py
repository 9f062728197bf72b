"""Pictures back into their own form: the pixels are encoded as the original's were, everything beside them is carried over."""

import io
from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
from PIL import Image, TiffImagePlugin

from guiju.labelling.explicit import png, segments
from guiju.labelling.explicit.drawing import Array

_FINE: Final = 95
"""Quality of a WebP, AVIF or HEIC that is encoded anew: its own quality cannot be read from the file."""
_SOME_MORE: Final = 2_048
"""Up to so many colours a frame keeps its commonest ones exactly; beyond that Pillow chooses all of them."""
_STRUCTURE: Final = frozenset({254, 255, 256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 292, 293, 317, 320, 322, 323, 324, 325, 338, 339, 347, 512, 513, 514, 530, 531, 532})  # fmt: skip
"""TIFF tags that say how the pixels lie; the encoder writes its own."""
_ICC, _EXIF_IFD, _GPS_IFD = 34675, 34665, 34853


def is_ycc(image: Image.Image) -> bool:
    """Tell whether a JPEG keeps luminance and colour apart, as nearly all do; its Adobe segment says when it does not."""
    return image.mode == "RGB" and image.info.get("adobe_transform") != 0


def _jpeg(image: Image.Image, opened: Any, original: bytes) -> bytes:
    """Encode with the original's own quantisation tables and subsampling."""
    out = io.BytesIO()
    image.save(out, "JPEG", quality="keep", optimize=True, progressive=bool(opened.info.get("progressive")), keep_rgb=image.mode == "RGB")
    return segments.with_segments_of(original, out.getvalue())


def _png(image: Image.Image, opened: Any, original: bytes) -> bytes:
    out = io.BytesIO()
    clear = {"transparency": image.info["transparency"]} if "transparency" in image.info else {}
    image.save(out, "PNG", **clear)
    return png.with_chunks_of(original, out.getvalue())


def _webp(image: Image.Image, opened: Any, original: bytes) -> bytes:
    out = io.BytesIO()
    image.save(out, "WEBP", lossless=b"VP8L" in segments.riff_names(original), quality=_FINE, exact=True, **_carried(opened))
    return out.getvalue()


def _avif(image: Image.Image, opened: Any, original: bytes) -> bytes:
    out = io.BytesIO()
    image.save(out, "AVIF", quality=_FINE, subsampling="4:4:4", **_carried(opened))
    return out.getvalue()


def _heic(image: Image.Image, opened: Any, original: bytes) -> bytes:
    """Encode anew, upright as it was decoded; small copies in the file give way to none: they would leave without a label."""
    out = io.BytesIO()
    image.info["thumbnails"] = []
    image.save(out, "HEIF", quality=_FINE, chroma=444)
    return out.getvalue()


def _carried(opened: Any) -> dict[str, Any]:
    carried = {name: opened.info[name] for name in ("icc_profile", "xmp") if opened.info.get(name)}
    return carried | ({"exif": opened.getexif()} if opened.getexif() else {})


def _tiff(image: Image.Image, opened: Any, original: bytes) -> bytes:
    out = io.BytesIO()
    _tiff_page(image, opened, out)
    return out.getvalue()


def tiff_pages(pages: Iterator[tuple[Image.Image, Any]]) -> bytes:
    """Encode pages one behind the other, each with the tags and the compression of the one that is open then."""
    out = io.BytesIO()
    with TiffImagePlugin.AppendingTiffWriter(out) as writer:
        for image, opened in pages:
            _tiff_page(image, opened, writer)
            writer.newFrame()
    return out.getvalue()


def _tiff_page(image: Image.Image, opened: Any, out: Any) -> None:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in opened.tag_v2.items():
        if tag not in _STRUCTURE and tag not in (_EXIF_IFD, _GPS_IFD):
            tags.tagtype[tag] = opened.tag_v2.tagtype[tag]
            tags[tag] = value
    exif = opened.getexif()
    for pointer in (_EXIF_IFD, _GPS_IFD):
        if pointer in exif:
            tags[pointer] = exif.get_ifd(pointer)
    image.save(out, "TIFF", tiffinfo=tags, compression=opened.info.get("compression", "raw"))


STILL: Final[dict[str, Callable[[Image.Image, Any, bytes], bytes]]] = {
    "JPEG": _jpeg,
    "PNG": _png,
    "WebP": _webp,
    "AVIF": _avif,
    "TIFF": _tiff,
    "HEIC": _heic,
}


# ── moving pictures ─────────────────────────────────────────────────────────────────────────────────────────────────


def _timing(opened: Any) -> tuple[list[int], dict[str, int]]:
    """Return how long each frame stands, in milliseconds, and how often all are shown, where the file says so."""
    durations = []
    for place in range(opened.n_frames):
        opened.seek(place)
        opened.load()
        durations.append(round(opened.info.get("duration", 0)))
    return durations, {"loop": opened.info["loop"]} if "loop" in opened.info else {}


def _gif(pictures: list[Image.Image], opened: Any, original: bytes) -> bytes:
    """Encode every frame whole; its colours stay exact while they are at most 256."""
    out = io.BytesIO()
    durations, loop = _timing(opened)
    first, *others = [paletted(picture) for picture in pictures]
    clear = any(bool((np.asarray(picture.getchannel("A")) < 128).any()) for picture in pictures)
    first.save(out, "GIF", save_all=True, append_images=others, duration=durations, disposal=2 if clear else 1, optimize=False, **loop)
    return segments.with_extensions_of(original, out.getvalue())


def paletted(picture: Image.Image) -> Image.Image:
    """Return an RGBA picture with a palette: its own colours when 256 hold them all, otherwise the nearest that Pillow finds."""
    samples = np.asarray(picture).copy()
    hidden = samples[..., 3] < 128
    samples[hidden] = 0
    flat = np.ascontiguousarray(samples[..., :3]).astype(np.uint32)
    keys = (flat[..., 0] << 16 | flat[..., 1] << 8 | flat[..., 2]) + (hidden.astype(np.uint32) << 24)
    colours, places, counts = np.unique(keys, return_inverse=True, return_counts=True)
    if len(colours) > _SOME_MORE:
        return _quantized(picture, hidden)
    if len(colours) > 256:
        colours, places = _fewer(colours, places, counts)
    result = Image.frombytes("P", picture.size, places.reshape(hidden.shape).astype(np.uint8).tobytes())
    result.putpalette([part for key in colours.tolist() for part in (key >> 16 & 255, key >> 8 & 255, key & 255)])
    if hidden.any():
        result.info["transparency"] = len(colours) - 1
    return result


def _fewer(colours: Array, places: Array, counts: Array) -> tuple[Array, Array]:
    """Return 256 colours: the rarest give way to the nearest of those that stay; black, white and the hidden one always stay."""
    always = (colours == 0) | (colours == 0xFFFFFF) | (colours >> 24 == 1)
    stays = np.zeros(len(colours), bool)
    stays[np.argsort(np.where(always, np.iinfo(np.int64).max, counts))[-256:]] = True
    parts = np.stack([colours >> 24 << 10, colours >> 16 & 255, colours >> 8 & 255, colours & 255], -1).astype(np.int64)
    kept = parts[stays]
    moved = np.empty(len(colours), np.int64)
    moved[stays] = np.arange(len(kept))
    for place in np.flatnonzero(~stays):
        moved[place] = ((kept - parts[place]) ** 2).sum(axis=1).argmin()
    return colours[stays], moved[places]


def _quantized(picture: Image.Image, hidden: Array) -> Image.Image:
    found = picture.convert("RGB").quantize(255 if hidden.any() else 256, dither=Image.Dither.NONE)
    if hidden.any():
        found.paste(255, mask=Image.fromarray(np.where(hidden, 255, 0).astype(np.uint8)))
        found.putpalette([*(found.getpalette("RGB") or [])[:765], 0, 0, 0])
        found.info["transparency"] = 255
    return found


def _apng(pictures: list[Image.Image], opened: Any, original: bytes) -> bytes:
    out = io.BytesIO()
    durations, loop = _timing(opened)
    apart = bool(opened.info.get("default_image"))  # shown where nothing moves, and no frame of the others
    pictures[0].save(
        out, "PNG", save_all=True, append_images=pictures[1:], duration=durations[apart:], disposal=0, blend=0, default_image=apart, **loop
    )
    return png.with_chunks_of(original, out.getvalue())


def _moving_webp(pictures: list[Image.Image], opened: Any, original: bytes) -> bytes:
    out = io.BytesIO()
    durations, loop = _timing(opened)
    lossless = b"VP8L" in segments.riff_names(original)
    pictures[0].save(
        out, "WEBP", save_all=True, append_images=pictures[1:], duration=durations, lossless=lossless, quality=_FINE, exact=True, **loop, **_carried(opened),
    )  # fmt: skip
    return out.getvalue()


def _moving_avif(pictures: list[Image.Image], opened: Any, original: bytes) -> bytes:
    out = io.BytesIO()
    durations, _ = _timing(opened)
    pictures[0].save(out, "AVIF", save_all=True, append_images=pictures[1:], duration=durations, quality=_FINE, subsampling="4:4:4", **_carried(opened))  # fmt: skip
    return out.getvalue()


MOVING: Final[dict[str, Callable[[list[Image.Image], Any, bytes], bytes]]] = {
    "GIF": _gif, "PNG": _apng, "WebP": _moving_webp, "AVIF": _moving_avif,
}  # fmt: skip
