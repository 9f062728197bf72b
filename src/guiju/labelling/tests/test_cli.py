"""`guiju inspect`: verdict and exit status, rows for programs, folders, and files whose values would steer a terminal."""

import csv
import io
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner, Result

from guiju.cli import whole_app
from guiju.labelling.cli import batch
from guiju.labelling.containers.tests.samples import CODE, INNER, LABEL, png_with, sample
from guiju.labelling.files import first_label, write
from guiju.labelling.findings import CHECKS
from guiju.labelling.values import FileLabel

RUNNER = CliRunner()


def run(*words: str, given: bytes | None = None) -> Result:
    return RUNNER.invoke(whole_app(), ["inspect", *words], input=given)


@contextmanager
def serving(body: bytes) -> Iterator[str]:
    """Serve one file at `/` of a server on loopback."""

    class Server(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/" else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Server) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        thread.join()


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
    if status == 0:
        assert "explicit_image（画面上的显式标识 / the explicit label on a picture）" in done.output
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


ALL = {
    "container_walk", "one_label", "json_object", "keys_present", "key_spelling", "extra_key", "value_is_string", "label_enum", "charset",
    "least_elements", "provider_code_format", "uscc_checksum", "service_type_matches_field",
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "check", "outcome", "status"),
    [
        (INNER, "provider_code_format", "warn", 0),
        (INNER, "first_write_equality", "info", 0),
        (INNER, "security_data", "info", 0),
        (INNER, "explicit_image", "not_examined", 0),
        (INNER.replace('"Label":"1"', '"Label":"9"'), "label_enum", "fail", 1),
        (INNER.replace('"Label":"1"', '"Label":1'), "value_is_string", "fail", 1),
        (INNER.replace("MiniMax", CODE[:-6] + "X" + CODE[-5:]), "uscc_checksum", "fail", 1),
        (INNER.replace("MiniMax", CODE[:22] + "20000"), "service_type_matches_field", "fail", 1),
        (INNER.replace("7f3a", "7 f"), "charset", "warn", 0),
        (INNER.replace("ReservedCode1", "ReserveCode1"), "key_spelling", "fail", 1),
        (INNER.replace("ReservedCode1", "ReserveCode1"), "keys_present", "fail", 1),
        (INNER.replace("}", ',"Timestamp":"1"}'), "extra_key", "warn", 0),
        (INNER.replace('"ProduceID":"7f3a"', '"ProduceID":""'), "least_elements", "fail", 1),
        ("AI", "json_object", "fail", 1),
        ("AI", "charset", "not_examined", 1),
    ],
)
def test_every_check_is_told_by_its_name(tmp_path: Path, text: str, check: str, outcome: str, status: int) -> None:
    (tmp_path / "a").write_bytes(png_with((b"iTXt", b"AIGC" + bytes(5) + text.encode())))
    done = run("--json", str(tmp_path / "a"))
    told = {each["check"]: each["outcome"] for each in json.loads(done.stdout)["findings"]}
    assert told[check] == outcome
    assert done.exit_code == status
    assert set(told) >= ALL
    assert set(told) <= set(CHECKS)


def test_without_a_label_only_what_was_walked_is_passed(folder: Path) -> None:
    told = json.loads(run("--json", str(folder / "below" / "plain.mp3")).stdout)["findings"]
    assert [(each["check"], each["outcome"]) for each in told] == [("container_walk", "pass"), ("explicit_audio", "not_examined")]
    told = json.loads(run("--json", str(folder / "cut.jpg")).stdout)["findings"]
    assert [(each["check"], each["outcome"]) for each in told] == [("container_walk", "not_examined")]


def test_a_report_holds_every_row(folder: Path) -> None:
    (folder / "=cmd.png").write_bytes(png_with((b"tEXt", b"AIGC\0=1+1")))
    done = run(str(folder), "--out", str(folder.parent / "report.csv"))
    raw = (folder.parent / "report.csv").read_bytes()
    rows = list(csv.DictReader(io.StringIO(raw.decode("utf-8-sig"))))
    assert done.exit_code == 1
    assert len(rows) == 5
    by_name = {Path(row["file"]).name: row for row in rows}
    assert by_name["labelled.txt"]["ProduceID"] == LABEL.produce_id
    assert (by_name["labelled.txt"]["channel"], by_name["labelled.txt"]["offset"]) == ("png:iTXt XMP", "33")
    assert "value_is_string" in by_name["wrong.png"]["fails"]
    assert by_name["=cmd.png"]["payload"] == "'=1+1"
    run(str(folder), "--out", str(folder.parent / "report.json"))
    assert len(json.loads((folder.parent / "report.json").read_bytes())) == 5
    assert run(str(folder), "--out", "report.txt").exit_code == 2
    assert "不合规 noncompliant" in done.stdout.splitlines()[-3] or "noncompliant" in done.stdout


def test_many_files_are_read_side_by_side_in_their_order(tmp_path: Path) -> None:
    for number in range(40):
        (tmp_path / f"{number:02}").write_bytes(write(sample("plain.png"), first_label(CODE, str(number))) if number % 2 else b"junk")
    done = run("--json", "--jobs", "2", str(tmp_path))
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [Path(row["file"]).name for row in rows] == [f"{number:02}" for number in range(40)]
    assert [row["verdict"] for row in rows] == ["inconclusive", "compliant"] * 20
    assert done.exit_code == 3


def _dies(name: str) -> str:
    if name == "dies":
        os._exit(9)
    return name


