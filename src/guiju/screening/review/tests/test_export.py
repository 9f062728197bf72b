"""Decisions as data: without text unless it was opened for that; what is exported is what evaluation reads.

Guarded: `texts is None`; the two people of an opening; a file that is there already; a line that is none.
"""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from guiju.core.errors import GuijuError
from guiju.core.layout import DataFolder
from guiju.core.settings import Records, Screening
from guiju.records.access.requests import APPROVAL_NEEDED, approve, list_waiting
from guiju.screening.review import flow
from guiju.screening.review.agreement import Share
from guiju.screening.review.evaluate import REVIEW_FILE, as_rows, evaluate, print_evaluation, read_export
from guiju.screening.review.export import write_export
from guiju.screening.review.tests.conftest import Queue, exchange, hit
from guiju.screening.screener import Screener
from guiju.screening.values import LibraryEntry
from guiju.web.tests.rig import left
from tests.serving import guiju

pytestmark = pytest.mark.django_db
ANN = "person:ann"
SINCE = timezone.now() - timedelta(days=400)
TERMS = Screener([LibraryEntry("kw-2", "可疑词条", "A.4.f"), LibraryEntry("kw-9", "以前没有", "A.1.h")])


@pytest.fixture
def decided(put: Queue, settings: Settings) -> None:
    """Three decisions: a right hit, a false one of a rule that is gone, and harm that was missed."""
    settings.SITE = msgspec.structs.replace(settings.SITE, screening=Screening(review_second_per_mille=0))
    right, false, missed = put(
        exchange(hits=(hit(),), stream=True),
        exchange(hits=(hit("kw-7"),), question="无事"),
        exchange(mark="sample", question="以前没有这条"),
    )
    for item, said in ((right, {"judged": {"input:kw-2": "right"}}), (false, {"judged": {"input:kw-7": "false"}})):
        flow.take(item.pk, actor=ANN)
        flow.decide(item.pk, actor=ANN, **said)  # type: ignore[arg-type]
    flow.take(missed.pk, actor=ANN)
    flow.decide(missed.pk, actor=ANN, judged={}, rest="missed", risk="A.1.h", quote="以前没有", note="words of a note")


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.usefixtures("decided")
def test_by_default_no_words_leave(tmp_path: Path, data: DataFolder) -> None:
    file = tmp_path / "out.jsonl"
    assert write_export(file, SINCE, None, actor=ANN) == 3
    assert "可疑" not in file.read_text()
    assert "words of a note" not in file.read_text()
    assert not any("texts" in line for line in lines(file))
    assert {finding["verdict"] for line in lines(file) for finding in line["findings"]} == {"right", "false", "missed"}
    kinds = [each.kind for each in left(data)]
    assert kinds[-1] == "screening.review.exported"
    with pytest.raises(FileExistsError):
        write_export(file, SINCE, None, actor=ANN)
    found = evaluate(read_export(file), TERMS)
    assert (found.items, found.with_texts) == (3, 0)
    assert [(each.rule, each.judged, each.now) for each in found.rules] == [("kw-2", Share(1, 1), None), ("kw-7", Share(0, 1), None)]
    assert [(each.risk, each.found, each.now) for each in found.risks] == [("A.1.h", Share(0, 1), None), ("A.4.f", Share(1, 1), None)]


@pytest.mark.usefixtures("decided")
def test_with_texts_two_people_open_and_the_rules_are_tried_again(tmp_path: Path, data: DataFolder, settings: Settings) -> None:
    settings.SITE = msgspec.structs.replace(settings.SITE, records=Records(opening_people=2))
    file, opened = tmp_path / "out.jsonl", len([each for each in left(data) if each.kind == "records.content.opened"])

    def write() -> int:
        return write_export(file, SINCE, None, actor=ANN, texts=True, reason="measuring the rules")

    with pytest.raises(GuijuError) as told:
        write()
    assert told.value.code is APPROVAL_NEEDED
    assert list(tmp_path.iterdir()) == [data.root]
    assert not [each for each in left(data) if each.kind == "screening.review.exported"]
    approve(list_waiting().get().id, actor="person:ben")
    assert write() == 3
    assert file.stat().st_mode & 0o777 == 0o600
    assert "13800138000" not in file.read_text()
    assert "早先的话" not in file.read_text()
    openings = [each for each in left(data) if each.kind == "records.content.opened"][opened:]
    assert len(openings) == 4
    assert {each.metadata["reason"] for each in openings} == {"measuring the rules"}
    found = evaluate(read_export(file), TERMS)
    assert found.with_texts == 3
    assert [(each.rule, each.now, each.kept) for each in found.rules] == [
        ("kw-2", Share(1, 1), Share(1, 1)),
        ("kw-7", Share(0, 0), Share(0, 0)),
    ]
    assert [(each.risk, each.found, each.now) for each in found.risks] == [
        ("A.1.h", Share(0, 1), Share(1, 1)),
        ("A.4.f", Share(1, 1), Share(1, 1)),
    ]


@pytest.mark.parametrize("raw", [b"{}", b'{"form":"other","record":"1","findings":[]}', b"\xff", b"[" * 9_000, b""])
def test_what_is_no_export_is_refused_with_its_line(tmp_path: Path, raw: bytes) -> None:
    file = tmp_path / "x.jsonl"
    file.write_bytes(b'{"form":"guiju-review/1","record":"1","findings":[]}\n' + raw + b"\n")
    with pytest.raises(GuijuError) as told:
        read_export(file)
    assert told.value.code is REVIEW_FILE
    assert told.value.facts["line"] == 2


def test_the_command_line_tells_shares_with_their_cases(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "x.jsonl"
    row = {
        "form": "guiju-review/1",
        "record": "1",
        "findings": [{"direction": "input", "rule": "kw-2", "risk": "A.4.f", "verdict": "right"}],
    }
    file.write_text((json.dumps(row) + "\n") * 12)
    done = guiju("screen", str(file), "--evaluate", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rules"] == [
        {"rule": "kw-2", "risk": "A.4.f", "precision": {"part": 12, "whole": 12}, "precision_now": None, "kept": None}
    ]
    found = evaluate(read_export(file), TERMS)
    assert as_rows(found)["items"] == 12
    print_evaluation(found, TERMS.version)
    assert "100% (76%–100%) n=12" in capsys.readouterr().out
    missing = guiju("screen", str(tmp_path / "none"), "--evaluate")
    assert missing.returncode == 2
    assert "Traceback" not in missing.stderr
