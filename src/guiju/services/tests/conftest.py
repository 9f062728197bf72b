"""A data folder with keys, a table of libraries with the starter in force."""

from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from guiju.core.keys import create_keys
from guiju.core.layout import DataFolder


@pytest.fixture
def data(tmp_path: Path, settings: Settings, db: None) -> DataFolder:  # db: the tables
    from guiju.screening.models import LibraryVersion

    folder = DataFolder(tmp_path)
    for path in (folder.keys, folder.bundles, folder.spool, folder.run):
        path.mkdir()
    create_keys(folder.keys)
    settings.DATA_FOLDER = folder
    settings.SETTINGS_FILE = folder.settings
    library = b"term,risk\n\xe8\xbf\x9d\xe7\xa6\x81\xe8\xaf\x8d\xe6\x9d\xa1,A.1.h\n"
    from guiju.screening.libraries.library import parse_csv

    parsed = parse_csv(library)
    LibraryVersion.objects.create(
        version=parsed.version, name="test", body=parsed.csv, entries=1, imported_by="test", state=LibraryVersion.State.ACTIVE
    )
    return folder
