"""Erasure: unreadable at once and for good, certified, held up by a hold, killed anywhere; every proof goes on holding.

Guarded lines: `update(wrapped=None…)` in `_destroy`; `refuse_if_held` inside the transaction; `entry.at_us > erased_us` in
ingest; `PRAGMA secure_delete=ON` and the emptying of the log in forget.
"""

import json
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pytest_django.fixtures import Settings

from guiju.core.clock import now_us
from guiju.core.errors import GuijuError
from guiju.core.ids import new_id
from guiju.core.keys import load_site_key, load_site_public_key
from guiju.core.layout import DataFolder
from guiju.core.master_keys import load_master_keys
from guiju.core.settings import Records
from guiju.records import flow, lease
from guiju.records.access.opening import SUBJECT_UNKNOWN, find_opening, list_opened, open_subject
from guiju.records.access.requests import APPROVAL_NEEDED, approve, list_waiting
from guiju.records.access.whereabouts import CONTENT_ERASED, Whereabouts, find_whereabouts
from guiju.records.entry import Entry
from guiju.records.keeping.hold import SUBJECT_HELD, Selection, lift_hold, set_hold
from guiju.records.log.proof import check_proof
from guiju.records.models import Erasure, Hold, Record, RecordContent, Request, SubjectKey
from guiju.records.recorder.ingest import write_entries
from guiju.records.recorder.recording import Recorder
from guiju.records.subjects import erasure
from guiju.records.subjects.certificate import Certificate, Extent, check_certificate, sign_certificate
from guiju.records.subjects.erasure import erase_subject, finish_erasures
from guiju.records.tests.conftest import ORIGIN
from guiju.records.tests.site import entry, make_postgresql_site, make_site
from guiju.records.verify import verify_ledger

pytestmark = pytest.mark.django_db
OFFICER, SECOND = "person:officer", "person:second"
REASON = "request 9 of the person"


class Killed(BaseException):
    """Stands for SIGKILL: nothing may catch it and go on."""


@pytest.fixture(autouse=True)
def alone(settings: Settings) -> None:
    settings.SITE = msgspec.structs.replace(settings.SITE, records=Records(erasure_people=1))


@pytest.fixture
def filled(data: DataFolder, monkeypatch: pytest.MonkeyPatch) -> DataFolder:
    monkeypatch.setattr(erasure, "BATCH_RECORDS", 3)
    entries = [entry(subject=subject, content=b"secret of " + subject.encode()) for _ in range(5) for subject in ("u-1", "u-2")]
    write_entries([*entries, entry(subject="u-1")], load_master_keys(data.keys))
    Recorder(data, ORIGIN).start()
    return data


def erase(subject: str = "u-1") -> Erasure:
    return erase_subject(subject, actor=OFFICER, reason=REASON)


def record_all(data: DataFolder) -> None:
    recorder = Recorder(data, ORIGIN)
    while recorder.step():
        pass


def assert_ledger_holds(data: DataFolder) -> None:
    record_all(data)
    report = verify_ledger(data, ORIGIN, load_site_public_key(data.keys))
    assert [step for step in report.steps if step.outcome != "holds"] == []
    for record in Record.objects.order_by("index"):
        assert check_proof(flow.prove(record.id), load_site_public_key(data.keys)).ok


def test_erased_is_unreadable_and_every_proof_holds(filled: DataFolder) -> None:
    before = {record.id: bytes(record.body) for record in Record.objects.all()}
    erase()
    assert SubjectKey.objects.get(subject="u-1").wrapped is None
    assert {each.state for each in list_opened("u-1")} == {"gone", "none"}
    assert [each.content for each in list_opened("u-2")] == [b"secret of u-2"] * 5
    with pytest.raises(GuijuError) as told:
        flow.open_content(Record.objects.filter(subject="u-1")[0].id, actor=OFFICER, reason="look")
    assert told.value.code is CONTENT_ERASED
    erasure = Erasure.objects.get()
    assert all(erasure.id in told.value.text(language) for language in ("zh", "en"))
    first = Record.objects.filter(subject="u-1").exclude(content_hash="")[0]
    assert find_whereabouts(first) == Whereabouts("erased", erasure.at, erasure.id)
    Erasure.objects.all().delete()
    assert find_whereabouts(first) == Whereabouts("missing")
    assert RecordContent.objects.filter(record__subject="u-1").count() == 0
    assert_ledger_holds(filled)
    assert {record.id: bytes(record.body) for record in Record.objects.filter(id__in=before)} == before


