"""The master keys of a data folder: the one in force, the next one while a rotation runs, those of earlier times.

Each wrapped subject key names its master key by id, so all of them may lie in the folder at once:

| file | what it is |
|---|---|
| `master.key` | the master key; after a rotation the new one |
| `master-next.key` | the new one while a rotation runs |
| `master-<id>.key` | one of earlier times: nothing in this database needs it, older backups of it do |
"""

from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Final

from guiju.core.durable import replace, write_new
from guiju.core.errors import GuijuError, Text, define
from guiju.core.keys import KEY_FILE_MISSING, read_key_file

MASTER_KEY_UNKNOWN = define(
    "MASTER-KEY-UNKNOWN",
    status=500,
    kind="server_error",
    zh=Text(
        "{folder} 中没有编号为 {id} 的主密钥。",
        "没有打开任何内容；封存的内容和记录均未改动。",
        "请从备份恢复 master.key 或 master-{id}.key；若数据库是从较早的备份恢复的，需要当时的主密钥。",
    ),
    en=Text(
        "No master key with the id {id} lies in {folder}.",
        "Nothing was opened; sealed content and records are unchanged.",
        "Restore master.key or master-{id}.key from a backup; a database restored from an older backup needs the master key of that time.",
    ),
)

CURRENT: Final = "master.key"
NEXT: Final = "master-next.key"
_ID_CHARACTERS: Final = 16


def master_key_id(key: bytes) -> str:
    """Return the id by which wrapped keys name their master key; it tells nothing of the key."""
    return sha256(b"guiju master key\n" + key).hexdigest()[:_ID_CHARACTERS]


def former_name(id: str) -> str:  # the name that callers use
    """Return the file name of a master key of earlier times."""
    return f"master-{id}.key"


class MasterKeys:
    """The master keys of one folder by id. One that is not known makes the folder be read again: a rotation may have begun."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._keys: dict[str, bytes] = {}
        self._current = ""
        self._read()

    @property
    def current(self) -> str:
        """The id of `master.key`."""
        return self._current

    def get(self, id: str) -> bytes:
        """Return the key with this id. Raises MASTER-KEY-UNKNOWN, and the KEY-FILE- errors."""
        if id not in self._keys:
            self._read()
        if id not in self._keys:
            raise GuijuError(MASTER_KEY_UNKNOWN, id=id, folder=self._folder)
        return self._keys[id]

    def _read(self) -> None:
        # `master.key` is read last: the end of a rotation moves the next key there, and read first it would be missed.
        found: dict[str, bytes] = {}
        for path in self._folder.glob("master-*.key"):
            try:
                key = read_key_file(path)
            except GuijuError as problem:
                if problem.code is not KEY_FILE_MISSING:
                    raise
                continue
            found[master_key_id(key)] = key
        key = read_key_file(self._folder / CURRENT)
        self._current = master_key_id(key)
        self._keys = found | {self._current: key}


def load_master_keys(folder: Path) -> MasterKeys:
    """Return the master keys of a folder. Raises the KEY-FILE- errors."""
    return MasterKeys(folder)


def make_next(folder: Path, key: bytes) -> str:
    """Keep `key` as the next master key unless there is one already; return the id of the one that is there."""
    write_new(folder / NEXT, key)
    return master_key_id(read_key_file(folder / NEXT))


def put_next_in_force(folder: Path, id: str) -> str:
    """Make the next key, whose id is given, `master.key`, and keep the one before under its id; return that id.

    Safe to repeat after a kill at any instant: each step finds what the last run did. Returns an empty text when the key
    was in force already.
    """
    before = read_key_file(folder / CURRENT)
    if master_key_id(before) == id:
        with suppress(FileNotFoundError):  # a kill between the two writes of a former run leaves it
            (folder / NEXT).unlink()
        return ""
    following = read_key_file(folder / NEXT)
    if master_key_id(following) != id:
        raise GuijuError(MASTER_KEY_UNKNOWN, id=id, folder=folder)
    write_new(folder / former_name(master_key_id(before)), before)
    replace(folder / CURRENT, following)
    with suppress(FileNotFoundError):
        (folder / NEXT).unlink()
    return master_key_id(before)
