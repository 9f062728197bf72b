"""Words in drawings: put in before the end, every other byte as it was; drawings that cannot carry them refused."""

import pytest

from guiju.core.errors import GuijuError
from guiju.labelling.explicit.media import mark
from guiju.labelling.explicit.tests.canvas import STYLE, code_of, facts, needs_font
from guiju.labelling.values import ExplicitStyle

pytestmark = needs_font
SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 80"><circle cx="50" cy="40" r="30"/></svg>\n'


def test_an_svg_gets_a_text_element_and_keeps_every_other_byte() -> None:
    marked = mark(SVG, STYLE)
    at = SVG.index(b"</svg>")
    assert marked.data.startswith(SVG[:at])
    assert marked.data.endswith(SVG[at:])
    assert "人工智能生成".encode() in marked.data


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b'<!DOCTYPE svg [<!ENTITY a "b">]><svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><g/></svg>', "LABEL-UNDECODABLE"),
        (b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><g></svg>', "LABEL-UNDECODABLE"),
        (b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"/>', "LABEL-MEDIUM"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"><g/></svg>', "LABEL-MEDIUM"),
        (b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 nan 9"><g/></svg>', "LABEL-MEDIUM"),
        (b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9" preserveAspectRatio="none slice"><g/></svg>', "LABEL-MEDIUM"),
    ],
)  # fmt: skip
def test_a_drawing_that_cannot_be_labelled_is_refused(data: bytes, code: str) -> None:
    with pytest.raises(GuijuError) as caught:
        mark(data, STYLE)
    assert code_of(caught) == code


def test_a_drawing_without_room_is_refused() -> None:
    with pytest.raises(GuijuError) as caught:
        mark(SVG, ExplicitStyle(text="人工智能生成" * 16, height_percent=20))
    assert code_of(caught) == "LABEL-TOO-SMALL"


def test_a_drawing_with_prefixed_names() -> None:
    marked = mark(b'<s:svg xmlns:s="http://www.w3.org/2000/svg" width="200mm" height="100mm"><s:g/></s:svg>', STYLE)
    assert b"<s:text " in marked.data
    assert float(facts(marked.how)["size"].split("x")[0]) == pytest.approx(755.9, abs=0.1)
