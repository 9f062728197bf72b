"""Pages of the libraries: rows, size, comparison, history, review and roll-back; ten thousand rows are there within a second."""

import time
from typing import Any

import msgspec
import pytest
from django.contrib.auth.models import Permission, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from pytest_django.fixtures import Settings

from guiju.core.layout import DataFolder
from guiju.core.settings import Screening
from guiju.screening import flow
from guiju.screening.libraries.workbook import write_workbook
from guiju.screening.models import LibraryVersion
from guiju.screening.tests.test_flow import SWAP
from guiju.screening.tests.test_views import HOSTILE, data, owner
from guiju.web.people import ROLES

__all__ = ["data", "owner"]
OTHER = "term,risk,source,reviewer,reviewed_on,note\n另一词条,A.1.h,某法,审核员,2026-11-24,\n違禁詞條二,A.2.e,,,,备注甲\n".encode()
TOP = "/console/keywords/"


def _person(name: str, role: str) -> Client:
    person = User.objects.create_user(name)
    for permission in ROLES[role]:
        app, codename = permission.split(".")
        person.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
    client = Client()
    client.force_login(person)
    return client


def _imported(raw: bytes = OTHER, name: str = "other.csv", actor: str = "person:ann") -> str:
    return flow.import_library(name, raw, actor).version


def test_a_workbook_is_imported_and_downloaded(owner: Client) -> None:
    library = flow.read_library("other.csv", OTHER)
    file = SimpleUploadedFile("表.xlsx", write_workbook(library))
    assert owner.post(f"{TOP}import/", {"file": file}).status_code == 302
    assert LibraryVersion.objects.get(state="draft").version == library.version
    for form in ("csv", "xlsx", "yaml"):
        response = owner.get(f"{TOP}{library.version}/download/?form={form}")
        assert flow.read_library(f"x.{form}", response.content).version == library.version
        assert response.headers["Content-Disposition"].endswith(f'.{form}"')
    assert owner.get(f"{TOP}{library.version}/download/?form=exe").headers["Content-Type"].startswith("text/csv")


def test_a_hostile_workbook_is_told_on_the_page(owner: Client) -> None:
    response = owner.post(f"{TOP}import/", {"file": SimpleUploadedFile("坏.xlsx", b"PK\x03\x04broken")})
    assert response.status_code == 400
    assert "它不是 XLSX 文件" in response.content.decode()
    assert LibraryVersion.objects.count() == 1


def test_rows_are_found_by_spelling_risk_and_what_they_lack(owner: Client) -> None:
    version = _imported()

    def terms(query: str) -> list[str]:
        return [row["term"] for row in owner.get(f"{TOP}{version}/?{query}").context["rows"]]

    assert terms("") == ["另一词条", "違禁詞條二"]
    assert terms("q=违禁·词条") == ["違禁詞條二"]  # the fold of what is sought, as the matcher has it
    assert terms("q=某法") == ["另一词条"]
    assert terms("q=备注") == ["違禁詞條二"]
    assert terms("risk=A.2.e") == ["違禁詞條二"]
    assert terms("lacking=1") == ["違禁詞條二"]
    assert terms("q=没有的") == []
    assert terms("page=999") == ["另一词条", "違禁詞條二"]


def test_the_size_of_a_version_is_shown_and_no_reading_is_shown_as_law(owner: Client) -> None:
    version = _imported()
    html = owner.get(f"{TOP}{version}/check/").content.decode()
    assert "尚未与官方文本逐字核对" in html
    assert html.count("由提供者补充") == 15  # of the 17 risks two have a row
    assert html.count("<progress") == 17
    assert "tc260-003@2024-02" in owner.get(f"{TOP}{version}/check/?profile=tc260-003@2024-02").content.decode()
    assert owner.get(f"{TOP}{version}/check/?profile=x@1").status_code == 404