def test_the_certificate_says_what_when_who_and_why(filled: DataFolder) -> None:
    made = erase()
    said = json.loads(made.certificate)
    key = SubjectKey.objects.get(subject="u-1")
    assert said["subject"] == "u-1"
    assert (said["asked_by"], said["approved_by"], said["reason"], said["origin"]) == (OFFICER, "", REASON, ORIGIN)
    assert said["records"] == {"count": 6, "first_index": 0, "last_index": 10, "size_bytes": 0}
    assert said["contents"] == {"count": 5, "first_index": 0, "last_index": 8, "size_bytes": 5 * (len(b"secret of u-1") + 28)}
    assert [each["id"] for each in said["keys"]] == [key.pk]
    assert datetime.fromisoformat(said["at"]) == made.at == key.destroyed_at
    assert all(each["zh"] and each["en"] for each in said["remains"])
    report = check_certificate(said, load_site_public_key(filled.keys))
    assert [step.outcome for step in report.steps] == ["holds"] * 3
    assert [step.outcome for step in check_certificate(said).steps] == ["holds", "holds", "open"]
    record_all(filled)
    from hashlib import sha256

    told = Record.objects.get(kind="records.subject.erased")
    assert told.metadata["certificate_sha256"] == sha256(made.certificate.encode()).hexdigest()
    assert (told.actor, told.subject, told.metadata["contents"], told.metadata["last_index"]) == (OFFICER, "u-1", 5, 8)


def test_no_byte_of_a_certificate_can_be_changed(filled: DataFolder) -> None:
    trusted = load_site_public_key(filled.keys)
    raw = erase().certificate.encode()
    for place in range(len(raw)):
        for bit in (1, 16):
            changed = bytearray(raw)
            changed[place] ^= bit
            try:
                document = json.loads(bytes(changed))
            except ValueError:
                continue
            assert not check_certificate(document, trusted).ok, (place, bit)


def test_a_certificate_signed_by_another_or_with_something_added_does_not_hold(filled: DataFolder) -> None:
    trusted = load_site_public_key(filled.keys)
    said = json.loads(erase().certificate)
    certificate = msgspec.convert(said, Certificate)
    forged = json.loads(sign_certificate(certificate, Ed25519PrivateKey.generate()))
    assert [step.outcome for step in check_certificate(forged, trusted).steps] == ["holds", "holds", "fails"]
    assert not check_certificate(said | {"more": "keys"}, trusted).ok
    assert not check_certificate({name: value for name, value in said.items() if name != "remains"}, trusted).ok
    renamed = json.loads(sign_certificate(msgspec.structs.replace(certificate, certificate="other"), load_site_key(filled.keys)))
    assert not check_certificate(renamed, trusted).ok
    nonsenses: list[object] = [None, [], {"certificate": 1}, {"certificate": "guiju-erasure-1"}]
    for nonsense in nonsenses:
        assert not check_certificate(nonsense, trusted).ok


