"""A pack holds what was selected, is checked anywhere, and no change of it passes: by the module and by the file that runs alone.

Guarded lines: each `raise Broken` of offline/packcheck.py and packfile.py; the order of hashes in offline/tree.py.
"""

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import connection
from typer.testing import CliRunner

from guiju.core.errors import GuijuError
from guiju.core.keys import load_site_key, load_site_public_key
from guiju.core.layout import DataFolder
from guiju.records import flow
from guiju.records.cli import app
from guiju.records.keys import rotation
from guiju.records.log.note import Checkpoint, sign_checkpoint, stated_checkpoint
from guiju.records.log.tiles import read_checkpoint
from guiju.records.models import Record
from guiju.records.offline.packcheck import check_pack
from guiju.records.offline.report import Report
from guiju.records.offline.single import single_file
from guiju.records.packs.pack import PACK_EMPTY, Earlier, Selection, write_pack
from guiju.records.tests.conftest import ORIGIN
from guiju.records.tests.test_verify import append, disarm

pytestmark = pytest.mark.django_db
COUNT = 300
RANGE_STEPS = ["holds"] * 7 + ["open", "holds", "open", "holds"]


@pytest.fixture
def full(data: DataFolder) -> DataFolder:
    append(data, COUNT)
    return data


def make(data: DataFolder, out: Path, **selection: Any) -> Report:
    write_pack(out, Selection(**selection), actor="person:owner")
    return check_pack(out, trusted=load_site_public_key(data.keys).public_bytes_raw())


def outcomes(report: Report) -> list[str]:
    return [step.outcome for step in report.steps]


def test_a_range_is_shown_to_be_whole(full: DataFolder, tmp_path: Path) -> None:
    out = tmp_path / "pack.zip"
    for first, last in ((0, 299), (0, 0), (299, 299), (7, 263), (256, 299), (17, 17), (None, None), (250, None), (None, 3), (290, 10**9)):
        report = make(full, out, first=first, last=last)
        assert outcomes(report) == RANGE_STEPS, (first, last, report.steps[-1])
    with zipfile.ZipFile(out) as pack:
        assert pack.testzip() is None
        rows = [json.loads(line) for line in pack.read("records.jsonl").splitlines()]
        assert [row["index"] for row in rows] == list(range(290, 300))
        assert rows[3]["record"]["metadata"] == {"number": 293}
        assert len(pack.read("tree.jsonl").splitlines()) < 10
        assert {"README.txt", "manifest.json", "verify.py", "checkpoint", "keys.json"} <= set(pack.namelist())
        manifest = json.loads(pack.read("manifest.json"))
        assert (manifest["records"], manifest["made_by"], manifest["origin"]) == (10, "person:owner", ORIGIN)
    append(full, 1)
    assert Record.objects.filter(kind="records.pack.made").count() == 10


def test_any_other_selection_holds_what_was_asked_for(full: DataFolder, tmp_path: Path) -> None:
    out = tmp_path / "pack.zip"
    ids = list(Record.objects.filter(index__in=(3, 4, 77, 299)).order_by("index").values_list("id", flat=True))
    at = [
        record.at.isoformat(timespec="microseconds").replace("+00:00", "Z")
        for record in Record.objects.filter(index__in=(10, 20)).order_by("index")
    ]
    flow.append(kind="web.session.signed_in", actor="person:owner", subject="u-9")
    append(full, 5)
    for selection, count in (
        ({"ids": (*ids, "X" * 26)}, 4),
        ({"kind": "gateway.answer"}, 305),
        ({"kind": "gateway.answer.delivered", "first": 290}, 15),
        ({"kind": "web"}, 1),
        ({"service": "chat"}, 305),
        ({"subject": "u-9"}, 1),
        ({"subject": "u-1", "last": 5}, 6),
    ):
        report = make(full, out, **selection)
        assert outcomes(report) == [*RANGE_STEPS[:6], "open", *RANGE_STEPS[7:]], selection
        assert report.steps[4].en.startswith(f"{count} records")
    spoilt = make(full, out, since=at[0], until=at[1])
    assert spoilt.ok
    with pytest.raises(GuijuError) as told:
        make(full, tmp_path / "none.zip", subject="nobody")
    assert told.value.code is PACK_EMPTY
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["pack.zip"]


def test_content_is_enclosed_only_when_it_is_opened(full: DataFolder, tmp_path: Path) -> None:
    out = tmp_path / "pack.zip"
    assert make(full, out, first=0, last=9).ok
    with zipfile.ZipFile(out) as pack:
        assert "contents.jsonl" not in pack.namelist()
    made = write_pack(
        out,
        Selection(first=0, last=9),
        actor="person:owner",
        open_reason="case 7",
    )
    assert made.opened == 2
    report = check_pack(out)
    assert outcomes(report) == [*RANGE_STEPS[:8], "open", "open", "open"]
    with zipfile.ZipFile(out) as pack:
        assert [json.loads(line)["content"] for line in pack.read("contents.jsonl").splitlines()] == ["content", "content"]
    append(full, 1)
    opened = Record.objects.filter(kind="records.content.opened")
    assert [record.metadata["reason"] for record in opened] == ["case 7", "case 7"]


