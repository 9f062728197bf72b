"""Work beside other work: in another process where that is safe, here where it is not, and not lost when that process is killed.

Guarded lines: `connection.in_atomic_block`, `threading.active_count()` and `except EOFError` in beside.py.
"""

import os
import threading
from pathlib import Path

import pytest

from guiju.records.beside import start_beside
from guiju.records.tests.site import make_site

_CODE = """
import os, threading
from django.db import transaction
from guiju.records.beside import start_beside
from guiju.records.models import Head
def work():
    return os.getpid(), Head.objects.count()
here = os.getpid()
apart = start_beside(work, worthwhile=True)
assert Head.objects.count() == 1  # this side goes on with a connection of its own
assert apart()[0] != here and apart.__name__ == "result"
assert start_beside(work, worthwhile=True)()[1] == 1
assert start_beside(work, worthwhile=False)()[0] == here
with transaction.atomic():
    Head.objects.count()
    assert start_beside(work, worthwhile=True)()[0] == here
def killed():
    if os.getpid() != here:
        os.kill(os.getpid(), 9)
    return "done here"
assert start_beside(killed, worthwhile=True)() == "done here"
stop = threading.Event()
thread = threading.Thread(target=stop.wait)
thread.start()
assert start_beside(work, worthwhile=True)()[0] == here
stop.set()
thread.join()
print("good")
"""


def test_work_beside_work_on_a_real_database(tmp_path: Path) -> None:
    assert make_site(tmp_path / "data").run(_CODE).strip() == b"good"


@pytest.mark.django_db
def test_rows_of_a_transaction_are_looked_at_here() -> None:
    assert threading.current_thread() is threading.main_thread()
    assert start_beside(os.getpid, worthwhile=True)() == os.getpid()
