"""An application on our own server, in a thread, and clients that write bytes."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from guiju.gateway.server import Server, server_config


@dataclass
class Served:
    """What listens, and how to stop it."""

    server: Server
    address: tuple[str, int]
    thread: threading.Thread

    def connect(self, sent: bytes = b"") -> socket.socket:
        client = socket.create_connection(self.address, timeout=10)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.sendall(sent)
        return client

    def talk(self, sent: bytes) -> bytes:
        """Send bytes on a new connection and return all that comes until the server closes it."""
        with self.connect(sent) as client:
            return read_all(client)

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(10)
        assert not self.thread.is_alive()


def read_all(client: socket.socket) -> bytes:
    received = bytearray()
    try:
        while piece := client.recv(2**18):
            received += piece
    except ConnectionResetError:
        pass
    return bytes(received)


@contextmanager
def serving(application: Any, *, drain_ms: int = 2_000, lifespan: Literal["on", "off"] = "off") -> Iterator[Served]:
    """Run the application until the block ends."""
    listener = socket.create_server(("127.0.0.1", 0))
    address = listener.getsockname()
    server = Server(server_config(application, drain_ms=drain_ms, lifespan=lifespan))
    server.capture_signals = Nothing  # type: ignore[method-assign, assignment]  # a thread takes no signals
    loop: Callable[[], asyncio.AbstractEventLoop] = server.config.get_loop_factory()  # type: ignore[assignment]

    def run() -> None:
        with asyncio.Runner(loop_factory=loop) as runner:
            runner.run(server.serve(sockets=[listener]))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    served = Served(server, address, thread)
    try:
        yield served
    finally:
        served.stop()


class Nothing:
    """In the place of a context manager."""

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


def get(path: str, method: str = "GET", version: str = "1.1", *headers: str) -> bytes:
    lines = "".join(f"{header}\r\n" for header in headers)
    return f"{method} {path} HTTP/{version}\r\nhost: x\r\n{lines}\r\n".encode()
