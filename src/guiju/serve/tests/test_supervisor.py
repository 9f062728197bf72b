"""The supervisor with small stand-in children: crashes, phases, order of the end, a port that is never refused.

Each test runs the supervisor in a process of its own, as `guiju serve` does, and speaks to it by signals.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from guiju.serve.children import WAITS_S, Child, Plan, Priority
from guiju.serve.supervisor import SAME_REQUEST_S

DEADLINE_S = 20.0

# A child that writes what happens to it into a shared file, serves its socket if it has one, and drains for a while.
CHILD = textwrap.dedent("""
    import os, signal, socket, sys, time
    name, story, drain_s, fd = sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4])
    def tell(what):
        with open(story, "a") as file:
            file.write(f"{name} {what} {os.getpid()}\\n")
    def drain(*_):
        tell("told"); time.sleep(drain_s); tell("left"); sys.exit(0)
    signal.signal(signal.SIGTERM, drain)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    from guiju.core.process import die_with_parent
    die_with_parent(signal.SIGKILL)  # a test that ends early leaves nothing behind
    tell("started")
    if fd:
        listener = socket.socket(fileno=fd)
        while True:
            connection, _ = listener.accept()
            connection.sendall(str(os.getpid()).encode())
            connection.close()
    while True:
        time.sleep(60)
""")

RUN = textwrap.dedent("""
    import json, logging, os, socket, sys
    from guiju.core.log import configure
    from guiju.serve.children import After, Plan
    from guiju.serve.supervisor import Supervisor
    configure("serve")
    story, script = sys.argv[1], json.loads(sys.argv[2])
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    def plan(each):
        command = each.get("command") or [sys.executable, "-c", os.environ["CHILD"], each["name"], story, str(each.get("drain_s", 0)), "{fd}" if each.get("serves") else "0"]
        return Plan(each["name"], tuple(command), After[each.get("after", "RESTART")], stop_order=each.get("order", 2), stop_within_s=each.get("within_s", 15), listener=listener if each.get("serves") else None)
    phases = [[plan(each) for each in phase] for phase in script["phases"]]
    sys.exit(Supervisor(phases, os.environ, reload=lambda: [plan(each) for each in script.get("reload", [])]).run())
