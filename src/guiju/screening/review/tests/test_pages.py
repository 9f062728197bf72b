"""The pages of the reviews: who sees what, what a form does, what empty pages say.

Guarded: `@needs` of each view; `mine` before a text is shown; a second review that must not see the first decision.
"""

import msgspec
import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from guiju.core.layout import DataFolder
from guiju.core.settings import Records, Screening
from guiju.records import flow as records
from guiju.records.access.requests import approve
from guiju.screening import flow as libraries
from guiju.screening.review import flow
from guiju.screening.review.models import Decision, Item, Proposal
from guiju.screening.review.tests.conftest import Queue, exchange, hit, signed_in
from guiju.web.tests.rig import left

pytestmark = pytest.mark.django_db
PAGES = ("/console/review/", "/console/review/figures/", "/console/review/exceptions/", "/console/review/exceptions/download/")


@pytest.fixture(autouse=True)
def _alone(settings: Settings) -> None:
    settings.SITE = msgspec.structs.replace(
        settings.SITE, records=Records(erasure_people=1), screening=Screening(review_second_per_mille=0)
    )


def rule_in_force() -> str:
    return libraries.active_library().entries[1].id


def text(client: Client, path: str) -> str:
    return client.get(path).content.decode()


@pytest.mark.parametrize("path", PAGES)
def test_who_may_look(path: str, stranger: Client, anybody: Client, reader: Client) -> None:
    assert stranger.get(path).status_code == 404
    assert anybody.get(path).status_code == 302
    assert reader.get(path).status_code == 200


def test_empty_pages_say_what_to_do(reviewer: Client) -> None:
    assert "没有待复核的件" in (page := text(reviewer, "/console/review/"))
    assert "每千次往来抽取 2 次" in page
    assert "请在队列中复核几件" in text(reviewer, "/console/review/figures/")
    assert "没有待处理的建议" in text(reviewer, "/console/review/exceptions/")
    assert "现在没有您可以复核的件" in reviewer.post("/console/review/next/", follow=True).content.decode()


def test_a_reader_sees_the_queue_and_no_text(put: Queue, reader: Client, reviewer: Client) -> None:
    (item,) = put(exchange(hits=(hit(rule_in_force()),)))
    assert item.pk in (page := text(reader, "/console/review/"))
    assert "取走" not in page
    for path in (f"{item.pk}/take/", f"{item.pk}/decide/", f"{item.pk}/return/", f"{item.pk}/propose/", "next/", "permission/"):
        assert reader.post(f"/console/review/{path}").status_code == 404
    assert "可疑词条" not in text(reader, f"/console/review/{item.pk}/")
    assert "可疑词条，请" not in text(reviewer, f"/console/review/{item.pk}/")  # not taken yet
    assert reviewer.get(f"/console/review/{'0' * 26}/").status_code == 404


def test_from_the_queue_to_a_decision_and_an_exception(
    put: Queue, data: DataFolder, reviewer: Client, reader: Client, owner: Client
) -> None:
    rule = rule_in_force()
    (item,) = put(exchange(hits=(hit(rule),)))
    page = reviewer.post("/console/review/next/", follow=True).content.decode()
    assert '<mark class="flag" title="' + rule in page
    assert "13800138000" not in page
    at = f"/console/review/{item.pk}/"
    refused = reviewer.post(at + "decide/", {"rest": "missed", "note": "看<b>"})
    assert refused.status_code == 400
    assert "结论不完整" in (page := refused.content.decode())
    assert 'value="看&lt;b&gt;"' in page
    page = reviewer.post(at + "decide/", {"rule-0": "false", "note": "广告"}, follow=True).content.decode()
    assert "由误报提出例外词" in page
    assert Decision.objects.get().reviewer == "person:reviewer"
    for phrase in ("", "别的词", "可疑词条"):
        assert reviewer.post(at + "propose/", {"rule": rule, "phrase": phrase}).status_code == 400
    assert reviewer.post(at + "propose/", {"rule": "kw-other", "phrase": "可疑词条表"}).status_code == 400
    reviewer.post(at + "propose/", {"rule": rule, "phrase": "可疑词条表"})
    reviewer.post(at + "propose/", {"rule": rule, "phrase": "可疑词条表"})
    assert [each.kind for each in left(data) if "exception" in each.kind] == ["screening.exception.proposed"]
    number = Proposal.objects.get().pk
    assert "可疑词条表" in text(owner, "/console/review/exceptions/")
    assert "可疑词条表" in owner.get("/console/review/exceptions/download/").content.decode("utf-8-sig")
    assert reviewer.post(f"/console/review/exceptions/{number}/", {"decision": "adopt"}).status_code == 404
    before = libraries.active_library().version
    owner.post(f"/console/review/exceptions/{number}/", {"decision": "adopt"})
    again = owner.post(f"/console/review/exceptions/{number}/", {"decision": "dismiss"}, follow=True)
    assert "已处理" in again.content.decode()
    assert Proposal.objects.get().state == "adopted"
    assert libraries.active_library().version == before  # nothing enters a library by it
    assert "误报" in text(reader, at)
    figures = text(reader, "/console/review/figures/")
    assert "<svg" in figures
    assert "<small>0 / 1</small>" in figures


