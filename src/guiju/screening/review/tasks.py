"""What the jobs process does for reviews every minute: fill the queue, close what is gone."""

import time
from typing import Final

from guiju.screening.review import flow

RUN_S: Final = 5.0
"""Looking through the records takes no longer in one turn; the rest is looked through a minute later."""


def do_due() -> None:
    """Fill the queue from the records that came, and close the items whose content went."""
    ends = time.monotonic() + RUN_S
    while flow.fill_queue() and time.monotonic() < ends:
        pass
    flow.close_gone()
