"""What should run and does not is a row of its own: left out, it would look as if it did not exist."""

import os
import socket
import sys

import pytest

from guiju.core.settings import Retention, Screening, Settings
from guiju.serve.at_start import changed_since_start, digests_at_start
from guiju.serve.children import Plan
from guiju.serve.state import State
from guiju.serve.status import print_status
from guiju.serve.supervisor import Supervisor


def test_the_dead_and_the_waiting_are_down(request: pytest.FixtureRequest) -> None:
    """Guarded by `list_down`: children without a process, and those of phases that have not begun."""
    ends = Plan("ends", (sys.executable, "-c", "raise SystemExit(1)"))
    supervisor = Supervisor([[ends], [Plan("later", ("never",))]], os.environ, wait_before={1: lambda: False})
    request.addfinalizer(supervisor._wake_read.close)
    request.addfinalizer(supervisor._wake_write.close)
    assert supervisor.list_down() == ["ends", "later"]
    supervisor._begin_phases()
    assert supervisor.list_down() == ["later"]
    process = supervisor.children[0]._process
    assert process is not None
    process.wait()
    supervisor._reap()
    assert supervisor.list_down() == ["ends", "later"]


def test_status_shows_them_and_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    """Guarded by the loop over `state.down` in `print_status`."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    state = State(
        pid=1, started_at="", version="", host="127.0.0.1", ports={"gateway": port, "console": 2}, pids={"jobs": 77}, down=("recorder",),
        restarts={"recorder": 3},
    )  # fmt: skip
    print_status(state, (), ["guiju.toml [x] 有错误"])
    lines = capsys.readouterr().out.splitlines()
    assert "进程 process\tjobs\tpid 77\t重启 restarts 0" in lines
    assert "进程 process\trecorder\t✗ 未运行 down\t重启 restarts 3" in lines
    assert lines[-1] == "设置 settings\t✗ guiju.toml [x] 有错误"


def test_only_what_is_read_at_the_start_waits_for_one() -> None:
    at_start = digests_at_start(Settings())
    assert changed_since_start(Settings(), at_start) == []
    assert changed_since_start(Settings(screening=Screening(review_sample_per_mille=9)), at_start) == []
    assert changed_since_start(Settings(screening=Screening(policy_people=2), retention=Retention(log_days=300)), at_start) == [
        "screening",
        "retention",
    ]
