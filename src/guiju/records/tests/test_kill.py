"""Recorders and workers are killed at random instants, two recorders at a time: nothing is lost, nothing is twice.

Guarded lines: the cursor and the open answers inside the batch's transaction in `Recorder.step`; take either out of it and
entries are missing or doubled.
"""

import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest

from guiju.core.keys import load_recorder_public_key
from guiju.records.heart import QUIET_KINDS
from guiju.records.recorder.recording import INTERRUPTED, OPENED
from guiju.records.spool.segment import list_segments
from guiju.records.tests.site import RECORD, Site, make_postgresql_site, make_site

KILLS = 40

# One process with Django ready forks the recorders, so that a kill costs no start.
_KILL_RECORDERS = """
import random, signal, time
from django.db import connection
from guiju.records.recorder.process import main
import guiju.records.recorder.recording
kills, seed = int(os.environ["KILLS"]), int(os.environ["SEED"])
random.seed(seed)
def start():
    process = os.fork()
    if not process:
        code = 1
        try:
            code = main(["--data", os.environ["GUIJU_DATA"]])
        finally:
            os._exit(code)
    return process
running = []
for _ in range(kills):
    while len(running) < 2:
        running.append(start())
    time.sleep(random.random() * 0.25)
    victim = running.pop(random.randrange(2))
    os.kill(victim, signal.SIGKILL)
    os.waitpid(victim, 0)
for process in running:
    os.kill(process, signal.SIGTERM)
    assert os.waitpid(process, 0)[1] in (0, signal.SIGTERM)  # it may have come before the process listened to it
"""

# Eight clients open answers, end them, and tell each id once it is durable.
_WORK = """
import asyncio, os, sys
from pathlib import Path
from guiju.records.entry import encode_entry
OPENED = "gateway.answer.opened"
from guiju.records.spool.writer import SpoolWriter
from guiju.records.tests.site import entry

async def main():
    writer = SpoolWriter(Path(sys.argv[1]), bytes.fromhex(sys.argv[2]), worker="w", segment_bytes=200_000)
    async def leave(said):
        await writer.append(encode_entry(said))
        os.write(1, f"{said.id} {said.metadata.get('answer', '')}\\n".encode())
    async def client(number):
        while True:
            begun = entry(OPENED, subject=f"u-{number}", content=bytes(500))
            await leave(begun)
            await asyncio.sleep(0.01)
            await leave(entry(answer=begun.id, subject=f"u-{number}"))
    await asyncio.gather(*[client(number) for number in range(8)])

asyncio.run(main())
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Site:
    if request.param == "sqlite":
        return make_site(tmp_path / "data")
    url: str = request.getfixturevalue("postgresql_url")
    name = f"kill_{tmp_path.name[-20:]}".lower().replace("-", "_")
    return make_postgresql_site(tmp_path / "data", url, name)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1])
def test_killed_and_doubled_recorders_write_everything_once(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    monkeypatch.setenv("KILLS", str(KILLS))
    monkeypatch.setenv("SEED", str(seed))
    random = Random(seed)
    told = tmp_path / "told"
    killer = site.start(_KILL_RECORDERS)
    public = load_recorder_public_key(site.data.keys).public_bytes_raw().hex()
    with told.open("wb") as out:
        while killer.poll() is None:  # workers are killed too
            worker = subprocess.Popen([sys.executable, "-c", _WORK, str(site.data.spool), public], stdout=out)
            begun, deadline = told.stat().st_size, time.monotonic() + 30
            while told.stat().st_size == begun and time.monotonic() < deadline:  # it comes up
                time.sleep(0.02)
            deadline = time.monotonic() + 0.5 + random.random()
            while killer.poll() is None and time.monotonic() < deadline:
                time.sleep(0.02)
            worker.kill()
            worker.wait()
    assert killer.stdout is not None
    killer.stdout.close()
    assert killer.returncode == 0
    _drain(site)

    found = site.look()
    assert [step for step in found["steps"] if step[0] != "holds"] == []
    assert found["outbox"] == found["open"] == 0
    records = found["records"]
    assert [index for index, *_ in records] == list(range(len(records)))
    kinds = {identity: kind for _, identity, kind, _ in records}
    assert len(kinds) == len(records)
    durable = [line.split(" ") for line in told.read_text().split("\n")[:-1] if len(line) >= 27]
    assert len(durable) > 200
    assert [identity for identity, _ in durable if identity not in kinds] == []
    assert set(kinds.values()) - set(QUIET_KINDS) == {OPENED, "gateway.answer.delivered", INTERRUPTED}
    # Every answer that was begun has one end.
    ends = [metadata["answer"] for _, _, _, metadata in records if "answer" in metadata]
    assert sorted(ends) == sorted(identity for identity, kind in kinds.items() if kind == OPENED)


@pytest.mark.slow
def test_sigterm_drains_first(site: Site) -> None:
    public = load_recorder_public_key(site.data.keys).public_bytes_raw().hex()
    worker = subprocess.Popen([sys.executable, "-c", _WORK, str(site.data.spool), public], stdout=subprocess.PIPE)
    assert worker.stdout is not None
    told = [worker.stdout.readline() for _ in range(300)]
    worker.kill()
    told += worker.stdout.readlines()
    worker.wait()
    worker.stdout.close()
    _drain(site)
    kinds = {identity for _, identity, _, _ in site.look()["records"]}
    assert {line.split()[0].decode() for line in told if len(line) > 27} <= kinds


def _drain(site: Site) -> None:
    """Run a recorder and end it with SIGTERM once it is at work: what is in the spool is on record then."""
    recorder = site.start(RECORD, stderr=subprocess.PIPE)
    assert recorder.stderr is not None
    while b"ready" not in recorder.stderr.readline():
        assert recorder.poll() is None
    deadline = time.monotonic() + 60
    while list_segments(site.data.spool) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert list_segments(site.data.spool) == []
    recorder.send_signal(signal.SIGTERM)
    recorder.communicate(timeout=30)
    assert recorder.returncode == 0
