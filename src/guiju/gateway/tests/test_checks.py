"""The lights of the live path and of its labels and screening: each goes out when what it stands for goes wrong.

Guarded: every `return Finding` of the checks of gateway, labelling and screening.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

import msgspec
import pytest
from pytest_django.fixtures import Settings

from guiju.core.layout import DataFolder
from guiju.gateway import checks
from guiju.labelling import checks as labelling
from guiju.labelling.supply import flow as supplies
from guiju.labelling.supply.models import Supply
from guiju.obligations.finding import Case, Check
from guiju.records import recent
from guiju.records.models import Gap, Watch
from guiju.screening import checks as screening
from guiju.screening import flow
from guiju.screening.libraries.sizing import Sizing
from guiju.screening.models import LibraryVersion
from guiju.screening.values import Policy, PolicyRow
from guiju.services.flow import publish
from guiju.web.tests.conftest import data
from guiju.web.tests.rig import entry, write_records

__all__ = ["data"]
NOW = datetime.now(UTC)
CODE = "001191110102MACQD9K64010000"


def _case(now: datetime = NOW) -> Case:
    return Case("chat", now, {})


def _at(ago: timedelta) -> int:
    return int((NOW - ago).timestamp() * 1e6)


def _serve(settings: Settings, **changed: object) -> None:
    [service, *others] = settings.SITE.services
    settings.SITE = msgspec.structs.replace(settings.SITE, services=(msgspec.structs.replace(service, **changed), *others))
    publish(settings=settings.SITE, actor="person:test")


def test_answers_are_recorded(data: DataFolder) -> None:
    assert checks.answers_recorded(_case()).status == "due"
    [other] = write_records(data, [entry(service="other")])
    assert checks.answers_recorded(_case()).status == "due"
    [answer] = write_records(data, [entry()])
    assert checks.answers_recorded(_case()).status == "due"  # nobody has looked for gaps
    Watch.objects.create(id=1, next_index=0, counted_at=NOW - timedelta(minutes=90))
    assert checks.answers_recorded(_case(NOW + timedelta(hours=1))).status == "overdue"
    found = checks.answers_recorded(_case())
    assert (found.status, found.evidence[0].id) == ("met", answer.id)
    Gap.objects.create(key="k", cause="answers", zh="缺", en="gap", service="other", found_at=NOW, record=other.id)
    assert checks.answers_recorded(_case()).status == "met"
    Gap.objects.create(key="l", cause="answers", zh="缺", en="gap", service="chat", found_at=NOW, record=answer.id)
    assert checks.answers_recorded(_case()).status == "breach"


def test_the_service_is_up_and_its_upstreams_answer(data: DataFolder) -> None:
    assert checks.service_stable(_case()).status == "due"
    write_records(data, [entry("gateway.worker.alive", service="", at_us=_at(timedelta(minutes=1)))])
    assert checks.service_stable(_case()).status == "due"  # no upstream was asked yet
    assert checks.service_stable(_case(NOW + timedelta(minutes=11))).status == "breach"
    assert checks.service_stable(Case("elsewhere", NOW, {})).status == "breach"
    write_records(data, [entry("gateway.upstream.failed", metadata={"error": "UPSTREAM-REFUSED"})])
    assert checks.service_stable(_case()).status == "due"  # the caller's mistake
    write_records(data, [entry("gateway.media.delivered")] + [entry() for _ in range(18)] + [entry("gateway.upstream.failed")])
    assert checks.service_stable(_case()).status == "met"  # one of twenty
    write_records(data, [entry("gateway.answer.interrupted", metadata={"reason": "client left"})])
    assert checks.service_stable(_case()).status == "met"
    write_records(data, [entry("gateway.answer.interrupted", metadata={"reason": "UPSTREAM-BROKEN"})])
    assert checks.service_stable(_case()).status == "breach"  # in the middle of an answer


def test_yesterdays_answers_do_not_hide_todays_failures(data: DataFolder) -> None:
    write_records(data, [entry("gateway.worker.alive", service="")])
    write_records(data, [entry(at_us=_at(timedelta(days=2))) for _ in range(60)])
    assert "last day had no exchange" in checks.service_stable(_case()).reason.en
    write_records(data, [entry("gateway.upstream.failed", at_us=_at(timedelta(hours=25)))])
    assert checks.service_stable(_case()).status == "breach"  # the last exchange failed
    write_records(data, [entry("gateway.upstream.failed") for _ in range(2)])
    assert checks.service_stable(_case()).status == "breach"  # 2 of 62, and 2 of 2 today


def test_generation_stops_for_every_risk(data: DataFolder, settings: Settings) -> None:
    assert checks.generation_stops(_case()).status == "met"
    [stopped] = write_records(data, [entry("gateway.answer.stopped")])
    assert checks.generation_stops(_case()).evidence[0].id == stopped.id
    _serve(settings, policy=Policy(on_output={"*": "stop", "A.2.a": "deliver"}))
    found = checks.generation_stops(_case())
    assert (found.status, "A.2.a" in found.reason.en) == ("breach", True)
    _serve(settings, policy=Policy(rows=(PolicyRow("A.2.b", "output", "minor-8-12", "high", "deliver"),)))
    assert "A.2.b" in checks.generation_stops(_case()).reason.en  # for one band of readers
    assert checks.generation_stops(Case("elsewhere", NOW, {})).status == "breach"


def test_answers_are_labelled(data: DataFolder, settings: Settings) -> None:
    assert labelling.answers_labelled(_case()).status == "due"
    write_records(data, [entry(metadata={"label": {"produce_id": "1", "explicit": "suffix"}})])
    assert labelling.answers_labelled(_case()).status == "met"
    [bare] = write_records(data, [entry()])
    found = labelling.answers_labelled(_case())
    assert (found.status, found.evidence[0].id) == ("breach", bare.id)


def test_a_label_that_the_interface_shows_is_for_a_person_to_see(data: DataFolder, settings: Settings) -> None:
    write_records(data, [entry(metadata={"label": {"produce_id": "1", "explicit": "interface"}})])
    assert labelling.answers_labelled(_case()).status == "met"  # one that programs read
    [service, *_] = settings.SITE.services
    _serve(settings, label=msgspec.structs.replace(service.label, mode="interface"))
    assert labelling.answers_labelled(_case()).status == "needs_person"
    write_records(data, [entry(metadata={"label": {"produce_id": "1", "explicit": ""}})])
    assert labelling.answers_labelled(_case()).status == "breach"


def test_what_people_wrote_needs_no_label(data: DataFolder) -> None:
    write_records(
        data, [entry(metadata={"approved_answer": {"id": "help-1"}}), entry(metadata={"label": {"produce_id": "1", "explicit": "suffix"}})]
    )
    assert labelling.answers_labelled(_case()).status == "met"


def test_exports_carry_their_label(data: DataFolder) -> None:
    assert labelling.exports_labelled(_case()).status == "due"
    [export] = write_records(data, [entry("gateway.export.delivered", metadata={"export": {"explicit": "text"}})])
    found = labelling.exports_labelled(_case())
    assert (found.status, found.evidence[0].id) == ("met", export.id)
    write_records(data, [entry("gateway.export.delivered", metadata={"export": {"explicit": ""}})])
    assert labelling.exports_labelled(_case()).status == "breach"


def test_each_unlabelled_delivery_has_its_grant(data: DataFolder) -> None:
    assert labelling.supplies_logged(_case()).status == "due"
    supply = supplies.ask(
        "chat", "studio-1", identity="实名", agreement=b"%PDF", agreement_version="v3", accepted_on=NOW.date() - timedelta(days=2),
        purpose="影视后期制作，自行标识", days=30, actor="person:officer",
    )  # fmt: skip
    supplies.decide(supply.id, grant=True, reason="", actor="person:approver")
    [log] = write_records(data, [entry("labelling.unlabelled.supplied", metadata={"supply": supply.id})])
    found = labelling.supplies_logged(_case())
    assert (found.status, found.evidence[0].id) == ("met", log.id)
    write_records(data, [entry("labelling.unlabelled.supplied", metadata={"supply": "made-up"})])
    assert labelling.supplies_logged(_case()).status == "breach"


@pytest.mark.parametrize("state", ["refused", "asked", "expired", "ended", "later", "other"])
def test_a_delivery_outside_its_grant_is_a_breach(data: DataFolder, state: str) -> None:
    supply = supplies.ask(
        "chat", "studio-1", identity="实名", agreement=b"%PDF", agreement_version="v3", accepted_on=NOW.date() - timedelta(days=2),
        purpose="影视后期制作，自行标识", days=30, actor="person:officer",
    )  # fmt: skip
    if state != "asked":
        supplies.decide(supply.id, grant=state != "refused", reason="", actor="person:approver")
    past = NOW - timedelta(hours=2)
    changed: dict[str, dict[str, object]] = {
        "expired": {"expires_at": past},
        "ended": {"state": "ended", "ended_at": past},
        "later": {"decided_at": NOW + timedelta(hours=1)},
    }
    Supply.objects.update(**changed.get(state, {}))
    service = "second" if state == "other" else "chat"
    write_records(data, [entry("labelling.unlabelled.supplied", service=service, metadata={"supply": supply.id})])
    assert labelling.supplies_logged(Case(service, NOW, {})).status == "breach"


def test_one_services_supplies_prove_nothing_for_another(data: DataFolder) -> None:
    write_records(data, [entry("labelling.unlabelled.supplied", service="second", metadata={"supply": "made-up"})])
    assert labelling.supplies_logged(_case()).status == "due"


def test_a_service_that_states_it_supplies_none_supplies_none(data: DataFolder) -> None:
    def stated() -> Case:
        return Case("chat", NOW, {"unlabelled": ("no",)}, profile="p-1")

    found = labelling.supplies_logged(stated())
    assert (found.status, found.evidence[0].id) == ("met", "p-1")
    write_records(data, [entry("labelling.unlabelled.supplied", metadata={"supply": "made-up"})])
    with patch.object(recent.latest_of_service, "__defaults__", (1,)):
        write_records(data, [entry()])  # the latest record of the service is another
        assert labelling.supplies_logged(stated()).status == "breach"


def test_files_need_a_provider_code(data: DataFolder, settings: Settings) -> None:
    [service, *_] = settings.SITE.services
    _serve(settings, label=msgspec.structs.replace(service.label, content_producer="某公司"))
    assert labelling.files_labelled(_case()).status == "breach"
    _serve(settings, label=msgspec.structs.replace(service.label, content_producer=CODE))
    assert labelling.files_labelled(_case()).status == "due"  # nothing was delivered that could prove it
    [file] = write_records(data, [entry("gateway.media.delivered", metadata={"media": [{"produce_id": "n-1", "sha256": "0" * 64}]})])
    found = labelling.files_labelled(_case())
    assert (found.status, found.evidence[0].id) == ("met", file.id)
    write_records(data, [entry("gateway.media.delivered", metadata={"media": []})])
    assert labelling.files_labelled(_case()).status == "breach"
    write_records(data, [entry("gateway.media.delivered", metadata={"media": [{"sha256": "0" * 64}]})])
    assert labelling.files_labelled(_case()).status == "breach"


def test_the_library_is_filled_and_renewed(data: DataFolder) -> None:
    found = screening.prohibited_screened(_case())
    assert found.status == "due"  # two terms are not ten thousand
    assert "short" in found.reason.en
    assert screening.prohibited_screened(_case(NOW + timedelta(days=8))).status == "overdue"
    LibraryVersion.objects.update(state="retired")
    assert screening.prohibited_screened(_case()).status == "breach"


def test_a_review_past_its_time_is_overdue(data: DataFolder) -> None:
    with patch.object(screening, "count_open", return_value={"overdue": 1}):
        assert screening.prohibited_screened(_case()).status == "overdue"


def _filled() -> Sizing:
    """Return the sizing of the library in force as it would be with every term and every signature there."""
    sizing = flow.size_version(LibraryVersion.objects.get(state="active").version)
    full = tuple(replace(each, terms=each.least) for each in sizing.counts)
    return replace(sizing, total=10_000, counts=full, unsigned={}, renewed_at=NOW - timedelta(days=1))


@pytest.mark.parametrize(("changed", "wanting"), [("few", "too few"), ("unsigned", "reviewer 3"), ("renewed", "not known"), ("", "")])
def test_a_library_is_met_only_when_nothing_is_wanting(data: DataFolder, changed: str, wanting: str) -> None:
    filled = _filled()
    if changed == "few":
        filled = replace(filled, counts=tuple(replace(each, terms=min(each.terms, 1)) for each in filled.counts))
    elif changed == "unsigned":
        filled = replace(filled, unsigned={"reviewer": 3})
    elif changed == "renewed":
        filled = replace(filled, renewed_at=None)
    with patch.object(flow, "size_version", return_value=filled):
        found = screening.prohibited_screened(_case())
    assert found.status == ("due" if wanting else "met")
    assert wanting in found.reason.en
    if not wanting:
        assert found.due_at == NOW + timedelta(days=6)


def test_a_library_without_a_term_is_a_breach(data: DataFolder) -> None:
    with patch.object(flow, "size_version", return_value=replace(_filled(), total=0)):
        found = screening.prohibited_screened(_case())
    assert (found.status, found.reason.en) == ("breach", "The library in force holds no term")


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"policy": Policy(on_output={"*": "deliver"})}, "breach"),
        ({"policy": Policy(on_input={"*": "deliver"})}, "needs_person"),
        ({"policy": Policy(could_not_examine="deliver")}, "needs_person"),
    ],
)
def test_a_policy_that_lets_pass_is_not_met_however_full_the_library(
    data: DataFolder, settings: Settings, changed: dict[str, object], status: str
) -> None:
    _serve(settings, **changed)
    with patch.object(flow, "size_version", return_value=_filled()):
        assert screening.prohibited_screened(_case()).status == status
        assert screening.prohibited_screened(Case("elsewhere", NOW, {})).status == "breach"


@pytest.mark.parametrize("check", [screening.persons_protected, labelling.answers_labelled, labelling.files_labelled])
def test_a_service_that_is_not_in_force_is_a_breach(data: DataFolder, check: Check) -> None:
    assert check(Case("elsewhere", NOW, {})).status == "breach"


def test_a_wording_without_its_elements_is_a_breach(data: DataFolder, settings: Settings) -> None:
    write_records(data, [entry(metadata={"label": {"produce_id": "1", "explicit": "suffix"}})])
    [service, *_] = settings.SITE.services
    _serve(settings, label=msgspec.structs.replace(service.label, text="智能助手"))
    assert labelling.answers_labelled(_case()).status == "breach"


def test_a_library_that_was_not_published_is_a_breach(data: DataFolder) -> None:
    later = flow.import_library("三词.csv", "term,risk,severity\n另一词条,A.1.h,block\n".encode(), "person:test")
    LibraryVersion.objects.filter(state="active").update(state="retired")
    LibraryVersion.objects.filter(version=later.version).update(state="active")
    assert screening.prohibited_screened(_case()).status == "breach"


@pytest.mark.parametrize(("action", "status"), [("mask", "met"), ("stop", "met"), ("pass", "needs_person")])
def test_personal_information_does_not_leave(data: DataFolder, settings: Settings, action: str, status: str) -> None:
    _serve(settings, policy=Policy(personal_on_output={"*": action}))  # type: ignore[dict-item]
    assert screening.persons_protected(_case()).status == status
