"""The words of a label as a drawing: how large, where, in which ink; measured on what was drawn, not on the size of the font.

Source: GB 45438-2025 §5.2, §5.4 (glyph height at least 5 % of the shortest side, at an edge or corner). That the ink of the shortest
glyph is what is measured, the contrast, the plate and the least legible height are ours.
"""

import math
import re
from typing import Any, Final, NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from guiju.core.errors import GuijuError
from guiju.labelling.explicit.errors import LABEL_TOO_SMALL
from guiju.labelling.explicit.fonts import Font
from guiju.labelling.values import ExplicitStyle, Place

CONTRAST: Final = 4.5
"""Least ratio of the ink to the lightest or darkest pixel of its plate, reckoned as WCAG 2 does for text."""
LEGIBLE_PX: Final = 12
"""Ink under this height cannot be read, whatever share of a tiny picture it is."""
INK: Final = 128
"""A pixel counts as ink from this coverage on."""
_FLAT: Final = 0.5
_LEAST_PERCENT: Final = 5
LEAST_OPACITY: Final = 0.6
_WORDS: Final = re.compile(r"人工智能|生成|合成|[A-Za-z0-9]+|\s+|.", re.DOTALL)

Array = np.ndarray[Any, np.dtype[Any]]


class Sketch(NamedTuple):
    """A label for a picture of one size: where its plate lies, and the coverage of the ink in it (0–255)."""

    left: int
    top: int
    ink: Array
    glyph_px: int
    floor_px: int
    lines: int

    @property
    def width(self) -> int:
        """Return the width of the plate in pixels."""
        return int(self.ink.shape[1])

    @property
    def height(self) -> int:
        """Return the height of the plate in pixels."""
        return int(self.ink.shape[0])


def floor_px(width: int, height: int, style: ExplicitStyle) -> int:
    """Return the least height of a glyph in a picture of this size."""
    return max(math.ceil(max(style.height_percent, _LEAST_PERCENT) * min(width, height) / 100), LEGIBLE_PX)


def sketch(width: int, height: int, style: ExplicitStyle, font: Font) -> Sketch:
    """Return the label for a picture of this size as its viewer sees it. Raises GuijuError LABEL-TOO-SMALL when it has no room."""
    least = floor_px(width, height, style)
    face, glyph_px = _sized(style.text, least, font)
    margin = max(math.ceil(style.margin_percent * min(width, height) / 100), 1)
    pad, gap = max(math.ceil(least / 4), 2), max(math.ceil(least / 4), 2)
    lines = wrap(style.text, face, width - 2 * margin - 2 * pad)
    if not lines:
        raise GuijuError(LABEL_TOO_SMALL, width=width, height=height, glyph_px=least, text=style.text)
    boxes = [face.getbbox(line, anchor="ls") for line in lines]
    up, down = -min(int(box[1]) for box in boxes), max(int(box[3]) for box in boxes)
    across = math.ceil(max(box[2] - box[0] for box in boxes)) + 2 * pad
    along = len(lines) * (up + down) + (len(lines) - 1) * gap + 2 * pad
    if across > width - 2 * margin or along > height - 2 * margin:
        raise GuijuError(LABEL_TOO_SMALL, width=width, height=height, glyph_px=least, text=style.text)
    plate = Image.new("L", (across, along))
    draw = ImageDraw.Draw(plate)
    for place, (line, box) in enumerate(zip(lines, boxes, strict=True)):
        left = _aligned(style.place, across, math.ceil(box[2] - box[0]), pad) - box[0]
        draw.text((left, pad + up + place * (up + down + gap)), line, fill=255, font=face, anchor="ls")
    left, top = _corner(style.place, width, height, across, along, margin)
    return Sketch(left, top, np.asarray(plate), glyph_px, least, len(lines))


def wrap(text: str, face: ImageFont.FreeTypeFont, room: int) -> list[str]:
    """Return the text in as few lines as its room allows, of about one length; none when a single sign is too wide."""
    words = [part for word in _WORDS.findall(text) for part in ([word] if face.getlength(word) <= room else list(word))]
    if max(map(face.getlength, words)) > room:
        return []
    best = _filled(words, face, room)
    narrow = max(map(face.getlength, words))
    while narrow < room:
        lines = _filled(words, face, narrow)
        if len(lines) == len(best):
            return lines
        narrow += max(face.size / 4, 1)
    return best


def _filled(words: list[str], face: ImageFont.FreeTypeFont, room: float) -> list[str]:
    lines = [""]
    for word in words:
        if lines[-1] and face.getlength((lines[-1] + word).strip()) > room:
            lines.append("")
        lines[-1] += word
    return [line.strip() for line in lines if line.strip()]


