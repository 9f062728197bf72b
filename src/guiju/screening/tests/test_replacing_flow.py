"""A library that drops much of what is in force goes there by nobody's mistake; an empty one not at all; only new terms are a renewal."""

import hashlib
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from typer.testing import CliRunner

from guiju.core.errors import GuijuError
from guiju.core.layout import DataFolder
from guiju.screening import flow
from guiju.screening.cli import app
from guiju.screening.models import LibraryStep, LibraryVersion
from guiju.screening.tests.test_flow import OTHER, SWAP
from guiju.screening.tests.test_views import data, owner
from guiju.web.tests.rig import LIBRARY, left

__all__ = ["data", "owner"]
MORE = LIBRARY + "新增词条,A.2.e,block\n".encode()


def _imported(raw: bytes) -> str:
    return flow.import_library("next.csv", raw, "person:ann").version


def _refusal(version: str, reason: str = "", dropping: int = 0) -> GuijuError:
    with pytest.raises(GuijuError) as raised:
        flow.activate_library(version, "person:ann", reason, dropping=dropping)
    return raised.value


@pytest.mark.parametrize(("reason", "dropping"), [("", 0), (SWAP, 0), (SWAP, 1), (SWAP, 3), ("", 2), ("短", 2)])
def test_much_goes_only_with_its_figure_and_a_reason(data: DataFolder, reason: str, dropping: int) -> None:
    """Guarded line: `if loss.much and not back …` of `activate_library`."""
    version, first, before = _imported(OTHER), flow.active_library().version, len(left(data))
    refusal = _refusal(version, reason, dropping)
    assert (refusal.code, refusal.facts["dropped"], refusal.facts["before"]) == (flow.LOSS, 2, 2)
    assert "A.4.f" in str(refusal.facts["risks"])
    assert "--dropping 2" in refusal.both()
    assert (flow.active_library().version, len(left(data))) == (first, before)


def test_what_goes_is_on_record_with_the_reason(data: DataFolder) -> None:
    first, version = flow.active_library().version, _imported(OTHER)
    flow.activate_library(version, "person:ann", SWAP, dropping=2)
    put = [entry for entry in left(data) if entry.kind == "screening.library.activated"][-1]
    assert put.metadata["dropped"] == {"entries": 2, "of": 2, "risks": ["A.4.f"]}
    assert put.metadata["reason"] == flow.list_steps(1)[0].reason == SWAP
    flow.activate_library(first, "person:ann", "误伤日常用语")  # a way back takes its reason, and no figure
    back = [entry for entry in left(data) if entry.kind == "screening.library.activated"][-1]
    assert back.metadata["dropped"] == {"entries": 1, "of": 1, "risks": []}


def test_a_few_terms_go_and_come_as_before(data: DataFolder) -> None:
    flow.activate_library(_imported(MORE), "person:ann")
    put = [entry for entry in left(data) if entry.kind == "screening.library.activated"][-1]
    assert "dropped" not in put.metadata


def test_an_empty_library_of_an_earlier_release_never_comes_into_force(data: DataFolder) -> None:
    """Guarded line: `if not chosen.entries` of `activate_library`."""
    body = b"term,risk,severity,direction,exceptions,source,reviewer,reviewed_on,note\n"
    version = hashlib.sha256(body).hexdigest()
    for activated_at in (None, timezone.now()):
        LibraryVersion.objects.update_or_create(
            version=version, defaults={"name": "空.csv", "body": body, "entries": 0, "imported_by": "person", "activated_at": activated_at}
        )
        assert _refusal(version, SWAP, 2).code is flow.EMPTY
    assert flow.library_of(version).entries == ()


def test_only_new_terms_are_a_renewal(data: DataFolder) -> None:
    """Guarded line: `_has_new_terms(…)` in `last_renewal`."""
    begun = timezone.now() - timedelta(days=30)
    LibraryStep.objects.update(at=begun)
    first, [shorter] = (
        flow.active_library().version,
        [_imported(LIBRARY.splitlines(keepends=True)[0] + LIBRARY.splitlines(keepends=True)[1])],
    )
    flow.activate_library(shorter, "person:ann", "误伤日常用语", dropping=1)
    assert flow.last_renewal() == begun  # terms went
    flow.activate_library(_imported(LIBRARY.replace("违禁词条".encode(), "違禁·詞條".encode())), "person:ann")
    assert flow.last_renewal() == begun  # and came back, spelt otherwise: an earlier one had them
    flow.activate_library(_imported(MORE), "person:ann")
    newest = LibraryStep.objects.filter(what="activated").first()
    assert newest is not None
    assert flow.last_renewal() == newest.at
    flow.activate_library(first, "person:ann", "误伤日常用语")
    assert flow.last_renewal() == newest.at


def test_the_page_tells_the_figures_and_asks(owner: Client) -> None:
    version = _imported(OTHER)
    asked = owner.post(f"/console/keywords/{version}/activate/")
    html = asked.content.decode()
    assert asked.status_code == 409
    assert "去掉 2 条并启用" in html
    assert 'name="dropping" value="2"' in html
    english = owner.post(f"/console/keywords/{version}/activate/", headers={"accept-language": "en"}).content.decode()
    assert "Drop 2 and put in force" in english
    for form in ({"dropping": "2"}, {"dropping": "2", "reason": "短"}, {"dropping": "x²", "reason": SWAP}):
        assert owner.post(f"/console/keywords/{version}/activate/", form).status_code == 409
    assert owner.post(f"/console/keywords/{version}/activate/", {"dropping": "2", "reason": SWAP}).status_code == 302
    assert flow.active_library().version == version


def test_the_command_tells_the_figures_and_takes_them(data: DataFolder) -> None:
    words = ["activate", _imported(OTHER), "--data", str(data.root)]
    refused = CliRunner().invoke(app, words)
    assert isinstance(refused.exception, GuijuError)
    assert refused.exception.code is flow.LOSS
    assert CliRunner().invoke(app, [*words, "--reason", SWAP, "--dropping", "2"]).exit_code == 0
