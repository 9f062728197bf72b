"""Requests, approvals and openings: wrong actor, lost race, expired; the record of an opening is durable before anybody reads.

Guarded lines: `rows.exclude(asked_by=actor)`, `state=State.ASKED, until__gt=now` in requests; the conditional update in
`take`; `append` before `return` in `open_content`.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from django.db import connection, transaction
from django.db.models import QuerySet
from pytest_django.fixtures import Settings

from guiju.core.errors import ErrorCode, GuijuError
from guiju.core.layout import DataFolder
from guiju.core.master_keys import load_master_keys
from guiju.core.settings import Records
from guiju.records.access import opening, requests
from guiju.records.access.opening import OPENING_NEEDED, get_opening, list_opened, open_content, open_subject
from guiju.records.access.requests import (
    APPROVAL_NEEDED,
    REQUEST_EXPIRED,
    REQUEST_OWN,
    REQUEST_SETTLED,
    REQUEST_UNKNOWN,
    Deed,
    State,
    approve,
    ask,
    list_waiting,
    refuse,
)
from guiju.records.access.whereabouts import CONTENT_NONE
from guiju.records.keys.sealing import CONTENT_UNREADABLE, seal
from guiju.records.models import OutboxEntry, Record, RecordContent, Request
from guiju.records.recorder.ingest import write_entries
from guiju.records.recorder.recording import Recorder
from guiju.records.tests.conftest import ORIGIN
from guiju.records.tests.site import entry

pytestmark = pytest.mark.django_db
OFFICER, SECOND, STRANGER = "person:officer", "person:second", "person:stranger"
REASON = "complaint 17"


@pytest.fixture
def record(data: DataFolder) -> Record:
    write_entries([entry(content=b"secret"), entry(content=b"another"), entry()], load_master_keys(data.keys))
    return Record.objects.get(index=0)


@pytest.fixture
def two_people(settings: Settings) -> None:
    settings.SITE = msgspec.structs.replace(settings.SITE, records=Records(opening_people=2))


def refused_with(code: ErrorCode, work: Callable[[], object]) -> GuijuError:
    with pytest.raises(GuijuError) as told:
        work()
    assert told.value.code is code
    return told.value


def asked(record: Record, reason: str = REASON) -> Request:
    refused_with(APPROVAL_NEEDED, lambda: open_content(record.id, actor=OFFICER, reason=reason))
    return list_waiting().get()


def on_record(data: DataFolder, prefix: str) -> list[tuple[str, str, dict[str, object]]]:
    recorder = Recorder(data, ORIGIN)
    while recorder.step():
        pass
    return [(each.kind, each.actor, each.metadata) for each in Record.objects.filter(kind__startswith=prefix).order_by("index")]


def expire(request: Request) -> None:
    Request.objects.filter(pk=request.pk).update(until=datetime.now(UTC) - timedelta(seconds=1))


# ── one person ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_record_is_written_before_the_content_is_given_out(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: object) -> str:
        raise OSError("the disk is full")

    monkeypatch.setattr(opening, "append", fail)
    with pytest.raises(OSError, match="full"):
        open_content(record.id, actor=OFFICER, reason=REASON)


def test_an_opening_inside_another_transaction_is_refused(data: DataFolder) -> None:
    """A record that the caller could still roll back would not be durable."""
    from guiju.records.tests.site import make_site

    site = make_site(data.root.with_name("other"))
    code = """
from django.db import connection, transaction
from guiju.core.master_keys import load_master_keys
from guiju.records.recorder.ingest import write_entries
from guiju.records.models import OutboxEntry, Record
from guiju.records.access.opening import open_content
from guiju.records.tests.site import entry
from guiju.records.access.whereabouts import CONTENT_NONE
write_entries([entry(content=b"secret")], load_master_keys(settings.DATA_FOLDER.keys))
record = Record.objects.get()
try:
    with transaction.atomic():
        print(open_content(record.id, actor="a", reason="look"))
except RuntimeError as problem:
    assert "durable" in str(problem), problem
else:
    raise SystemExit("it was opened")
