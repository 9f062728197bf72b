"""An application without a server between, and a spool that commits when a test says so."""

import asyncio
import json
from collections.abc import MutableMapping
from typing import Any

from guiju.gateway.app import Gateway
from guiju.gateway.tests.rig import KEYS
from guiju.records.entry import Entry, decode_entry


class HeldSpool:
    """A spool whose commits end when the test says so."""

    def __init__(self) -> None:
        self.waiting: list[tuple[str, asyncio.Future[None]]] = []
        self.entries: list[Entry] = []

    def refuse_if_full(self, size_bytes: int) -> None:
        pass

    def append(self, raw: bytes, *, owed: bool) -> "asyncio.Future[None]":
        del owed
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.entries.append(decode_entry(raw))
        self.waiting.append((self.entries[-1].kind, future))
        return future

    async def close(self) -> None:
        pass


class Asked:
    """One request given to the application itself, without a server between."""

    def __init__(self, gateway: Gateway, **request: Any) -> None:
        self.sent: list[MutableMapping[str, Any]] = []
        body = json.dumps({"messages": [{"role": "user", "content": "hi"}], **request}).encode()
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1/chat/completions",
            "headers": [(b"authorization", f"Bearer {KEYS['main']}".encode())],
        }
        received = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def receive() -> MutableMapping[str, Any]:
            message = next(received, None)
            if message is None:
                await asyncio.Event().wait()
            assert message is not None
            return message

        async def send(message: MutableMapping[str, Any]) -> None:
            self.sent.append(message)

        self.task = asyncio.create_task(gateway(scope, receive, send))

    @property
    def status(self) -> int:
        return next((message["status"] for message in self.sent if "status" in message), 0)

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)


async def until(condition: Any) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  # what is waited for is in another object's hands
            await asyncio.sleep(0.01)


async def settle() -> None:
    """Let the application do whatever it would do if nothing held it."""
    for _ in range(20):
        await asyncio.sleep(0.005)


def run(gateway: Gateway, scene: Any) -> None:
    async def play() -> None:
        spool = HeldSpool()
        gateway.spool = spool  # type: ignore[assignment]
        try:
            await scene(spool)
        finally:
            await gateway.stop()

    asyncio.run(play())
