"""Tables are made whole or not at all, and what prepare leaves behind for the rest of its own work, and of everybody's.

Guarded lines: `transaction.atomic()` in `_make_tables`: without it no start gets past the tables of one that was killed before Django
noted what it had made; `constraint_checks_disabled`: without it nothing is made.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

_PREPARE = """
import os, signal, sys
from pathlib import Path
from guiju.core.layout import DataFolder
from guiju.serve import prepare
from guiju.serve.folder import make_folder
from guiju.serve.state import take_folder
data = DataFolder(Path(sys.argv[1]))
take_folder(data).close()
make_folder(data)
from guiju.web import configure_django
configure_django(data.root)
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
def noted(recorder, app, name, note=MigrationRecorder.record_applied):
    if app == sys.argv[2]:
        os.kill(os.getpid(), signal.SIGKILL)
    note(recorder, app, name)
MigrationRecorder.record_applied = noted
assert prepare.main(["--data", sys.argv[1]]) == 0
with connection.cursor() as cursor:
    print(*[cursor.execute(f"PRAGMA {name}").fetchone()[0] for name in ("synchronous", "foreign_keys")], file=sys.stderr)
"""


def _prepare(data: Path, killed_at: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("GUIJU_", "DJANGO_"))}
    return subprocess.run(
        [sys.executable, "-c", _PREPARE, str(data), killed_at], check=False, capture_output=True, text=True, env=environment
    )


@pytest.mark.parametrize("app", ["sessions", "records"])
def test_tables_of_a_start_that_was_killed_are_made_by_the_next(tmp_path: Path, app: str) -> None:
    assert _prepare(tmp_path / "data", app).returncode == -9
    run = _prepare(tmp_path / "data", "")
    assert run.returncode == 0, run.stderr
    assert run.stderr.splitlines()[-1] == "2 1", "commits wait for the disk, and keys between tables are kept"
