"""Retention: only what is past its days goes, only after it was ordered on record, and every missing record is explained or found.

Guarded: the delete triggers of migration 0004; `held_records` in `_remove`; the wait for the checkpoint in `_numbers_on_record`;
`_explain_missing` and `_count_gone` in verify.py. Without one of them a test here is red.
"""

import asyncio
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from django.db import DatabaseError, connection, transaction
from hypothesis import given
from hypothesis import strategies as st

from guiju.core.errors import GuijuError
from guiju.core.keys import load_recorder_public_key, load_site_public_key
from guiju.core.layout import DataFolder
from guiju.core.settings import Retention
from guiju.core.settings_check import parse_settings
from guiju.records import flow, lease
from guiju.records.access.whereabouts import find_whereabouts
from guiju.records.entry import Entry, encode_entry
from guiju.records.keeping import sweep
from guiju.records.keeping.hold import Selection, lift_hold, set_hold
from guiju.records.keeping.removal import BLOCK, KIND, bits_of, pack_bits, removed_numbers, unpack_bits, unpack_numbers
from guiju.records.kinds import KINDS
from guiju.records.log.proof import check_proof
from guiju.records.log.report import Report
from guiju.records.log.tiles import remove_tiles
from guiju.records.models import DayMark, Record, RecordContent, Removal, RetentionRule
from guiju.records.recorder.ledger import Ledger
from guiju.records.recorder.recording import Recorder
from guiju.records.spool.writer import SpoolWriter
from guiju.records.tests.conftest import ORIGIN
from guiju.records.tests.site import entry
from guiju.records.values import CLASSES, class_of
from guiju.records.verify import verify_ledger

KEPT = Retention(rows_per_s=1_000_000)
TODAY = datetime.now(UTC).date()
LOG, CASE, RIGHTS, EVER = "gateway.answer.delivered", "gateway.answer.stopped", "records.content.opened", "records.key.changed"


@pytest.fixture
def recorder(data: DataFolder) -> Recorder:
    return Recorder(data, ORIGIN)


def record(data: DataFolder, recorder: Recorder, *entries: Entry) -> None:
    async def write() -> None:
        writer = SpoolWriter(data.spool, load_recorder_public_key(data.keys).public_bytes_raw(), worker="w")
        await asyncio.gather(*[writer.append(encode_entry(each)) for each in entries])
        await writer.close()

    asyncio.run(write())
    drain(recorder)


def drain(recorder: Recorder) -> None:
    recorder._outbox_looked_at = 0.0
    while recorder.step():
        pass
    lease.release(recorder._holder)


