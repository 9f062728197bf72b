"""The bare pass-through: what a gateway costs that does nothing at all.

    python -m bench.bare --upstream URL --fd N --client own|aiohttp

`own` is guiju's own client and server with the same options and garbage collector settings as a gateway worker; `aiohttp` is the
fastest general client behind uvicorn as it comes. It reads no key, parses nothing, screens nothing, labels nothing, records
nothing: bytes in, bytes out. What guiju adds to the first is what the five promises cost; the second is what one would write without it.
"""

import argparse
import gc
import logging
import socket
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

import aiohttp
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from yarl import URL

from guiju.core.process import die_with_parent
from guiju.gateway.bundle import Upstream
from guiju.gateway.server import Connection, server_config
from guiju.gateway.upstream import UpstreamClient

Message = MutableMapping[str, Any]
_JSON: Final = (b"content-type", b"application/json")
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
_EVENTS: Final = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]


class Bare:
    """Hands each request to the upstream and its answer back."""

    def __init__(self, base_url: str) -> None:
        self._client = UpstreamClient(Upstream(name="bench", base_url=base_url, max_connections=4_000))

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        if scope["path"] == "/healthz":
            await _healthy(send)
            return
        response = await self._client.chat(await _body(receive))
        try:
            if response.content_type == "text/event-stream":
                await send({"type": "http.response.start", "status": response.status, "headers": _EVENTS})
                while piece := await response.readany():
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                await send({"type": "http.response.body", "body": b""})
            else:
                answer = await response.read(2**30) or b""
                headers = [_JSON, (b"content-length", b"%d" % len(answer))]
                await send({"type": "http.response.start", "status": response.status, "headers": headers})
                await send({"type": "http.response.body", "body": answer})
        finally:
            response.close()


class BareAiohttp:
    """The same on aiohttp, with what makes it fast: no cookies, no headers of its own, a pool."""

    def __init__(self, base_url: str) -> None:
        self._url = URL(f"{base_url}/chat/completions", encoded=True)
        self._session: aiohttp.ClientSession | None = None

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        if scope["path"] == "/healthz":
            await _healthy(send)
            return
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=4_000, keepalive_timeout=30),
                timeout=aiohttp.ClientTimeout(total=None),
                headers={"content-type": "application/json", "accept-encoding": "identity"},
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("accept", "user-agent"),
                read_bufsize=2**18,
            )
        response = await self._session.post(self._url, data=await _body(receive), allow_redirects=False)
        try:
            if response.content_type == "text/event-stream":
                await send({"type": "http.response.start", "status": response.status, "headers": _EVENTS})
                while piece := await response.content.readany():
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                await send({"type": "http.response.body", "body": b""})
            else:
                answer = await response.read()
                headers = [_JSON, (b"content-length", b"%d" % len(answer))]
                await send({"type": "http.response.start", "status": response.status, "headers": headers})
                await send({"type": "http.response.body", "body": answer})
        finally:
            response.close()


async def _healthy(send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [_JSON, (b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"{}"})


async def _body(receive: Receive) -> bytes:
    message = await receive()
    body: bytes = message["body"]
    while message.get("more_body"):
        message = await receive()
        body += message["body"]
    return body


def main() -> int:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(prog="bench.bare")
    parser.add_argument("--upstream", required=True)
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--client", choices=("own", "aiohttp"), default="own")
    options = parser.parse_args()
    logging.basicConfig(level="WARNING")
    die_with_parent()
    made = Bare if options.client == "own" else BareAiohttp
    protocol = Connection if options.client == "own" else HttpToolsProtocol
    config = server_config(made(options.upstream), drain_ms=1_000, lifespan="off", protocol=protocol)
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=options.fd)])
    return 0


if __name__ == "__main__":
    sys.exit(main())
