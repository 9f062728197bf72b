"""What `guiju serve` does: hold the folder, open the sockets, run the children.

On a prepared folder whose bundle fits the settings the gateways start first and need neither Django nor the database;
all else follows once they answer. Otherwise they only get ready while `prepare` runs, and read the bundle when it is done.
"""

import functools
import logging
import os
import resource
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

import guiju
from guiju.core.errors import GuijuError
from guiju.core.key_faults import find_faults
from guiju.core.layout import DataFolder, folder_at, whole_path
from guiju.core.log import configure
from guiju.core.settings import Settings, read_settings
from guiju.serve.arguments import OWNER_PASSWORD, Options
from guiju.serve.at_start import changed_since_start, digests_at_start
from guiju.serve.children import After, Plan, Priority
from guiju.serve.folder import is_prepared, make_folder
from guiju.serve.sockets import address, listen, listen_for_demo, port_of, reached_at
from guiju.serve.state import State, forget_state, read_state, take_folder, write_state
from guiju.serve.supervisor import Supervisor
from guiju.services.in_force import is_fresh
from guiju.services.mistakes import settings_at_start, tell_mistakes

_GATEWAYS, _RECORDER, _REST = 0, 1, 2
_RECORDER_DRAIN_S: Final = 60.0
_LEAVING_S: Final = 3.0
_ASK_TIMEOUT_S: Final = 5.0
_PATIENCE_S: Final = 10.0
"""When the gateways do not answer by then, the paper side starts all the same: it may have to publish a new bundle first."""
_OPEN_FILES: Final = 65_536
"""A stream needs two; the usual soft limit of 1,024 would end at five hundred streams."""

log = logging.getLogger("guiju.serve")


def serve(options: Options) -> int:
    """Run the service until it is told to stop; return the exit status.

    Where the settings file has a mistake, the settings published last stay in force, ports and all, and the log says so.
    Raises DATA-IN-USE, DATA-FOREIGN, PORT-TAKEN, PORT-REFUSED, the KEY-FILE- errors, and before a first publication the
    SETTING- errors, before anything is started.
    """
    os.umask(0o077)
    configure("serve")
    _allow_open_files()
    data = folder_at(options.data)
    with ExitStack() as held:
        held.enter_context(take_folder(data))
        file = whole_path(options.settings) if options.settings else data.settings
        if options.settings and file.exists():
            settings_at_start(data, file)  # a mistake is told before anything is made
        elif options.settings:
            read_settings(file)  # what the command line names must be there, whatever is in force
        make_folder(data, options.settings and file)
        settings, mistakes = settings_at_start(data, file)
        tell_mistakes(data, file, log, mistakes)
        for fault in find_faults(settings):
            log.log(logging.ERROR if fault.grave else logging.WARNING, "%s / %s", *fault.lines())
        return _Service(data, file, settings, options, sound=not mistakes).run()


def _with_options(settings: Settings, options: Options) -> Settings:
    server, console = settings.server, settings.console
    if options.host:
        server = msgspec.structs.replace(server, host=options.host)
        console = msgspec.structs.replace(console, host=options.host)
    if options.port is not None:
        server = msgspec.structs.replace(server, port=options.port)
    if options.console_port is not None:
        console = msgspec.structs.replace(console, port=options.console_port)
    if options.workers is not None:
        server = msgspec.structs.replace(server, workers=options.workers)
    return msgspec.structs.replace(settings, server=server, console=console)


