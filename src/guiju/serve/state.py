"""One supervisor for one data folder, and what it says of itself in `run/state.json`."""

import fcntl
import os
from pathlib import Path
from typing import IO

import msgspec

from guiju.core.durable import replace
from guiju.core.errors import GuijuError, Text, define
from guiju.core.layout import DataFolder

DATA_IN_USE = define(
    "DATA-IN-USE",
    status=500,
    kind="server_error",
    zh=Text(
        "数据目录 {path} 正由进程 {pid} 使用。", "没有启动任何进程，正在运行的服务不受影响。", "请先停止它，或用 --data 指定另一个目录。"
    ),
    en=Text(
        "The data folder {path} is in use by process {pid}.",
        "Nothing was started; the running service is not touched.",
        "Stop it first, or name another folder with --data.",
    ),
)
DATA_FOREIGN = define(
    "DATA-FOREIGN",
    status=500,
    kind="server_error",
    zh=Text("目录 {path} 不是空的，也不是 guiju 的数据目录。", "目录未被改动。", "请用 --data 指定一个新的目录。"),
    en=Text("The folder {path} is not empty and is no data folder of guiju.", "It is unchanged.", "Name a new folder with --data."),
)


class State(msgspec.Struct, frozen=True, kw_only=True):
    """What runs: the supervisor's process id, where it listens, its children's process ids, the names of those that should run and do not."""

    pid: int
    started_at: str
    version: str
    host: str
    ports: dict[str, int]
    pids: dict[str, int]
    down: tuple[str, ...] = ()
    restarts: dict[str, int] = {}
    ready: bool = False
    read_at_start: dict[str, str] = {}
    """Tables of the settings that count from a start, with digests of what they said then (serve/at_start.py)."""


def take_folder(data: DataFolder) -> IO[str]:
    """Make the data folder (mode 0700) where it is missing and hold it; it is held until the returned file is closed.

    Raises DATA-IN-USE when another supervisor holds it, DATA-FOREIGN when the folder is something else.
    """
    if data.root.exists() and any(data.root.iterdir()) and not any(path.exists() for path in (data.run, data.keys, data.settings)):
        raise GuijuError(DATA_FOREIGN, path=data.root)
    data.root.mkdir(parents=True, exist_ok=True, mode=0o700)
    data.root.chmod(0o700)
    data.run.mkdir(exist_ok=True, mode=0o700)
    lock = (data.run / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        state = read_state(data)
        raise GuijuError(DATA_IN_USE, path=data.root, pid=state.pid if state else "?") from None
    return lock


def is_held(data: DataFolder) -> bool:
    """Tell whether a supervisor holds the data folder now."""
    try:
        descriptor = os.open(data.run / "lock", os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def read_state(data: DataFolder) -> State | None:
    """Return what the supervisor wrote last; None when there is nothing to read."""
    try:
        return msgspec.json.decode(_file(data).read_bytes(), type=State)
    except (OSError, msgspec.DecodeError):
        return None


def write_state(data: DataFolder, state: State) -> None:
    """Replace `run/state.json`."""
    replace(_file(data), msgspec.json.encode(state))


def forget_state(data: DataFolder) -> None:
    """Remove `run/state.json`: nothing runs any more."""
    _file(data).unlink(missing_ok=True)


def _file(data: DataFolder) -> Path:
    return data.run / "state.json"
