"""Who approves is told that something waits; who asked is told that it was approved; asking never erases.

Guarded lines: the branch on `step` in `subject_views.erase`, and `exclude(asked_by=actor)` in `count_to_decide`.
"""

import re
from typing import Any

import pytest
from django.test import Client

from guiju.core.layout import DataFolder
from guiju.records.access.requests import APPROVING, Deed
from guiju.records.models import Request, SubjectKey
from guiju.web.tests.rig import entry, write_records
from guiju.web.tests.test_subject_pages import AT, PAGE, SUBJECT, person, text

NAVIGATION = re.compile(r'<nav class="places".*?</nav>', re.DOTALL)


@pytest.fixture(autouse=True)
def about_somebody(data: DataFolder) -> None:
    write_records(data, [entry(subject=SUBJECT, content="秘密")])


def ask(client: Client, deed: str) -> Any:
    fields = {"subject": SUBJECT, "reason": "依本人请求办理", "step": "ask"}
    return client.post(f"{AT}{deed}/", fields, follow=True)


def decide(client: Client) -> None:
    client.post(f"/console/records/requests/{Request.objects.get().id}/decide/", {"decision": "approve"})


def form_of(page: str, deed: str) -> str:
    found = re.search(rf'<section class="sheet" id="{deed}">.*?</section>', page, re.DOTALL)
    assert found is not None
    return found[0]


def test_who_may_approve_sees_how_many_wait(owner: Client) -> None:
    officer, approver, reader = person("lin", "officer"), person("wang", "approver"), person("zhao", "reader")
    ask(officer, "erase")
    for client, told in ((approver, True), (owner, True), (officer, False), (reader, False)):
        page = text(client.get("/console/"))
        navigation = NAVIGATION.findall(page)[0]
        assert ("等待您批准的申请：1 件" in page) is told
        assert ('<span class="count">1</span>' in navigation) is told
        assert ("/console/records/requests/" in navigation) is told
    decide(approver)
    page = text(approver.get("/console/"))
    assert "等待您批准的申请" not in page
    assert 'class="count"' not in page


def test_every_deed_says_who_approves_it() -> None:
    assert set(APPROVING) == set(Deed)


def test_nobody_is_told_of_their_own_request(owner: Client) -> None:
    ask(owner, "erase")
    assert 'class="count"' not in text(owner.get("/console/"))


def test_in_the_navigation_one_place_is_here(owner: Client) -> None:
    page = NAVIGATION.findall(text(owner.get("/console/records/requests/")))[0]
    assert page.count("aria-current") == 1
    assert re.search(r'href="/console/records/requests/" aria-current="page"', page)


def test_asking_and_erasing_are_two_buttons_and_only_erasing_is_confirmed(data: DataFolder) -> None:
    officer, approver = person("lin", "officer"), person("wang", "approver")
    form = form_of(text(officer.get(PAGE)), "erase")
    assert 'value="ask"' in form
    assert "data-sure" not in form
    form = form_of(text(ask(officer, "erase")), "erase")
    assert "正等待另一人批准" in form
    assert "<form" not in form
    decide(approver)
    form = form_of(text(officer.get(PAGE)), "erase")
    assert "person:wang 已批准" in form
    assert "data-sure" in form
    assert 'value="ask"' not in form
    assert "已批准您的申请" not in text(approver.get(PAGE))  # an approval is for the person who asked
    sent = dict(re.findall(r'type="hidden" name="(subject|reason)" value="([^"]*)"', form))
    assert "证书在本页" in text(officer.post(f"{AT}erase/", sent, follow=True))
    assert SubjectKey.objects.get(subject=SUBJECT).wrapped is None


def test_whoever_pressed_ask_erases_nothing_although_an_approval_came_meanwhile(data: DataFolder) -> None:
    officer, approver = person("lin", "officer"), person("wang", "approver")
    ask(officer, "erase")
    decide(approver)
    ask(officer, "erase")  # from a page that was loaded before
    assert SubjectKey.objects.get(subject=SUBJECT).wrapped is not None
    assert Request.objects.get().state == "approved"


def test_a_hold_is_told_to_whoever_asks(owner: Client) -> None:
    owner.post(f"{AT}hold/", {"subject": SUBJECT, "reason": "案件需要", "reference": "1"})
    assert "SUBJECT-HELD" in text(ask(owner, "erase"))
    assert not Request.objects.exists()


def test_asking_to_open_with_four_eyes(settings: Any) -> None:
    import msgspec

    from guiju.core.settings import Records

    settings.SITE = msgspec.structs.replace(settings.SITE, records=Records(opening_people=2))
    officer, approver = person("lin", "officer"), person("wang", "approver")
    assert 'value="ask"' in form_of(text(officer.get(PAGE)), "open")
    assert "正等待另一人批准" in form_of(text(ask(officer, "open")), "open")
    decide(approver)
    form = form_of(text(officer.get(PAGE)), "open")
    assert "person:wang 已批准" in form
    sent = dict(re.findall(r'type="hidden" name="(subject|reason)" value="([^"]*)"', form))
    assert "对您打开" in text(officer.post(f"{AT}open/", sent, follow=True))
