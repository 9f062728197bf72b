"""The log on disk: tiles of 256 hashes, bundles of entries, one signed checkpoint. Readable by any static web server.

    checkpoint               the signed note
    tile/<L>/<N>[.p/<W>]     hashes at height 8·L; with `.p/<W>` only the first W of them
    tile/entries/<N>[.p/<W>] leaf data, each with its length in two bytes before it

Tiles follow the database and can be made anew from it; a checkpoint is written after the tiles it speaks of.
Source: C2SP tlog-tiles.
"""

import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from guiju.core.durable import sync_folder
from guiju.core.errors import GuijuError, Text, define
from guiju.records.log.merkle import EMPTY_ROOT, leaf_hash, node_hash, root_of, split

TILE_MISSING = define(
    "TILE-MISSING",
    status=500,
    kind="server_error",
    zh=Text("账本缺少或损坏了 {path}。", "数据库中的记录不受影响。", "请运行 guiju verify；记录进程重启时会从数据库重建账本文件。"),
    en=Text(
        "The ledger lacks {path}, or it is damaged.",
        "The records in the database are not touched.",
        "Run guiju verify; the recorder rebuilds ledger files from the database when it restarts.",
    ),
)

WIDTH: Final = 256
HASH_BYTES: Final = 32
_ENTRY_BYTES: Final = 2 + HASH_BYTES
_HEIGHT: Final = 8
_CHECKPOINT: Final = "checkpoint"
_FORMER: Final = "former"


def tile_path(level: int | str, number: int, width: int = WIDTH) -> str:
    """Return the path of a tile below the ledger folder; `level` is a number or `entries`.

    >>> tile_path(0, 1234067, 8)
    'tile/0/x001/x234/067.p/8'
    """
    groups = [f"{number % 1000:03d}"]
    while number >= 1000:
        number //= 1000
        groups.insert(0, f"x{number % 1000:03d}")
    return f"tile/{level}/{'/'.join(groups)}" + (f".p/{width}" if width < WIDTH else "")


