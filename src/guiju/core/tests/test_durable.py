"""A file is there whole or not at all, and a new one never replaces another."""

import os
import stat
from pathlib import Path

import pytest

from guiju.core.durable import replace, write_new


def test_a_new_file_never_replaces_one_that_is_there(tmp_path: Path) -> None:
    path = tmp_path / "key"
    assert write_new(path, b"first")
    assert not write_new(path, b"second")
    assert path.read_bytes() == b"first"
    assert [each.name for each in tmp_path.iterdir()] == ["key"]


def test_a_replacement_is_whole_and_private(tmp_path: Path) -> None:
    path = tmp_path / "state"
    replace(path, b"first")
    kept = path.open("rb")
    replace(path, b"second")
    assert (kept.read(), path.read_bytes()) == (b"first", b"second")
    kept.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["state"]


@pytest.mark.parametrize("write", [write_new, replace])
def test_a_failed_write_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write) -> None:  # type: ignore[no-untyped-def]  # one of two functions
    path = tmp_path / "state"
    path.write_bytes(b"before")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write(path, b"after")
    assert path.read_bytes() == b"before"


def test_what_a_kill_left_beside_is_written_over(tmp_path: Path) -> None:
    (tmp_path / f".state.{os.getpid()}").write_bytes(b"half")
    replace(tmp_path / "state", b"whole")
    assert [each.read_bytes() for each in tmp_path.iterdir()] == [b"whole"]
