"""A site of its own for each test: keys, folders, a recorder; and a real PostgreSQL for those that ask."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from guiju.core.keys import create_keys
from guiju.core.layout import DataFolder
from guiju.records.spool.direct import Direct
from guiju.records.tests.postgresql import running

ORIGIN = "guiju.local/ledger"


@pytest.fixture
def data(tmp_path: Path, settings: Settings) -> DataFolder:
    """A data folder with keys; Django's settings point to it."""
    folder = DataFolder(tmp_path / "data")
    create_keys(folder.keys)
    settings.DATA_FOLDER = folder
    return folder


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """The URL of a PostgreSQL server that ends with the tests."""
    with running() as server:
        yield f"postgresql://postgres:@/postgres?host={server.host}"


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes each write of the loop had."""
    seen: list[int] = []
    write = Direct.write

    def noted(self: Direct, descriptor: int, before: bytes, content: bytes, offset: int) -> int:
        size = write(self, descriptor, before, content, offset)
        seen.append(size)
        return size

    monkeypatch.setattr(Direct, "write", noted)
    return seen
