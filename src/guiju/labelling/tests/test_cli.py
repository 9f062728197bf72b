"""`guiju inspect`: verdict and exit status, rows for programs, folders, and files whose values would steer a terminal."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from guiju.cli import whole_app
from guiju.labelling.containers.tests.samples import INNER, LABEL, png_with, sample
from guiju.labelling.files import write

RUNNER = CliRunner()


def run(*words: str, given: bytes | None = None) -> Result:
    return RUNNER.invoke(whole_app(), ["inspect", *words], input=given)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "below").mkdir()
    (tmp_path / "labelled.txt").write_bytes(write(sample("plain.png"), LABEL))  # its name tells nothing
    (tmp_path / "below" / "plain.mp3").write_bytes(sample("plain.mp3"))
    (tmp_path / "cut.jpg").write_bytes(sample("plain.jpeg")[:300])
    (tmp_path / "wrong.png").write_bytes(png_with((b"tEXt", b"AIGC\0" + INNER.replace('"Label":"1"', '"Label":1').encode())))
    (tmp_path / "link").symlink_to(tmp_path / "cut.jpg")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "status"), [("labelled.txt", 0), ("wrong.png", 1), ("below/plain.mp3", 2), ("cut.jpg", 3), ("missing", 10)]
)
def test_the_exit_status_is_the_verdict(folder: Path, name: str, status: int) -> None:
    done = run(str(folder / name))
    assert done.exit_code == status, done.output
    if status == 10:
        assert "INSPECT-UNREADABLE" in done.stderr
        assert "没有查验" in done.stderr


def test_a_folder_has_a_row_for_each_file_and_the_gravest_status(folder: Path) -> None:
    done = run("--json", str(folder))
    rows = {Path(row["file"]).name: row for row in map(json.loads, done.stdout.splitlines())}
    assert done.exit_code == 1
    assert {name: row["verdict"] for name, row in rows.items()} == {
        "labelled.txt": "compliant",
        "plain.mp3": "not_found",
        "cut.jpg": "inconclusive",
        "wrong.png": "noncompliant",
    }
    row = rows["labelled.txt"]
    assert row["label"]["ProduceID"] == LABEL.produce_id
    assert row["state"] == "declared"
    assert row["places"][0]["offset"] == 33
    assert len(row["sha256"]) == 64
    assert rows["cut.jpg"]["state"] is None
    assert rows["cut.jpg"]["damaged"]["reason"]
    (folder / "wrong.png").unlink()
    assert run(str(folder)).exit_code == 3
    (folder / "cut.jpg").unlink()
    assert run(str(folder)).exit_code == 2


def test_standard_input_is_inspected() -> None:
    done = run("-", given=write(sample("plain.wav"), LABEL))
    assert done.exit_code == 0
    assert "合规 compliant  属于 declared  WAV  -" in done.stdout


def test_what_a_user_says_and_what_a_platform_overlooks(folder: Path) -> None:
    assert "可能 possible" in run("--user-declares", str(folder / "below")).stdout
    twice = png_with((b"tEXt", b"AIGC\0" + INNER.encode()), (b"tEXt", b"AIGC\0" + INNER.encode()))
    (folder / "twice").write_bytes(twice)
    assert run(str(folder / "twice")).exit_code == 1
    assert run("--platform", str(folder / "twice")).exit_code == 0


def test_values_of_a_file_do_not_steer_a_terminal(folder: Path) -> None:
    text = INNER.replace("7f3a", "\\u001b[31m\\u202e")
    (folder / "red").write_bytes(png_with((b"tEXt", b"AIGC\0" + text.encode())))
    shown = run(str(folder / "red")).stdout
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "ProduceID: \\x1b[31m" in shown


def test_nothing_to_inspect_is_not_compliant(tmp_path: Path) -> None:
    assert run(str(tmp_path)).exit_code == 10
