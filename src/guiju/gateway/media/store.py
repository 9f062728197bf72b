"""Where files lie on their way: work that ends with its call, labelled files under addresses that nobody can guess, jobs of films.

    media/work/<number>…          taken from an upstream, or just labelled; nothing of it is ever served
    media/hosted/<hash>.file      a labelled file; <hash>.json says what it is and until when. The name is the SHA-256 of the address's token,
                                  so that who reads the folder's listing cannot ask for one
    media/jobs/<number>.json      whose film an upstream makes, under which name

All workers of a data folder share it. What is past its time is gone for everybody at that moment, and removed by whoever sweeps next.
"""

import contextlib
import hashlib
import os
import re
import secrets
import time
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from guiju.core.durable import replace
from guiju.core.errors import GuijuError, Text, define
from guiju.labelling.publishing import Published

TOKEN_BYTES: Final = 32
WORK_KEPT_S: Final = 3_600.0
"""Work that a killed worker left."""
JOB_KEPT_S: Final = 30 * 86_400.0
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_NUMBER: Final = re.compile(r"[0-9A-Z]{26}")

MEDIA_STORE_FULL = define(
    "MEDIA-STORE-FULL",
    status=503,
    kind="server_error",
    retry=True,
    zh=Text(
        "存放文件的空间已满：{used_bytes} 字节，上限 {limit_bytes} 字节。", "没有文件被送出；已存放的文件在到期前仍可下载。", "请稍后重试；运营者可调整 media.store_bytes 或 media.keep_minutes。"
    ),
    en=Text(
        "The room for files is used up: {used_bytes} bytes of {limit_bytes}.",
        "No file was delivered; those that are kept can be fetched until they expire.",
        "Try again later; an operator can change media.store_bytes or media.keep_minutes.",
    ),
)  # fmt: skip


class Hosted(msgspec.Struct, frozen=True, kw_only=True):
    """A labelled file that is kept for a while."""

    number: str
    """The number that its label has."""
    published: Published
    expires_at: float
    """Seconds since 1970."""

    @property
    def name(self) -> str:
        """What a client may call the file."""
        return f"{self.number}.{self.published.ending}"


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A film that an upstream makes."""

    number: str
    service: str
    upstream: str
    upstream_id: str
    model: str
    """As the client named it."""
    created_at: float


class MediaStore:
    """One data folder's files. Every method reads or writes the disk: call them off the loop."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._used: tuple[float, int] = (0.0, 0)

    def work_path(self, name: str) -> Path:
        """Return a path for a piece of work; the folder is made when it is needed first."""
        folder = self._made("work")
        return folder / name

    def clear_work(self, number: str) -> None:
        """Remove what is left of the work of one call."""
        for path in self._list("work"):
            if path.name.startswith(number):
                path.unlink(missing_ok=True)

    def host(self, file: Path, facts: Hosted, limit_bytes: int, token: str = "") -> str:
        """Move a labelled file to where it is served; return the token of its address, a new one if none is given.

        Raises MEDIA-STORE-FULL.
        """
        used = self.used_bytes()
        if used + facts.published.size_bytes > limit_bytes:
            self.sweep(time.time())
            used = self.used_bytes(anew=True)
            if used + facts.published.size_bytes > limit_bytes:
                raise GuijuError(MEDIA_STORE_FULL, used_bytes=used, limit_bytes=limit_bytes)
        token = token or secrets.token_urlsafe(TOKEN_BYTES)
        name = _name_of(token)
        folder = self._made("hosted")
        os.replace(file, folder / f"{name}.file")
        replace(folder / f"{name}.json", msgspec.json.encode(facts))
        self._used = (self._used[0], self._used[1] + facts.published.size_bytes)
        return token

    def withdraw(self, token: str) -> None:
        """Take a file back at once."""
        self._remove(self._folder / "hosted", _name_of(token))

    def open(self, token: str, now: float) -> tuple[Hosted, BinaryIO] | None:
        """Return a file and what it is; None for a token that is none, and for a file that has expired."""
        if not _TOKEN.fullmatch(token):
            return None
        folder, name = self._folder / "hosted", _name_of(token)
        try:
            facts = msgspec.json.decode((folder / f"{name}.json").read_bytes(), type=Hosted)
            if facts.expires_at <= now:
                return None
            file = (folder / f"{name}.file").open("rb")
        except (OSError, msgspec.DecodeError):
            return None
        if os.fstat(file.fileno()).st_size != facts.published.size_bytes:  # cut by a full disk: half a file is none
            file.close()
            return None
        return facts, file

    def keep_job(self, job: Job) -> None:
        """Remember a film that is being made."""
        replace(self._made("jobs") / f"{job.number}.json", msgspec.json.encode(job))

    def find_job(self, number: str) -> Job | None:
        """Return a film that is being made; None for a number that is none."""
        if not _NUMBER.fullmatch(number):
            return None
        try:
            return msgspec.json.decode((self._folder / "jobs" / f"{number}.json").read_bytes(), type=Job)
        except (OSError, msgspec.DecodeError):
            return None

    def sweep(self, now: float) -> int:
        """Remove what is past its time; return how many files that were."""
        removed = 0
        for path in self._list("hosted"):
            if path.suffix == ".json":
                try:
                    expired = msgspec.json.decode(path.read_bytes(), type=Hosted).expires_at <= now
                except (OSError, msgspec.DecodeError):
                    expired = _age(path, now) > WORK_KEPT_S
                if expired:
                    self._remove(path.parent, path.stem)
                    removed += 1
            elif not path.with_suffix(".json").exists() and _age(path, now) > WORK_KEPT_S:
                path.unlink(missing_ok=True)
                removed += 1
        for name, kept_s in (("work", WORK_KEPT_S), ("jobs", JOB_KEPT_S)):
            for path in self._list(name):
                if _age(path, now) > kept_s:
                    path.unlink(missing_ok=True)
                    removed += 1
        return removed

    def used_bytes(self, *, anew: bool = False) -> int:
        """Return how much is kept; counted anew after some seconds, because other workers keep files too."""
        at, used = self._used
        if anew or time.monotonic() - at > 5.0 or not at:
            used = sum(size for path in self._list("hosted") if (size := _size(path)))
            self._used = (time.monotonic(), used)
        return used

    def _remove(self, folder: Path, name: str) -> None:
        for ending in ("json", "file"):  # in this order: without its facts a file is not served
            (folder / f"{name}.{ending}").unlink(missing_ok=True)

    def _made(self, name: str) -> Path:
        folder = self._folder / name
        if not folder.is_dir():
            self._folder.mkdir(mode=0o700, exist_ok=True)
            folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    def _list(self, name: str) -> list[Path]:
        with contextlib.suppress(OSError):
            return list((self._folder / name).iterdir())
        return []


def _name_of(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _age(path: Path, now: float) -> float:
    with contextlib.suppress(OSError):
        return now - path.stat().st_mtime
    return 0.0


def _size(path: Path) -> int:
    with contextlib.suppress(OSError):
        return path.stat().st_size
    return 0
