"""The number that people see names the record that opened a streamed answer: what ended the answer is shown first, and proven with it.

Guarded lines: `closed_by` in `whole_answer`, the part behind `if closing is None` in `prove`, the latter half of `CLOSING`, and `beijing` in
`list` and `_print_facts`.
"""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from guiju.core.canonical import canonical_json
from guiju.core.keys import load_site_public_key
from guiju.core.layout import DataFolder
from guiju.records.cli import app
from guiju.records.entry import Entry, encode_entry
from guiju.records.log.proof import check_proof
from guiju.records.models import Record
from guiju.records.recorder.recording import Recorder
from guiju.records.tests.conftest import ORIGIN
from guiju.records.tests.site import entry
from guiju.records.tests.test_recording import drain, spool
from guiju.web.tests.rig import write_records

pytestmark = pytest.mark.django_db

OPENED = "gateway.answer.opened"
AT_US = int(datetime(2026, 11, 29, 1, 2, 3, tzinfo=UTC).timestamp() * 1_000_000)


def run(data: DataFolder, *words: str) -> str:
    done = CliRunner().invoke(app, [*words, "--data", str(data.root)], catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout


def record(data: DataFolder, *entries: Entry) -> None:
    spool(data, *map(encode_entry, entries))
    recorder = Recorder(data, ORIGIN)
    recorder.start()
    while drain(recorder):
        pass


def begun(kind: str) -> tuple[Entry, Entry]:
    """An answer that began and ended so, with another between."""
    opened = entry(OPENED, input={"outcome": "pass"}, streamed=True)
    return opened, entry(kind, answer=opened.id, output={"outcome": "hit", "hits": []}, streamed=True)


@pytest.mark.parametrize("kind", ["gateway.answer.stopped", "gateway.answer.delivered", "gateway.upstream.failed", "gateway.input.refused"])
def test_of_an_opened_record_how_it_ended_is_shown_first(data: DataFolder, kind: str) -> None:
    opened, closed = begun(kind)
    record(data, opened, entry(), closed)
    told = run(data, "show", opened.id)
    assert told.index(closed.id) < told.index(kind) < told.index('"outcome": "hit"') < told.index('"outcome": "pass"')
    shown = json.loads(run(data, "show", opened.id, "--json"))
    assert next(iter(shown)) == "closed_by"
    assert (shown["closed_by"]["id"], shown["closed_by"]["kind"], shown["id"]) == (closed.id, kind, opened.id)
    assert json.loads(run(data, "show", closed.id, "--json"))["opened_by"] == opened.id


def test_an_answer_that_goes_on_is_told_to_go_on(data: DataFolder) -> None:
    opened, _ = begun("gateway.answer.stopped")
    write_records(data, [opened, entry("gateway.answer.delivered", answer="0" * 26)])
    assert "no record closes it yet" in run(data, "show", opened.id)
    assert json.loads(run(data, "show", opened.id, "--json"))["closed_by"] is None


def test_both_records_of_an_answer_are_proven(data: DataFolder, tmp_path: Path) -> None:
    opened, closed = begun("gateway.answer.stopped")
    record(data, opened, closed)
    told = run(data, "prove", opened.id, "--out", str(tmp_path / "proof.json"))
    assert told.count("成立 holds") == 2
    assert closed.id in told
    assert len([line for line in told.splitlines() if line.startswith("✓")]) == 10
    assert all(line.startswith((" ", "✓")) for line in told.split("未证明")[0].splitlines() if line), "no line is broken"
    for name, id in (("proof.json", opened.id), ("proof-closed.json", closed.id)):
        document = json.loads((tmp_path / name).read_bytes())
        assert json.loads(document["body"])["id"] == id
        assert check_proof(document, load_site_public_key(data.keys)).ok
    done = CliRunner().invoke(app, ["prove", opened.id, "--json", "--data", str(data.root)])
    assert json.loads(json.loads(done.stdout)["body"])["id"] == opened.id
    assert closed.id in done.stderr
    assert run(data, "prove", closed.id).count("成立 holds") == 1


def test_lines_for_programs_are_whole_and_the_clock_is_the_same_in_both(data: DataFolder) -> None:
    kind, subject = "gateway.answer.interrupted", "u-" + "1234567890" * 12
    said = Entry("0" * 26, AT_US, kind, "chat", "key-1", subject, (), {"a": ["b\x9bc", {"d": None}], "e": {}}, b"")
    record(data, said)
    lines = run(data, "list", "--kind", "gateway").splitlines()
    assert lines == [f"0\t{said.id}\t2026-11-29T09:02:03+08:00\t{kind}\tchat\t{subject}"]
    shown = dict(line.split("\t") for line in run(data, "show", said.id).splitlines())
    assert (shown["at"], shown["subject"]) == ("2026-11-29T09:02:03+08:00", subject)
    assert json.loads(shown["metadata"]) == {"a": ["b\ufffdc", {"d": None}], "e": {}}
    assert canonical_json(json.loads(run(data, "show", said.id, "--json"))["metadata"]) == canonical_json(
        Record.objects.get(index=0).metadata
    )


def test_a_terminal_gets_a_table_and_laid_out_metadata(data: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    said = Entry("0" * 26, AT_US, "gateway.answer.delivered", "chat", "key-1", "u-1", (), {"input": {"outcome": "pass"}}, b"")
    record(data, said)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("guiju.web.rows.is_terminal", lambda: True)
    monkeypatch.setattr("guiju.records.showing.is_terminal", lambda: True)
    told = run(data, "list")
    assert "时间 Beijing" in told
    assert "11-29 09:02:03" in told
    assert '\n                          "outcome": "pass"' in run(data, "show", said.id)
