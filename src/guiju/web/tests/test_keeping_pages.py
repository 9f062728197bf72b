"""The pages about keeping: what they show, who may close a gap, and what a closed one leaves.

Guarded: `@needs` of each view; the figures of `list_months_removed`; `open_gaps` on the home page.
"""

from datetime import UTC, date, datetime, timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client

from guiju.core.layout import DataFolder
from guiju.records.keeping.chart import Month, draw
from guiju.records.keeping.views import list_months_removed
from guiju.records.keeping.watch import Missing, note
from guiju.records.models import DayMark, Gap, Removal
from guiju.web.tests.rig import entry, left, record_all, write_records

NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)


def removal(number: int, what: str, at: datetime, *, removed: int, finished: bool = True) -> None:
    Removal.objects.create(
        id=f"{number:026d}", what=what, first=0, until=100, bits=b"", ordered=100, removed=removed, done_until=100,
        ordered_at=at, finished_at=at if finished else None,
    )  # fmt: skip


def test_the_retention_page_shows_law_policy_and_what_went(owner: Client, data: DataFolder) -> None:
    page = owner.get("/console/records/retention/").content.decode()
    assert "还没有清除过任何内容" in page
    write_records(data, [entry(), entry(), entry("gateway.answer.stopped")])
    removal(1, "content", datetime.now(UTC), removed=70)
    removal(2, "record", datetime.now(UTC), removed=3, finished=False)
    page = owner.get("/console/records/retention/").content.decode()
    row = page.partition("网络日志")[2].partition("</tr>")[0]
    assert "184 天" in row
    assert "200 天" in row
    assert ">2</td>" in row
    assert "账本自身的凭据" in page.partition("不清除")[0]
    assert "3 / 100" in page
    assert "<svg" in page
    assert owner.get(f"/console/records/{1:026d}/").status_code == 404  # its link leads nowhere only because nothing was recorded here


def test_a_clock_that_cannot_be_trusted_is_shown(owner: Client, data: DataFolder) -> None:
    write_records(data, [entry()])
    assert "时钟可疑" not in owner.get("/console/records/retention/").content.decode()
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER records_daymark_insert")
    DayMark.objects.create(day=datetime.now(UTC).date() + timedelta(days=3), next_index=1)
    assert "时钟可疑" in owner.get("/console/records/retention/").content.decode()


@pytest.mark.usefixtures("data")
def test_months_are_summed_and_begin_with_the_first_of_twelve() -> None:
    assert list_months_removed(NOW) == []
    for number, at in enumerate((NOW, NOW - timedelta(days=2), NOW - timedelta(days=40), NOW - timedelta(days=400))):
        removal(number, "record" if number % 2 else "content", at, removed=10 + number)
    months = list_months_removed(NOW)
    assert [month.begins_on.strftime("%Y-%m") for month in months][::11] == ["2025-12", "2026-11"]
    assert months[-1] == Month(date(2026, 11, 1), 10, 11)
    assert months[-2] == Month(date(2026, 10, 1), 12, 0)
    drawn = draw(months, "x", 336)
    assert drawn.count("<rect") == 3
    assert "style" not in drawn


def gap(key: str = "numbers:4-5") -> Gap:
    found = note(
        Missing("numbers", key, "记录 4 至 5 缺失", "records 4 to 5 are missing, and no removal names them", 4, 5, 2), datetime.now(UTC)
    )
    assert found is not None
    return found


def test_a_gap_stands_on_the_home_page_until_somebody_closes_it(owner: Client, data: DataFolder) -> None:
    assert "记录缺失未处理" not in owner.get("/console/").content.decode()
    assert "没有未处理的缺失" in owner.get("/console/records/gaps/").content.decode()
    found = gap()
    record_all(data)
    assert "记录缺失未处理：1 处" in owner.get("/console/").content.decode()
    page = owner.get("/console/records/gaps/").content.decode()
    assert "记录 4 至 5 缺失" in page
    assert owner.get(f"/console/records/{found.record}/").status_code == 200
    refused = owner.post(f"/console/records/gaps/{found.pk}/close/", {"reason": " x "})
    assert refused.status_code == 400
    assert "没有写明理由" in refused.content.decode()
    closed = owner.post(f"/console/records/gaps/{found.pk}/close/", {"reason": "磁盘更换，已从备份恢复"}, follow=True)
    assert "缺失已关闭" in closed.content.decode()
    assert "记录缺失未处理" not in owner.get("/console/").content.decode()
    assert [(each.kind, each.actor) for each in left(data)][-1] == ("records.gap.closed", "person:owner")
    again = owner.post(f"/console/records/gaps/{found.pk}/close/", {"reason": "once more"})
    assert again.status_code == 404
    assert "没有编号为" in again.content.decode()


def test_who_may_only_read_closes_nothing(data: DataFolder) -> None:
    reader = User.objects.create_user("reader")
    reader.user_permissions.add(Permission.objects.get(codename="view_record"))
    client = Client()
    client.force_login(reader)
    found = gap()
    page = client.get("/console/records/gaps/").content.decode()
    assert "记录 4 至 5 缺失" in page
    assert "<button>关闭" not in page
    assert client.post(f"/console/records/gaps/{found.pk}/close/", {"reason": "somebody else"}).status_code == 404
    assert Gap.objects.get().closed_at is None


def test_heartbeats_are_listed_only_when_asked_for(owner: Client, data: DataFolder) -> None:
    beat, answer = write_records(data, [entry("gateway.worker.alive"), entry()])
    assert beat.id not in (page := owner.get("/console/records/").content.decode())
    assert answer.id in page
    assert beat.id in owner.get("/console/records/?kind=gateway.worker.alive").content.decode()