def test_what_was_on_its_way_is_not_kept_and_what_comes_later_is(filled: DataFolder) -> None:
    late = Entry(new_id(), now_us(), "gateway.answer.delivered", "chat", "key-1", "u-1", (), {}, b"secret on its way")
    erase()
    write_entries([late, entry(subject="u-1", content=b"a new beginning")], load_master_keys(filled.keys))
    on_its_way, new = Record.objects.order_by("-index")[:2][::-1]
    assert on_its_way.content_hash  # the record says that there was content
    assert not RecordContent.objects.filter(record=on_its_way).exists()
    assert flow.open_content(new.id, actor=OFFICER, reason="look") == b"a new beginning"
    assert SubjectKey.objects.filter(subject="u-1").count() == 2
    assert_ledger_holds(filled)
    erase()
    assert [each.state for each in list_opened("u-1") if each.state == "opened"] == []


def test_late_content_alone_makes_no_key(filled: DataFolder) -> None:
    late = entry(subject="u-1", content=b"secret on its way")
    erase()
    write_entries([late], load_master_keys(filled.keys))
    assert SubjectKey.objects.filter(subject="u-1", destroyed_at=None).count() == 0


def test_a_subject_with_nothing_sealed_yet_can_be_erased_too(data: DataFolder) -> None:
    write_entries([entry(subject="u-3")], load_master_keys(data.keys))
    late = entry(subject="u-3", content=b"secret on its way")
    said = json.loads(erase("u-3").certificate)
    assert (said["keys"], said["contents"]["count"], said["contents"]["first_index"]) == ([], 0, -1)
    write_entries([late], load_master_keys(data.keys))
    assert RecordContent.objects.count() == 0


@pytest.mark.parametrize("subject", ["", "site", "u-404"])
def test_nobody_erases_what_is_not_there_or_the_site_itself(filled: DataFolder, subject: str) -> None:
    write_entries([entry(subject="", content=b"x")], load_master_keys(filled.keys))
    with pytest.raises(GuijuError) as told:
        erase(subject)
    assert told.value.code is SUBJECT_UNKNOWN
    assert SubjectKey.objects.filter(wrapped=None).count() == 0


def test_a_hold_blocks_until_it_is_lifted(filled: DataFolder) -> None:
    hold = set_hold(Selection(kind="gateway.answer.delivered"), actor="person:judge", reason="case", reference="(2026) 1")
    with pytest.raises(GuijuError) as told:
        erase()
    assert told.value.code is SUBJECT_HELD
    assert SubjectKey.objects.filter(wrapped=None).count() == Erasure.objects.count() == 0
    lift_hold(hold.id, actor="person:judge", reason="closed")
    erase()


