"""The console process: waitress threads on a listening socket that the supervisor opened.

SIGTERM ends it gently: no new connections, requests under way are finished (at most `DRAIN_S`), exit status 0.
"""

import argparse
import gc
import logging
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any, Final

from waitress import wasyncore
from waitress.server import create_server

from guiju.core import log, process
from guiju.services.mistakes import tell_mistakes
from guiju.web import configure_django

THREADS: Final = 8
DRAIN_S: Final = 10.0
_TURN_S: Final = 0.5
_FORM_MB: Final = 8
"""What a form may have besides the largest file that the public page takes."""
logger = logging.getLogger("guiju.web")


def main(arguments: list[str] | None = None) -> int:
    """Serve the console until SIGTERM; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m guiju.web.server")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--fd", type=int, required=True, help="a listening TCP socket")
    options = parser.parse_args(arguments)
    process.die_with_parent()
    log.configure("console")
    configure_django(options.data)
    from django.conf import settings
    from django.urls import get_resolver

    from guiju.web.wsgi import application

    tell_mistakes(settings.DATA_FOLDER, settings.SETTINGS_FILE, logger)
    _ = get_resolver().url_patterns  # a page that cannot be imported ends the start, not the first request
    gc.collect()
    gc.freeze()  # what is loaded lives as long as the process: the collector need not walk it
    gc.set_threshold(20_000, 20, 100)
    scheme = "https" if settings.HTTPS else "http"
    with socket.socket(fileno=options.fd) as listening:
        server = create_server(
            application,
            sockets=[listening],
            threads=THREADS,
            ident="guiju",
            url_scheme=scheme,
            clear_untrusted_proxy_headers=True,
            **forwarded_by(settings.SITE.console.proxy),
            max_request_body_size=(settings.SITE.verify.upload_mb + _FORM_MB) * 1024 * 1024,
        )
        return _serve(server)


def forwarded_by(proxy: str) -> dict[str, Any]:
    """Return what waitress is told of the proxy whose word counts for who asks; nothing without one."""
    return {"trusted_proxy": proxy, "trusted_proxy_count": 1, "trusted_proxy_headers": {"x-forwarded-for"}} if proxy else {}


def _serve(server: Any) -> int:
    stop_at: list[float] = []
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the supervisor decides

    def stop(*_: object) -> None:
        if not stop_at:
            stop_at.append(time.monotonic() + DRAIN_S)
        server.pull_trigger()

    signal.signal(signal.SIGTERM, stop)
    logger.info("console ready on %s:%s", server.effective_host, server.effective_port)
    channels = server._map  # noqa: SLF001  # waitress has no public way to drain; this is the map its own loop runs on
    while not stop_at:
        wasyncore.loop(timeout=_TURN_S, map=channels, count=1)
    server.accepting = False
    while time.monotonic() < stop_at[0] and any(
        channel.requests or channel.total_outbufs_len for channel in server.active_channels.values()
    ):
        wasyncore.loop(timeout=_TURN_S, map=channels, count=1)
    server.task_dispatcher.shutdown(timeout=1)
    logger.info("console stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
