"""The Screener says what the gateway says, in order, from any library; and it needs no Django.

Guarded lines, each seen red when changed: `islice` in `_batch` (texts without end), `service or next(…)` in `of_data_folder`, the bundle's
version there, the direction that `examine_many` passes on.
"""

import doctest
import itertools
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guiju.core.errors import GuijuError
from guiju.gateway.tests.rig import LIBRARY, TERM, Site
from guiju.screening import Screener, screener
from guiju.screening.libraries.library import COLUMNS, parse_csv, starter_library
from guiju.screening.matching.snapshot import Snapshot
from guiju.screening.matching.tests.test_gate import libraries, texts
from guiju.screening.values import LibraryEntry, Policy

CSV = ",".join(COLUMNS) + "\n赌博,A.1.h,block,both,赌博罪,,,,\n骂人,A.2.i,flag,both,,,,,\n"


def test_the_examples_of_the_documentation_hold() -> None:
    found = doctest.testmod(screener)
    assert found.failed == 0
    assert found.attempted > 10


def test_without_a_library_it_is_the_starter_and_names_what_it_does_not_cover() -> None:
    made = Screener()
    assert made.version == starter_library().version
    assert made.entries == starter_library().entries
    assert {"A.1.a", "A.1.b", "A.1.c", "A.1.d", "A.1.e", "A.1.g"} <= set(made.uncovered)
    assert "A.1.h" not in made.uncovered


@pytest.mark.parametrize("name", ["mine.csv", "mine.yaml"])
def test_a_library_comes_from_a_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text(CSV if name.endswith("csv") else "- {term: 赌博, risk: A.1.h, exceptions: [赌博罪]}\n")
    made = Screener(str(path))
    assert made.examine("赌博").action == "refuse"
    assert made.examine("赌博罪").outcome == "pass"
    if name.endswith("csv"):
        assert made.version == parse_csv(CSV.encode()).version
        assert made.examine("别骂人").action == "deliver"


def test_a_library_that_cannot_be_read_is_told_in_three_parts(tmp_path: Path) -> None:
    with pytest.raises(GuijuError) as missing:
        Screener(tmp_path / "none.csv")
    assert missing.value.code.code == "SCREEN-LIBRARY"
    assert "No such file" in missing.value.text("en")
    assert "没有审查任何文本" in missing.value.text("zh")
    (tmp_path / "bad.csv").write_text("term,risk\n赌,A.9\n")
    with pytest.raises(GuijuError, match="LIBRARY-INVALID"):
        Screener(tmp_path / "bad.csv")


def test_the_policy_decides_by_direction() -> None:
    policy = Policy(on_input={"*": "refuse", "A.2": "deliver"}, on_output={"*": "stop"})
    made = Screener([LibraryEntry("kw-1", "赌博", "A.2.i")], policy)
    assert made.examine("赌博").action == "deliver"
    assert made.examine("赌博", "output").action == "stop"
    stream = made.stream()
    assert (stream.feed("去赌"), stream.feed("博吧"), stream.finish()) == ("去", "", "")
    assert stream.stopped
    assert stream.hit is not None
    assert (stream.hit.start, stream.hit.end, stream.hit.action) == (1, 3, "stop")
    assert Screener([LibraryEntry("kw-1", "赌博", "A.2.i")], Policy(on_output={"*": "deliver"})).stream().feed("赌博。") == "赌博。"


@settings(max_examples=200, deadline=None)
@given(libraries, st.lists(texts, max_size=12))
def test_many_are_examined_in_order_as_each_alone(library: list[LibraryEntry], many: list[str]) -> None:
    made = Screener(library)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(screener, "BATCH_CHARACTERS", 40)
        snapshot = Snapshot(library, "test")
        assert list(made.examine_many(many, "output")) == [snapshot.examine(text, "output", made.policy) for text in many]


def test_texts_without_end_are_taken_as_they_are_needed() -> None:
    taken = itertools.count()
    verdicts = Screener([LibraryEntry("kw-1", "赌博", "A.1.h")]).examine_many(f"{next(taken)} 赌博" for _ in itertools.repeat(0))
    assert [next(verdicts).outcome for _ in range(3)] == ["hit"] * 3
    assert next(taken) <= 4_096


def test_empty_texts_and_odd_ones_have_their_verdict() -> None:
    made = Screener([LibraryEntry("kw-1", "赌博", "A.1.h")])
    odd = ["", "\n", "\ud800", "赌\x00博", "\\", "赌" * 10_000 + "博"]
    assert [verdict.outcome for verdict in made.examine_many(odd)] == ["pass", "pass", "pass", "hit", "pass", "hit"]
    assert list(made.examine_many([])) == []


def test_what_is_in_force_in_a_data_folder_is_what_examines(tmp_path: Path) -> None:
    site = Site(tmp_path / "data", "http://127.0.0.1:9/v1")
    site.publish()
    made = Screener.of_data_folder(site.folder.root)
    assert (made.version, made.entries, made.policy) == ("library-1", LIBRARY, site.bundle.services[0].policy)
    assert made.examine(TERM).action == "refuse"
    assert Screener.of_data_folder(site.folder.root, "narrow").entries == LIBRARY
    with pytest.raises(GuijuError, match=r"SCREEN-SERVICE.*'nobody'"):
        Screener.of_data_folder(site.folder.root, "nobody")
    with pytest.raises(GuijuError, match="BUNDLE-INVALID"):
        Screener.of_data_folder(tmp_path / "empty")
    (bundle,) = site.folder.bundles.glob("*.bundle")
    raw = bytearray(bundle.read_bytes())
    raw[-1] ^= 1
    bundle.write_bytes(raw)
    with pytest.raises(GuijuError, match="BUNDLE-INVALID"):
        Screener.of_data_folder(site.folder.root)


def test_it_needs_no_django_rich_or_typer() -> None:
    code = (
        "import sys\nfrom guiju.screening import Screener\n"
        "assert Screener().examine('代办假身份证').action == 'refuse'\n"
        "print(*[name for name in sys.modules if name.split('.')[0] in ('django', 'rich', 'typer')])"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], check=False, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr
