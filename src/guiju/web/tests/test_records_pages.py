"""The records browser: paging by key, filters, hostile text, proofs that are checked, content that leaves a record."""

import json
import re
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from guiju.core.clock import now_us
from guiju.core.keys import load_site_public_key
from guiju.core.layout import DataFolder
from guiju.records import browse
from guiju.records.entry import Entry
from guiju.records.flow import append
from guiju.records.log.proof import check_proof
from guiju.records.models import Record
from guiju.web.tests.rig import entry, left, record_all, write_records

HOSTILE = '"><script>alert(1)</script>'


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browse, "PAGE_RECORDS", 10)


def _listed(response: Any) -> list[int]:
    return [record.index for record in response.context["found"]]


def test_pages_join_without_gap_or_overlap_in_both_directions(owner: Client, data: DataFolder) -> None:
    written = [record.index for record in write_records(data, [entry() for _ in range(35)])]
    response, seen, pages = owner.get("/console/records/"), [], []
    while True:
        pages.append(_listed(response))
        seen += pages[-1]
        if not response.context["older"]:
            break
        response = owner.get("/console/records/?" + response.context["older"])
    assert seen == written[::-1]
    assert [len(page) for page in pages] == [10, 10, 10, 5]
    for expected in reversed(pages[:-1]):
        response = owner.get("/console/records/?" + response.context["newer"])
        assert _listed(response) == expected
    assert response.context["newer"] == ""


def test_a_page_that_grows_meanwhile_loses_nothing(owner: Client, data: DataFolder) -> None:
    # Guarded: paging by key; paging by offset shows records twice here.
    write_records(data, [entry() for _ in range(20)])
    first = owner.get("/console/records/")
    write_records(data, [entry() for _ in range(5)])
    second = owner.get("/console/records/?" + first.context["older"])
    assert len({*_listed(first), *_listed(second)}) == 20


def test_no_page_counts_or_skips_rows(owner: Client, data: DataFolder) -> None:
    write_records(data, [entry() for _ in range(25)])
    with CaptureQueriesContext(
        connection,
    ) as queries:
        owner.get("/console/records/?kind=gateway.answer.delivered&before=20")
    asked = [query["sql"] for query in queries if "records_record" in query["sql"]]
    assert len(asked) == 1
    assert "OFFSET" not in asked[0].upper()
    assert "COUNT(" not in asked[0].upper()


def test_filters_hold_together_and_through_the_pages(owner: Client, data: DataFolder) -> None:
    noon_us = int(datetime(2026, 11, 23, 4, 0, tzinfo=UTC).timestamp() * 1_000_000)  # 12:00 in Beijing
    wanted = [entry("gateway.answer.stopped", service="a", subject="u-1", at_us=noon_us + number) for number in range(12)]
    others = [
        entry("gateway.answer.delivered", service="a", subject="u-1", at_us=noon_us),
        entry("gateway.answer.stopped", service="b", subject="u-1", at_us=noon_us),
        entry("gateway.answer.stopped", service="a", subject="u-2", at_us=noon_us),
        entry("gateway.answer.stopped", service="a", subject="u-1", at_us=noon_us - 1),
        entry("gateway.answer.stopped", service="a", subject="u-1", at_us=noon_us + 60_000_000),
    ]
    write_records(data, [*wanted, *others])
    query = "kind=gateway.answer.stopped&service=a&subject=u-1&since=2026-11-23T12:00&until=2026-11-23T12:01"
    first = owner.get("/console/records/?" + query)
    second = owner.get("/console/records/?" + first.context["older"])
    found = {record.id for record in [*first.context["found"], *second.context["found"]]}
    assert found == {each.id for each in wanted}


@pytest.mark.parametrize(
    "query", ["since=yesterday", "before=-1", "before=1' OR 1", "after=9" + "9" * 30, "until=2026-13-01T00:00", "before=²"]
)
def test_a_nonsense_question_is_said_to_be_one(owner: Client, query: str) -> None:
    response = owner.get("/console/records/?" + query)
    assert response.status_code == 200
    assert "没有查找" in response.content.decode()


def test_the_zero_character_reaches_no_database(owner: Client, data: DataFolder) -> None:
    # PostgreSQL refuses it; SQLite takes it, so the test looks at what would be asked.
    write_records(data, [entry(service="a")])
    assert _listed(owner.get("/console/records/", {"service": "\0a\0"})) != []