def test_growth_from_a_checkpoint_that_was_kept(full: DataFolder, tmp_path: Path) -> None:
    out, key = tmp_path / "pack.zip", load_site_public_key(full.keys).public_bytes_raw()
    kept = read_checkpoint(full.ledger)
    assert kept is not None
    append(full, 50)
    write_pack(out, Selection(first=340), actor="person:owner", earlier=[Earlier(checkpoint=kept)])
    assert outcomes(check_pack(out, trusted=key, kept=kept))[9] == "holds"
    forged = sign_checkpoint(Checkpoint(ORIGIN, COUNT, bytes(32)), load_site_key(full.keys))
    later = sign_checkpoint(Checkpoint(ORIGIN, 1_000, bytes(32)), load_site_key(full.keys))
    other = sign_checkpoint(stated_checkpoint(kept), Ed25519PrivateKey.generate())
    assert outcomes(check_pack(out, trusted=key, kept=later))[9] == "open"  # a pack that was made before it refutes nothing
    for wrong in (forged, other, b"", kept[:-1]):
        report = check_pack(out, trusted=key, kept=wrong)
        assert (report.steps[-1].number, report.steps[-1].outcome) == (10, "fails")
    write_pack(out, Selection(first=340), actor="person:owner")
    assert outcomes(check_pack(out, trusted=key, kept=kept))[9] == "open"  # it has no proof for that size
    assert outcomes(check_pack(out, trusted=key, kept=read_checkpoint(full.ledger)))[9] == "holds"


def test_a_pack_made_while_the_key_changes(full: DataFolder, tmp_path: Path) -> None:
    out, old = tmp_path / "pack.zip", load_site_public_key(full.keys).public_bytes_raw()
    rotation.begin("person:owner")
    assert make(full, out, first=5, last=9).ok  # the checkpoint is still the old key's
    assert check_pack(out, trusted=old).ok
    append(full, 5)
    assert make(full, out, first=5, last=9).ok
    rotation.finish("person:owner")
    append(full, 5)
    assert make(full, out, first=5, last=9).ok
    assert check_pack(out, trusted=old).ok  # the old key has named the new one
    assert not check_pack(out, trusted=Ed25519PrivateKey.generate().public_key().public_bytes_raw()).ok


@pytest.fixture
def writable() -> None:
    disarm()


@pytest.mark.usefixtures("writable")
def test_records_that_retention_has_removed_keep_their_places(full: DataFolder, tmp_path: Path) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM records_recordcontent WHERE record_id < 20")
        cursor.execute('DELETE FROM records_record WHERE "index" IN (5, 6, 12)')
    out = tmp_path / "pack.zip"
    report = make(full, out, first=4, last=20)
    assert outcomes(report) == RANGE_STEPS
    assert report.steps[4].detail.endswith("3 without their text")
    assert make(full, out, first=4, last=20, kind="gateway").steps[4].en.startswith("14 records")


# ── the command line, and the file that runs alone ─────────────────────────────────────────────────────────────────────


def alone(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the single file as an inspector would: another process, no installed packages, no site."""
    path = cwd / "verify.py"
    if not path.exists():
        path.write_text(single_file(), encoding="utf-8")
    return subprocess.run([sys.executable, "-I", "-S", str(path), *words], check=False, capture_output=True, text=True, timeout=120)


def test_the_verbs(full: DataFolder, tmp_path: Path) -> None:
    out, verifier = tmp_path / "pack.zip", tmp_path / "alone.py"
    result = CliRunner().invoke(app, ["pack", "--data", str(full.root), "--first", "3", "--last", "90", "--open", "--out", str(out)])
    assert result.exit_code == 2  # without a reason nothing is opened
    result = CliRunner().invoke(app, ["pack", "--data", str(full.root), "--first", "3", "--last", "90", "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert "88" in result.output
    written = out.read_bytes()
    result = CliRunner().invoke(app, ["pack", "--data", str(full.root), "--first", "3", "--last", "4", "--out", str(out)])
    assert result.exit_code == 2  # nothing is written over
    assert out.read_bytes() == written
    for verb in (["pack", "--out", str(tmp_path / "b.zip"), "--open"], ["show", "X" * 26, "--open"], ["gaps", "--close", "1"]):
        result = CliRunner().invoke(app, [*verb, "--data", str(full.root), "--reason", " abc "])
        assert result.exit_code == 2, verb
    for verb in (["erase", "--subject", "u-1"], ["hold", "--subject", "u-1", "--reference", "1"], ["lift-hold", "x"]):
        for reason in ("abc", "  "):
            result = CliRunner().invoke(app, [*verb, "--data", str(full.root), "--reason", reason])
            assert result.exit_code == 2, verb
            assert "Nothing was done" in result.output or "nothing was done" in result.output
    command = [sys.executable, "-X", "importtime", "-m", "guiju.cli", "verify"]
    done = subprocess.run(
        [*command, str(out), "--public-key", str(full.keys / "site.pub"), "--json"], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["ok"] is True
    assert "django" not in done.stderr
    subprocess.run([*command, "--write-verifier", str(verifier)], check=True, capture_output=True, timeout=60)
    assert verifier.read_text() == single_file()
    with zipfile.ZipFile(out) as pack:
        assert pack.read("verify.py").decode() == single_file()
    ran = alone(str(out), "--public-key", str(full.keys / "site.pub"), "--json", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == json.loads(done.stdout)
    out.write_bytes(out.read_bytes()[:-1])
    assert subprocess.run([*command, str(out)], check=False, capture_output=True, timeout=60).returncode == 1
    assert alone(str(out), cwd=tmp_path).returncode == 1
