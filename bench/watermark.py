"""The watermark of pictures: what it costs, what it changes, and how often the number is read after what pictures go through.

The pictures are made: even shades, soft spots, spots with grain, a third of each; real ones may do better or worse.
"""

import os
import sys
import time
from collections.abc import Iterator
from typing import Final

from PIL import Image, ImageEnhance

from bench.report import Row, report, row
from guiju.core.errors import GuijuError
from guiju.labelling.tests.test_watermark import HARMS, LEAST_PSNR_DB, NUMBER, PREFIX, drawn, encoded, opened
from guiju.labelling.watermark import embed, extract

SIZES: Final = ((256, 256), (512, 512), (1024, 768))
PICTURES: Final = 15
BARRED: Final = ("JPEG 95", "JPEG 85", "JPEG 70", "half and back")
MORE: Final = {
    "JPEG 50": lambda image: encoded(image, "JPEG", quality=50),
    "half, JPEG 80 and back": lambda image: encoded(
        opened(encoded(image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS), "JPEG", quality=80)).resize(
            image.size
        )
    ),
    "5 % brighter": lambda image: encoded(ImageEnhance.Brightness(image).enhance(1.05)),
    "10 % cropped": lambda image: encoded(image.crop((image.width // 10, image.height // 10, image.width, image.height))),
}


def measure() -> Iterator[Row]:
    """Yield the rows of every size."""
    for width, height in SIZES:
        key = os.urandom(32)
        plain = [encoded(drawn(kind, width, height), compress_level=1) for kind in range(PICTURES)]
        began = time.process_time()
        borne = [embed(data, NUMBER, key) for data in plain]
        name = f"{width}x{height}"
        yield row(
            f"{name}: CPU of a PNG, decoding, encoding and reading back included", (time.process_time() - began) / PICTURES * 1000, "ms"
        )
        yield row(f"{name}: least PSNR", min(each.psnr_db for each in borne), "dB", at_least=LEAST_PSNR_DB)
        for harm, do in (HARMS | MORE).items():
            read = sum(_is_read(do(opened(each.data)), key) for each in borne)
            share = 100 * read / PICTURES
            yield row(f"{name}: read after: {harm}", share, "%", at_least=100 if harm in BARRED else None)


def _is_read(data: bytes, key: bytes) -> bool:
    try:
        found = extract(data, key)
    except GuijuError:  # a crop that is too small to be examined
        return False
    return found is not None and found.prefix == PREFIX


def main() -> int:
    """Measure, print, write `bench/out/watermark.json`; return 1 when a bar is missed."""
    return 1 if report("watermark", list(measure())) else 0


if __name__ == "__main__":
    sys.exit(main())
