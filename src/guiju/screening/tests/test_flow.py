"""Keyword libraries in the database: imports that change nothing when a row is wrong, one in force, each change recorded."""

from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from guiju.core.errors import GuijuError
from guiju.core.keys import load_site_public_key
from guiju.core.layout import DataFolder
from guiju.gateway.bundle import current_hash, load_bundle
from guiju.screening import flow
from guiju.screening.models import LibraryVersion
from guiju.web.tests.rig import LIBRARY, furnish, left

OTHER = "term,risk\n另一词条,A.1.h\n".encode()
YAML = "- term: 词条三\n  risk: A.2.e\n".encode()


@pytest.fixture
def data(tmp_path: Path, settings: Settings, db: None) -> DataFolder:
    folder = DataFolder(tmp_path / "data")
    settings.DATA_FOLDER = folder
    settings.SETTINGS_FILE = folder.settings
    furnish(folder)
    return folder


def _terms_in_force(data: DataFolder) -> set[str]:
    bundle = load_bundle(data.bundles, current_hash(data.bundles), load_site_public_key(data.keys))
    return {entry.term for entry in bundle.library}


def test_an_import_is_a_draft_and_leaves_a_record(data: DataFolder) -> None:
    kept = flow.import_library("other.csv", OTHER, "person:owner")
    assert kept.state == "draft"
    assert kept.entries == 1
    last = left(data)[-1]
    assert (last.kind, last.actor) == ("screening.library.imported", "person:owner")
    assert last.metadata == {"library": kept.version, "name": "other.csv", "entries": 1, "by_risk": {"A.1.h": 1}}
    assert "另一词条" not in _terms_in_force(data)


def test_equal_content_is_one_version(data: DataFolder) -> None:
    first = flow.import_library("other.csv", OTHER, "person:owner")
    before = len(left(data))
    again = flow.import_library("copy.csv", OTHER.replace(b"\n", b"\r\n"), "person:other")
    assert again.version == first.version
    assert (LibraryVersion.objects.count(), len(left(data))) == (2, before)


def test_what_is_kept_reads_back_the_same(data: DataFolder) -> None:
    kept = flow.import_library("三.yaml", YAML, "person:owner")
    assert flow.library_of(kept.version).version == kept.version
    assert [entry.term for entry in flow.library_of(kept.version).entries] == ["词条三"]


@pytest.mark.parametrize("raw", [b"term,risk\n\xe8\xb5\x8c,A.4.a\n", b"\xff\xfe", b"a,b\n", OTHER + b"x,y,z,a\n"])
def test_a_wrong_row_keeps_nothing(data: DataFolder, raw: bytes) -> None:
    before = len(left(data))
    with pytest.raises(GuijuError) as raised:
        flow.import_library("bad.csv", raw, "person:owner")
    assert raised.value.code.code == "LIBRARY-INVALID"
    assert (LibraryVersion.objects.count(), len(left(data))) == (1, before)


def test_putting_in_force_retires_the_one_before_and_publishes(data: DataFolder) -> None:
    before = flow.find_active()
    kept = flow.import_library("other.csv", OTHER, "person:owner")
    active = flow.activate_library(kept.version[:8], "person:owner")
    assert active.state == "active"
    assert before is not None
    before.refresh_from_db()
    assert before.state == "retired"
    assert _terms_in_force(data) == {"另一词条"}
    activated = [entry for entry in left(data) if entry.kind == "screening.library.activated"][-1]
    assert activated.metadata["before"] == before.version
    flow.activate_library(before.version, "person:owner")
    assert "违禁词条" in _terms_in_force(data)


def test_putting_the_active_one_in_force_again_leaves_no_record(data: DataFolder) -> None:
    active = flow.find_active()
    assert active is not None
    before = len(left(data))
    flow.activate_library(active.version, "person:owner")
    assert len(left(data)) == before


def test_the_database_holds_one_active_library(data: DataFolder) -> None:
    from django.db import IntegrityError, transaction

    kept = flow.import_library("other.csv", OTHER, "person:owner")
    with pytest.raises(IntegrityError), transaction.atomic():
        LibraryVersion.objects.filter(version=kept.version).update(state="active")


@pytest.mark.parametrize("version", ["", "0" * 64, "12", "not-hex-not-hex", "%"])
def test_an_unknown_version_changes_nothing(data: DataFolder, version: str) -> None:
    with pytest.raises(GuijuError) as raised:
        flow.activate_library(version, "person:owner")
    assert raised.value.code is flow.LIBRARY_UNKNOWN
    assert "违禁词条" in _terms_in_force(data)


def test_without_a_library_nothing_is_published(data: DataFolder) -> None:
    LibraryVersion.objects.update(state="retired")
    with pytest.raises(GuijuError) as raised:
        flow.active_library()
    assert raised.value.code is flow.LIBRARY_MISSING


def test_the_furnished_library_is_the_one_in_force(data: DataFolder) -> None:
    assert flow.active_library().version == flow.read_library("x.csv", LIBRARY).version
