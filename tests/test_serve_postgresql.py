"""`guiju serve` on PostgreSQL: the same first start, tour and ledger; and gateways that do not need the database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from guiju.records.tests.postgresql import running
from tests.serving import Serving, guiju

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def socket_folder() -> Iterator[Path]:
    """The folder with the socket of a PostgreSQL server that ends with the tests; it has an empty database `guiju`."""
    with running() as server:
        server.create_database("guiju")
        yield Path(server.host)


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
