"""What somebody gives to be checked and is something else: said in three parts, and told apart from what was tampered with.

Guarded lines: the `except` clauses in `cli._verify_file` and `pack_cli.verify_pack`; the look at the first byte in
`offline/command.py`; `other_key` in `proof.py` and `certificate.py`.
"""

import json
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from guiju.core.errors import GuijuError
from guiju.records.cli import _verify_file
from guiju.records.log.merkle import leaf_hash
from guiju.records.log.note import Checkpoint, sign_checkpoint
from guiju.records.log.proof import check_proof, make_proof
from guiju.records.offline.command import main
from guiju.records.packs.pack_cli import verify_pack

ORIGIN = "guiju.local/ledger"


@pytest.mark.parametrize("raw", [b"# README", b"\x7fELF\xff", b"", b"[" * 100_000])
def test_a_file_of_another_kind(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "given"
    path.write_bytes(raw)
    with pytest.raises(GuijuError) as caught:
        _verify_file(path, None)
    assert caught.value.code.code == "VERIFY-FILE"
    assert str(path) in str(caught.value)


def test_a_key_that_is_none(tmp_path: Path) -> None:
    path, key = tmp_path / "proof.json", tmp_path / "key"
    path.write_text("{}")
    for raw in (b"# README", b"x" * 31, b"\xff" * 40, b"guiju.local/ledger\n12\nAAAA\n"):
        key.write_bytes(raw)
        with pytest.raises(GuijuError) as caught:
            _verify_file(path, key)
        assert caught.value.code.code == "VERIFY-KEY"
        with pytest.raises(GuijuError) as caught:
            verify_pack(path, key, None, None)
        assert caught.value.code.code == "VERIFY-KEY"


def test_the_single_file_tells_a_proof_from_a_broken_pack(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "given"
    path.write_text(json.dumps({"proof": 1}))
    assert main([str(path)]) == 2
    assert "not a pack" in capsys.readouterr().err
    assert main([str(tmp_path / "absent")]) == 2
    assert "No such file" in capsys.readouterr().err
    path.write_bytes(b"PK broken")
    assert main([str(path)]) == 1


def test_another_key_of_the_provider_is_named_with_what_to_do() -> None:
    old, new = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    body = b'{"id":"x"}'
    root = leaf_hash(sha256(body).digest())
    note = sign_checkpoint(Checkpoint(ORIGIN, 1, root), old)
    proof = make_proof(0, body, [], note, 1, ORIGIN, old.public_key())
    report = check_proof(json.loads(json.dumps({name: getattr(proof, name) for name in proof.__struct_fields__})), new.public_key())
    assert not report.ok
    assert "site-keys" in report.steps[-1].detail
    assert report.steps[-1].number == 5
