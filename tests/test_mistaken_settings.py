"""A mistake in `guiju.toml` stops what is about the file, and nothing else: running and restarting processes and commands go on.

Guarded lines: `find_given() or settings_in_force(…)` in `web/settings.py` (processes and commands), `return published, …` in
`services/mistakes.py` `settings_at_start` (a start), the comparison of `told-mistake` in `tell_mistakes` (told once).
"""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.serving import Serving, clean_environment, guiju

pytestmark = pytest.mark.slow
MISTAKE = 'upstreams = ["mian"]\n'
LABELLED = '[[service]]\nid = "chat"\nname_zh = "对话"\nname_en = "Chat"\n[service.label]\ntext = "{}"\n'
_PREPARE = (
    "import sys; from pathlib import Path; from guiju.core.layout import DataFolder;"
    "from guiju.serve.folder import make_folder; from guiju.serve.state import take_folder;"
    "from guiju.serve.prepare import main; data = DataFolder(Path(sys.argv[1]));"
    "lock = take_folder(data); make_folder(data); lock.close(); sys.exit(main(['--data', sys.argv[1]]))"
)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with tables, keys, a library and a bundle; the tests work on copies."""
    data = tmp_path_factory.mktemp("prepared") / "data"
    subprocess.run([sys.executable, "-c", _PREPARE, str(data)], check=True, capture_output=True, env=clean_environment())
    return data


@pytest.fixture
def data(first: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(first, tmp_path / "data"))


def delivered(data: Path) -> int:
    with closing(sqlite3.connect(f"file:{data / 'guiju.sqlite3'}?mode=ro", uri=True)) as database:
        found: tuple[int] = database.execute("SELECT count(*) FROM records_record WHERE kind = 'gateway.answer.delivered'").fetchone()
    return found[0]


def test_processes_that_are_killed_come_back_and_commands_go_on(data: Path) -> None:
    with Serving(data) as service:
        service.until_ready(everything=True)
        made = guiju("keys", "create", "--label", "leaked", "--data", str(data))
        leaked = made.stdout.strip()
        service.until(lambda: service.chat("你好", leaked)[0] == 200, "the key")
        (data / "guiju.toml").write_text("# a line above it\n" + MISTAKE)
        for name in ("recorder", "jobs", "console"):
            before = service.log().count(f"{name} INFO")
            os.kill(service.state()["pids"][name], signal.SIGKILL)
            service.until(lambda name=name, before=before: service.log().count(f"{name} INFO") > before, f"{name} anew")  # type: ignore[misc]
        assert service.log().count("SETTING-UNKNOWN") == 1, "told once, whichever process came first"
        assert "guiju.toml line 2" in service.log()
        assert "Traceback" not in service.log()
        service.until(lambda: service.ask("GET", "/", port="console")[0] == 200, "the console")
        assert service.chat("你好")[0] == 200
        service.until(lambda: delivered(data) == 2, "both records")

        for command in (("keys", "list"), ("library", "list"), ("records", "list"), ("verify",), ("keys", "create")):
            told = guiju(*command, "--data", str(data))
            assert told.returncode == 0, told.stderr
            assert told.stderr.count("SETTING-UNKNOWN") == 1
            assert "guiju.toml 有错误，未生效" in told.stderr
            assert "SETTING-UNKNOWN" not in told.stdout
        number = next(line.split()[0] for line in guiju("keys", "list", "--data", str(data)).stdout.splitlines() if line.endswith("leaked"))
        assert guiju("keys", "revoke", number, "--data", str(data)).returncode == 0
        service.until(lambda: service.chat("你好", leaked)[0] == 401, "the end of the leaked key")

        status = guiju("status", "--data", str(data))
        assert (status.returncode, "SETTING-UNKNOWN" in status.stdout) == (0, True), status.stdout + status.stderr
        refused = guiju("publish", "--data", str(data))
        assert (refused.returncode, refused.stderr.count("SETTING-UNKNOWN / ")) == (2, 0)
        assert "guiju.toml line 2" in refused.stderr
        assert "guiju.toml 有错误，未生效" not in refused.stderr


def test_a_later_start_goes_on_with_what_was_published(data: Path) -> None:
    label = "（AI 合成的回答）"
    (data / "guiju.toml").write_text(LABELLED.format(label))
    published = guiju("publish", "--data", str(data))
    assert published.returncode == 0, published.stderr
    (data / "guiju.toml").write_text("[server]\nprot = 1\n[limits]\ndrain_ms = -1\n")
    with Serving(data) as service:
        service.until_ready(everything=True)
        assert service.chat("你好")[1]["choices"][0]["message"]["content"].endswith(label)
        assert ("guiju.toml line 2" in service.log(), "guiju.toml line 4" in service.log()) == (True, True)
        assert service.log().count("SETTING-UNKNOWN") == 1
        assert "Traceback" not in service.log()
        (data / "guiju.toml").write_text(LABELLED.format("（AI 生成的回答）"))
        service.process.send_signal(signal.SIGHUP)
        service.until(
            lambda: service.chat("你好")[1]["choices"][0]["message"]["content"].endswith("（AI 生成的回答）"), "the corrected file"
        )


def test_a_first_start_refuses_with_every_line(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "guiju.toml").write_text("[server]\nprot = 1\n[limits]\ndrain_ms = -1\n")
    run = guiju("serve", "--data", str(data))
    assert run.returncode == 2
    assert "SETTING-UNKNOWN" in run.stderr
    assert "line 2" in run.stderr
    assert "line 4" in run.stderr
    assert "Traceback" not in run.stderr


def test_publish_says_what_counts_from_the_next_start(data: Path) -> None:
    """Guarded by `read_at_start` in the supervisor's state: what is compared is the start, not the last publication."""
    with Serving(data) as service:
        service.until_ready(everything=True)
        file = data / "guiju.toml"
        file.write_text("[limits]\ndrain_ms = 1000\n")
        assert "[" not in guiju("publish", "--data", str(data)).stderr
        file.write_text("[server]\nport = 8123\n[retention]\nlog_days = 201\n")
        for _ in range(2):
            told = guiju("publish", "--data", str(data))
            assert told.returncode == 0, told.stderr
            assert "[server]、[retention] 的改动已发布，重新启动 guiju serve 后才生效" in told.stderr
            assert "counts once guiju serve was started again" in told.stderr
    file.write_text("[server]\nport = 8124\n")
    assert guiju("publish", "--data", str(data)).stderr == "", "nothing runs: there is nothing to start again"
