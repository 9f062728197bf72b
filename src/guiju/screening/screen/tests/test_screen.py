"""`guiju screen`: every text has its verdict, in order, from every kind of file; what cannot be read is told and never passes.

Guarded lines, each seen red when changed: `begun` in `line_blocks` (a line over two blocks), the order of `waiting` in `examine_blocks`,
`problem_of` in `_examine`, SIGINT blocked in `_pool`, `replaced` in `_text_rows`, `_GZIP` in `open_source`.
"""

import gzip
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guiju.core.errors import GuijuError
from guiju.gateway.tests.rig import TERM, Site, wait_for
from guiju.screening import Screener
from guiju.screening.screen import sources
from guiju.screening.screen.bulk import OnError, Task, examine_block, examine_blocks, problem_of
from guiju.screening.screen.sources import Block, Form, line_blocks, open_source
from guiju.screening.values import LibraryEntry

SCREENER = Screener([LibraryEntry("kw-1", "赌博", "A.1.h", "block", ("赌博罪",)), LibraryEntry("kw-2", "吵架", "A.2.i", "flag")])
LIBRARY = "term,risk,severity\n赌博,A.1.h,block\n吵架,A.2.i,flag\n"


def run(*arguments: str | Path, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "guiju.cli", "screen", *map(str, arguments)]
    return subprocess.run(command, input=given, capture_output=True, check=False, timeout=120)


def outcomes(out: bytes) -> list[tuple[int, str]]:
    return [(line["place"], line["outcome"]) for line in map(json.loads, out.splitlines())]


@pytest.fixture
def library(tmp_path: Path) -> Path:
    path = tmp_path / "library.csv"
    path.write_text(LIBRARY)
    return path


def examined(form: Form, raw: bytes, field: str = "text", on_error: OnError = "stop") -> tuple[list[Any], GuijuError | None]:
    found = examine_block(SCREENER, Block(1, raw), Task(form, field, on_error=on_error, as_json=True))
    return [json.loads(line) for line in found.out.splitlines()], problem_of(found)


# ── from the command line ───────────────────────────────────────────────────────────────────────────────────────────────


def test_the_exit_status_says_what_was_found(tmp_path: Path, library: Path) -> None:
    clean, found = tmp_path / "clean.txt", tmp_path / "found.txt"
    clean.write_text("今天天气好\n出门走走\n")
    found.write_text("今天天气好\r\n去賭 博\n别吵架")
    nothing = run(clean, "--library", library)
    assert (nothing.returncode, nothing.stdout) == (0, b"")
    hit = run(found, "--library", library)
    assert hit.returncode == 1
    rows = [line.split("\t")[:6] for line in hit.stdout.decode().splitlines()]
    assert rows == [["2", "-", "1-4", "A.1.h", "block", "refuse"], ["3", "-", "1-3", "A.2.i", "flag", "deliver"]]
    told = hit.stderr.decode()
    assert "文本 texts" in told
    assert "A.1.h" in told
    assert "A.1.a" in told.split("risks without a term")[1]  # what is not covered is said
    assert "賭" not in told
    missing = run(tmp_path / "none.txt")
    assert missing.returncode == 2
    assert b"SCREEN-FILE" in missing.stderr
    assert b"No such file" in missing.stderr


def test_json_lines_have_place_outcome_action_and_hits(library: Path) -> None:
    done = run("-", "--library", library, "--json", "--direction", "output", given="好\n去赌博\n".encode())
    assert json.loads(done.stdout.splitlines()[0]) == {"place": 1, "outcome": "pass", "action": "deliver", "hits": []}
    (hit,) = json.loads(done.stdout.splitlines()[1])["hits"]
    assert (hit["start"], hit["end"], hit["risk"], hit["severity"], hit["action"]) == (1, 3, "A.1.h", "block", "stop")
    assert hit["rule"].startswith("kw-")
    assert outcomes(run("-", "--library", library, "--json", "--only-hits", given="好\n去赌博\n".encode()).stdout) == [(2, "hit")]


def test_what_is_in_force_in_a_data_folder_examines(tmp_path: Path, library: Path) -> None:
    site = Site(tmp_path / "data", "http://127.0.0.1:9/v1")
    site.publish()
    assert run("-", "--data", site.folder.root, given=TERM.encode()).returncode == 1
    assert run("-", "--data", site.folder.root, given="别吵架".encode()).returncode == 0
    both = run("-", "--data", site.folder.root, "--library", library)
    assert both.returncode == 2
    unknown = run("-", "--data", site.folder.root, "--service", "nobody")
    assert (unknown.returncode, b"SCREEN-SERVICE" in unknown.stderr) == (2, True)


