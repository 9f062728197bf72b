"""Where entries come from: the spool's segments, each writer's in order, and the signal of the outbox."""

import contextlib
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from guiju.core.errors import GuijuError
from guiju.records.models import SpoolCursor
from guiju.records.outbox import OUTBOX_SIGNAL
from guiju.records.recorder.incoming import Incoming, aside, read_entry
from guiju.records.spool.segment import WRITER_SUFFIX, Damage, SegmentReader, is_abandoned, list_segments, writer_of

BATCH_ENTRIES: Final = 4_000
"""So many only when so many wait: each batch costs the same few waits for the disk."""
BATCH_BYTES: Final = 16 * 2**20
_SEGMENTS_AT_ONCE: Final = 64
_STUCK_S: Final = 2.0
_DRAFT_KEPT_S: Final = 60.0
DAMAGED_FOLDER: Final = "damaged"


@dataclass(frozen=True, slots=True)
class Arrived:
    """What came, and the spool writer that it came from; empty for the outbox."""

    incoming: Incoming
    writer: str


@dataclass(frozen=True, slots=True)
class Moved:
    """How far a batch reads into a segment: the cursor `before` (None for none yet) and `after`; the time of its last entry."""

    segment: str
    before: int | None
    after: int
    at_us: int = 0


class SpoolIntake:
    """Reads the spool folder; keeps its place in each segment until told to `forget`."""

    def __init__(self, folder: Path, key: X25519PrivateKey) -> None:
        self._folder = folder
        self._key = key
        self._readers: dict[Path, SegmentReader] = {}
        self._cursors: dict[str, int | None] = {}
        self._stuck_since: dict[Path, float] = {}
        self._signal_seen = -1

    def forget(self) -> None:
        """Forget every place, to begin again from the cursors in the database."""
        for reader in self._readers.values():
            reader.close()
        self._readers, self._cursors, self._stuck_since, self._signal_seen = {}, {}, {}, -1

    def take(self) -> tuple[list[Arrived], list[Moved]]:
        """Return what has come since, up to a batch, and retire segments that have nothing more to give.

        A writer's entries come in the order in which it appended them: the end of an answer behind its beginning.
        """
        arrived: list[Arrived] = []
        moved: list[Moved] = []
        room = BATCH_BYTES
        for path in list_segments(self._folder)[:_SEGMENTS_AT_ONCE]:
            writer = writer_of(path)
            if len(arrived) >= BATCH_ENTRIES or room <= 0:
                break
            gone = is_abandoned(path)
            reader = self._reader(path)
            if reader is None:
                if self._cursors[path.name] is None:
                    arrived.append(Arrived(aside("a spool segment cannot be read", b"", segment=path.name), writer))
                    moved.append(Moved(path.name, None, -1))
                    self._cursors[path.name] = -1
                else:  # that is on record now
                    self._retire(path)
                continue
            items = reader.read(BATCH_ENTRIES - len(arrived), room, final=gone or self._is_stuck(path)) if gone or reader.waiting() else []
            if items:
                self._stuck_since.pop(path, None)
            for item in items:
                if isinstance(item, Damage):
                    lost = {"segment": path.name, "counter": item.counter, "offset": item.offset, "lost": item.lost}
                    arrived.append(Arrived(aside("spool frames cannot be read", b"", **lost), writer))
                else:
                    room -= len(item.raw)
                    arrived.append(Arrived(read_entry(item.raw), writer))
            if items:
                after = reader.counter - 1
                moved.append(Moved(path.name, self._cursors[path.name], after, arrived[-1].incoming.entry.at_us))
                self._cursors[path.name] = after
            elif gone:
                self._retire(path)
        return arrived, moved

    def places(self) -> dict[str, int]:
        """Return how far each segment at hand was read, in bytes."""
        return {path.name: reader.offset for path, reader in self._readers.items()}

    def outbox_signalled(self) -> bool:
        """Return whether the outbox was written to since the last call; one system call."""
        try:
            changed_ns = os.stat(self._folder / OUTBOX_SIGNAL).st_mtime_ns
        except FileNotFoundError:
            return False
        before, self._signal_seen = self._signal_seen, changed_ns
        return changed_ns != before

    def is_finished(self, writer: str) -> bool:
        """Return whether the writer's process is gone and every segment of it is drained."""
        # The lock first: a writer that is gone makes no further segment.
        gone = is_abandoned(self._folder / (writer + WRITER_SUFFIX))
        return gone and not any(writer_of(path) == writer for path in list_segments(self._folder))

    def sweep(self) -> None:
        """Remove what dead writers left: locks nobody holds, and files that never got their name."""
        with contextlib.suppress(FileNotFoundError):
            for entry in os.scandir(self._folder):
                old = entry.name.endswith(".new") and time.time() - entry.stat().st_mtime > _DRAFT_KEPT_S
                writer = entry.name.endswith(WRITER_SUFFIX) and self.is_finished(entry.name.removesuffix(WRITER_SUFFIX))
                if writer or (old and is_abandoned(Path(entry.path))):
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(entry.path)

    def _reader(self, path: Path) -> SegmentReader | None:
        reader = self._readers.get(path)
        if reader is None:
            if path.name not in self._cursors:
                self._cursors[path.name] = SpoolCursor.objects.filter(segment=path.name).values_list("counter", flat=True).first()
            cursor = self._cursors[path.name]
            try:
                reader = self._readers[path] = SegmentReader(path, self._key, -1 if cursor is None else cursor)
            except GuijuError:
                return None
        return reader

    def _is_stuck(self, path: Path) -> bool:
        """Return whether bytes that cannot be read have been lying there too long to be a write under way."""
        return time.monotonic() - self._stuck_since.setdefault(path, time.monotonic()) > _STUCK_S

    def _retire(self, path: Path) -> None:
        """Let go of a drained segment. One that was damaged is kept aside for whoever looks into it."""
        reader = self._readers.pop(path, None)
        if reader is not None:
            reader.close()
        self._stuck_since.pop(path, None)
        with contextlib.suppress(FileNotFoundError):
            if reader is None or reader.damaged:
                aside = self._folder / DAMAGED_FOLDER
                aside.mkdir(exist_ok=True, mode=0o700)
                os.rename(path, aside / path.name)
            else:
                os.unlink(path)
