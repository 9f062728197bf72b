"""HEIC: the words are there, upright, in a picture that libheif decodes; further pictures in the file do not leave without them."""

from typing import Any

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from guiju.core.errors import GuijuError
from guiju.labelling import publishing
from guiju.labelling.explicit.media import mark
from guiju.labelling.explicit.tests.canvas import STYLE, code_of, encoded, facts, needs_font, pixels, waves
from guiju.labelling.files import first_label, read, write

pytestmark = needs_font
pillow_heif.register_heif_opener()
CODE = "001191440300708461136T1XGW3"
PHOTO = Image.fromarray(waves(400, 300))


def heic(image: Image.Image = PHOTO, **more: Any) -> bytes:
    return encoded(image, "HEIF", quality=80, **more)


def test_the_words_are_there_and_the_rest_changes_little() -> None:
    data = heic(exif=_exif(1))
    marked = mark(data, STYLE)
    assert float(facts(marked.how)["share_percent"]) >= 5
    old, new = pixels(data), pixels(marked.data)
    assert np.abs(old[:225] - new[:225]).mean() < 3
    corner = new[-40:, -140:]
    assert corner.max() - corner.min() > 180
    assert pillow_heif.open_heif(marked.data).info["exif"] == pillow_heif.open_heif(data).info["exif"]


def test_a_turned_picture_stays_upright() -> None:
    photo = PHOTO.copy()
    photo.info["exif"] = _exif(6).tobytes()
    data = heic(photo)
    assert b"irot" in data
    marked = mark(data, STYLE)
    assert facts(marked.how)["size"] == "300x400"
    assert pixels(marked.data).shape == (400, 300, 3)
    assert np.ptp(pixels(marked.data)[-40:, -140:]) > 180


def test_it_leaves_with_both_labels() -> None:
    order = publishing.Order(medium="picture", producer=CODE, number="n-1")
    file, told = publishing.publish(heic(), order)
    assert read(file) == first_label(CODE, "n-1")
    assert told.media_type == "image/heic"
    assert read(mark(write(heic(), first_label(CODE, "1")), STYLE).data) == first_label(CODE, "1")


def test_further_pictures_do_not_leave_without_words() -> None:
    both = heic(save_all=True, append_images=[PHOTO.rotate(180)])
    with pytest.raises(GuijuError) as caught:
        mark(both, STYLE)
    assert code_of(caught) == "LABEL-MEDIUM"
    small = heic(thumbnails=[128])
    assert pillow_heif.open_heif(small).info["thumbnails"] == [128]
    assert pillow_heif.open_heif(mark(small, STYLE).data).info["thumbnails"] == []


def test_a_cut_picture_is_refused() -> None:
    with pytest.raises(GuijuError) as caught:
        mark(heic()[:-300], STYLE)
    assert code_of(caught) == "LABEL-UNDECODABLE"


def _exif(orientation: int) -> Image.Exif:
    found = Image.Exif()
    found[0x010E], found[0x0112] = "a river", orientation
    return found
