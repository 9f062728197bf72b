"""Verification finds every change: of a record, its content, a key, a tile, the checkpoint; and says nothing of a whole site.

Guarded lines: each `found.add` in verify.py; `canonical_json(record) == body` and the comparison with `stated` in proof.py.
"""

import asyncio
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import connection
from typer.testing import CliRunner

from guiju.core.errors import GuijuError
from guiju.core.keys import create_keys, load_recorder_public_key, load_site_key, load_site_public_key
from guiju.core.layout import DataFolder
from guiju.core.master_keys import load_master_keys
from guiju.records import flow, lease
from guiju.records.cli import app
from guiju.records.entry import encode_entry
from guiju.records.keys.sealing import new_subject_key, wrap
from guiju.records.log.merkle import PROOF_INVALID
from guiju.records.log.note import Checkpoint, parse_checkpoint, sign_checkpoint, verify_checkpoint
from guiju.records.log.proof import check_proof
from guiju.records.log.report import Report
from guiju.records.log.tiles import read_checkpoint, remove_tiles, write_checkpoint
from guiju.records.models import OutboxEntry, Record, SubjectKey
from guiju.records.recorder.ledger import LEDGER_DIVERGED, Ledger
from guiju.records.recorder.recording import Recorder
from guiju.records.spool.writer import SpoolWriter
from guiju.records.tests.conftest import ORIGIN
from guiju.records.tests.site import entry
from guiju.records.verify import verify_ledger

pytestmark = pytest.mark.django_db
COUNT = 600


@pytest.fixture
def full(data: DataFolder) -> DataFolder:
    """A site with 600 records: two full tiles, a partial one, and the level above."""
    append(data, COUNT)
    return data


@pytest.fixture
def writable() -> None:
    disarm()


