"""The test bench: processes on loopback, each on its core, ended when the block that started them ends."""

import contextlib
import hashlib
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from bench.corpus import library
from bench.load import KEY
from bench.report import OUT
from guiju.core.clock import now_us, utc_text
from guiju.core.keys import create_keys, load_pseudonym_key, load_recorder_key, load_recorder_public_key, load_site_key
from guiju.core.layout import DataFolder
from guiju.gateway.bundle import Bundle, Key, Label, Service, Upstream, publish_bundle
from guiju.records.entry import Entry, decode_entry
from guiju.records.spool.segment import list_segments, read_segment

CORES: Final = sorted(os.sched_getaffinity(0))
GATEWAY_CORE: Final = CORES[:1]
OTHER_CORE: Final = CORES[1:2] or CORES[:1]
"""Where the model server and the clients are; with one core they share it with the gateway, and ratios mean less."""
_START_S: Final = 30.0
_STOP_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class Server:
    """A process that listens on `port`."""

    process: psutil.Process
    port: int
    started_s: float
    """From its start to its first answer on /healthz; 0 for the model server."""

    def cpu_s(self) -> float:
        """Return the processor seconds it has used."""
        times = self.process.cpu_times()
        return float(times.user + times.system)

    def memory_mb(self) -> float:
        """Return its resident memory in MB (10⁶ bytes)."""
        return float(self.process.memory_info().rss) / 1e6


def prepare(limit_s: int) -> None:
    """Take the other core, let this process and its children open many files, and end all of it after `limit_s`."""
    os.sched_setaffinity(0, OTHER_CORE)
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGALRM, _leave)
    signal.alarm(limit_s)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most if most == resource.RLIM_INFINITY else min(most, 2**20), most))


def machine_s() -> float:
    """Return the processor seconds that all programs have used on the cores of the measurement."""
    times = psutil.cpu_times(percpu=True)
    return float(sum(sum(times[core][:3]) + sum(times[core][5:8]) for core in {*GATEWAY_CORE, *OTHER_CORE}))


def _leave(number: int, frame: object) -> None:
    # As an exception, so that children are ended and folders removed on the way out.
    raise SystemExit("bench: it took too long" if number == signal.SIGALRM else 143)


@contextlib.contextmanager
def data_folder(upstream_port: int) -> Iterator[DataFolder]:
    """Make a data folder with keys and a bundle of 10,000 terms, and remove it in the end.

    It lies under `bench/out`, on a real disk: a folder in memory would make durable writes look free.
    """
    OUT.mkdir(exist_ok=True)
    root = Path(tempfile.mkdtemp(prefix="data-", dir=OUT))
    try:
        folder = DataFolder(root)
        create_keys(folder.keys)
        bundle = Bundle(
            issued_at=utc_text(now_us()),
            services=(Service(id="bench", name_zh="测量", name_en="bench", upstreams=("bench",), label=Label(content_producer="bench")),),
            upstreams=(Upstream(name="bench", base_url=f"http://127.0.0.1:{upstream_port}/v1", max_connections=4_000),),
            keys=(Key(id="bench", sha256=hashlib.sha256(KEY.encode()).digest(), service="bench"),),
            library_version="bench-10000",
            library=library(),
            recorder_public_key=load_recorder_public_key(folder.keys).public_bytes_raw(),
            pseudonym_key=load_pseudonym_key(folder.keys),
        )
        publish_bundle(bundle, folder.bundles, load_site_key(folder.keys))
        yield folder
    finally:
        shutil.rmtree(root, ignore_errors=True)


@contextlib.contextmanager
def upstream() -> Iterator[Server]:
    """Run the model server."""
    with _running(["bench.upstream"], OTHER_CORE, healthy=False) as server:
        yield server


@contextlib.contextmanager
def bare(upstream_port: int, client: str = "own") -> Iterator[Server]:
    """Run the bare pass-through on this client."""
    with _running(["bench.bare", "--upstream", f"http://127.0.0.1:{upstream_port}/v1", "--client", client], GATEWAY_CORE) as server:
        yield server


@contextlib.contextmanager
def worker(folder: DataFolder) -> Iterator[Server]:
    """Run one gateway worker on the data folder."""
    with _running(["guiju.gateway.worker", "--data", str(folder.root), "--number", "0"], GATEWAY_CORE) as server:
        yield server


@contextlib.contextmanager
def _running(arguments: list[str], cores: list[int], *, healthy: bool = True) -> Iterator[Server]:
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listener:
        port = listener.getsockname()[1]
        begun = time.perf_counter()
        child = subprocess.Popen(
            [sys.executable, "-m", *arguments, "--fd", str(listener.fileno())],
            pass_fds=[listener.fileno()],
            cwd=Path(__file__).parent.parent,
        )
        try:
            os.sched_setaffinity(child.pid, cores)  # at once: threads that come later stay there too
            listener.close()  # the child has it: were it open here, a dead child would look like a slow one
            if healthy:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=_START_S) as answer:
                    answer.read()
            yield Server(psutil.Process(child.pid), port, time.perf_counter() - begun)
        finally:
            child.terminate()
            try:
                child.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def entries(folder: DataFolder) -> Iterator[Entry]:
    """Yield every entry that is durable in the spool. Raises SPOOL-DAMAGED."""
    key = load_recorder_key(folder.keys).private_bytes_raw()
    for segment in list_segments(folder.spool):
        for _, raw in read_segment(segment, key):
            yield decode_entry(raw)


def answers_recorded(folder: DataFolder) -> Counter[str]:
    """Return how many closing records of answers each request id has; a stream's names its id in the metadata."""
    found: Counter[str] = Counter()
    for entry in entries(folder):
        if entry.kind in ("gateway.answer.delivered", "gateway.answer.stopped"):
            found[str(entry.metadata.get("answer", entry.id))] += 1
    return found


def file_system(path: Path) -> str:
    """Return the kind of file system that a path lies on."""
    mounts = sorted(
        (m for m in psutil.disk_partitions(all=True) if path.resolve().is_relative_to(m.mountpoint)), key=lambda m: len(m.mountpoint)
    )
    return mounts[-1].fstype if mounts else "unknown"
