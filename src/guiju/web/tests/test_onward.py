"""Where the language switch and signing in again lead: to pages that can be visited, also after a form; and the page for 405.

Guarded lines: `guarded.post_only = True` and the walk in `access.page_at`.
"""

import re

import pytest
from django.test import Client
from django.urls import get_resolver

from guiju.core.layout import DataFolder
from guiju.records.heart import QUIET_KINDS
from guiju.web.access import page_at
from guiju.web.tests.rig import entry, write_records
from guiju.web.tests.test_access import _patterns

ID = "01KAZZZZZZZZZZZZZZZZZZZZZZ"
BELONGS = [
    (f"/console/records/{ID}/open/", f"/console/records/{ID}/"),
    ("/console/records/subject/search/?subject=u-1", "/console/records/subject/?subject=u-1"),
    ("/console/records/gaps/3/close/", "/console/records/gaps/"),
    (f"/console/records/requests/{ID}/decide/", "/console/records/requests/"),
    (f"/console/records/requests/holds/{ID}/lift/", "/console/records/requests/"),
    ("/console/keywords/try/", "/console/keywords/"),
    ("/console/services/keys/create/", "/console/services/"),
    ("/console/try/send/", "/console/try/"),
    ("/console/ledger-check/", "/console/"),
    ("/language/", "/"),
]


@pytest.mark.parametrize(("address", "page"), BELONGS)
def test_switch_and_sign_in_lead_past_an_address_for_forms(anybody: Client, owner: Client, address: str, page: str) -> None:
    assert anybody.post("/language/", {"language": "en", "next": address}).headers["Location"] == page
    assert owner.get("/console/sign-in/", {"next": address}).headers["Location"] == page


@pytest.mark.parametrize("address", ["/console/no-such-page/", "/console/records/?kind=x", "/"])
def test_other_addresses_stay_as_they_are(address: str) -> None:
    assert page_at(address) == address


def test_no_address_of_the_console_leads_to_a_refused_visit(owner: Client) -> None:
    for at, _ in _patterns(get_resolver()):
        address = page_at("/" + re.sub(r"<int:\w+>", "3", re.sub(r"<str:\w+>", ID, at)))
        assert owner.get(address).status_code != 405, at


def test_a_form_sent_after_the_session_ended_comes_back_to_its_subject(anybody: Client, data: DataFolder) -> None:
    sent = anybody.post("/console/records/subject/open/", {"subject": "u-1", "reason": "核对投诉内容"})
    signing_in = anybody.get(sent.headers["Location"])
    assert signing_in.context["next"] == "/console/records/subject/?subject=u-1"


def test_a_refused_visit_is_told_in_the_frame(owner: Client) -> None:
    response = owner.get(f"/console/records/{ID}/open/")
    assert response.status_code == 405
    assert response.headers["Allow"] == "POST"
    html = response.content.decode()
    assert "只接受表单" in html
    assert f'href="/console/records/{ID}/"' in html
    assert "only takes forms" in owner.get("/language/", headers={"accept-language": "en"}).content.decode()
    assert "只供查看" in owner.post("/console/records/").content.decode()


def test_opening_lands_at_the_content(owner: Client, data: DataFolder) -> None:
    record = write_records(data, [entry(content="x")])[0]
    html = owner.post(f"/console/records/{record.id}/open/", {"reason": " "}).content.decode()
    assert f'action="/console/records/{record.id}/open/#content"' in html
    assert 'id="content"' in html


def test_a_record_is_found_by_its_number(owner: Client, data: DataFolder) -> None:
    opened, beat = entry("gateway.answer.opened"), entry(min(QUIET_KINDS))
    closed = entry("gateway.answer.delivered", metadata={"answer": opened.id})
    write_records(data, [opened, entry(), closed, beat])

    def found(number: str, **more: str) -> list[str]:
        return [each.id for each in owner.get("/console/records/", {"number": number, **more}).context["found"]]

    assert found(closed.id) == [closed.id]
    assert found(beat.id) == [beat.id]
    assert found(opened.id) == [closed.id, opened.id]
    spaced = f" {opened.id[:10].lower()} {opened.id[10:].lower()}\t"
    assert found(spaced) == [closed.id, opened.id]
    assert found(opened.id, kind="gateway.answer.delivered") == [closed.id]
    assert found(ID) == []


@pytest.mark.parametrize("number", ["1", "U" * 26, "0" * 27, "'; --"])
def test_what_is_no_number_is_said_to_be_none(owner: Client, number: str) -> None:
    response = owner.get("/console/records/", {"number": number})
    assert response.status_code == 200
    assert "编号应为 26 个" in response.content.decode()
