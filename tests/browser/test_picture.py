"""The playground draws a picture: it is seen with its words, from the page's own address, on a desk and on a phone."""

import pytest

from tests.browser.conftest import Open, sign_in


@pytest.mark.browser
@pytest.mark.parametrize(("width", "language", "told"), [(1280, "zh-CN", "画"), (390, "en", "Draw")])
def test_a_picture_is_drawn_and_seen(visit: Open, width: int, language: str, told: str) -> None:
    page = visit("/console/try/", width=width, language=language)
    sign_in(page)
    page.wait_for_url("**/console/try/")
    page.fill("[name=prompt]", "画一幅远山落日。")
    page.get_by_role("button", name=told, exact=True).click()
    picture = page.locator("figure img")
    picture.wait_for()
    page.wait_for_function("document.querySelector('figure img').naturalWidth === 1024")
    assert "ProduceID" in page.inner_text("figure")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
