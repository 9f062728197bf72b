"""A writer of the spool in a test: its keys, what it wrote, and waiting for what happens on its thread."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from guiju.records.spool.direct import Direct
from guiju.records.spool.segment import list_segments, read_segment
from guiju.records.spool.writer import SpoolWriter

KEY = X25519PrivateKey.generate()
PUBLIC = KEY.public_key().public_bytes_raw()
PRIVATE = KEY.private_bytes_raw()


def written(folder: Path) -> list[bytes]:
    return [raw for path in list_segments(folder) for _, raw in read_segment(path, PRIVATE)]


def wait(event: threading.Event) -> None:
    assert event.wait(10)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110  # what is waited for happens on a thread
            await asyncio.sleep(0.002)


async def ready(writer: SpoolWriter) -> Direct:
    """Append one entry, and wait until the thread has made room: from then on the loop can write."""
    await writer.append(b"first")
    await until(lambda: writer._given == writer._done and writer._segment is not None and writer._segment.has_room(2**17))
    assert writer._direct is not None, "this file system takes no writes past the page cache"
    return writer._direct