def disarm() -> None:
    """Take the guard from the database, as whoever has the file can; the test's transaction is rolled back."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        for (trigger,) in cursor.fetchall():
            cursor.execute(f"DROP TRIGGER {trigger}")


def append(data: DataFolder, count: int) -> None:
    async def write() -> None:
        writer = SpoolWriter(data.spool, load_recorder_public_key(data.keys).public_bytes_raw(), worker="w")
        entries = [entry(number=number, content=b"content" if number % 5 == 0 else b"") for number in range(count)]
        await asyncio.gather(*[writer.append(encode_entry(each)) for each in entries])
        await writer.close()

    asyncio.run(write())
    recorder = Recorder(data, ORIGIN)
    while recorder.step():
        pass
    lease.release(recorder._holder)


def verify(data: DataFolder) -> Report:
    return verify_ledger(data, ORIGIN, load_site_public_key(data.keys))


def failing(data: DataFolder) -> list[int]:
    return [step.number for step in verify(data).steps if step.outcome == "fails"]


def test_a_whole_ledger_holds(full: DataFolder) -> None:
    told: list[tuple[int, int]] = []
    report = verify_ledger(full, ORIGIN, load_site_public_key(full.keys), lambda done, whole: told.append((done, whole)))
    assert report.ok
    assert [step.outcome for step in report.steps] == ["holds"] * 5
    assert told[-1][0] == told[-1][1] > 0
    assert told == sorted(told)


def test_an_empty_ledger_is_not_a_failure(data: DataFolder) -> None:
    assert verify(data).ok


def test_any_flipped_bit_of_the_ledger_is_found(full: DataFolder) -> None:
    random = Random(1)
    names = sorted(path for path in full.ledger.rglob("*") if path.is_file() and path.name != ".lock")
    assert len(names) == 8
    for path in names:
        raw = path.read_bytes()
        for at in [0, len(raw) - 1, *random.sample(range(len(raw)), 4)]:
            path.write_bytes(raw[:at] + bytes([raw[at] ^ 1 << random.randrange(8)]) + raw[at + 1 :])
            assert failing(full), (path, at)
        path.write_bytes(raw)
    assert verify(full).ok


@pytest.mark.usefixtures("writable")
@pytest.mark.parametrize("column", ["id", "at", "kind", "service", "actor", "subject", "content_hash", "body", "leaf"])
def test_any_changed_column_of_a_record_is_found(full: DataFolder, column: str) -> None:
    value: Any = Record.objects.filter(index=555).values_list(column, flat=True).get()
    changed = (
        bytes(value)[:-1] + b"\x00" if isinstance(value, (bytes, memoryview)) else "2026-01-01 00:00:00" if column == "at" else f"{value}x"
    )
    _execute(f'UPDATE records_record SET "{column}" = %s WHERE "index" = 555', changed)
    assert 3 in failing(full)


@pytest.mark.usefixtures("writable")
@pytest.mark.parametrize("at", range(0, 400, 13))
def test_any_flipped_bit_of_a_body_is_found(full: DataFolder, at: int) -> None:
    body = bytearray(Record.objects.filter(index=3).values_list("body", flat=True).get())
    body[at % len(body)] ^= 1 << at % 8
    _execute('UPDATE records_record SET body = %s WHERE "index" = 3', bytes(body))
    assert failing(full) == [3]


@pytest.mark.usefixtures("writable")
def test_removed_exchanged_and_rewritten_records_are_found(full: DataFolder) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SAVEPOINT whole")
        for statements in (
            ['DELETE FROM records_record WHERE "index" = 599'],
            ['DELETE FROM records_record WHERE "index" IN (1, 2)'],
            ['UPDATE records_record SET "index" = 1000 WHERE "index" = 1', 'UPDATE records_record SET "index" = 1 WHERE "index" = 2'],
            ['UPDATE records_record SET "index" = -1 WHERE "index" = 1'],
        ):
            for statement in statements:
                cursor.execute(statement)
            assert 3 in failing(full), statements
            cursor.execute("ROLLBACK TO whole")
    # A record rewritten whole, leaf and all, is not the one in the ledger.
    body = Record.objects.get(index=7).body
    other = bytes(body).replace(b'"number":7', b'"number":8')
    _execute('UPDATE records_record SET body = %s, leaf = %s WHERE "index" = 7', other, sha256(other).digest())
    assert failing(full) == [3]


@pytest.mark.usefixtures("writable")
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE records_recordcontent SET sealed = X'00' WHERE record_id = (SELECT id FROM records_record WHERE \"index\" = 5)",
        "UPDATE records_subjectkey SET wrapped = X'00'",
        "UPDATE records_subjectkey SET subject = 'u-2'",
    ],
)
def test_changed_content_and_keys_are_found(full: DataFolder, statement: str) -> None:
    _execute(statement)
    assert failing(full) == [4]


@pytest.mark.usefixtures("writable")
def test_content_on_another_subjects_key_is_found(full: DataFolder) -> None:
    masters = load_master_keys(full.keys)
    wrapped = wrap(new_subject_key(), masters.get(masters.current), "u-2")
    other = SubjectKey.objects.create(subject="u-2", master=masters.current, wrapped=wrapped)
    _execute('UPDATE records_recordcontent SET key_id = %s WHERE record_id = (SELECT id FROM records_record WHERE "index" = 5)', other.pk)
    assert failing(full) == [4]


def test_a_record_in_another_form_is_found_although_it_is_in_the_ledger(full: DataFolder) -> None:
    body = bytes(Record.objects.get(index=1).body).replace(b",", b", ")
    row = (600, "X" * 26, "2026-01-01", "", "", "", "", "", body, sha256(body).digest())
    columns = '"index", id, at, kind, service, actor, subject, content_hash, body, leaf'
    _execute(f"INSERT INTO records_record ({columns}) VALUES ({', '.join(['%s'] * 10)})", *row)
    Ledger(full.ledger, ORIGIN, full.keys).catch_up()
    step = verify(full).steps[2]
    assert (step.outcome, step.detail) == ("fails", f"record 600 ({'X' * 26}): its body is not canonical")
    with pytest.raises(GuijuError) as told:
        flow.prove("X" * 26)
    assert told.value.code is PROOF_INVALID


def test_a_signed_root_that_is_not_the_tiles_is_found(full: DataFolder) -> None:
    write_checkpoint(full.ledger, sign_checkpoint(Checkpoint(ORIGIN, 600, bytes(32)), load_site_key(full.keys)))
    assert failing(full) == [2]


def test_erased_content_is_counted_not_missed(full: DataFolder) -> None:
    SubjectKey.objects.update(wrapped=None, destroyed_at=datetime.now(UTC))
    _execute('DELETE FROM records_recordcontent WHERE record_id = (SELECT id FROM records_record WHERE "index" = 5)')
    report = verify(full)
    assert report.ok
    assert "1 were erased" in report.steps[3].en


@pytest.mark.usefixtures("writable")
def test_content_that_nothing_explains_is_missed(full: DataFolder) -> None:
    _execute('DELETE FROM records_recordcontent WHERE record_id = (SELECT id FROM records_record WHERE "index" = 5)')
    assert failing(full) == [4]
    _execute("INSERT INTO records_recordcontent (record_id, key_id, sealed) SELECT 'X', key_id, sealed FROM records_recordcontent LIMIT 1")
    assert "there is content of no record" in verify(full).steps[3].detail


def test_a_ledger_signed_by_somebody_else_is_found(full: DataFolder, tmp_path: Path) -> None:
    other = DataFolder(tmp_path / "other")
    create_keys(other.keys)
    Ledger(other.ledger, ORIGIN, other.keys).catch_up()
    shutil.copy(other.ledger / "checkpoint", full.ledger / "checkpoint")
    assert failing(full) == [1]


def test_growth_from_a_checkpoint_that_was_kept(full: DataFolder) -> None:
    """Guarded by `check_grown`: its comparison of sizes and its `check_consistency`."""
    kept = read_checkpoint(full.ledger)
    assert kept is not None

    def sixth(earlier: bytes) -> str:
        return verify_ledger(full, ORIGIN, load_site_public_key(full.keys), earlier=earlier).steps[5].outcome

    assert sixth(kept) == "holds"
    append(full, 100)
    assert sixth(kept) == "holds"
    key = load_site_key(full.keys)
    for size, root in (
        (COUNT, bytes(32)),
        (COUNT - 1, parse_checkpoint(kept.decode().partition("\n\n")[0] + "\n").root),
        (10_000, bytes(32)),
    ):
        assert sixth(sign_checkpoint(Checkpoint(ORIGIN, size, root), key)) == "fails"
    assert sixth(kept[:-1]) == "fails"
    assert sixth(sign_checkpoint(Checkpoint(ORIGIN, 0, sha256().digest()), key)) == "holds"


def test_what_is_lost_and_what_waits_is_told(full: DataFolder) -> None:
    OutboxEntry.objects.create(sealed=b"x")
    assert verify(full).steps[4].outcome == "open"
    (full.spool / "damaged").mkdir()
    (full.spool / "damaged" / "segment.seg").touch()
    assert failing(full) == [5]


def test_the_checkpoint_gone_is_found(full: DataFolder) -> None:
    (full.ledger / "checkpoint").unlink()
    assert failing(full)[0] == 1


# ── the ledger follows the database ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("left", ["no_tiles", "no_checkpoint", "old_checkpoint", "broken_tile"])
def test_what_a_kill_leaves_behind_is_caught_up(full: DataFolder, tmp_path: Path, left: str) -> None:
    if left == "old_checkpoint":  # the records are committed, nothing else is
        kept = tmp_path / "ledger"
        shutil.copytree(full.ledger, kept)
        append(full, 300)
        shutil.rmtree(full.ledger)
        kept.rename(full.ledger)
    elif left == "no_tiles":
        remove_tiles(full.ledger)
    elif left == "no_checkpoint":
        (full.ledger / "checkpoint").unlink()
    else:
        (full.ledger / "tile/1/000.p/2").write_bytes(bytes(64))
    Ledger(full.ledger, ORIGIN, full.keys).catch_up()
    assert verify(full).ok
    note = read_checkpoint(full.ledger)
    assert note is not None
    assert verify_checkpoint(note, ORIGIN, load_site_public_key(full.keys)).size == Record.objects.count()


@pytest.mark.usefixtures("writable")
@pytest.mark.parametrize(
    ("statement", "tiles"),
    [
        ('DELETE FROM records_record WHERE "index" > 500', "gone"),
        ("UPDATE records_head SET next_index = 501", "there"),  # as after an old backup was put back
        ('UPDATE records_record SET leaf = zeroblob(32) WHERE "index" = 3', "gone"),
    ],
)
def test_what_was_signed_is_not_signed_differently(full: DataFolder, statement: str, tiles: str) -> None:
    before = read_checkpoint(full.ledger)
    _execute("DELETE FROM records_recordcontent")
    _execute(statement)
    if tiles == "there":
        _execute('DELETE FROM records_record WHERE "index" > 500')
    else:
        remove_tiles(full.ledger)
    with pytest.raises(GuijuError) as told:
        Ledger(full.ledger, ORIGIN, full.keys).catch_up()
    assert told.value.code is LEDGER_DIVERGED
    append(full, 10)  # records go on being written
    assert read_checkpoint(full.ledger) == before
    assert failing(full)


# ── proofs ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_proof_holds_without_the_site(full: DataFolder) -> None:
    record = Record.objects.get(index=300)
    document = msgspec.json.decode(msgspec.json.encode(flow.prove(record.id)))
    report = check_proof(document, load_site_public_key(full.keys))
    assert [step.outcome for step in report.steps] == ["holds"] * 5
    assert check_proof(document).steps[4].outcome == "open"
    assert not check_proof(document, Ed25519PrivateKey.generate().public_key()).ok


def _changed(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "body", document | {"body": document["body"].replace("key-1", "key-2")}
    yield "body not canonical", document | {"body": document["body"].replace(",", ", ", 1)}
    yield "body no json", document | {"body": "x"}
    yield "index", document | {"index": document["index"] + 1}
    yield "size", document | {"size": document["size"] + 1}
    yield "path", document | {"path": document["path"][:-1]}
    yield "path not hashes", document | {"path": ["AAAA"]}
    yield "path swapped", document | {"path": [document["path"][1], document["path"][0], *document["path"][2:]]}
    yield "checkpoint", document | {"checkpoint": document["checkpoint"].replace("\n600\n", "\n599\n")}
    yield "checkpoint text", document | {"checkpoint": "nothing"}
    yield "signature", document | {"checkpoint": document["checkpoint"][:-10] + "AAAA" + document["checkpoint"][-6:]}
    forged = sign_checkpoint(parse_checkpoint(document["checkpoint"].partition("\n\n")[0] + "\n"), Ed25519PrivateKey.generate())
    yield "signed by another", document | {"checkpoint": forged.decode()}
    yield "other log", document | {"checkpoint": document["checkpoint"].replace("guiju.local", "guiju.other")}
    yield "public key", document | {"public_key": "x"}
    yield "form", document | {"proof": "other"}
    for name in document:
        yield f"no {name}", {key: value for key, value in document.items() if key != name}


def test_a_changed_proof_does_not_hold(full: DataFolder) -> None:
    document = flow.prove(Record.objects.get(index=300).id)
    assert check_proof(document).ok
    for what, changed in _changed(document):
        assert changed != document
        assert not check_proof(changed, load_site_public_key(full.keys)).ok, what
    nonsenses: tuple[object, ...] = (None, [], "x", 1, {"proof": []})
    for nonsense in nonsenses:
        assert not check_proof(nonsense).ok


def test_a_record_before_its_checkpoint_waits(full: DataFolder) -> None:
    record = Record.objects.get(index=599)
    (full.ledger / "checkpoint").unlink()
    with pytest.raises(GuijuError) as told:
        flow.prove(record.id)
    assert told.value.code is flow.RECORD_WAITING
    with pytest.raises(GuijuError) as told:
        flow.prove("X")
    assert told.value.code is flow.RECORD_UNKNOWN


# ── the command line ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _run(data: DataFolder, *words: str) -> str:
    result = CliRunner().invoke(app, [*words, "--data", str(data.root)])
    assert result.exit_code == 0, result.output
    return result.output


def test_commands_list_show_and_prove(full: DataFolder, tmp_path: Path) -> None:
    rows = msgspec.json.decode(_run(full, "list", "--json", "--limit", "3"))
    assert [row["index"] for row in rows] == [599, 598, 597]
    assert msgspec.json.decode(_run(full, "list", "--json", "--kind", "gateway.input")) == []
    assert len(msgspec.json.decode(_run(full, "list", "--json", "--kind", "gateway.answer", "--subject", "u-1"))) == 20
    identity = Record.objects.get(index=595).id
    assert identity in _run(full, "list", "--limit", "10")
    assert msgspec.json.decode(_run(full, "show", identity, "--json"))["metadata"] == {"number": 595}
    shown = msgspec.json.decode(_run(full, "show", identity, "--open", "--reason", "look", "--json"))
    assert shown["content"] == "content"
    assert OutboxEntry.objects.count() == 1
    out = tmp_path / "proof.json"
    assert identity in _run(full, "prove", identity, "--out", str(out))
    assert check_proof(msgspec.json.decode(out.read_bytes()), load_site_public_key(full.keys)).ok


def test_opening_without_a_reason_opens_nothing(full: DataFolder) -> None:
    result = CliRunner().invoke(app, ["show", Record.objects.get(index=0).id, "--open", "--data", str(full.root)])
    assert result.exit_code == 2
    assert OutboxEntry.objects.count() == 0


def _execute(statement: str, *values: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
