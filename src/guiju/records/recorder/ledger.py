"""The ledger follows the database: leaves of new records go into tiles, then a checkpoint over them is signed.

What a kill leaves behind: records without tiles, or tiles without a checkpoint. Both are caught up on the next call, from
the database. What was signed is never signed differently: when the database no longer agrees with a signed checkpoint,
signing stops and LEDGER-DIVERGED says so, while records go on being written.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from guiju.core.errors import GuijuError, Text, define
from guiju.core.keys import load_ring, load_signing_keys
from guiju.records.log.note import Checkpoint, sign_checkpoint
from guiju.records.log.signers import verify_site_checkpoint
from guiju.records.log.tiles import TILE_MISSING, WIDTH, TileReader, TileWriter, former_tiles, read_checkpoint, write_checkpoint
from guiju.records.models import Record, next_index
from guiju.records.recorder.ingest import Written

LEDGER_DIVERGED = define(
    "LEDGER-DIVERGED",
    status=500,
    kind="server_error",
    zh=Text(
        "数据库与已签名的检查点不一致：{reason}。",
        "检查点保持不变，也不再签发新的；新记录照常写入数据库。",
        "请运行 guiju verify 查明哪一条记录有出入，并从备份恢复。",
    ),
    en=Text(
        "The database disagrees with the signed checkpoint: {reason}.",
        "The checkpoint is kept and no new one is signed; new records are still written to the database.",
        "Run guiju verify to see which record differs, and restore from a backup.",
    ),
)

_LEAVES_AT_ONCE: Final = 10_000


class Ledger:
    """The writer of the log; several may exist, a lock on the folder lets one write at a time."""

    def __init__(self, folder: Path, origin: str, keys: Path) -> None:
        """`keys` is the folder of the site keys; it is looked at for each checkpoint, so that a change counts at once."""
        self._folder = folder
        self._origin = origin
        self._keys = keys
        self._tiles = TileWriter(folder)
        self._note: bytes | None = None

    def catch_up(self, written: Written | None = None, progress: Callable[[int], None] | None = None) -> Checkpoint | None:
        """Bring tiles and checkpoint up to the database; return the newest checkpoint, None for an empty log.

        `written` is the batch just committed: its leaves are taken from there when they are the next ones.
        `progress` is told the number of leaves after each step. Raises LEDGER-DIVERGED.
        """
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(self._folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            note = read_checkpoint(self._folder)
            if note is None or note != self._note:
                self._resume(note)
            before = self._tiles.size
            if written is not None and written.first == before:
                self._tiles.extend(written.leaves)
            else:
                for leaves in _leaves_from(before):
                    self._tiles.extend(leaves)
                    if progress is not None:
                        progress(self._tiles.size)
            checkpoint = Checkpoint(self._origin, self._tiles.size, self._tiles.root())
            if checkpoint.size > before:
                self._note = sign_checkpoint(checkpoint, *load_signing_keys(self._keys))
                write_checkpoint(self._folder, self._note)
                self._tiles.prune()
            return checkpoint if checkpoint.size else None
        finally:
            os.close(lock)

    def _resume(self, note: bytes | None) -> None:
        """Take up the log where its checkpoint says it ends; make its tiles anew when they do not lead to that root."""
        self._note = None
        self._tiles = TileWriter(self._folder)
        if note is None:
            return
        try:
            signed = verify_site_checkpoint(note, self._origin, load_ring(self._keys))
        except GuijuError as problem:
            raise GuijuError(LEDGER_DIVERGED, reason=problem.text("en")) from problem
        if (written := next_index()) < signed.size:
            raise GuijuError(LEDGER_DIVERGED, reason=f"{signed.size} records were signed, the database holds {written}")
        try:
            tiles = TileWriter.resume(self._folder, signed.size)
            whole = tiles.root() == signed.root
        except GuijuError as problem:
            if problem.code is not TILE_MISSING:
                raise
            whole = False
        if not whole:
            # What retention has removed from the database has its leaf in the former tiles only: they stay until the new ones lead
            # to the signed root. Killed in between, the former ones are still there, and it begins again.
            with former_tiles(self._folder) as former:
                tiles = TileWriter(self._folder)
                for leaves in _leaves_from(0, signed.size, TileReader(former, signed.size)):
                    tiles.extend(leaves)
                if tiles.root() != signed.root:
                    raise GuijuError(LEDGER_DIVERGED, reason=f"the first {signed.size} records do not give the signed root")
        self._tiles = tiles
        self._note = note


def _leaves_from(start: int, end: int | None = None, former: TileReader | None = None) -> Iterator[list[bytes]]:
    """Yield the leaves of records from `start` to before `end` in order; those that are gone from the database from `former`.

    Raises LEDGER-DIVERGED for a leaf that lies nowhere.
    """
    while end is None or start < end:
        rows = Record.objects.filter(index__gte=start).order_by("index").values_list("index", "leaf")
        found = dict(rows[: _LEAVES_AT_ONCE if end is None else min(_LEAVES_AT_ONCE, end - start)])
        until = max(found, default=start - 1) + 1 if end is None else min(max(found, default=end) + 1, end)
        if not found and (end is None or former is None):
            return
        until = min(until, start + _LEAVES_AT_ONCE)
        yield [bytes(found[index]) if index in found else _former_leaf(former, index) for index in range(start, until)]
        start = until


def _former_leaf(former: TileReader | None, index: int) -> bytes:
    if former is not None:
        with suppress(GuijuError, OSError):
            return former.entries(index // WIDTH)[index % WIDTH]
    raise GuijuError(LEDGER_DIVERGED, reason=f"record numbers have a gap at {index}, and no tile holds its leaf")
