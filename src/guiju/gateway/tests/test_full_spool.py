"""What a caller meets when records have no room: 503, when to come back, and nothing half-recorded; then it flows again.

Real workers, a real recorder, a real limit of the kernel on what a process may write.
Guarded lines: `refuse_if_full` before the upstream is asked and `owed` for what closes an answer (`exchange.py`); `_let_go` of the
spool's writer, which lets go of its segment (without it a full spool stays full); the `except` of `SpoolWriter._commit`.
"""

import resource
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from guiju.gateway.tests.rig import KEYS, Reply, ScriptedUpstream, Worker, wait_for
from guiju.gateway.tests.rig import Site as GatewaySite
from guiju.records.spool.segment import list_segments
from guiju.records.tests.site import RECORD, make_site

LIMIT_BYTES = 6 * 2**20
"""Several times what a segment keeps written ahead, which counts as used."""
LARGE = 100_000
MARK = "这句话不应当以明文落盘"


@pytest.fixture
def small_site(upstream: ScriptedUpstream, tmp_path: Path) -> GatewaySite:
    """A site with a database, and with room for few records."""
    make_site(tmp_path / "data")
    site = GatewaySite(tmp_path / "data", upstream.url)
    limits = msgspec.structs.replace(site.bundle.limits, spool_bytes=LIMIT_BYTES)
    site.publish(msgspec.structs.replace(site.bundle, limits=limits))
    return site


def ask(worker: Worker, *, stream: bool, model: str = "ok", padding: int = 4_000) -> Reply:
    return worker.chat(model, stream=stream, messages=[{"role": "user", "content": MARK + "长" * padding}])


def fill(worker: Worker, *, stream: bool, padding: int = 4_000) -> list[Reply]:
    """Ask until the first refusal; return every reply, the refusal last."""
    seen = [ask(worker, stream=stream, padding=padding)]
    while seen[-1].status == 200 and len(seen) < 500:
        seen.append(ask(worker, stream=stream, padding=padding))
    return seen


def refused(reply: Reply, code: str) -> bool:
    return (reply.status, reply.json["error"]["code"], reply.headers["retry-after"]) == (503, code, "1")


