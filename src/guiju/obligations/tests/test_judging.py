"""Every light is computed: by a check, by an attestation in force, or it is not lit.

Guarded: the order in `judge`, the exception in `_checked`, the expiry in `_attested`.
"""

import json
from datetime import UTC, datetime, timedelta
from unittest.mock import patch
from xml.etree import ElementTree

import pytest
from msgspec.structs import replace
from typer.testing import CliRunner

from guiju.cli import whole_app
from guiju.core.layout import DataFolder
from guiju.obligations import flow, judging
from guiju.obligations.applicability import Binding
from guiju.obligations.finding import Case, Finding
from guiju.obligations.judging import Light, all_checks, count_states, judge, judge_service, next_deadlines
from guiju.obligations.loading import shipped_catalogue
from guiju.obligations.models import Attestation
from guiju.obligations.reports import as_annotations, as_json, as_junit
from guiju.obligations.tests.test_flow import APPROVER, OFFICER, TODAY, WHOLE, _attest
from guiju.obligations.values import Words
from guiju.web.tests.rig import record_all

NOW = datetime.now(UTC)


def _lights(service: str = "chat", now: datetime = NOW) -> dict[str, Light]:
    return {each.obligation.id: each for each in judge_service(service, now)}


def test_every_duty_of_providers_is_judged_or_says_why_not() -> None:
    checks = all_checks()
    for name, each in shipped_catalogue().in_force(TODAY).items():
        if each.binds_provider:
            assert (name in checks) or each.person or each.missing, f"{name} has no check and does not say why"
            assert not (name in checks and each.person), f"{name} has a check and says that only a person can judge it"
        else:
            assert name not in checks


def test_nothing_is_met_where_nothing_is_known(data: DataFolder) -> None:
    lights = _lights()
    assert lights["GAI-15.1"].status == "not_built"
    assert lights["GAI-9.2"].status == "needs_person"
    assert lights["GAI-2.1"].status == "breach"
    assert lights["GAI-15.1"].binding.binds == "unknown"  # and it counts as binding
    unproven = [name for name, each in lights.items() if each.status == "met" and not each.finding.evidence]
    assert not unproven


def test_the_profile_decides_what_binds(data: DataFolder) -> None:
    flow.answer_profile("chat", WHOLE | {"foreign": ("none",)}, OFFICER)
    lights = _lights()
    assert lights["GAI-23.2"].status == "not_applicable"
    assert "Foreign equity? – None" in lights["GAI-23.2"].finding.reason.en
    flow.determine_scope("chat", APPROVER)
    assert _lights()["GAI-2.1"].status == "met"
    assert _lights()["GAI-17.1"].status == "met"
    assert _lights("chat", NOW + timedelta(days=350))["GAI-2.1"].status == "due"
    assert _lights("chat", NOW + timedelta(days=400))["GAI-2.1"].status == "overdue"
    flow.answer_profile("chat", WHOLE | {"minors": ("no",)}, OFFICER)
    changed = _lights()["GAI-2.1"]
    assert (changed.status, "profile changed" in changed.finding.reason.en) == ("overdue", True)


def test_an_attestation_lights_its_duty_until_its_last_day(data: DataFolder) -> None:
    made = _attest(last_day=TODAY + timedelta(days=90))
    record_all(data)
    assert _lights()["GAI-9.2"].status == "met"
    assert {each.id for each in _lights()["GAI-9.2"].finding.evidence} == {made.record, made.id}
    assert _lights(now=NOW + timedelta(days=80))["GAI-9.2"].status == "due"
    assert _lights(now=NOW + timedelta(days=92))["GAI-9.2"].status == "overdue"
    flow.withdraw(made.id, OFFICER)
    assert _lights()["GAI-9.2"].status == "needs_person"


def test_an_attestation_of_the_duty_as_it_was_lights_nothing(data: DataFolder) -> None:
    _attest()
    assert _lights()["GAI-9.2"].status == "met"
    Attestation.objects.update(statement="另一份说明")
    record_all(data)
    assert _lights()["GAI-9.2"].status == "breach"
    binding = _lights()["GAI-9.2"].binding
    amended = Binding(replace(binding.obligation, version=2, since=TODAY + timedelta(days=1)), "yes", ())
    Attestation.objects.update(statement="已完成等保备案")
    assert judge(amended, Case("chat", NOW, {})).status == "overdue"


