"""OSCAL that an independent reader takes, and a matrix that opens elsewhere and runs nothing.

Guarded: the shape of every document (trestle's models refuse unknown and missing fields), `satisfied` for `met` alone, `marked`.
"""

import csv
import io
import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.test import Client
from openpyxl import load_workbook
from trestle.core.base_model import OscalBaseModel
from trestle.oscal.assessment_results import AssessmentResults
from trestle.oscal.catalog import Catalog
from trestle.oscal.component import ComponentDefinition
from typer.testing import CliRunner

from guiju.cli import whole_app
from guiju.core.layout import DataFolder
from guiju.obligations import flow, matrix, oscal
from guiju.obligations.exports import oscal_document
from guiju.obligations.finding import Finding
from guiju.obligations.judging import judge_service
from guiju.obligations.loading import shipped_catalogue
from guiju.obligations.tests.test_flow import APPROVER, OFFICER, TODAY, WHOLE
from guiju.obligations.values import Words

NOW = datetime.now(UTC)
READERS: dict[str, tuple[type[OscalBaseModel], str]] = {
    "catalog": (Catalog, "catalog"),
    "component": (ComponentDefinition, "component-definition"),
    "results": (AssessmentResults, "assessment-results"),
}


@pytest.mark.parametrize("part", READERS)
def test_trestle_reads_what_is_written(data: DataFolder, tmp_path: Path, part: str) -> None:
    flow.answer_profile("chat", WHOLE, OFFICER)
    path = tmp_path / f"{part}.json"
    done = CliRunner().invoke(whole_app(), ["obligations", "oscal", part, "--data", str(data.root), "--out", str(path)])
    assert done.exit_code == 0, done.output
    read = READERS[part][0].oscal_read(path)
    assert read is not None
    document = json.loads(path.read_text())[READERS[part][1]]
    ids = re.findall(r'"uuid": "([^"]+)"', path.read_text())
    assert len(ids) == len(set(ids))
    assert document["metadata"]["version"] == shipped_catalogue().version


def test_trestle_refuses_what_is_no_oscal(data: DataFolder, tmp_path: Path) -> None:
    document = oscal_document("catalog")
    document["catalog"]["groups"][0]["colour"] = "red"
    path = tmp_path / "catalog.json"
    path.write_text(json.dumps(document))
    with pytest.raises(Exception, match=r"colour|extra"):
        Catalog.oscal_read(path)


def test_every_duty_is_a_control_and_every_name_leads_somewhere(data: DataFolder) -> None:
    document = oscal_document("catalog")["catalog"]
    controls = [each for chapter in document["groups"] for article in chapter["groups"] for each in article["controls"]]
    assert {each["id"] for each in controls} == {name.lower() for name in shipped_catalogue().in_force(TODAY)}
    resources = {each["uuid"] for each in document["back-matter"]["resources"]}
    assert {link["href"].lstrip("#") for each in controls for link in each.get("links", ())} <= resources
    assert oscal_document("catalog") == {"catalog": document}  # the same catalogue gives the same document


def test_only_what_is_met_is_satisfied(data: DataFolder) -> None:
    flow.answer_profile("chat", WHOLE, OFFICER)
    flow.determine_scope("chat", APPROVER)
    lights = judge_service("chat", NOW)
    [result] = oscal.results_document(shipped_catalogue(), {"chat": lights}, NOW)["assessment-results"]["results"]
    states = {each["target"]["target-id"]: each["target"]["status"]["state"] for each in result["findings"]}
    assert states == {
        each.obligation.id.lower(): "satisfied" if each.status == "met" else "not-satisfied"
        for each in lights
        if each.status != "not_applicable"
    }
    assert set(states.values()) == {"satisfied", "not-satisfied"}


def test_the_matrix_opens_as_workbook_and_csv_and_runs_nothing(data: DataFolder, tmp_path: Path) -> None:
    lights = judge_service("chat", NOW)
    odd = replace(lights[0], finding=Finding("breach", Words("=1+1", "=HYPERLINK(1)")))
    table = {"chat": [odd, *lights[1:]]}
    book = load_workbook(io.BytesIO(matrix.as_workbook(shipped_catalogue(), table)))
    cells = list(book["DOC-19"].iter_rows(values_only=True))
    assert cells[0] == matrix.COLUMNS
    assert len(cells) == len(lights) + 1
    read = list(csv.DictReader(io.StringIO(matrix.as_csv(shipped_catalogue(), table).decode("utf-8-sig"))))
    assert [each["duty"] for each in read] == [each.obligation.id for each in lights]
    assert read[0]["reason_en"] == "'=HYPERLINK(1)"
    assert all(cell.data_type != "f" for row in book["DOC-19"].iter_rows() for cell in row)
    assert {each["certainty"] for each in read} >= {"read", "second_hand"}
    periods = {each["duty"]: each["periods"] for each in read}
    assert periods["GAI-17.2"] == "CLK-SEC within 30 working_days (policy, unconfirmed)"


def test_downloads_of_the_board(owner: Client, stranger: Client) -> None:
    for path in ("matrix.csv", "matrix.xlsx", "oscal-catalog.json", "oscal-component.json", "oscal-results.json"):
        given = owner.get(f"/console/board/export/{path}")
        assert given.status_code == 200
        assert given["Content-Disposition"].startswith("attachment")
        assert stranger.get(f"/console/board/export/{path}").status_code == 404
    assert owner.get("/console/board/export/matrix.exe").status_code == 404
    assert owner.get("/console/board/export/oscal-all.json").status_code == 404