""")


class Running:
    """A supervisor under test and the story its children write."""

    def __init__(self, folder: Path, script: dict[str, object]) -> None:
        self.story_file = folder / "story"
        self.story_file.touch()
        self.errors = (folder / "errors").open("w+")
        command = [sys.executable, "-c", RUN, str(self.story_file), json.dumps(script)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.errors, env={**os.environ, "CHILD": CHILD}, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def story(self) -> list[str]:
        return [" ".join(line.split()[:2]) for line in self.story_file.read_text().splitlines()]

    def pids(self, name: str) -> list[int]:
        return [int(line.split()[2]) for line in self.story_file.read_text().splitlines() if line.startswith(f"{name} started")]

    def log(self) -> str:
        return Path(self.errors.name).read_text()

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < deadline, (self.story(), self.log())
            time.sleep(0.01)

    def ask(self) -> int:
        with socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE_S) as connection:
            return int(connection.recv(100))


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    started: list[Running] = []

    def start(*phases: list[dict[str, object]], **more: object) -> Running:
        started.append(Running(tmp_path, {"phases": phases, **more}))
        return started[-1]

    yield start
    for each in started:
        each.process.kill()
        each.process.wait()
        if each.process.stdout:
            each.process.stdout.close()
        each.errors.close()


def test_a_crashed_child_is_back_at_once_and_no_caller_is_refused(run: Callable[..., Running]) -> None:
    service = run([{"name": "gateway", "serves": True}])
    service.until(lambda: len(service.pids("gateway")) == 1)
    for turn in range(3):
        before = service.pids("gateway")[-1]
        assert service.ask() == before
        os.kill(before, signal.SIGKILL)
        service.until(lambda gone=before: _is_gone(gone))  # type: ignore[misc]  # a default binds the value
        assert service.ask() != before  # waits in the supervisor's socket until the new process takes it
        assert len(service.pids("gateway")) == turn + 2
    assert "gateway ended with SIGKILL; starting it anew" in service.log()


def test_a_child_that_keeps_crashing_is_started_ever_more_slowly() -> None:
    child = Child(Plan("x", (sys.executable, "-c", "raise SystemExit(3)")))
    waits = []
    for _ in range(len(WAITS_S) + 2):
        child._started_at = time.monotonic()
        waits.append(child.plan_restart())
    assert waits == [*WAITS_S, WAITS_S[-1], WAITS_S[-1]]
    child._started_at = time.monotonic() - 3600
    assert child.plan_restart() == 0.0


@pytest.mark.skipif(not hasattr(os, "SCHED_IDLE"), reason="only Linux knows these priorities")
@pytest.mark.parametrize(
    ("priority", "scheduler", "niceness"),
    [(Priority.LIVE, "SCHED_OTHER", 0), (Priority.BACKGROUND, "SCHED_BATCH", 10), (Priority.PAGES, "SCHED_IDLE", 15)],
)
def test_pages_give_way_to_the_recorder_and_all_to_the_gateway(priority: Priority, scheduler: str, niceness: int) -> None:
    child = Child(Plan("sleeper", (sys.executable, "-c", "import sys; sys.stdin.read(); import time; time.sleep(60)"), priority=priority))
    child.start(os.environ)
    try:
        assert child.pid is not None
        assert os.sched_getscheduler(child.pid) == getattr(os, scheduler)
        assert os.getpriority(os.PRIO_PROCESS, child.pid) == max(niceness, os.getpriority(os.PRIO_PROCESS, 0))
    finally:
        child.send(signal.SIGKILL)
        while child.find_end() is None:
            time.sleep(0.01)


def test_the_end_comes_in_order(run: Callable[..., Running]) -> None:
    service = run(
        [
            {"name": "console", "order": 2},
            {"name": "gateway", "order": 0, "drain_s": 0.4},
            {"name": "gateway2", "order": 0},
            {"name": "recorder", "order": 1, "drain_s": 0.2},
        ]
    )
    service.until(lambda: len(service.story()) == 4)
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(DEADLINE_S) == 0
    told = service.story()[4:]
    assert set(told) == {f"{name} {what}" for name in ("console", "gateway", "gateway2", "recorder") for what in ("told", "left")}
    assert told.index("gateway left") < told.index("recorder told")
    assert told.index("gateway2 left") < told.index("recorder told")
    assert told.index("recorder left") < told.index("console told")


def test_nobody_new_is_taken_while_stopping(run: Callable[..., Running]) -> None:
    service = run([{"name": "gateway", "order": 0, "drain_s": 2.0}, {"name": "unserved", "serves": True, "order": 0}])
    service.until(lambda: len(service.story()) == 2)
    service.process.send_signal(signal.SIGINT)
    service.until(lambda: _is_gone(service.pids("unserved")[0]))
    with pytest.raises(ConnectionRefusedError):
        service.ask()
    assert service.process.wait(DEADLINE_S) == 0


def test_a_second_ctrl_c_ends_everything_at_once(run: Callable[..., Running]) -> None:
    service = run([{"name": "gateway", "order": 0, "drain_s": 60, "within_s": 60}, {"name": "recorder", "order": 1}])
    service.until(lambda: len(service.story()) == 2)
    service.process.send_signal(signal.SIGINT)
    service.until(lambda: "gateway told" in service.story())
    service.process.send_signal(signal.SIGINT)  # the same wish: too close to the first
    time.sleep(SAME_REQUEST_S + 0.2)
    assert service.process.poll() is None
    begun = time.monotonic()
    service.process.send_signal(signal.SIGINT)
    assert service.process.wait(DEADLINE_S) == 130
    assert time.monotonic() - begun < 5
    for name in ("gateway", "recorder"):
        assert _is_gone(service.pids(name)[0])


def test_a_child_that_does_not_leave_is_killed_and_the_rest_still_told(run: Callable[..., Running]) -> None:
    service = run([{"name": "gateway", "order": 0, "drain_s": 60, "within_s": 0.3}, {"name": "recorder", "order": 1}])
    service.until(lambda: len(service.story()) == 2)
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(DEADLINE_S) == 0
    assert service.story()[2:] == ["gateway told", "recorder told", "recorder left"]
    assert "gateway did not end in time: killed" in service.log()


def test_a_phase_waits_for_its_task_and_a_failing_task_is_tried_again(run: Callable[..., Running], tmp_path: Path) -> None:
    flag = tmp_path / "tries"
    task = f"import pathlib, sys; p = pathlib.Path({str(flag)!r}); p.open('a').write('x'); sys.exit(len(p.read_text()) < 3)"
    service = run(
        [{"name": "gateway"}], [{"name": "prepare", "after": "DONE", "command": [sys.executable, "-c", task]}], [{"name": "console"}]
    )
    service.until(lambda: "console started" in service.story())
    assert flag.read_text() == "xxx"
    assert service.story()[0] == "gateway started"


def test_a_task_that_must_not_fail_gives_its_status(run: Callable[..., Running]) -> None:
    failing = {"name": "prepare", "after": "DONE_OR_LEAVE", "command": [sys.executable, "-c", "raise SystemExit(2)"]}
    service = run([{"name": "gateway"}, failing], [{"name": "console"}])
    assert service.process.wait(DEADLINE_S) == 2
    assert "console started" not in service.story()


def test_a_hangup_starts_the_reload_and_nothing_ends(run: Callable[..., Running]) -> None:
    service = run(
        [{"name": "gateway"}], reload=[{"name": "reload", "after": "FORGET", "command": [sys.executable, "-c", "raise SystemExit(2)"]}]
    )
    service.until(lambda: len(service.story()) == 1)
    service.process.send_signal(signal.SIGHUP)
    service.until(lambda: "reload ended with status 2" in service.log())
    assert service.process.poll() is None
    assert not _is_gone(service.pids("gateway")[0])


def test_children_are_out_of_reach_of_ctrl_c(run: Callable[..., Running]) -> None:
    service = run([{"name": "gateway"}])
    service.until(lambda: len(service.story()) == 1)
    assert os.getpgid(service.pids("gateway")[0]) != os.getpgid(service.process.pid)


def _is_gone(pid: int) -> bool:
    try:
        return b"State:\tZ" in Path(f"/proc/{pid}/status").read_bytes()
    except OSError:
        return True