def test_somebody_quicker_is_told_politely(put: Queue, reviewer: Client) -> None:
    (item,) = put(exchange())
    flow.take(item.pk, actor="person:quicker")
    page = reviewer.post(f"/console/review/{item.pk}/take/", follow=True).content.decode()
    assert "已被他人取走" in page
    late = reviewer.post(f"/console/review/{item.pk}/decide/", {"rest": "right"}, follow=True).content.decode()
    assert "不在您手中" in late
    assert "不在您手中" in reviewer.post(f"/console/review/{item.pk}/return/", follow=True).content.decode()


def test_a_second_review_is_blind(put: Queue, reviewer: Client, settings: Settings) -> None:
    settings.SITE = msgspec.structs.replace(settings.SITE, screening=Screening(review_second_per_mille=1_000))
    (item,) = put(exchange(mark="sample"))
    flow.take(item.pk, actor="person:first")
    flow.decide(item.pk, actor="person:first", judged={}, rest="missed", risk="A.1.h", note="first thoughts")
    page = reviewer.post(f"/console/review/{item.pk}/take/", follow=True).content.decode()
    assert "往来内容" in page
    assert "first thoughts" not in page
    assert "person:first" not in page
    page = reviewer.post(f"/console/review/{item.pk}/decide/", {"rest": "right"}, follow=True).content.decode()
    assert "已保存" in page
    assert "first thoughts" in text(reviewer, f"/console/review/{item.pk}/")


def test_with_two_people_a_permission_comes_first(put: Queue, reviewer: Client, settings: Settings) -> None:
    settings.SITE = msgspec.structs.replace(settings.SITE, records=Records(opening_people=2))
    (item,) = put(exchange())
    refused = reviewer.post(f"/console/review/{item.pk}/take/", follow=True)
    assert refused.status_code == 403
    assert "没有查看复核队列内容的有效许可" in (page := refused.content.decode())
    assert "早先的话" not in page
    assert "申请许可" in text(reviewer, "/console/review/")
    reviewer.post("/console/review/permission/", {"reason": "daily review"})
    assert "等待另一人批准" in text(reviewer, "/console/review/")
    approver = signed_in("approver", "records.view_record", "records.approve_opening")
    assert "查看复核队列中的内容" in text(approver, "/console/records/requests/")
    asked = records.find_review_permission("person:reviewer")
    assert asked is not None
    approve(asked.id, actor="person:approver")
    assert "申请许可" not in text(reviewer, "/console/review/")
    assert "往来内容" in text(reviewer, f"/console/review/{item.pk}/")
    assert "有效的复核许可" in text(approver, "/console/records/requests/")
    assert "有效的复核许可" not in text(reviewer, "/console/records/requests/")
    approver.post(f"/console/records/requests/{asked.id}/decide/", {"decision": "refuse"})
    assert reviewer.get(f"/console/review/{item.pk}/").status_code == 403


def test_an_erased_persons_item_says_so(put: Queue, reviewer: Client) -> None:
    (item,) = put(exchange())
    reviewer.post(f"/console/review/{item.pk}/take/")
    records.erase_subject("u-1", actor="person:officer", reason="asked for it")
    gone = reviewer.get(f"/console/review/{item.pk}/")
    assert gone.status_code == 410
    assert "内容已随其主体删除，本件自行关闭" in gone.content.decode()
    assert Item.objects.get().state == "gone"
    assert "内容已不在" in text(reviewer, "/console/review/")


def test_nothing_that_people_write_is_obeyed(put: Queue, reviewer: Client) -> None:
    bad = "<script>alert(1)</script>"
    (item,) = put(exchange(hits=(hit(bad, path=bad, risk=bad[:8]),), question=bad, answer=bad))
    page = reviewer.post(f"/console/review/{item.pk}/take/", follow=True).content.decode()
    assert bad not in page
    reviewer.post(f"/console/review/{item.pk}/decide/", {"rule-0": "right", "note": bad})
    for path in (*PAGES[:3], f"/console/review/{item.pk}/", f"/console/review/figures/?rule={bad}"):
        assert bad not in text(reviewer, path)
