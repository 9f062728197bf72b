"""Work done beside other work, on another core: in a process of its own where that is safe, else afterwards in this one."""

import multiprocessing
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from django.db import connection

Result = TypeVar("Result")


def start_beside(work: Callable[[], Result], *, worthwhile: bool) -> Callable[[], Result]:
    """Start reading work and return the function that gives its result.

    A process is forked only outside of transactions, whose rows it could not see, and only where this process has no other
    thread. The database connection is closed before: each side opens its own, and none is shared.
    """
    alone = threading.active_count() == 1 and "fork" in multiprocessing.get_all_start_methods()
    if not worthwhile or not alone or connection.in_atomic_block:
        return work
    connection.close()
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(work, theirs), daemon=True)
    process.start()
    theirs.close()

    def result() -> Result:
        try:
            found: Result = ours.recv()
        except EOFError:  # it was killed, or the work failed there: what is wrong will be seen here
            return work()
        finally:
            ours.close()
            process.join()
        return found

    return result


def _work(work: Callable[[], Any], back: Connection) -> None:
    back.send(work())
    connection.close()
