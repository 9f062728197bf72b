"""One gateway worker: a process, an inherited socket, an event loop.

    python -m guiju.gateway.worker --data DIR --fd N --number K

SIGTERM drains: no new connections, answers under way end, the spool is committed, exit 0.
"""

import argparse
import gc
import logging
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
    options = parser.parse_args(arguments)
    configure(f"gateway-{options.number}")
    die_with_parent()
    take_short_turns()
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
    Server(config).run(sockets=[listener])
    return 0


if __name__ == "__main__":
    sys.exit(main())
