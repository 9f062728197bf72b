"""One request for a whole pack: asked once, approved once, used once, and nothing on record before the pack is written.

Guarded lines: `find_approved(… actor=actor, selection=selection)` in `begin_opening`; `id in named` there; the order of
`finish_opening` and `os.replace` in `write_pack`; `here` in `finish_opening`.
"""

import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from pytest_django.fixtures import Settings

from guiju.core.errors import ErrorCode, GuijuError
from guiju.core.layout import DataFolder
from guiju.core.master_keys import load_master_keys
from guiju.core.settings import Records
from guiju.records import lease
from guiju.records.access.opening import open_subject
from guiju.records.access.opening_many import APPROVAL_GONE, ERASED_MEANWHILE, Opening, list_contents
from guiju.records.access.requests import APPROVAL_NEEDED, REQUEST_OWN, State, approve
from guiju.records.keys.sealing import CONTENT_UNREADABLE
from guiju.records.models import OutboxEntry, Record, Request, SubjectKey
from guiju.records.offline.packcheck import check_pack
from guiju.records.packs import pack
from guiju.records.packs.pack import Packed, Selection, write_pack
from guiju.records.recorder.ingest import write_entries
from guiju.records.recorder.recording import Recorder
from guiju.records.tests.conftest import ORIGIN
from guiju.records.tests.site import entry

pytestmark = pytest.mark.django_db
OFFICER, SECOND, STRANGER = "person:officer", "person:second", "person:stranger"
WANTED = Selection(kind="gateway")


def write(data: DataFolder, *contents: bytes, subject: str = "u-1") -> None:
    write_entries([entry(subject=subject, content=each) for each in contents], load_master_keys(data.keys))
    record_all(data)


def record_all(data: DataFolder) -> None:
    recorder = Recorder(data, ORIGIN)
    recorder.start()
    while recorder.step():
        pass
    lease.release(recorder._holder)


@pytest.fixture
def filled(data: DataFolder, settings: Settings) -> DataFolder:
    settings.SITE = msgspec.structs.replace(settings.SITE, records=Records(opening_people=2))
    write(data, b"first", b"second", b"")
    write(data, b"third", subject="u-2")
    return data


def refused_with(code: ErrorCode, work: Callable[[], object]) -> None:
    with pytest.raises(GuijuError) as told:
        work()
    assert told.value.code is code


def attempt(out: Path, actor: str = OFFICER, selection: Selection = WANTED) -> Packed:
    return write_pack(out, selection, actor=actor, open_reason="order 2026-17")


def contents(out: Path) -> list[str]:
    with zipfile.ZipFile(out) as read:
        return [json.loads(line)["content"] for line in read.read("contents.jsonl").splitlines()]


def opened(data: DataFolder) -> list[Record]:
    record_all(data)
    return list(Record.objects.filter(kind="records.content.opened").order_by("index"))


def test_one_request_for_all_and_a_rerun_that_finishes(filled: DataFolder, tmp_path: Path) -> None:
    out = tmp_path / "pack.zip"
    for _ in range(3):
        refused_with(APPROVAL_NEEDED, lambda: attempt(out))
    request = Request.objects.get()
    assert request.records == list(
        Record.objects.filter(kind="gateway.answer.delivered").exclude(content_hash="").values_list("id", flat=True)
    )
    assert (request.deed, request.subject, len(request.records)) == ("open_records", "", 3)
    assert opened(filled) == []
    assert list(tmp_path.glob("*pack.zip*")) == []
    refused_with(REQUEST_OWN, lambda: approve(request.id, actor=OFFICER))
    approve(request.id, actor=SECOND)
    for actor in (STRANGER, SECOND):
        refused_with(APPROVAL_NEEDED, lambda actor=actor: attempt(out, actor))  # type: ignore[misc]  # a default keeps the loop's value
    refused_with(APPROVAL_NEEDED, lambda: attempt(out, selection=Selection(kind="gateway", last=1)))
    assert not out.exists()
    made = attempt(out)
    assert (made.opened, made.left_sealed, contents(out)) == (3, 0, ["first", "second", "third"])
    told = opened(filled)
    assert [each.metadata["record"] for each in told] == request.records
    assert {(each.actor, each.metadata["request"], each.metadata["approved_by"], each.metadata["pack_sha256"]) for each in told} == {
        (OFFICER, request.id, SECOND, made.sha256)
    }
    asked = Record.objects.filter(kind="records.request.made").order_by("index")[0]
    assert asked.metadata["records"] == 3
    refused_with(APPROVAL_NEEDED, lambda: attempt(tmp_path / "again.zip"))  # the approval was for one pack