def test_more_processes_give_the_same_in_the_same_order(tmp_path: Path, library: Path) -> None:
    path = tmp_path / "many.txt.gz"
    lines = [("去赌博" if n % 97 == 0 else "出门走走，") * (1 + n % 40) for n in range(40_000)]
    path.write_bytes(gzip.compress("\n".join(lines).encode(), 1))
    one, two = (run(path, "--library", library, "--json", "--jobs", jobs) for jobs in ("1", "2"))
    assert one.stdout == two.stdout
    assert (one.returncode, two.returncode) == (1, 1)
    assert [place for place, _ in outcomes(one.stdout)] == list(range(1, 40_001))
    assert sum(outcome == "hit" for _, outcome in outcomes(one.stdout)) == len(range(0, 40_000, 97))


def test_bytes_that_are_not_utf_8_are_told_with_their_line(tmp_path: Path, library: Path) -> None:
    path = tmp_path / "bad.txt"
    path.write_bytes("去赌博\n".encode() + b"ab\xff\xfe\n" + "再赌博\n".encode())
    stop, replace, note = (run(path, "--library", library, "--json", "--errors", way) for way in ("stop", "replace", "note"))
    assert (stop.returncode, outcomes(stop.stdout)) == (2, [(1, "hit")])
    assert "第 2 行不是 UTF-8" in stop.stderr.decode()
    assert "byte 0xff at position 3" in stop.stderr.decode()
    assert (replace.returncode, outcomes(replace.stdout)) == (1, [(1, "hit"), (2, "pass"), (3, "hit")])
    assert "bytes replaced" in replace.stderr.decode()
    assert (note.returncode, outcomes(note.stdout)) == (2, [(1, "hit"), (2, "could_not_examine"), (3, "hit")])
    assert json.loads(note.stdout.splitlines()[1])["action"] == "refuse"


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_leaves_a_clean_line_of_what_was_done(library: Path, jobs: str) -> None:
    command = [sys.executable, "-m", "guiju.cli", "screen", "-", "--library", str(library), "--json", "--jobs", jobs]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write("去赌博\n好\n".encode())
        process.stdin.flush()
        first = process.stdout.readline() if jobs == "1" else b""
        if jobs == "2":
            wait_for(lambda: len(psutil.Process(process.pid).children()) >= 3)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of them
        out, told = process.stdout.read(), process.stderr.read().decode()
    assert process.returncode == 130
    assert "Traceback" not in told
    done = 2 if first else 0
    assert f"interrupted: 已审查 examined {done}，" in told
    assert len((first + out).splitlines()) == done


