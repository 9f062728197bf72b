"""Two languages, one catalogue: every text has its English, the compiled file is not stale, the switch is remembered."""

import re

import pytest
from django.test import Client

from guiju.web import messages
from guiju.web.tests.rig import entry, write_records

PAGES = ["/", "/console/", "/console/records/", "/console/keywords/", "/console/services/", "/console/try/", "/console/no-such-page/"]
HAN = re.compile(r"[\u4e00-\u9fff]")
QUOTED = re.compile(
    r"<button class=\"quiet\" name=\"language\".*?</button>|（本内容由人工智能生成）|两词.csv|第一个密钥|违禁词条", re.DOTALL
)
"""Chinese that belongs on an English page: the switch, the label itself, names that people gave."""


def test_every_text_has_its_english() -> None:
    known = messages.read_catalogue()
    lacking = [text for text in messages.find_texts() if text not in known or not known[text].string]
    assert lacking == [], "run python -m guiju.web.messages and fill in the English"


def test_no_text_is_kept_that_nobody_uses() -> None:
    used = messages.find_texts()
    assert [message.id for message in messages.read_catalogue() if message.id and message.id not in used] == []


def test_the_compiled_catalogue_is_not_stale() -> None:
    assert messages.CATALOGUE.with_suffix(".mo").read_bytes() == messages.compiled(messages.read_catalogue()), (
        "run python -m guiju.web.messages"
    )


def test_variables_are_the_same_in_both_languages() -> None:
    variable = re.compile(r"%\(\w+\)[sd]|%[sd]")
    for message in messages.read_catalogue():
        if message.id:
            assert sorted(variable.findall(str(message.id))) == sorted(variable.findall(str(message.string))), message.id


@pytest.mark.parametrize("page", PAGES)
def test_the_english_page_is_english(owner: Client, data: object, page: str) -> None:
    write_records(data, [entry(), entry("gateway.answer.stopped"), entry("web.session.signed_in")])  # type: ignore[arg-type]
    html = owner.get(page, headers={"accept-language": "en"}).content.decode()
    assert 'lang="en"' in html
    rest = QUOTED.sub("", html)
    assert not HAN.search(rest), HAN.search(rest) and rest[max(0, HAN.search(rest).start() - 60) :][:120]  # type: ignore[union-attr]


@pytest.mark.parametrize("page", PAGES)
def test_without_a_wish_the_page_is_chinese(owner: Client, page: str) -> None:
    html = owner.get(page).content.decode()
    assert 'lang="zh-hans"' in html
    assert "规矩" in html


def test_the_switch_is_remembered_and_comes_back_to_the_page(anybody: Client) -> None:
    response = anybody.post("/language/", {"language": "en", "next": "/console/sign-in/?next=/console/try/"})
    assert response.headers["Location"] == "/console/sign-in/?next=/console/try/"
    assert "Sign in to the console" in anybody.get("/console/sign-in/").content.decode()
    anybody.post("/language/", {"language": "zh-hans", "next": "/"})
    assert "登录控制台" in anybody.get("/console/sign-in/", headers={"accept-language": "en"}).content.decode()


def test_the_switch_leads_nowhere_else(anybody: Client) -> None:
    response = anybody.post("/language/", {"language": "xx", "next": "https://example.com/"})
    assert response.headers["Location"] == "/"
    assert "django_language" not in anybody.cookies
