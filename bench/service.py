"""The whole service as people start it, `guiju serve`: how soon it answers, and what a busy console does to answers."""

import asyncio
import compileall
import contextlib
import functools
import http.cookiejar
import multiprocessing
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil
import uvloop

import guiju
from bench import rig
from bench.load import Client, Seen, chat, drive
from bench.pooled import moved
from bench.report import OUT, Row, report, row
from bench.turns import QUIET_CORES, percentile

PEOPLE: Final = 8
_THINK_S: Final = 0.5
_WARM_S: Final = 0.5
_PAGES: Final = ("/console/", "/console/records/", "/console/keywords/", "/console/services/", "/console/try/", "/")
_CONNECTIONS: Final = 32
_PAUSE_S: Final = 0.1
"""About 300 requests a second: a gateway at work, not one at its limit."""
_PASSWORD: Final = "bench: eight people click"
_START_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Service:
    """A running `guiju serve`."""

    process: psutil.Process
    gateway_port: int
    console_port: int
    key: str
    ready_s: float
    """From its start to the first 200 on /healthz."""

    def cpu_s(self) -> float:
        """Return the processor seconds that its processes have used."""
        times = [process.cpu_times() for process in (self.process, *self.process.children(recursive=True))]
        return float(sum(each.user + each.system for each in times))


@contextlib.contextmanager
def folder(upstream_port: int) -> Iterator[Path]:
    """Make a place for the data folder, with a settings file for this model server; remove it in the end."""
    OUT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="serve-", dir=OUT, ignore_cleanup_errors=True) as name:
        place = Path(name)
        (place / "guiju.toml").write_text(
            f'[[upstream]]\nname = "bench"\nbase_url = "http://127.0.0.1:{upstream_port}/v1"\n\n'
            '[[service]]\nid = "bench"\nname_zh = "测量"\nname_en = "bench"\n\n'
            '[service.label]\ncontent_producer = "bench"\n'
        )
        yield place


@contextlib.contextmanager
def serve(place: Path) -> Iterator[Service]:
    """Run the service on all cores of the measurement, and stop it in the end."""
    ports = _free_ports()
    command = ["serve", "--data", str(place / "data"), "--settings", str(place / "guiju.toml"), "--workers", "1"]
    command += ["--port", str(ports[0]), "--console-port", str(ports[1])]
    begun = time.perf_counter()
    with (place / "log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "guiju.cli", *command],
            stdout=subprocess.DEVNULL,
            stderr=log,
            env={**os.environ, "GUIJU_OWNER_PASSWORD": _PASSWORD},
        )
    try:
        os.sched_setaffinity(process.pid, {*rig.GATEWAY_CORE, *rig.OTHER_CORE})
        _until_ok(f"http://127.0.0.1:{ports[0]}/healthz", process, place / "log")
        ready_s = time.perf_counter() - begun
        _until_ok(f"http://127.0.0.1:{ports[1]}/", process, place / "log")
        yield Service(psutil.Process(process.pid), *ports, (place / "data" / "keys" / "playground.key").read_text().strip(), ready_s)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_START_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_ports() -> tuple[int, int]:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        return one.getsockname()[1], other.getsockname()[1]


def _until_ok(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                answer.read()
                return
        except OSError:
            time.sleep(0.01)
    raise RuntimeError(f"guiju serve does not answer at {url}:\n{log.read_text()[-2_000:]}")


def sign_in(port: int) -> str:
    """Sign the owner in and return the cookie header."""
    cookies = http.cookiejar.CookieJar()
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(cookies))
    address = f"http://127.0.0.1:{port}/console/sign-in/"
    with browser.open(address, timeout=30) as page:
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.read().decode())
    assert token is not None
    form = {"csrfmiddlewaretoken": token[1], "name": "owner", "password": _PASSWORD, "next": "/console/"}
    with browser.open(address, data=urllib.parse.urlencode(form).encode(), timeout=30) as page:
        page.read()
        assert page.url.endswith("/console/"), f"signed in and came to {page.url}"
    return "; ".join(f"{cookie.name}={cookie.value}" for cookie in cookies)


