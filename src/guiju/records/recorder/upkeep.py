"""What the recorder does beside recording, in a thread of its own: end the overlap of site keys, have checkpoints stamped.

Nothing here hinders recording: an authority that is slow or away keeps this thread waiting and nobody else.
"""

import logging
import threading
import time
from pathlib import Path
from typing import Final

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection

from guiju.core.errors import GuijuError
from guiju.core.layout import DataFolder
from guiju.core.settings import Ledger
from guiju.records.keys import rotation
from guiju.records.log.anchor import list_anchors, stamp
from guiju.records.log.note import stated_checkpoint
from guiju.records.log.tiles import read_checkpoint

_LOOK_S: Final = 2.0
_FIRST_RETRY_S: Final = 30.0

log = logging.getLogger("guiju.records")


class Upkeep:
    """Looks every few seconds whether something is due. `step` does one round."""

    def __init__(self, data: DataFolder, ledger: Ledger) -> None:
        self._data, self._settings = data, ledger
        self._next_stamp = 0.0
        self._retry_s = _FIRST_RETRY_S
        self._told = ""
        self._tidied = False

    def start(self, stop: threading.Event) -> threading.Thread:
        """Run in a thread until `stop` is set. It ends with the process: what it was doing is taken up by the next one."""
        thread = threading.Thread(target=self._run, args=(stop,), name="upkeep", daemon=True)
        thread.start()
        return thread

    def _run(self, stop: threading.Event) -> None:
        while not stop.wait(_LOOK_S):
            self.step(time.monotonic())

    def step(self, now: float) -> None:
        """Do what is due at `now` (monotonic seconds). What is in the way is told once, until it changes or is gone."""
        told = ""
        try:
            if not self._tidied:
                rotation.tidy()
                self._tidied = True
            rotation.finish_if_due()
        except (GuijuError, OSError, DatabaseError, InterfaceError) as problem:
            told = f"the change of the site key could not go on: {problem}"
        finally:
            connection.close()  # nothing is kept open between two looks
        if self._settings.tsa_url and now >= self._next_stamp:
            told = self._stamp(now) or told
        elif self._settings.tsa_url and self._told:
            told = told or self._told  # still in the way, until the next try
        if told and told != self._told:
            log.error("%s", told)
        self._told = told

    def _stamp(self, now: float) -> str:
        """Have the newest checkpoint stamped, unless it was; return what was in the way."""
        note = read_checkpoint(self._data.ledger)
        stamped = {path.stem for path in list_anchors(self._data.ledger)[-1:]}
        if note is None or f"{stated_checkpoint(note).size:012d}" in stamped:
            return ""
        try:
            stamp(self._data.ledger, note, self._settings.tsa_url, Path(self._settings.tsa_root_file))
        except (GuijuError, OSError) as problem:
            self._next_stamp = now + self._retry_s
            self._retry_s = min(2 * self._retry_s, 60.0 * self._settings.tsa_interval_minutes)
            return str(problem)
        self._next_stamp = now + 60.0 * self._settings.tsa_interval_minutes
        self._retry_s = _FIRST_RETRY_S
        return ""


def start_upkeep(stop: threading.Event) -> threading.Thread:
    """Start the upkeep of this process's site."""
    return Upkeep(settings.DATA_FOLDER, settings.SITE.ledger).start(stop)
