"""`guiju label`: producers and propagators, the three states of a platform, nothing overwritten, nothing half done."""

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from guiju.cli import whole_app
from guiju.labelling.containers.tests.samples import CODE, INNER, LABEL, OTHER, jpeg_with, png_with, sample
from guiju.labelling.explicit import holds_elements
from guiju.labelling.files import first_label, inspect, read_file, write
from guiju.labelling.notices import NOTICES, propagator_label
from guiju.labelling.values import FileLabel

RUNNER = CliRunner()


def run(*words: str | Path) -> Result:
    return RUNNER.invoke(whole_app(), ["label", *map(str, words)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in" / "below").mkdir(parents=True)
    (tmp_path / "in" / "plain.png").write_bytes(sample("plain.png"))
    (tmp_path / "in" / "below" / "labelled.wav").write_bytes(write(sample("plain.wav"), LABEL))
    (tmp_path / "in" / "trace.jpg").write_bytes(jpeg_with((0xEB, b"JP\0\1 jumb c2pa")))
    return tmp_path


def test_a_producer_labels_its_own_output(folder: Path) -> None:
    done = run(folder / "in" / "plain.png", "--as-producer", "--provider", CODE, "--number", "n-1", "-o", folder / "out.png")
    assert done.exit_code == 0, done.output
    assert read_file(folder / "out.png") == first_label(CODE, "n-1")
    assert (folder / "in" / "plain.png").read_bytes() == sample("plain.png")
    assert NOTICES["declared"][0] in done.stdout


@pytest.mark.parametrize(
    ("name", "options", "label", "status"),
    [
        ("plain.png", [], None, 2),
        ("plain.png", ["--declared"], "2", 0),
        ("plain.png", ["--user-declares"], "2", 0),
        ("plain.png", ["--suspected"], "3", 0),
        ("plain.png", ["--suspected", "--user-declares"], "2", 0),
        ("trace.jpg", [], "3", 0),
        ("below/labelled.wav", [], "1", 0),
        ("below/labelled.wav", ["--suspected"], "1", 0),
    ],
)
def test_a_platform_writes_what_its_state_says_and_never_that_it_is(
    folder: Path, name: str, options: list[str], label: str | None, status: int
) -> None:
    out = folder / "out"
    done = run(folder / "in" / name, "--as-propagator", "--provider", OTHER, "--number", "p-1", "-o", out, "--json", *options)
    assert done.exit_code == status, done.output
    row = json.loads(done.stdout)
    assert row["notice"]["zh"] == NOTICES[row["state"]][0]
    if label is None:
        assert not out.exists()
        return
    found = read_file(out)
    assert isinstance(found, FileLabel)
    assert (found.label, found.content_propagator, found.propagate_id) == (label, OTHER, "p-1")
    kept = name.endswith("wav")
    assert (found.content_producer, found.produce_id) == ((CODE, LABEL.produce_id) if kept else ("", ""))


def test_no_upload_ever_gets_label_1_from_a_platform() -> None:
    for data in (sample("plain.png"), sample("plain.mp3"), jpeg_with((0xEB, b"JP c2pa")), png_with((b"tEXt", b"AIGC\0AI"))):
        for declares in (False, True):
            for suspected in (False, True):
                label = propagator_label(inspect(data, user_declares=declares), OTHER, "n", suspected=suspected)
                assert label is None or label.label in ("2", "3")


def test_a_folder_is_mirrored_each_file_with_its_own_number(folder: Path) -> None:
    done = run(folder / "in", "--as-producer", "--provider", CODE, "-o", folder / "out", "--json")
    assert done.exit_code == 0, done.output
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert {Path(row["out"]).relative_to(folder / "out").as_posix() for row in rows} == {"plain.png", "trace.jpg", "below/labelled.wav"}
    assert len({row["label"]["ProduceID"] for row in rows}) == 3
    again = run(folder / "in", "--as-producer", "--provider", CODE, "-o", folder / "out")
    assert again.exit_code == 1
    assert "LABEL-TARGET" in again.stderr
    assert not list(folder.rglob(".guiju-*"))


def test_a_plain_text_gets_its_label_beside_it_and_is_not_taken_for_a_file_of_its_own(folder: Path) -> None:
    (folder / "in" / "a.txt").write_text("words")
    (folder / "in" / "a.md").write_text("# words\n")
    for _ in range(2):
        run(folder / "in", "--as-producer", "--provider", CODE, "-o", folder / "out")
    names = {path.name for path in (folder / "out").iterdir()}
    assert names == {"a.txt", "a.txt.aigc.json", "a.md", "plain.png", "trace.jpg", "below"}
    assert isinstance(read_file(folder / "out" / "a.txt"), FileLabel)
    assert run(folder / "out", "--as-producer", "--provider", CODE, "--in-place", "--json").stdout.count("\n") == 5
    (folder / "out" / "a.txt").unlink()
    assert run(folder / "in" / "a.txt", "--as-producer", "--provider", CODE, "-o", folder / "out" / "a.txt").exit_code == 1
    assert not (folder / "out" / "a.txt").exists()


def test_in_place_the_file_is_whole_and_keeps_its_mode(folder: Path) -> None:
    path = folder / "in" / "plain.png"
    path.chmod(0o640)
    assert run(path, "--as-producer", "--provider", CODE, "--in-place").exit_code == 0
    assert isinstance(read_file(path), FileLabel)
    assert path.stat().st_mode & 0o777 == 0o640
    link = folder / "link"
    link.symlink_to(folder / "in" / "trace.jpg")
    assert run(link, "--as-producer", "--provider", CODE, "--in-place").exit_code == 0
    assert link.is_symlink()
    assert isinstance(read_file(folder / "in" / "trace.jpg"), FileLabel)


@pytest.mark.parametrize(
    ("data", "options", "status", "code"),
    [
        (b"no picture", [], 1, "LABEL-CONTAINER"),
        (sample("plain.png")[:60], [], 1, "LABEL-DAMAGED"),
        (
            png_with((b"tEXt", b"AIGC\0" + INNER.encode()), (b"tEXt", b"AIGC\0" + INNER.replace("7f", "8").encode())),
            [],
            1,
            "LABEL-CONFLICT",
        ),
        (png_with((b"tEXt", b"AIGC\0AI")), [], 1, "LABEL-CONFLICT"),
        (png_with((b"tEXt", b"AIGC\0AI")), ["--replace"], 0, ""),
        (sample("plain.png"), ["--provider", "doubao"], 1, "LABEL-VALUE"),
        (sample("plain.png"), ["--provider", CODE[:22] + "20000"], 1, "LABEL-VALUE"),
    ],
)
@pytest.mark.parametrize("where", ["out", "in_place"])
def test_what_cannot_be_labelled_stays_as_it_is(
    tmp_path: Path, data: bytes, options: list[str], status: int, code: str, where: str
) -> None:
    (tmp_path / "a").write_bytes(data)
    target = ["--in-place"] if where == "in_place" else ["-o", str(tmp_path / "b")]
    done = run(tmp_path / "a", "--as-producer", "--provider", CODE, *target, *options)
    assert done.exit_code == status, done.output
    assert code in done.stderr
    if status:
        assert (tmp_path / "a").read_bytes() == data
        assert os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize(
    "words",
    [
        ["--provider", CODE, "-o", "b"],
        ["--provider", CODE, "--as-producer", "--as-propagator", "-o", "b"],
        ["--provider", CODE, "--as-producer"],
        ["--provider", CODE, "--as-producer", "-o", "b", "--in-place"],
        ["--provider", CODE, "--as-producer", "--declared", "-o", "b"],
        ["--as-producer", "-o", "b"],
    ],
)
def test_orders_that_contradict_themselves_do_nothing(tmp_path: Path, words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").write_bytes(sample("plain.png"))
    assert run("a", *words).exit_code == 2
    assert os.listdir(tmp_path) == ["a"]


def test_every_notice_names_both_elements() -> None:
    assert all(holds_elements(zh) for zh, _ in NOTICES.values())
    assert set(NOTICES) == {"declared", "possible", "suspected", "none"}


def test_texts_get_their_labels_where_they_can_stand(tmp_path: Path) -> None:
    texts = tmp_path / "texts"
    texts.mkdir()
    (texts / "page.html").write_text("<p>words")
    (texts / "notes.md").write_text("# words\n")
    (texts / "table.csv").write_text("a,b\n")
    out = tmp_path / "out"
    done = run(texts, "--as-producer", "--provider", CODE, "-o", out, "--json")
    assert done.exit_code == 0, done.output
    names = [path.name for path in sorted(out.rglob("*")) if path.is_file()]
    assert names == ["notes.md", "page.html", "table.csv", "table.csv.aigc.json"]
    for name in names[:3]:
        assert isinstance(read_file(out / name), FileLabel)
    looked = RUNNER.invoke(whole_app(), ["inspect", str(out), "--json"])
    assert looked.exit_code == 0
    assert len(looked.stdout.splitlines()) == 3, "the label beside a text is no file of its own"
    again = run(texts / "table.csv", "--as-producer", "--provider", CODE, "-o", out / "table.csv")
    assert again.exit_code != 0
    assert sorted(path.name for path in out.iterdir()) == names


def test_a_label_that_lies_beside_a_missing_text_is_not_overwritten(folder: Path) -> None:
    (folder / "a.txt").write_text("words")
    (folder / "out.txt.aigc.json").write_text("another's")
    done = run(folder / "a.txt", "--as-producer", "--provider", CODE, "-o", folder / "out.txt")
    assert done.exit_code == 1
    assert f"'{folder / 'out.txt.aigc.json'}' exists already" in done.stderr
    assert (folder / "out.txt.aigc.json").read_text() == "another's"
    assert sorted(path.name for path in folder.iterdir()) == ["a.txt", "in", "out.txt.aigc.json"]


def test_a_text_that_somebody_put_there_meanwhile_gets_no_label_beside_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "a.txt").write_text("words")
    (folder / "out.txt").write_text("somebody's")
    monkeypatch.setattr(Path, "exists", lambda path: path.name != "out.txt" and os.path.lexists(path))
    done = run(folder / "a.txt", "--as-producer", "--provider", CODE, "-o", folder / "out.txt")
    assert done.exit_code == 1
    assert sorted(path.name for path in folder.iterdir()) == ["a.txt", "in", "out.txt"]