def test_a_filter_by_htmx_gets_the_list_alone(owner: Client, data: DataFolder) -> None:
    write_records(data, [entry()])
    part = owner.get("/console/records/", headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in part
    assert "<table" in part
    restored = owner.get("/console/records/", headers={"HX-Request": "true", "HX-History-Restore-Request": "true"}).content.decode()
    assert "<html" in restored


def test_hostile_text_stays_text(owner: Client, data: DataFolder) -> None:
    # Guarded line: autoescaping of the templates; `|safe` on any of these values turns this red.
    metadata: dict[str, object] = {
        HOSTILE: HOSTILE,
        "list": [HOSTILE],
        "input": {"outcome": "hit", "hits": [{"path": HOSTILE, "start": 0, "end": 1, "risk": HOSTILE, "rule": HOSTILE, "action": HOSTILE}]},
    }
    hostile = entry(HOSTILE, metadata=metadata, service=HOSTILE, actor=HOSTILE, subject=HOSTILE)
    write_records(data, [hostile])
    for page in (
        "/console/records/",
        f"/console/records/{hostile.id}/",
        f"/console/records/?subject={HOSTILE}&service={HOSTILE}&since={HOSTILE}",
    ):
        html = owner.get(page).content.decode()
        assert "<script>alert" not in html
        assert "&lt;script&gt;alert" in html


def test_metadata_of_an_unexpected_shape_is_still_shown(owner: Client, data: DataFolder) -> None:
    odd = entry(metadata={"input": "text", "output": {"hits": []}, "deep": {"a": {"b": None}}, "yes": True})
    write_records(data, [odd])
    html = owner.get(f"/console/records/{odd.id}/").content.decode()
    assert "deep.a.b" in html
    assert "<td>true</td>" in html


def test_a_record_in_the_log_is_proven_on_its_page(owner: Client, data: DataFolder) -> None:
    record_all(data)
    record = Record.objects.order_by("index")[1]
    response = owner.get(f"/console/records/{record.id}/")
    assert "在日志中" in response.content.decode()
    assert {step.outcome for step in response.context["proof"].steps} == {"holds"}
    document = json.loads(owner.get(f"/console/records/{record.id}/proof.json").content)
    assert check_proof(document, load_site_public_key(data.keys)).ok


def test_a_tampered_tile_is_shown_as_a_failing_proof(owner: Client, data: DataFolder) -> None:
    record_all(data)
    for path in (data.ledger / "tile").rglob("*"):
        if path.is_file() and "entries" not in path.parts:
            raw = bytearray(path.read_bytes())
            raw[0] ^= 1
            path.write_bytes(raw)
    record = Record.objects.order_by("index")[1]
    html = owner.get(f"/console/records/{record.id}/").content.decode()
    assert "证明不成立" in html
    assert "在日志中" not in html
    assert owner.get(f"/console/records/{record.id}/proof.json").status_code >= 400


def test_a_record_without_a_checkpoint_waits(owner: Client, data: DataFolder) -> None:
    record = write_records(data, [entry()])[0]
    html = owner.get(f"/console/records/{record.id}/").content.decode()
    assert "等待检查点" in html
    assert "在日志中" not in html


def test_opening_needs_a_reason_and_leaves_a_record(owner: Client, data: DataFolder) -> None:
    content = msgspec.msgpack.encode(
        {"request": f'{{"messages": ["{"你好"} <script>alert(1)</script>"]}}'.encode(), "answer": {"choices[0].content": "回答 <b>"}}
    )
    sealed = Entry(entry().id, now_us(), "gateway.answer.delivered", "chat", "key-1", "u-1", (), {}, content)
    write_records(data, [sealed])
    page, before = f"/console/records/{sealed.id}/open/", len(left(data))
    assert "你好" not in owner.get(f"/console/records/{sealed.id}/").content.decode()
    refused = owner.post(page, {"reason": "  x "})
    assert refused.status_code == 400
    assert "你好" not in refused.content.decode()
    assert len(left(data)) == before
    html = owner.post(page, {"reason": "核对投诉内容"}).content.decode()
    assert "你好" in html
    assert "回答 &lt;b&gt;" in html
    assert "<script>alert" not in html
    opened = left(data)[-1]
    assert (opened.kind, opened.actor) == ("records.content.opened", "person:owner")
    assert opened.metadata["record"] == sealed.id
    assert opened.metadata["reason"] == "核对投诉内容"


def test_bytes_that_are_no_text_do_not_break_the_page(owner: Client, data: DataFolder) -> None:
    for content in (b"\xc1", b"\xff\xfe not msgpack", msgspec.msgpack.encode({"request": b"\xff\xfe", "answer": [1, {"a": None}]})):
        sealed = Entry(entry().id, now_us(), "gateway.request.rejected", "chat", "key-1", "u-1", (), {}, content)
        write_records(data, [sealed])
        response = owner.post(f"/console/records/{sealed.id}/open/", {"reason": "核对投诉内容"})
        assert response.status_code == 200
        assert response.context["opened"]


def test_reading_records_is_not_opening_them(data: DataFolder) -> None:
    from django.contrib.auth.models import Permission, User

    reader = User.objects.create_user("reader")
    reader.user_permissions.add(Permission.objects.get(codename="view_record"))
    client = Client()
    client.force_login(reader)
    record = write_records(data, [entry(content="x")])[0]
    page = client.get(f"/console/records/{record.id}/").content.decode()
    assert "您的账号不能打开" in page
    assert 'name="reason"' not in page
    assert "/console/keywords/" not in client.get("/console/").content.decode()
    assert client.post(f"/console/records/{record.id}/open/", {"reason": "核对投诉内容"}).status_code == 404


def test_the_two_records_of_a_streamed_answer_lead_to_each_other(owner: Client, data: DataFolder) -> None:
    opened = entry("gateway.answer.opened")
    closed = entry("gateway.answer.delivered", metadata={"answer": opened.id})
    write_records(data, [opened, closed])
    for here, there in ((opened, closed), (closed, opened)):
        assert f'href="/console/records/{there.id}/"' in owner.get(f"/console/records/{here.id}/").content.decode()


@pytest.mark.parametrize("id", ["x", "01KAZZZZZZZZZZZZZZZZZZZZZZ", "..", "%00"])
def test_an_unknown_record_is_not_found(owner: Client, id: str) -> None:
    assert owner.get(f"/console/records/{id}/").status_code == 404


def test_what_the_console_does_is_itself_on_the_list(owner: Client, data: DataFolder) -> None:
    append(kind="web.session.signed_in", actor="person:owner", metadata={"address": "127.0.0.1"})
    record_all(data)
    assert re.search("登录", owner.get("/console/records/?kind=web.session.signed_in").content.decode().partition('id="found"')[2])


def test_kinds_and_badges_are_in_the_language_of_the_reader_and_one_kind_is_chosen(owner: Client, data: DataFolder) -> None:
    """Red when what is remembered of a kind forgets its language, or the chosen kind: whoever comes first would decide for all."""
    write_records(data, [entry()])
    shown = {"zh-hans": ("回答已送达", "An answer was delivered"), "en": ("An answer was delivered", "回答已送达")}
    for language in ("zh-hans", "en", "zh-hans"):
        owner.cookies["django_language"] = language
        there, elsewhere = shown[language]
        for kind in ("gateway.answer.delivered", ""):
            page = owner.get("/console/records/", {"kind": kind}).content.decode()
            assert page.count(there) == 2, "an option and a badge"
            assert elsewhere not in page
            assert re.findall(r'<option value="([^"]*)" selected>', page) == ([kind] if kind else [])


def test_every_row_leads_to_its_record(owner: Client, data: DataFolder) -> None:
    written = write_records(data, [entry() for _ in range(3)])
    page = owner.get("/console/records/").content.decode()
    for record in written:
        assert f'href="{reverse("records:detail", args=[record.id])}"' in page


def test_an_opened_record_leads_to_how_the_answer_ended(owner: Client, data: DataFolder) -> None:
    """The number that people are shown names the opened record. Guarded: `begins` in `views._detail`, the second half of `browse.CLOSING`."""
    opened, waiting, failed = (entry("gateway.answer.opened") for _ in range(3))
    closed = entry("gateway.answer.stopped", metadata={"answer": opened.id})
    write_records(data, [opened, waiting, failed, closed, entry("gateway.upstream.failed", metadata={"answer": failed.id})])
    told = {each.id: owner.get(f"/console/records/{each.id}/").content.decode() for each in (opened, waiting, failed, closed)}
    notice = told[opened.id].split('id="outcome"')[1].split("</p>")[0]
    assert closed.id in notice
    assert 'id="outcome"' in told[waiting.id]
    assert "还没有记录说明" in told[waiting.id].split('id="outcome"')[1].split("</p>")[0]
    assert "还没有记录说明" not in told[failed.id]
    assert 'id="outcome"' not in told[closed.id]
    assert opened.id in told[closed.id]
