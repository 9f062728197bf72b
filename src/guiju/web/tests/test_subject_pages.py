"""The pages of a subject and of requests: who may what, banner of a hold, search in steps, archives, four eyes.

Guarded lines: the `needs` of each view; `by != actor` in `search_contents`; `_may` in `decide`.
"""

import io
import json
import re
import zipfile
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django.fixtures import Settings

from guiju.core.keys import load_pseudonym_key, load_site_public_key
from guiju.core.layout import DataFolder
from guiju.core.pseudonyms import pseudonym_of
from guiju.records.models import Erasure, Hold, Request, SubjectKey
from guiju.records.subjects import search
from guiju.records.subjects.certificate import check_certificate
from guiju.web.people import add_person
from guiju.web.tests.rig import entry, left, write_records

SUBJECT = "u-1"
PAGE = f"/console/records/subject/?subject={SUBJECT}"
AT = "/console/records/subject/"
HOSTILE = '"><script>alert(1)</script>'


@pytest.fixture
def filled(data: DataFolder) -> DataFolder:
    write_records(data, [entry(subject=SUBJECT, content=f"秘密 {number} {HOSTILE}") for number in range(12)])
    write_records(data, [entry(subject="u-2", content="别人的秘密")])
    return data


def person(name: str, role: str) -> Client:
    add_person(name, role, "person:owner")
    client = Client()
    client.force_login(User.objects.get(username=name))
    return client


@pytest.fixture
def officer(filled: DataFolder) -> Client:
    return person("officer", "officer")


@pytest.fixture
def approver(filled: DataFolder) -> Client:
    return person("approver", "approver")


def post(client: Client, deed: str, **fields: str) -> Any:
    return client.post(f"{AT}{deed}/", {"subject": SUBJECT, "reason": "依本人请求办理", **fields}, follow=True)


def text(response: Any) -> str:
    found: str = response.content.decode()
    return found


def test_the_page_shows_only_what_the_person_may_do(officer: Client, approver: Client) -> None:
    reader = person("reader", "reader")
    for client, shown in ((officer, {"open", "export", "hold", "erase"}), (approver, set()), (reader, set())):
        ids = set(re.findall(r'<section class="sheet" id="(\w+)"', text(client.get(PAGE))))
        assert ids == shown
    for client in (approver, reader):
        for deed in ("open", "export", "search", "hold", "erase"):
            assert client.post(f"{AT}{deed}/", {"subject": SUBJECT, "reason": "看一看再说"}).status_code == 404
    assert Request.objects.count() == Hold.objects.count() == 0
    assert officer.get("/console/records/subject/?subject=u-404").status_code == 404


def test_nothing_without_a_reason(officer: Client) -> None:
    for deed in ("open", "export", "hold", "erase"):
        assert "请写明理由" in text(post(officer, deed, reason="无", reference="1"))
    assert Request.objects.count() == Hold.objects.count() == 0


