"""A process that labels may die, hang, or be killed: nothing unlabelled comes of it, and the next file is labelled."""

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from guiju.core.errors import GuijuError
from guiju.gateway.bundle import Media
from guiju.gateway.media import labellers as module
from guiju.gateway.media.labellers import Labellers
from guiju.gateway.media.tests.conftest import CODE
from guiju.gateway.media.tests.made import bomb, png, wide
from guiju.labelling import read
from guiju.labelling.publishing import Order

ORDER = Order(medium="picture", producer=CODE, number="N-1")


def run(body: Callable[[Labellers], Coroutine[Any, Any, None]], **settings: int) -> None:
    async def main() -> None:
        made = Labellers(Media(**settings))  # type: ignore[arg-type]
        try:
            await body(made)
        finally:
            pids = made.pids
            await made.close()
            for pid in pids:
                with pytest.raises(ProcessLookupError):
                    os.kill(pid, 0)

    asyncio.run(main())


async def code_of(work: Coroutine[Any, Any, object]) -> str:
    with pytest.raises(GuijuError) as caught:
        await work
    return caught.value.code.code


def test_a_process_is_started_when_it_is_needed_and_kept(tmp_path: Path) -> None:
    async def body(made: Labellers) -> None:
        assert not made.pids
        (tmp_path / "a").write_bytes(png())
        published = await made.publish(tmp_path / "a", tmp_path / "b", ORDER)
        assert published.size_bytes == (tmp_path / "b").stat().st_size
        assert read((tmp_path / "b").read_bytes()).produce_id == "N-1"  # type: ignore[union-attr]
        first = made.pids
        await made.publish(tmp_path / "a", tmp_path / "c", ORDER)
        assert made.pids == first
        environment = await asyncio.to_thread(Path(f"/proc/{first[0]}/environ").read_bytes)
        assert b"SECRET" not in environment

    os.environ["SECRET_KEY"] = "x"
    run(body)


def test_a_killed_process_gives_no_file_and_is_replaced(tmp_path: Path) -> None:
    async def body(made: Labellers) -> None:
        (tmp_path / "a").write_bytes(png())
        await made.publish(tmp_path / "a", tmp_path / "b", ORDER)
        pid = made.pids[0]
        os.kill(pid, signal.SIGSTOP)  # it takes the next file, and does nothing with it
        work = asyncio.ensure_future(made.publish(tmp_path / "a", tmp_path / "c", ORDER))
        await asyncio.sleep(0.05)
        os.kill(pid, signal.SIGKILL)
        assert await code_of(work) == "MEDIA-UNLABELLED"  # type: ignore[arg-type]
        assert not (tmp_path / "c").exists()
        await made.publish(tmp_path / "a", tmp_path / "d", ORDER)
        assert pid not in made.pids

    run(body)


def test_a_process_that_hangs_is_killed(tmp_path: Path) -> None:
    async def body(made: Labellers) -> None:
        (tmp_path / "a").write_bytes(png())
        await made.publish(tmp_path / "a", tmp_path / "b", ORDER)
        pid = made.pids[0]
        os.kill(pid, signal.SIGSTOP)
        made.settings = Media(label_timeout_ms=100)
        assert await code_of(made.publish(tmp_path / "a", tmp_path / "c", ORDER)) == "MEDIA-UNLABELLED"
        assert pid not in made.pids
        made.settings = Media()
        await made.publish(tmp_path / "a", tmp_path / "d", ORDER)

    run(body)


def test_who_gives_up_does_not_leave_its_answer_to_the_next(tmp_path: Path) -> None:
    async def body(made: Labellers) -> None:
        (tmp_path / "a").write_bytes(png())
        (tmp_path / "x").write_bytes(b"no picture")
        await made.publish(tmp_path / "a", tmp_path / "b", ORDER)
        given_up = asyncio.ensure_future(made.publish(tmp_path / "a", tmp_path / "c", ORDER))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.gather(given_up, return_exceptions=True)
        assert await code_of(made.publish(tmp_path / "x", tmp_path / "d", ORDER)) == "LABEL-CONTAINER"

    run(body)


def test_too_little_memory_is_told_and_survived(tmp_path: Path) -> None:
    async def body(made: Labellers) -> None:
        (tmp_path / "a").write_bytes(wide(7_000))
        told = await code_of(made.publish(tmp_path / "a", tmp_path / "b", ORDER))
        assert told in ("LABEL-MEMORY", "LABEL-UNDECODABLE", "MEDIA-UNLABELLED")
        assert not (tmp_path / "b").exists()
        (tmp_path / "c").write_bytes(png())
        await made.publish(tmp_path / "c", tmp_path / "d", ORDER)

    run(body, label_memory_bytes=400 * 2**20)


def test_a_bomb_is_refused(tmp_path: Path) -> None:
    async def body(made: Labellers) -> None:
        (tmp_path / "a").write_bytes(bomb())
        assert await code_of(made.publish(tmp_path / "a", tmp_path / "b", ORDER)) == "LABEL-TOO-LARGE"

    run(body)


def test_too_many_waiting_are_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAITING_AT_MOST", 0)

    async def body(made: Labellers) -> None:
        assert await code_of(made.publish(tmp_path / "a", tmp_path / "b", ORDER)) == "MEDIA-BUSY"

    run(body)


def test_an_existing_target_is_not_written_over(tmp_path: Path) -> None:
    async def body(made: Labellers) -> None:
        (tmp_path / "a").write_bytes(png())
        (tmp_path / "b").write_bytes(b"kept")
        assert await code_of(made.publish(tmp_path / "a", tmp_path / "b", ORDER)) == "LABEL-FAILED"
        assert (tmp_path / "b").read_bytes() == b"kept"

    run(body)


def test_an_idle_process_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IDLE_S", 0.05)

    async def body(made: Labellers) -> None:
        (tmp_path / "a").write_bytes(png())
        await made.publish(tmp_path / "a", tmp_path / "b", ORDER)
        for _ in range(200):
            if not made.pids:
                return
            await asyncio.sleep(0.02)
        raise AssertionError("it lives on")

    run(body)