async def click(port: int, cookies: list[str], seconds: float, opened: int) -> Seen:
    """Have one person for each cookie open one page after the other, with half a second to look at each.

    `opened` is how many pages each has opened before: people go on where they were.
    """
    loop = asyncio.get_running_loop()
    seen = Seen(seconds=seconds)
    end_at = loop.time() + seconds

    async def open_page(request: bytes, path: str) -> None:
        opened: asyncio.Future[str] = loop.create_future()
        _, client = await loop.create_connection(
            lambda: Client(lambda _, problem: opened.set_result(problem), keep=False), "127.0.0.1", port
        )
        client.ask(request)
        problem = await asyncio.wait_for(opened, _START_S)
        if problem:
            seen.errors[f"{path} {problem}"] += 1
        else:
            seen.answers += 1
            seen.latencies_ms.append((time.perf_counter() - client.asked_at) * 1000)
        client.close()

    async def person(number: int, cookie: str) -> None:
        await asyncio.sleep(_THINK_S * number / len(cookies))
        page = number + opened
        while loop.time() < end_at:
            path = _PAGES[page % len(_PAGES)]
            await open_page(f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncookie: {cookie}\r\n\r\n".encode(), path)
            page += 1
            await asyncio.sleep(_THINK_S)

    await asyncio.gather(*(person(number, cookie) for number, cookie in enumerate(cookies)))
    return seen


@dataclass(frozen=True, slots=True)
class Turn:
    """Answers, and pages opened meanwhile."""

    answers: Seen
    pages: Seen
    others: float
    """Cores that programs outside the measurement used."""


@contextlib.contextmanager
def town() -> Iterator[ProcessPoolExecutor]:
    """Give the people a process of their own that gives way: they are elsewhere, and what their browsers read must not delay who measures."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _give_way) as people:
        people.submit(_no_people).result()
        yield people


def _give_way() -> None:
    os.nice(19)
    if hasattr(os, "SCHED_IDLE"):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def _no_people() -> None:
    """Start the process before anything is measured."""


def _click(port: int, cookies: list[str], seconds: float, opened: int) -> Seen:
    return uvloop.run(click(port, cookies, seconds, opened))


def take_turn(
    service: Service, upstream: rig.Server, people: ProcessPoolExecutor, cookies: list[str], measure_s: float, opened: int = 0
) -> Turn:
    """Ask for answers, while a person for each cookie clicks. What is seen in the first `_WARM_S` after they have come or gone is left out."""

    def others_s() -> float:
        here = psutil.Process()
        town_s = sum(
            sum(child.cpu_times()[:2]) for child in here.children() if child.pid not in (service.process.pid, upstream.process.pid)
        )
        return rig.machine_s() - service.cpu_s() - upstream.cpu_s() - time.process_time() - town_s

    before, begun = others_s(), time.perf_counter()
    answers, pages = uvloop.run(_answers(service, people, cookies, measure_s, opened))
    return Turn(answers, pages, (others_s() - before) / (time.perf_counter() - begun))


async def _answers(service: Service, people: ProcessPoolExecutor, cookies: list[str], measure_s: float, opened: int) -> tuple[Seen, Seen]:
    answers = drive(
        service.gateway_port,
        chat("bench", stream=False, key=service.key),
        _CONNECTIONS,
        warm_s=_WARM_S,
        measure_s=measure_s,
        spread_s=_PAUSE_S,
        pause_s=_PAUSE_S,
    )
    seconds = measure_s + _WARM_S + _PAUSE_S
    pages = asyncio.get_running_loop().run_in_executor(people, functools.partial(_click, service.console_port, cookies, seconds, opened))
    return await asyncio.gather(answers, pages)


async def _at_the_limit(service: Service, people: ProcessPoolExecutor, cookies: list[str], measure_s: float) -> tuple[Seen, Seen]:
    """Ask for as many answers as there can be, and open pages meanwhile: what is left for them when every core is busy."""
    answers = drive(service.gateway_port, chat("bench", stream=False, key=service.key), _CONNECTIONS, warm_s=_WARM_S, measure_s=measure_s)
    pages = functools.partial(_click, service.console_port, cookies, measure_s + _WARM_S, 0)
    return await asyncio.gather(answers, asyncio.get_running_loop().run_in_executor(people, pages))


def measure_service(upstream: rig.Server, *, rounds: int, measure_s: float, starts: int) -> list[Row]:
    """Return the rows of the whole service: its start, and the p99 of answers with and without people at the console."""
    with folder(upstream.port) as place:
        with serve(place) as service:
            first_s = service.ready_s
        ready = []
        for _ in range(starts - 1):
            with serve(place) as service:
                ready.append(service.ready_s)
        with serve(place) as service, town() as people:
            ready.append(service.ready_s)
            cookies = [sign_in(service.console_port) for _ in range(PEOPLE)]
            take_turn(service, upstream, people, cookies, 1.0)
            alone: list[Turn] = []
            together: list[Turn] = []
            for number in range(rounds):
                opened = sum(turn.pages.answers for turn in together) // PEOPLE
                for there in (cookies, []) if number % 2 else ([], cookies):
                    (together if there else alone).append(take_turn(service, upstream, people, there, measure_s, opened))
            full, crowded = uvloop.run(_at_the_limit(service, people, cookies, 5.0))
    p99 = moved([(still.answers.latencies_ms, busy.answers.latencies_ms) for still, busy in zip(alone, together, strict=True)])
    noise = [max(still.others, busy.others) for still, busy in zip(alone, together, strict=True)]
    page_ms = [value for turn in together for value in turn.pages.latencies_ms]
    failed = sum((turn.answers.errors + turn.pages.errors).total() for turn in (*alone, *together)) + crowded.errors.total()
    return [
        row("guiju serve: first start to first 200 on /healthz", first_s, "s"),
        row("guiju serve: start to first 200 on /healthz", statistics.median(ready), "s", at_most=1.5),
        row("console: 8 people move the p99 of answers by", p99.percent, "%", at_most=10),
        row("console: 8 people move the p99 of answers by, 95 % interval from", p99.lowest, "%"),
        row("console: 8 people move the p99 of answers by, 95 % interval to", p99.highest, "%"),
        row("console: p99 of answers, nobody there", p99.without_ms, "ms"),
        row("console: p99 of answers, 8 people", p99.with_ms, "ms"),
        row("console: share of rounds that were quiet", sum(each < QUIET_CORES for each in noise) / len(noise), "×", at_least=0.5),
        row("console: cores that other programs used", statistics.median(noise), "cores"),
        row("console: answers meanwhile", statistics.median(turn.answers.rate for turn in together), "1/s"),
        row("console: pages opened", sum(turn.pages.answers for turn in together), "pages", at_least=1),
        row("console: page p50", percentile(page_ms, 0.5), "ms"),
        row("console: page p99", percentile(page_ms, 0.99), "ms"),
        row("console: errors of answers and pages", failed, "errors", at_most=0),
        row("guiju serve: whole answers under full load, recorder and 8 people at work", full.rate, "1/s"),
        row("console: page p50 meanwhile, every core busy", percentile(crowded.latencies_ms, 0.5), "ms"),
        row("console: page p99 meanwhile, every core busy", percentile(crowded.latencies_ms, 0.99), "ms"),
    ]


def run(say: Callable[[str], None], *, quick: bool) -> list[Row]:
    """Measure, print, write `out/service.json`, and return the rows that miss their bar."""
    # As an installation has it: in a checkout byte code may be older than its source, or an environment forbid Python to write it.
    compileall.compile_dir(Path(guiju.__file__).parent, quiet=1)
    say("guiju serve: starts, then answers with and without people at the console")
    with rig.upstream() as upstream:
        rows = measure_service(upstream, rounds=2 if quick else 20, measure_s=1.5, starts=1 if quick else 5)
    return report("service", rows)