def test_open_search_in_steps_and_export(officer: Client, filled: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "OPENING-NEEDED" in text(post(officer, "search", words="秘密"))
    assert post(officer, "export", opened="1").status_code == 403
    assert "对您打开" in text(post(officer, "open"))
    monkeypatch.setattr(search, "STEP_RECORDS", 5)
    part = officer.post(f"{AT}search/", {"subject": SUBJECT, "words": "秘密"}, headers={"HX-Request": "true"})
    hits, steps = 0, 0
    while True:
        page = text(part)
        assert "<html" not in page
        assert HOSTILE not in page
        hits += page.count("<mark")
        steps += 1
        token = re.search(r'name="token" value="([^"]+)"', page)
        if token is None:
            break
        part = officer.post(f"{AT}search/", {"token": token[1]}, headers={"HX-Request": "true"})
    assert (hits, steps) == (12, 3)
    assert "已查完 12 份内容" in page
    assert "没有找到" not in page
    assert [each.kind for each in left(filled)].count("records.subject.searched") == 1
    whole = text(post(officer, "search", words="秘密"))  # without scripts the whole page comes back
    assert "<html" in whole
    assert "继续查找" in whole

    response = officer.post(f"{AT}export/", {"subject": SUBJECT, "reason": "查阅申请第 4 号", "opened": "1"})
    archive = zipfile.ZipFile(io.BytesIO(b"".join(response.streaming_content)))  # type: ignore[attr-defined]  # it streams
    assert archive.testzip() is None
    assert archive.namelist() == ["records.json", "records-zh-0001.html", "records-en-0001.html"]
    told = json.loads(archive.read("records.json"))
    assert [each["content_state"] for each in told["records"]] == ["opened"] * 12
    assert "别人的秘密" not in archive.read("records-zh-0001.html").decode()
    assert [each.kind for each in left(filled)].count("records.subject.exported") == 1


def test_a_search_without_a_hit_says_so_at_its_end(officer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    post(officer, "open")
    assert "没有找到“无此词”。" in text(post(officer, "search", words="无此词"))
    monkeypatch.setattr(search, "STEP_RECORDS", 11)
    for words, told in (("秘密 0", False), ("无此词", True)):  # a hit in the first step counts at the end of the second
        page = text(officer.post(f"{AT}search/", {"subject": SUBJECT, "words": words}, headers={"HX-Request": "true"}))
        assert "没有找到" not in page
        token = re.search(r'name="token" value="([^"]+)"', page)
        assert token is not None
        page = text(officer.post(f"{AT}search/", {"token": token[1]}, headers={"HX-Request": "true"}))
        assert ("没有找到" in page) is told


def test_a_search_is_continued_by_whoever_began_it(officer: Client, owner: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "STEP_RECORDS", 5)
    post(officer, "open")
    post(owner, "open")
    found = re.search(r'name="token" value="([^"]+)"', text(officer.post(f"{AT}search/", {"subject": SUBJECT, "words": "秘"})))
    assert found is not None
    assert officer.post(f"{AT}search/", {"token": found[1]}).status_code == 200
    assert owner.post(f"{AT}search/", {"token": found[1]}).status_code == 400
    assert officer.post(f"{AT}search/", {"token": found[1][:-1] + "x"}).status_code == 400


def test_a_hold_is_seen_and_blocks(officer: Client) -> None:
    page = text(post(officer, "hold", reference="（2026）京 1 号"))
    assert 'id="held"' in page
    assert "（2026）京 1 号" in page
    assert 'action="/console/records/subject/erase/"' not in page
    assert "SUBJECT-HELD" in text(post(officer, "erase"))
    assert Erasure.objects.count() == 0
    assert "（2026）京 1 号" in text(officer.get("/console/records/requests/"))
    hold = Hold.objects.get()
    page = text(officer.post(f"/console/records/requests/holds/{hold.id}/lift/", {"subject": SUBJECT, "reason": "案件已结"}, follow=True))
    assert 'id="held"' not in page
    assert "APPROVAL-NEEDED" in text(post(officer, "erase"))


def test_a_selection_is_held_and_let_go(officer: Client, approver: Client) -> None:
    fields = {"kind": "gateway.answer.delivered", "since": "2026-01-01T00:00", "reason": "案件需要", "reference": "（2026）京 2 号"}
    assert approver.post("/console/records/requests/holds/", fields).status_code == 404
    assert "TIME-UNREADABLE" in text(officer.post("/console/records/requests/holds/", {**fields, "since": "yesterday"}, follow=True))
    assert "HOLD-EMPTY" in text(officer.post("/console/records/requests/holds/", {"reason": "案件需要", "reference": "1"}, follow=True))
    assert Hold.objects.count() == 0
    assert "（2026）京 2 号" in text(officer.post("/console/records/requests/holds/", fields, follow=True))
    assert "现有 13 条记录属于它" in text(officer.post("/console/records/requests/holds/", {**fields, "reference": "2"}, follow=True))
    empty = {"service": "nosuch", "reason": "案件需要", "reference": "3"}
    assert "现在没有任何记录属于它" in text(officer.post("/console/records/requests/holds/", empty, follow=True))
    assert "HOLD-KIND" in text(officer.post("/console/records/requests/holds/", {**fields, "kind": "nokind"}, follow=True))
    Hold.objects.exclude(reference="（2026）京 2 号").delete()
    hold = Hold.objects.get()
    assert hold.since is not None
    assert hold.since.isoformat() == "2025-12-31T16:00:00+00:00"
    assert "按范围设定" in text(officer.get(PAGE))
    lifted = officer.post(f"/console/records/requests/holds/{hold.id}/lift/", {"reason": "案件已结"}, follow=True)
    assert "保全已解除" in text(lifted)
    assert "（2026）京 2 号" not in text(lifted)


def test_four_eyes_erase_and_the_certificate_verifies(officer: Client, approver: Client, filled: DataFolder) -> None:
    post(officer, "erase")
    asked = Request.objects.get()
    decide = f"/console/records/requests/{asked.id}/decide/"
    assert officer.post(decide, {"decision": "approve"}).status_code == 404  # an officer approves nothing
    assert "批准" in text(approver.get("/console/records/requests/"))
    assert "已批准" in text(approver.post(decide, {"decision": "approve", "reason": "已核对"}, follow=True))
    assert "REQUEST-SETTLED" in text(approver.post(decide, {"decision": "refuse"}, follow=True))
    assert SubjectKey.objects.get(subject=SUBJECT).wrapped is not None
    page = text(post(officer, "erase"))
    assert SubjectKey.objects.get(subject=SUBJECT).wrapped is None
    erasure = Erasure.objects.get()
    assert f"/console/records/erasures/{erasure.id}/certificate.json" in page
    certificate = json.loads(officer.get(f"/console/records/erasures/{erasure.id}/certificate.json").content)
    assert (certificate["asked_by"], certificate["approved_by"]) == ("person:officer", "person:approver")
    assert [step.outcome for step in check_certificate(certificate, load_site_public_key(filled.keys)).steps] == ["holds"] * 3
    assert officer.get("/console/records/erasures/none/certificate.json").status_code == 404


def test_who_may_do_everything_still_does_not_approve_their_own(owner: Client, filled: DataFolder) -> None:
    post(owner, "erase")
    asked = Request.objects.get()
    decide = f"/console/records/requests/{asked.id}/decide/"
    page = text(owner.get("/console/records/requests/"))
    assert 'value="approve"' not in page
    assert "REQUEST-OWN" in text(owner.post(decide, {"decision": "approve"}, follow=True))
    assert "已撤回" in text(owner.post(decide, {"decision": "refuse"}, follow=True))
    assert Request.objects.get().state == "refused"


def test_the_right_to_approve_openings_is_not_that_to_approve_erasures(officer: Client, filled: DataFolder) -> None:
    from django.contrib.auth.models import Permission

    other = person("half", "reader")
    half = User.objects.get(username="half")
    half.user_permissions.add(Permission.objects.get(codename="approve_opening"))
    post(officer, "erase")
    assert "没有批准此类申请的权限" in text(other.get("/console/records/requests/"))
    assert other.post(f"/console/records/requests/{Request.objects.get().id}/decide/", {"decision": "approve"}).status_code == 404


def test_opening_one_record_with_four_eyes(officer: Client, approver: Client, settings: Settings, filled: DataFolder) -> None:
    import msgspec

    from guiju.core.settings import Records
    from guiju.records.models import Record

    settings.SITE = msgspec.structs.replace(settings.SITE, records=Records(opening_people=2))
    record = Record.objects.filter(subject=SUBJECT)[0]
    opened = officer.post(f"/console/records/{record.id}/open/", {"reason": "投诉 17 号"})
    assert opened.status_code == 409
    assert "秘密 0" not in text(opened)
    assert "APPROVAL-NEEDED" in text(opened)
    approver.post(f"/console/records/requests/{Request.objects.get().id}/decide/", {"decision": "approve"})
    assert record.id in text(officer.get("/console/records/requests/"))
    assert "秘密 0" in text(officer.post(f"/console/records/{record.id}/open/", {"reason": "投诉 17 号"}))


def test_a_person_is_found_by_their_identifier(officer: Client, data: DataFolder) -> None:
    response = officer.post("/console/records/subject/find/", {"service": "chat", "user": "张三"})
    assert response.headers["Location"].endswith(pseudonym_of(load_pseudonym_key(data.keys), "chat", "张三"))


def test_hostile_names_stay_text(officer: Client, data: DataFolder) -> None:
    write_records(data, [entry(subject=HOSTILE, content="x")])
    page = text(officer.get("/console/records/subject/", {"subject": HOSTILE}))
    assert "<script>alert" not in page
    assert "&lt;script&gt;" in page
    response = officer.post(f"{AT}export/", {"subject": HOSTILE, "reason": "查阅申请第 4 号"})
    assert response.headers["Content-Disposition"] == 'attachment; filename="records-___script_alert_1___script_.zip"'
    b"".join(response.streaming_content)  # type: ignore[attr-defined]  # it streams


def test_a_record_whose_content_was_erased_says_so(officer: Client, settings: Settings, filled: DataFolder) -> None:
    import msgspec

    from guiju.core.settings import Records
    from guiju.records.models import Record

    settings.SITE = msgspec.structs.replace(settings.SITE, records=Records(erasure_people=1))
    record = Record.objects.filter(subject=SUBJECT)[0]
    assert "已封存" in text(officer.get(f"/console/records/{record.id}/"))
    post(officer, "erase")
    erasure = Erasure.objects.get()
    for page in (
        officer.get(f"/console/records/{record.id}/"),
        officer.post(f"/console/records/{record.id}/open/", {"reason": "投诉 17 号"}),
    ):
        section = text(page).partition('id="content"')[2]
        assert f"证书 {erasure.id}" in section
        assert f"/console/records/erasures/{erasure.id}/certificate.json" in section
        assert "已封存" not in section
        assert "<form" not in section.partition("</section>")[0]
    bare = Record.objects.exclude(subject=SUBJECT)[0]
    assert erasure.id not in text(officer.get(f"/console/records/{bare.id}/"))