def test_a_file_that_takes_its_process_down_is_told_and_the_others_go_on() -> None:
    names = [f"a{number}" for number in range(10)] + ["dies"] + [f"b{number}" for number in range(10)]
    assert list(batch.each_done(_dies, names, 2, lambda name: f"lost {name}")) == [
        "lost dies" if name == "dies" else name for name in names
    ]


@pytest.mark.parametrize(
    ("before", "after", "change", "status"),
    [
        (LABEL, LABEL, "kept", 0),
        (LABEL, None, "removed", 1),
        (None, LABEL, "added", 0),
        (None, None, "none", 2),
        (LABEL, first_label(CODE, "other"), "changed", 1),
        (LABEL, msgspec.structs.replace(LABEL, content_propagator="001191310104MACE0YX63918020", propagate_id="p"), "propagated", 0),
    ],
)
def test_what_happened_to_a_label_between_two_files(
    tmp_path: Path, before: FileLabel | None, after: FileLabel | None, change: str, status: int
) -> None:
    for name, label in (("a", before), ("b", after)):
        (tmp_path / name).write_bytes(sample("plain.png") if label is None else write(sample("plain.png"), label))
    done = run("--before", str(tmp_path / "a"), str(tmp_path / "b"), "--json")
    assert json.loads(done.stdout)["change"] == change
    assert done.exit_code == status
    (tmp_path / "b").write_bytes((tmp_path / "b").read_bytes()[:50])
    assert run("--before", str(tmp_path / "a"), str(tmp_path / "b")).exit_code == 3
    assert run("--before", str(tmp_path / "a"), str(tmp_path / "c")).exit_code == 10


def test_a_url_is_inspected_and_a_private_one_only_with_leave() -> None:
    with serving(write(sample("plain.png"), LABEL)) as url:
        refused = run(url)
        assert refused.exit_code == 10
        assert "FETCH-ADDRESS" in refused.stderr
        done = run("--json", "--allow-private", url)
        row = json.loads(done.stdout)
        assert (done.exit_code, row["verdict"], row["fetched_from"]) == (0, "compliant", url)
        assert run("--allow-private", url + "missing").exit_code == 10


def test_nothing_to_inspect_is_not_compliant(tmp_path: Path) -> None:
    assert run(str(tmp_path)).exit_code == 10


# ── saved answers ───────────────────────────────────────────────────────────────────────────────────────────────────────

ANSWER = {"id": "chatcmpl-1", "choices": [{"message": {"content": '"aigc": {"Label": "3"}'}}]}


def _aigc(number: str = "01M8541RFZ2W8VNPF2VCNJVC99", **more: object) -> dict[str, object]:
    keys = {"ContentProducer": CODE, "ProduceID": number, "ReservedCode1": "", "ContentPropagator": CODE, "PropagateID": number}
    return {"Label": "1", **keys, "ReservedCode2": "", "explicit": "suffix", "explicit_required": False, **more}


def _stream(*events: dict[str, object]) -> bytes:
    lines = "".join(f"data: {json.dumps({**ANSWER, **event}, ensure_ascii=False)}\r\n\r\n" for event in events)
    return f": 保持连接\n\n{lines}data: [DONE]\n\n".encode()


@pytest.mark.parametrize(
    ("raw", "verdict", "label"),
    [
        (json.dumps(ANSWER | {"aigc": _aigc()}).encode(), "compliant", True),
        (json.dumps(ANSWER | {"aigc": _aigc()}, indent=2).encode("utf-8-sig"), "compliant", True),
        (_stream({"aigc": _aigc(explicit="undecided")}, {}, {"aigc": _aigc()}), "compliant", True),
        (_stream({"aigc": _aigc()}, {"aigc": _aigc("another-number")}), "noncompliant", False),
        (json.dumps(ANSWER | {"aigc": _aigc(Label=1)}).encode(), "noncompliant", True),
        (json.dumps(ANSWER | {"aigc": {"Label": "1"}}).encode(), "noncompliant", False),
    ],
)
def test_a_saved_answer_says_what_its_aigc_object_names(tmp_path: Path, raw: bytes, verdict: str, label: bool) -> None:
    """Guarded line: `saved_answer.find_sites(source)` of `_inspect`."""
    file = tmp_path / "answer.json"
    file.write_bytes(raw)
    for done in (run(str(file), "--json"), run("-", "--json", given=raw)):
        row = json.loads(done.stdout)
        assert (row["container"], row["verdict"], row["label"] is not None) == ("answer", verdict, label)
        if verdict == "compliant":
            assert (row["label"]["ProduceID"], row["warnings"], row["state"]) == ("01M8541RFZ2W8VNPF2VCNJVC99", [], "declared")


@pytest.mark.parametrize("raw", [json.dumps(ANSWER).encode(), _stream({}), b"{" * 5_000, b'{"aigc": {"x": 1}}', b'{"aigc": 1}'])
def test_what_has_no_aigc_object_is_a_text_as_before(tmp_path: Path, raw: bytes) -> None:
    file = tmp_path / "other.json"
    file.write_bytes(raw)
    row = json.loads(run(str(file), "--json").stdout)
    assert (row["container"], row["verdict"]) == ("text", "not_found")


@pytest.mark.parametrize(
    ("given", "told"), [(b"", "标准输入没有内容"), ("一段文字".encode(), "请存为 .txt"), (b"\x00\x01", "无法识别文件格式")]
)
def test_standard_input_that_is_not_known_says_why(given: bytes, told: str) -> None:
    """Guarded line: `hint != "-"` of `_unknown`."""
    done = run("-", given=given)
    assert (done.exit_code, told in done.stdout) == (3, True)
