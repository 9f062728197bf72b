"""No change of a pack passes: every single bit, and what somebody with a key of his own, or even with the provider's, could do.

Each verdict is compared with that of the single file, run in a process of its own without installed packages.
Guarded lines: each `raise Broken` of offline/packcheck.py, packfile.py and packrecords.py.
"""

import base64
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from guiju.core.keys import load_site_key
from guiju.core.layout import DataFolder
from guiju.records.keys import rotation
from guiju.records.log.merkle import leaf_hash, root_of
from guiju.records.log.note import Checkpoint, sign, sign_checkpoint, verifier_text
from guiju.records.log.tiles import read_checkpoint
from guiju.records.models import Record
from guiju.records.offline.packcheck import check_pack
from guiju.records.offline.single import single_file
from guiju.records.packs.pack import Earlier, Selection, write_pack
from guiju.records.tests.conftest import ORIGIN
from guiju.records.tests.test_verify import append

pytestmark = pytest.mark.django_db
OTHER = Ed25519PrivateKey.generate()
_DRIVER = """
import importlib.util, json, pathlib, sys
spec = importlib.util.spec_from_file_location("alone", sys.argv[1])
alone = sys.modules["alone"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(alone)
assert "cryptography" not in sys.modules and not [each for each in sys.path if "site-packages" in each]
trusted, target = bytes.fromhex(sys.argv[2]), pathlib.Path(sys.argv[4])
def outcome(raw):
    target.write_bytes(raw)
    report = alone.check_pack(target, trusted=trusted)
    return [report.ok, len(report.steps), report.steps[-1].outcome]
packs = pathlib.Path(sys.argv[3])
if packs.is_dir():
    print(json.dumps([outcome(path.read_bytes()) for path in sorted(packs.iterdir())]))
else:
    raw, passed = packs.read_bytes(), []
    target.write_bytes(raw)
    with target.open("r+b", buffering=0) as file:
        for bit in range(8 * len(raw)):
            file.seek(bit // 8)
            file.write(bytes([raw[bit // 8] ^ 1 << bit % 8]))
            if alone.check_pack(target, trusted=trusted).ok:
                passed.append(bit)
            file.seek(bit // 8)
            file.write(raw[bit // 8 : bit // 8 + 1])
    assert alone.check_pack(target, trusted=trusted).ok
    print(json.dumps(passed))
"""


@pytest.fixture
def pack(data: DataFolder, tmp_path: Path) -> Path:
    """A pack of nine records out of forty, two with content; it has grown from a checkpoint over twenty."""
    append(data, 20)
    kept = read_checkpoint(data.ledger)
    assert kept is not None
    append(data, 20)
    out = tmp_path / "pack.zip"
    write_pack(
        out,
        Selection(first=8, last=16),
        actor="person:owner",
        open_reason="case",
        earlier=[Earlier(checkpoint=kept)],
        with_verifier=False,
    )
    return out


