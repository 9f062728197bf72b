"""Servers that run a script for each connection, and a pool that asks them."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable

import uvloop

from guiju.gateway.connections import Pool

REQUEST = b"POST /v1/x HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json; charset=utf-8\r\ncontent-length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n"
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\n\r\nhello"

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Story = Callable[[Pool, "Upstream"], Awaitable[None]]


class Upstream:
    """A server that runs a script for each connection, and counts."""

    def __init__(self, *scripts: Script) -> None:
        self.scripts = scripts
        self.accepted = 0
        self.closed = 0
        self.left = asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        script = self.scripts[min(self.accepted, len(self.scripts) - 1)]
        self.accepted += 1
        try:
            await script(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.closed += 1
            self.left.set()
            writer.close()


def answers(*responses: bytes, then_closes: bool = False) -> Script:
    """Answer requests in turn, the last one for ever."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = 0
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(responses[min(number, len(responses) - 1)])
            await writer.drain()
            number += 1
            if then_closes and number == len(responses):
                return

    return script


def play(story: Story, *scripts: Script, limit: int = 10, context: ssl.SSLContext | None = None) -> None:
    async def main() -> None:
        upstream = Upstream(*scripts)
        server = await asyncio.start_server(upstream, "127.0.0.1", 0, ssl=context)
        port = server.sockets[0].getsockname()[1]
        pool = Pool(f"{'https' if context else 'http'}://127.0.0.1:{port}", limit=limit, connect_timeout_s=5)
        try:
            async with asyncio.timeout(20):
                await story(pool, upstream)
        finally:
            pool.close()
            server.close()
            await asyncio.sleep(0)

    uvloop.run(main())


async def ask(pool: Pool, limit_bytes: int = 10**9) -> bytes | None:
    answer = await pool.ask(REQUEST)
    try:
        return await answer.read(limit_bytes)
    finally:
        answer.close()
