"""What a crash tears is stepped over in one pass, however large it is.

The guarded line is `_headers` in `segment.py`: a search for each counter in turn needs hours for the first test.
"""

import asyncio
import os
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from guiju.records.spool.segment import FRAME, HEADER_BYTES, Damage, list_segments, read_segment
from guiju.records.spool.writer import SpoolWriter

KEY = X25519PrivateKey.generate()
LARGE = os.urandom(12 * 2**20)


def segment_of(folder: Path, *entries: bytes) -> Path:
    async def write() -> None:
        writer = SpoolWriter(folder, KEY.public_key().public_bytes_raw(), worker="w")
        for raw in entries:
            await writer.append(raw)
        await writer.close()

    asyncio.run(write())
    return list_segments(folder)[0]


def test_a_large_torn_tail_is_left_alone_at_once(tmp_path: Path) -> None:
    path = segment_of(tmp_path, b"first", LARGE)
    os.truncate(path, path.stat().st_size - 1_000)
    begun = time.monotonic()
    assert [raw for _, raw in read_segment(path, KEY.private_bytes_raw())] == [b"first"]
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize("shift", range(4))
def test_what_follows_a_large_damage_is_found_wherever_it_begins(tmp_path: Path, shift: int) -> None:
    path = segment_of(tmp_path, b"first", LARGE + b"x" * shift, b"third", b"fourth")
    with path.open("r+b") as file:
        file.seek(HEADER_BYTES + FRAME.size + 16 + len(b"first") + FRAME.size + 5_000)
        file.write(b"damage")
    damage: list[Damage] = []
    found = list(read_segment(path, KEY.private_bytes_raw(), on_damage=damage.append))
    assert found == [(0, b"first"), (2, b"third"), (3, b"fourth")]
    assert [(each.counter, each.lost) for each in damage] == [(1, 1)]
