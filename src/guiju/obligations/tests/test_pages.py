"""The board and the law as people see them: every light with its shape and name, forms that leave records, rights that hold.

Guarded: `needs` on each view, `_service`, the size before the read in `attest`, the download's type.
"""

import json
import re
from datetime import timedelta
from importlib import resources
from unittest.mock import patch

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone
from msgspec.structs import replace
from pytest_django.fixtures import Settings
from typer.testing import CliRunner

from guiju.cli import whole_app
from guiju.core.layout import DataFolder
from guiju.obligations import flow, history, judging, views
from guiju.obligations.finding import GRAVEST
from guiju.obligations.judging import judge_service
from guiju.obligations.loading import FORMS, load_catalogue, shipped_catalogue
from guiju.obligations.models import Attestation, BoardDay, Profile
from guiju.obligations.tests.test_flow import OFFICER, TODAY, WHOLE, _attest
from guiju.services import flow as services
from guiju.web.people import add_person
from guiju.web.tests.rig import left

STATEMENT = "已完成备案"


def _person(role: str) -> Client:
    add_person(role, role, "person:test")
    client = Client()
    client.force_login(User.objects.get(username=role))
    return client


def _text(client: Client, path: str, status: int = 200) -> str:
    answer = client.get(path)
    assert answer.status_code == status
    return answer.content.decode()


def test_the_board_shows_every_light_once_in_the_map_and_once_in_words(owner: Client) -> None:
    page = _text(owner, "/console/board/")
    lights = judge_service("chat", timezone.now())
    for each in lights:
        at = f"/console/board/chat/{each.obligation.id}/"
        assert page.count(f'href="{at}"') >= 2, at
        assert re.search(rf'class="dot {each.status}" href="{re.escape(at)}"', page), at
    assert set(re.findall(r'class="dot (\w+)"', page)) <= set(GRAVEST)
    assert 'style="' not in page
    assert "<script>" not in page


def test_a_year_without_a_calendar_is_one_notice_that_says_what_to_do(owner: Client, data: DataFolder) -> None:
    with patch.object(judging, "missing_year", return_value=2031):
        page = _text(owner, "/console/board/")
        told = CliRunner().invoke(whole_app(), ["check", "--data", str(data.root), "--lang", "en"])
        as_json = CliRunner().invoke(whole_app(), ["check", "--data", str(data.root), "--json", "--lang", "en"])
    assert page.count("CALENDAR-GAP") == 1
    assert "[calendar]" in page
    assert "Fill the days off and make-up days of 2031" in " ".join(told.stderr.split())
    assert "2031" in as_json.stderr
    assert json.loads(as_json.stdout)
    with patch.object(judging, "missing_year", return_value=None):
        assert "CALENDAR-GAP" not in _text(owner, "/console/board/")


def test_what_is_published_has_lights_without_a_restart(owner: Client, settings: Settings) -> None:
    [first, *_] = settings.SITE.services
    services.publish(replace(settings.SITE, services=(*settings.SITE.services, replace(first, id="another"))))
    assert "尚未生效" not in _text(owner, "/console/board/?service=another")
    assert owner.get("/console/board/another/profile/").status_code == 200
    assert 'value="another"' in _text(owner, "/console/supply/")
    settings.SETTINGS_FILE.write_text("# written after the publishing\n")
    assert "尚未生效" in _text(owner, "/console/board/")
    settings.SETTINGS_FILE.write_text('# a mistake\nupstreams = ["mian"]\n')
    page = _text(owner, "/console/board/")
    assert "guiju.toml 第 2 行" in page, "guarded by `find_mistakes` in `_unpublished_notice`"
    assert "请运行 guiju publish" not in page


def test_the_board_speaks_english(owner: Client) -> None:
    owner.cookies["django_language"] = "en"
    page = _text(owner, "/console/board/")
    assert "Needs a person" in page
    assert "待人判断" not in page


