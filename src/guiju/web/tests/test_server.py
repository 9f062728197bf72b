"""The console as a process: an inherited socket, answers that are relayed as they come, a gentle end."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from waitress.proxy_headers import proxy_headers_middleware

from guiju.core.layout import DataFolder
from guiju.records.tests.site import make_site
from guiju.serve.state import State, write_state
from guiju.web.server import forwarded_by

DEADLINE_S = 60.0
FURNISH = """
import sys
from pathlib import Path
from guiju.web import configure_django
configure_django(Path(sys.argv[1]))
from django.conf import settings
from guiju.web.tests.rig import furnish
furnish(settings.DATA_FOLDER)
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY, BACKEND_SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
user = User.objects.create_superuser("owner")
session = SessionStore()
session[SESSION_KEY], session[BACKEND_SESSION_KEY], session[HASH_SESSION_KEY] = str(user.pk), "django.contrib.auth.backends.ModelBackend", user.get_session_auth_hash()
session.save()
print(session.session_key)
"""


class _SlowGateway(BaseHTTPRequestHandler):
    """Sends the first half of a stream, and the second when `go_on` is set."""

    go_on = threading.Event()

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        self.wfile.write(b"data: first\n\n")
        self.wfile.flush()
        assert self.go_on.wait(DEADLINE_S)
        self.wfile.write(b"data: [DONE]\n\n")


@pytest.fixture
def console(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], int, str]]:
    """A running console with a slow gateway: (process, port, session)."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("GUIJU_", "DJANGO_"))}
    data = tmp_path / "data"
    make_site(data)  # its key files make the settings' secret key; furnishing keeps those that are there
    made = subprocess.run(
        [sys.executable, "-c", FURNISH, str(data)], env=environment, capture_output=True, text=True, check=False, timeout=DEADLINE_S
    )
    assert made.returncode == 0, made.stderr
    _SlowGateway.go_on.clear()
    gateway = ThreadingHTTPServer(("127.0.0.1", 0), _SlowGateway)
    thread = threading.Thread(target=gateway.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    write_state(
        DataFolder(data), State(pid=1, started_at="", version="", host="127.0.0.1", ports={"gateway": gateway.server_address[1]}, pids={})
    )
    with socket.create_server(("127.0.0.1", 0)) as listening:
        command = [sys.executable, "-m", "guiju.web.server", "--data", str(data), "--fd", str(listening.fileno())]
        process = subprocess.Popen(command, env=environment, pass_fds=[listening.fileno()], stderr=subprocess.DEVNULL)
        yield process, listening.getsockname()[1], made.stdout.strip()
        if process.poll() is None:
            process.kill()
        process.wait()
    _SlowGateway.go_on.set()
    gateway.shutdown()
    thread.join()
    gateway.server_close()


def _csrf(port: int, session: str) -> tuple[str, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
    connection.request("GET", "/console/services/", headers={"Cookie": f"guiju={session}"})
    response = connection.getresponse()
    cookie = next(value.split(";")[0] for name, value in response.getheaders() if name.lower() == "set-cookie" and "guiju-form" in value)
    html = response.read().decode()
    connection.close()
    return cookie, html.partition('name="csrfmiddlewaretoken" value="')[2].partition('"')[0]


def test_an_answer_under_way_is_finished_before_the_process_leaves(console: tuple[subprocess.Popen[bytes], int, str]) -> None:
    # Guarded: the second loop of server._serve; without it the process leaves with the answer half sent.
    process, port, session = console
    cookie, token = _csrf(port, session)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "x"}]})
    connection.request(
        "POST",
        "/console/try/send/",
        body,
        {"Cookie": f"guiju={session}; {cookie}", "X-CSRFToken": token, "Content-Type": "application/json"},
    )
    response = connection.getresponse()
    assert response.status == 200
    assert response.read1(100) == b"data: first\n\n", "pieces are relayed as they come"
    process.send_signal(signal.SIGTERM)
    time.sleep(1.5)  # longer than the threads get at the very end: what still runs then runs because of the drain
    assert process.poll() is None
    _SlowGateway.go_on.set()
    assert response.read() == b"data: [DONE]\n\n"
    connection.close()
    assert process.wait(DEADLINE_S) == 0


def test_an_idle_console_leaves_at_once_and_ignores_ctrl_c(console: tuple[subprocess.Popen[bytes], int, str]) -> None:
    process, port, _ = console
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
    connection.request("GET", "/")
    assert connection.getresponse().status == 200
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    begun = time.monotonic()
    assert process.wait(DEADLINE_S) == 0
    assert time.monotonic() - begun < 5
    connection.close()


@pytest.mark.parametrize(
    ("proxy", "sender", "asks"),
    [("127.0.0.1", "127.0.0.1", "192.0.2.7"), ("127.0.0.1", "192.0.2.1", "192.0.2.1"), ("", "127.0.0.1", "127.0.0.1")],
    ids=["by the proxy", "past the proxy", "no proxy"],
)
def test_only_the_proxy_is_believed_about_who_asks(proxy: str, sender: str, asks: str) -> None:
    seen: list[str] = []

    def page(environ: dict[str, Any], start: Any) -> list[bytes]:
        seen.append(environ["REMOTE_ADDR"])
        return []

    told = {"REMOTE_ADDR": sender, "HTTP_X_FORWARDED_FOR": "6.6.6.6, 192.0.2.7", "wsgi.url_scheme": "http", "SERVER_PORT": "80"}
    proxy_headers_middleware(page, **forwarded_by(proxy))(told, None)
    assert seen == [asks]
