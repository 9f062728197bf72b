"""A real time-stamp authority for tests: `openssl ts` behind a small HTTP server on loopback."""

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_CONFIG = """
[tsa]
default_tsa = one
[one]
serial = {folder}/serial
crypto_device = builtin
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha384, sha512
ess_cert_id_chain = no
ess_cert_id_alg = sha256
[root]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign
[stamps]
extendedKeyUsage = critical, timeStamping
keyUsage = critical, digitalSignature
[other]
extendedKeyUsage = critical, serverAuth
[req]
distinguished_name = name
[name]
"""


@dataclass
class Authority:
    """Its files; `usage` names the extensions of its certificate."""

    folder: Path
    key: tuple[str, ...] = ("ec", "-pkeyopt", "ec_paramgen_curve:P-256")
    usage: str = "stamps"
    url: str = ""
    asked: list[str] = field(default_factory=list)
    answer: tuple[int, dict[str, str], bytes] | None = None
    """What is answered instead of a stamp: status, headers, body."""

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)
        (self.folder / "openssl.cnf").write_text(_CONFIG.format(folder=self.folder))
        (self.folder / "serial").write_text("01\n")
        for name in ("root", "tsa"):
            self._openssl("genpkey", "-algorithm", *self.key, "-out", f"{name}.key")
        self._openssl(
            "req", "-new", "-x509", "-key", "root.key", "-out", "root.pem", "-days", "30", "-subj", "/CN=root", "-extensions", "root"
        )
        self._openssl("req", "-new", "-key", "tsa.key", "-out", "tsa.csr", "-subj", "/CN=tsa")
        self._openssl(
            "x509", "-req", "-in", "tsa.csr", "-CA", "root.pem", "-CAkey", "root.key", "-CAcreateserial", "-out", "tsa.pem", "-days", "20",
            "-extfile", "openssl.cnf", "-extensions", self.usage,
        )  # fmt: skip

    @property
    def root(self) -> Path:
        return self.folder / "root.pem"

    def reply(self, query: bytes) -> bytes:
        (self.folder / "query").write_bytes(query)
        self._openssl(
            "ts", "-reply", "-config", "openssl.cnf", "-queryfile", "query", "-signer", "tsa.pem", "-inkey", "tsa.key", "-out", "reply",
        )  # fmt: skip
        return (self.folder / "reply").read_bytes()

    def _openssl(self, *words: str) -> None:
        config = ["-config", "openssl.cnf"] if words[0] == "req" else []
        done = subprocess.run(["openssl", *words, *config], cwd=self.folder, check=False, capture_output=True, timeout=60)
        assert done.returncode == 0, done.stderr.decode()


@contextmanager
def serving(authority: Authority) -> Iterator[Authority]:
    """Serve the authority on loopback; its `url` is set."""
    one_at_a_time = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = self.rfile.read(int(self.headers["Content-Length"]))
            with one_at_a_time:
                authority.asked.append(self.path)
                status, headers, body = authority.answer or (200, {}, authority.reply(query))
            self.send_response(status)
            for name, value in ({"Content-Type": "application/timestamp-reply", "Content-Length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            authority.asked.append(f"GET {self.path}")
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    authority.url = f"http://127.0.0.1:{server.server_port}/tsr"
    try:
        yield authority
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