def test_a_duty_leads_to_its_record_and_proof(owner: Client) -> None:
    made = _attest()
    page = _text(owner, "/console/board/chat/GAI-9.2/")
    assert f"/console/records/{made.record}/" in page
    assert f"/console/records/{made.record}/proof.json" in page
    assert made.document_sha256[:12] in page
    _text(owner, "/console/board/chat/GAI-99.9/", 404)
    _text(owner, "/console/board/chat/GAI-16.0/", 404)  # binds the authority
    _text(owner, "/console/board/nowhere/GAI-9.2/", 404)
    _text(owner, "/console/board/?service=nowhere", 404)


def _attestation(**changed: object) -> dict:
    return {
        "statement": STATEMENT,
        "document": SimpleUploadedFile("备案.pdf", b"%PDF"),
        "last_day": (TODAY + timedelta(days=100)).isoformat(),
    } | changed


def test_an_attestation_is_given_and_withdrawn(owner: Client, data: DataFolder) -> None:
    at = "/console/board/chat/GAI-9.2/"
    assert owner.post(f"{at}attest/", _attestation()).status_code == 302
    made = Attestation.objects.get()
    assert (made.made_by, made.document_name) == ("person:owner", "备案.pdf")
    download = owner.get(f"{at}{made.id}/document/")
    assert (download.content, download["Content-Type"]) == (b"%PDF", "application/octet-stream")
    assert download["Content-Disposition"].startswith("attachment")
    assert owner.post(f"{at}{made.id}/withdraw/").status_code == 302
    assert owner.post(f"{at}{made.id}/withdraw/").status_code == 409
    assert [each.kind for each in left(data)][-2:] == ["obligations.duty.attested", "obligations.duty.withdrawn"]
    assert _text(owner, f"/console/board/chat/GAI-9.4/{made.id}/document/", 404)


@pytest.mark.parametrize(
    "changed", [{"statement": ""}, {"document": ""}, {"last_day": ""}, {"last_day": "2020-01-01"}, {"last_day": "soon"}]
)
def test_a_bare_tick_is_refused_with_its_reason(owner: Client, changed: dict[str, object]) -> None:
    answer = owner.post("/console/board/chat/GAI-9.2/attest/", _attestation(**changed))
    assert answer.status_code == 400
    page = answer.content.decode()
    assert "ATTESTATION-INVALID" in page
    assert f">{changed.get('statement', STATEMENT)}</textarea>" in page  # what was written is there to be corrected
    assert not Attestation.objects.exists()


def test_a_document_that_is_too_large_is_not_read(owner: Client) -> None:
    large = SimpleUploadedFile("large.bin", bytes(flow.DOCUMENT_LIMIT_BYTES + 1))
    assert owner.post("/console/board/chat/GAI-9.2/attest/", _attestation(document=large)).status_code == 400


def test_a_profile_is_answered_and_its_determination_signed_and_downloaded(owner: Client) -> None:
    form = {f"fact-{fact}": list(given) for fact, given in WHOLE.items()}
    assert owner.post("/console/board/chat/profile/determine/").status_code == 409
    assert owner.post("/console/board/chat/profile/answer/", form).status_code == 302
    assert flow.answers_of("chat") == WHOLE
    assert owner.post("/console/board/chat/profile/determine/").status_code == 403
    assert "determine/" not in _text(owner, "/console/board/chat/profile/")
    assert _person("approver").post("/console/board/chat/profile/determine/").status_code == 302
    made, holds = flow.determination_of("chat", timezone.now())
    assert holds == "holds"
    assert made is not None
    page = _text(owner, "/console/board/chat/profile/")
    note = f"/console/board/chat/determinations/{made.id}.txt"
    assert note in page
    assert owner.get(note).content.decode() == made.note
    assert owner.post("/console/board/chat/profile/answer/", {"fact-public": "maybe"}).status_code == 400
    refused = owner.post("/console/board/chat/profile/answer/", form | {"fact-public": "no", "fact-minors": "likely"})
    assert 'name="fact-minors" value="likely" checked' in refused.content.decode()  # what was given is there to be corrected
    assert flow.answers_of("chat") == WHOLE


