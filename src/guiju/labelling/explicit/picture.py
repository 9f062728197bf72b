"""Words in a picture: at an edge or corner, upright for the viewer; everything else as it was, as far as the form allows.

Source: Labelling Measures Art. 4; GB 45438-2025 §5.2.
"""

import io
import struct
import warnings
import zlib
from typing import Any, Final, NamedTuple, NoReturn

import numpy as np
from PIL import Image, ImageSequence, UnidentifiedImageError

from guiju.core.errors import GuijuError
from guiju.labelling.explicit import png, segments, svg
from guiju.labelling.explicit.drawing import CONTRAST, LEAST_OPACITY, Array, Inks, Sketch, blend, choose_inks, look, sketch
from guiju.labelling.explicit.encoders import MOVING, STILL, is_ycc
from guiju.labelling.explicit.errors import LABEL_LIBRARY, LABEL_MEDIUM, LABEL_NOT_SEEN, LABEL_TOO_LARGE, LABEL_UNDECODABLE
from guiju.labelling.explicit.fonts import Font, find_font
from guiju.labelling.values import ExplicitStyle, Marked

PIXELS_AT_MOST: Final = 64_000_000
"""Of one picture; of all frames of a moving one together, four times as many."""
FRAMES_AT_MOST: Final = 2_000
_AGREEMENT: Final = 0.9
_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_90,
}  # fmt: skip
"""EXIF orientation → how the stored picture is turned for the viewer."""
_BACK: Final = {**_TURNS, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
_ORIENTATION: Final = 0x0112
_BLACK_WHITE: Final[dict[str, tuple[Any, Any]]] = {
    "1": (0, 255), "L": (0, 255), "I;16": (0, 65535), "RGB": (0, 255), "LA": ((0, 255), (255, 255)), "RGBA": ((0, 0, 0, 255), (255, 255, 255, 255)),
    "YCbCr": ((0, 128, 128), (255, 128, 128)), "CMYK": ((0, 0, 0, 255), (0, 0, 0, 0)),
}  # fmt: skip
_FAULTS: Final = (
    OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, OverflowError, AttributeError, RuntimeError, MemoryError,
    struct.error, zlib.error,
)  # fmt: skip
"""What Pillow raises for files that are cut or lie about themselves."""


class Drawn(NamedTuple):
    """The label of one picture: the drawing and its inks."""

    sketch: Sketch
    inks: Inks


def mark_picture(data: bytes, form: str, style: ExplicitStyle) -> Marked:
    """Return the picture with the words of its label. Raises as `media.mark` does."""
    if form == "BMP":
        _refuse(form, "guiju cannot write it with its labels", "guiju 不能写入带标识的此类文件")
    if form == "HEIC":
        _load_heif()
    font = find_font(style.text, style.font_file)
    if form == "SVG":
        return svg.mark_svg(data, style, font)
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        warnings.filterwarnings("ignore", category=UserWarning, module="PIL")
        try:
            if form == "PNG" and png.is_deep(data):
                marked, drawn, size = _deep(data, style, font)
            elif form == "TIFF" and _has_pages(data):
                from guiju.labelling.explicit.pages import mark_pages  # here: it draws with what stands in this file

                return mark_pages(data, style, font)
            else:
                marked, drawn, size = _marked(data, form, style, font)
            drawn = _read_back(marked, form, drawn)
        except (Image.DecompressionBombWarning, Image.DecompressionBombError):
            raise GuijuError(LABEL_TOO_LARGE, form=form, found="–", unit="pixels", unit_zh="像素", most=PIXELS_AT_MOST) from None
        except _FAULTS as error:
            reason = "its head cannot be read" if isinstance(error, UnidentifiedImageError) else f"{type(error).__name__}: {error}"[:200]
            raise GuijuError(LABEL_UNDECODABLE, form=form, reason=reason) from error
    return Marked(data=marked, medium="picture", how=told("picture", form, size, style, drawn.sketch, drawn.inks))


def _load_heif() -> None:
    """Let Pillow read and write HEIC. Raises GuijuError LABEL-LIBRARY where pillow-heif is not installed."""
    try:
        import pillow_heif
    except ImportError:
        raise GuijuError(LABEL_LIBRARY, form="HEIC", library="pillow-heif", extra="media") from None
    pillow_heif.register_heif_opener()


def _name_of(form: str) -> str:
    """Return what Pillow calls a form."""
    return "HEIF" if form == "HEIC" else form.upper()


def told(medium: str, form: str, size: tuple[int, int], style: ExplicitStyle, drawn: Sketch, inks: Inks) -> str:
    """Return what was put where, with what was measured."""
    share = 100 * drawn.glyph_px / min(size)
    return (
        f"{medium};form={form};size={size[0]}x{size[1]};place={style.place};lines={drawn.lines};glyph_px={drawn.glyph_px};"
        f"share_percent={share:.2f};contrast={inks.contrast:.1f};opacity_percent={inks.opacity * 100:.0f}"
    )


def _marked(data: bytes, form: str, style: ExplicitStyle, font: Font) -> tuple[bytes, Drawn, tuple[int, int]]:
    original = segments.without_other_pictures(data) if form == "JPEG" else data
    with Image.open(io.BytesIO(original), formats=(_name_of(form),)) as image:
        frames = int(getattr(image, "n_frames", 1))
        check_size(form, image.width * image.height, frames)
        if frames > 1 and form not in MOVING:
            _refuse(form, "it has more than one picture", "它含多幅图")
        if image.info.get("depth_images") or image.info.get("aux"):
            _refuse(form, "it has further pictures: depth, or others beside it", "它另含深度图或其他附图")
        if frames > 1 or form == "GIF":
            pictures, drawn = _moving(image, style, font)
            return MOVING[form](pictures, image, original), drawn, pictures[0].size
        if form == "JPEG" and is_ycc(image):
            image.draft("YCbCr", None)  # no way to RGB and back: what is not drawn upon changes less
        image.load()
        orientation = orientation_of(image)
        plain, drawn = draw(image, orientation, style, font)
        return STILL[form](plain, image, original), drawn, seen_size(plain, orientation)


def _has_pages(data: bytes) -> bool:
    with Image.open(io.BytesIO(data), formats=("TIFF",)) as image:
        return int(getattr(image, "n_frames", 1)) > 1


def check_size(form: str, pixels: int, frames: int = 1) -> None:
    for found, most, unit, unit_zh in (
        (pixels, PIXELS_AT_MOST, "pixels", "像素"),
        (pixels * frames, 4 * PIXELS_AT_MOST, "pixels", "像素"),
        (frames, FRAMES_AT_MOST, "frames", "帧"),
    ):
        if found > most:
            raise GuijuError(LABEL_TOO_LARGE, form=form, found=found, unit=unit, unit_zh=unit_zh, most=most)


def _refuse(form: str, reason: str, reason_zh: str) -> NoReturn:
    raise GuijuError(LABEL_MEDIUM, form=form, reason=reason, reason_zh=reason_zh)


# ── turned as the viewer sees it ────────────────────────────────────────────────────────────────────────────────────


def orientation_of(image: Image.Image) -> int:
    """Return how EXIF says the picture is turned, 1–8; anything else is 1."""
    found = image.getexif().get(_ORIENTATION, 1)
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


def seen_size(image: Image.Image, orientation: int) -> tuple[int, int]:
    """Return width and height as the viewer sees them."""
    return (image.height, image.width) if orientation >= 5 else (image.width, image.height)


def stored_box(box: tuple[int, int, int, int], width: int, height: int, orientation: int) -> tuple[int, int, int, int]:
    """Return where a box of the viewer's picture lies in the stored one, whose size is given."""
    left, top, right, bottom = box
    if orientation >= 5:
        left, top, right, bottom = top, left, bottom, right
    if orientation in (2, 3, 7, 8):
        left, right = width - right, width - left
    if orientation in (3, 4, 6, 7):
        top, bottom = height - bottom, height - top
    return left, top, right, bottom


def _region(image: Image.Image, drawn: Sketch, orientation: int) -> tuple[Image.Image, tuple[int, int]]:
    """Return what lies below the plate as the viewer sees it, and its corner in the stored picture."""
    seen = (drawn.left, drawn.top, drawn.left + drawn.width, drawn.top + drawn.height)
    box = stored_box(seen, image.width, image.height, orientation)
    region = image.crop(box)
    return (region.transpose(_TURNS[orientation]) if orientation in _TURNS else region), box[:2]


# ── one picture ─────────────────────────────────────────────────────────────────────────────────────────────────────


def draw(image: Image.Image, orientation: int, style: ExplicitStyle, font: Font) -> tuple[Image.Image, Drawn]:
    """Return the picture with the words, in its own mode where that can be, and the drawing."""
    planned = sketch(*seen_size(image, orientation), style, font)
    image = _drawable(image)
    region, corner = _region(image, planned, orientation)
    inks = choose_inks(np.asarray(_rgb(region)), 1.0 if _must_be_dense(region) else max(style.opacity_percent / 100, LEAST_OPACITY))
    region = _covered(region, planned, inks)
    image.paste(region.transpose(_BACK[orientation]) if orientation in _BACK else region, corner)
    return image, Drawn(planned, inks)


def _covered(region: Image.Image, planned: Sketch, inks: Inks) -> Image.Image:
    if region.mode in ("1", "P"):
        black, white = _palette_places(region) if region.mode == "P" else (0, 255)
        plate, words = (black, white) if inks.light else (white, black)
        flat = np.where(planned.ink >= 128, words, plate).astype(np.uint8)
        return Image.fromarray(flat).convert("1", dither=Image.Dither.NONE) if region.mode == "1" else _image(flat, "P")
    black, white = _BLACK_WHITE[region.mode]
    return _image(blend(np.asarray(region), planned, inks, np.array(black), np.array(white)), region.mode)


def _image(samples: Array, mode: str) -> Image.Image:
    return Image.frombytes(mode, (samples.shape[1], samples.shape[0]), np.ascontiguousarray(samples).tobytes())


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode == "I;16":
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    return image.convert("RGB")


def _must_be_dense(region: Image.Image) -> bool:
    """Tell whether the plate may not be mixed: where something shines through, nobody knows what lies behind; a palette has no mixtures."""
    return region.mode in ("1", "P") or (region.mode in ("RGBA", "LA") and region.getchannel("A").getextrema()[0] != 255)


def _drawable(image: Image.Image) -> Image.Image:
    """Return a picture that has an opaque black and an opaque white; a full palette without them gives way to true colour."""
    if image.mode == "P" and _make_room(image):
        return image
    if image.mode in ("P", "PA") or (image.mode in ("L", "RGB") and "transparency" in image.info):
        clear = image.mode == "PA" or "transparency" in image.info
        image = image.convert({"L": "LA"}.get(image.mode, "RGBA") if clear else "RGB")
    if image.mode not in _BLACK_WHITE:
        _refuse(image.format or "picture", f"pixels of mode {image.mode} are not supported", f"不支持 {image.mode} 像素")
    return image


def _make_room(image: Image.Image) -> bool:
    colours = image.getpalette("RGB") or []
    places = _palette_places(image)
    wanted = [part for place, shade in zip(places, (0, 255), strict=True) if place < 0 for part in (shade,) * 3]
    if len(colours) + len(wanted) > 768:
        return False
    if wanted:
        image.putpalette([*colours, *wanted], "RGB")
    return True


def _palette_places(image: Image.Image) -> tuple[int, int]:
    """Return where opaque black and white stand in the palette; -1 for what is not there."""
    colours = image.getpalette("RGB") or []
    clear = image.info.get("transparency", b"")
    hidden = {clear} if isinstance(clear, int) else {place for place, alpha in enumerate(clear) if alpha != 255}
    triples = {tuple(colours[at : at + 3]): at // 3 for at in range(0, len(colours), 3) if at // 3 not in hidden}
    return triples.get((0, 0, 0), -1), triples.get((255, 255, 255), -1)


# ── moving and deep pictures ────────────────────────────────────────────────────────────────────────────────────────


def _moving(image: Image.Image, style: ExplicitStyle, font: Font) -> tuple[list[Image.Image], Drawn]:
    """Return every frame with the words, at one place and in one ink on a dense plate: what lies below changes."""
    pictures = [frame.convert("RGBA") for frame in ImageSequence.Iterator(image)]
    planned = sketch(*pictures[0].size, style, font)
    inks = choose_inks(np.asarray(_rgb(_region(pictures[0], planned, 1)[0])), 1.0)
    for picture in pictures:
        region, corner = _region(picture, planned, 1)
        picture.paste(_covered(region, planned, inks), corner)
    return pictures, Drawn(planned, inks)


def _deep(data: bytes, style: ExplicitStyle, font: Font) -> tuple[bytes, Drawn, tuple[int, int]]:
    """Draw into a PNG of 16 bits a sample, which Pillow would cut down to 8."""
    with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
        check_size("PNG", image.width * image.height)
        orientation = orientation_of(image)
    samples = png.read_deep(data)
    height, width, channels = samples.shape
    seen = (height, width) if orientation >= 5 else (width, height)
    planned = sketch(*seen, style, font)
    box = (planned.left, planned.top, planned.left + planned.width, planned.top + planned.height)
    left, top, right, bottom = stored_box(box, width, height, orientation)
    below = _turned(samples[top:bottom, left:right], orientation)
    colours = below[..., : 3 if channels >= 3 else 1] >> 8
    clear = channels in (2, 4) and bool((below[..., -1] != 65535).any())
    inks = choose_inks(np.broadcast_to(colours, (*colours.shape[:2], 3)), 1.0 if clear else max(style.opacity_percent / 100, LEAST_OPACITY))
    black = np.array([0] * channels if channels in (1, 3) else [0] * (channels - 1) + [65535])
    mixed = blend(below, planned, inks, black, np.full(channels, 65535))
    samples[top:bottom, left:right] = _turned(mixed, {6: 8, 8: 6}.get(orientation, orientation))
    return png.write_deep(data, samples), Drawn(planned, inks), seen


def _turned(samples: Array, orientation: int) -> Array:
    """Return stored samples as the viewer sees them."""
    if orientation >= 5:
        samples = samples.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        samples = samples[:, ::-1]
    return samples[::-1] if orientation in (3, 4, 7, 8) else samples


# ── reading back ────────────────────────────────────────────────────────────────────────────────────────────────────


def _read_back(marked: bytes, form: str, drawn: Drawn) -> Drawn:
    """Decode what will be delivered and return the drawing with the contrast that is seen. Raises LABEL-NOT-SEEN."""
    contrast = drawn.inks.contrast
    with Image.open(io.BytesIO(marked), formats=(_name_of(form),)) as image:
        orientation = orientation_of(image) if form not in MOVING or getattr(image, "n_frames", 1) == 1 else 1
        for frame in ImageSequence.Iterator(image):
            contrast = min(contrast, seen_contrast(frame, orientation, drawn, form))
    return drawn._replace(inks=drawn.inks._replace(contrast=contrast))


def seen_contrast(image: Image.Image, orientation: int, drawn: Drawn, form: str) -> float:
    """Return with which contrast the words are seen in a decoded picture. Raises LABEL-NOT-SEEN."""
    region, _ = _region(image, drawn.sketch, orientation)
    seen = look(np.asarray(_rgb(region)), drawn.sketch, drawn.inks)
    if seen.agreement < _AGREEMENT or seen.contrast < CONTRAST or seen.glyph_rows < drawn.sketch.floor_px:
        found = f"{seen.contrast:.1f}:1, {seen.agreement:.0%}"
        raise GuijuError(LABEL_NOT_SEEN, form=form, reason=f"contrast and agreement are {found}", reason_zh=f"对比度与吻合度为 {found}")
    return seen.contrast
