"""A drawing with style rules of its own, in a browser: the words of the label are as large and as plain as without them."""

from playwright.sync_api import Browser

from guiju.labelling.explicit.media import mark
from guiju.labelling.explicit.tests.canvas import needs_font
from guiju.labelling.values import ExplicitStyle

pytestmark = needs_font
RULES = "text{font-size:6px;fill:#eee;letter-spacing:-9px;visibility:hidden}path{fill:none;stroke:none}g{opacity:.1;transform:scale(.1)}"
SVG = f'<svg xmlns="http://www.w3.org/2000/svg" width="400" height="300" viewBox="0 0 400 300"><style>{RULES}</style><path d="M0 0h9v9z"/></svg>'
SEEN = """() => {
  const words = document.querySelector("#guiju-explicit-label text"), plate = document.querySelector("#guiju-explicit-label path");
  const style = getComputedStyle(words), box = words.getBoundingClientRect();
  return [style.fill, style.visibility, getComputedStyle(plate).fill, getComputedStyle(words.parentNode).opacity, box.width, box.height];
}"""


def test_the_rules_of_a_drawing_do_not_change_the_words(browser: Browser) -> None:
    page = browser.new_page(viewport={"width": 600, "height": 500})
    try:
        page.set_content(mark(SVG.encode(), ExplicitStyle()).data.decode())
        fill, visible, plate, opacity, width, height = page.evaluate(SEEN)
    finally:
        page.close()
    assert (fill, visible, plate, opacity) == ("rgb(0, 0, 0)", "visible", "rgb(255, 255, 255)", "1")
    assert width > 120, "six signs, side by side"
    assert height > 15, "5 % of 300"
