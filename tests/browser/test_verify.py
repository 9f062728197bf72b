"""The public page in a real browser: a file, a text and its proof, in both languages, wide and on a phone; nothing inline is needed."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from guiju.labelling.containers.tests.samples import LABEL, sample
from guiju.labelling.files import write
from tests.browser.conftest import Open, sign_in

pytestmark = pytest.mark.browser


def test_anybody_verifies_a_file(visit: Open, tmp_path: Path, pictures: Path | None) -> None:
    (tmp_path / "a.png").write_bytes(write(sample("plain.png"), LABEL))
    for width, language, words in ((1280, "zh-CN", "标识合规"), (390, "en", "The label is as the standard asks")):
        page = visit("/", width=width, language=language)
        page.locator("main a[href='/verify/']").click()
        page.locator("input[type=file]").set_input_files(tmp_path / "a.png")
        page.locator("form[enctype] button").click()
        expect(page.locator("#result > header .state")).to_have_text(words)
        expect(page.locator("#result")).to_contain_text(LABEL.produce_id)
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        if pictures:
            page.screenshot(path=pictures / f"verify-{language}-{width}.png", full_page=True)


def test_an_answer_of_this_service_is_known_by_its_words(visit: Open, pictures: Path | None) -> None:
    page = visit("/console/try/")
    sign_in(page)
    page.fill("[name=text]", "你好，请介绍一下你自己。")
    page.click("#send")
    answer = page.locator(".said.model").last
    expect(answer.locator(".state")).to_have_text("已送达")
    text = answer.locator(".words").inner_text()
    answer.get_by_role("link", name="查看记录").click(timeout=20_000)
    expect(page.locator("#proof .state")).to_have_text("在日志中")
    stranger = visit("/verify/")
    stranger.fill("[name=text]", text)
    stranger.locator("form:has(textarea) button").click()
    expect(stranger.locator("#issued .state")).to_contain_text("是本服务发出的")
    with stranger.expect_download() as download:
        stranger.locator("#issued a").click()
    assert '"guiju-leaf-1"' in Path(download.value.path()).read_text()
    if pictures:
        stranger.screenshot(path=pictures / "verify-text.png", full_page=True)
