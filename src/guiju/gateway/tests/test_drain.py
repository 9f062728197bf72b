"""A server that waits no longer for its answers: what goes on record as sent is sent, and what is not sent is not on record as sent.

Guarded lines: the `except asyncio.CancelledError` in `Call._record`, and `Written.cancel` of the spool (`records/spool/writer.py`).
"""

import errno
import json
import threading

import pytest

from guiju.gateway.app import Gateway, create_gateway
from guiju.gateway.tests.rig import Site, raw_head, wait_for
from guiju.gateway.tests.served import read_all, serving
from guiju.records.spool import growing
from guiju.records.spool.writer import SpoolWriter


class HeldDisk:
    """A disk that takes its time for one write, until the test lets it go on, or refuse."""

    def __init__(self, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reached, self.go = threading.Event(), threading.Event()
        self.refuses = False
        self._left = number
        self._write = growing.write_durably
        monkeypatch.setattr(growing, "write_durably", self)

    def __call__(self, descriptor: int, content: bytes, offset: int) -> None:
        self._left -= 1
        if self._left == 0:
            self.reached.set()
            assert self.go.wait(60)
            if self.refuses:
                raise OSError(errno.ENOSPC, "no space")
        self._write(descriptor, content, offset)


def gateway_of(site: Site) -> Gateway:
    site.publish()
    gateway = create_gateway(site.folder.root, "test")
    gateway.spool = SpoolWriter(site.folder.spool, gateway.live.bundle.recorder_public_key, worker="test", beside=False)
    return gateway


def drained(gateway: Gateway, disk: HeldDisk, *, stream: bool) -> bytes:
    """Return what a client gets whose record is on its way to the disk when the server waits no longer."""
    body = json.dumps({"model": "ok", "stream": stream, "messages": [{"role": "user", "content": "hi"}]}).encode()
    with serving(gateway, drain_ms=1_000, lifespan="on") as served, served.connect(raw_head(len(body)) + body) as client:
        assert disk.reached.wait(20)
        (exchange,) = gateway.exchanges
        served.server.should_exit = True
        task = exchange.task
        assert task is not None
        wait_for(task.cancelling)
        disk.go.set()
        return read_all(client)


@pytest.mark.parametrize("stream", [False, True])
def test_what_is_on_record_as_delivered_is_delivered(own_site: Site, monkeypatch: pytest.MonkeyPatch, stream: bool) -> None:
    disk = HeldDisk(2 if stream else 1, monkeypatch)
    got = drained(gateway_of(own_site), disk, stream=stream)
    assert got.startswith(b"HTTP/1.1 200 OK\r\n")
    assert (b"data: [DONE]" if stream else "你好，世界".encode()) in got
    assert "error" not in got.decode()
    assert own_site.entries()[-1].kind == "gateway.answer.delivered"


def test_a_stream_that_has_not_begun_is_told_and_recorded_as_interrupted(own_site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    got = drained(gateway_of(own_site), HeldDisk(1, monkeypatch), stream=True)
    assert got.startswith(b"HTTP/1.1 503 ")
    assert b'"stopping"' in got
    assert [entry.kind for entry in own_site.entries()] == ["gateway.answer.opened", "gateway.answer.interrupted"]


@pytest.mark.parametrize("stream", [False, True])
def test_what_the_disk_refuses_then_is_told(own_site: Site, monkeypatch: pytest.MonkeyPatch, stream: bool) -> None:
    disk = HeldDisk(2 if stream else 1, monkeypatch)
    disk.refuses = True
    got = drained(gateway_of(own_site), disk, stream=stream)
    assert b'"spool_unwritable"' in got
    assert "gateway.answer.delivered" not in [entry.kind for entry in own_site.entries()]
    assert (b"data: [DONE]" in got) is stream
