"""`guiju serve` for real: first start, restarts, crashes, drains, reloads, and the tour."""

import http.client
import json
import os
import random
import re
import shutil
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving import DEADLINE_S, PASSWORD, Serving, guiju

pytestmark = pytest.mark.slow
FIRST_START_KILLS = 8


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A first start without a person, stopped again; the other tests work on copies of its data folder."""
    data = tmp_path_factory.mktemp("first") / "data"
    with Serving(data) as service:
        service.until_ready(everything=True)
        password = re.search(r"password\s+(\S+)", service.out())
        key = re.search(r"sk-guiju-\S+", service.out())
        assert password
        assert key
        status, body = service.ask("GET", "/v1/models", key=key[0])
        assert status == 200, body
        assert service.stop() == 0
        yield {"data": str(data), "password": password[1], "key": key[0], "log": service.log()}


@pytest.fixture
def data(first: dict[str, str], tmp_path: Path) -> Path:
    return Path(shutil.copytree(first["data"], tmp_path / "data"))


@pytest.fixture(scope="module")
def service(first: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """One running service for the tests that leave it as it was."""
    copy = Path(shutil.copytree(first["data"], tmp_path_factory.mktemp("shared") / "data"))
    with Serving(copy) as running:
        yield running.until_ready(everything=True)


def rows(data: Path, query: str) -> list[tuple[object, ...]]:
    database = sqlite3.connect(f"file:{data / 'guiju.sqlite3'}?mode=ro", uri=True)
    try:
        return database.execute(query).fetchall()
    finally:
        database.close()


def signs_in(data: Path, name: str, password: str) -> bool:
    code = (
        "import sys; from pathlib import Path; from guiju.web import configure_django; configure_django(Path(sys.argv[1]));"
        "from django.contrib.auth import authenticate; print(authenticate(username=sys.argv[2], password=sys.argv[3]) is not None)"
    )
    run = subprocess.run([sys.executable, "-c", code, str(data), name, password], capture_output=True, text=True, check=True)
    return run.stdout.strip() == "True"


def is_gone(pid: int) -> bool:
    try:
        return b"State:\tZ" in Path(f"/proc/{pid}/status").read_bytes()
    except OSError:
        return True


# ── first start ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_first_start_makes_a_folder_that_only_its_owner_can_read(first: dict[str, str]) -> None:
    data = Path(first["data"])
    for path in [data, *data.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    assert {path.name for path in data.iterdir()} >= {"guiju.toml", "guiju.sqlite3", "keys", "ledger", "spool", "bundles", "run"}


def test_password_and_key_are_shown_once_and_kept_nowhere(first: dict[str, str], service: Serving) -> None:
    data = Path(first["data"])
    for secret in (first["password"], first["key"]):
        assert secret not in first["log"]
        assert secret not in service.out()
        for path in data.rglob("*"):
            assert not path.is_file() or secret.encode() not in path.read_bytes(), path
    assert (data / "keys" / "playground.key").read_text() not in first["log"]
    assert signs_in(data, "owner", first["password"])
    assert not signs_in(data, "owner", first["password"] + "x")


def test_a_first_start_leaves_its_records(service: Serving) -> None:
    query = "SELECT kind FROM records_record"
    wanted = {
        "web.owner.created",
        "services.key.created",
        "screening.library.imported",
        "screening.library.activated",
        "services.bundle.published",
    }
    service.until(lambda: wanted <= {str(kind) for (kind,) in rows(service.data, query)}, "the records of the first start")


def test_a_given_password_is_taken_and_not_shown(tmp_path: Path) -> None:
    with Serving(tmp_path / "data", "--owner-name", "chief", GUIJU_OWNER_PASSWORD=PASSWORD) as service:
        service.until_ready()
        for pid in service.state()["pids"].values():
            assert PASSWORD.encode() not in Path(f"/proc/{pid}/environ").read_bytes()
    assert PASSWORD not in service_text(tmp_path)
    assert signs_in(tmp_path / "data", "chief", PASSWORD)


def service_text(folder: Path) -> str:
    return (folder / "data.out").read_text() + (folder / "data.err").read_text()


def test_a_weak_password_is_refused_and_a_better_one_completes_the_start(tmp_path: Path) -> None:
    with Serving(tmp_path / "data", GUIJU_OWNER_PASSWORD="password") as service:
        assert service.process.wait(DEADLINE_S) == 2
        assert "OWNER-PASSWORD-WEAK" in service.log()
    with Serving(tmp_path / "data", GUIJU_OWNER_PASSWORD=PASSWORD) as service:
        service.until_ready()
        assert "sk-guiju-" in service.out()
    assert signs_in(tmp_path / "data", "owner", PASSWORD)


def test_a_first_start_killed_anywhere_is_completed_by_the_next(tmp_path: Path) -> None:
    """Guarded by `mark_prepared` being the last step, and by every step before it looking first."""
    data = tmp_path / "data"
    chance = random.Random()
    for _ in range(FIRST_START_KILLS):
        with Serving(data) as service:
            time.sleep(chance.uniform(0.1, 4.0))  # an instant at random, not a wait for something
            started = list(_state_pids(service))
            service.process.kill()
            service.process.wait()
            service.until(lambda pids=started: all(map(is_gone, pids)), "the end of the children")  # type: ignore[misc]  # a default binds
        if (data / "prepared.json").exists():
            break
    shown_before = re.findall(r"sk-guiju-\S+", (tmp_path / "data.out").read_text())
    with Serving(data) as service:
        service.until_ready()
        text = service.out()
        if not shown_before:
            password = re.search(r"password\s+(\S+)", text)
            shown = re.findall(r"sk-guiju-\S+", text)
            assert password
            assert len(shown) == 1
            assert signs_in(data, "owner", password[1])
            assert service.ask("GET", "/v1/models", key=shown[0])[0] == 200
        assert service.ask("GET", "/v1/models", key=service.playground_key())[0] == 200
        assert service.chat("你好")[0] == 200
    assert len(rows(data, "SELECT 1 FROM auth_user WHERE is_superuser")) == 1
    assert len(rows(data, "SELECT 1 FROM services_apikey WHERE revoked_at IS NULL")) == 2
    assert len(rows(data, "SELECT 1 FROM screening_libraryversion WHERE state = 'active'")) == 1


def _state_pids(service: Serving) -> Iterator[int]:
    try:
        yield from service.state()["pids"].values()
    except (OSError, ValueError):
        return


# ── refusals ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_second_supervisor_is_refused(service: Serving) -> None:
    run = guiju("serve", "--data", str(service.data), "--port", "0", "--console-port", "0")
    assert run.returncode == 2
    assert "DATA-IN-USE" in run.stderr
    assert str(service.process.pid) in run.stderr
    assert "Traceback" not in run.stderr
    assert service.healthz()


@pytest.mark.parametrize(("taken", "option"), [("--port", "--port"), ("--console-port", "--console-port")])
def test_a_taken_port_is_told_with_what_to_do(data: Path, taken: str, option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        ports = {"--port": "0", "--console-port": "0"} | {taken: port}
        run = guiju("serve", "--data", str(data), *[part for pair in ports.items() for part in pair])
    assert run.returncode == 2
    assert "PORT-TAKEN" in run.stderr
    assert port in run.stderr
    assert option in run.stderr


def test_a_foreign_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    run = guiju("serve", "--data", str(tmp_path), "--port", "0", "--console-port", "0")
    assert run.returncode == 2
    assert "DATA-FOREIGN" in run.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


# ── crashes and ends ────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_child_that_is_killed_comes_back_and_callers_wait(service: Serving) -> None:
    for name in ("gateway-0", "demo-model", "console", "recorder", "jobs"):
        before = service.state()["pids"][name]
        os.kill(before, signal.SIGKILL)
        service.until(lambda pid=before: is_gone(pid), f"the end of {name}")  # type: ignore[misc]  # a default binds
        if name != "demo-model":  # a model server that is gone is told to the caller
            assert service.chat("你好")[0] == 200
        service.until(lambda child=name, pid=before: service.state()["pids"].get(child) not in (None, pid), f"{name} anew")  # type: ignore[misc]
        assert service.state()["restarts"][name] >= 1
    service.until(lambda: service.ask("GET", "/", port="console")[0] == 200, "the console")


def test_ctrl_c_finishes_the_answer_under_way(data: Path) -> None:
    with Serving(data) as service:
        service.until_ready(everything=True)
        connection = http.client.HTTPConnection("127.0.0.1", service.state()["ports"]["gateway"], timeout=60)
        body = {"model": "guiju-demo", "stream": True, "messages": [{"role": "user", "content": "写一篇长文"}]}
        connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Authorization": f"Bearer {service.playground_key()}"})
        response = connection.getresponse()
        begun = response.read1(200)
        service.process.send_signal(signal.SIGINT)
        service.until(lambda: "stopping" in service.log(), "stopping")
        text = begun + response.read()
        assert text.rstrip().endswith(b"data: [DONE]")
        assert text.count(b"data:") > 100
        assert service.process.wait(DEADLINE_S) == 0
        connection.close()
        kinds = [kind for (kind,) in rows(data, "SELECT kind FROM records_record WHERE kind LIKE 'gateway.answer.%' ORDER BY \"index\"")]
        assert kinds[-2:] == ["gateway.answer.opened", "gateway.answer.delivered"], "the recorder drained after the gateway"
        assert not (data / "run" / "state.json").exists()
        assert guiju("status", "--data", str(data)).returncode == 3


def test_children_of_a_killed_supervisor_leave_and_the_ports_are_free_for_the_next(data: Path) -> None:
    with Serving(data) as service:
        service.until_ready(everything=True)
        state = service.state()
        service.process.kill()
        service.process.wait()
        ports = ["--port", str(state["ports"]["gateway"]), "--console-port", str(state["ports"]["console"])]
        with Serving(data, *ports) as again:  # the later option counts
            again.until(lambda: again.state()["pid"] == again.process.pid and again.healthz(), "ready again")
            assert again.state()["ports"] == state["ports"]
            again.until(lambda: all(map(is_gone, state["pids"].values())), "the end of the orphans")


def test_a_spoilt_bundle_is_replaced_by_a_new_one(data: Path) -> None:
    with Serving(data) as service:  # the demo model gets a port of its own, which the bundle then names
        service.until_ready()
    current = (data / "bundles" / "current").read_text()
    bundle = data / "bundles" / f"{current}.bundle"
    bundle.write_bytes(bundle.read_bytes()[:-1])
    with Serving(data) as service:
        service.until_ready()
        assert service.chat("你好")[0] == 200
        assert "BUNDLE-INVALID" in service.log()
        assert (data / "bundles" / "current").read_text() != current


def test_a_service_may_get_another_name(data: Path) -> None:
    (data / "guiju.toml").write_text('[[service]]\nid = "other"\nname_zh = "另一个"\nname_en = "Other"\n')
    with Serving(data) as service:
        service.until_ready()
        assert service.chat("你好")[0] == 200


def test_a_thousand_streams_have_their_files(service: Serving) -> None:
    limits = Path(f"/proc/{service.state()['pids']['gateway-0']}/limits").read_text()
    soft, hard = re.search(r"Max open files\s+(\d+)\s+(\d+)", limits).groups()  # type: ignore[union-attr]
    assert int(soft) == min(65_536, int(hard))


# ── settings and keys while it runs ─────────────────────────────────────────────────────────────────────────────────


def test_a_hangup_reloads_and_a_mistake_changes_nothing(data: Path) -> None:
    with Serving(data) as service:
        service.until_ready(everything=True)
        label = "（AI 合成的回答）"
        service_table = '[[service]]\nid = "chat"\nname_zh = "对话"\nname_en = "Chat"\n[service.label]\n'
        (data / "guiju.toml").write_text(f'{service_table}text = "{label}"\n')
        service.process.send_signal(signal.SIGHUP)
        service.until(lambda: service.chat("你好")[1]["choices"][0]["message"]["content"].endswith(label), "the new label")

        (data / "guiju.toml").write_text(f'{service_table}text = "no label"\n')
        service.process.send_signal(signal.SIGHUP)
        service.until(lambda: "SETTING-RANGE" in service.log() and "line 6" in service.log(), "the refusal of the new settings")
        made = guiju("keys", "create", "--data", str(data))
        assert made.returncode == 0, "a broken file does not stop people from managing keys"
        assert "SETTING-RANGE" in made.stderr
        assert service.chat("你好")[1]["choices"][0]["message"]["content"].endswith(label)


def test_a_key_is_in_force_and_revoked_within_a_second(service: Serving) -> None:
    made = guiju("keys", "create", "chat", "--label", "test", "--data", str(service.data))
    key = made.stdout.strip()
    assert made.returncode == 0, made.stderr
    service.until(lambda: service.chat("你好", key)[0] == 200, "the new key")
    listed = guiju("keys", "list", "--data", str(service.data)).stdout
    number = next(line.split()[0] for line in listed.splitlines() if line.endswith(" test"))
    assert key not in listed
    assert guiju("keys", "revoke", number, "--data", str(service.data)).returncode == 0
    begun = time.monotonic()
    service.until(lambda: service.chat("你好", key)[0] == 401, "the end of the key")
    assert time.monotonic() - begun < 2
    assert "key_revoked" in str(service.chat("你好", key)[1])


def test_status_tells_what_runs(service: Serving) -> None:
    told = guiju("status", "--data", str(service.data))
    assert told.returncode == 0, told.stderr
    for name in ("gateway-0", "recorder", "console", "jobs", "demo-model"):
        assert name in told.stdout
    assert str(service.state()["ports"]["gateway"]) in told.stdout
    lines = [line.split("\t") for line in told.stdout.splitlines()]
    assert ["进程 process", "gateway-0", f"pid {service.state()['pids']['gateway-0']}"] in [line[:3] for line in lines]
    assert all(len(line) > 1 for line in lines), "one line for each fact"
    assert "records –" not in told.stdout


# ── the tour ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("language", "ends"), [("zh", "导览到此结束"), ("en", "That is the tour")])
def test_the_tour_shows_what_it_says(service: Serving, language: str, ends: str) -> None:
    told = guiju("demo", "--fast", "--lang", language, "--data", str(service.data))
    assert told.returncode == 0, told.stdout + told.stderr
    assert told.stdout.count("✓") == 7 + 5, "seven steps, and five steps of the proof"
    number = re.findall(r'retraction\.record="(\w{26})"', told.stdout)[0]
    assert told.stdout.split("6 · ")[1].count(number) == 2, "the records and the proof are of the number that was shown"
    assert ends in told.stdout


def test_the_tour_fails_when_a_step_does_not_show_what_it_should(data: Path, tmp_path: Path) -> None:
    with Serving(data) as service:
        service.until_ready(everything=True)
        library = tmp_path / "other.csv"
        library.write_text("term,risk\n完全无关的词条,A.1.h\n")
        imported = guiju("library", "import", str(library), "--data", str(data))
        assert imported.returncode == 0, imported.stderr
        activate = ("library", "activate", imported.stdout.split()[0], "--data", str(data))
        assert "LIBRARY-LOSS" in guiju(*activate).stderr
        assert guiju(*activate, "--dropping", str(service.healthz()["terms"]), "--reason", "换成自有词库").returncode == 0
        service.until(lambda: service.healthz()["terms"] == 1, "the other library")
        told = guiju("demo", "--fast", "--lang", "en", "--data", str(data))
        assert told.returncode == 1, told.stdout
        assert "An answer that ends half-way" in told.stdout
        assert "did not show what it should" in told.stdout


def test_the_tour_needs_a_running_service(data: Path) -> None:
    told = guiju("demo", "--fast", "--data", str(data))
    assert told.returncode == 2
    assert "SERVICE-NOT-RUNNING" in told.stderr


def test_the_tour_says_how_to_install_the_sdk(service: Serving) -> None:
    code = (
        "import importlib.util as util, sys; known = util.find_spec;"
        "util.find_spec = lambda name, *more: None if name == 'openai' else known(name, *more);"
        "sys.argv = ['guiju', 'demo', '--data', sys.argv[1]]; from guiju.cli import main; main()"
    )
    told = subprocess.run([sys.executable, "-c", code, str(service.data)], capture_output=True, text=True, check=False)
    assert told.returncode == 2
    assert "SDK-MISSING" in told.stderr
    assert "pip install 'guiju[demo]'" in told.stderr


def test_the_tour_tells_of_a_key_that_is_not_known(service: Serving) -> None:
    told = guiju("demo", "--fast", "--lang", "en", "--key", "sk-guiju-nobody", "--data", str(service.data))
    assert (told.returncode, "KEY-UNKNOWN" in told.stdout, "Traceback" in told.stderr) == (1, True, False)


def test_with_an_upstream_there_is_no_demo_model(data: Path) -> None:
    upstream = '[[upstream]]\nname = "main"\nbase_url = "http://127.0.0.1:9/v1"\nmodels = ["m"]\n'
    producer = '[[service]]\nid = "chat"\nname_zh = "对话"\nname_en = "Chat"\n[service.label]\ncontent_producer = "example"\n'
    (data / "guiju.toml").write_text(upstream + producer)
    with Serving(data) as service:
        service.until_ready()
        assert "demo-model" not in service.state()["pids"]
        status, body = service.chat("你好")
        assert (status, body["error"]["code"]) == (404, "model_unknown"), "the demo model is not offered any more"
        told = guiju("demo", "--data", str(data))
        assert told.returncode == 2
        assert "DEMO-MODEL-ABSENT" in told.stderr
