"""One person's records in a real browser: found, opened, searched, exported, held, erased by two people, certified."""

import json
import re
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open, sign_in
from tests.serving import Serving, guiju

pytestmark = pytest.mark.browser
USER = "customer-4711"
QUESTION = "你好，请介绍一下你自己。我的暗号是青山绿水。"
RECORDED_MS = 20_000


@pytest.fixture(scope="module")
def approver(service: Serving) -> str:
    """A second person with an account; the password."""
    done = guiju("people", "add", "zhou", "--role", "approver", "--data", str(service.data))
    assert done.returncode == 0, done.stderr
    return done.stdout.split()[-1]


def chat(service: Serving) -> None:
    body = {"model": "guiju-demo", "user": USER, "messages": [{"role": "user", "content": QUESTION}]}
    assert service.ask("POST", "/v1/chat/completions", body, service.playground_key())[0] == 200


def find(page: Page, service: Serving) -> None:
    """Go to the subject by the identifier of the user; it is on record within a second, so a first look may come too early."""
    name = json.loads(guiju("records", "list", "--data", str(service.data), "--kind", "services.key.created", "--json").stdout)[0][
        "service"
    ]
    for _ in range(20):
        page.goto("/console/records/")
        page.click("#person summary")
        page.fill("#person [name=service]", name)
        page.fill("#person [name=user]", USER)
        page.click("#person button")
        page.wait_for_load_state("load")
        if page.locator("#erase").count():
            return
        page.wait_for_timeout(300)
    raise AssertionError(page.content())


def _picture(page: Page, pictures: Path | None, name: str) -> None:
    page.wait_for_load_state("load")
    over = page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth")
    if pictures is not None:
        page.screenshot(path=pictures / f"{name}.png", full_page=True)
    assert over <= 0, f"{name} is {over} px wider than its window"


def test_a_subject_is_erased_by_two_people(visit: Open, service: Serving, approver: str, tmp_path: Path, pictures: Path | None) -> None:
    chat(service)
    page = visit("/console/sign-in/")
    questions: list[str] = []
    page.on("dialog", lambda dialog: (questions.append(dialog.message), dialog.accept()))
    sign_in(page)
    find(page, service)
    subject = page.url

    page.fill("#open [name=reason]", "浏览器测试：查阅申请")
    page.click("#open button")
    expect(page.locator("#open .state")).to_have_text("对您打开")
    page.fill("#search [name=words]", "青山")
    page.click("#search button")
    expect(page.locator("#results mark").first).to_have_text("青山")
    expect(page.locator("#results [role=status]")).to_contain_text("已查完")
    _picture(page, pictures, "subject-opened-1280")

    page.fill("#export [name=reason]", "浏览器测试：复制申请")
    with page.expect_download() as begun:
        page.click("#export button")
    begun.value.save_as(tmp_path / "records.zip")
    with zipfile.ZipFile(tmp_path / "records.zip") as archive:
        assert "青山绿水" in archive.read("records-zh-0001.html").decode()
        (tmp_path / "records.html").write_bytes(archive.read("records-en-0001.html"))
        if pictures is not None:
            (pictures / "export.html").write_bytes(archive.read("records-zh-0001.html"))

    page.fill("#hold [name=reason]", "浏览器测试：案件")
    page.fill("#hold [name=reference]", "（2026）京 1 号")
    page.click("#hold button")
    expect(page.locator("#held")).to_contain_text("（2026）京 1 号")
    expect(page.locator("#erase form")).to_have_count(0)
    _picture(page, pictures, "subject-held-1280")
    page.goto("/console/records/requests/")
    page.click("#holds summary")
    expect(page.locator("#holds tbody tr")).to_contain_text("（2026）京 1 号")
    _picture(page, pictures, "holds-1280")
    page.set_viewport_size({"width": 390, "height": 800})
    _picture(page, pictures, "holds-390")
    page.set_viewport_size({"width": 1280, "height": 900})
    page.goto(subject)
    page.fill("#held [name=reason]", "浏览器测试：结案")
    page.click("#held button")
    expect(page.locator("#held")).to_have_count(0)

    page.fill("#erase [name=reason]", "浏览器测试：删除申请")
    page.click("#erase button")
    expect(page.locator("#erase")).to_contain_text("正等待另一人批准")
    assert questions == []  # asking can be undone
    page.goto("/console/records/requests/")
    expect(page.locator("#waiting")).to_contain_text("这是您本人的申请")
    expect(page.locator("#waiting button[value=approve]")).to_have_count(0)

    second = visit("/console/records/requests/", width=390, language="en-US")
    sign_in(second, "zhou", approver)
    expect(second.locator(".places .count")).to_have_text("1")
    _picture(second, pictures, "requests-390-en")
    second.click("#waiting button[value=approve]")
    expect(second.locator("p.notice")).to_contain_text("Approved")
    second.goto(subject)
    expect(second.locator("#erase")).to_have_count(0)  # who approves does not erase

    page.goto(subject)
    expect(page.locator("#erase")).to_contain_text("person:zhou 已批准")
    _picture(page, pictures, "subject-approved-1280")
    page.click("#erase button")
    expect(page.locator("p.notice")).to_contain_text("已删除")
    assert len(questions) == 1
    expect(page.locator("#search")).to_have_count(0)
    with page.expect_download() as begun:
        page.click("#certificates a")
    begun.value.save_as(tmp_path / "certificate.json")
    checked = guiju("verify", str(tmp_path / "certificate.json"), "--public-key", str(service.data / "keys" / "site.pub"))
    assert checked.returncode == 0, checked.stdout + checked.stderr
    said = json.loads((tmp_path / "certificate.json").read_bytes())
    assert (said["asked_by"], said["approved_by"], said["contents"]["count"] >= 1) == ("person:owner", "person:zhou", True)
    page.goto(f"/console/records/?{subject.partition('?')[2]}&kind=gateway.answer.delivered")
    page.locator("#found a.code").first.click()
    expect(page.locator("#content")).to_contain_text(f"删除，证书 {said['id']}")
    expect(page.locator("#content form")).to_have_count(0)
    page.goto(subject)
    _picture(page, pictures, "subject-erased-1280")


@pytest.mark.parametrize(("width", "scheme", "language"), [(360, "dark", "en-US"), (390, "light", "zh-CN")])
def test_the_page_of_a_subject_fits_a_phone(
    visit: Open, service: Serving, pictures: Path | None, width: int, scheme: str, language: str
) -> None:
    chat(service)
    page = visit("/console/sign-in/", width=width, height=800, scheme=scheme, language=language)
    sign_in(page)
    find(page, service)
    if page.locator("#open form").count():
        page.fill("#open [name=reason]", "fits a phone")
        page.click("#open button")
        page.wait_for_load_state("load")
    page.fill("#search [name=words]", "青山")
    page.click("#search button")
    expect(page.locator("#results [role=status]")).to_be_visible(timeout=RECORDED_MS)
    _picture(page, pictures, f"subject-{width}-{scheme}")
    assert re.search("subject=u-", page.url)
