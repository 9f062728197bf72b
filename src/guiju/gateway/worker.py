"""One gateway worker: a process, an inherited socket, an event loop.

    python -m guiju.gateway.worker --data DIR --fd N --number K [--go N]

With --go it waits, all loaded, until the other end of that pipe is closed: then there is a bundle to read.
SIGTERM drains: no new connections, answers under way end, the spool is committed, exit 0.
"""

import argparse
import gc
import logging
import os
import signal
import socket
import sys
from pathlib import Path

from guiju.core.errors import GuijuError
from guiju.core.log import configure
from guiju.core.process import die_with_parent, take_short_turns
from guiju.gateway.app import create_gateway
from guiju.gateway.server import Server, server_config

log = logging.getLogger("guiju.gateway")


def main(arguments: list[str] | None = None) -> int:
    """Run the worker until it is told to stop; return its exit status."""
    parser = argparse.ArgumentParser(prog="guiju.gateway.worker")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--number", default="0")
    parser.add_argument("--go", type=int)
    options = parser.parse_args(arguments)
    configure(f"gateway-{options.number}")
    die_with_parent()
    take_short_turns()
    if options.go is not None:
        _wait(options.go)
    try:
        gateway = create_gateway(options.data, f"gateway-{options.number}")
    except GuijuError as error:
        log.error("%s", error)
        return 2
    listener = socket.socket(fileno=options.fd)
    config = server_config(gateway, drain_ms=gateway.live.bundle.limits.drain_ms)
    gc.collect()
    gc.freeze()  # the library and the tables live as long as the process: the collector need not walk them
    gc.set_threshold(20_000, 20, 100)
    Server(config, lambda: gateway.live.bundle.limits.client_idle_ms).run(sockets=[listener])
    return 0


def _wait(pipe: int) -> None:
    """Wait until the other end of the pipe is closed. SIGTERM ends the process: nothing has begun that could be drained."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    while os.read(pipe, 1):
        pass
    os.close(pipe)
    signal.signal(signal.SIGTERM, before)


if __name__ == "__main__":
    sys.exit(main())