class TileReader:
    """Reads a log of `size` leaves. Tiles that were read are kept: make one reader for one piece of work."""

    def __init__(self, folder: Path, size: int) -> None:
        self.folder = folder
        self.size = size
        self._tiles: dict[tuple[int, int], list[bytes]] = {}

    def hashes(self, level: int, number: int) -> list[bytes]:
        """Return the hashes of one tile as far as this log reaches. Raises TILE-MISSING."""
        known = self._tiles.get((level, number))
        if known is None:
            width = min(WIDTH, (self.size >> _HEIGHT * level) - number * WIDTH)
            raw = self._read(level, number, width, width * HASH_BYTES)
            known = [raw[at : at + HASH_BYTES] for at in range(0, width * HASH_BYTES, HASH_BYTES)]
            self._tiles[(level, number)] = known
        return known

    def entries(self, number: int) -> list[bytes]:
        """Return the leaf data of one bundle as far as this log reaches. Raises TILE-MISSING."""
        width = min(WIDTH, self.size - number * WIDTH)
        raw, at, found = self._read("entries", number, width, 0), 0, []
        if raw[: _ENTRY_BYTES * width : _ENTRY_BYTES] == bytes(width) and raw[1 : _ENTRY_BYTES * width : _ENTRY_BYTES] == b"\x20" * width:
            # All of them are hashes, as ours are: cut at once.
            found = [raw[start : start + HASH_BYTES] for start in range(2, _ENTRY_BYTES * width, _ENTRY_BYTES)]
            if len(found[-1]) == HASH_BYTES:
                return found
            found = []
        for _ in range(width):
            length = int.from_bytes(raw[at : at + 2], "big")
            found.append(raw[at + 2 : at + 2 + length])
            if at + 2 > len(raw) or len(found[-1]) != length:
                raise GuijuError(TILE_MISSING, path=self.folder / tile_path("entries", number))
            at += 2 + length
        return found

    def subtree(self, start: int, end: int) -> bytes:
        """Return the hash over the leaves from `start` to before `end`, a stretch that occurs in proofs."""
        if end == start:
            return EMPTY_ROOT
        size = end - start
        if size & (size - 1) == 0 and start % size == 0:
            height = size.bit_length() - 1
            level = height // _HEIGHT
            first = start >> _HEIGHT * level
            count = 1 << height - _HEIGHT * level
            return root_of(self.hashes(level, first // WIDTH)[first % WIDTH : first % WIDTH + count])
        middle = start + split(size)
        return node_hash(self.subtree(start, middle), self.subtree(middle, end))

    def root(self) -> bytes:
        """Return the root of the whole log."""
        return self.subtree(0, self.size)

    def _read(self, level: int | str, number: int, width: int, size_bytes: int) -> bytes:
        path = self.folder / tile_path(level, number, width)
        raw = None
        for _ in range(3):  # a partial tile may be replaced between two looks
            raw = raw or self._find(path, level, number, width)
        if raw is None or len(raw) < size_bytes:
            raise GuijuError(TILE_MISSING, path=path)
        return raw

    def _find(self, path: Path, level: int | str, number: int, width: int) -> bytes | None:
        """Return the tile, or a wider one in its place: a log that has grown keeps only the widest."""
        with contextlib.suppress(OSError):
            return path.read_bytes()
        with contextlib.suppress(OSError):
            return (self.folder / tile_path(level, number)).read_bytes()
        with contextlib.suppress(OSError):
            wider = [int(name.name) for name in path.parent.iterdir() if name.name.isdigit() and int(name.name) > width]
            return (path.parent / str(max(wider))).read_bytes() if wider else None
        return None


class TileWriter:
    """Extends a log. Holds its right edge in memory: at most 256 hashes for each level."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.size = 0
        self._pruned = 0
        self._unsynced: set[Path] = set()
        self._edge: list[list[bytes]] = [[]]
        self._entries: list[bytes] = []

    @classmethod
    def resume(cls, folder: Path, size: int) -> "TileWriter":
        """Return the writer of a log that has `size` leaves on disk. Raises TILE-MISSING."""
        writer, reader = cls(folder), TileReader(folder, size)
        writer.size = writer._pruned = size
        level = 0
        writer._edge = []
        while True:
            count = size >> _HEIGHT * level
            writer._edge.append(list(reader.hashes(level, count // WIDTH)) if count % WIDTH else [])
            if count < WIDTH:
                break
            level += 1
        if size % WIDTH:
            writer._entries = reader.entries(size // WIDTH)
            if [leaf_hash(data) for data in writer._entries] != writer._edge[0]:
                raise GuijuError(TILE_MISSING, path=folder / tile_path("entries", size // WIDTH, size % WIDTH))
        return writer

    def extend(self, leaves: Iterable[bytes]) -> None:
        """Add leaf data and write every tile that changes; full ones durably."""
        for data in leaves:
            self._entries.append(data)
            self._push(0, leaf_hash(data))
            self.size += 1
            if len(self._entries) == WIDTH:
                self._write("entries", self.size // WIDTH - 1, WIDTH, _bundle(self._entries))
                self._entries = []
        for level, edge in enumerate(self._edge):
            if edge:
                self._write(level, (self.size >> _HEIGHT * level) // WIDTH, len(edge), b"".join(edge))
        if self._entries:
            self._write("entries", self.size // WIDTH, len(self._entries), _bundle(self._entries))
        for folder in self._unsynced:
            sync_folder(folder)
        self._unsynced.clear()

    def root(self) -> bytes:
        """Return the root over all leaves."""
        root: bytes | None = None
        for edge in self._edge:
            # What the levels below make up stands as one more hash behind the whole ones.
            row = edge if root is None else [*edge, root]
            root = root_of(row) if row else None
        return EMPTY_ROOT if root is None else root

    def prune(self) -> None:
        """Remove partial tiles that a wider one has replaced. Call it after the checkpoint was written."""
        for level in [*range(len(self._edge)), "entries"]:
            height = _HEIGHT * level if isinstance(level, int) else 0
            before, (number, width) = (self._pruned >> height) // WIDTH, divmod(self.size >> height, WIDTH)
            if before != number:
                shutil.rmtree((self.folder / tile_path(level, before, 1)).parent, ignore_errors=True)
            folder = (self.folder / tile_path(level, number, 1)).parent
            if folder.is_dir():
                for old in folder.iterdir():
                    if old.name != str(width):
                        old.unlink()
        self._pruned = self.size

    def _push(self, level: int, value: bytes) -> None:
        if level == len(self._edge):
            self._edge.append([])
        edge = self._edge[level]
        edge.append(value)
        if len(edge) == WIDTH:
            number = self.size >> _HEIGHT * (level + 1)
            self._write(level, number, WIDTH, b"".join(edge))
            self._edge[level] = []
            self._push(level + 1, root_of(edge))

    def _write(self, level: int | str, number: int, width: int, content: bytes) -> None:
        path = self.folder / tile_path(level, number, width)
        _replace(path, content, durable=width == WIDTH)
        if width == WIDTH:
            self._unsynced.add(path.parent)


def read_checkpoint(folder: Path) -> bytes | None:
    """Return the signed note of the newest checkpoint; None before the first."""
    try:
        return (folder / _CHECKPOINT).read_bytes()
    except FileNotFoundError:
        return None


def write_checkpoint(folder: Path, note: bytes) -> None:
    """Put a checkpoint in the place of the last one; readers see one or the other."""
    _replace(folder / _CHECKPOINT, note, durable=True)
    sync_folder(folder)


def remove_tiles(folder: Path) -> None:
    """Remove all tiles, to make them anew from the database."""
    shutil.rmtree(folder / "tile", ignore_errors=True)


@contextlib.contextmanager
def former_tiles(folder: Path) -> Iterator[Path]:
    """Put the tiles aside while new ones are made; give the folder in which they are read. They go when it ends well.

    When it does not, or is killed, the next call reads the same ones: what was made in between is no better than they.
    """
    aside = folder / _FORMER
    if not aside.exists():
        aside.mkdir(mode=0o700)
    if (aside / "tile").exists():
        remove_tiles(folder)
    elif (folder / "tile").exists():
        (folder / "tile").rename(aside / "tile")
    yield aside
    shutil.rmtree(aside)


def iterate_entries(folder: Path, size: int) -> Iterator[bytes]:
    """Yield the leaf data of the first `size` leaves. Raises TILE-MISSING."""
    reader = TileReader(folder, size)
    for number in range((size + WIDTH - 1) // WIDTH):
        yield from reader.entries(number)


def _bundle(entries: list[bytes]) -> bytes:
    return b"".join(len(data).to_bytes(2, "big") + data for data in entries)


def _replace(path: Path, content: bytes, *, durable: bool) -> None:
    """Put a file in place whole; `durable` waits for its bytes, its name is durable after `sync_folder`."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(content)
        if durable:
            file.flush()
            os.fsync(descriptor)
    os.replace(temporary, path)
