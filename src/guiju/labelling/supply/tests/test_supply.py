"""Supply without the explicit label: no agreement, no supply; nobody decides on their own; a grant is one user's, one service's, and ends.

Guarded: every condition of `ask`, the actor and the state in `decide`, each comparison of `find_waiver`, the log in `Call._record`.
"""

from datetime import datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from pytest_django.fixtures import Settings

from guiju.core.clock import BEIJING
from guiju.core.errors import GuijuError
from guiju.core.keys import load_pseudonym_key
from guiju.core.layout import DataFolder
from guiju.core.pseudonyms import pseudonym_of
from guiju.labelling.supply import flow
from guiju.labelling.supply.models import Supply
from guiju.services.flow import publish
from guiju.web.live import bundle_in_force
from guiju.web.people import add_person
from guiju.web.tests.rig import left

OFFICER, APPROVER = "person:officer", "person:approver"
TODAY = datetime.now(BEIJING).date()


def _ask(**changed: object) -> Supply:
    said: dict = {
        "identity": "实名认证 2026-1", "agreement": b"%PDF", "agreement_version": "v3", "accepted_on": TODAY, "purpose": "影视后期制作，由对方自行标识", "days": 30,
        "actor": OFFICER,
    }  # fmt: skip
    said |= changed
    return flow.ask(said.pop("service", "chat"), said.pop("user", "studio-1"), **said)


@pytest.mark.parametrize(
    "changed",
    [
        {"service": "nowhere"}, {"user": " "}, {"identity": ""}, {"agreement": b""}, {"agreement": bytes(flow.AGREEMENT_LIMIT_BYTES + 1)},
        {"agreement_version": " "}, {"accepted_on": TODAY + timedelta(days=1)}, {"purpose": "九个字不够呀呀呀"}, {"days": 0}, {"days": 367},
    ],
)  # fmt: skip
def test_without_agreement_and_purpose_nothing_is_kept(data: DataFolder, changed: dict[str, object]) -> None:
    with pytest.raises(GuijuError) as told:
        _ask(**changed)
    assert told.value.code is flow.SUPPLY_INVALID
    assert not Supply.objects.exists()


def test_who_decides_is_led_to_what_waits(data: DataFolder, owner: Client) -> None:
    _ask()
    for role, seen, count in (("officer", True, False), ("approver", True, True), ("reviewer", False, False)):
        add_person(role, role, "person:test")
        client = Client()
        client.force_login(User.objects.get(username=role))
        page = client.get("/console/").content.decode().split("</nav>")[0]
        assert ('href="/console/supply/"' in page, '<span class="count">1</span>' in page) == (seen, count), role
    page = owner.get("/console/supply/").content.decode().split("</nav>")[0]
    assert 'href="/console/services/" aria-current="page">服务 <span class="count">1</span>' in page
    assert 'href="/console/supply/"' not in page


def test_what_another_grants_reaches_the_gateway_and_ends(data: DataFolder, settings: Settings) -> None:
    supply = _ask()
    publish(actor="person:test")
    force = bundle_in_force()
    assert force is not None
    assert force.bundle.waivers == ()
    with pytest.raises(GuijuError) as own:
        flow.decide(supply.id, grant=True, reason="", actor=OFFICER)
    assert own.value.code is flow.SUPPLY_OWN
    flow.decide(supply.id, grant=True, reason="协议齐备", actor=APPROVER)
    publish(actor="person:test")
    force = bundle_in_force()
    assert force is not None
    [waiver] = force.bundle.waivers
    assert waiver.subject == pseudonym_of(load_pseudonym_key(data.keys), "chat", "studio-1")
    assert (waiver.id, waiver.service, waiver.agreement) == (supply.id, "chat", "v3")
    flow.end(supply.id, actor=OFFICER)
    assert flow.live_waivers() == ()
    told = [entry.kind for entry in left(data) if entry.kind.startswith("labelling.supply")]
    assert told == ["labelling.supply.asked", "labelling.supply.granted", "labelling.supply.ended"]


def test_a_grant_that_has_expired_is_none(data: DataFolder) -> None:
    supply = _ask()
    flow.decide(supply.id, grant=True, reason="", actor=APPROVER)
    assert len(flow.live_waivers()) == 1
    Supply.objects.update(expires_at=datetime.now(BEIJING))
    assert flow.live_waivers() == ()


def test_of_two_who_decide_the_second_is_told(data: DataFolder) -> None:
    supply = _ask()
    flow.decide(supply.id, grant=False, reason="用途不明", actor=APPROVER)
    with pytest.raises(GuijuError) as told:
        flow.decide(supply.id, grant=True, reason="", actor=APPROVER)
    assert told.value.code is flow.SUPPLY_MOVED
    with pytest.raises(GuijuError) as told:
        flow.end(supply.id, actor=OFFICER)
    assert told.value.code is flow.SUPPLY_MOVED
    assert flow.live_waivers() == ()


def _person(role: str) -> Client:
    add_person(role, role, "person:test")
    client = Client()
    client.force_login(User.objects.get(username=role))
    return client


def test_the_page_from_request_to_end(data: DataFolder) -> None:
    officer, approver, reader = map(_person, ("officer", "approver", "reader"))
    form = {
        "service": "chat", "user": "studio-1", "identity": "实名认证", "agreement_version": "v3", "accepted_on": TODAY.isoformat(),
        "purpose": "影视后期制作，由对方自行标识", "days": "30",
    }  # fmt: skip
    assert officer.post("/console/supply/ask/", form).status_code == 400  # no document
    assert officer.post("/console/supply/ask/", form | {"agreement": SimpleUploadedFile("a.pdf", b"%PDF")}).status_code == 302
    [supply] = Supply.objects.all()
    assert "studio-1" not in officer.get("/console/supply/").content.decode()  # a pseudonym is shown
    assert reader.post(f"/console/supply/{supply.id}/decide/", {"decision": "grant"}).status_code == 404
    assert officer.post(f"/console/supply/{supply.id}/decide/", {"decision": "grant"}).status_code == 404
    assert approver.post(f"/console/supply/{supply.id}/decide/", {"decision": "grant"}).status_code == 302
    force = bundle_in_force()
    assert force is not None
    assert [each.id for each in force.bundle.waivers] == [supply.id]
    given = reader.get(f"/console/supply/{supply.id}/agreement/")
    assert (given.content, given["Content-Type"]) == (b"%PDF", "application/octet-stream")
    assert officer.post(f"/console/supply/{supply.id}/end/").status_code == 302
    assert approver.post(f"/console/supply/{supply.id}/decide/", {"decision": "grant"}).status_code == 409
