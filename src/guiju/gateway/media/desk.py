"""What the media calls of one worker share: the store, the processes that label, who fetches. Made when the first such call comes."""

import asyncio
import logging
import time
from pathlib import Path
from typing import Final

from guiju.gateway.bundle import Media
from guiju.gateway.media.fetch import Fetcher
from guiju.gateway.media.labellers import Labellers
from guiju.gateway.media.store import MediaStore

SWEEP_S: Final = 30.0

log = logging.getLogger("guiju.gateway")


class MediaDesk:
    """One for each worker. `close` it when the worker ends."""

    def __init__(self, folder: Path, keys: Path, settings: Media) -> None:
        self.store = MediaStore(folder)
        self.keys = keys
        """Where the keys lie that sign labels."""
        self.settings = settings
        self.labellers = Labellers(settings)
        self.sealers = Labellers(settings)
        """Other processes of the same kind, which sign C2PA manifests and never see a file that was not published."""
        self.fetcher = _fetcher(settings)
        self._locks: dict[str, asyncio.Lock] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._sweeping = asyncio.get_running_loop().create_task(self._sweep())

    def use(self, settings: Media) -> None:
        """Take the settings in force. Files under way go on with those that they began with."""
        if settings == self.settings:
            return
        before, self.settings = (self.labellers, self.sealers), settings
        self.labellers, self.sealers, self.fetcher = Labellers(settings), Labellers(settings), _fetcher(settings)
        for each in before:
            self._later(each)

    async def close(self) -> None:
        """End the processes and the sweeping."""
        self._sweeping.cancel()
        await self.labellers.close()
        await self.sealers.close()
        for task in list(self._ending):
            task.cancel()

    def lock(self, name: str) -> asyncio.Lock:
        """Return the lock of a film, so that two who fetch it wait for one labelling."""
        if len(self._locks) > 1_000:
            self._locks = {each: lock for each, lock in self._locks.items() if lock.locked()}
        return self._locks.setdefault(name, asyncio.Lock())

    def _later(self, before: Labellers) -> None:
        async def end() -> None:
            await asyncio.sleep(before.settings.label_timeout_ms / 1000)
            await before.close()

        task = asyncio.get_running_loop().create_task(end())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _sweep(self) -> None:
        while True:
            try:
                await asyncio.to_thread(self.store.sweep, time.time())
            except OSError as problem:
                log.warning("files that have expired were not removed: %s", problem)
            await asyncio.sleep(SWEEP_S)


def _fetcher(settings: Media) -> Fetcher:
    return Fetcher(settings.fetch_hosts, limit_bytes=settings.file_bytes, timeout_ms=settings.fetch_timeout_ms)
