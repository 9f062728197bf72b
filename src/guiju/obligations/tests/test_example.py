"""The example of CONTRIBUTING works as it stands there: an entry, a check, a test, and the light is on the board."""

import re
from importlib import import_module, resources
from pathlib import Path
from unittest.mock import patch

from guiju.core.layout import DataFolder
from guiju.obligations import judging
from guiju.obligations.loading import FORMS, load_catalogue

CONTRIBUTING = Path(__file__).parents[4] / "CONTRIBUTING.md"


def test_the_example_of_contributing_runs(data: DataFolder) -> None:
    section = CONTRIBUTING.read_text().split("### an obligation")[1].split("\n### ")[0]
    (_, entry), (_, check), (_, test) = re.findall(r"```(yaml|python)\n(.*?)```", section, re.DOTALL)
    folder = resources.files("guiju.obligations").joinpath("catalogue")
    files = {name: folder.joinpath(f"{name}.yaml").read_bytes() for name in FORMS}
    catalogue = load_catalogue({**files, "chapter-3": files["chapter-3"] + entry.encode()})

    checks = dict(vars(import_module("guiju.gateway.checks")))
    checks["CHECKS"] = dict(checks["CHECKS"])
    exec(check, checks)
    tests = {**vars(import_module("guiju.gateway.tests.test_checks")), "CHECKS": checks["CHECKS"]}
    exec(test, tests)
    tests["test_a_day_without_a_heartbeat_is_a_breach"](data)

    with (
        patch.object(judging, "shipped_catalogue", return_value=catalogue),
        patch.object(judging, "all_checks", return_value=checks["CHECKS"]),
    ):
        [light] = [each for each in judging.judge_service("chat", tests["NOW"]) if each.obligation.id == "GAI-13.9"]
    assert light.status == "met"
