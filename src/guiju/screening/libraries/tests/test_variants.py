"""Variants are proposals: told from what the fold finds, taken by the library as rows, and never in it by themselves."""

import csv
import io
from pathlib import Path

import pytest
from typer.testing import CliRunner

from guiju.screening.cli import app
from guiju.screening.libraries.formats import read_library
from guiju.screening.libraries.library import starter_library
from guiju.screening.libraries.variants import WAYS, Way, draft_rows, list_variants
from guiju.screening.spellings.fold import fold

TERM = "代办假身份证"


@pytest.mark.parametrize("way", ["traditional", "separators"])
def test_what_the_fold_finds_is_told_and_not_proposed(way: Way) -> None:
    found = list_variants(TERM, [way])
    assert found
    assert all(each.found and fold(each.text) == fold(TERM) for each in found)
    assert draft_rows([{"term": TERM, "risk": "A.1.h"}], [way]) == []


@pytest.mark.parametrize(
    ("way", "text"),
    [("pinyin", "daibanjiashenfenzheng"), ("initials", "dbjsfz"), ("homophone", "带办假身份证"), ("split", "代办假身亻分证")],
)
def test_each_way_writes_as_people_do(way: Way, text: str) -> None:
    written = [each.text for each in list_variants(TERM, [way])]
    assert text in written or len(written) > 1, written[:20]
    assert len(written) < 60


def test_the_rows_are_drafts_that_the_library_takes() -> None:
    rows = [{"term": TERM, "risk": "A.1.h", "severity": "flag", "direction": "output", "reviewer": "某人", "reviewed_on": "2026-11-24"}]
    drafts = draft_rows(rows)
    assert drafts
    for draft in drafts:
        assert draft["source"].startswith(f"variant of {TERM} (")
        assert (draft["risk"], draft["severity"], draft["direction"]) == ("A.1.h", "flag", "output")
        assert not draft.get("reviewer")
        assert not draft.get("reviewed_on")


def test_the_command_writes_rows_that_can_be_imported_beside_the_others(tmp_path: Path) -> None:
    file = tmp_path / "some.csv"
    lines = starter_library().csv.splitlines(keepends=True)
    file.write_bytes(b"".join([lines[0], *lines[1_000:1_039]]))
    done = CliRunner().invoke(app, ["variants", str(file), "--way", "homophone", "--way", "pinyin"])
    assert done.exit_code == 0, done.output
    drafts = list(csv.DictReader(io.StringIO(done.stdout)))
    assert len(drafts) > 100
    both = file.read_text() + "".join(
        f'"{row["term"]}",{row["risk"]},{row["severity"]},{row["direction"]},,"{row["source"]}",,,\n' for row in drafts
    )
    assert len(read_library("both.csv", both.encode()).entries) == 39 + len(drafts)


def test_one_term_needs_its_risk() -> None:
    assert CliRunner().invoke(app, ["variants", TERM]).exit_code == 2
    done = CliRunner().invoke(app, ["variants", TERM, "--risk", "A.1.h"])
    assert done.exit_code == 0, done.output
    assert f"variant of {TERM}" in done.stdout
    assert set(WAYS) >= {"pinyin", "homophone"}
