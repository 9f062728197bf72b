"""The dry run: its counts are what examining would give, it is on record before it reads, and no text comes out of it."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import msgspec
import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django.fixtures import Settings
from typer.testing import CliRunner

from guiju.core.clock import now_us
from guiju.core.errors import ErrorCode, GuijuError
from guiju.core.layout import DataFolder
from guiju.records import flow as records
from guiju.records.access import reading, requests
from guiju.records.access.opening import unsealed
from guiju.records.access.requests import APPROVAL_NEEDED
from guiju.records.keys.sealing import CONTENT_UNREADABLE
from guiju.records.models import Record, Request, SubjectKey
from guiju.screening import flow
from guiju.screening.cli import app
from guiju.screening.libraries.library import Row, make_library
from guiju.screening.matching.snapshot import Snapshot
from guiju.screening.models import LibraryTrial
from guiju.screening.tests.test_library_views import _person
from guiju.screening.tests.test_views import data, owner
from guiju.screening.trial import running
from guiju.screening.trial.counting import Counts
from guiju.screening.values import Policy
from guiju.web.tests.rig import entry, left, write_records

__all__ = ["data", "owner"]
DRAFT = "term,risk,severity\n新增词条,A.1.h,block\n可疑词条,A.4.f,flag\n拆开之词,A.1.h,block\n".encode()
SECRET = "只有本人知道的话"
TOP = "/console/keywords/"


def _asked(*texts: str) -> bytes:
    messages = [{"role": "user" if place % 2 == 0 else "assistant", "content": text} for place, text in enumerate(texts)]
    return msgspec.json.encode({"model": "m", "messages": messages})


def _answered(text: str) -> bytes:
    return msgspec.json.encode({"choices": [{"message": {"role": "assistant", "content": text}}]})


def _say(kind: str = "gateway.answer.delivered", at_us: int = 0, subject: str = "u-1", **parts: Any) -> Record:
    made = entry(kind, at_us=at_us, subject=subject)
    return write_records(_DATA[0], [msgspec.structs.replace(made, content=msgspec.msgpack.encode(parts))])[0]


_DATA: list[DataFolder] = []


@pytest.fixture
def said(data: DataFolder) -> DataFolder:
    """What was said: two requests that the draft newly refuses (one split over turns), one that it no longer does, an answer it stops."""
    _DATA[:] = [data]
    _say(request=_asked(f"{SECRET} 新增词条"), answer=_answered("平常的回答"))
    _say("gateway.answer.opened", request=_asked("说到拆开", "嗯", "之词吧"))
    _say("gateway.answer.delivered", answer={"choices[0].message.content": "回答里有新增·词条"})
    _say("gateway.input.refused", request=_asked("违禁词条"))
    _say(request=_asked("可疑词条"), answer=_answered("可疑词条"))
    _say(at_us=now_us() - 3 * 86_400_000_000, request=_asked("新增词条"))
    _say("web.session.signed_in")
    return data


def _draft() -> str:
    return flow.import_library("draft.csv", DRAFT, "person:ann").version


def _refused(code: ErrorCode, act: Callable[[], object]) -> None:
    with pytest.raises(GuijuError) as raised:
        act()
    assert raised.value.code is code


# ── counts ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_counts_are_what_was_said(said: DataFolder) -> None:
    version = _draft()
    begun = running.begin_trial(version, 1, "person:ann", "看看误伤")
    assert (begun.found, begun.total) == (5, 5)
    done = running.run_trial(begun.id)
    assert done is not None
    assert done.counts["inputs"] == {"examined": 4, "before": 1, "after": 2, "newly": 2, "no_longer": 1}
    assert done.counts["answers"] == {"examined": 3, "before": 0, "after": 1, "newly": 1, "no_longer": 0}
    terms = {each.id: each.term for each in flow.library_of(version).entries}
    assert {terms[rule["rule"]]: rule["newly"] for rule in done.counts["rules"] if rule["newly"]} == {"新增词条": 2, "拆开之词": 1}
    assert (done.counts["gone"], done.counts["not_examined"]) == (0, 0)
    assert running.run_trial(begun.id) is None  # a result is not made twice


def test_it_is_on_record_first_and_no_text_is_kept(said: DataFolder) -> None:
    # Guarded line: `durable=True` around the record in `begin_trial`, before anything is read.
    begun = running.begin_trial(_draft(), 1, "person:ann", "看看误伤")
    told = left(said)[-1]
    assert (told.kind, told.actor, told.metadata["records"], told.metadata["reason"]) == (
        "screening.trial.begun",
        "person:ann",
        5,
        "看看误伤",
    )
    assert told.id == begun.record
    done = running.run_trial(begun.id)
    assert done is not None
    last = left(said)[-1]
    assert (last.kind, last.metadata["trial"], last.metadata["inputs"]) == ("screening.trial.finished", begun.record, done.counts["inputs"])
    assert done.ids == []
    kept = json.dumps([told.metadata, last.metadata, list(LibraryTrial.objects.values())], default=str, ensure_ascii=False)
    assert SECRET not in kept
    assert not last.content


def test_what_is_erased_meanwhile_is_not_read(said: DataFolder) -> None:
    begun = running.begin_trial(_draft(), 1, "person:ann", "看看误伤")
    SubjectKey.objects.filter(subject="u-1").update(wrapped=None, destroyed_at=datetime.now(UTC))
    done = running.run_trial(begun.id)
    assert done is not None
    assert (done.counts["gone"], done.counts["inputs"]["examined"]) == (5, 0)


def test_what_cannot_be_read_is_not_a_pass(said: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Record.objects.exclude(content_hash="").order_by("index").first()

    def damaged(record: Record, sealed: bytes, cipher: Any) -> bytes:
        if record == first:
            raise GuijuError(CONTENT_UNREADABLE, what="content", reason="damaged")
        return unsealed(record, sealed, cipher)

    monkeypatch.setattr(reading, "unsealed", damaged)
    _say(other="nothing that was said")
    _say(request=b"{broken")
    done = running.run_trial(running.begin_trial(_draft(), 1, "person:ann", "看看误伤").id)
    assert done is not None
    assert done.counts["not_examined"] == 3


def test_a_large_selection_is_thinned_evenly_and_says_so(said: DataFolder, settings: Settings) -> None:
    settings.SITE = msgspec.structs.replace(settings.SITE, screening=msgspec.structs.replace(settings.SITE.screening, trial_records=3))
    begun = running.begin_trial(_draft(), 1, "person:ann", "看看误伤")
    assert (begun.found, begun.one_in) == (5, 2)
    assert 2 <= begun.total <= 3


def test_counting_agrees_with_examining() -> None:
    before, after = (
        Snapshot(make_library([Row(1, {"term": term, "risk": "A.1.h"})], "x").entries, term) for term in ("词条甲号", "词条乙号")
    )
    counts = Counts()
    texts = ["词条甲号", "词·条乙号", "词条甲号和词条乙号", "都没有"]
    for text in texts:
        counts.add(msgspec.msgpack.encode({"request": _asked(text)}), before, after, Policy())
    policy = Policy()
    ended = [
        (before.examine(text, "input", policy).action == "refuse", after.examine(text, "input", policy).action == "refuse")
        for text in texts
    ]
    side = counts.inputs
    assert (side.before, side.after) == (sum(a for a, _ in ended), sum(b for _, b in ended)) == (2, 2)
    assert (side.newly, side.no_longer) == (1, 1)


# ── who may ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_where_two_people_open_another_approves_first(said: DataFolder, settings: Settings) -> None:
    settings.SITE = msgspec.structs.replace(settings.SITE, records=msgspec.structs.replace(settings.SITE.records, opening_people=2))
    version = _draft()
    begin = partial(running.begin_trial, version, 1, "person:ann", "看看误伤")
    _refused(APPROVAL_NEEDED, begin)
    _refused(APPROVAL_NEEDED, begin)
    assert (Request.objects.count(), LibraryTrial.objects.count()) == (1, 0)
    asked = Request.objects.get()
    assert len(asked.records) == 5
    requests.approve(asked.id, actor="person:bob")
    _say(request=_asked("批准之后才说的新增词条"))
    begun = begin()
    assert begun.total == 5  # the approval names what it names
    assert left(said)[-1].metadata["approved_by"] == "person:bob"
    _refused(APPROVAL_NEEDED, begin)  # once


@pytest.mark.parametrize(("days", "reason"), [(0, "看看误伤"), (32, "看看误伤"), (1, " 短 ")])
def test_what_is_not_right_reads_nothing(said: DataFolder, days: int, reason: str) -> None:
    before = len(left(said))
    _refused(running.TRIAL_REFUSED, lambda: running.begin_trial(_draft(), days, "person:ann", reason))
    _refused(running.TRIAL_REFUSED, lambda: running.begin_trial(flow.active_library().version, 1, "person:ann", "看看误伤"))
    assert len(left(said)) == before + 1  # the import


def test_a_run_that_fails_or_is_lost_has_no_result(said: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = running.begin_trial(_draft(), 1, "person:ann", "看看误伤")
    monkeypatch.setattr(records, "list_read", lambda ids: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        running.run_trial(begun.id)
    begun.refresh_from_db()
    assert (begun.state, begun.ids, begun.counts) == ("failed", [], {})
    LibraryTrial.objects.update(state="running", touched_at=datetime.now(UTC) - timedelta(minutes=11))
    running.settle_lost()
    assert LibraryTrial.objects.get().state == "failed"


# ── pages and command line ──────────────────────────────────────────────────────────────────────────────────────────


def test_the_page_begins_one_and_shows_counts_only(said: DataFolder, owner: Client) -> None:
    version = _draft()
    refused = owner.post(f"{TOP}trials/begin/", {"version": version, "days": "x", "reason": "看看误伤"})
    assert (refused.status_code, LibraryTrial.objects.count()) == (400, 0)
    page = owner.post(f"{TOP}trials/begin/", {"version": version, "days": "1", "reason": "看看误伤"}, follow=True)
    assert "等待运行" in page.content.decode()
    begun = LibraryTrial.objects.get()
    running.run_trial(begun.id)
    for language, word in (("zh-hans", "新命中的规则"), ("en", "Rules that newly hit")):
        html = owner.get(f"{TOP}trials/{begun.id}/", headers={"accept-language": language}).content.decode()
        assert word in html
        assert "<svg" in html
        assert "新增词条" in html
        assert SECRET not in html
    assert owner.get(f"{TOP}trials/").content.decode().count(begun.id) == 1
    assert owner.get(f"{TOP}trials/nothing/").status_code == 404


def test_only_who_may_open_content_begins_one(data: DataFolder) -> None:
    reader, approver, officer = (_person(role, role) for role in ("reader", "approver", "officer"))
    for client in (reader, approver):
        assert client.post(f"{TOP}trials/begin/", {"version": "x"}).status_code == 404
        assert "开始试运行" not in client.get(f"{TOP}trials/").content.decode()
    assert officer.post(f"{TOP}trials/begin/", {"version": "x", "days": "1", "reason": "看看误伤"}).status_code == 404  # no such version
    assert "开始试运行" in officer.get(f"{TOP}trials/").content.decode()
    assert User.objects.count() == 3


def test_the_command_line_prints_counts(said: DataFolder) -> None:
    done = CliRunner().invoke(app, ["trial", _draft(), "--reason", "看看误伤", "--json", "--data", str(said.root)])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["inputs"]["newly"], found["answers"]["newly"]) == (2, 1)
    assert SECRET not in done.output
