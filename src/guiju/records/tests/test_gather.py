"""Whom a commit waits for: others who may still append, and nobody when most of them wait already.

Guarded: `-math.inf` while nothing was handed over yet, `self._active()` in `SpoolWriter.append` and in `_hand_over_soon`, and what was
told in between.
"""

import asyncio
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from guiju.records.spool import writer as spool
from guiju.records.spool.writer import SpoolWriter

PUBLIC = X25519PrivateKey.generate().public_key().public_bytes_raw()


@pytest.fixture(autouse=True)
def _long_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "GATHER_MS", 1e12)  # who waits for the time waits longer than any machine runs


def _run(folder: Path, active: list[int], *appends: int) -> list[bool]:
    """Append so many entries at a time, a few turns of the loop apart; return whether each is on the disk in the end."""

    async def run() -> list[bool]:
        writer = SpoolWriter(folder, PUBLIC, worker="w", active=lambda: active[0])
        await asyncio.wait_for(writer.append(b"first"), 20)  # the first of all waits for nobody
        futures = []
        for count in appends:
            futures += [writer.append(b"entry") for _ in range(count)]
            await asyncio.wait(futures, timeout=0.5)
        done = [each.done() for each in futures]
        await writer.close()
        await asyncio.gather(*futures)
        return done

    return asyncio.run(run())


def test_who_is_alone_does_not_wait(tmp_path: Path) -> None:
    assert _run(tmp_path, [1], 1, 1) == [True, True]


def test_a_commit_waits_for_who_may_still_append(tmp_path: Path) -> None:
    assert _run(tmp_path, [2], 1) == [False]
    assert _run(tmp_path, [12], 4, 3) == [False] * 7


def test_when_two_thirds_wait_nobody_else_is_waited_for(tmp_path: Path) -> None:
    assert _run(tmp_path, [3], 1, 1) == [True, True]
    assert _run(tmp_path, [12], 4, 3, 1) == [True] * 8


def test_many_do_not_wait_for_the_rest(tmp_path: Path) -> None:
    assert all(_run(tmp_path, [1_000], spool.GATHER_ENOUGH))
