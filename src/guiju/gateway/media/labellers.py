"""The processes that label files for one worker: started when they are needed, killed when they hang, replaced when they die.

Nothing of a file is parsed in the worker itself. A process takes one file at a time; whatever becomes of it, the worker hears of a file that
may leave, or of an error.
"""

import asyncio
import contextlib
import logging
import os
import sys
import time
from pathlib import Path
from typing import Final

import msgspec

from guiju.core.errors import GuijuError, Text, define
from guiju.core.process import SUPERVISOR_PID
from guiju.gateway.bundle import Media
from guiju.labelling.child import Fault
from guiju.labelling.publishing import Order, Published, Seal

IDLE_S: Final = 60.0
"""A process that nobody needed for longer ends: an idle worker keeps nothing for files."""
FILES_AT_MOST: Final = 200
"""After so many files a process is replaced, so that what a library keeps does not grow."""
WAITING_AT_MOST: Final = 64
_ROOM_BYTES: Final = 64 * 2**20
"""A labelled file may be so much larger than the largest that is taken."""
_LINE_BYTES: Final = 2**20
_PASSED_ON: Final = ("PATH", "LANG", "LC_ALL", "PYTHONPATH", "VIRTUAL_ENV", "FONTCONFIG_PATH", "FONTCONFIG_FILE", "HOME", "TMPDIR")
"""What a process gets of the environment: nothing that could be a key."""

MEDIA_BUSY = define(
    "MEDIA-BUSY",
    status=503,
    kind="server_error",
    retry=True,
    zh=Text("等待加标识的文件过多。", "没有文件被送出；编号 {record} 留有记录。", "请稍后重试；运营者可调整 media.label_processes。"),
    en=Text(
        "Too many files wait for their label.",
        "No file was delivered; record {record} keeps the case.",
        "Try again later; an operator can change media.label_processes.",
    ),
)
MEDIA_UNLABELLED = define(
    "MEDIA-UNLABELLED",
    status=502,
    kind="server_error",
    zh=Text(
        "模型返回的文件未能加上标识：{reason_zh}。", "未加标识的文件没有送出；编号 {record} 留有记录。", "请重新生成；若仍然出现，请联系服务运营者。"
    ),
    en=Text(
        "A file that the model returned could not be labelled: {reason}.",
        "Nothing unlabelled was delivered; record {record} keeps the case.",
        "Have it made again; if it stays, tell the operator of the service.",
    ),
)  # fmt: skip

log = logging.getLogger("guiju.gateway")


class _Answer(msgspec.Struct):
    published: Published | None = None
    error: Fault | None = None


_DECODE: Final = msgspec.json.Decoder(_Answer).decode
_ENCODE: Final = msgspec.json.Encoder().encode


class _Labeller:
    """One process, while it lives."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.files = 0
        self.idle_since = 0.0

    async def publish(self, line: bytes) -> _Answer:
        """Send one file through; anything but an answer to it is an OSError or ValueError."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.files += 1
        self.process.stdin.write(line)
        await self.process.stdin.drain()
        answer = await self.process.stdout.readline()
        if not answer.endswith(b"\n"):
            raise ConnectionError("it ended")
        return _DECODE(answer)

    async def end(self) -> None:
        """Kill it, whatever it does, and wait until it is gone."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()


class Labellers:
    """At most `label_processes` of them. `publish` from the loop that made it; `close` in the end."""

    def __init__(self, settings: Media) -> None:
        self.settings = settings
        self._places = asyncio.Semaphore(settings.label_processes)
        self._idle: list[_Labeller] = []
        self._all: set[_Labeller] = set()
        self._waiting = 0
        self._sweeper: asyncio.TimerHandle | None = None
        self._ending: set[asyncio.Task[None]] = set()

    @property
    def pids(self) -> list[int]:
        """The processes that live now."""
        return [each.process.pid for each in self._all]

    async def publish(self, source: Path, target: Path, order: Order | Seal) -> Published:
        """Publish one file, or seal one that is published; the target is there whole when this returns.

        Raises what `publishing.publish` or `seal` raises, MEDIA-BUSY, and MEDIA-UNLABELLED where the process hung or died.
        """
        if self._waiting >= WAITING_AT_MOST:
            raise GuijuError(MEDIA_BUSY)
        line = _ENCODE({"source": str(source), "target": str(target), "seal" if isinstance(order, Seal) else "order": order}) + b"\n"
        self._waiting += 1
        try:
            await self._places.acquire()
        finally:
            self._waiting -= 1
        labeller: _Labeller | None = None
        answer: _Answer | None = None
        try:
            labeller = self._idle.pop() if self._idle else await self._started()
            async with asyncio.timeout(self.settings.label_timeout_ms / 1000):
                answer = await labeller.publish(line)
        except TimeoutError:
            told = self.settings.label_timeout_ms
            raise self._unlabelled(f"未在 {told} 毫秒内完成", f"it was not done within {told} ms") from None
        except (OSError, ValueError, msgspec.DecodeError) as problem:
            log.warning("a labelling process ended: %s", problem or type(problem).__name__)
            raise self._unlabelled("处理进程意外结束", "the process that did it ended") from None
        finally:
            if labeller is not None:
                self._put_back(labeller, sound=answer is not None)
            self._places.release()
        if answer.published is not None:
            return answer.published
        if answer.error is None:
            raise self._unlabelled("处理进程没有结果", "the process that did it said nothing")
        raise answer.error.error()

    async def close(self) -> None:
        """End all processes."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        self._idle.clear()
        for each in list(self._all):
            self._end(each)
        if self._ending:
            await asyncio.wait(self._ending)

    @staticmethod
    def _unlabelled(reason_zh: str, reason: str) -> GuijuError:
        return GuijuError(MEDIA_UNLABELLED, reason_zh=reason_zh, reason=reason)

    async def _started(self) -> _Labeller:
        settings = self.settings
        environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "guiju.labelling.child", "--memory-bytes", str(settings.label_memory_bytes),
            "--file-bytes", str(settings.file_bytes + _ROOM_BYTES),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
            env={**environment, SUPERVISOR_PID: str(os.getpid())}, limit=_LINE_BYTES,
        )  # fmt: skip
        labeller = _Labeller(process)
        self._all.add(labeller)
        return labeller

    def _put_back(self, labeller: _Labeller, *, sound: bool) -> None:
        """Keep a process for the next file; end one that did not answer: what it says next would be of the file before."""
        if not sound or labeller.files >= FILES_AT_MOST or labeller.process.returncode is not None:
            self._end(labeller)
            return
        labeller.idle_since = time.monotonic()
        self._idle.append(labeller)
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().call_later(IDLE_S, self._sweep)

    def _end(self, labeller: _Labeller) -> None:
        self._all.discard(labeller)
        task = asyncio.get_running_loop().create_task(labeller.end())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    def _sweep(self) -> None:
        self._sweeper = None
        oldest = time.monotonic() - IDLE_S
        for each in [each for each in self._idle if each.idle_since <= oldest]:
            self._idle.remove(each)
            self._end(each)
        if self._idle:
            self._sweeper = asyncio.get_running_loop().call_later(IDLE_S, self._sweep)
