"""Profiles, signed determinations and attestations: each with its author and record, none beyond its time.

Guarded: the expiry and the profile in `determination_of`, `person` in `attest`, the count of the update in `withdraw`,
who signs in `determine_scope`, the lines and fields that are compared in `determination_of` and `is_on_record`.
"""

from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from unittest.mock import patch

import pytest

from guiju.core.clock import BEIJING
from guiju.core.errors import GuijuError
from guiju.core.keys import load_site_public_key
from guiju.core.layout import DataFolder
from guiju.obligations import flow
from guiju.obligations.loading import shipped_catalogue
from guiju.obligations.models import Attestation, Determination, Profile
from guiju.records.log.note import verify
from guiju.web.tests.rig import ORIGIN, left, record_all

OFFICER = "person:officer"
APPROVER = "person:approver"
WHOLE = {fact.id: (fact.choices[0].id,) for fact in shipped_catalogue().facts.values()}
TODAY = datetime.now(BEIJING).date()


def _attest(obligation: str = "GAI-9.2", **changed: object) -> Attestation:
    said: dict = {
        "statement": "已完成等保备案",
        "document": b"%PDF-1.7",
        "document_name": "备案.pdf",
        "last_day": TODAY + timedelta(days=90),
    }
    return flow.attest("chat", obligation, actor=OFFICER, **(said | changed))


def test_a_profile_is_kept_whole_and_its_record_tells_the_change(data: DataFolder) -> None:
    first = flow.answer_profile("chat", {"public": ("yes",), "minors": ()}, OFFICER)
    assert flow.answers_of("chat") == {"public": ("yes",)}
    assert flow.answer_profile("chat", {"public": ("yes",)}, "person:other").id == first.id
    flow.answer_profile("chat", {"public": ("no",), "audience": ("staff", "invited_firms", "staff")}, OFFICER)
    assert flow.answers_of("chat") == {"public": ("no",), "audience": ("staff", "invited_firms")}
    assert Profile.objects.count() == 2
    told = [entry for entry in left(data) if entry.kind == "obligations.profile.answered"]
    assert [entry.actor for entry in told] == [OFFICER, OFFICER]
    assert told[1].metadata["changed"] == {"audience": [[], ["staff", "invited_firms"]], "public": [["yes"], ["no"]]}


@pytest.mark.parametrize(
    ("service", "answers", "reason"),
    [
        ("nowhere", {"public": ("yes",)}, "there is no such service"),
        ("chat", {"publik": ("yes",)}, "there is no question publik"),
        ("chat", {"public": ("maybe",)}, "public has no answer maybe"),
        ("chat", {"public": ("yes", "no")}, "public takes one answer"),
        ("chat", {"public": ("no",), "audience": ("staff", "consumers")}, "'No', which contradicts 'Consumers' to 'Whom does it serve?'"),
        ("chat", {"trains": ("no",), "model": ("tuned",)}, "'No', which contradicts 'Fine-tuned' to 'Which model"),
        ("chat", {"sectors": ("none", "news")}, "'None', which contradicts 'News' to"),
    ],
)
def test_a_mistaken_profile_changes_nothing(data: DataFolder, service: str, answers: dict[str, tuple[str, ...]], reason: str) -> None:
    with pytest.raises(GuijuError) as told:
        flow.answer_profile(service, answers, OFFICER)
    assert told.value.code is flow.PROFILE_INVALID
    assert reason in told.value.facts["reason"]
    assert not Profile.objects.exists()


def test_a_determination_is_signed_over_every_answer_and_every_duty(data: DataFolder) -> None:
    flow.answer_profile("chat", WHOLE, OFFICER)
    made = flow.determine_scope("chat", APPROVER)
    text = verify(made.note.encode(), ORIGIN, load_site_public_key(data.keys))
    lines = text.splitlines()
    assert lines[:3] == [flow.FORM, "chat", APPROVER]
    assert "location=mainland" in lines
    bound = {line.split()[0]: line.split()[2] for line in lines if line.startswith("GAI-")}
    assert set(bound) == {name for name, each in shipped_catalogue().in_force(TODAY).items() if each.binds_provider}
    assert (bound["GAI-9.3"], bound["GAI-20.1"]) == ("yes", "no")
    [record] = [entry for entry in left(data) if entry.kind == "obligations.scope.determined"]
    assert record.metadata["sha256"] == sha256(made.note.encode()).hexdigest()


def test_nothing_is_signed_while_a_question_is_open(data: DataFolder) -> None:
    flow.answer_profile("chat", {name: given for name, given in WHOLE.items() if name != "opinion"}, OFFICER)
    with pytest.raises(GuijuError) as told:
        flow.determine_scope("chat", APPROVER)
    assert (told.value.code, told.value.facts["facts"]) == (flow.PROFILE_OPEN, "opinion")
    assert not Determination.objects.exists()