def test_a_duty_that_another_law_sets_too_does_not_end_with_the_measures(data: DataFolder) -> None:
    flow.answer_profile("chat", {"public": ("no",)}, OFFICER)
    found = _lights()["GAI-9.3"]
    assert (found.status, "Cybersecurity Law 23(3)" in found.finding.reason.en) == ("not_applicable", True)
    assert "Law" not in _lights()["GAI-15.2"].finding.reason.en


def test_a_check_that_fails_is_not_met(data: DataFolder) -> None:
    def broken(case: Case) -> Finding:
        raise OSError("disk")

    with patch.object(judging, "all_checks", return_value={"GAI-9.3": broken}):
        found = _lights()["GAI-9.3"]
    assert found.status == "needs_person"
    assert "OSError" in found.finding.reason.en


def test_deadlines_come_in_their_order(data: DataFolder) -> None:
    _attest("GAI-9.2", last_day=TODAY + timedelta(days=90))
    _attest("GAI-9.4", last_day=TODAY + timedelta(days=20))
    found = next_deadlines(list(_lights().values()))
    assert [each.obligation.id for _, each in found if each.obligation.id.startswith("GAI-9")] == ["GAI-9.4", "GAI-9.2"]


def test_reports_for_programs(data: DataFolder) -> None:
    lights = judge_service("chat", NOW)
    rows = {each["id"]: each for each in as_json(lights)}
    assert rows["GAI-2.1"]["status"] == "breach"
    assert json.dumps(list(rows.values()))
    suite = ElementTree.fromstring(as_junit(lights))[0]
    counts = count_states(lights)
    assert int(suite.get("failures", "")) == len(suite.findall("testcase/failure")) == counts["breach"] + counts["overdue"] > 0
    assert int(suite.get("tests", "")) == len(lights)
    light = lights[0]
    odd = Light("chat", light.binding, Finding("breach", Words("甲\n乙", "50% of it\nis: gone")))
    assert as_annotations([odd]).endswith("::breach: 50%25 of it%0Ais: gone\n")
    assert as_annotations([odd]).startswith("::error title=GAI-2.1 Decide whether the Measures apply (chat)::")


def test_the_command_fails_a_release_with_a_breach_and_knows_its_services(data: DataFolder) -> None:
    run = CliRunner().invoke
    done = run(whole_app(), ["check", "--data", str(data.root), "--json"])
    assert done.exit_code == 1
    assert {each["service"] for each in json.loads(done.stdout)} == {"chat"}
    flow.answer_profile("chat", WHOLE, OFFICER)
    flow.determine_scope("chat", APPROVER)
    table = run(whole_app(), ["check", "--data", str(data.root), "--lang", "zh", "--all"])
    rows = [line.split("\t") for line in table.stdout.splitlines()]
    assert {len(row) for row in rows} == {6}
    by_id = {row[2]: row for row in rows}
    assert len(by_id) == len(rows) == len(json.loads(done.stdout))
    assert by_id["GAI-2.1"][0] == "chat"
    assert "not_built" in {row[1] for row in rows}
    fewer = run(whole_app(), ["check", "--data", str(data.root), "--lang", "zh"]).stdout.splitlines()
    assert 0 < len(fewer) < len(rows)
    assert not [line for line in fewer if line.split("\t")[1] in ("not_built", "not_applicable")]
    out = data.root / "report"
    run(whole_app(), ["check", "--data", str(data.root), "--lang", "zh", "--all", "--out", str(out)])
    assert out.read_text() == table.stdout
    with patch("guiju.web.rows.is_terminal", return_value=True):  # a person reads it
        shown = run(whole_app(), ["check", "--data", str(data.root), "--lang", "zh", "--all"]).stdout
    assert "未建" in shown
    assert "\t" not in shown
    with pytest.raises(Exception, match="SERVICE-UNKNOWN"):
        run(whole_app(), ["check", "--data", str(data.root), "--service", "nowhere"], catch_exceptions=False)
