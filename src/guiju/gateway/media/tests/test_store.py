"""Files that are kept for a while: only who knows the address has them, until their time is over."""

import os
import stat
import time
from pathlib import Path

import pytest

from guiju.core.errors import GuijuError
from guiju.gateway.media.store import WORK_KEPT_S, Hosted, Job, MediaStore
from guiju.labelling.publishing import Published
from guiju.labelling.values import FileLabel

NOW = 1_790_000_000.0


def hosted(size: int, until: float) -> Hosted:
    published = Published(
        container="PNG", medium="picture", media_type="image/png", ending="png", explicit="", label=FileLabel(), kept=False,
        original_sha256="", sha256="", size_bytes=size,
    )  # fmt: skip
    return Hosted(number="N", published=published, expires_at=until)


def kept(store: MediaStore, content: bytes = b"content", until: float = NOW + 60, limit: int = 1_000) -> str:
    work = store.work_path(f"w{len(content)}")
    work.write_bytes(content)
    return store.host(work, hosted(len(content), until), limit)


def test_a_file_is_there_until_it_expires(tmp_path: Path) -> None:
    store = MediaStore(tmp_path / "media")
    token = kept(store)
    found = MediaStore(tmp_path / "media").open(token, NOW)  # another worker, after a restart
    assert found is not None
    with found[1] as file:
        assert file.read() == b"content"
    assert store.open(token, NOW + 60) is None
    assert store.sweep(NOW + 61) == 1
    assert not list((tmp_path / "media" / "hosted").iterdir())


def test_only_the_owner_reads_the_folder_and_names_are_no_tokens(tmp_path: Path) -> None:
    store = MediaStore(tmp_path / "media")
    token = kept(store)
    assert stat.S_IMODE((tmp_path / "media").stat().st_mode) == 0o700
    names = [path.stem for path in (tmp_path / "media" / "hosted").iterdir()]
    assert token not in names
    assert all(store.open(name, NOW) is None for name in names)


@pytest.mark.parametrize(
    "token", ["", "x", "..", "../../guiju.toml", "a" * 42, "a" * 44, "%2e%2e/" * 6, "." * 43, "a" * 42 + "/", "a" * 42 + "\n"]
)
def test_a_token_that_is_none(tmp_path: Path, token: str) -> None:
    store = MediaStore(tmp_path / "media")
    kept(store)
    assert store.open(token, NOW) is None
    assert store.find_job(token) is None


def test_room_is_bounded_and_made_by_what_has_expired(tmp_path: Path) -> None:
    store = MediaStore(tmp_path / "media")
    kept(store, b"x" * 600, time.time() + 60)
    with pytest.raises(GuijuError) as caught:
        kept(store, b"y" * 601, time.time() + 60)
    assert caught.value.code.code == "MEDIA-STORE-FULL"
    old = MediaStore(tmp_path / "other")
    kept(old, b"x" * 600, time.time() - 1)
    kept(old, b"y" * 601, time.time() + 60)


def test_a_file_that_was_cut_is_none(tmp_path: Path) -> None:
    store = MediaStore(tmp_path / "media")
    token = kept(store)
    file = next((tmp_path / "media" / "hosted").glob("*.file"))
    os.truncate(file, 3)
    assert store.open(token, NOW) is None


def test_what_a_killed_worker_left_is_removed(tmp_path: Path) -> None:
    store = MediaStore(tmp_path / "media")
    now = time.time()
    for name in ("work/a", "hosted/b.file", "hosted/c.json"):
        path = tmp_path / "media" / name
        store.work_path("x")
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"{}")
    assert store.sweep(now) == 0
    assert store.sweep(now + WORK_KEPT_S + 5) == 3


def test_a_file_taken_back_is_gone(tmp_path: Path) -> None:
    store = MediaStore(tmp_path / "media")
    token = kept(store)
    store.withdraw(token)
    assert store.open(token, NOW) is None


def test_jobs(tmp_path: Path) -> None:
    store = MediaStore(tmp_path / "media")
    job = Job(number="0" * 26, service="s", upstream="u", upstream_id="v", model="m", created_at=NOW)
    store.keep_job(job)
    assert store.find_job("0" * 26) == job
    assert store.find_job("1" * 26) is None
