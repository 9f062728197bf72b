"""The command line: quick help, errors told in their parts, no traceback for what was to be expected."""

import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.serving import clean_environment, guiju


def test_help_loads_nothing_heavy() -> None:
    """Help within 0.3 s comes from this: none of the large packages is imported before a verb runs."""
    code = (
        "import sys; from guiju import cli; cli.whole_app();"
        "heavy = {'django', 'rich', 'openai', 'uvicorn', 'numpy', 'opencc', 'cryptography', 'yaml', 'msgspec'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_help_names_every_verb_in_both_languages() -> None:
    told = guiju("--help")
    assert told.returncode == 0
    for verb in ("serve", "status", "publish", "demo", "verify", "keys", "library", "records"):
        assert f"  {verb} " in told.stdout
    assert "规矩" in told.stdout


def test_the_version_is_told() -> None:
    told = guiju("--version")
    assert (told.returncode, told.stdout) == (0, f"guiju {version('guiju')}\n")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("keys", "create", "nothing", "--data", "{data}"), "SERVICE-UNKNOWN"),
        (("publish", "--data", "{data}", "--settings", "{missing}"), "SETTING-FILE"),
        (("demo", "--data", "{data}"), "SERVICE-NOT-RUNNING"),
        (("demo", "--lang", "fr", "--data", "{data}"), "LANGUAGE-UNKNOWN"),
        (("check", "--lang", "fr", "--data", "{data}"), "LANGUAGE-UNKNOWN"),
        (("serve", "--data", "{data}", "--settings", "{missing}"), "SETTING-FILE"),
        (("library", "activate", "00000000", "--data", "{data}"), "LIBRARY-UNKNOWN"),
        (("records", "show", "nothing", "--data", "{data}"), "RECORD-UNKNOWN"),
        (("records", "list", "--kind", "nokind", "--data", "{data}"), "KIND-UNKNOWN"),
        (
            ("records", "hold", "--subject", "u", "--reason", "order 1", "--reference", "1", "--since", "yesterday", "--data", "{data}"),
            "TIME-UNREADABLE",
        ),
        (("people", "add", "x", "--role", "boss", "--data", "{data}"), "ROLE-UNKNOWN"),
        (("check", "--data", "{data}", "--out", "{missing}/report"), "FILE-UNUSABLE"),
    ],
)
def test_an_expected_error_is_told_in_its_parts(prepared: Path, tmp_path: Path, arguments: tuple[str, ...], code: str) -> None:
    told = guiju(*[part.format(data=prepared, missing=tmp_path / "none.toml") for part in arguments])
    assert told.returncode == 2, told.stdout + told.stderr
    lines = told.stderr.splitlines()
    assert code in lines
    place = lines.index(code)
    assert any("\u4e00" <= character <= "\u9fff" for character in lines[place + 1])
    assert lines[place + 2].isascii()
    assert "Traceback" not in told.stderr


@pytest.mark.parametrize("verb", ["publish", "verify", "keys list", "library list", "records list"])
def test_a_folder_that_is_no_data_folder_is_told_and_not_made(tmp_path: Path, verb: str) -> None:
    told = guiju(*verb.split(), "--data", str(tmp_path / "none"))
    assert (told.returncode, "DATA-MISSING" in told.stderr, "Traceback" in told.stderr) == (2, True, False)
    assert not (tmp_path / "none").exists()


def test_a_path_is_told_so_that_it_can_be_found_from_anywhere(tmp_path: Path) -> None:
    """Guarded by `whole_path` in `core/layout.py`."""
    (tmp_path / "here").mkdir()
    (tmp_path / "letter").mkdir()
    (tmp_path / "letter" / "x.txt").write_text("dear")
    for verb, code in (("serve", "DATA-FOREIGN"), ("verify", "DATA-MISSING")):
        told = guiju(verb, "--data", str(tmp_path / "here" / ".." / "letter"))
        assert code in told.stderr
        assert str(tmp_path / "letter") in told.stderr
        assert ".." not in told.stderr


def test_publishing_looks_at_key_files(prepared: Path, tmp_path: Path) -> None:
    """Guarded by `refuse_unusable` in `publish_file`, and by `find_faults` in `list_notices`."""
    data = Path(shutil.copytree(prepared, tmp_path / "data"))
    (data / "guiju.toml").write_text(
        '[[upstream]]\nname = "main"\nbase_url = "http://127.0.0.1:9/v1"\napi_key_file = "model.key"\n'
        '[[service]]\nid = "chat"\nname_zh = "对话"\nname_en = "Chat"\n[service.label]\ncontent_producer = "example"\n'
    )
    before = (data / "bundles" / "current").read_text()
    told = guiju("publish", "--data", str(data))
    assert (told.returncode, told.stdout) == (2, "")
    assert "SETTING-KEY" in told.stderr
    assert str(data / "model.key") in told.stderr
    assert (data / "bundles" / "current").read_text() == before
    (data / "model.key").write_text("sk-secret-of-the-model\n")
    (data / "model.key").chmod(0o640)
    told = guiju("publish", "--data", str(data))
    assert told.returncode == 0, told.stderr
    assert "权限 640" in told.stderr
    assert "sk-secret" not in told.stderr
    (data / "model.key").chmod(0o600)
    assert guiju("publish", "--data", str(data)).stderr == ""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with tables, keys and a library, without a running service."""
    data = tmp_path_factory.mktemp("cli") / "data"
    code = (
        "import sys; from pathlib import Path; from guiju.core.layout import DataFolder;"
        "from guiju.serve.folder import make_folder; from guiju.serve.state import take_folder;"
        "from guiju.serve.prepare import main; data = DataFolder(Path(sys.argv[1]));"
        "lock = take_folder(data); make_folder(data); lock.close(); sys.exit(main(['--data', sys.argv[1]]))"
    )
    subprocess.run([sys.executable, "-c", code, str(data)], check=True, capture_output=True, env=clean_environment())
    return data
