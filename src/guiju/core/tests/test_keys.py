"""Keys are made once, stay what they are, and nobody else can read them."""

import os
import stat
from pathlib import Path

import pytest

from guiju.core import keys
from guiju.core.errors import GuijuError

NAMES = {"site.key", "site.pub", "recorder.key", "recorder.pub", "master.key", "pseudonym.key", "django.key", "playground.key"}


def test_makes_every_key_for_its_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    before = os.umask(0)  # the mode must not depend on the umask
    try:
        keys.create_keys(folder)
    finally:
        os.umask(before)
    assert {path.name for path in folder.iterdir()} == NAMES
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_never_overwrites(tmp_path: Path) -> None:
    keys.create_keys(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    keys.create_keys(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("lost", sorted(NAMES))
def test_completes_what_a_kill_left_undone(tmp_path: Path, lost: str) -> None:
    keys.create_keys(tmp_path)
    kept = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.name != lost}
    (tmp_path / lost).unlink()
    keys.create_keys(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == NAMES
    assert all((tmp_path / name).read_bytes() == raw for name, raw in kept.items())


def test_halves_belong_together(tmp_path: Path) -> None:
    keys.create_keys(tmp_path)
    keys.load_site_public_key(tmp_path).verify(keys.load_site_key(tmp_path).sign(b"x"), b"x")
    assert keys.load_recorder_key(tmp_path).public_key().public_bytes_raw() == keys.load_recorder_public_key(tmp_path).public_bytes_raw()
    assert len(keys.load_master_key(tmp_path)) == len(keys.load_pseudonym_key(tmp_path)) == 32
    assert keys.read_text_key(tmp_path, "playground.key").startswith("sk-guiju-")


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda path: path.unlink(), "KEY-FILE-MISSING"),
        (lambda path: path.write_bytes(b"short"), "KEY-FILE-DAMAGED"),
        (lambda path: path.chmod(0o640), "KEY-FILE-OPEN"),
    ],
)
def test_refuses_a_spoilt_key(tmp_path: Path, spoil, code: str) -> None:  # type: ignore[no-untyped-def]  # a lambda of the table
    keys.create_keys(tmp_path)
    spoil(tmp_path / "master.key")
    with pytest.raises(GuijuError) as caught:
        keys.load_master_key(tmp_path)
    assert caught.value.code.code == code
    assert str(tmp_path / "master.key") in caught.value.text("zh")
