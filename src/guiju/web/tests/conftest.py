"""A site for each test: keys, a library in force, a published bundle, and the fixed cast signed in or not."""

from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django.fixtures import Settings

from guiju.core.layout import DataFolder
from guiju.web.tests.rig import OWNER_PASSWORD, furnish


@pytest.fixture
def data(tmp_path: Path, settings: Settings, db: None) -> DataFolder:
    """A data folder as the first start leaves it, with a library of two terms."""
    folder = DataFolder(tmp_path / "data")
    settings.DATA_FOLDER = folder
    settings.SETTINGS_FILE = folder.settings
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # the slow one is Django's to test
    furnish(folder)
    return folder


@pytest.fixture
def owner(data: DataFolder) -> Client:
    """The owner, signed in."""
    client = Client()
    client.force_login(User.objects.create_superuser("owner", password=OWNER_PASSWORD))
    return client


@pytest.fixture
def stranger(data: DataFolder) -> Client:
    """Somebody signed in who holds no permission."""
    client = Client()
    client.force_login(User.objects.create_user("stranger", password=OWNER_PASSWORD))
    return client


@pytest.fixture
def anybody(data: DataFolder) -> Client:
    """Nobody signed in."""
    return Client()