def mark(days_ago: int, number: int) -> None:
    """Let the database believe that it saw `number` records so many days ago, and one day's record each month since."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT sql FROM sqlite_master WHERE name IN ('records_daymark_insert', 'records_daymark_delete')")
        triggers = [sql for (sql,) in cursor.fetchall()]
        cursor.execute("DROP TRIGGER records_daymark_insert")
        cursor.execute("DROP TRIGGER records_daymark_delete")
        cursor.execute("DELETE FROM records_daymark WHERE day = date('now')")
        for ago in range(days_ago, -1, -25):
            DayMark.objects.get_or_create(day=TODAY - timedelta(days=ago), defaults={"next_index": number})
        for sql in triggers:
            cursor.execute(sql)


def swept(recorder: Recorder, kept: Retention = KEPT, today: date = TODAY) -> sweep.Swept:
    """Sweep until nothing waits any more, with the recorder at work in between."""
    total = sweep.Swept()
    for _ in range(8):
        done = sweep.sweep(kept, today=today, wait_s=0)
        total.contents += done.contents
        total.records += done.records
        total.orders += done.orders
        drain(recorder)
        if not done.orders and not done.waiting:
            return total
    raise AssertionError("a sweep does not come to its end")


def verify(data: DataFolder) -> Report:
    return verify_ledger(data, ORIGIN, load_site_public_key(data.keys))


def failing(data: DataFolder) -> list[int]:
    return [step.number for step in verify(data).steps if step.outcome == "fails"]


@pytest.fixture
def aged(data: DataFolder, recorder: Recorder) -> DataFolder:
    """300 records of four classes, written 201 days ago, each third with content; and 20 of today."""
    kinds = (LOG, LOG, CASE, RIGHTS, EVER)
    record(data, recorder, *[entry(kinds[at % 5], content=b"said" if at % 3 == 0 else b"") for at in range(300)])
    mark(201, 300)
    record(data, recorder, *[entry(content=b"said") for _ in range(20)])
    return data


# ── classes ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_kind_has_a_class_and_none_is_below_six_months() -> None:
    assert [kind for kind in KINDS if class_of(kind) is None] == []
    assert class_of("nobody.placed.this") is None
    assert [of.name for of in CLASSES if 0 < of.minimum_days < 184] == []
    defaults = Retention()
    assert [of.name for of in CLASSES if of.minimum_days and defaults.days_of(of.name) < of.minimum_days] == []
    assert [of.name for of in CLASSES if not of.minimum_days] == ["ledger"]
    assert defaults.days_of("ledger") == 0


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("log_days = 183", "retention.log_days is 183 (guiju.toml line 2); it must be 184–36500 days"),
        ("rights_days = 365", "retention.rights_days is 365 (guiju.toml line 2); it must be 1096–36500 days"),
        ("content_days = 201", "retention.content_days is 201 (guiju.toml line 2); it must be at most 200, which is retention.log_days"),
        ('sweeps = "never"', "retention.sweeps is 'never' (guiju.toml line 2); it must be on or off"),
    ],
)
def test_a_maximum_below_the_laws_minimum_is_refused_with_its_line(tmp_path: Path, line: str, told: str) -> None:
    with pytest.raises(GuijuError) as refused:
        parse_settings(f"[retention]\n{line}\n".encode(), tmp_path / "guiju.toml")
    assert told in refused.value.text("en")


@given(st.sets(st.integers(0, BLOCK - 1)), st.integers(0, 5))
def test_numbers_are_packed_and_read_back(places: set[int], block: int) -> None:
    first, until = block * BLOCK, (block + 1) * BLOCK
    numbers = sorted(first + place for place in places)
    assert unpack_numbers(pack_bits(bits_of(numbers, first, until)), first, until) == numbers


def test_a_removal_that_names_no_numbers_names_none() -> None:
    packed = pack_bits(bits_of([3], 0, 8))
    for first, until in ((0, 16), (0, 0), (8, 0), (-8, 0), (0, BLOCK + 1)):
        with pytest.raises(ValueError, match="removal"):
            unpack_bits(packed, first, until)
    with pytest.raises(ValueError, match=r".+"):
        unpack_bits("no base 64!", 0, 8)


# ── sweeps ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.django_db
def test_what_is_past_its_days_goes_and_everything_still_proves(aged: DataFolder, recorder: Recorder) -> None:
    before = {number: bytes(leaf) for number, leaf in Record.objects.values_list("index", "leaf")}
    done = swept(recorder)
    # 90 days for content of logs and others, 200 for that of cases; 200 days for logs.
    assert done.contents == 100
    assert done.records == 120
    left = dict(Record.objects.filter(index__lt=300).values_list("index", "kind"))
    assert set(left.values()) == {CASE, RIGHTS, EVER}
    assert RecordContent.objects.count() == 20  # of today
    report = verify(aged)
    assert [step.outcome for step in report.steps] == ["holds"] * 5
    orders = list(Record.objects.filter(kind=KIND).order_by("index"))
    # Nobody waited for the ledger in between: records that have no content are ordered at once, the others when theirs is gone.
    assert [order.metadata["what"] for order in orders] == ["content", "record", "record"]
    assert [order.metadata["classes"]["log"]["count"] for order in orders] == [40, 80, 40]
    assert orders[1].metadata["classes"]["log"] == {
        "count": 80, "days": 200, "minimum_days": 184, "basis": "CSL 23(3); ALG 28(2)", "written_before": str(TODAY - timedelta(days=200)),
    }  # fmt: skip
    assert "120 more were removed by retention" in report.steps[2].en
    told = [f"{count} removed by retention, per record {order.id}" for order, count in zip(orders[:0:-1], (40, 80), strict=True)]
    assert report.steps[2].detail == "; ".join(told)
    assert "60 were removed by retention" in report.steps[3].en  # and 40 whose records are gone too
    # What stayed proves by the same leaves as before.
    for number in (2, 3, 4, 299, 310):
        kept = Record.objects.get(index=number)
        assert bytes(kept.leaf) == before[number]
        assert all(step.outcome == "holds" for step in check_proof(flow.prove(kept.id), load_site_public_key(aged.keys)).steps)
    gone = Record.objects.filter(kind=CASE, index__lt=300).exclude(content_hash="")[0]
    assert (find_whereabouts(gone).state, find_whereabouts(gone).paper) == ("removed", orders[0].id)
    assert swept(recorder).orders == []  # nothing is left to do
    assert {removal.ordered for removal in Removal.objects.all()} == {100, 80, 40}
    assert all(removal.removed == removal.ordered and removal.finished_at for removal in Removal.objects.all())


@pytest.mark.django_db
def test_a_dry_run_counts_and_changes_nothing(aged: DataFolder) -> None:
    plans = list(sweep.plan("content", KEPT, TODAY))
    assert [dict(each.by_class) for each in plans] == [{"log": 40, "case": 20, "rights": 20, "ledger": 20}]
    assert next(sweep.plan("record", KEPT, TODAY)).by_class["log"] == 80  # the others have content, which goes first
    assert Removal.objects.count() == Record.objects.filter(kind=KIND).count() == 0
    assert Record.objects.count() == 320


@pytest.mark.django_db
def test_nothing_goes_before_its_removal_lies_under_a_checkpoint(aged: DataFolder, recorder: Recorder) -> None:
    done = sweep.sweep(KEPT, today=TODAY, wait_s=0)
    assert done.waiting == len(done.orders) > 0
    assert sweep.sweep(KEPT, today=TODAY, wait_s=0).waiting  # its record is in the outbox
    note = (aged.ledger / "checkpoint").read_bytes()
    drain(recorder)
    (aged.ledger / "checkpoint").write_bytes(note)  # on record, but not signed for
    assert sweep.sweep(KEPT, today=TODAY, wait_s=0).waiting
    assert Record.objects.filter(index__lt=320).count() == 320
    assert RecordContent.objects.count() == 120


@pytest.mark.django_db
def test_a_sweep_that_is_ended_in_the_middle_is_explained_and_goes_on(
    aged: DataFolder, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "ROWS_AT_ONCE", 7)
    sweep.sweep(KEPT, today=TODAY, wait_s=0)
    drain(recorder)
    turns = count()
    half = sweep.sweep(KEPT, today=TODAY, wait_s=0, stop=lambda: next(turns) > 5)
    assert 0 < half.contents < 100
    assert verify(aged).ok
    rest = swept(recorder)
    assert half.contents + rest.contents == 100
    assert rest.records == 120
    assert verify(aged).ok


@pytest.mark.django_db
def test_a_hold_keeps_what_it_selects_even_when_its_removal_is_ordered(aged: DataFolder, recorder: Recorder) -> None:
    subject = set_hold(Selection(kind=LOG, service="chat"), actor="person:officer", reason="case", reference="(2026) 1")
    drain(recorder)
    done = swept(recorder)
    assert (done.contents, done.records) == (60, 0)
    lift_hold(subject.id, actor="person:officer", reason="closed")
    drain(recorder)
    sweep.sweep(KEPT, today=TODAY, wait_s=0)
    drain(recorder)
    again = set_hold(Selection(subject="u-1"), actor="person:officer", reason="case", reference="(2026) 2")
    drain(recorder)
    assert sweep.sweep(KEPT, today=TODAY, wait_s=0).contents == 0  # set after the order, before anything went
    assert verify(aged).ok
    lift_hold(again.id, actor="person:officer", reason="closed")
    drain(recorder)
    done = swept(recorder)
    assert (done.contents, done.records) == (40, 120)
    assert verify(aged).ok


@pytest.mark.django_db
def test_after_a_jump_of_the_clock_nothing_goes_until_a_week_of_days_has_passed(aged: DataFolder, recorder: Recorder) -> None:
    for today in (TODAY + timedelta(days=40), TODAY - timedelta(days=1)):
        done = sweep.sweep(KEPT, today=today, wait_s=0)
        assert done.paused
        assert done.orders == []
    assert Removal.objects.count() == 0


# ── the database and the check ───────────────────────────────────────────────────────────────────────────────────────────


def _refused(statement: str, *values: int | str) -> None:
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, values)


@pytest.mark.django_db
def test_the_database_lets_go_only_what_every_rule_lets_go(aged: DataFolder, recorder: Recorder) -> None:
    a_log, with_content, a_case = 1, 0, 2
    delete = 'DELETE FROM records_record WHERE "index" = %s'
    sweep.keep_rules()
    _refused(delete, a_log)  # no order
    _refused("DELETE FROM records_recordcontent")
    # Somebody orders everything: each of the other rules has to hold by itself.
    everything = sweep.Plan("record", 0, 320, list(range(320)), Counter({LOG: 320}))
    sweep.order(everything, KEPT, TODAY)
    _refused(delete, a_log)  # its record is in the outbox
    drain(recorder)
    _refused(delete, with_content)
    _refused(delete, 4)  # never removed
    _refused(delete, 28)  # three years are not over, and it has no content
    assert Record.objects.filter(index=28, kind=RIGHTS, content=None).exists()
    recent = Record.objects.filter(index__gte=300, kind=LOG).exclude(content=None).values_list("index", flat=True)
    assert len(recent) == 20
    hold = set_hold(Selection(kind=LOG), actor="person:officer", reason="case", reference="(2026) 3")
    _refused(delete, a_log)
    lift_hold(hold.id, actor="person:officer", reason="closed")
    _refused("UPDATE records_retentionrule SET minimum_days = 184 WHERE kind = %s", RIGHTS)
    _refused("UPDATE records_retentionrule SET minimum_days = 184 WHERE kind = %s", EVER)
    _refused("DELETE FROM records_retentionrule")
    _refused("DELETE FROM records_removal")
    _refused("UPDATE records_removal SET until = 1000000")
    _refused("UPDATE records_removal SET bits = X'FF'")
    _refused("UPDATE records_removal SET done_until = -1")
    with pytest.raises(DatabaseError), transaction.atomic():
        RetentionRule.objects.create(kind="x.y.z", minimum_days=1)
    with connection.cursor() as cursor:
        cursor.execute(delete, [a_log])
        assert cursor.rowcount == 1
        Removal.objects.filter(finished_at=None).update(finished_at=datetime.now(UTC))
    _refused(delete, 5 * 4 + 1)  # the order is carried out
    _refused(delete, a_case)
    _refused("UPDATE records_removal SET finished_at = NULL")


@pytest.mark.django_db
def test_the_database_lets_go_only_the_numbers_of_the_order_and_only_the_old(aged: DataFolder, recorder: Recorder) -> None:
    record(aged, recorder, *[entry() for _ in range(4)])  # of today, without content
    sweep.keep_rules()
    young = list(Record.objects.filter(index__gte=320, kind=LOG).values_list("index", flat=True))
    ordered = [1, 5, 11, *young]
    sweep.order(sweep.Plan("record", 0, young[-1] + 1, ordered, Counter({LOG: len(ordered)})), KEPT, TODAY)
    drain(recorder)
    with connection.cursor() as cursor:
        for number in range(young[-1] + 1):
            if number in (1, 5, 11):
                cursor.execute('DELETE FROM records_record WHERE "index" = %s', [number])
            else:
                _refused('DELETE FROM records_record WHERE "index" = %s', number)


@pytest.mark.django_db
@pytest.mark.parametrize("number", [2, 3, 4, 310])
def test_what_no_removal_names_is_found_among_what_one_names(aged: DataFolder, recorder: Recorder, number: int) -> None:
    swept(recorder)
    assert failing(aged) == []
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER records_record_delete")
        cursor.execute("DROP TRIGGER records_recordcontent_delete")
        cursor.execute('DELETE FROM records_recordcontent WHERE record_id IN (SELECT id FROM records_record WHERE "index" = 311)')
        assert failing(aged) == [4]
        cursor.execute('DELETE FROM records_record WHERE "index" = %s', [number])
    step = verify(aged).steps[2]
    assert step.outcome == "fails"
    assert f"records {number} to {number} are missing" in step.detail


@pytest.mark.django_db
def test_the_record_of_a_removal_cannot_be_removed_or_made_up(aged: DataFolder, recorder: Recorder) -> None:
    swept(recorder)
    order = Record.objects.filter(kind=KIND).order_by("index")[1]
    numbers = removed_numbers()
    assert numbers.find("record", 1) == order.id
    assert numbers.find("record", 2) == numbers.find("record", 10**9) == numbers.find("record", 310) == ""
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        for (trigger,) in cursor.fetchall():
            cursor.execute(f"DROP TRIGGER {trigger}")
        cursor.execute("SAVEPOINT whole")
        cursor.execute('DELETE FROM records_record WHERE "index" = %s', [order.index])
        assert failing(aged) == [3]
        cursor.execute("ROLLBACK TO whole")
        # One that names more than the ledger knows of.
        body = bytes(order.body).replace(order.metadata["numbers"].encode(), pack_bits(bits_of(range(300), 0, 304)).encode())
        cursor.execute('UPDATE records_record SET body = %s WHERE "index" = %s', [body, order.index])
        cursor.execute('DELETE FROM records_record WHERE "index" = 2')
        assert failing(aged) == [3]


@pytest.mark.django_db
@pytest.mark.parametrize("tiles", ["gone", "broken", "killed in the middle"])
def test_tiles_are_made_anew_though_records_are_gone(aged: DataFolder, recorder: Recorder, tiles: str) -> None:
    swept(recorder)
    if tiles == "gone":
        remove_tiles(aged.ledger)
        with pytest.raises(GuijuError):  # the leaves of what was removed lay nowhere else
            Ledger(aged.ledger, ORIGIN, aged.keys).catch_up()
        return
    next((aged.ledger / "tile/1/000.p").iterdir()).write_bytes(bytes(32))
    if tiles == "killed in the middle":
        (aged.ledger / "former").mkdir()
        (aged.ledger / "tile").rename(aged.ledger / "former" / "tile")
        (aged.ledger / "tile/0").mkdir(parents=True)
    Ledger(aged.ledger, ORIGIN, aged.keys).catch_up()
    assert verify(aged).ok
    assert not (aged.ledger / "former").exists()
