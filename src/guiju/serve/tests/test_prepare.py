"""What prepare leaves behind for the rest of its own work, and of everybody's.

Guarded line: `PRAGMA synchronous=FULL` in `_make_tables`: without it a commit of the same process would not wait for the disk.
"""

import os
import subprocess
import sys
from pathlib import Path

_PREPARE = """
import sys
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
from django.db.models.signals import pre_migrate
def synchronous():
    with connection.cursor() as cursor:
        return cursor.execute("PRAGMA synchronous").fetchone()[0]
seen = []
pre_migrate.connect(lambda **_: seen.append(synchronous()), weak=False)
assert prepare.main(["--data", sys.argv[1]]) == 0
print(set(seen), synchronous(), file=sys.stderr)
"""


def test_only_the_making_of_tables_does_not_wait_for_the_disk(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("GUIJU_", "DJANGO_"))}
    run = subprocess.run(
        [sys.executable, "-c", _PREPARE, str(tmp_path / "data")], check=False, capture_output=True, text=True, env=environment
    )
    assert run.returncode == 0, run.stderr
    assert run.stderr.splitlines()[-1] == "{1} 2", "NORMAL for the tables, FULL from then on"