def test_who_may_do_what(data: DataFolder) -> None:
    reader, officer, approver, reviewer = map(_person, ("reader", "officer", "approver", "reviewer"))
    form = {f"fact-{fact}": list(given) for fact, given in WHOLE.items()}
    assert reader.get("/console/board/").status_code == officer.get("/console/board/").status_code == 200
    assert reviewer.get("/console/board/").status_code == 404
    assert reader.post("/console/board/chat/profile/answer/", form).status_code == 404
    assert reader.post("/console/board/chat/GAI-9.2/attest/", _attestation()).status_code == 404
    assert "个问题没有回答" in _text(officer, "/console/board/")
    assert officer.post("/console/board/chat/profile/answer/", form).status_code == 302
    assert "等待您签署" in _text(approver, "/console/board/")
    assert "等待您签署" not in _text(officer, "/console/board/")
    assert officer.post("/console/board/chat/profile/determine/").status_code == 404  # another person signs
    assert approver.post("/console/board/chat/profile/determine/").status_code == 302
    assert "等待您签署" not in _text(approver, "/console/board/")
    assert "/determinations/" in _text(approver, "/console/board/chat/GAI-2.1/")  # the evidence is what was signed
    assert Profile.objects.get().made_by == "person:officer"
    assert Client().get("/console/board/").status_code == 302


def test_the_law_is_open_and_can_be_cited(anybody: Client) -> None:
    page = _text(anybody, "/law/")
    assert all(f'href="/law/{name}"' in page for name in shipped_catalogue().obligations)
    duty = _text(anybody, "/law/GAI-13.4")
    assert "CLK-INC-4H" in duty
    assert "转述" in duty  # the four hours are second-hand, and the page says so
    anybody.cookies["django_language"] = "en"
    assert "second-hand" in _text(anybody, "/law/GAI-13.4")
    assert "within 4 hours" in _text(anybody, "/law/GAI-13.4")
    _text(anybody, "/law/GAI-13.44", 404)


def test_the_board_of_a_day_is_kept_once_with_its_record(owner: Client, data: DataFolder) -> None:
    assert history.keep_day()
    assert not history.keep_day()
    assert BoardDay.objects.count() == 1
    assert [each.kind for each in left(data)].count("obligations.board.computed") == 1
    [(day, counts)] = history.days_of("chat", TODAY)
    assert day == TODAY
    assert sum(counts.values()) == len(judge_service("chat", timezone.now()))
    assert 'class="day-not_built"' in _text(owner, "/console/board/")


def test_the_profile_page_shows_who_answered(owner: Client) -> None:
    flow.answer_profile("chat", {"public": ("yes",)}, OFFICER)
    page = _text(owner, "/console/board/chat/profile/")
    assert OFFICER in page
    assert 'name="fact-public" value="yes" checked' in page


def test_an_amended_duty_shows_its_versions_and_their_difference(anybody: Client) -> None:
    folder = resources.files("guiju.obligations").joinpath("catalogue")
    files = {name: folder.joinpath(f"{name}.yaml").read_bytes() for name in FORMS}
    entry = files["chapter-5"].decode().split("- id: GAI-23.2")[1].split("- id: GAI-24.0")[0]
    later = "- id: GAI-23.2" + entry.replace(
        "since: 2023-08-15", "since: 2027-01-01\n  version: 2\n  changed: {zh: 试点扩大, en: The pilot grew}"
    ).replace("zh: 存在外资", "zh: 外资过半")
    amended = load_catalogue({**files, "chapter-5": files["chapter-5"] + later.encode()})
    with patch.object(views, "shipped_catalogue", return_value=amended):
        page = _text(anybody, "/law/GAI-23.2")
    assert "试点扩大" in page
    assert "2027-01-01" in page
    assert re.search(r"<del><pre>zh: 存在外资.*</pre></del>\s*<ins><pre>zh: 外资过半", page, re.DOTALL)


def test_statutes_tell_where_articles_moved(anybody: Client) -> None:
    assert "23 ← 21" in _text(anybody, "/law/")
