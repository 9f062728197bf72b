"""The jobs process: runs what the console queued, and queues what is due by itself.

SIGTERM ends it after the task under way, exit status 0.
"""

import argparse
import logging
import signal
import sys
import threading
from pathlib import Path
from typing import Final

from guiju.core import log, process
from guiju.services.mistakes import tell_mistakes
from guiju.web import configure_django

LOOK_EVERY_S: Final = 1.0
DUE_EVERY_S: Final = 60.0
logger = logging.getLogger("guiju.jobs")


def main(arguments: list[str] | None = None) -> int:
    """Work until SIGTERM; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m guiju.web.jobs")
    parser.add_argument("--data", type=Path, required=True)
    options = parser.parse_args(arguments)
    process.die_with_parent()
    log.configure("jobs")
    stopping = threading.Event()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the supervisor decides
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    configure_django(options.data)
    from django.conf import settings

    tell_mistakes(settings.DATA_FOLDER, settings.SETTINGS_FILE, logger)
    logger.info("jobs ready")
    work(stopping)
    logger.info("jobs stopped")
    return 0


def work(stopping: threading.Event) -> None:
    """Run queued tasks, oldest first, one at a time, until `stopping` is set."""
    from django.db import OperationalError, close_old_connections
    from django_tasks_db.management.commands.db_worker import Worker
    from django_tasks_db.models import DBTaskResult

    from guiju.web.tasks import queue_due

    turns_to_due = 0
    while not stopping.is_set():
        try:
            close_old_connections()
            if turns_to_due == 0:
                queue_due()
                turns_to_due = int(DUE_EVERY_S / LOOK_EVERY_S)
            turns_to_due -= 1
            if DBTaskResult.objects.ready().exists():  # to look is cheap; a worker's turn takes the database's write lock
                Worker(
                    queue_names=["*"],
                    interval=0,
                    batch=True,
                    backend_name="default",
                    startup_delay=False,
                    max_tasks=None,
                    worker_id="guiju",
                    excluded_queue_names=[],
                ).run()
        except OperationalError:
            logger.exception("the database is not there; trying again")
        stopping.wait(LOOK_EVERY_S)


if __name__ == "__main__":
    sys.exit(main())
