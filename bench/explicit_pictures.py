"""The pictures of docs/explicit-labels.md, drawn and labelled by guiju itself: `python -m bench.explicit_pictures docs/pictures`.

The landscape, the melody and the page are made here; nothing of anybody's is in them. Needs a Chinese font, guiju[media], guiju[documents]; the page needs pdftoppm.
"""

import io
import subprocess
import sys
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from guiju.labelling.explicit.fonts import find_font
from guiju.labelling.explicit.media import mark
from guiju.labelling.explicit.rhythm import make_rhythm
from guiju.labelling.values import ExplicitStyle

STYLE = ExplicitStyle()
_GREY = (236, 237, 239)


def landscape(width: int, height: int, *, night: bool = False, drift: float = 0.0) -> Image.Image:
    """Return hills under a sky, by day or by night."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    up, across = y / height, x / width + drift
    top, low = ((12, 18, 44), (48, 52, 92)) if night else ((96, 160, 226), (238, 222, 196))
    found = np.array(top) * (1 - up[..., None]) + np.array(low) * up[..., None]
    found += (
        120
        * np.exp(-(((x - 0.74 * width) ** 2 + (y - 0.24 * height) ** 2) / (0.004 * width * height)))[..., None]
        * np.array([1, 0.95, 0.75])
    )
    for place, (level, tone) in enumerate(((0.52, 0.75), (0.64, 0.5), (0.78, 0.3))):
        ridge = level + 0.07 * np.sin(7 * across + 2 * place) + 0.03 * np.sin(19 * across + 5 * place)
        hill = np.array((60, 120, 88)) * tone * (0.35 if night else 1.4) + 30 * (up - level)[..., None]
        found = np.where((up > ridge)[..., None], hill, found)
    return Image.fromarray(np.clip(found + np.random.default_rng(4).normal(0, 2, found.shape), 0, 255).astype(np.uint8))


def encoded(image: Image.Image, form: str, **options: Any) -> bytes:
    """Return a picture as a file."""
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def film(seconds: float = 4, rate: int = 10, size: tuple[int, int] = (640, 360)) -> bytes:
    """Return a film in which the hills drift."""
    import av

    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as target:
        track = target.add_stream("libx264", rate=rate)
        track.width, track.height, track.pix_fmt = *size, "yuv420p"
        for place in range(round(seconds * rate)):
            frame = av.VideoFrame.from_image(landscape(*size, drift=place * 0.02))
            frame.pts, frame.time_base = place, Fraction(1, rate)
            target.mux(track.encode(frame))
        target.mux(track.encode(None))
    return out.getvalue()


def _beside(images: list[Image.Image], words: list[str], gap: int = 16) -> Image.Image:
    """Return pictures side by side, each with a line of words below."""
    face = find_font("标识").at(15)
    high = max(image.height for image in images)
    board = Image.new("RGB", (sum(image.width for image in images) + gap * (len(images) + 1), high + 2 * gap + 24), _GREY)
    draw, at = ImageDraw.Draw(board), gap
    for image, line in zip(images, words, strict=True):
        board.paste(image.convert("RGB"), (at, gap))
        draw.text((at, high + gap + 8), line, fill=(40, 40, 40), font=face)
        at += image.width + gap
    return board


def _marked(image: Image.Image, style: ExplicitStyle = STYLE, form: str = "JPEG", **options: Any) -> Image.Image:
    return Image.open(io.BytesIO(mark(encoded(image, form, **options), style).data)).convert("RGB")


def pictures() -> Image.Image:
    """Return labelled pictures: by day, by night, small, with other words."""
    return _beside(
        [_marked(landscape(440, 300)), _marked(landscape(300, 300, night=True), ExplicitStyle(place="bottom_left")), _marked(landscape(200, 300), ExplicitStyle(text="本图片由人工智能生成，请注意辨别", place="top"))],
        ["日 day · bottom_right", "夜 night · bottom_left", "窄 narrow · top"],
    )  # fmt: skip


def opening() -> Image.Image:
    """Return pictures of a labelled film at four times."""
    import av

    with av.open(io.BytesIO(mark(film(), STYLE).data)) as source:
        frames = [(float(frame.time), frame.to_image().resize((240, 135))) for frame in source.decode(video=0)]
    wanted = [min(frames, key=lambda each: abs(each[0] - time)) for time in (0.0, 1.0, 1.9, 3.5)]
    return _beside([image for _, image in wanted], [f"{time:.1f} s" for time, _ in wanted])


def sound() -> Image.Image:
    """Return the shape of a labelled sound: the rhythm, the silence, the sound itself."""
    rate = 8_000
    time = np.arange(round(1.6 * rate)) / rate
    melody = 0.7 * np.sin(2 * np.pi * 190 * time) * np.abs(np.sin(2 * np.pi * 1.7 * time))
    samples = np.concatenate([make_rhythm(rate, STYLE), np.zeros(rate // 2), melody])
    width, height = 980, 150
    board = Image.new("RGB", (width + 32, height + 64), _GREY)
    draw, face = ImageDraw.Draw(board), find_font("短长标识").at(15)
    columns = np.array_split(samples, width)
    for place, column in enumerate(columns):
        top, low = (height / 2 * (1 - each) + 16 for each in (column.max(), column.min()))
        colour = (176, 58, 46) if place * len(samples) / width < 1.32 * rate else (70, 96, 140)
        draw.line([(16 + place, top), (16 + place, low)], fill=colour)
    for at, words in ((0.0, "短长 短短 1.32 s"), (1.36, "静 0.5 s"), (1.84, "声音 the sound")):
        draw.text((16 + at * rate / len(samples) * width, height + 30), words, fill=(40, 40, 40), font=face)
    return board


def page() -> Image.Image:
    """Return the foot of a labelled PDF page, as poppler draws it."""
    import pypdf

    writer, out = pypdf.PdfWriter(), io.BytesIO()
    writer.add_blank_page(595, 842)
    writer.write(out)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "a.pdf")
        file.write_bytes(mark(out.getvalue(), STYLE).data)
        subprocess.run(["pdftoppm", "-r", "110", "-png", "-singlefile", str(file), str(Path(folder, "a"))], check=True)
        drawn = Image.open(Path(folder, "a.png")).convert("RGB")
    return _beside([drawn.crop((drawn.width - 460, drawn.height - 150, drawn.width, drawn.height))], ["PDF 页脚 foot of a page"])


def main() -> int:
    """Write the pictures into a folder."""
    folder = Path(sys.argv[1])
    for name, make in (("pictures", pictures), ("film", opening), ("sound", sound), ("page", page)):
        make().quantize(200, dither=Image.Dither.FLOYDSTEINBERG).save(folder / f"explicit-{name}.png", optimize=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