def test_a_process_that_is_killed_is_an_error_and_no_pass(library: Path) -> None:
    command = [sys.executable, "-m", "guiju.cli", "screen", "-", "--library", str(library), "--jobs", "2"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stderr is not None

        def workers() -> list[psutil.Process]:
            return [child for child in psutil.Process(process.pid).children() if "spawn_main" in " ".join(child.cmdline())]

        wait_for(lambda: len(workers()) == 2)
        for worker in workers():
            worker.kill()
        process.stdin.write("去赌博\n".encode() * 100)
        process.stdin.close()
        told = process.stderr.read().decode()
    assert process.returncode == 2
    assert "SCREEN-PROCESS" in told
    assert "Traceback" not in told


def test_a_reader_that_leaves_ends_it_quietly(tmp_path: Path, library: Path) -> None:
    path = tmp_path / "many.txt"
    path.write_text("去赌博\n" * 200_000)
    command = [sys.executable, "-m", "guiju.cli", "screen", str(path), "--library", str(library)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        told = process.stderr.read().decode()
    assert process.returncode == 2
    assert "Traceback" not in told
    assert "BrokenPipe" not in told


def test_a_large_file_takes_the_memory_of_a_small_one(tmp_path: Path, library: Path) -> None:
    def peak_mb(lines: int) -> int:
        path = tmp_path / "lines.txt"
        path.write_text("今天天气好，出门走走。\n" * lines)
        code = (
            "import re, sys\nfrom guiju.cli import main\n"
            f"sys.argv = ['guiju', 'screen', {str(path)!r}, '--library', {str(library)!r}]\n"
            "try:\n    main()\nfinally:\n    print(int(re.search(r'VmHWM:\\s*(\\d+)', open('/proc/self/status').read())[1]) // 1024)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr
        assert f"{lines:,}" in done.stderr
        return int(done.stdout)

    assert peak_mb(1_000_000) < peak_mb(20_000) + 20  # 33 MB of text


# ── rows ────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60).map(lambda raw: raw.replace(b"\x00", b"\n")), st.integers(1, 9))
def test_blocks_are_the_whole_lines_of_the_file(raw: bytes, size: int) -> None:
    pieces = iter([raw[at : at + size] for at in range(0, len(raw), size)])
    blocks = list(line_blocks(lambda _: next(pieces, b""), lambda: 0, "x"))
    assert b"".join(block.raw for block in blocks) == raw.removeprefix(b"\xef\xbb\xbf")
    assert all(block.raw.endswith(b"\n") for block in blocks[:-1])
    for before, after in zip(blocks, blocks[1:], strict=False):
        assert after.first == before.first + before.raw.count(b"\n")


def test_a_line_without_end_is_refused_before_it_fills_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "LINE_LIMIT_BYTES", 1_000)
    pieces = iter([b"a\nb\n", *[b"x" * 100] * 20])
    blocks = line_blocks(lambda _: next(pieces, b""), lambda: 0, "x")
    assert next(blocks).raw == b"a\nb\n"
    with pytest.raises(GuijuError, match="Line 3 of 'x' is longer than 1000 bytes"):
        next(blocks)
    assert next(pieces, b"")


def test_a_gzip_that_was_cut_off_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "cut.gz"
    path.write_bytes(gzip.compress(os.urandom(3_000).hex().encode() + b"\n", 1)[:-900])
    with pytest.raises(GuijuError, match="SCREEN-FILE"):
        list(open_source(str(path), "text").blocks)


JSON: list[tuple[str, str, list[tuple[str, int]]]] = [
    ("text", '{"text": "去赌博"}', [("", 1)]),
    ("a.b", '{"a": {"b": "去赌博"}}', [("", 1)]),
    ("a.b", '{"a.b": "去赌博"}', [("", 1)]),
    ("a.b", '{"a": [{"b": "好"}, {"b": "去赌博"}, {}]}', [("a[1].b", 1)]),
    ("messages", '{"messages": [{"role": "user", "content": [{"type": "text", "text": "赌博"}]}]}', [("messages[0].content[0].text", 0)]),
    ("text", '{"text": ["好", "赌博", "赌博罪"]}', [("text[1]", 0)]),
    ("text", r'{"text": "\ud800赌\u535a"}', [("", 1)]),
]


@pytest.mark.parametrize(("field", "line", "hits"), JSON)
def test_fields_of_json_lines(field: str, line: str, hits: list[tuple[str, int]]) -> None:
    rows, problem = examined("jsonl", line.encode(), field)
    assert problem is None
    assert [(hit["path"], hit["start"]) for row in rows for hit in row["hits"]] == hits


BAD_JSON: Sequence[tuple[bytes, str]] = [
    (b'{"text": ', "SCREEN-JSON"),
    (b"[" * 100_000, "SCREEN-JSON"),
    (b'{"other": "x"}', "SCREEN-FIELD"),
    (b'{"text": 7}', "SCREEN-FIELD"),
    (b"7", "SCREEN-FIELD"),
    (b'{"text": "\xff"}', "SCREEN-ENCODING"),
]


@pytest.mark.parametrize(("line", "code"), BAD_JSON, ids=range(len(BAD_JSON)))
def test_a_json_line_without_a_text_is_told_or_noted_and_never_passes(line: bytes, code: str) -> None:
    raw = b'{"text": "x"}\n\n' + line + b'\n{"text": null}\n'
    rows, problem = examined("jsonl", raw)
    assert [row["place"] for row in rows] == [1]
    assert problem is not None
    assert problem.code.code == code
    assert "3" in problem.text("zh")
    rows, problem = examined("jsonl", raw, on_error="note")
    assert problem is None
    assert [(row["place"], row["outcome"], row.get("reason")) for row in rows] == [
        (1, "pass", None),
        (3, "could_not_examine", code),
        (4, "pass", None),
    ]


def test_parquet_is_read_by_its_column(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = tmp_path / "rows.parquet"
    texts = ["好", "去赌博", None, *["好"] * 600, "赌博"]
    table = pyarrow.table({"text": texts, "chat": [{"said": text} for text in texts], "n": list(range(len(texts)))})
    parquet.write_table(table, path, row_group_size=100)
    for field, place in (("text", ""), ("chat.said", "")):
        source = open_source(str(path), "parquet", field)
        assert source.whole == len(texts)
        found = list(examine_blocks(SCREENER, source.blocks, Task("parquet", field, as_json=True, only_hits=True)))
        hits = [json.loads(line) for block in found for line in block.out.splitlines()]
        assert [(row["place"], row["hits"][0]["path"]) for row in hits] == [(2, place), (len(texts), place)]
        assert sum(block.tally.texts for block in found) == len(texts)
        assert found[-1].done == len(texts)
    with pytest.raises(GuijuError, match=r"no column 'body'.*text, chat, n"):
        open_source(str(path), "parquet", "body")
    with pytest.raises(GuijuError, match="SCREEN-FILE"):
        open_source("-", "parquet", "text")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(GuijuError, match="SCREEN-FILE"):
        open_source(str(path), "parquet", "text")


def test_parquet_without_pyarrow_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(GuijuError) as caught:
        open_source("rows.parquet", "parquet", "text")
    assert "guiju[parquet]" in caught.value.text("zh")
    assert "guiju[parquet]" in caught.value.text("en")


def test_of_many_hits_in_one_text_the_last_that_is_told_says_how_many_more_there_are() -> None:
    screener = Screener([LibraryEntry("kw-1", "赌博", "A.1.h", "flag")])
    block = Block(1, ("赌博" * 250).encode())
    hits = json.loads(examine_block(screener, block, Task("text", as_json=True)).out)["hits"]
    assert [hit.get("more") for hit in hits] == [None] * 99 + [150]
    assert examine_block(screener, block, Task("text")).out.splitlines()[-1].endswith(b"kw-1\t+150")