def test_a_hold_set_in_the_last_moment_counts(filled: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    real = lease.keep_recorder_out

    def hold_first() -> None:
        if not Hold.objects.exists():
            set_hold(Selection(subject="u-1"), actor="person:judge", reason="case", reference="(2026) 1")
        real()

    monkeypatch.setattr(erasure, "keep_recorder_out", hold_first)
    with pytest.raises(GuijuError) as told:
        erase()
    assert told.value.code is SUBJECT_HELD
    assert {each.state for each in list_opened("u-1")} == {"opened", "none"}


def test_four_eyes(filled: DataFolder, settings: Settings) -> None:
    settings.SITE = msgspec.structs.replace(settings.SITE, records=Records())
    assert Records().erasure_people == 2  # the default
    for _ in range(2):
        with pytest.raises(GuijuError) as told:
            erase()
        assert told.value.code is APPROVAL_NEEDED
    request = list_waiting().get()
    with pytest.raises(GuijuError):
        approve(request.id, actor=OFFICER)
    assert Erasure.objects.count() == 0
    approve(request.id, actor=SECOND)
    with pytest.raises(GuijuError):  # the approval is the officer's, not the approver's
        erase_subject("u-1", actor=SECOND, reason=REASON)
    said = json.loads(erase().certificate)
    assert (said["asked_by"], said["approved_by"], said["request"]) == (OFFICER, SECOND, request.id)
    assert Request.objects.get(pk=request.pk).state == Request.State.DONE


def test_an_approval_does_not_lift_a_hold(filled: DataFolder, settings: Settings) -> None:
    settings.SITE = msgspec.structs.replace(settings.SITE, records=Records())
    with pytest.raises(GuijuError):
        erase()
    approve(list_waiting().get().id, actor=SECOND)
    set_hold(Selection(subject="u-1"), actor="person:judge", reason="case", reference="(2026) 1")
    with pytest.raises(GuijuError) as told:
        erase()
    assert told.value.code is SUBJECT_HELD
    assert Request.objects.get().state == Request.State.APPROVED  # not used up


def test_whoever_has_it_open_sees_no_more(filled: DataFolder) -> None:
    open_subject("u-1", actor=SECOND, reason="look")
    reading = list_opened("u-1")
    assert next(reading).content == b"secret of u-1"
    erase()
    assert find_opening("u-1", SECOND) is None


@pytest.mark.parametrize("name", ["_destroy", "append", "_finish", "forget_old_bytes"])
def test_killed_anywhere_it_is_either_whole_or_nothing(filled: DataFolder, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def kill(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(erasure, name, kill)
        with pytest.raises(Killed):
            erase()
    committed = name in ("_finish", "forget_old_bytes")
    assert Erasure.objects.count() == (1 if committed else 0)
    assert {each.state for each in list_opened("u-1")} == ({"gone", "none"} if committed else {"opened", "none"})
    assert_ledger_holds(filled)
    if committed:
        assert RecordContent.objects.filter(record__subject="u-1").count() == 5
        assert finish_erasures() == 1
        assert RecordContent.objects.filter(record__subject="u-1").count() == 0
        assert finish_erasures() == 0
        assert_ledger_holds(filled)


_ERASE = """
import json
import msgspec
from django.db import transaction
from guiju.core.settings import Records
settings.SITE = msgspec.structs.replace(settings.SITE, records=Records(erasure_people=1))
from django.conf import settings as live
live.SITE = settings.SITE
from guiju.core.master_keys import load_master_keys
from guiju.records.subjects.erasure import erase_subject
from guiju.records.recorder.ingest import write_entries
from guiju.records.models import SubjectKey
from guiju.records.tests.site import entry
with transaction.atomic():
    write_entries([entry(subject=f"u-{n % 50}", content=bytes(300)) for n in range(500)], load_master_keys(settings.DATA_FOLDER.keys))
wrapped = {key.subject: bytes(key.wrapped) for key in SubjectKey.objects.all()}
erasure = erase_subject("u-7", actor="a", reason="asked for")
assert erasure.finished_at
assert SubjectKey.objects.get(subject="u-7").wrapped is None
# Looked at while this connection is open: the end of the last one would empty the write-ahead log by itself.
files = b"".join(path.read_bytes() for path in settings.DATA_FOLDER.root.glob("guiju.sqlite3*"))
print(json.dumps([wrapped["u-8"] in files, wrapped["u-7"] in files, wrapped["u-7"][:16] in files]))
"""


def test_no_byte_of_the_key_stays_in_the_files_of_sqlite(tmp_path: Path) -> None:
    site = make_site(tmp_path / "data")
    assert json.loads(site.run(_ERASE)) == [True, False, False]  # the other subject's key is where it was


def test_on_postgresql_too(tmp_path: Path, postgresql_url: str) -> None:
    site = make_postgresql_site(tmp_path / "data", postgresql_url, "erasure")
    site.run(_ERASE)
    site.run(
        "from guiju.records.recorder.recording import Recorder; r = Recorder(settings.DATA_FOLDER, 'guiju.local/ledger'); r.start()\nwhile r.step(): pass"
    )
    assert [step for step in site.look()["steps"] if step[0] != "holds"] == []


def test_extent_of_nothing() -> None:
    assert erasure._extent({"count": 0, "first": None, "last": None}) == Extent(count=0, first_index=-1, last_index=-1)
    assert erasure._utc(datetime(2026, 11, 24, 1, 2, 3, 456789, tzinfo=UTC)) == "2026-11-24T01:02:03.456789Z"
