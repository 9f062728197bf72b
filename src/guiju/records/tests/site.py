"""A site on disk for tests with real processes: SQLite or PostgreSQL, migrated, with a recorder to start and kill."""

import functools
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from guiju.core.clock import now_us
from guiju.core.ids import new_id
from guiju.core.keys import create_keys
from guiju.core.layout import DataFolder
from guiju.records.entry import Entry

DATABASE = "GUIJU_TEST_DATABASE"
_PRELUDE = f"""
import os, sys
sys.argv = sys.argv[:1] + sys.argv[2:]
from pathlib import Path
os.environ["DJANGO_SETTINGS_MODULE"] = "guiju.web.settings"
from guiju.web import settings
url = os.environ.get("{DATABASE}", "")
if url:
    name, host = url.split(" ")
    settings.DATABASES["default"] = {{"ENGINE": "django.db.backends.postgresql", "NAME": name, "USER": "postgres", "HOST": host}}
from guiju.web import configure_django
configure_django()
"""
MIGRATE = "from django.core.management import call_command; call_command('migrate', verbosity=0)"
RECORD = "from guiju.records.recorder.process import main; sys.exit(main(['--data', os.environ['GUIJU_DATA']]))"
LOOK = """
import json
from django.db.models import Count
from guiju.records.models import OpenAnswer, OutboxEntry, Record
from guiju.records.verify import verify_ledger
from guiju.core.keys import load_site_public_key
rows = list(Record.objects.order_by("index").values_list("index", "id", "kind", "body"))
folder = settings.DATA_FOLDER
report = verify_ledger(folder, "guiju.local/ledger", load_site_public_key(folder.keys))
print(json.dumps({
    "records": [[index, id, kind, json.loads(bytes(body))["metadata"]] for index, id, kind, body in rows],
    "open": OpenAnswer.objects.count(), "outbox": OutboxEntry.objects.count(),
    "steps": [[step.outcome, step.en, step.detail] for step in report.steps],
}))
"""
COUNT = "from guiju.records.models import Record; print(Record.objects.count())"


@dataclass(frozen=True)
class Site:
    """A data folder and the database behind it; `database` is `name host` of PostgreSQL, or empty for SQLite."""

    data: DataFolder
    database: str = ""

    def start(self, code: str, stderr: int | None = None, stdin: int | None = None) -> subprocess.Popen[bytes]:
        """Start a process of the paper side that runs `code`."""
        environment = os.environ | {"GUIJU_DATA": str(self.data.root), DATABASE: self.database}
        environment.pop("GUIJU_SETTINGS", None)
        command = [sys.executable, "-c", _PRELUDE + code, ""]
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=stderr, stdin=stdin)

    def run(self, code: str) -> bytes:
        """Run `code` to its end and return what it printed."""
        process = self.start(code)
        out, _ = process.communicate(timeout=120)
        assert process.returncode == 0
        return out

    def look(self) -> dict[str, Any]:
        """Return what is on record, and what `verify` says of it."""
        found: dict[str, Any] = json.loads(self.run(LOOK))
        return found


def make_site(root: Path) -> Site:
    """Return a new site with keys and the tables of the migrations, on SQLite."""
    data = DataFolder(root)
    create_keys(data.keys)
    data.database.write_bytes(_migrated_sqlite())
    return Site(data)


def make_postgresql_site(root: Path, url: str, name: str) -> Site:
    """Return a new site in a database of its own on this PostgreSQL."""
    data = DataFolder(root)
    create_keys(data.keys)
    host = url.partition("host=")[2]
    _copy_postgresql(url, name, _migrated_postgresql(url, host))
    return Site(data, f"{name} {host}")


@functools.cache
def _migrated_sqlite() -> bytes:
    """Migrate once for all sites of this run; each begins with a copy of its own."""
    with tempfile.TemporaryDirectory() as folder:
        data = DataFolder(Path(folder))
        Site(data).run(MIGRATE)
        assert [path.name for path in data.root.iterdir()] == [data.database.name]  # nothing is left in a write-ahead log
        return data.database.read_bytes()


@functools.cache
def _migrated_postgresql(url: str, host: str) -> str:
    """Migrate once for all sites on this server, and return the name of the database that they copy."""
    name = "migrated"
    _copy_postgresql(url, name, "template1")
    with tempfile.TemporaryDirectory() as folder:
        Site(DataFolder(Path(folder)), f"{name} {host}").run(MIGRATE)
    return name


def _copy_postgresql(url: str, name: str, template: str) -> None:
    import psycopg

    with psycopg.connect(url, autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'.encode())


def entry(kind: str = "gateway.answer.delivered", *, subject: str = "u-1", content: bytes = b"", **metadata: object) -> Entry:
    """Return a new entry."""
    return Entry(new_id(), now_us(), kind, "chat", "key-1", subject, (), metadata, content)
