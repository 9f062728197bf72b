"""A furnished site, and the people who draft, review and put in force."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from django.conf import settings as site
from django.contrib.auth.models import User
from django.test import Client
from pytest_django.fixtures import Settings

from guiju.core.layout import DataFolder
from guiju.screening.policies import flow, views
from guiju.web.tests.rig import furnish

BANK = (
    "id,questions,answer_zh,answer_en,risk,source,reviewer,reviewed_on,valid_until\n"
    "id-1,身份证丢了怎么补办|补办身份证要带什么,请到派出所办理。,Go to a police station.,A.5.b,居民身份证法,法务,2026-05-01,2999-12-31\n"
    "id-2,去年的缴费期限是哪天,已过期,,A.5.b,通知,法务,2025-05-01,2025-12-31\n"
).encode()


@pytest.fixture
def data(tmp_path: Path, settings: Settings, db: None) -> Iterator[DataFolder]:
    folder = DataFolder(tmp_path / "data")
    settings.DATA_FOLDER = folder
    settings.SETTINGS_FILE = folder.settings
    furnish(folder)
    yield folder
    flow.bank_of.cache_clear()
    views._matcher.cache_clear()


@pytest.fixture
def four_eyes(settings: Settings) -> None:
    screening = msgspec.structs.replace(site.SITE.screening, policy_people=2)
    settings.SITE = msgspec.structs.replace(site.SITE, screening=screening)


def client_of(name: str) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser(name))
    return client


@pytest.fixture
def owner(data: DataFolder) -> Client:
    return client_of("owner")