class _Service:
    """The sockets and children of one run."""

    def __init__(self, data: DataFolder, file: Path, settings: Settings, options: Options, *, sound: bool) -> None:
        """`settings` are those of `file` where that is sound; else those in force."""
        self._data = data
        self._file = file
        self._sound = sound
        self._read_at_start = digests_at_start(settings)
        self._settings = settings = _with_options(settings, options)
        self._options = options
        self._started_at = datetime.now(UTC).isoformat(timespec="seconds")
        self._ready = threading.Event()
        self._may_go_on = threading.Event()
        leaving_s = _LEAVING_S if read_state(data) else 0.0  # a supervisor that was killed: its children are leaving
        self._gateway = listen(settings.server.host, settings.server.port, "--port", leaving_s)
        self._console = listen(settings.console.host, settings.console.port, "--console-port", leaving_s)
        self._demo = None if settings.upstreams else listen_for_demo(data)
        self._ports = {"gateway": port_of(self._gateway), "console": port_of(self._console)}
        if self._demo is not None:
            self._ports["demo"] = port_of(self._demo)

    def run(self) -> int:
        prepared = is_prepared(self._data) and is_fresh(self._data, self._file if self._sound else None)
        go, let_go = (None, None) if prepared else os.pipe()
        live = [self._gateway_plan(number, go) for number in range(self._settings.server.worker_count())]
        if self._demo is not None:
            live.append(self._demo_plan())
        wait_before: dict[int, Callable[[], bool]]
        if let_go is None:
            phases = [live, [self._prepare_plan(After.DONE)], self._paper()]
            wait_before = {1: self._may_go_on.is_set}
        else:
            # The phase in the middle has no children: it begins when prepare is done, and that lets the gateways go on.
            phases = [[self._prepare_plan(After.DONE_OR_LEAVE), *live], [], self._paper()]
            wait_before = {1: functools.partial(_closed, let_go), 2: self._may_go_on.is_set}
        environment = {name: value for name, value in os.environ.items() if name != OWNER_PASSWORD}
        environment |= {
            "GUIJU_DATA": str(self._data.root),
            "GUIJU_SETTINGS": str(self._file),
            "DJANGO_SETTINGS_MODULE": "guiju.web.settings",
        }
        supervisor = Supervisor(phases, environment, reload=self._reload, changed=self._keep_state, wait_before=wait_before)
        threading.Thread(target=self._tell_ready, args=(supervisor,), daemon=True, name="ready").start()
        try:
            return supervisor.run()
        finally:
            forget_state(self._data)

    # ── children ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _gateway_plan(self, number: int, go: int | None) -> Plan:
        command = _module("guiju.gateway.worker", "--data", str(self._data.root), "--fd", "{fd}", "--number", str(number))
        if go is not None:
            command += ("--go", "{go}")
        stop_within_s = self._settings.limits.drain_ms / 1000 + 5
        return Plan(f"gateway-{number}", command, stop_order=_GATEWAYS, stop_within_s=stop_within_s, listener=self._gateway, waits_for=go)

    def _demo_plan(self) -> Plan:
        return Plan(
            "demo-model", _module("guiju.demo.model", "--fd", "{fd}"), stop_order=_REST, listener=self._demo, priority=Priority.BACKGROUND
        )

    def _paper(self) -> list[Plan]:
        data = str(self._data.root)
        return [
            Plan("recorder", _module("guiju.records.recorder", "--data", data), stop_order=_RECORDER, stop_within_s=_RECORDER_DRAIN_S, priority=Priority.BACKGROUND),
            Plan("console", _module("guiju.web.server", "--data", data, "--fd", "{fd}"), listener=self._console, priority=Priority.PAGES),
            Plan("jobs", _module("guiju.web.jobs", "--data", data), priority=Priority.PAGES),
        ]  # fmt: skip

    def _prepare_plan(self, after: After) -> Plan:
        command = _module("guiju.serve.prepare", "--data", str(self._data.root), "--owner-name", self._options.owner_name)
        # A first start is waited for; a later look at tables and library is not, and gives way to the gateways.
        priority = Priority.LIVE if after is After.DONE_OR_LEAVE else Priority.BACKGROUND
        return Plan("prepare", command, after, priority=priority, environment={OWNER_PASSWORD: self._options.owner_password})

    def _reload(self) -> Sequence[Plan]:
        """Return the children that put the settings file in force; none, and why, when it has a mistake."""
        try:
            settings = read_settings(self._file)
            if not settings.upstreams and self._demo is None:
                self._demo = listen_for_demo(self._data)
                self._ports["demo"] = port_of(self._demo)
                more = [self._demo_plan()]
            else:
                more = []
        except GuijuError as error:
            for each in (error, *error.facts.get("others", ())):
                log.error("not reloaded: %s", each.both())
            return ()
        for name in changed_since_start(settings, self._read_at_start):
            log.warning("[%s] has changed: that counts from the next start", name)
        log.info("reloading %s", self._file)
        return [
            *more,
            Plan(
                "reload",
                _module("guiju.serve.prepare", "--data", str(self._data.root), "--reload"),
                After.FORGET,
                priority=Priority.BACKGROUND,
            ),
        ]

    # ── telling ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _keep_state(self, supervisor: Supervisor) -> None:
        state = State(
            pid=os.getpid(),
            started_at=self._started_at,
            version=guiju.__version__,
            host=reached_at(self._settings.server.host),
            ports=self._ports,
            pids={child.plan.name: child.pid for child in supervisor.children if child.pid is not None},
            down=tuple(supervisor.list_down()),
            restarts={child.plan.name: child.starts - 1 for child in supervisor.children if child.starts > 1},
            ready=self._ready.is_set(),
            read_at_start=self._read_at_start,
        )
        write_state(self._data, state)

    def _tell_ready(self, supervisor: Supervisor) -> None:
        """Wait for the gateway's first answer, tell it, and let the rest start. Runs in a thread of its own."""
        host = reached_at(self._settings.server.host)
        console = address(reached_at(self._settings.console.host), self._ports["console"])
        begun = time.monotonic()
        while not self._ready.is_set():
            try:
                with socket.create_connection((host, self._ports["gateway"]), _ASK_TIMEOUT_S) as connection:
                    connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: guiju\r\nConnection: close\r\n\r\n")
                    answered = connection.recv(12).endswith(b" 200")
            except OSError:
                answered = False
            if answered:
                log.info("ready %.2f s after the start", _since_start_s())
                print(f"  网关 gateway   http://{address(host, self._ports['gateway'])}/v1", file=sys.stdout)
                print(f"  控制台 console  http://{console}/console/\n  停止 stop       Ctrl-C", flush=True)
                self._ready.set()
            else:
                time.sleep(0.1)
            if self._ready.is_set() or time.monotonic() - begun > _PATIENCE_S:
                self._may_go_on.set()
                supervisor.wake()


def _allow_open_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _closed(descriptor: int) -> bool:
    """Close it, and tell that it is."""
    os.close(descriptor)
    return True


def _module(name: str, *arguments: str) -> tuple[str, ...]:
    """Return the command that runs a module; -P keeps files of the current folder from standing in for modules."""
    return (sys.executable, "-P", "-m", name, *arguments)


def _since_start_s() -> float:
    """Return the seconds since this process was started by the kernel; 0 where that cannot be known."""
    try:
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        return float(Path("/proc/uptime").read_text().split()[0]) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return 0.0