def _sized(text: str, least: int, font: Font) -> tuple[ImageFont.FreeTypeFont, int]:
    """Return the smallest face whose shortest glyph has this ink height, and the height that it has."""
    big = font.at(200)
    signs = [sign for sign in dict.fromkeys(text) if sign.isalnum() and ink_height(big, sign) > _FLAT * 100]
    # A sign that is flat by its nature (一, 二 in some faces) tells nothing about the size of the type.
    size = max(int(least * 200 / min(ink_height(big, sign) for sign in signs)) - 2, 1)
    while True:
        face = font.at(size)
        height = min(ink_height(face, sign) for sign in signs)
        if height >= least:
            return face, height
        size += 1


def ink_height(face: ImageFont.FreeTypeFont, sign: str) -> int:
    """Return how many rows of pixels the ink of one sign takes, as it is drawn."""
    side = math.ceil(face.size * 2)
    canvas = Image.new("L", (side, side))
    ImageDraw.Draw(canvas).text((side // 4, side * 3 // 4), sign, fill=255, font=face, anchor="ls")
    rows = np.flatnonzero((np.asarray(canvas) >= INK).any(axis=1))
    return int(rows[-1] - rows[0] + 1) if len(rows) else 0


def _aligned(place: Place, across: int, line: int, pad: int) -> int:
    if place.endswith("right"):
        return across - pad - line
    return pad if place.endswith("left") else (across - line) // 2


def _corner(place: Place, width: int, height: int, across: int, along: int, margin: int) -> tuple[int, int]:
    left = width - margin - across if place.endswith("right") else margin if place.endswith("left") else (width - across) // 2
    return left, margin if place.startswith("top") else height - margin - along


# ── ink and plate ───────────────────────────────────────────────────────────────────────────────────────────────────


class Inks(NamedTuple):
    """Which of black and white the words have, how dense their plate is, and the ratio that gives."""

    light: bool
    opacity: float
    contrast: float


def choose_inks(below: Array, opacity: float) -> Inks:
    """Return the inks for what lies below: RGB pixels of 8 bits (height, width, 3).

    Dark pictures get a dark plate and white words, light ones the reverse. The plate becomes denser until the worst of its pixels
    is apart from the ink by CONTRAST.
    """
    light = bool(luminance(below).mean() < 0.4)
    while True:
        plate = luminance(below * (1 - opacity) + (0 if light else 255 * opacity))
        contrast = ratio(1.0, float(plate.max())) if light else ratio(0.0, float(plate.min()))
        if contrast >= CONTRAST or opacity >= 1:
            return Inks(light, opacity, contrast)
        opacity = min(opacity + 0.05, 1.0)


def blend(samples: Array, sketch: Sketch, inks: Inks, black: Array | float, white: Array | float) -> Array:
    """Return samples with plate and words over them; `black` and `white` are those of their own colour space."""
    plate, words = (black, white) if inks.light else (white, black)
    cover = (sketch.ink.astype(np.float32) / 255)[(...,) + (None,) * (samples.ndim - 2)]
    under = samples.astype(np.float32) * (1 - inks.opacity) + np.asarray(plate, np.float32) * inks.opacity
    mixed = np.rint(under * (1 - cover) + np.asarray(words, np.float32) * cover)
    return mixed.astype(samples.dtype)


def luminance(rgb: Array) -> Array:
    """Return the relative luminance of sRGB pixels of 8 bits, 0–1 (WCAG 2)."""
    share = np.asarray(rgb, np.float64) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    found: Array = linear @ np.array([0.2126, 0.7152, 0.0722])
    return found


def ratio(one: float, other: float) -> float:
    """Return the contrast of two luminances, 1–21 (WCAG 2)."""
    return (max(one, other) + 0.05) / (min(one, other) + 0.05)


class Seen(NamedTuple):
    """What a decoded result shows where the label should be."""

    contrast: float
    glyph_rows: int
    agreement: float


def look(rgb: Array, drawn: Sketch, inks: Inks) -> Seen:
    """Return what is seen of the label in the decoded pixels under its plate (height, width, 3).

    `agreement` is the share of pixels that are on the side of ink or plate on which they were drawn.
    """
    found = luminance(rgb)
    core, bare = drawn.ink >= 250, drawn.ink <= 5
    inked, plain = float(np.median(found[core])), float(np.median(found[bare]))
    middle = math.sqrt((inked + 0.05) * (plain + 0.05)) - 0.05
    seen = found > middle if inks.light else found < middle
    agreement = float((np.count_nonzero(seen & core) + np.count_nonzero(~seen & bare)) / (np.count_nonzero(core) + np.count_nonzero(bare)))
    rows = np.flatnonzero(seen.any(axis=1))
    return Seen(ratio(inked, plain), int(rows[-1] - rows[0] + 1) if len(rows) else 0, agreement)
