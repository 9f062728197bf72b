"""Many files for one command: listed, worked on side by side in a few processes, given back in their order, with progress.

A file that takes its process down with it is tried once more by itself, and is then told as one that could not be examined.
"""

import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final, TypeVar

Row = TypeVar("Row")
_ALONE: Final = 16
"""So few files are done before other processes have started."""
_AHEAD: Final = 8
_JOBS_AT_MOST: Final = 4


def default_jobs() -> int:
    """Return how many processes work side by side unless somebody says otherwise."""
    return min(_JOBS_AT_MOST, os.cpu_count() or 1)


def list_files(path: str) -> Iterator[str]:
    """Yield the files of a folder in order, links and labels beside texts left out; anything else as it is."""
    from guiju.labelling.values import SIDECAR_SUFFIX  # here, so that the help loads nothing heavy

    if path == "-" or not Path(path).is_dir():
        yield path
        return
    for folder, below, names in os.walk(path):
        below.sort()
        for name in sorted(names):
            file = Path(folder, name)
            beside = (
                name.endswith(SIDECAR_SUFFIX) and name.removesuffix(SIDECAR_SUFFIX) in names
            )  # the label of its text, and no file to label
            if file.is_file() and not file.is_symlink() and not beside:
                yield str(file)


def each_done(work: Callable[[str], Row], names: Iterable[str], jobs: int, lost: Callable[[str], Row]) -> Iterator[Row]:
    """Yield `work(name)` for each name in order; `lost(name)` where the process died twice. Few names, or one job, stay in this process."""
    listed = list(names)
    if jobs <= 1 or len(listed) < _ALONE:
        yield from map(work, listed)
        return
    waiting = deque(listed)
    under_way: deque[tuple[str, Future[Row]]] = deque()
    pool = _pool(jobs)
    try:
        while waiting or under_way:
            while waiting and len(under_way) < jobs * _AHEAD:
                name = waiting.popleft()
                try:
                    under_way.append((name, pool.submit(work, name)))
                except BrokenProcessPool:
                    waiting.appendleft(name)
                    if not under_way:
                        pool.shutdown()
                        pool = _pool(jobs)
                    break
            if not under_way:
                continue
            _, done = under_way[0]
            if isinstance(done.exception(), BrokenProcessPool):
                pool.shutdown()
                yield from _one_by_one(work, under_way, lost)
                under_way.clear()
                pool = _pool(jobs)
                continue
            under_way.popleft()
            yield done.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _one_by_one(work: Callable[[str], Row], suspects: Iterable[tuple[str, "Future[Row]"]], lost: Callable[[str], Row]) -> Iterator[Row]:
    """Yield the rows of what was under way when a process died; one at a time, so that it is known which file kills."""
    alone = _pool(1)
    try:
        for name, done in suspects:
            if done.exception() is None:
                yield done.result()
                continue
            try:
                row = alone.submit(work, name).result()
            except BrokenProcessPool:
                alone.shutdown()
                alone = _pool(1)
                row = lost(name)
            yield row
    finally:
        alone.shutdown()


def _pool(jobs: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(jobs, mp_context=get_context("spawn"))


def with_progress(rows: Iterator[Row], total: int, title: str) -> Iterator[Row]:
    """Yield the rows while a bar on standard error shows how many are done; none for a single file or without a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns: list[Any] = [TextColumn(title), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()]
    hidden = total < 2 or not sys.stderr.isatty()
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=hidden) as shown:
        yield from shown.track(rows, total=total)