def test_a_determination_ends_with_its_facts_its_law_or_its_year(data: DataFolder) -> None:
    now = datetime.now(UTC)
    assert flow.determination_of("chat", now) == (None, "none")
    flow.answer_profile("chat", WHOLE, OFFICER)
    made = flow.determine_scope("chat", APPROVER)
    assert flow.determination_of("chat", now)[1] == "holds"
    assert flow.determination_of("chat", made.expires_at - timedelta(microseconds=1))[1] == "holds"
    assert flow.determination_of("chat", made.expires_at)[1] == "expired"
    assert timedelta(days=365) <= made.expires_at - now <= timedelta(days=367)
    with patch.object(flow, "shipped_catalogue") as amended:
        amended.return_value.version = "another"
        assert flow.determination_of("chat", now)[1] == "law_changed"
    flow.answer_profile("chat", {**WHOLE, "minors": ("no",)}, OFFICER)
    assert flow.determination_of("chat", now)[1] == "profile_changed"
    flow.determine_scope("chat", APPROVER)
    assert flow.determination_of("chat", now)[1] == "holds"


def test_who_answers_a_profile_does_not_sign_on_it(data: DataFolder) -> None:
    flow.answer_profile("chat", WHOLE, OFFICER)
    with pytest.raises(GuijuError) as told:
        flow.determine_scope("chat", OFFICER)
    assert told.value.code is flow.DETERMINATION_OWN
    assert not Determination.objects.exists()
    flow.answer_profile("chat", WHOLE, APPROVER)  # the same answers stay the officer's
    flow.determine_scope("chat", APPROVER)


@pytest.mark.parametrize(
    "changed",
    [
        {"expires_at": datetime(2040, 1, 1, tzinfo=UTC)},
        {"made_by": "person:other"},
        {"note": "guiju-scope-determination-1\nchat\n"},
    ],
)
def test_a_determination_holds_only_as_it_was_signed(data: DataFolder, changed: dict[str, object]) -> None:
    flow.answer_profile("chat", WHOLE, OFFICER)
    flow.determine_scope("chat", APPROVER)
    Determination.objects.update(**changed)
    assert flow.determination_of("chat", datetime.now(UTC))[1] == "altered"


def test_a_profile_that_was_changed_in_place_ends_its_determination(data: DataFolder) -> None:
    profile = flow.answer_profile("chat", WHOLE, OFFICER)
    flow.determine_scope("chat", APPROVER)
    Profile.objects.update(answers=profile.answers.replace('"minors":["yes"]', '"minors":["no"]'))
    assert flow.determination_of("chat", datetime.now(UTC))[1] == "altered"


def test_an_attestation_is_what_its_record_says(data: DataFolder) -> None:
    made, now = _attest(), datetime.now(UTC)
    assert flow.is_on_record(made, now)  # on its way
    assert not flow.is_on_record(made, now + timedelta(hours=2))
    record_all(data)
    assert flow.is_on_record(made, now + timedelta(hours=2))
    assert flow.document_of("chat", "GAI-9.2", made.id).document_name == "备案.pdf"
    Attestation.objects.update(document=b"another")
    with pytest.raises(GuijuError) as told:
        flow.document_of("chat", "GAI-9.2", made.id)
    assert told.value.code is flow.ATTESTATION_ALTERED
    made.expires_at += timedelta(days=1)
    assert not flow.is_on_record(made, now)


def test_an_attestation_has_author_document_and_expiry(data: DataFolder) -> None:
    made = _attest()
    found = flow.attestation_of("chat", "GAI-9.2")
    assert found is not None
    assert (found.id, found.made_by, found.document_sha256) == (made.id, OFFICER, sha256(b"%PDF-1.7").hexdigest())
    [record] = [entry for entry in left(data) if entry.kind == "obligations.duty.attested"]
    assert record.obligations == ("GAI-9.2",)
    assert record.metadata["document_sha256"] == made.document_sha256


@pytest.mark.parametrize(
    "changed",
    [
        {"obligation": "GAI-9.3"},  # a check judges it
        {"obligation": "GAI-15.1"},  # nobody judges it yet
        {"obligation": "GAI-99.9"},
        {"statement": " "},
        {"statement": "x" * 2_001},
        {"document": b""},
        {"document": bytes(flow.DOCUMENT_LIMIT_BYTES + 1)},
        {"last_day": TODAY - timedelta(days=1)},
        {"last_day": TODAY + timedelta(days=367)},
        {"last_day": date.max},
    ],
)
def test_a_bare_tick_is_no_attestation(data: DataFolder, changed: dict[str, object]) -> None:
    with pytest.raises(GuijuError) as told:
        _attest(**changed)  # type: ignore[arg-type]
    assert told.value.code is flow.ATTESTATION_INVALID
    assert not Attestation.objects.exists()


def test_what_was_withdrawn_stays_withdrawn(data: DataFolder) -> None:
    made = _attest()
    flow.withdraw(made.id, "person:second")
    assert flow.attestation_of("chat", "GAI-9.2") is None
    with pytest.raises(GuijuError) as told:
        flow.withdraw(made.id, OFFICER)
    assert told.value.code is flow.ATTESTATION_GONE
    assert Attestation.objects.get().withdrawn_by == "person:second"
