"""The bare pass-through: what a gateway costs that does nothing at all.

    python -m bench.bare --upstream URL --fd N

The same server with the same options as a gateway worker, the same client, the same garbage collector settings. It reads
no key, parses nothing, screens nothing, labels nothing, records nothing: bytes in, bytes out. What guiju adds to this is
what the five promises cost.
"""

import argparse
import gc
import logging
import socket
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

import uvicorn

from guiju.core.process import die_with_parent
from guiju.gateway.bundle import Upstream
from guiju.gateway.upstream import UpstreamClient
from guiju.gateway.worker import server_config

Message = MutableMapping[str, Any]
_JSON: Final = (b"content-type", b"application/json")
_EVENTS: Final = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]


class Bare:
    """Hands each request to the upstream and its answer back."""

    def __init__(self, base_url: str) -> None:
        self._client = UpstreamClient(Upstream(name="bench", base_url=base_url, max_connections=4_000))

    async def __call__(self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        if scope["path"] == "/healthz":
            await send({"type": "http.response.start", "status": 200, "headers": [_JSON, (b"content-length", b"2")]})
            await send({"type": "http.response.body", "body": b"{}"})
            return
        message = await receive()
        body = message["body"]
        while message.get("more_body"):
            message = await receive()
            body += message["body"]
        response = await self._client.chat(body)
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


def main() -> int:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(prog="bench.bare")
    parser.add_argument("--upstream", required=True)
    parser.add_argument("--fd", type=int, required=True)
    options = parser.parse_args()
    logging.basicConfig(level="WARNING")
    die_with_parent()
    config = server_config(Bare(options.upstream), drain_ms=1_000, lifespan="off")
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=options.fd)])
    return 0


if __name__ == "__main__":
    sys.exit(main())
