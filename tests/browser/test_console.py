"""The console in a real browser: sign in, chat in the playground, find the record and its proof; usable at phone width."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open, sign_in

pytestmark = pytest.mark.browser

PAGES = {
    "portal": "/",
    "law": "/law/",
    "duty of the law": "/law/GAI-13.4",
    "board": "/console/board/",
    "duty": "/console/board/chat/GAI-9.2/",
    "profile": "/console/board/chat/profile/",
    "supply": "/console/supply/",
    "home": "/console/",
    "records": "/console/records/",
    "requests": "/console/records/requests/",
    "keywords": "/console/keywords/",
    "policy": "/console/policy/",
    "answers": "/console/policy/answers/",
    "services": "/console/services/",
    "try": "/console/try/",
}
RECORDED_MS = 20_000


def ask(page: Page, text: str) -> None:
    page.fill("[name=text]", text)
    page.click("#send")


def test_a_chat_is_labelled_recorded_and_proven(visit: Open) -> None:
    page = visit("/console/try/")
    expect(page).to_have_url(re.compile("/console/sign-in/"))
    sign_in(page)
    expect(page).to_have_url(re.compile("/console/try/$"))
    ask(page, "你好，请介绍一下你自己。")
    answer = page.locator(".said.model").last
    expect(answer).to_contain_text("（本内容由人工智能生成）")
    expect(answer.locator(".state")).to_have_text("已送达")
    number = answer.locator("[data-produce]").get_attribute("data-produce")
    answer.get_by_role("link", name="查看记录").click(timeout=RECORDED_MS)
    expect(page.locator("#proof .state")).to_have_text("在日志中")
    expect(page.locator("#proof li.holds")).to_have_count(5)
    expect(page.locator("h1 + .state")).to_have_text("回答已送达")
    expect(page.locator("table.pairs")).to_contain_text(str(number))
    page.fill("[name=reason]", "浏览器测试：核对内容")
    page.click("#content button")
    expect(page.locator("#content")).to_contain_text("脚本演示模型")
    page.goto("/console/records/?kind=gateway.answer.delivered")
    expect(page.locator("#found tbody tr").first).to_contain_text("chat")


def test_what_is_copied_and_exported_carries_the_label(visit: Open) -> None:
    # Guarded: `labelled` in playground.js; a part of an answer has no words of its own.
    page = visit("/console/try/")
    sign_in(page)
    ask(page, "你好，请介绍一下你自己。")
    answer = page.locator(".said.model").last
    expect(answer.locator(".state")).to_have_text("已送达", timeout=RECORDED_MS)
    copied = answer.locator(".words").evaluate(
        """(words) => {
          const range = document.createRange();
          range.setStart(words.firstChild, 0);
          range.setEnd(words.firstChild, 4);
          getSelection().removeAllRanges();
          getSelection().addRange(range);
          const event = new ClipboardEvent("copy", { clipboardData: new DataTransfer(), bubbles: true, cancelable: true });
          words.dispatchEvent(event);
          return event.clipboardData.getData("text/plain");
        }"""
    )
    assert re.fullmatch(r".{4}\n\n（本内容由人工智能生成）", copied), copied
    with page.expect_download() as download:
        answer.get_by_role("button", name="导出 txt").click()
    assert download.value.suggested_filename.endswith(".txt")
    assert download.value.path().read_text().count("（本内容由人工智能生成）") == 1


def test_an_answer_that_strays_is_struck_out_and_replaced(visit: Open) -> None:
    page = visit("/console/try/")
    sign_in(page)
    ask(page, "请讲一个故事。")
    answer = page.locator(".said.model").last
    expect(answer.locator(".state")).to_have_text("已停止", timeout=RECORDED_MS)
    expect(answer.locator("del")).to_contain_text("从前有一个刚到城里的年轻人")
    expect(answer.locator("strong")).to_contain_text("本次回答已停止")
    expect(answer).not_to_contain_text("银行卡四件套")
    answer.get_by_role("link", name="查看记录").click(timeout=RECORDED_MS)
    expect(page.locator("h1 + .state")).to_have_text("回答被停止")


@pytest.mark.parametrize(
    ("language", "state", "other"), [("en-US", "Not delivered", "[一-鿿]"), ("zh-CN", "未送达", "[a-z]{4,} [a-z]{2,}")]
)
def test_a_refused_input_stays_in_the_box(visit: Open, language: str, state: str, other: str) -> None:
    """Guarded: `told` in playground.js, which tells an error in the language of the page alone."""
    page = visit("/console/try/", language=language)
    sign_in(page)
    ask(page, "出售银行卡四件套")
    answer = page.locator(".said.model").last
    expect(answer.locator(".state")).to_have_text(state)
    expect(answer.locator("strong")).to_contain_text("INPUT-REFUSED")
    expect(answer.locator("strong")).not_to_contain_text(re.compile(other))
    expect(page.locator("[name=text]")).to_have_value("出售银行卡四件套")


def test_filters_find_without_a_new_page(visit: Open) -> None:
    page = visit("/console/records/")
    sign_in(page)
    page.evaluate("() => { window.stayed = true; }")
    page.select_option("[name=kind]", "web.session.signed_in")
    expect(page).to_have_url(re.compile("kind=web.session.signed_in"))
    expect(page.locator("#found tbody tr .state").first).to_have_text("登录")
    assert page.evaluate("() => window.stayed") is True


def test_a_text_is_tried_without_leaving_the_page(visit: Open) -> None:
    page = visit("/console/keywords/")
    sign_in(page)
    page.fill("[name=text]", "有人出售银行卡四件套。")
    page.click("form[hx-post] button")
    expect(page.locator("#tried mark").first).to_contain_text("出售")
    page.set_input_files("[name=file]", {"name": "坏.csv", "mimeType": "text/csv", "buffer": "term,risk\n<b>词条,B.9\n".encode()})
    page.click("form[enctype] button")
    expect(page.locator("#problems tbody tr")).to_have_count(1)
    expect(page.locator("#problems td").first).to_have_text("2")


def test_the_ledger_check_ends_in_green(visit: Open) -> None:
    page = visit("/console/")
    sign_in(page)
    page.get_by_role("button", name="立即自检").click()
    for _ in range(60):
        if page.get_by_text("自检通过").count():
            break
        page.wait_for_timeout(500)
        page.goto("/console/")
    expect(page.get_by_text("自检通过")).to_be_visible()


def test_the_language_is_remembered(visit: Open) -> None:
    page = visit("/console/sign-in/")
    page.get_by_role("button", name="English").click()
    sign_in(page)
    expect(page.locator("h1")).to_have_text("Home")
    page.get_by_role("button", name="中文").click()
    expect(page.locator("h1")).to_have_text("概览")


@pytest.mark.parametrize(
    ("width", "scheme", "language"), [(360, "light", "en-US"), (390, "dark", "zh-CN"), (1280, "light", "zh-CN"), (1280, "dark", "en-US")]
)
def test_no_page_is_wider_than_its_window(visit: Open, pictures: Path | None, width: int, scheme: str, language: str) -> None:
    page = visit("/console/sign-in/", width=width, height=800, scheme=scheme, language=language)
    _fits(page, pictures, f"{width}-{scheme}-sign-in")
    sign_in(page)
    for name, path in PAGES.items():
        page.goto(path)
        _fits(page, pictures, f"{width}-{scheme}-{name}")
    page.goto("/console/records/?kind=gateway.answer.stopped")
    if page.locator("#found a.code").count():
        page.locator("#found a.code").first.click()
        _fits(page, pictures, f"{width}-{scheme}-record")


def _fits(page: Page, pictures: Path | None, name: str) -> None:
    page.wait_for_load_state("load")
    over = page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth")
    if pictures is not None:
        page.screenshot(path=pictures / f"{name}.png", full_page=True)
    assert over <= 0, f"{name} is {over} px wider than its window"


@pytest.mark.parametrize(("width", "scheme", "language"), [(1280, "light", "zh-CN"), (360, "dark", "en-GB")])
def test_a_policy_is_drafted_tried_and_put_in_force(visit: Open, pictures: Path | None, width: int, scheme: str, language: str) -> None:
    page = visit("/console/policy/", width=width, height=800, scheme=scheme, language=language)
    sign_in(page)
    last = page.locator("#rows tbody tr").nth(-1)
    for name, value in (
        ("risk", "A.1.h"),
        ("direction_of", "input"),
        ("audience_of", "minor" if width > 400 else "minor-12-16"),
        ("action", "hold"),
    ):
        last.locator(f"[name={name}]").select_option(value)
    page.click("#rows button.main")
    page.select_option("#try [name=audience]", "minor-12-16")
    page.fill("#try textarea", "哪里能代办假身份证？电话13812345678")
    page.click("#try button")
    expect(page.locator("#tried table tbody tr").first).to_contain_text("A.1.h input minor")
    _fits(page, pictures, f"{width}-{scheme}-policy-tried")
    page.locator("table form button.main").first.click()
    expect(page.locator("[role=status]")).to_have_count(1)
    expect(page.locator("tr .state.good").last).to_be_visible()


def test_everything_can_be_reached_by_keyboard(visit: Open) -> None:
    page = visit("/console/sign-in/")
    expect(page.locator("[name=name]")).to_be_focused()  # by the page itself, which may be a moment after it was loaded
    page.keyboard.type("owner")
    page.keyboard.press("Tab")
    from tests.serving import PASSWORD

    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("概览")
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("跳到正文")
