"""Keyword libraries in a real browser: a workbook in, measured, compared, run dry by the jobs process, put in force and gone back; wide and on a phone."""

from pathlib import Path

from playwright.sync_api import Page, expect

from guiju.screening.libraries.library import parse_csv, starter_library
from guiju.screening.libraries.workbook import write_workbook
from tests.browser.conftest import Open, sign_in
from tests.browser.test_console import RECORDED_MS, ask

KEYWORDS = "/console/keywords/"


def _fits(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


def _draft(tmp_path: Path) -> Path:
    """Write a workbook: the starter library with one row more and one less."""
    lines = starter_library().csv.decode().splitlines(keepends=True)
    library = parse_csv("".join([*lines[:-1], "测试新增的词条,A.2.b,block,both,,某法第一条,审核员,2026-11-24,\n"]).encode())
    file = tmp_path / "本周更新.xlsx"
    file.write_bytes(write_workbook(library))
    assert starter_library().version != library.version
    return file


def test_a_library_goes_all_its_way(visit: Open, tmp_path: Path, pictures: Path | None) -> None:
    page = visit("/console/try/")
    sign_in(page)
    ask(page, "请说说测试新增的词条")
    page.locator(".said.model").last.get_by_role("link", name="查看记录").click(timeout=RECORDED_MS)  # so it is on record
    page.goto(KEYWORDS)
    page.set_input_files("[name=file]", _draft(tmp_path))
    page.locator("form[action$='/import/'] button").click()
    expect(page.locator("text=启用后才会生效")).to_be_visible()
    page.locator("tr", has_text="待启用").get_by_role("link", name="比较").click()
    expect(page.locator("text=测试新增的词条")).to_be_visible()
    compare = page.url
    page.goto(KEYWORDS)
    rows = page.get_by_role("link", name="本周更新.xlsx").get_attribute("href") or ""
    page.goto("/console/keywords/trials/")
    page.fill("[name=reason]", "看看误伤多少")
    page.click("button.main")
    expect(page.locator(".title .state.good")).to_be_visible(timeout=30_000)  # the page asks again by itself
    expect(page.locator("svg.chart").first).to_contain_text("测试新增的词条")
    assert "请说说" not in page.content()
    trial = page.url
    page.goto(KEYWORDS)
    page.on("dialog", lambda dialog: dialog.accept())
    page.locator("tr", has_text="待启用").get_by_role("button", name="启用").click()
    expect(page.locator("text=一秒内对所有请求生效")).to_be_visible()
    page.locator("tr", has_text="已停用").locator("summary").click()
    page.locator("tr", has_text="已停用").locator("[name=reason]").fill("新版误伤日常用语")
    page.locator("tr", has_text="已停用").get_by_role("button", name="回退", exact=True).click()
    expect(page.locator("text=一秒内对所有请求生效")).to_be_visible()
    page.goto("/console/keywords/history/")
    expect(page.locator("text=新版误伤日常用语")).to_be_visible()
    state = page.context.storage_state()
    pages = {
        "keywords": KEYWORDS, "rows": f"{rows}?q=假", "check": f"{rows}check/", "compare": compare, "history": "/console/keywords/history/",
        "trials": "/console/keywords/trials/", "trial": trial,
    }  # fmt: skip
    for width, language in ((1280, "zh-CN"), (360, "zh-CN"), (1280, "en")):
        other = visit("/", width=width, language=language)
        other.context.add_cookies(state["cookies"])  # type: ignore[arg-type]  # what the browser gave
        for name, path in pages.items():
            other.goto(path)
            assert _fits(other), (name, width, language)
            if pictures is not None:
                other.screenshot(path=pictures / f"library-{name}-{width}-{language}.png", full_page=width > 1000)
