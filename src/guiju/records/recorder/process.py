"""The recorder process.

    python -m guiju.records.recorder --data DIR

SIGTERM drains what is there and leaves with status 0.
"""

import argparse
import gc
import logging
import signal
import threading
from pathlib import Path
from types import FrameType
from typing import Final

from guiju.core.errors import GuijuError
from guiju.core.layout import DataFolder
from guiju.core.log import configure
from guiju.core.process import die_with_parent
from guiju.services.mistakes import tell_mistakes
from guiju.web import configure_django

log = logging.getLogger("guiju.records")
_COLLECT_AFTER_OBJECTS: Final = 50_000


def spare_the_collector() -> None:
    """Let the collector of reference cycles leave alone what lives as long as the process, and look at the rest seldom.

    A batch is tens of thousands of small objects without cycles; walking them all the while costs an eighth of the recorder's time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER_OBJECTS, 50, 100)


def main(arguments: list[str] | None = None) -> int:
    """Run the recorder until it is told to stop; return its exit status."""
    parser = argparse.ArgumentParser(prog="guiju.records.recorder")
    parser.add_argument("--data", type=Path, required=True)
    options = parser.parse_args(arguments)
    configure("recorder")
    stop = threading.Event()

    def leave(number: int, frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, leave)
    die_with_parent()
    try:
        configure_django(options.data)
        from django.conf import settings

        from guiju.records.recorder.recording import Recorder  # its models need Django made ready
        from guiju.records.recorder.upkeep import start_upkeep

        configure("recorder")  # Django has its own idea of logging
        tell_mistakes(settings.DATA_FOLDER, settings.SETTINGS_FILE, log)
        recorder = Recorder(DataFolder(options.data.absolute()), settings.SITE.ledger.origin)
    except GuijuError as error:
        log.error("%s", error)
        return 2
    log.info("ready")
    start_upkeep(stop)
    recorder.run(stop)
    return 0
