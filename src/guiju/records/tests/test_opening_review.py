"""What a reviewer may open, and what is marked for review.

Guarded lines: `granted is None and not policy_is_one_person()`; `append` before `return` in `open_for_review`; `key__wrapped__isnull` in
`list_sealed`; the mark that stands inside a person's words.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from pytest_django.fixtures import Settings

from guiju.core.errors import GuijuError
from guiju.core.layout import DataFolder
from guiju.core.master_keys import load_master_keys
from guiju.core.settings import Records
from guiju.records.access.marked import list_marked, list_sealed
from guiju.records.access.opening_review import REVIEW_NOT_GRANTED, ask_for_review, find_review_permission, open_for_review
from guiju.records.access.requests import REQUEST_OWN, REQUEST_SETTLED, approve, ask, list_reviewers, refuse, take
from guiju.records.access.whereabouts import CONTENT_ERASED
from guiju.records.models import OutboxEntry, Record, Request
from guiju.records.recorder.ingest import write_entries
from guiju.records.subjects.erasure import erase_subject
from guiju.records.tests.site import entry

pytestmark = pytest.mark.django_db
REVIEWER, SECOND = "person:reviewer", "person:second"
UNTIL = datetime(2026, 11, 24, 9, tzinfo=UTC)
KINDS = ("gateway.answer.delivered", "gateway.input.refused")


def write(data: DataFolder, *entries: object) -> list[Record]:
    write_entries(entries, load_master_keys(data.keys))  # type: ignore[arg-type]
    return list(Record.objects.order_by("index"))


def test_what_a_reviewer_opens_is_on_record_before_it_is_seen(data: DataFolder) -> None:
    (record,) = write(data, entry(content=b"secret", subject="u-1"))
    before = OutboxEntry.objects.count()
    assert open_for_review([record.id], actor=REVIEWER, until=UNTIL) == [b"secret"]
    assert OutboxEntry.objects.count() == before + 1
    assert open_for_review([record.id], actor=REVIEWER, until=UNTIL, again=True) == [b"secret"]
    assert OutboxEntry.objects.count() == before + 1


def test_with_two_people_a_permission_is_granted_for_a_time_and_not_used_up(data: DataFolder, settings: Settings) -> None:
    settings.SITE = msgspec.structs.replace(settings.SITE, records=Records(opening_people=2, review_days=7))
    (record,) = write(data, entry(content=b"secret", subject="u-1"))

    def refused() -> None:
        with pytest.raises(GuijuError) as told:
            open_for_review([record.id], actor=REVIEWER, until=UNTIL)
        assert told.value.code is REVIEW_NOT_GRANTED

    refused()
    asked = ask_for_review(actor=REVIEWER, reason="daily review")
    assert ask_for_review(actor=REVIEWER, reason="again").pk == asked.pk
    assert find_review_permission(REVIEWER) == asked
    refused()
    with pytest.raises(GuijuError) as told:
        approve(asked.id, actor=REVIEWER)
    assert told.value.code is REQUEST_OWN
    granted = approve(asked.id, actor=SECOND)
    assert timedelta(days=6, hours=23) < granted.until - datetime.now(UTC) <= timedelta(days=7)
    for _ in range(2):
        assert open_for_review([record.id], actor=REVIEWER, until=UNTIL) == [b"secret"]
    with pytest.raises(GuijuError):
        open_for_review([record.id], actor=SECOND, until=UNTIL)
    Request.objects.update(until=datetime.now(UTC))
    refused()
    assert find_review_permission(REVIEWER) is None


def test_a_permission_can_be_ended_before_its_time(data: DataFolder, settings: Settings) -> None:
    settings.SITE = msgspec.structs.replace(settings.SITE, records=Records(opening_people=2))
    (record,) = write(data, entry(content=b"secret", subject="u-1"))
    asked = approve(ask_for_review(actor=REVIEWER, reason="daily review").id, actor=SECOND)
    assert [each.id for each in list_reviewers()] == [asked.id]
    assert open_for_review([record.id], actor=REVIEWER, until=UNTIL)
    refuse(asked.id, actor=SECOND, reason="left the team")
    assert not list_reviewers().exists()
    with pytest.raises(GuijuError) as told:
        open_for_review([record.id], actor=REVIEWER, until=UNTIL)
    assert told.value.code is REVIEW_NOT_GRANTED
    for again in (approve, refuse):
        with pytest.raises(GuijuError) as told:
            again(asked.id, actor=SECOND)
        assert told.value.code is REQUEST_SETTLED


@pytest.mark.usefixtures("data")
def test_an_approval_of_another_deed_is_not_refused_once_given() -> None:
    once = ask(Request.Deed.OPEN_SUBJECT, actor=REVIEWER, reason="complaint", subject="u-1")
    approve(once.id, actor=SECOND)
    with pytest.raises(GuijuError) as told:
        refuse(once.id, actor=SECOND)
    assert told.value.code is REQUEST_SETTLED


def test_content_that_was_erased_is_told_for_what_it_is(data: DataFolder, settings: Settings) -> None:
    settings.SITE = msgspec.structs.replace(settings.SITE, records=Records(erasure_people=1))
    one, two = write(data, entry(content=b"secret", subject="u-1"), entry(content=b"other", subject="u-2"))
    assert list_sealed([one.id, two.id, "0" * 26]) == {one.id, two.id}
    erase_subject("u-1", actor=SECOND, reason="asked for it")
    assert list_sealed([one.id, two.id]) == {two.id}
    with pytest.raises(GuijuError) as told:
        open_for_review([two.id, one.id], actor=REVIEWER, until=UNTIL)
    assert told.value.code is CONTENT_ERASED


def test_marks_are_found_by_the_database_and_nobodys_words_look_like_one(data: DataFolder) -> None:
    words: dict[str, Any] = {"application": '"review":"hit"', "review": ""}
    write(
        data,
        entry(KINDS[0], review="sample", content=b"x"),
        entry(KINDS[0]),
        entry(KINDS[1], review="hit"),
        entry("gateway.answer.opened", review="hit"),
        entry(KINDS[0], **words),
        entry(KINDS[1], review="hit", content=b"y"),
    )
    found, last = list_marked(KINDS, -1, 1_000)
    assert ([each.index for each in found], last) == ([0, 2, 5], 5)
    assert [each.has_content for each in found] == [True, False, True]
    assert list_marked(KINDS, 5, 10) == ([], 5)
    seen, after = [], -1
    while (step := list_marked(KINDS, after, 1)) and step[1] != after:
        seen += [each.index for each in step[0]]
        after = step[1]
    assert seen == [0, 2, 5]


def test_a_permission_to_review_opens_nothing_else(data: DataFolder, settings: Settings) -> None:
    settings.SITE = msgspec.structs.replace(settings.SITE, records=Records(opening_people=2))
    approve(ask_for_review(actor=REVIEWER, reason="daily review").id, actor=SECOND)
    for deed in (Request.Deed.OPEN_RECORD, Request.Deed.OPEN_SUBJECT, Request.Deed.OPEN_RECORDS):
        assert take(deed, actor=REVIEWER) is None