def alone(data: DataFolder, packs: Path, work: Path) -> Any:
    """Return what the single file says of one pack with each of its bits flipped, or of every pack in a folder."""
    program, target = work / "verify.py", work / "target.zip"
    program.write_text(single_file(), encoding="utf-8")
    trusted = load_site_key(data.keys).public_key().public_bytes_raw().hex()
    command = [sys.executable, "-I", "-S", "-c", _DRIVER, str(program), trusted, str(packs), str(target)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_every_flipped_bit_is_found(pack: Path, data: DataFolder, tmp_path: Path) -> None:
    raw = pack.read_bytes()
    assert check_pack(pack).ok
    target = tmp_path / "flipped.zip"
    target.write_bytes(raw)
    passed = []
    with target.open("r+b", buffering=0) as file:  # in place: a new file for each of the bits would take minutes of a busy disk
        for bit in range(8 * len(raw)):
            file.seek(bit // 8)
            file.write(bytes([raw[bit // 8] ^ 1 << bit % 8]))
            if check_pack(target).ok:
                passed.append(bit)
            file.seek(bit // 8)
            file.write(raw[bit // 8 : bit // 8 + 1])
    assert passed == []
    assert check_pack(target).ok
    for size in range(0, len(raw), 37):
        target.write_bytes(raw[:size])
        assert not check_pack(target).ok
    for more in (b"\x00", b"PK\x05\x06" + bytes(18), raw):
        target.write_bytes(raw + more)
        assert not check_pack(target).ok
        target.write_bytes(more + raw)
        assert not check_pack(target).ok
    assert alone(data, pack, tmp_path) == []


# ── what somebody with a key could do ──────────────────────────────────────────────────────────────────────────────────

Members = dict[str, bytes]


def read_members(path: Path) -> Members:
    with zipfile.ZipFile(path) as zipped:
        return {name: zipped.read(name) for name in zipped.namelist()}


def sealed(members: Members, comment: bytes | Ed25519PrivateKey, *more: Ed25519PrivateKey) -> bytes:
    """Return the zip of these members, with this comment or a seal by these keys."""
    room = comment if isinstance(comment, bytes) else _seal(bytes(32), comment, *more)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.comment = room
        for name, content in members.items():
            zipped.writestr(zipfile.ZipInfo(name), content)
    raw = file.getvalue()
    if isinstance(comment, bytes):
        return raw
    return raw[: -len(room)] + _seal(sha256(raw[: -len(room)]).digest(), comment, *more)


def _seal(digest: bytes, *keys: Ed25519PrivateKey) -> bytes:
    return sign(f"guiju-pack-1\n{ORIGIN}\n{base64.b64encode(digest).decode()}\n", ORIGIN, *keys)


def listed(members: Members, **facts: Any) -> Members:
    """Return the members with a manifest that lists them as they are now."""
    manifest = json.loads(members["manifest.json"])
    rows = [
        {"name": name, "bytes": len(content), "sha256": sha256(content).hexdigest()}
        for name, content in members.items()
        if name != "manifest.json"
    ]
    return members | {"manifest.json": json.dumps(manifest | {"members": rows} | facts).encode()}


def rows_of(members: Members, name: str = "records.jsonl") -> list[bytes]:
    return members[name].splitlines(keepends=True)


def with_rows(members: Members, rows: list[bytes], name: str = "records.jsonl") -> Members:
    return members | {name: b"".join(rows)}


def _changed_record(members: Members, at: int, change: Callable[[dict[str, Any]], object]) -> Members:
    rows = rows_of(members)
    row = json.loads(rows[at])
    change(row["record"])
    body = json.dumps(row["record"], sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    rows[at] = b'{"index":%d,"record":%b}\n' % (row["index"], body)
    return with_rows(members, rows)


def _removed(members: Members, at: int) -> Members:
    rows = rows_of(members)
    return with_rows(members, rows[:at] + rows[at + 1 :])


def _exchanged(members: Members, at: int) -> Members:
    """Exchange two records, each in the other's place."""
    rows = rows_of(members)
    one, two = rows[at].partition(b",")[2], rows[(at + 1) % len(rows)].partition(b",")[2]
    rows[at] = rows[at].partition(b",")[0] + b"," + two
    rows[(at + 1) % len(rows)] = rows[(at + 1) % len(rows)].partition(b",")[0] + b"," + one
    return with_rows(members, rows)


def _reordered(members: Members, at: int) -> Members:
    rows = rows_of(members)
    other = (at + 1) % len(rows)
    rows[at], rows[other] = rows[other], rows[at]
    return with_rows(members, rows)


def _renumbered(members: Members, at: int) -> Members:
    rows = rows_of(members)
    index = json.loads(rows[at])["index"]
    rows[at] = rows[at].replace(b'{"index":%d' % index, b'{"index":%d' % (index + 100))
    return with_rows(members, rows)


def _tree(members: Members, at: int, change: Callable[[list[bytes], int], object]) -> Members:
    rows = rows_of(members, "tree.jsonl")
    change(rows, at % len(rows))
    return with_rows(members, rows, "tree.jsonl")


def _tree_hash(rows: list[bytes], at: int) -> None:
    row = json.loads(rows[at])
    row["hash"] = "00" + row["hash"][2:] if row["hash"][:2] != "00" else "01" + row["hash"][2:]
    rows[at] = json.dumps(row, separators=(",", ":")).encode() + b"\n"


def _growth(members: Members, at: int) -> Members:
    row = json.loads(members["anchors.jsonl"])
    row["growth"][at % len(row["growth"])] = base64.b64encode(bytes(32)).decode()
    return members | {"anchors.jsonl": json.dumps(row).encode() + b"\n"}


CHANGES: dict[str, Callable[[Members, int], Members]] = {
    "a record is removed": _removed,
    "a record stands twice": lambda members, at: with_rows(members, rows_of(members)[: at + 1] + rows_of(members)[at:]),
    "two records are exchanged": _exchanged,
    "two lines are exchanged": _reordered,
    "a record has another number": _renumbered,
    "a record has other metadata": lambda members, at: _changed_record(members, at, lambda row: row["metadata"].update(number=-1)),
    "a record has another time": lambda members, at: _changed_record(members, at, lambda row: row.update(at="2020-01-01T00:00:00.000000Z")),
    "a record has another subject": lambda members, at: _changed_record(members, at, lambda row: row.update(subject="u-2")),
    "a record has one field more": lambda members, at: _changed_record(members, at, lambda row: row.update(more=1)),
    "a record has white space": lambda members, at: with_rows(
        members, [row.replace(b",", b", ", 3) if number == at else row for number, row in enumerate(rows_of(members))]
    ),
    "a record is cut from the end": lambda members, at: members | {"records.jsonl": members["records.jsonl"][: -at - 1]},
    "the text of a record is withheld": lambda members, at: with_rows(
        members,
        [
            b'{"index":%d,"leaf":"%b"}\n' % (json.loads(row)["index"], sha256(_body(row)).hexdigest().encode()) if number == at else row
            for number, row in enumerate(rows_of(members))
        ],
    ),
    "a hash of the tree is another": lambda members, at: _tree(members, at, _tree_hash),
    "a hash of the tree is gone": lambda members, at: _tree(members, at, lambda rows, place: rows.pop(place)),
    "a hash of the tree stands twice": lambda members, at: _tree(members, at, lambda rows, place: rows.insert(place, rows[place])),
    "the hashes of the tree are reversed": lambda members, at: _tree(members, at, lambda rows, place: rows.reverse()),
    "the checkpoint has another size": lambda members, at: members
    | {"checkpoint": members["checkpoint"].replace(b"\n40\n", b"\n41\n", 1)},
    "the checkpoint has no signature": lambda members, at: members
    | {"checkpoint": members["checkpoint"].partition(b"\n\n")[0] + b"\n\n"},
    "a member is added": lambda members, at: members | {"more.txt": b"more"},
    "a member is gone": lambda members, at: {name: content for name, content in members.items() if name != "README.txt"},
    "the proof of growth is another": _growth,
    "the proof of growth is gone": lambda members, at: {name: content for name, content in members.items() if name != "anchors.jsonl"},
    "content is added": lambda members, at: members
    | {"contents.jsonl": members["contents.jsonl"] + b'{"index":8,"record":"X","content":"y"}\n'},
    "content is gone": lambda members, at: members | {"contents.jsonl": rows_of(members, "contents.jsonl")[0]},
}  # fmt: skip
"""What is changed → how; each must be found even when the provider's own key seals the pack anew, for the checkpoint stays."""
FACTS: dict[str, dict[str, Any]] = {
    "more records are claimed": {"records": 10},
    "no record is claimed": {"records": 0},
    "a wider range is claimed": {
        "selection": dict.fromkeys(("ids", "kind", "service", "subject", "since", "until")) | {"first": 8, "last": 17}
    },
    "another kind is claimed": {
        "selection": dict.fromkeys(("ids", "service", "subject", "since", "until", "first", "last")) | {"kind": "web.session"}
    },
    "other ids are claimed": {
        "selection": dict.fromkeys(("kind", "service", "subject", "since", "until", "first", "last")) | {"ids": ["X"]}
    },
    "another time is claimed": {
        "selection": dict.fromkeys(("ids", "kind", "service", "subject", "until", "first", "last")) | {"since": "2990"}
    },
    "another log is claimed": {"origin": "example.com/other"},
    "another checkpoint is claimed": {"checkpoint": {"size": 40, "root": "00" * 32}},
    "less is opened": {"opened": 1},
    "text is missing": {"without_text": 1},
    "the form is another": {"pack": "guiju-pack-2"},
    "a field is of another type": {"records": "9"},
}


def _body(row: bytes) -> bytes:
    return row.partition(b'"record":')[2][:-2]


def other_keys(members: Members) -> Members:
    """Return the members with a list of keys that holds the other key alone."""
    document = json.loads(members["keys.json"])
    row = document["keys"][0] | {"public_key": verifier_text(ORIGIN, OTHER.public_key())}
    return members | {"keys.json": json.dumps(document | {"keys": [row]}).encode()}


def appended_key(members: Members) -> Members:
    """Return the members with the other key behind the provider's, named by itself."""
    document = json.loads(members["keys.json"])
    line = verifier_text(ORIGIN, OTHER.public_key())
    said = f"guiju-site-key-1\n{ORIGIN}\n{base64.b64encode(OTHER.public_key().public_bytes_raw()).decode()}\n0\n\n"
    row = document["keys"][0] | {"public_key": line, "endorsement": sign(said, ORIGIN, OTHER).decode()}
    return members | {"keys.json": json.dumps(document | {"keys": [*document["keys"], row]}).encode()}


def signed_anew(members: Members) -> Members:
    """Return the members with a tree and a checkpoint of the other key over the records as they are now, alone in a log."""
    rows = [json.loads(row) for row in rows_of(members)]
    hashes = [leaf_hash(sha256(_body(row)).digest()) for row in rows_of(members)]
    checkpoint = Checkpoint(ORIGIN, len(hashes), root_of(hashes))
    lines = [b'{"index":%d,"record":%b}\n' % (number, _body(row)) for number, row in enumerate(rows_of(members))]
    contents = [json.loads(row) for row in rows_of(members, "contents.jsonl")]
    first = rows[0]["index"]
    renumbered = b"".join(json.dumps(row | {"index": row["index"] - first}).encode() + b"\n" for row in contents)
    return other_keys(members) | {
        "checkpoint": sign_checkpoint(checkpoint, OTHER),
        "tree.jsonl": b"",
        "anchors.jsonl": b"",
        "records.jsonl": b"".join(lines),
        "contents.jsonl": renumbered,
    }


def test_no_change_passes_whoever_seals_it(pack: Path, data: DataFolder, tmp_path: Path) -> None:
    whole, key = read_members(pack), load_site_key(data.keys)
    with zipfile.ZipFile(pack) as zipped:
        comment = zipped.comment
    trusted = key.public_key().public_bytes_raw()
    folder, target = tmp_path / "packs", tmp_path / "changed.zip"
    folder.mkdir()
    verdicts: list[list[Any]] = []

    def check(raw: bytes) -> bool:
        target.write_bytes(raw)
        report = check_pack(target, trusted=trusted)
        (folder / f"{len(verdicts):05d}").write_bytes(raw)
        verdicts.append([report.ok, len(report.steps), report.steps[-1].outcome])
        return report.ok

    assert check(sealed(listed(whole), key))  # the tools of this test make packs that hold
    seals: dict[str, Callable[[Members], bytes]] = {
        "nobody": lambda members: sealed(members, comment),
        "nobody, listed": lambda members: sealed(listed(members), comment),
        "the provider, not listed": lambda members: sealed(members, key),
        "the provider": lambda members: sealed(listed(members), key),
        "another": lambda members: sealed(listed(members), OTHER),
        "another, as the only key": lambda members: sealed(listed(other_keys(members)), OTHER),
        "another, as a later key": lambda members: sealed(listed(appended_key(members)), OTHER),
    }
    for who, seal in seals.items():
        for what, change in CHANGES.items():
            changed = change(whole, 0)
            assert changed != whole, what
            assert not check(seal(changed)), (what, who)
        if who not in ("the provider", "the provider, not listed"):
            assert not check(seal(whole)), who
    assert not check(sealed(listed(whole) | {"README.txt": b"Trust me."}, key))  # sealed by the provider, and not as listed
    assert not check(sealed(listed(whole), key, OTHER))  # a seal has one signature: a bit of a second one would not be looked at
    for what, facts in FACTS.items():
        assert not check(sealed(listed(whole, **facts), key)), what

    # Everything signed anew by somebody else is consistent in itself: only the key from elsewhere tells.
    facts = {
        "selection": dict.fromkeys(("ids", "kind", "service", "subject", "since", "until")) | {"first": 0, "last": 8},
        "checkpoint": {"size": 9, "root": root_of([leaf_hash(sha256(_body(row)).digest()) for row in rows_of(whole)]).hex()},
    }
    forged = sealed(listed(signed_anew(whole), **facts), OTHER)
    assert not check(forged)
    report = check_pack(target)
    assert report.ok
    assert report.steps[10].outcome == "open"

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.tuples(st.sampled_from(sorted(CHANGES)), st.integers(0, 8)), min_size=1, max_size=3), st.sampled_from(sorted(seals)))
    def changes(steps: list[tuple[str, int]], who: str) -> None:
        members = whole
        for name, at in steps:
            try:
                members = CHANGES[name](members, at)
            except (KeyError, IndexError, ValueError, ZeroDivisionError):
                return  # an earlier change has taken away what this one changes
        if members != whole:
            assert not check(seals[who](members)), (steps, who)

    changes()
    assert alone(data, folder, tmp_path) == verdicts
    assert Record.objects.count() >= 40


def test_a_successor_is_followed_only_as_it_was_named(data: DataFolder, tmp_path: Path) -> None:
    append(data, 5)
    old = load_site_key(data.keys).public_key().public_bytes_raw()
    rotation.begin("person:owner")
    append(data, 5)
    out, key = tmp_path / "pack.zip", load_site_key(data.keys)
    write_pack(out, Selection(), actor="person:owner", with_verifier=False)
    whole = read_members(out)
    assert check_pack(out, trusted=old).ok
    for change in ({"from_size": 4}, {"from_at": "2020-01-01T00:00:00+00:00"}, {"endorsement": ""}, {"endorsement": "x\n\n"}):
        document = json.loads(whole["keys.json"])
        document["keys"][1] |= change
        out.write_bytes(sealed(listed(whole | {"keys.json": json.dumps(document).encode()}), key))
        report = check_pack(out, trusted=old)
        assert (report.steps[-1].number, report.steps[-1].outcome) == (2, "fails"), change
