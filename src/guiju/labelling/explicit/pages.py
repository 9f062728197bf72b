"""TIFF of several pages: the words stand on each, for each is looked at by itself.

Source: Labelling Measures Art. 4; GB 45438-2025 §5.2.
"""

import io
from collections.abc import Iterator
from typing import Any, Final

from PIL import Image, ImageSequence

from guiju.core.errors import GuijuError
from guiju.labelling.explicit.encoders import tiff_pages
from guiju.labelling.explicit.errors import LABEL_MEDIUM, LABEL_NOT_SEEN, LABEL_TOO_LARGE
from guiju.labelling.explicit.fonts import Font
from guiju.labelling.explicit.picture import FRAMES_AT_MOST, PIXELS_AT_MOST, Drawn, check_size, draw, orientation_of, seen_contrast, told
from guiju.labelling.values import ExplicitStyle, Marked

_SUBFILE: Final = 254
_REDUCED, _MASK = 1, 4


def mark_pages(data: bytes, style: ExplicitStyle, font: Font) -> Marked:
    """Return the TIFF with the words on every page. Raises as `picture.mark_picture` does."""
    planned: list[Drawn] = []
    with Image.open(io.BytesIO(data), formats=("TIFF",)) as image:
        size, count = image.size, int(getattr(image, "n_frames", 1))
        check_size("TIFF", image.width * image.height, 1)
        if count > FRAMES_AT_MOST:
            raise GuijuError(LABEL_TOO_LARGE, form="TIFF", found=count, unit="pages", unit_zh="页", most=FRAMES_AT_MOST)
        marked = tiff_pages(_drawn(image, style, font, planned))
    contrasts = []
    with Image.open(io.BytesIO(marked), formats=("TIFF",)) as image:
        if int(getattr(image, "n_frames", 1)) != len(planned):
            raise GuijuError(LABEL_NOT_SEEN, form="TIFF", reason="it has another number of pages", reason_zh="页数不同")
        for page, drawn in zip(ImageSequence.Iterator(image), planned, strict=True):
            page.load()
            contrasts.append(seen_contrast(page, orientation_of(page), drawn, "TIFF"))
    first = planned[0]
    how = told("picture", "TIFF", size, style, first.sketch, first.inks._replace(contrast=min(contrasts)))
    return Marked(data=marked, medium="picture", how=f"{how};pages={count}")


def _drawn(image: Any, style: ExplicitStyle, font: Font, planned: list[Drawn]) -> Iterator[tuple[Image.Image, Any]]:
    """Yield every page with its words beside the file, open at that page; note how each was drawn."""
    pixels = 0
    for place in range(image.n_frames):
        image.seek(place)
        pixels += image.width * image.height
        check_size("TIFF", image.width * image.height)
        if pixels > 4 * PIXELS_AT_MOST:
            raise GuijuError(LABEL_TOO_LARGE, form="TIFF", found=pixels, unit="pixels", unit_zh="像素", most=4 * PIXELS_AT_MOST)
        if image.tag_v2.get(_SUBFILE, 0) & (_REDUCED | _MASK):
            raise GuijuError(
                LABEL_MEDIUM, form="TIFF", reason="one of its pages is a smaller copy or a mask", reason_zh="其中有缩略图或遮罩页"
            )
        image.load()
        plain, drawn = draw(image, orientation_of(image), style, font)
        planned.append(drawn)
        yield plain, image
