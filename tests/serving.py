"""A real `guiju serve` for tests: started on free ports, looked at, stopped; only its own processes are ended."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

PASSWORD = "correct horse battery staple"
DEADLINE_S = 90.0
_SECRETS = ("GUIJU_DATA", "GUIJU_SETTINGS", "GUIJU_API_KEY", "GUIJU_OWNER_PASSWORD", "DJANGO_SETTINGS_MODULE")


def clean_environment(**more: str) -> dict[str, str]:
    """The environment without what other tests or people have set for guiju."""
    return {name: value for name, value in os.environ.items() if name not in _SECRETS} | more


def guiju(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    command = [sys.executable, "-m", "guiju.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, env=clean_environment(**environment), check=False)


class Serving:
    """One run of `guiju serve` on a data folder; a context manager that stops it."""

    def __init__(self, data: Path, *arguments: str, **environment: str) -> None:
        self.data = data
        self.folder = data.parent
        self._out = (self.folder / f"{data.name}.out").open("w+")
        self._err = (self.folder / f"{data.name}.err").open("w+")
        command = [sys.executable, "-m", "guiju.cli", "serve", "--data", str(data), "--port", "0", "--console-port", "0", *arguments]
        self.process = subprocess.Popen(command, stdout=self._out, stderr=self._err, env=clean_environment(**environment))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(DEADLINE_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._out.close()
        self._err.close()

    def out(self) -> str:
        return Path(self._out.name).read_text()

    def log(self) -> str:
        return Path(self._err.name).read_text()

    def state(self) -> dict[str, Any]:
        return json.loads((self.data / "run" / "state.json").read_bytes())  # type: ignore[no-any-return]

    def until(self, condition: Callable[[], object], what: str = "") -> None:
        """Wait until the condition holds; an error of reading a file that is not there yet counts as no."""
        deadline = time.monotonic() + DEADLINE_S
        while True:
            try:
                if condition():
                    return
            except (OSError, ValueError, KeyError):
                pass
            assert time.monotonic() < deadline, f"{what} did not happen\n{self.out()}\n{self.log()}"
            time.sleep(0.02)

    def until_ready(self, everything: bool = False) -> "Serving":
        """Wait until the gateway answers; with `everything` until console, recorder and jobs are there too."""
        self.until(lambda: "ready" in self.log() and self.healthz(), "ready")
        if everything:
            self.until(lambda: all(f"{name} INFO" in self.log() for name in ("console", "recorder", "jobs")), "console, recorder and jobs")
        return self

    def ask(self, method: str, path: str, body: object = None, key: str = "", port: str = "gateway") -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.state()["ports"][port], timeout=30)
        try:
            headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"} if key else {}
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def healthz(self) -> dict[str, Any]:
        status, body = self.ask("GET", "/healthz")
        return json.loads(body) if status == 200 else {}

    def chat(self, text: str, key: str = "") -> tuple[int, dict[str, Any]]:
        body = {"model": "guiju-demo", "messages": [{"role": "user", "content": text}]}
        status, raw = self.ask("POST", "/v1/chat/completions", body, key or self.playground_key())
        return status, json.loads(raw)

    def playground_key(self) -> str:
        return (self.data / "keys" / "playground.key").read_text()

    def stop(self, sent: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(sent)
        return self.process.wait(DEADLINE_S)