assert OutboxEntry.objects.count() == 0
assert open_content(record.id, actor="a", reason="look") == b"secret"
assert OutboxEntry.objects.count() == 1
"""
    site.run(code)


def without_guard(deed: Callable[[], object]) -> None:
    """Do what the database refuses, as whoever has the file can."""
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER records_recordcontent_delete")
    deed()


def test_content_that_was_changed_is_not_opened_and_leaves_no_opening(data: DataFolder, record: Record) -> None:
    content = RecordContent.objects.get(record=record)
    sealed = bytearray(bytes(content.sealed))
    sealed[20] ^= 1
    without_guard(content.delete)
    RecordContent.objects.create(record=record, key=content.key, sealed=bytes(sealed))
    refused_with(CONTENT_UNREADABLE, lambda: open_content(record.id, actor=OFFICER, reason=REASON))
    assert OutboxEntry.objects.count() == 0
    assert [each.state for each in list_opened("u-1")] == ["unreadable", "opened", "none"]


def test_content_sealed_anew_under_the_right_key_is_not_what_was_recorded(data: DataFolder, record: Record) -> None:
    content = RecordContent.objects.select_related("key").get(record=record)
    cipher = opening.cipher_of(content.key, load_master_keys(data.keys))
    without_guard(content.delete)
    RecordContent.objects.create(record=record, key=content.key, sealed=seal(cipher, record.id, b"never said"))
    refused_with(CONTENT_UNREADABLE, lambda: open_content(record.id, actor=OFFICER, reason=REASON))


def test_a_subject_is_open_for_a_while_to_one_person(data: DataFolder, record: Record) -> None:
    refused_with(OPENING_NEEDED, lambda: get_opening("u-1", OFFICER))
    opened = open_subject("u-1", actor=OFFICER, reason=REASON)
    assert get_opening("u-1", OFFICER) == opened
    assert open_subject("u-1", actor=OFFICER, reason="again") == opened
    refused_with(OPENING_NEEDED, lambda: get_opening("u-1", STRANGER))
    refused_with(OPENING_NEEDED, lambda: get_opening("u-2", OFFICER))
    assert [each.content for each in list_opened("u-1")] == [b"secret", b"another", b""]
    expire(opened)
    refused_with(OPENING_NEEDED, lambda: get_opening("u-1", OFFICER))
    kinds = [(kind, actor, metadata["reason"]) for kind, actor, metadata in on_record(data, "records.subject.")]
    assert kinds == [("records.subject.opened", OFFICER, REASON)]


# ── two people ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.usefixtures("two_people")
def test_request_approval_opening(data: DataFolder, record: Record) -> None:
    request = asked(record)
    assert asked(record, "another reason") == request  # asking twice makes one request
    approve(request.id, actor=SECOND, reason="looked into it")
    assert open_content(record.id, actor=OFFICER, reason="-") == b"secret"
    again = asked(record)  # an approval is used once
    assert again.id != request.id
    found = on_record(data, "records.")
    assert [kind for kind, *_ in found] == [
        "records.request.made",
        "records.request.approved",
        "records.content.opened",
        "records.request.made",
    ]
    assert found[1][1:] == (
        SECOND,
        {"request": request.id, "deed": "open_record", "record": record.id, "reason": "looked into it", "asked_by": OFFICER},
    )
    # The reason on record is the one that was approved.
    assert found[2][1:] == (OFFICER, {"record": record.id, "reason": REASON, "request": request.id, "approved_by": SECOND})


@pytest.mark.usefixtures("two_people")
def test_nobody_approves_their_own_request(record: Record) -> None:
    request = asked(record)
    refused_with(REQUEST_OWN, lambda: approve(request.id, actor=OFFICER))
    refused_with(APPROVAL_NEEDED, lambda: open_content(record.id, actor=OFFICER, reason=REASON))
    assert Request.objects.get().state == State.ASKED


@pytest.mark.usefixtures("two_people")
def test_an_approval_is_for_one_person_one_record_one_deed(record: Record) -> None:
    approve(asked(record).id, actor=SECOND)
    other = Record.objects.get(index=1)
    refused_with(APPROVAL_NEEDED, lambda: open_content(record.id, actor=STRANGER, reason=REASON))
    refused_with(APPROVAL_NEEDED, lambda: open_content(record.id, actor=SECOND, reason=REASON))
    refused_with(APPROVAL_NEEDED, lambda: open_content(other.id, actor=OFFICER, reason=REASON))
    refused_with(APPROVAL_NEEDED, lambda: open_subject("u-1", actor=OFFICER, reason=REASON))
    assert open_content(record.id, actor=OFFICER, reason=REASON) == b"secret"


@pytest.mark.usefixtures("two_people")
def test_what_expires_cannot_be_approved_or_used(record: Record) -> None:
    request = asked(record)
    expire(request)
    refused_with(REQUEST_EXPIRED, lambda: approve(request.id, actor=SECOND))
    assert not list_waiting().exists()
    second = asked(record)
    assert second.id != request.id
    approve(second.id, actor=SECOND)
    expire(second)
    refused_with(APPROVAL_NEEDED, lambda: open_content(record.id, actor=OFFICER, reason=REASON))


@pytest.mark.usefixtures("two_people")
@pytest.mark.parametrize("first", [approve, refuse])
def test_of_two_who_decide_one_is_first(record: Record, first: Callable[..., Request]) -> None:
    request = asked(record)
    first(request.id, actor=SECOND)
    refused_with(REQUEST_SETTLED, lambda: approve(request.id, actor="person:third"))
    refused_with(REQUEST_SETTLED, lambda: refuse(request.id, actor="person:third"))
    assert Request.objects.get().decided_by == SECOND


@pytest.mark.usefixtures("two_people")
def test_a_refused_request_opens_nothing(record: Record) -> None:
    refuse(asked(record).id, actor=SECOND, reason="not needed")
    refused_with(APPROVAL_NEEDED, lambda: open_content(record.id, actor=OFFICER, reason=REASON))
    refused_with(REQUEST_UNKNOWN, lambda: approve("0" * 26, actor=SECOND))


@pytest.mark.usefixtures("two_people")
def test_one_approval_taken_twice_at_once_opens_once(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    approve(asked(record).id, actor=SECOND)
    real = QuerySet.first

    def lose(rows: QuerySet[Request]) -> Request | None:
        found = real(rows)
        if isinstance(found, Request) and found.state == State.APPROVED:  # between looking and taking, the other one takes it
            Request.objects.filter(pk=found.pk).update(state=State.DONE)
        return found

    monkeypatch.setattr(QuerySet, "first", lose)
    with transaction.atomic():
        assert requests.take(Deed.OPEN_RECORD, actor=OFFICER, subject="u-1", record=record.id) is None


@pytest.mark.usefixtures("two_people")
def test_an_open_subject_opens_its_records_without_further_requests(record: Record) -> None:
    refused_with(APPROVAL_NEEDED, lambda: open_subject("u-1", actor=OFFICER, reason=REASON))
    approve(list_waiting().get().id, actor=SECOND)
    until = open_subject("u-1", actor=OFFICER, reason=REASON).until
    assert timedelta(minutes=59) < until - datetime.now(UTC) <= timedelta(minutes=60)
    assert open_content(record.id, actor=OFFICER, reason=REASON) == b"secret"
    refused_with(APPROVAL_NEEDED, lambda: open_content(record.id, actor=SECOND, reason=REASON))


def test_what_is_not_there_is_not_asked_for(record: Record) -> None:
    bare = Record.objects.get(index=2)
    refused_with(CONTENT_NONE, lambda: open_content(bare.id, actor=OFFICER, reason=REASON))
    with pytest.raises(ValueError, match="reason"):
        ask(Deed.OPEN_RECORD, actor=OFFICER, reason="  ", record=record.id)
    with pytest.raises(ValueError, match="reason"):
        open_subject("u-1", actor=OFFICER, reason="")
    refused_with(opening.SUBJECT_UNKNOWN, lambda: open_subject("u-404", actor=OFFICER, reason=REASON))
    assert Request.objects.count() == 0
