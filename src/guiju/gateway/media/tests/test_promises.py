"""What may go wrong around a file: kills, clients that leave, addresses that are wrong or old. Nothing unlabelled, nothing unrecorded."""

import json
import os
import signal
import threading
import time
from pathlib import Path

import msgspec
import psutil
import pytest

from guiju.gateway.media.store import Hosted
from guiju.gateway.media.tests.conftest import site_for
from guiju.gateway.media.tests.test_images import ask, label_of
from guiju.gateway.tests.rig import Reply, ScriptedUpstream, Site, Worker, wait_for


def address(worker: Worker) -> str:
    reply = ask(worker, "picture", response_format="url")
    assert reply.status == 200, reply.body
    return str(reply.json["data"][0]["url"]).partition(str(worker.port))[2]


def test_the_record_is_durable_when_the_first_byte_comes(upstream: ScriptedUpstream, tmp_path: Path) -> None:
    for attempt in range(2):
        site = site_for(upstream, tmp_path / f"data{attempt}")
        site.publish()
        running = Worker(site, tmp_path / "log")
        body = json.dumps({"model": "sound", "input": "你好", "voice": "a"}).encode()
        head = f"POST /v1/audio/speech HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer sk-main\r\nContent-Length: {len(body)}\r\n\r\n"
        with running.connect(head.encode() + body) as client:
            first = client.recv(1)
            running.process.kill()
            running.process.wait(10)
            rest = client.recv(65_536)
        assert (first + rest).startswith(b"HTTP/1.1 200")
        assert [entry.kind for entry in site.entries() if entry.kind != "gateway.worker.alive"] == ["gateway.media.delivered"]


def test_a_labelling_process_killed_under_the_worker(worker: Worker, site: Site) -> None:
    assert ask(worker, "picture").status == 200
    child = psutil.Process(worker.process.pid).children()[0]
    os.kill(child.pid, signal.SIGSTOP)
    replies: list[Reply] = []
    asking = threading.Thread(target=lambda: replies.append(ask(worker, "picture")))
    asking.start()
    wait_for(lambda: any((site.folder.media / "work").iterdir()))
    os.kill(child.pid, signal.SIGKILL)
    asking.join(20)
    assert (replies[0].status, replies[0].json["error"]["code"]) == (502, "media_unlabelled")
    assert site.closing(replies[0].headers["x-request-id"]).kind == "gateway.media.withheld"
    assert ask(worker, "picture").status == 200


def test_labelling_ends_with_its_worker(upstream: ScriptedUpstream, tmp_path: Path) -> None:
    site = site_for(upstream, tmp_path / "data")
    site.publish()
    running = Worker(site, tmp_path / "log")
    assert ask(running, "picture").status == 200
    child = psutil.Process(running.process.pid).children()[0]
    running.process.kill()
    running.process.wait(10)
    wait_for(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def test_a_client_that_leaves_is_on_record(worker: Worker, site: Site, upstream: ScriptedUpstream) -> None:
    body = json.dumps({"model": "picture-late", "prompt": "一只猫"}).encode()
    before = {entry.id for entry in site.entries()}
    head = f"POST /v1/images/generations HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer sk-main\r\nContent-Length: {len(body)}\r\n\r\n"
    with worker.connect(head.encode() + body):
        wait_for(lambda: b"picture-late" in upstream.calls[-1].body)
    wait_for(lambda: any(entry.kind == "gateway.answer.interrupted" for entry in site.entries() if entry.id not in before))


def test_an_address_holds_for_every_worker_and_over_a_restart(worker: Worker, site: Site, tmp_path: Path) -> None:
    path = address(worker)
    other = Worker(site, tmp_path / "log")
    try:
        assert other.get(path).body == worker.get(path).body
        assert label_of(other.get(path).body)
    finally:
        other.stop()


@pytest.mark.parametrize(
    "path",
    [
        "/media/", "/media/x", "/media/" + "A" * 43, "/media/../guiju.toml", "/media/%2e%2e%2f%2e%2e%2fguiju.toml", "/media/..%00",
        "/media/hosted/x", "/media//etc/passwd",
    ],
)  # fmt: skip
def test_addresses_that_are_none(worker: Worker, path: str) -> None:
    got = worker.get(path)
    assert (got.status, got.json["error"]["code"]) == (404, "media_unknown")


def test_an_address_ends(worker: Worker, site: Site) -> None:
    hosted = site.folder.media / "hosted"
    before = set(hosted.glob("*.json")) if hosted.exists() else set()
    path = address(worker)
    assert worker.get(path).status == 200
    (made,) = set(hosted.glob("*.json")) - before
    facts = msgspec.json.decode(made.read_bytes(), type=Hosted)
    assert 3_590 < facts.expires_at - time.time() <= 3_600
    made.write_bytes(msgspec.json.encode(msgspec.structs.replace(facts, expires_at=time.time() - 1)))
    assert worker.get(path).json["error"]["code"] == "media_unknown"


def test_the_public_address_is_the_one_of_the_settings(upstream: ScriptedUpstream, tmp_path: Path) -> None:
    site = site_for(upstream, tmp_path / "data", public_url="https://api.example.com/")
    site.publish()
    running = Worker(site, tmp_path / "log")
    try:
        reply = ask(running, "picture", response_format="url")
        assert reply.json["data"][0]["url"].startswith("https://api.example.com/media/")
    finally:
        running.stop()


def test_settings_in_force_change_without_a_restart(upstream: ScriptedUpstream, tmp_path: Path) -> None:
    site = site_for(upstream, tmp_path / "data")
    site.publish()
    running = Worker(site, tmp_path / "log")
    try:
        assert ask(running, "picture").status == 200
        site.publish(msgspec.structs.replace(site.bundle, media=msgspec.structs.replace(site.bundle.media, file_bytes=1_000)))
        wait_for(lambda: ask(running, "picture").status == 502)
    finally:
        assert running.stop() == 0


def test_an_idle_worker_knows_nothing_of_files(worker: Worker, site: Site, tmp_path: Path) -> None:
    other = Worker(site, tmp_path / "log")
    try:
        assert other.chat("chat-example").status == 200
        assert not psutil.Process(other.process.pid).children()
        loaded = Path(f"/proc/{worker.process.pid}/maps").read_text()
        assert "/PIL/" not in loaded
        assert "/av/" not in loaded
    finally:
        other.stop()
