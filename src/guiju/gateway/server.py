"""The server in front of a gateway: uvicorn for sockets, start and drain, and our own connections (`inbound.py`)."""

import asyncio
import contextlib
import signal
from collections.abc import Callable, Iterator
from typing import Any, Literal

import uvicorn

from guiju.gateway.inbound import KEEP_S, Connection


class Server(uvicorn.Server):
    """uvicorn that leaves Ctrl-C to the supervisor and ends with status 0 after a drain."""

    def __init__(self, config: uvicorn.Config, client_idle_ms: Callable[[], float] = lambda: KEEP_S * 1000) -> None:
        """Serve what `config` says; `client_idle_ms` tells how long a client may take no byte of its answer, as it is at the moment."""
        super().__init__(config)
        self._client_idle_ms = client_idle_ms

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, "should_exit", True))
        yield

    async def on_tick(self, counter: int) -> bool:
        """Once a second, let go of connections on which nothing comes or goes. Called ten times a second."""
        if counter % 10 == 0:
            now, idle_s = asyncio.get_running_loop().time(), self._client_idle_ms() / 1000
            for connection in list(self.server_state.connections):
                if isinstance(connection, Connection):
                    connection.close_if_late(now, idle_s)
        return await super().on_tick(counter)


def server_config(
    application: Any, *, drain_ms: int, lifespan: Literal["on", "off"] = "on", protocol: type[asyncio.Protocol] = Connection
) -> uvicorn.Config:
    """Return the options of the server in front of a gateway: fast parser and loop, nothing that nobody reads.

    Headers of a proxy are not believed: nothing here depends on the address a request seems to come from.
    """
    return uvicorn.Config(
        application,
        http=protocol,
        loop="uvloop",
        lifespan=lifespan,
        ws="none",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        backlog=4096,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=drain_ms // 1000,
    )
