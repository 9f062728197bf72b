"""Clients that take nothing of their answers, or take them slowly, before a whole gateway: nobody else waits for them."""

import asyncio
import contextlib
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from guiju.gateway.app import create_gateway
from guiju.gateway.tests.rig import KEYS, LIMITS, Call, ScriptedUpstream, Site, Worker, wait_for
from guiju.gateway.tests.upstreams import BEHAVIOURS

PIECE = "字" * 33_000
"""More than a connection holds ahead of its client: each one fills it."""


async def whole(call: Call) -> None:
    message = {"role": "assistant", "content": PIECE * 9}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    await call.reply(
        200, json.dumps({"id": "c", "object": "chat.completion", "model": "m", "choices": choices}, ensure_ascii=False).encode()
    )


async def pieces(call: Call) -> None:
    """Stream as many pieces as `max_tokens` says, then say nothing more."""
    await call.stream()
    chunk = {"id": "c", "object": "chat.completion.chunk", "model": "m", "choices": [{"index": 0, "delta": {"content": PIECE}}]}
    for _ in range(call.request["max_tokens"]):
        await call.send(b"data: %s\n\n" % json.dumps(chunk, ensure_ascii=False).encode())
    await call.hang()


@pytest.fixture(scope="module")
def upstream() -> Iterator[ScriptedUpstream]:
    scripted = ScriptedUpstream(BEHAVIOURS | {"whole": whole, "hang_middle": pieces})
    yield scripted
    scripted.close()


def narrow(worker: Worker, sent: bytes) -> socket.socket:
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**12)
    client.settimeout(10)
    client.connect(("127.0.0.1", worker.port))
    client.sendall(sent)
    return client


def in_progress(worker: Worker) -> int:
    return int(worker.get("/healthz").json["in_progress"])


def test_whole_answers_that_nobody_reads_hold_nothing(own_site: Site, start: list[Worker], tmp_path: Path) -> None:
    """Guarded: `client_idle_ms` on its way from the bundle to `close_if_late`, in `worker.py` and `server.py`. It is 0.6 s here."""
    own_site.publish()
    worker = Worker(own_site, tmp_path / "log")
    start.append(worker)
    with narrow(worker, worker.raw_chat("whole") * 12):
        wait_for(lambda: any(entry.kind == "gateway.answer.delivered" for entry in own_site.entries()))
        wait_for(lambda: not in_progress(worker))
        delivered = [entry for entry in own_site.entries() if entry.kind == "gateway.answer.delivered"]
        assert 0 < len(delivered) < 12
    assert worker.chat("ok").status == 200


def test_an_upstream_that_falls_silent_before_a_client_that_takes_nothing(own_site: Site, start: list[Worker], tmp_path: Path) -> None:
    """The sweeper ended the wait for the upstream; the last piece then waits for a client that no sweep looks at again.

    Guarded: the `abort` in `close_if_late`. Some of these streams fall silent just when they have filled their client.
    """
    own_site.publish()
    worker = Worker(own_site, tmp_path / "log")
    start.append(worker)
    asked = range(2, 42)

    def ended() -> list[Any]:
        closing = [
            entry.metadata for entry in own_site.entries() if entry.kind in ("gateway.answer.interrupted", "gateway.upstream.failed")
        ]
        return [each.get("reason", each.get("error")) for each in closing]

    with contextlib.ExitStack() as held:
        for count in asked:
            held.enter_context(narrow(worker, worker.raw_chat("hang_middle", stream=True, max_tokens=count)))
        wait_for(lambda: len(ended()) == len(asked), 60)
        wait_for(lambda: not in_progress(worker))
    assert set(ended()) == {"UPSTREAM-TIMEOUT", "CLIENT-STALLED"}


def scope_of(key: str | None) -> dict[str, Any]:
    headers = [(b"authorization", b"Bearer " + key.encode())] if key else []
    return {"type": "http", "method": "POST", "path": "/v1/chat/completions", "headers": headers, "http_version": "1.1"}


def test_who_is_not_let_in_takes_no_place(own_site: Site) -> None:
    """Guarded: the `discard` in `Call._refuse`. Clients without a key that take no reply were counted until they left."""
    own_site.publish(msgspec.structs.replace(own_site.bundle, limits=msgspec.structs.replace(LIMITS, concurrent_requests=2)))

    async def asked() -> None:
        gateway = create_gateway(own_site.folder.root, "w")
        await gateway.start()
        replies: list[int] = []
        waiting, goes_on = [0], asyncio.Event()

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b'{"model": "ok", "messages": [{"role": "user", "content": "hi"}]}', "more_body": False}

        async def stalls(message: Any) -> None:
            waiting[0] += 1
            await goes_on.wait()

        async def takes(message: Any) -> None:
            replies.append(message["status"])

        strangers = [asyncio.create_task(gateway(scope_of(key), receive, stalls)) for key in (None, "sk-wrong", "sk-revoked") * 2]
        while waiting[0] < len(strangers):  # noqa: ASYNC110  # nothing tells us but their replies
            await asyncio.sleep(0.01)
        assert not gateway.exchanges
        await gateway(scope_of(KEYS["main"]), receive, takes)
        assert replies == [200]
        goes_on.set()
        await asyncio.gather(*strangers)
        await gateway.stop()

    asyncio.run(asyncio.wait_for(asked(), 60))


def test_a_piece_that_is_taken_slowly_is_no_stall(own_site: Site) -> None:
    """Guarded: the look at `waits_for` in `Gateway._sweep`. Whether a client stalls is for its connection to say, which sees bytes."""
    own_site.publish(msgspec.structs.replace(own_site.bundle, limits=msgspec.structs.replace(LIMITS, client_idle_ms=1)))
    body = json.dumps({"model": "hang_middle", "stream": True, "max_tokens": 1, "messages": [{"role": "user", "content": "hi"}]}).encode()

    async def asked() -> bytes:
        gateway = create_gateway(own_site.folder.root, "w")
        await gateway.start()
        sent: list[bytes] = []
        received = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> dict[str, Any]:
            return received.pop() if received else await asyncio.Future()

        async def slow(message: Any) -> None:
            if message.get("more_body") and not any(sent):
                await asyncio.sleep(1)  # several sweeps
            sent.append(message.get("body", b""))

        await gateway(scope_of(KEYS["main"]), receive, slow)
        await gateway.stop()
        return b"".join(sent)

    assert asyncio.run(asyncio.wait_for(asked(), 60)).endswith(b"data: [DONE]\n\n")
    assert [entry.metadata["reason"] for entry in own_site.entries() if entry.kind == "gateway.answer.interrupted"] == ["UPSTREAM-TIMEOUT"]
