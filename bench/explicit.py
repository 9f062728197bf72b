"""Explicit labels: processor time of one mark, and how much a picture changes away from its words, form by form."""

import io
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

from bench.explicit_pictures import encoded, film, landscape
from bench.report import Row, report, row
from guiju.labelling.explicit.media import mark
from guiju.labelling.explicit.tests.test_sound import compress, melody, wav_file
from guiju.labelling.values import ExplicitStyle, Marked

STYLE = ExplicitStyle()
_SIDE = 1024
_FORMS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("PNG", "PNG", {}), ("JPEG, quality 80", "JPEG", {"quality": 80}), ("WebP, quality 80", "WEBP", {"quality": 80}), ("WebP, lossless", "WEBP", {"lossless": True}), ("AVIF, quality 75", "AVIF", {"quality": 75}),
)  # fmt: skip


def _timed(data: bytes) -> tuple[Marked, float]:
    mark(data, STYLE)  # loads the libraries and finds the font
    started = time.process_time()
    marked = mark(data, STYLE)
    return marked, 1000 * (time.process_time() - started)


def _pixels(data: bytes) -> Any:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def measure() -> Iterator[Row]:
    """Yield rows for pictures, sounds and films."""
    for name, form, options in _FORMS:
        data = encoded(landscape(_SIDE, _SIDE), form, **options)
        marked, took = _timed(data)
        apart = np.abs(_pixels(data) - _pixels(marked.data))[: _SIDE * 3 // 4]
        yield row(f"{name}, {_SIDE}×{_SIDE}: processor time", took, "ms")
        yield row(
            f"{name}: change away from the words, mean of a sample",
            float(apart.mean()),
            "of 255",
            at_most=0 if form == "PNG" or "lossless" in options else None,
        )
        yield row(f"{name}: size beside the original", len(marked.data) / len(data), "×")
    sound = melody(30, 24_000)
    for name, data in (
        ("WAV", wav_file(sound)),
        ("MP3, 64 kbit/s", compress(sound, "mp3", "libmp3lame")),
        ("FLAC", compress(sound, "flac", "flac")),
    ):
        yield row(f"{name}, 30 s: processor time", _timed(data)[1], "ms")
    data = film(5, 24, (1280, 720))
    marked, took = _timed(data)
    yield row("MP4, H.264, 1280×720, a second of film: processor time", took / 5, "ms")
    yield row("MP4: size beside the original", len(marked.data) / len(data), "×")


def main() -> int:
    """Measure, print, write `bench/out/explicit.json`; return 1 when a bar is missed."""
    return 1 if report("explicit", list(measure())) else 0


if __name__ == "__main__":
    sys.exit(main())
