"""The lights of records: each goes out when what it stands for goes wrong. Guarded: every `return Finding` of records/checks.py."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

import msgspec
import pytest
from django_tasks_db.models import DBTaskResult
from pytest_django.fixtures import Settings

from guiju.core.layout import DataFolder
from guiju.obligations.finding import Case, Finding
from guiju.obligations.judging import judge_service
from guiju.records import checks, values
from guiju.records.keeping.sweep import keep_rules
from guiju.records.models import Erasure, Gap, Record, Removal, Request, RetentionRule, Watch
from guiju.records.tasks import sweep_records
from guiju.web.tests.conftest import data
from guiju.web.tests.rig import entry, write_records

__all__ = ["data"]
NOW = datetime.now(UTC)


def _case(now: datetime = NOW) -> Case:
    return Case("chat", now, {})


def _checked(*, ok: bool = True, ago: timedelta = timedelta(hours=1)) -> Record:
    at_us = int((NOW - ago).timestamp() * 1e6)
    return write_records_of(entry("records.ledger.checked", at_us=at_us, metadata={"ok": ok, "steps": {}}))


def _watch(ago: timedelta = timedelta(minutes=30)) -> None:
    Watch.objects.update_or_create(id=1, defaults={"next_index": 0, "counted_at": NOW - ago})


def write_records_of(one: object) -> Record:
    from django.conf import settings

    [record] = write_records(settings.DATA_FOLDER, [one])  # type: ignore[list-item]
    return record


def _gap(service: str = "") -> Gap:
    return Gap.objects.create(key=f"k{service}", cause="numbers", zh="缺", en="gap", service=service, found_at=NOW, record="r" * 26)


def test_logs_are_kept_while_the_ledger_holds_and_nothing_is_missing(data: DataFolder) -> None:
    assert checks.logs_kept(_case()).status == "due"
    record = _checked()
    keep_rules()
    assert checks.logs_kept(_case()).status == "due"  # nobody has looked for gaps
    _watch()
    found = checks.logs_kept(_case())
    assert (found.status, found.evidence[0].id) == ("met", record.id)
    assert checks.logs_kept(_case(NOW + timedelta(days=3))).status == "overdue"
    _checked(ok=False, ago=timedelta(minutes=1))
    assert checks.logs_kept(_case()).status == "breach"


def test_logs_are_not_kept_where_the_database_or_the_watch_does_not(data: DataFolder) -> None:
    _checked()
    _watch()
    assert "rules of retention" in checks.logs_kept(_case()).reason.en
    keep_rules()
    _watch(timedelta(hours=3))
    assert checks.logs_kept(_case()).status == "overdue"
    _watch()
    with (
        patch.dict(values.BY_NAME, {"log": replace(values.BY_NAME["log"], minimum_days=10_000)}),
        patch.object(checks, "class_of", lambda kind: values.BY_NAME["log"] if kind == "gateway.answer.delivered" else None),
    ):
        found = checks.logs_kept(_case())
    assert (found.status, "10000" in found.reason.en) == ("breach", True)


def test_an_open_gap_is_a_breach_until_somebody_closes_it(data: DataFolder) -> None:
    _checked()
    _watch()
    keep_rules()
    gap = _gap()
    assert checks.logs_kept(_case()).status == "breach"
    Gap.objects.filter(pk=gap.pk).update(closed_at=NOW)
    assert checks.logs_kept(_case()).status == "met"


def test_inputs_are_protected_once_there_are_any(data: DataFolder) -> None:
    assert checks.inputs_protected(_case()).status == "due"
    write_records(data, [entry(subject="s1", content="问题")])
    assert checks.inputs_protected(_case()).status == "met"
    assert checks.inputs_protected(Case("second", NOW, {})).status == "due"  # another service's content proves nothing


def test_nothing_is_kept_too_long_while_sweeps_run(data: DataFolder, settings: Settings) -> None:
    assert checks.nothing_kept_too_long(_case()).status == "due"
    sweep_records.enqueue()
    DBTaskResult.objects.update(status="SUCCESSFUL", finished_at=NOW - timedelta(hours=1), return_value={"contents": 0, "records": 0})
    assert checks.nothing_kept_too_long(_case()).status == "met"
    assert checks.nothing_kept_too_long(_case(NOW + timedelta(days=3))).status == "overdue"
    Removal.objects.create(
        id="x" * 26, what="content", first=0, until=1, bits=b"\1", ordered=1, done_until=0, ordered_at=NOW - timedelta(days=3)
    )
    assert checks.nothing_kept_too_long(_case()).status == "overdue"
    settings.SITE = msgspec.structs.replace(settings.SITE, retention=msgspec.structs.replace(settings.SITE.retention, sweeps="off"))
    assert checks.nothing_kept_too_long(_case()).status == "breach"


def test_an_erasure_that_waits_is_due_and_then_overdue(data: DataFolder) -> None:
    assert checks.erasures_done(_case()).status == "met"
    asked = datetime(2026, 11, 2, 10, tzinfo=UTC)
    Request.objects.create(
        id="y" * 26, deed=Request.Deed.ERASE_SUBJECT, subject="s1", reason="request", state=Request.State.ASKED,
        until=asked + timedelta(days=60), asked_by="person:a", asked_at=asked,
    )  # fmt: skip
    found = checks.erasures_done(_case(asked + timedelta(days=2)))
    assert found.status == "due"
    assert found.due_at is not None
    assert found.due_at.isoformat() == "2026-11-24T00:00:00+08:00"  # fifteen working days
    assert checks.erasures_done(_case(found.due_at)).status == "overdue"
    Request.objects.update(state=Request.State.DONE)
    assert checks.erasures_done(_case(found.due_at)).status == "met"


def test_an_erasure_that_nobody_did_is_not_settled_by_its_lapse(data: DataFolder) -> None:
    asked = datetime(2026, 11, 2, 10, tzinfo=UTC)
    Request.objects.create(
        id="y" * 26, deed=Request.Deed.ERASE_SUBJECT, subject="s1", reason="request", state=Request.State.APPROVED,
        until=asked + timedelta(days=3), asked_by="person:a", asked_at=asked,
    )  # fmt: skip
    found = checks.erasures_done(_case(asked + timedelta(days=5)))
    assert (found.status, "lapsed" in found.reason.en) == ("due", True)
    assert checks.erasures_done(_case(asked + timedelta(days=30))).status == "overdue"
    again = Request.objects.create(
        id="z" * 26, deed=Request.Deed.ERASE_SUBJECT, subject="s1", reason="request", state=Request.State.REFUSED,
        until=asked + timedelta(days=9), asked_by="person:a", asked_at=asked + timedelta(days=5), decided_at=asked + timedelta(days=6),
    )  # fmt: skip
    assert checks.erasures_done(_case(asked + timedelta(days=30))).status == "met"
    again.delete()
    erasure = Erasure.objects.create(id="e" * 26, subject="s1", at=asked + timedelta(days=6), certificate="")
    assert checks.erasures_done(_case(asked + timedelta(days=7))).status == "met"
    assert checks.erasures_done(_case(asked + timedelta(days=9))).status == "overdue"  # the sealed bytes are still there
    Erasure.objects.filter(pk=erasure.pk).update(finished_at=asked + timedelta(days=9))
    assert checks.erasures_done(_case(asked + timedelta(days=9))).status == "met"


def test_an_erasure_that_reaches_into_an_unknown_year_says_what_to_do(data: DataFolder) -> None:
    asked = datetime(2100, 12, 20, 10, tzinfo=UTC)
    Request.objects.create(
        id="y" * 26, deed=Request.Deed.ERASE_SUBJECT, subject="s1", reason="request", state=Request.State.ASKED,
        until=asked + timedelta(days=60), asked_by="person:a", asked_at=asked,
    )  # fmt: skip
    lights = {each.obligation.id: each for each in judge_service("chat", asked + timedelta(days=1))}
    told = [name for name, each in lights.items() if "[calendar]" in each.finding.reason.zh]
    assert told == ["GAI-11.7"]
    assert lights["GAI-11.7"].status == "needs_person"


def test_cases_are_kept_by_the_databases_own_rules(data: DataFolder) -> None:
    RetentionRule.objects.all().delete()
    assert checks.cases_kept(_case()).status == "due"
    keep_rules()
    assert checks.cases_kept(_case()).status == "met"
    write_records(data, [entry("gateway.answer.stopped", service="second")])
    assert checks.cases_kept(_case()).evidence[0].what == "retention_rule"  # another service's stop is no evidence
    [stopped] = write_records(data, [entry("gateway.answer.stopped")])
    assert checks.cases_kept(_case()).evidence[0].id == stopped.id


@pytest.mark.parametrize("check", checks.CHECKS.values(), ids=lambda each: each.__name__)
def test_a_light_that_is_met_shows_its_evidence(data: DataFolder, check: Callable[[Case], Finding]) -> None:
    _checked()
    _watch()
    write_records(data, [entry("gateway.answer.stopped", subject="s1", content="x")])
    sweep_records.enqueue()
    DBTaskResult.objects.update(status="SUCCESSFUL", finished_at=NOW, return_value={"contents": 0, "records": 0})
    keep_rules()
    found = check(_case())
    assert found.status == "met"
    assert found.evidence
