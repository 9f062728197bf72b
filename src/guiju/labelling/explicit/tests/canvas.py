"""Pictures drawn by the tests, the look at what came out, and the reasons for which a test is left out."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from guiju.core.errors import GuijuError
from guiju.labelling.explicit.drawing import Array
from guiju.labelling.explicit.fonts import find_font
from guiju.labelling.values import ExplicitStyle

STYLE = ExplicitStyle()


def _has_font() -> bool:
    try:
        find_font(STYLE.text)
    except GuijuError:
        return False
    return True


needs_font = pytest.mark.skipif(not _has_font(), reason="no Chinese font is installed (Debian: fonts-noto-cjk), so no words can be drawn")


def waves(width: int, height: int, channels: int = 3) -> Array:
    """Return a smooth picture of many colours."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    layers = [127 + 120 * np.sin(x / 37 + place * 2) * np.cos(y / 29 + place) for place in range(channels)]
    return np.stack(layers, -1).astype(np.uint8)


def encoded(image: Image.Image, form: str, **options: Any) -> bytes:
    """Return the picture as a file."""
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def pixels(data: bytes, mode: str = "RGB") -> Array:
    """Return the pixels of a file as they are stored."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert(mode) if mode else image).astype(np.int64)


def facts(how: str) -> dict[str, str]:
    """Return the pairs of `Marked.how`."""
    return dict(part.split("=", 1) for part in how.split(";") if "=" in part)


def code_of(caught: pytest.ExceptionInfo[GuijuError]) -> str:
    """Return the code of a caught error."""
    return caught.value.code.code
