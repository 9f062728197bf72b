"""The house is as the architecture page says: a package for each duty, named rooms, small files, no leftovers."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.import_rules import DUTIES

TOP = Path(__file__).parent.parent
GUIJU = TOP / "src" / "guiju"
LINES_AT_MOST = 500
LONGER: dict[str, str] = {
    "gateway/stream.py": "one machine: pieces, stops and endings of a streamed answer share its state",
}
"""Source files over the limit: path below `src/guiju` → why. Nothing may grow past LINES_EVER."""
LINES_EVER = 620

SOURCE_SUFFIXES = {".py", ".html", ".js", ".css", ".md", ".toml", ".txt"}
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "managers", "stuff", "lib"}
LEFTOVER = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|X" + r"XX)\b")
# In pieces, so that this file does not hold what it forbids.
MACHINE = re.compile(r"(?<![\w.])/(?:wo" + r"rk|ro" + r"ot|home/\w+)(?:/|\b)")
TEMPORARY = re.compile(r"(?<![\w.])/t" + r"mp\b")

PACKAGES = sorted(path.parent for path in GUIJU.glob("*/__init__.py"))


def _files(*folders: str) -> Iterator[Path]:
    for folder in folders:
        for path in sorted((TOP / folder).rglob("*")):
            if path.is_file() and not {"__pycache__", "node_modules", "out", "site"} & set(path.parts):
                yield path


def _names_articles(text: str) -> set[int]:
    """Return the numbers after `Art.`, `Arts.`, `Article` or `Articles`, and those in 第…条."""
    found = re.findall(r"\bArt(?:s\.?|\.|icles?:?)\s+((?:\d+(?:\(\d\))?[\s,;and–-]*)+)", text) + re.findall(
        r"第\s*([\d、，\s]+)\s*条", text
    )
    return {int(number) for part in found for number in re.findall(r"\d+", re.sub(r"\(\d\)", "", part))}


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_every_package_has_a_readme_that_names_its_articles(package: Path) -> None:
    readme = package / "README.md"
    assert readme.is_file(), f"{package.name} has no README.md"
    missing = set(DUTIES.get(package.name, ())) - _names_articles(readme.read_text())
    assert not missing, f"{package.name}/README.md does not name Articles {sorted(missing)}"


def test_articles_are_read_as_people_write_them() -> None:
    assert _names_articles("Measures Arts. 4, 9 and 14; in 2023") == {4, 9, 14}
    assert _names_articles("Articles: 2, 10. 第 12、17 条") == {2, 10, 12, 17}
    assert _names_articles("Art. 4(2) of 2023") == {4}
    assert _names_articles("31 risks, 5 groups") == set()


def test_every_duty_is_in_the_design_and_around_it_lies_little() -> None:
    around = {"core", "web", "serve", "demo", "handbook"}
    assert {package.name for package in PACKAGES} <= set(DUTIES) | around


def test_no_file_needs_a_table_of_contents() -> None:
    long = {
        str(path.relative_to(GUIJU)): lines
        for path in _files("src/guiju")
        if path.suffix in SOURCE_SUFFIXES and (lines := len(path.read_text().splitlines())) > LINES_AT_MOST
    }
    assert set(long) == set(LONGER), f"over {LINES_AT_MOST} lines and unexplained, or explained and short: {long}"
    assert max(long.values(), default=0) <= LINES_EVER, long


def test_tests_lie_beside_the_code() -> None:
    for folder in GUIJU.rglob("tests"):
        assert (folder / "__init__.py").is_file(), f"{folder} has no __init__.py"
        assert list(folder.parent.glob("*.py")), f"{folder} lies beside no code"
    stray = [path for path in GUIJU.rglob("test_*.py") if path.parent.name != "tests"]
    assert not stray


def test_names_say_what_is_inside() -> None:
    vague = [
        path for path in (*GUIJU.rglob("*"), *(TOP / "tests").rglob("*"), *(TOP / "bench").rglob("*")) if path.stem.lower() in VAGUE_NAMES
    ]
    assert not [path for path in vague if "node_modules" not in path.parts]


def test_nothing_is_left_over_and_no_machine_is_named() -> None:
    found = []
    for path in (*_files("src", "tests", "bench", "docs", "changelog.d"), *(path for path in TOP.iterdir() if path.is_file())):
        if path.suffix in {".mo", ".png", ".lock", ".gz", ".bin"} or path.name == "LICENSE":
            continue
        text = path.read_text()
        patterns = [LEFTOVER, MACHINE, *([TEMPORARY] if GUIJU in path.parents else [])]
        found += [f"{path.relative_to(TOP)}: {hit[0]}" for pattern in patterns for hit in pattern.finditer(text)]
    assert not found


def test_changelog_fragments_say_the_outcome_in_both_languages() -> None:
    fragments = list((TOP / "changelog.d").iterdir())
    assert fragments
    for path in fragments:
        assert re.fullmatch(r"\d+\.(law|security|feature|fix|removal)(\.\d+)?\.md", path.name), path.name
        text = path.read_text()
        assert re.search("[\u4e00-\u9fff]", text), path.name
        assert re.search("[A-Za-z]{3}", text), path.name


@pytest.mark.parametrize("text", ["see /wo" + "rk/x", "TO" + "DO later", "'/ro" + "ot'", "in /home/" + "ann/y"])
def test_leftovers_are_seen(text: str) -> None:
    assert LEFTOVER.search(text) or MACHINE.search(text)


def test_what_only_looks_like_a_leftover_is_not() -> None:
    text = "GET /v1/work, ./root, https://example.com/work, todo_zh"
    assert not MACHINE.search(text), MACHINE.search(text)
    assert not LEFTOVER.search(text)