def test_a_full_spool_refuses_whole_requests_and_flows_again_after_the_drain(
    small_site: GatewaySite, start: list[Worker], upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    worker = Worker(small_site, tmp_path / "log")
    start.append(worker)
    replies: list[Reply] = []
    for padding in (LARGE, 5_000, 0):  # to the brim
        replies += fill(worker, stream=False, padding=padding) + fill(worker, stream=True, padding=padding)
    assert refused(replies[-1], "spool_full")
    assert sum(reply.status == 200 for reply in replies) > 10
    assert str(tmp_path) not in replies[-1].body.decode()
    asked = len(upstream.calls)
    refusals = [ask(worker, stream=stream) for stream in (True, False) * 3]
    assert all(refused(reply, "spool_full") for reply in refusals)
    assert len(upstream.calls) == asked  # the model did not work for nothing
    ready = worker.get("/readyz")
    assert (ready.status, ready.json["status"]) == (503, "full")
    assert ready.json["spool"]["used_bytes"] > LIMIT_BYTES - 2**20
    assert worker.get("/healthz").status == 200
    raw = b"".join(path.read_bytes() for path in list_segments(small_site.folder.spool))
    assert len(raw) > LIMIT_BYTES / 2
    for plain in (MARK.encode(), b"messages", b"gateway.answer", b"k-main"):
        assert plain not in raw

    records = make_site(tmp_path / "data")
    recorder = records.start(RECORD, stderr=subprocess.PIPE)
    wait_for(lambda: ask(worker, stream=False).status == 200)
    wait_for(lambda: worker.get("/readyz").json["spool"]["waiting_bytes"] == 0)
    assert worker.get("/readyz").json["status"] == "ok"
    again = [ask(worker, stream=stream) for stream in (True, False) * 4]  # less than the limit, were none of it drained meanwhile
    assert {reply.status for reply in again} == {200}
    wait_for(lambda: worker.get("/readyz").json["spool"]["waiting_bytes"] == 0)
    assert worker.stop() == 0
    wait_for(lambda: not list_segments(small_site.folder.spool))
    recorder.send_signal(signal.SIGTERM)
    recorder.communicate(timeout=30)
    assert recorder.returncode == 0

    found = records.look()
    assert [step for step in found["steps"] if step[0] != "holds"] == []
    delivered = Counter(metadata.get("answer", identity) for _, identity, kind, metadata in found["records"] if kind.endswith(".delivered"))
    opened = {identity for _, identity, kind, _ in found["records"] if kind.endswith(".opened")}
    known = [reply.headers["x-request-id"] for reply in replies + again if reply.status == 200]
    assert {delivered[identity] for identity in known} == {1}
    assert opened <= set(delivered)  # every answer that began has its end
    # A refusal may be on record as such, while there is room for that; never as an answer.
    told = {metadata.get("answer", identity) for _, identity, kind, metadata in found["records"] if kind != "gateway.request.rejected"}
    assert not told & {reply.headers["x-request-id"] for reply in replies + refusals if reply.status != 200}


def test_a_stream_that_began_is_closed_in_a_full_spool(small_site: GatewaySite, start: list[Worker], tmp_path: Path) -> None:
    worker = Worker(small_site, tmp_path / "log")
    start.append(worker)
    with worker.connect(worker.raw_chat("steady", stream=True)) as client:
        head = client.recv(65_536)
        assert b" 200 " in head
        assert refused(fill(worker, stream=False, padding=LARGE)[-1], "spool_full")
        whole = head
        while b"[DONE]" not in whole:
            piece = client.recv(65_536)
            assert piece, whole[-500:]
            whole += piece
    assert b'"error"' not in whole
    number = head.lower().partition(b"x-request-id: ")[2].partition(b"\r\n")[0].decode().upper()
    assert small_site.closing(number).kind == "gateway.answer.delivered"


@pytest.mark.parametrize("room_bytes", [100, 700_000])
def test_a_disk_without_room_refuses_whole_requests_and_flows_again(
    own_site: GatewaySite, start: list[Worker], tmp_path: Path, room_bytes: int
) -> None:
    """The kernel refuses to let the worker's files grow: at once, or in the midst of a segment."""
    own_site.publish()
    worker = Worker(own_site, tmp_path / "log")
    start.append(worker)
    before = [ask(worker, stream=stream) for stream in (False, True)]
    (segment,) = list_segments(own_site.folder.spool)
    written = segment.stat().st_size
    resource.prlimit(worker.process.pid, resource.RLIMIT_FSIZE, (room_bytes, resource.RLIM_INFINITY))
    replies = fill(worker, stream=False)
    assert refused(replies[-1], "spool_unwritable")
    refusals = [ask(worker, stream=stream) for stream in (True, False) * 3] if room_bytes == 100 else []
    assert all(refused(reply, "spool_unwritable") for reply in refusals)
    assert str(tmp_path) not in replies[-1].body.decode()
    resource.prlimit(worker.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    deadline = time.monotonic() + 20
    after = [ask(worker, stream=False)]
    while after[-1].status != 200:
        assert time.monotonic() < deadline
        after.append(ask(worker, stream=False))
    after.append(ask(worker, stream=True))
    assert worker.stop() == 0
    assert written <= 2 * 2**20
    entries = own_site.entries()
    assert len({entry.id for entry in entries}) == len(entries)
    told = Counter(str(entry.metadata.get("answer", entry.id)) for entry in entries if entry.kind.endswith(".delivered"))
    assert {told[reply.headers["x-request-id"]] for reply in before + replies + after if reply.status == 200} == {1}
    assert not set(told) & {reply.headers["x-request-id"] for reply in replies + refusals + after if reply.status != 200}
    assert KEYS["main"] not in (tmp_path / "log").read_text()