def test_two_versions_are_compared(owner: Client) -> None:
    active = flow.active_library().version
    page = owner.get(f"{TOP}compare/?before={active}&after={_imported()}")
    html = page.content.decode()
    assert (len(page.context["found"].added), len(page.context["found"].removed)) == (2, 2)
    assert "違禁詞條二" in html
    assert "违禁词条" in html
    assert "两版完全相同" in owner.get(f"{TOP}compare/?before={active}&after={active}").content.decode()
    assert owner.get(f"{TOP}compare/").status_code == 200
    assert owner.get(f"{TOP}compare/?before=zz").status_code == 404


def test_hostile_rows_stay_text_on_every_page(owner: Client) -> None:
    # Guarded line: autoescaping of the templates.
    raw = f'term,risk,source,note\n"{HOSTILE}",A.1.h,"{HOSTILE}","{HOSTILE}"\n'.replace('">', '"">').encode()
    version, active = _imported(raw, f"{HOSTILE}.csv"), flow.active_library().version
    for page in (
        f"{version}/",
        f"{version}/check/",
        f"compare/?before={active}&after={version}",
        "history/",
        "",
        f"{version}/?q=%3Cscript%3E",
    ):
        html = owner.get(TOP + page).content.decode()
        assert "<script>alert" not in html, page


def test_a_second_person_reviews_on_the_page(data: DataFolder, settings: Settings) -> None:
    settings.SITE = msgspec.structs.replace(settings.SITE, screening=Screening(library_people=2))
    officer, approver = _person("ann", "officer"), _person("bob", "approver")
    version = _imported()
    assert officer.post(f"{TOP}{version}/review/").status_code == 404
    assert "等待另一人审核" in officer.get(TOP).content.decode()
    refused = officer.post(f"{TOP}{version}/activate/")
    assert refused.status_code == 409
    assert "LIBRARY-REVIEW-NEEDED" in refused.content.decode()
    assert "审核通过" in approver.get(TOP).content.decode()
    assert approver.post(f"{TOP}{version}/activate/").status_code == 404
    assert approver.post(f"{TOP}{version}/review/", {"reason": "看过"}).status_code == 302
    assert approver.post(f"{TOP}{version}/review/").status_code == 409
    assert officer.post(f"{TOP}{version}/activate/", {"reason": SWAP, "dropping": "2"}).status_code == 302
    assert flow.active_library().version == version


def test_going_back_takes_a_reason_and_is_in_the_history(owner: Client) -> None:
    first, version = flow.active_library().version, _imported()
    flow.activate_library(version, "person:ann", SWAP, dropping=2)
    assert "回退到此版" in owner.get(TOP).content.decode()
    refused = owner.post(f"{TOP}{first}/activate/", {"reason": "短"})
    assert (refused.status_code, flow.active_library().version) == (400, version)
    assert owner.post(f"{TOP}{first}/activate/", {"reason": "误伤日常用语"}).status_code == 302
    assert flow.active_library().version == first
    html = owner.get(f"{TOP}history/").content.decode()
    assert "误伤日常用语" in html
    assert f"before={version}&amp;after={first}" in html


def test_every_page_is_english_too(owner: Client) -> None:
    version, active = _imported(), flow.active_library().version
    for page in ("", f"{version}/", f"{version}/check/", f"compare/?before={active}&after={version}", "history/"):
        html = owner.get(TOP + page, headers={"accept-language": "en"}).content.decode()
        assert "关键词库" not in html, page


def test_ten_thousand_rows_are_there_within_a_second(owner: Client) -> None:
    lines = "".join(f"词条{number:05}号,A.1.h,某法第{number}条\n" for number in range(12_000))
    version = _imported(("term,risk,source\n" + lines).encode())
    flow.library_of(version)
    for page in (f"{version}/?page=57", f"{version}/?q=词条09999", f"{version}/check/", TOP.removeprefix("/console/keywords/")):
        began = time.process_time()
        assert owner.get(TOP + page).status_code == 200
        assert time.process_time() - began < 1, page


@pytest.mark.parametrize("role", ["reader", "officer", "approver"])
def test_each_role_sees_the_libraries(data: DataFolder, role: str) -> None:
    client: Any = _person(role, role)
    assert client.get(TOP).status_code == 200
    allowed = client.post(f"{TOP}import/").status_code
    assert allowed == (400 if role == "officer" else 404)
