"""The import directions hold, and the checker that says so finds what is planted against them."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.import_rules import DUTIES, Violation, find_cycle, find_violations, flow_edges, is_live, list_modules, room_edges

SOURCE = Path(__file__).parent.parent / "src"

ALLOWED: dict[tuple[str, str], str] = {
    ("guiju.serve.prepare", "guiju.screening.models"): "a first start looks whether a library was ever in force",
    ("guiju.serve.prepare", "guiju.services.models"): "a first start takes back keys that nobody saw, and moves the playground's",
}
"""(importer, imported) → why this one may stand."""

ALLOWED_CIRCLES: dict[frozenset[str], str] = {
    frozenset({"screening", "services"}): "a library comes into force by the bundle that holds it",
}


def _key(violation: Violation) -> tuple[str, str]:
    return violation.found.importer, violation.found.imported


def test_every_import_keeps_the_directions() -> None:
    found = find_violations(SOURCE)
    assert not [str(violation) for violation in found if _key(violation) not in ALLOWED]


def test_every_exception_is_still_needed() -> None:
    assert not set(ALLOWED) - {_key(violation) for violation in find_violations(SOURCE)}


def test_flows_do_not_call_each_other_in_a_circle() -> None:
    edges = flow_edges(SOURCE)
    circle = find_cycle(edges)
    assert not circle or frozenset(circle) in ALLOWED_CIRCLES, " → ".join(circle)


@pytest.mark.parametrize("duty", ["obligations", "screening", "services"])
def test_rooms_of_a_duty_do_not_import_each_other_in_a_circle(duty: str) -> None:
    edges = room_edges(SOURCE, duty)
    assert edges
    assert not find_cycle(edges), " → ".join(find_cycle(edges))


def test_the_live_side_runs_without_django_rich_or_typer() -> None:
    live = [name for name in list_modules(SOURCE) if is_live(name) and not name.endswith("__main__")]
    assert "guiju.gateway.worker" in live
    code = f"import sys; [__import__(name) for name in {live}]; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    heavy = [name for name in done.stdout.split() if name.startswith(("django", "rich", "typer", "waitress", "whitenoise"))]
    assert not heavy


# ── the checker finds what is planted ───────────────────────────────────────────────────────────────────────────────

PLANTED = [
    ("gateway/app.py", "import django", "the live side imports no django"),
    ("gateway/app.py", "def f():\n    from rich.table import Table", "the live side imports no rich"),
    ("screening/matching/gate.py", "from guiju.screening.models import LibraryVersion", "the live side imports the live side only"),
    ("screening/matching/gate.py", "from guiju.screening import flow", "the live side imports the live side only"),
    ("screening/matching/gate.py", "from .. import flow", "the live side imports the live side only"),
    ("gateway/app.py", "from guiju.screening.libraries import workbook", "the live side imports the live side only"),
    ("screening/libraries/library.py", "from openpyxl import Workbook", "the live side imports no openpyxl"),
    ("labelling/explicit.py", "if False:\n    import guiju.web.views", "the live side imports the live side only"),
    ("users/stage.py", "from guiju.users.models import User", "the live side imports the live side only"),
    ("records/spool/writer.py", "from guiju.records import models", "the live side imports the live side only"),
    ("core/clock.py", "from guiju.records.entry import Entry", "core is below every duty"),
    ("services/flow.py", "from guiju.records.models import Record", "a duty calls another duty's flow, never its tables"),
    (
        "services/flow.py",
        "if TYPE_CHECKING:\n    pass\nelse:\n    import guiju.records.models",
        "a duty calls another duty's flow, never its tables",
    ),
    ("services/flow.py", "from guiju.web.access import needs", "a flow knows no page"),
    ("web/figures.py", "from guiju.records.views import page", "only duties.py and urls.py import a face"),
    ("records/models.py", "from guiju.records import flow", "a table knows values, nothing that acts"),
]


@pytest.mark.parametrize(("path", "code", "rule"), PLANTED)
def test_a_planted_import_is_found(tmp_path: Path, path: str, code: str, rule: str) -> None:
    names = [
        "screening/flow.py",
        "screening/models.py",
        "screening/libraries/workbook.py",
        "records/models.py",
        "records/flow.py",
        "records/views.py",
        "web/views.py",
    ]
    for name in {*names, path}:
        file = tmp_path / "guiju" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(code if name == path else "")
    assert rule in [violation.rule for violation in find_violations(tmp_path)]


def test_what_is_right_is_not_found(tmp_path: Path) -> None:
    right = {
        "gateway/app.py": "import asyncio, msgspec\nfrom guiju.screening.matching.snapshot import Snapshot\nfrom guiju.records.entry import Entry",
        "screening/matching/snapshot.py": "import numpy",
        "screening/flow.py": "from django.db import transaction\nfrom guiju.records import flow\nfrom guiju.screening.models import LibraryVersion",
        "screening/models.py": "from django.db import models\nfrom guiju.screening.values import Policy",
        "screening/urls.py": "from guiju.screening import views",
        "screening/views.py": "from guiju.screening import flow\nfrom guiju.screening.models import LibraryVersion",
        "screening/values.py": "",
        "records/entry.py": "",
        "records/flow.py": "",
        "services/flow.py": "if TYPE_CHECKING:\n    from guiju.screening.models import LibraryVersion",
        "duties.py": "from guiju.screening import urls",
    }
    for name, code in right.items():
        file = tmp_path / "guiju" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(code)
    assert find_violations(tmp_path) == []


def test_a_circle_of_rooms_is_found(tmp_path: Path) -> None:
    planted = {"gates/one": "..fold", "fold": ".marks.table", "marks/table": "guiju.screening.gates.one", "gates/two": ".one"}
    for name, other in planted.items():
        file = tmp_path / "guiju" / "screening" / f"{name}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"def act():\n    from {other} import act")
    assert set(find_cycle(room_edges(tmp_path, "screening"))) == {"gates", "fold", "marks"}
    (tmp_path / "guiju" / "screening" / "fold.py").write_text("")
    assert find_cycle(room_edges(tmp_path, "screening")) == []


def test_a_circle_of_flows_is_found(tmp_path: Path) -> None:
    for name, other in (("users", "services"), ("services", "complaints"), ("complaints", "users")):
        file = tmp_path / "guiju" / name / "flow.py"
        file.parent.mkdir(parents=True)
        file.write_text(f"def act():\n    from guiju.{other} import flow")
    circle = find_cycle(flow_edges(tmp_path))
    assert set(circle) == {"users", "services", "complaints"} <= set(DUTIES)
