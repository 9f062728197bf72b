"""Fetching from a stranger: what comes is whole, within its limits, and from no address that was not examined."""

import io
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from guiju.core.addresses import networks
from guiju.core.errors import GuijuError
from guiju.core.fetch import Fetched, Limits, fetch

LOOPBACK = networks(["127.0.0.1"])
BODY = bytes(range(256)) * 1000
FAST = Limits(size_bytes=1_000_000, time_s=1.0, redirects=3)


class Stranger(BaseHTTPRequestHandler):
    """A server that behaves as the path says."""

    protocol_version = "HTTP/1.1"
    seen: list[tuple[str, str]] = []

    def do_GET(self) -> None:
        Stranger.seen.append((self.path, str(self.headers)))
        getattr(self, "_" + self.path.strip("/").partition("?")[0].partition("/")[0], self._missing)()

    def _give(self, body: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        headers.setdefault("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def _whole(self) -> None:
        self._give(BODY, Content_Type="image/png")

    def _missing(self) -> None:
        self._give(b"no", 404)

    def _onward(self) -> None:
        self._give(b"", 302, Location="/whole")

    def _round(self) -> None:
        self._give(b"", 307, Location="/round")

    def _private(self) -> None:
        self._give(b"", 302, Location="http://10.0.0.1/whole")

    def _metadata(self) -> None:
        self._give(b"", 302, Location="http://[::ffff:169.254.169.254]/latest")

    def _plain(self) -> None:
        self._give(b"", 302, Location="http://127.0.0.1:1/")

    def _file(self) -> None:
        self._give(b"", 302, Location="file:///etc/passwd")

    def _cut(self) -> None:
        self._give(BODY, Content_Length=str(len(BODY) + 5))
        self.close_connection = True

    def _large(self) -> None:
        self._give(b"", Content_Length="99999999999")

    def _growing(self) -> None:
        self._give(b"", Transfer_Encoding="chunked", Content_Length="0")
        for _ in range(40):
            self.wfile.write(b"10000\r\n" + bytes(0x10000) + b"\r\n")
        self.wfile.write(b"0\r\n\r\n")

    def _packed(self) -> None:
        self._give(b"x", Content_Encoding="gzip")

    def _slow(self) -> None:
        self._give(b"", Content_Length="1000")
        for _ in range(100):
            self.wfile.write(b"x")
            self.wfile.flush()
            time.sleep(0.05)

    def _headers(self) -> None:
        for number in range(100):
            self.wfile.write(f"{'HTTP/1.1 200 OK' if not number else f'X-{number}: y'}\r\n".encode())
            self.wfile.flush()
            time.sleep(0.05)

    def _garbage(self) -> None:
        self.wfile.write(b"\xff\xfe not http\r\n\r\n")
        self.close_connection = True

    def handle(self) -> None:
        with suppress(OSError):  # the client has gone, as it should
            super().handle()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Stranger)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


def got(url: str, **options: Any) -> tuple[Fetched, bytes]:
    target = io.BytesIO()
    options.setdefault("allowed", LOOPBACK)
    options.setdefault("limits", FAST)
    return fetch(url, target, **options), target.getvalue()


@pytest.mark.parametrize("path", ["whole", "onward", "whole?a=b"])
def test_a_file_comes_whole_and_nothing_of_ours_goes_along(port: int, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    Stranger.seen.clear()
    fetched, body = got(f"http://127.0.0.1:{port}/{path}")
    assert body == BODY
    assert (fetched.size_bytes, fetched.content_type, len(fetched.sha256)) == (len(BODY), "image/png", 64)
    assert not any(word in headers.lower() for _, headers in Stranger.seen for word in ("cookie", "authorization", "referer"))


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("missing", "FETCH-FAILED"),
        ("round", "FETCH-FAILED"),
        ("private", "FETCH-ADDRESS"),
        ("metadata", "FETCH-ADDRESS"),
        ("file", "FETCH-URL"),
        ("cut", "FETCH-FAILED"),
        ("large", "FETCH-TOO-LARGE"),
        ("growing", "FETCH-TOO-LARGE"),
        ("packed", "FETCH-FAILED"),
        ("slow", "FETCH-FAILED"),
        ("headers", "FETCH-FAILED"),
        ("garbage", "FETCH-FAILED"),
    ],
)
def test_what_is_not_a_whole_file_within_the_limits_is_refused(port: int, path: str, code: str) -> None:
    began = time.monotonic()
    with pytest.raises(GuijuError) as told:
        got(f"http://127.0.0.1:{port}/{path}")
    assert told.value.code.code == code
    assert "没有" in told.value.text("zh")
    assert time.monotonic() - began < FAST.time_s + 1.5


def test_without_leave_loopback_is_not_asked(port: int) -> None:
    Stranger.seen.clear()
    for host in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "127.1"):
        with pytest.raises(GuijuError) as told:
            got(f"http://{host}:{port}/whole", allowed=())
        assert told.value.code.code in ("FETCH-ADDRESS", "FETCH-NAME")
    assert not Stranger.seen


def test_a_name_that_answers_differently_the_second_time_leads_nowhere_else(port: int) -> None:
    asked: list[str] = []

    def changing(host: str, wanted: int, **_: Any) -> list[tuple[Any, ...]]:
        asked.append(host)
        address = "127.0.0.1" if len(asked) == 1 else "10.0.0.1"
        return [(socket.AF_INET, 1, 6, "", (address, wanted))]

    assert got(f"http://a.example:{port}/whole", look_up=changing)[1] == BODY
    assert asked == ["a.example"]  # one answer, and the connection goes to it
    with pytest.raises(GuijuError) as told:
        got(f"http://a.example:{port}/whole", look_up=changing)
    assert told.value.code.code == "FETCH-ADDRESS"


def test_a_port_of_another_service_is_not_asked() -> None:
    for port in (22, 25, 389):
        with pytest.raises(GuijuError) as told:
            got(f"http://127.0.0.1:{port}/")
        assert told.value.code.code == "FETCH-URL"


def test_nobody_there_is_told() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        with pytest.raises(GuijuError) as told:
            got(f"http://127.0.0.1:{bound.getsockname()[1]}/")
    assert told.value.code.code == "FETCH-FAILED"


def test_a_server_that_is_no_tls_or_has_no_valid_certificate_is_refused(port: int) -> None:
    with pytest.raises(GuijuError) as told:
        got(f"https://127.0.0.1:{port}/whole")
    assert told.value.code.code == "FETCH-FAILED"


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """A server with a certificate of its own, made here; its file is what a machine would trust."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a stranger")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(days=1), now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(key.private_bytes(*form) + made.public_bytes(serialization.Encoding.PEM))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Stranger)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server.server_address[1], path
    server.shutdown()
    thread.join()
    server.server_close()


def test_tls_is_verified_and_has_its_time_too(secure: tuple[int, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    port, trusted = secure
    with pytest.raises(GuijuError) as told:
        got(f"https://127.0.0.1:{port}/whole")
    assert "certificate" in told.value.text("en")
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    assert got(f"https://127.0.0.1:{port}/whole")[1] == BODY
    for path, words in (("slow", "too long"), ("headers", "too long"), ("plain", "without encryption"), ("cut", "broke")):
        began = time.monotonic()
        with pytest.raises(GuijuError) as told:
            got(f"https://127.0.0.1:{port}/{path}")
        assert words in told.value.text("en"), path
        assert time.monotonic() - began < FAST.time_s + 1.5
