"""Keyword libraries in the database: imports that change nothing when a row is wrong, one in force, each change recorded."""

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec
import pytest
from pytest_django.fixtures import Settings

from guiju.core.errors import ErrorCode, GuijuError
from guiju.core.keys import load_site_public_key
from guiju.core.layout import DataFolder
from guiju.core.settings import Screening
from guiju.gateway.bundle import current_hash, load_bundle
from guiju.screening import flow
from guiju.screening.libraries.library import starter_library
from guiju.screening.models import LibraryStep, LibraryVersion
from guiju.screening.values import Policy
from guiju.web.tests.rig import LIBRARY, furnish, left

OTHER = "term,risk\n另一词条,A.1.h\n".encode()
SWAP = "换成自有词库"
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
    active = flow.activate_library(kept.version[:8], "person:owner", SWAP, dropping=2)
    assert active.state == "active"
    assert before is not None
    before.refresh_from_db()
    assert before.state == "retired"
    assert _terms_in_force(data) == {"另一词条"}
    activated = [entry for entry in left(data) if entry.kind == "screening.library.activated"][-1]
    assert activated.metadata["before"] == before.version
    flow.activate_library(before.version, "person:owner", "新词库误伤")
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


# ── a second person ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def two(data: DataFolder, settings: Settings) -> DataFolder:
    settings.SITE = msgspec.structs.replace(settings.SITE, screening=Screening(library_people=2))
    return data


def _refused(code: ErrorCode, act: Callable[[], object]) -> GuijuError:
    with pytest.raises(GuijuError) as raised:
        act()
    assert raised.value.code is code
    return raised.value


def test_who_imported_does_not_put_in_force_alone(two: DataFolder) -> None:
    # Guarded lines: the check of `library_people` in `_check_ready`, `.exclude(imported_by=actor)` in `review_library`.
    kept = flow.import_library("other.csv", OTHER, "person:ann")
    before = len(left(two))
    _refused(flow.REVIEW_NEEDED, lambda: flow.activate_library(kept.version, "person:ann"))
    _refused(flow.REVIEW_NEEDED, lambda: flow.activate_library(kept.version, "person:bob"))
    own = _refused(flow.REVIEW_REFUSED, lambda: flow.review_library(kept.version, "person:ann"))
    assert own.facts["reason"] == "it is their own import"
    assert len(left(two)) == before
    assert "违禁词条" in _terms_in_force(two)
    assert flow.review_library(kept.version, "person:bob", "看过每一条").state == "reviewed"
    _refused(flow.REVIEW_REFUSED, lambda: flow.review_library(kept.version, "person:eve"))
    active = flow.activate_library(kept.version, "person:ann", SWAP, dropping=2)
    assert (active.state, active.reviewed_by) == ("active", "person:bob")
    reviewed, activated = [entry for entry in left(two) if entry.kind.startswith("screening.library.")][-2:]
    assert (reviewed.kind, reviewed.actor, reviewed.metadata["reason"]) == ("screening.library.reviewed", "person:bob", "看过每一条")
    assert activated.metadata["reviewed_by"] == "person:bob"


def test_going_back_needs_a_reason_and_names_what_was_in_force(data: DataFolder) -> None:
    first = flow.find_active()
    assert first is not None
    kept = flow.import_library("other.csv", OTHER, "person:ann")
    flow.activate_library(kept.version, "person:ann", SWAP, dropping=2)
    assert (former := flow.find_former()) is not None
    assert former.version == first.version
    for reason in ("", "  短 "):
        _refused(flow.REASON_MISSING, partial(flow.activate_library, first.version, "person:ann", reason))
    assert _terms_in_force(data) == {"另一词条"}
    flow.activate_library(first.version, "person:ann", "误伤日常用语")
    last = [entry for entry in left(data) if entry.kind == "screening.library.activated"][-1]
    assert last.metadata["before"] == kept.version
    assert (last.metadata["rolled_back"], last.metadata["reason"]) == (True, "误伤日常用语")
    step = flow.list_steps(1)[0]
    assert (step.what, step.before, step.reason, step.record) == ("rolled_back", kept.version, "误伤日常用语", last.id)
    assert (again := flow.find_former()) is not None
    assert again.version == kept.version


def test_a_roll_back_is_possible_for_one_person_and_is_no_renewal(two: DataFolder) -> None:
    first = flow.find_active()
    assert first is not None
    kept = flow.import_library("other.csv", OTHER, "person:ann")
    flow.review_library(kept.version, "person:bob")
    flow.activate_library(kept.version, "person:ann", SWAP, dropping=2)
    renewed = flow.last_renewal()
    flow.activate_library(first.version, "person:ann", "误伤日常用语")
    assert flow.last_renewal() == renewed


def test_rows_that_nobody_signed_stay_out_where_that_is_asked(data: DataFolder, settings: Settings) -> None:
    settings.SITE = msgspec.structs.replace(settings.SITE, screening=Screening(library_provenance="required"))
    kept = flow.import_library("other.csv", OTHER, "person:ann")
    refusal = _refused(flow.PROVENANCE_MISSING, lambda: flow.activate_library(kept.version, "person:ann"))
    assert {column: refusal.facts[column] for column in ("source", "reviewer", "reviewed_on")} == {
        "source": 1,
        "reviewer": 1,
        "reviewed_on": 1,
    }
    signed = flow.import_library(
        "signed.csv", "term,risk,source,reviewer,reviewed_on\n另一词条,A.1.h,某法第一条,审核员,2026-11-24\n".encode(), "person:ann"
    )
    assert flow.activate_library(signed.version, "person:ann", SWAP, dropping=2).state == "active"


def test_a_first_start_needs_nobody(two: DataFolder) -> None:
    LibraryStep.objects.all().delete()
    LibraryVersion.objects.all().delete()
    kept = flow.import_library("starter.csv", starter_library().csv, "guiju")
    assert flow.activate_library(kept.version, "guiju").state == "active"
    other = flow.import_library("other.csv", OTHER, "guiju")
    _refused(flow.REVIEW_NEEDED, lambda: flow.activate_library(other.version, "guiju"))


def test_a_kept_library_whose_rows_fold_alike_by_now_is_read_and_told(data: DataFolder, caplog: pytest.LogCaptureFixture) -> None:
    """Red when a library that was accepted once is refused for a fold that has changed since."""
    kept = flow.import_library("old.csv", "term,risk,exceptions\n词条甲著,A.1.h,\n词条乙,A.1.h,\n".encode(), "person")
    body = bytes(kept.body).replace("词条乙".encode(), "词条甲着".encode())
    version = hashlib.sha256(body).hexdigest()
    LibraryVersion.objects.create(version=version, name="old.csv", body=body, entries=2, imported_by="person")
    library = flow.library_of(version)
    assert (library.version, {entry.term for entry in library.entries}) == (version, {"词条甲著", "词条甲着"})
    assert "folds to the same" in caplog.text
    assert {hit.rule for hit in flow.snapshot_of(version).examine("词条甲着", "input", Policy()).hits} == {e.id for e in library.entries}
    with pytest.raises(GuijuError, match="folds to the same"):
        flow.import_library("new.csv", body, "person")