def test_what_comes_after_the_request_stays_sealed(filled: DataFolder, tmp_path: Path) -> None:
    out = tmp_path / "pack.zip"
    refused_with(APPROVAL_NEEDED, lambda: attempt(out))
    write(filled, b"later")
    approve(Request.objects.get().id, actor=SECOND)
    made = attempt(out)
    assert (made.records, made.opened, made.left_sealed, contents(out)) == (5, 3, 1, ["first", "second", "third"])


def test_a_pack_that_fails_leaves_no_opening_and_uses_no_approval(
    filled: DataFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "pack.zip"
    refused_with(APPROVAL_NEEDED, lambda: attempt(out))
    request = Request.objects.get()
    approve(request.id, actor=SECOND)
    real = list_contents

    def spoilt(opening: Opening) -> object:
        for number, each in enumerate(real(opening)):
            if number == 1:
                raise GuijuError(CONTENT_UNREADABLE, what="x", reason="y")
            yield each

    monkeypatch.setattr(pack, "list_contents", spoilt)
    refused_with(CONTENT_UNREADABLE, lambda: attempt(out))
    monkeypatch.undo()
    assert opened(filled) == []
    assert Request.objects.get().state == State.APPROVED
    assert list(tmp_path.glob("*pack.zip*")) == []

    def seen(source: object, target: object) -> None:
        assert OutboxEntry.objects.count() == 4  # three openings and the pack, before the file has its name
        os.rename(source, target)  # type: ignore[arg-type]  # what write_pack gives

    monkeypatch.setattr(os, "replace", seen)
    assert attempt(out).opened == 3


def test_what_is_erased_meanwhile_and_an_approval_used_meanwhile(
    filled: DataFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "pack.zip"
    refused_with(APPROVAL_NEEDED, lambda: attempt(out))
    approve(Request.objects.get().id, actor=SECOND)
    real = check_pack
    meanwhile: list[Callable[[], object]] = [
        lambda: SubjectKey.objects.filter(subject="u-2").update(wrapped=None),
        lambda: Request.objects.update(state=State.DONE),
    ]
    monkeypatch.setattr(pack, "check_pack", lambda *words, **named: (meanwhile.pop(0)(), real(*words, **named))[1])
    refused_with(ERASED_MEANWHILE, lambda: attempt(out))
    refused_with(APPROVAL_GONE, lambda: attempt(out))
    assert opened(filled) == []
    assert not out.exists()


def test_an_open_subject_needs_no_further_request(filled: DataFolder, tmp_path: Path) -> None:
    refused_with(APPROVAL_NEEDED, lambda: open_subject("u-1", actor=OFFICER, reason="request of the person"))
    approve(Request.objects.get().id, actor=SECOND)
    open_subject("u-1", actor=OFFICER, reason="request of the person")
    out = tmp_path / "pack.zip"
    assert attempt(out, selection=Selection(kind="gateway", subject="u-1")).opened == 2
    refused_with(APPROVAL_NEEDED, lambda: attempt(tmp_path / "other.zip"))
    (record,) = Record.objects.filter(subject="u-2")
    assert Request.objects.get(deed="open_records").records == [record.id]


def test_one_person_opens_at_once(filled: DataFolder, tmp_path: Path, settings: Settings) -> None:
    settings.SITE = msgspec.structs.replace(settings.SITE, records=Records(opening_people=1))
    assert attempt(tmp_path / "pack.zip").opened == 3
    assert [each.metadata["reason"] for each in opened(filled)] == ["order 2026-17"] * 3
    assert Request.objects.count() == 0
