"""The data folder: what lies where. Everything that must be backed up is under one root."""

import os
from dataclasses import dataclass
from pathlib import Path

from guiju.core.errors import Text, define

DATA_MISSING = define(
    "DATA-MISSING",
    status=500,
    kind="server_error",
    zh=Text(
        "{path} 不是 guiju 的数据目录。",
        "没有读取或改动任何内容。",
        "请用 --data 或环境变量 GUIJU_DATA 指定数据目录；新的数据目录由 guiju serve 创建。",
    ),
    en=Text(
        "{path} is no data folder of guiju.",
        "Nothing was read or changed.",
        "Name the data folder with --data or GUIJU_DATA; guiju serve makes a new one.",
    ),
)


@dataclass(frozen=True, slots=True)
class DataFolder:
    """Paths below the data folder; nothing is created here."""

    root: Path

    @property
    def settings(self) -> Path:
        """The settings file that the first start writes; `--settings` names another."""
        return self.root / "guiju.toml"

    @property
    def database(self) -> Path:
        """The embedded database, SQLite in WAL mode."""
        return self.root / "guiju.sqlite3"

    @property
    def keys(self) -> Path:
        """Key files, mode 0600 in a folder of mode 0700."""
        return self.root / "keys"

    @property
    def bundles(self) -> Path:
        """What the live side reads: `<hash>.bundle` files and `current`, which names the one in force."""
        return self.root / "bundles"

    @property
    def spool(self) -> Path:
        """What the live side writes: one segment file after another for each worker."""
        return self.root / "spool"

    @property
    def ledger(self) -> Path:
        """The Merkle log: tiles, checkpoints, entries."""
        return self.root / "ledger"

    @property
    def run(self) -> Path:
        """Process ids and sockets of the running service; worth nothing after it stops."""
        return self.root / "run"

    @property
    def media(self) -> Path:
        """Files on their way out, and labelled ones that are given as URLs for a while (gateway/media/store.py)."""
        return self.root / "media"


def whole_path(path: Path) -> Path:
    """Return a path as people give it, made absolute and without `..`: what is told of it can be used anywhere."""
    return path.resolve() if ".." in path.parts else path.absolute()


def folder_at(path: Path) -> DataFolder:
    """Return the data folder at a path as people give it."""
    return DataFolder(whole_path(path))


def settings_file(data: DataFolder) -> Path:
    """Return the settings file of a data folder: the one that GUIJU_SETTINGS names, else the one in the folder."""
    return whole_path(Path(os.environ.get("GUIJU_SETTINGS") or data.settings))
