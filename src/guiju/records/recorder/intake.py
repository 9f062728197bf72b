"""Where entries come from: the spool's segments, each writer's in order, and the signal of the outbox.

While a writer lives, nothing in its segment is damage: what cannot be read may be a write under way (decision 0052). Where bytes lie for
seconds behind what could be read, the writer is asked to end the segment, and what follows waits until it has.
"""

import contextlib
import logging
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
from guiju.records.spool.segment import (
    END_SUFFIX,
    SPOOL_DAMAGED,
    SUFFIX,
    WRITER_SUFFIX,
    Damage,
    SegmentReader,
    end_of_frames,
    is_abandoned,
    list_segments,
    writer_of,
)

BATCH_ENTRIES: Final = 4_000
"""So many only when so many wait: each batch costs the same few waits for the disk."""
BATCH_BYTES: Final = 16 * 2**20
_SEGMENTS_AT_ONCE: Final = 64
"""So many give entries to one batch; those that have nothing are not counted, or the workers after them would never be heard."""
_LOOK_S: Final = 1.0
_STUCK_S: Final = 2.0
"""A write under way takes less. One that takes longer is only the end of its segment."""
_DRAFT_KEPT_S: Final = 60.0
DAMAGED_FOLDER: Final = "damaged"

log = logging.getLogger("guiju.records")


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
        self._looked_at: dict[Path, float] = {}
        self._held_since: dict[Path, float] = {}
        """Segments with bytes behind what could be read, and since when."""
        self._asked: set[Path] = set()
        """Their writers were asked to end them."""
        self._left: set[Path] = set()
        """They could not be set aside, and are passed over."""
        self._signal_seen = -1

    def forget(self) -> None:
        """Forget every place, to begin again from the cursors in the database."""
        for reader in self._readers.values():
            reader.close()
        self._readers, self._cursors, self._looked_at, self._held_since, self._signal_seen = {}, {}, {}, {}, -1
        self._left.clear()

    @property
    def held_up(self) -> bool:
        """Whether entries may wait behind bytes that cannot be read, until a writer has ended its segment."""
        return bool(self._held_since)

    def take(self) -> tuple[list[Arrived], list[Moved]]:
        """Return what has come since, up to a batch, and retire segments that have nothing more to give.

        A writer's entries come in the order in which it appended them: the end of an answer behind its beginning.
        """
        arrived: list[Arrived] = []
        moved: list[Moved] = []
        room = BATCH_BYTES
        for path in list_segments(self._folder):
            if len(arrived) >= BATCH_ENTRIES or room <= 0 or len(moved) >= _SEGMENTS_AT_ONCE:
                break
            if path in self._left:
                continue
            try:
                gone = is_abandoned(path)
                reader = self._reader(path)
            except FileNotFoundError:  # another recorder was here
                continue
            except PermissionError as problem:
                self._leave(path, problem)
                continue
            if not gone and (reader is None or not reader.waiting()):
                self._watch(path, reader)
                continue
            writer = writer_of(path)
            if reader is None:
                if self._cursors[path.name] is None:
                    arrived.append(Arrived(aside("a spool segment cannot be read", b"", segment=path.name), writer))
                    moved.append(self._moved(path, -1))
                else:  # that is on record now
                    self._retire(path)
                continue
            items = reader.read(BATCH_ENTRIES - len(arrived), room, final=gone)
            for item in items:
                if isinstance(item, Damage):
                    log.error("%s", GuijuError(SPOOL_DAMAGED, path=path, offset=item.offset, lost=item.lost or "?"))
                    lost = {"segment": path.name, "counter": item.counter, "offset": item.offset, "lost": item.lost}
                    arrived.append(Arrived(aside("spool frames cannot be read", b"", **lost), writer))
                else:
                    room -= len(item.raw)
                    arrived.append(Arrived(read_entry(item.raw), writer))
            if items:
                self._held_since.pop(path, None)
                moved.append(self._moved(path, reader.counter - 1, arrived[-1].incoming.entry.at_us))
            elif not gone:
                self._watch(path, reader)
            elif self._cursors[path.name] is None:  # one that was read and held nothing is no gap in its writer's numbers
                moved.append(self._moved(path, -1))
            else:
                self._retire(path)
        return arrived, moved

    def _moved(self, path: Path, after: int, at_us: int = 0) -> Moved:
        before, self._cursors[path.name] = self._cursors[path.name], after
        return Moved(path.name, before, after, at_us)

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
        """Remove what dead writers left: locks nobody holds, files that never got their name, and what asked to end a segment that is gone."""
        segments = {path.name for path in list_segments(self._folder)}
        with contextlib.suppress(FileNotFoundError):
            for entry in os.scandir(self._folder):
                if not entry.is_file(follow_symlinks=False):
                    continue
                if entry.name.endswith(SUFFIX) and entry.name not in segments:
                    log.warning("%r in the spool folder is no segment of a writer and is not read", entry.name)
                asked = entry.name.endswith(END_SUFFIX) and entry.name.removesuffix(END_SUFFIX) + SUFFIX not in segments
                old = entry.name.endswith(".new") and time.time() - entry.stat().st_mtime > _DRAFT_KEPT_S
                writer = entry.name.endswith(WRITER_SUFFIX) and self.is_finished(entry.name.removesuffix(WRITER_SUFFIX))
                if asked or writer or (old and is_abandoned(Path(entry.path))):
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

    def _watch(self, path: Path, reader: SegmentReader | None) -> None:
        """See to a segment whose writer lives and that gave nothing: once a second, is there something behind what could be read?"""
        now = time.monotonic()
        if now - self._looked_at.get(path, -_LOOK_S) < _LOOK_S:
            return
        self._looked_at[path] = now
        if reader is not None and not reader.waiting() and _ends_at(path) <= reader.offset:
            self._held_since.pop(path, None)
            return
        if now - self._held_since.setdefault(path, now) > _STUCK_S and path not in self._asked:
            with contextlib.suppress(OSError):  # a disk that has no room for an empty file; a minute without entries ends the segment too
                path.with_suffix(END_SUFFIX).touch(0o600)
                self._asked.add(path)
                offset = 0 if reader is None else reader.offset
                log.warning(
                    "%s cannot be read from byte %d on; its worker is asked to end it, and what follows waits until then", path, offset
                )

    def _retire(self, path: Path) -> None:
        """Let go of a drained segment. One that was damaged is kept aside for whoever looks into it."""
        reader = self._readers.pop(path, None)
        if reader is not None:
            reader.close()
        self._looked_at.pop(path, None)
        self._held_since.pop(path, None)
        self._asked.discard(path)
        try:
            if reader is None or reader.damaged:
                aside = self._folder / DAMAGED_FOLDER
                aside.mkdir(exist_ok=True, mode=0o700)
                os.rename(path, aside / path.name)
            else:
                os.unlink(path)
        except FileNotFoundError:
            pass
        except OSError as problem:
            self._leave(path, problem)
        with contextlib.suppress(OSError):
            os.unlink(path.with_suffix(END_SUFFIX))

    def _leave(self, path: Path, problem: OSError) -> None:
        """Pass over a segment that stands in nobody else's way."""
        self._left.add(path)
        log.error("%s stays where it is, and is passed over until the recorder starts again: %s", path, problem)


def _ends_at(path: Path) -> float:
    """Return where the frames of a segment end, as far as can be told."""
    try:
        return end_of_frames(path)
    except OSError:  # the disk does not give back what lies there
        return float("inf")
