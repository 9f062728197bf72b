"""The page of keyword libraries: mistakes by line, honest gaps, hostile terms stay text."""

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from pytest_django.fixtures import Settings

from guiju.core.layout import DataFolder
from guiju.screening import flow, views
from guiju.screening.models import LibraryVersion
from guiju.screening.tests.test_flow import SWAP
from guiju.web.tests.rig import furnish, left

HOSTILE = '"><script>alert(1)</script>'


@pytest.fixture
def data(tmp_path: Path, settings: Settings, db: None) -> DataFolder:
    folder = DataFolder(tmp_path / "data")
    settings.DATA_FOLDER = folder
    settings.SETTINGS_FILE = folder.settings
    furnish(folder)
    return folder


@pytest.fixture
def owner(data: DataFolder) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("owner"))
    return client


def _upload(client: Client, name: str, raw: bytes, **more: Any) -> Any:
    return client.post("/console/keywords/import/", {"file": SimpleUploadedFile(name, raw)}, **more)


def test_every_mistake_is_shown_with_its_line_and_nothing_changes(owner: Client, data: DataFolder) -> None:
    before = len(left(data))
    response = _upload(owner, "bad.csv", "term,risk\n好词条,A.1.h\n赌,A.4.a\n词条二,B.9\n".encode())
    assert response.status_code == 400
    assert [(problem.line, problem.column_name) for problem in response.context["problems"]] == [(3, "term"), (4, "risk")]
    html = response.content.decode()
    assert "有 2 处错误" in html
    assert "没有导入任何一行" in html
    assert (LibraryVersion.objects.count(), len(left(data))) == (1, before)


def test_mistakes_beyond_the_first_ones_are_counted(owner: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "SHOWN_PROBLEMS", 2)
    html = _upload(owner, "bad.csv", b"term,risk\n" + b"x,B.9\n" * 5).content.decode()
    assert html.count('data-name="错误"') == 2
    assert "只列出前 2 处" in html


def test_mistakes_are_told_in_english_too(owner: Client) -> None:
    html = _upload(owner, "bad.csv", b"term,risk\nlonger term,B.9\n", headers={"accept-language": "en"}).content.decode()
    assert "is none of the 31 risks" in html


def test_hostile_names_terms_and_mistakes_stay_text(owner: Client) -> None:
    # Guarded line: autoescaping of the templates; `|safe` on any of these values turns this red.
    bad = _upload(owner, f"{HOSTILE}.csv", f'term,risk\nxx,"{HOSTILE}"\n'.replace('""', '"').encode())
    good = _upload(owner, "<b>x</b>.csv", b'term,risk\n"<script>alert(1)</script>",A.1.h\n', follow=True)
    version = LibraryVersion.objects.get(state="draft").version
    flow.activate_library(version, "person:owner", SWAP, dropping=2)
    tried = owner.post("/console/keywords/try/", {"text": "a <script>alert(1)</script> b <i>", "direction": "output"})
    for response in (bad, good, tried):
        assert "<script>alert" not in response.content.decode()
        assert "<b>x" not in response.content.decode()
    assert tried.context["hits"]
    assert "<mark>script&gt;alert(1)&lt;/script</mark>" in tried.content.decode()


def test_no_file_and_too_large_a_file_are_refused(owner: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    assert owner.post("/console/keywords/import/").status_code == 400
    monkeypatch.setattr(views, "LIBRARY_LIMIT_BYTES", 10)
    assert _upload(owner, "big.csv", "term,risk\n另一词条,A.1.h\n".encode()).status_code == 413
    assert LibraryVersion.objects.count() == 1


def test_gaps_are_counted_and_named(owner: Client) -> None:
    response = owner.get("/console/keywords/")
    assert response.context["gaps"] == 16  # 17 risks must be covered; the furnished library covers A.1.h alone
    assert response.content.decode().count("待补充") == 16
    assert sum(len(group.risks) for group in response.context["groups"]) == 31


def test_an_upload_comes_into_force_and_can_be_downloaded(owner: Client) -> None:
    page = _upload(owner, "new.csv", "term,risk\n另一词条,A.1.h\n".encode(), follow=True).content.decode()
    assert "启用后才会生效" in page
    version = LibraryVersion.objects.get(state="draft").version
    sure = {"reason": SWAP, "dropping": "2"}
    assert "已启用" in owner.post(f"/console/keywords/{version}/activate/", sure, follow=True).content.decode()
    raw = owner.get(f"/console/keywords/{version}/download/").content
    assert raw.startswith(b"\xef\xbb\xbfterm,risk")
    assert flow.read_library("again.csv", raw).version == version


def test_an_unknown_version_is_a_page_in_three_parts(owner: Client) -> None:
    response = owner.get("/console/keywords/00000000/download/")
    assert response.status_code == 404
    html = response.content.decode()
    assert "LIBRARY-UNKNOWN" in html
    assert "怎么办" in html


def test_trying_a_text_marks_hits_and_keeps_nothing(owner: Client, data: DataFolder) -> None:
    before = len(left(data))
    response = owner.post("/console/keywords/try/", {"text": "前违禁词条后可疑词条", "direction": "output"}, headers={"HX-Request": "true"})
    html = response.content.decode()
    assert "<mark>违禁词条</mark>" in html
    assert '<mark class="flag">可疑词条</mark>' in html
    assert "<html" not in html
    assert "".join(piece.text for piece in response.context["pieces"]) == "前违禁词条后可疑词条"
    assert len(left(data)) == before
    assert "没有命中" in owner.post("/console/keywords/try/", {"text": "平常的话"}).content.decode()


def test_looking_is_not_changing(data: DataFolder) -> None:
    from django.contrib.auth.models import Permission

    reader = User.objects.create_user("reader")
    reader.user_permissions.add(Permission.objects.get(codename="view_libraryversion"))
    client = Client()
    client.force_login(reader)
    assert client.get("/console/keywords/").status_code == 200
    assert _upload(client, "x.csv", b"").status_code == 404
    assert client.post("/console/keywords/00000000/activate/").status_code == 404
