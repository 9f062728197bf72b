"""`guiju library` from the command line: exit statuses and JSON that a script can rely on."""

import json
from pathlib import Path

from typer.testing import CliRunner, Result

from guiju.core.errors import GuijuError
from guiju.core.layout import DataFolder
from guiju.screening import flow
from guiju.screening.cli import app
from guiju.screening.tests.test_flow import OTHER, SWAP, data

__all__ = ["data"]


def _run(folder: DataFolder, *words: str) -> Result:
    return CliRunner().invoke(app, [*words, "--data", str(folder.root)])


def test_a_file_and_a_version_are_checked(data: DataFolder, tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    file.write_bytes(OTHER)
    alone = CliRunner().invoke(app, ["check", str(file), "--json"])
    found = json.loads(alone.output)
    assert (alone.exit_code, found["total"]["terms"], found["renewal"]["overdue"], found["figures_confirmed"]) == (1, 1, None, False)
    in_force = json.loads(_run(data, "check", "--json").output)
    assert (in_force["total"]["terms"], in_force["renewal"]["overdue"]) == (2, False)
    shown = _run(data, "check", flow.active_library().version[:8]).output
    assert "未与官方文本核对" in shown
    assert "A.1.a A.1.b" in shown


def test_export_import_diff_activate_and_back(data: DataFolder, tmp_path: Path) -> None:
    first = flow.active_library().version
    out = tmp_path / "out.xlsx"
    assert _run(data, "export", first[:12], str(out)).exit_code == 0
    assert flow.read_library("out.xlsx", out.read_bytes()).version == first
    other = tmp_path / "other.csv"
    other.write_bytes(OTHER)
    assert _run(data, "import", str(other)).output.endswith("1 entries  draft\n")
    differs = _run(data, "diff", first, str(other), "--json")
    assert (differs.exit_code, len(json.loads(differs.output)["removed"])) == (1, 2)
    assert _run(data, "diff", first, str(out)).exit_code == 0
    version = flow.read_library("other.csv", OTHER).version
    assert _run(data, "activate", version, "--dropping", "2", "--reason", SWAP).exit_code == 0
    assert _run(data, "rollback", "--reason", "短").exit_code == 2
    assert flow.active_library().version == version
    assert _run(data, "rollback", "--reason", "误伤日常用语").exit_code == 0
    assert flow.active_library().version == first
    assert "rolled_back" in _run(data, "history").output


def test_without_a_version_before_there_is_no_way_back(data: DataFolder) -> None:
    done = _run(data, "rollback", "--reason", "没有上一版")
    assert isinstance(done.exception, GuijuError)
    assert done.exception.code is flow.LIBRARY_UNKNOWN
