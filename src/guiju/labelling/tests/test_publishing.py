"""The one way out of a file: marked for people, labelled for programs, read back; a waiver takes the words and nothing else.

Guarded: `mark` and `order.waived` in `publish`, the number that is read back, `LABEL_UNEXPECTED`.
"""

import io

import msgspec
import pytest
from PIL import Image, ImageChops

from guiju.core.errors import GuijuError
from guiju.labelling import first_label, read, write
from guiju.labelling.explicit.tests.test_document import SHEET, opendocument, pdf
from guiju.labelling.files import LABEL_CONTAINER
from guiju.labelling.publishing import LABEL_UNEXPECTED, WAIVED, Order, publish
from guiju.labelling.values import FileLabel

CODE, OTHER = "001191110102MACQD9K64010000", "001191110102MAD55U9H0F10002"


def _picture() -> bytes:
    out = io.BytesIO()
    Image.linear_gradient("L").resize((320, 240)).convert("RGB").save(out, "PNG")
    return out.getvalue()


def _differs(one: bytes, other: bytes) -> bool:
    pair = (Image.open(io.BytesIO(each)).convert("RGB") for each in (one, other))
    return ImageChops.difference(*pair).getbbox() is not None


def test_a_file_leaves_with_words_and_label() -> None:
    original = _picture()
    file, told = publish(original, Order(medium="picture", producer=CODE, number="n-1"))
    assert read(file) == first_label(CODE, "n-1")
    assert _differs(original, file)
    assert (told.kept, told.media_type) == (False, "image/png")


def test_a_waiver_takes_the_words_and_leaves_the_label() -> None:
    original = _picture()
    file, told = publish(original, Order(medium="picture", producer=CODE, number="n-1", waived=True))
    assert read(file) == first_label(CODE, "n-1")
    assert not _differs(original, file)
    assert told.explicit == WAIVED


@pytest.mark.parametrize("waived", [False, True])
def test_the_label_of_another_producer_stays(waived: bool) -> None:
    theirs = write(_picture(), first_label(OTHER, "their-9"))
    file, told = publish(theirs, Order(medium=None, producer=CODE, number="n-1", waived=waived))
    label = read(file)
    assert isinstance(label, FileLabel)
    assert (label.content_producer, label.produce_id) == (OTHER, "their-9")
    assert (label.content_propagator, label.propagate_id) == (CODE, "n-1")
    assert told.kept


def test_another_kind_of_file_does_not_leave() -> None:
    with pytest.raises(GuijuError) as told:
        publish(_picture(), Order(medium="sound", producer=CODE, number="n-1", waived=True))
    assert told.value.code is LABEL_UNEXPECTED


def test_a_document_leaves_with_words_and_label() -> None:
    # Guarded: PDF in `FORMS`.
    original = pdf(info=False)
    file, told = publish(original, Order(medium=None, producer=CODE, number="n-1"))
    assert read(file) == first_label(CODE, "n-1")
    assert file.startswith(original)  # a revision, and the first stays byte for byte
    assert len(file) > len(original)
    assert (told.medium, told.media_type) == ("document", "application/pdf")


@pytest.mark.parametrize(("kind", "ending"), [("text", "odt"), ("spreadsheet", "ods"), ("graphics", "")])
def test_an_opendocument_leaves_as_what_it_is_or_not_at_all(kind: str, ending: str) -> None:
    original, order = opendocument(kind, SHEET if ending == "ods" else "<t:p>河</t:p>"), Order(medium=None, producer=CODE, number="n-1")
    if not ending:
        with pytest.raises(GuijuError) as told:
            publish(original, msgspec.structs.replace(order, waived=True))
        assert told.value.code is LABEL_CONTAINER
        return
    file, published = publish(original, order)
    assert read(file) == first_label(CODE, "n-1")
    assert (published.ending, published.media_type) == (ending, f"application/vnd.oasis.opendocument.{kind}")
