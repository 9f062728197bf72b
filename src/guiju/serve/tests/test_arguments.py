"""`guiju serve` is read the same by the short way and by the verb, and what the short way does not know it leaves to the verb.

Guarded lines: `environment.pop` in `find_options` (children would inherit the password), `range(1, 257)` in `_NUMBERS`, `value.startswith("-")` in `_is_plain`.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from guiju.serve import command
from guiju.serve.arguments import OWNER_PASSWORD, Options, find_options
from guiju.verbs import whole_app

PLAIN = [
    [],
    ["--data", "here"],
    ["--data", "a b/规矩", "--settings", "x.toml", "--host", "::1", "--port", "0", "--console-port", "65535", "--workers", "256"],
    ["--port", "1", "--port", "2"],
    ["--owner-name", "林", "--port", "08000"],
]
NOT_PLAIN = [
    ["--help"], ["--port"], ["--port", "65536"], ["--port", "-1"], ["--port", "+1"], ["--port", "８"], ["--port", "1" * 5000], ["--workers", "0"],
    ["--workers", "257"], ["--data", ""], ["--data", "--port"], ["--data=x"], ["extra", "word"], ["--verbose", "1"], ["--owner-password-file", "x"],
]  # fmt: skip
ENVIRONMENTS: list[dict[str, str]] = [
    {},
    {"GUIJU_DATA": "elsewhere", "GUIJU_SETTINGS": "other.toml", OWNER_PASSWORD: "a long enough password"},
    {"GUIJU_DATA": "", "GUIJU_SETTINGS": ""},
]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("arguments", PLAIN)
def test_both_ways_read_the_same(monkeypatch: pytest.MonkeyPatch, arguments: list[str], environment: dict[str, str]) -> None:
    read: list[Options] = []

    def keep(options: Options) -> int:
        read.append(options)
        return 0

    monkeypatch.setattr(command, "serve", keep)
    for name in ("GUIJU_DATA", "GUIJU_SETTINGS", OWNER_PASSWORD):
        monkeypatch.delenv(name, raising=False)
    told = CliRunner().invoke(whole_app(), ["serve", *arguments], env=dict(environment))
    assert told.exit_code == 0, told.output
    left = dict(environment)
    assert find_options(arguments, left) == read[0]
    assert OWNER_PASSWORD not in left


@pytest.mark.parametrize("arguments", NOT_PLAIN, ids=lambda arguments: " ".join(arguments)[:30])
def test_what_is_not_plain_is_left_to_the_verb(arguments: list[str]) -> None:
    environment = {OWNER_PASSWORD: "kept"}
    assert find_options(arguments, environment) is None
    assert environment == {OWNER_PASSWORD: "kept"}


def test_a_start_loads_neither_the_command_line_nor_what_screens(tmp_path: Path) -> None:
    """What a start waits for; red when `settings_check` imports the detectors again."""
    code = (
        "import sys; from guiju import cli; from guiju.serve import command; command._Service.run = lambda self: 0\n"
        "try: cli.main()\n"
        "except SystemExit as end: assert end.code == 0, end\n"
        "heavy = {'typer', 'rich', 'pydantic', 'django', 'numpy', 'guiju.screening.personal.detectors', 'guiju.screening.attacks', 'chinese_calendar'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    arguments = ["serve", "--data", str(tmp_path / "data"), "--port", "0", "--console-port", "0"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GUIJU_")}
    run = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True, env=environment)
    assert run.stdout.strip() == "[]"
