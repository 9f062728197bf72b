"""TIFF of several pages: the words on each, everything else of it as it was."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageSequence, TiffImagePlugin

from guiju.core.errors import GuijuError
from guiju.labelling.explicit.media import mark
from guiju.labelling.explicit.tests.canvas import STYLE, code_of, facts, needs_font, waves
from guiju.labelling.files import first_label, read, write

pytestmark = needs_font
SIZES = [(400, 300), (300, 420), (600, 200)]


def scan(subfile: int = 0) -> bytes:
    """Return three pages: colour, grey under LZW with a title and turned, black and white under CCITT."""
    out = io.BytesIO()
    with TiffImagePlugin.AppendingTiffWriter(out) as writer:
        for place, (mode, packed) in enumerate((("RGB", "raw"), ("L", "tiff_lzw"), ("1", "group4"))):
            tags = TiffImagePlugin.ImageFileDirectory_v2()
            tags[270] = f"page {place}"
            tags[254] = subfile if place else 0
            if place == 1:
                tags[274] = 6
            Image.fromarray(waves(*SIZES[place])).convert(mode).save(writer, "TIFF", compression=packed, tiffinfo=tags)
            writer.newFrame()
    return out.getvalue()


def pages(data: bytes) -> list[tuple[str, str, str, Any]]:
    with Image.open(io.BytesIO(data)) as image:
        found = []
        for page in ImageSequence.Iterator(image):
            page.load()
            found.append((page.mode, str(page.info["compression"]), str(page.tag_v2[270]), np.asarray(page.convert("L")).copy()))  # type: ignore[attr-defined]
        return found


def test_every_page_has_the_words_and_stays_as_it_was_beside_them() -> None:
    data = scan()
    marked = mark(data, STYLE)
    assert facts(marked.how)["pages"] == "3"
    for (*before, old), (*after, new) in zip(pages(data), pages(marked.data), strict=True):
        assert after == before
        assert old.shape == new.shape
        height, width = new.shape
        assert (old[: height * 3 // 4] == new[: height * 3 // 4]).all()
        assert (old != new)[-height // 4 :, width // 2 :].any()


def test_pages_keep_their_label() -> None:
    label = first_label("001191440300708461136T1XGW3", "1")
    assert read(mark(write(scan(), label), STYLE).data) == label


@pytest.mark.parametrize("subfile", [1, 4])
def test_smaller_copies_and_masks_are_refused(subfile: int) -> None:
    with pytest.raises(GuijuError) as caught:
        mark(scan(subfile), STYLE)
    assert code_of(caught) == "LABEL-MEDIUM"
