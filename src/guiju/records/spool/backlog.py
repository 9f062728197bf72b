"""The backlog: how much of the spool is not on record yet, and since when. Readable without the database.

The recorder writes down how far it has come (`run/recorder.json`, at most once a second), and what stands in its way.
Whoever asks compares that with the segments: what lies behind the recorder's places waits.
"""

import contextlib
import os
from pathlib import Path
from typing import Final

import msgspec

from guiju.records.spool.segment import HEADER_BYTES, created_us, end_of_frames, list_segments

LATE_S: Final = 10.0
"""Entries become records within a second; what waits longer than this waits for something."""
_FILE: Final = "recorder.json"


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """What the recorder tells of itself. Times are microseconds since 1970 UTC.

    `drained_at_us` is when it last found nothing waiting. `places` maps a segment's name to (offset, time of the last
    entry): everything before them is on record. `reason` says what is in its way, empty for nothing.
    """

    at_us: int = 0
    drained_at_us: int = 0
    places: dict[str, tuple[int, int]] = {}
    reason: str = ""
    since_us: int = 0


class Backlog(msgspec.Struct, frozen=True, kw_only=True):
    """What waits to become records: `oldest_s` is the age of the oldest entry at the most, 0 when nothing waits."""

    segments: int = 0
    size_bytes: int = 0
    oldest_s: float = 0.0
    reason: str = ""

    @property
    def late(self) -> bool:
        """Whether entries wait for something: the database, the disk, a recorder that is gone."""
        return bool(self.reason) or self.oldest_s > LATE_S


def read_progress(run: Path) -> Progress:
    """Return what the recorder told last; of one that never ran, nothing."""
    try:
        return msgspec.json.decode((run / _FILE).read_bytes(), type=Progress)
    except (OSError, msgspec.DecodeError):
        return Progress()


def write_progress(run: Path, progress: Progress) -> None:
    """Replace what the recorder told before. Not durable, and no harm when it fails: it is only for looking at."""
    with contextlib.suppress(OSError):
        run.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = run / f".{_FILE}.{os.getpid()}"
        draft.write_bytes(msgspec.json.encode(progress))
        os.replace(draft, run / _FILE)


def measure_backlog(spool: Path, run: Path, now_us: int) -> Backlog:
    """Return what waits in the spool folder now; some milliseconds of reading."""
    progress = read_progress(run)
    segments = size_bytes = 0
    oldest_us = now_us
    for path in list_segments(spool):
        offset, at_us = progress.places.get(path.name, (HEADER_BYTES, 0))
        with contextlib.suppress(OSError):  # drained and removed meanwhile
            waiting_bytes = end_of_frames(path) - offset
            if waiting_bytes > 0:
                segments += 1
                size_bytes += waiting_bytes
                oldest_us = min(oldest_us, max(progress.drained_at_us, at_us or created_us(path)))
    return Backlog(segments=segments, size_bytes=size_bytes, oldest_s=(now_us - oldest_us) / 1e6, reason=progress.reason)
