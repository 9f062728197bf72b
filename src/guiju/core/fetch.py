"""Fetch what a stranger's URL leads to, into a file: from public addresses alone, within a size, a time and a few redirects.

A name is resolved once, and the connection goes to the very address that was examined, so that a second answer of the name server
changes nothing. Every redirect is a new URL and is examined as one; from https none leads back to http. No cookie, no credential and no
proxy setting of the machine goes along. One timer ends the whole, however slowly the other side gives its bytes.
"""

import hashlib
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from typing import IO, Final
from urllib.parse import urljoin

from guiju.core.addresses import FETCH_URL, LookUp, Network, Target, parse_url, resolve
from guiju.core.errors import GuijuError, Text, define

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_STEP_BYTES: Final = 64 * 1024
_CONNECT_S: Final = 10.0
_ADDRESSES_TRIED: Final = 3

FETCH_FAILED = define(
    "FETCH-FAILED",
    status=502,
    kind="server_error",
    retry=True,
    zh=Text("没能从“{host}”取得文件：{reason_zh}。", "没有保留任何内容。", "请核对网址，或稍后重试；也可以下载后直接提交文件。"),
    en=Text("The file could not be fetched from '{host}': {reason}.", "Nothing of it was kept.", "Look at the URL or try again later; or download the file and give the file itself."),
)  # fmt: skip
FETCH_TOO_LARGE = define(
    "FETCH-TOO-LARGE",
    status=413,
    kind="invalid_request_error",
    zh=Text("“{host}”上的文件超过 {limit_bytes} 字节的上限。", "没有保留任何内容。", "请给出较小的文件，或下载后用命令行查验。"),
    en=Text(
        "The file at '{host}' is larger than the limit of {limit_bytes} bytes.", "Nothing of it was kept.", "Give a smaller file, or download it and use the command line."
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one fetch may take: bytes of the file, seconds from the first look-up to the last byte, redirects."""

    size_bytes: int = 256 * 1024 * 1024
    time_s: float = 60.0
    redirects: int = 5


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came: from which URL in the end, how many bytes, their SHA-256, and what the server called them."""

    url: str
    size_bytes: int
    sha256: str
    content_type: str


def fetch(
    url: str,
    target: IO[bytes],
    *,
    limits: Limits = Limits(),  # frozen
    allowed: Sequence[Network] = (),
    look_up: LookUp = socket.getaddrinfo,
) -> Fetched:
    """Write what the URL leads to into `target`. `allowed` are networks that may be asked besides public addresses.

    Raises GuijuError FETCH-URL, FETCH-NAME, FETCH-ADDRESS, FETCH-FAILED, FETCH-TOO-LARGE; `target` may then hold a part.
    """
    ends_at = time.monotonic() + limits.time_s
    asked = parse_url(url)
    for _ in range(limits.redirects + 1):
        if asked.port < 1024 and asked.port not in (80, 443):
            raise GuijuError(FETCH_URL, reason_zh="端口不可用", reason="this port is not fetched from")
        address = resolve(asked.host, asked.port, allowed=allowed, look_up=look_up)
        onward, fetched = _ask(asked, address, target, limits, ends_at)
        if fetched is not None:
            return fetched
        following = parse_url(urljoin(asked.url, onward))
        if asked.scheme == "https" and following.scheme != "https":
            raise _failed(asked, "被转到不加密的网址", "it leads on to a URL without encryption")
        asked = following
    raise _failed(asked, "转址次数过多", "there are too many redirects")


def _ask(asked: Target, addresses: Sequence[str], target: IO[bytes], limits: Limits, ends_at: float) -> tuple[str, Fetched | None]:
    """Return where the answer leads on to, or what was fetched."""
    sock = _connected(asked, addresses, ends_at)
    timers = [_ended_by(sock, ends_at)]
    connection = http.client.HTTPConnection(asked.host, asked.port)
    answer = None
    try:
        if asked.scheme == "https":
            sock = ssl.create_default_context().wrap_socket(sock, server_hostname=asked.host, do_handshake_on_connect=False)
            timers.append(_ended_by(sock, ends_at))  # the first one holds a socket that the wrapping emptied
            sock.do_handshake()
        connection.sock = sock
        connection.putrequest("GET", asked.path, skip_host=True, skip_accept_encoding=True)
        for name, value in (
            ("Host", asked.authority),
            ("User-Agent", f"guiju/{version('guiju')}"),
            ("Accept", "*/*"),
            ("Connection", "close"),
        ):
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        if answer.status in _REDIRECTS and answer.headers.get("Location"):
            return answer.headers["Location"], None
        fetched = _taken(asked, answer, target, limits)
        if time.monotonic() >= ends_at:
            raise _late(asked)  # a body without a length ends like that, too
        return "", fetched
    except ssl.SSLCertVerificationError as error:
        raise _failed(asked, f"证书无效（{error.verify_message}）", f"its certificate is not valid ({error.verify_message})") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        if time.monotonic() >= ends_at:
            raise _late(asked) from error
        raise _failed(asked, "连接中断，或回应不合 HTTP", "the connection broke, or the answer is no HTTP") from error
    finally:
        for timer in timers:
            timer.cancel()
        if answer is not None:
            answer.close()
        connection.close()
        sock.close()


def _ended_by(sock: socket.socket, ends_at: float) -> threading.Timer:
    """Shut the connection at the end of its time, whoever waits on it."""
    timer = threading.Timer(max(ends_at - time.monotonic(), 0.01), _shut, [sock])
    timer.daemon = True
    timer.start()
    return timer


def _connected(asked: Target, addresses: Sequence[str], ends_at: float) -> socket.socket:
    for address in addresses[:_ADDRESSES_TRIED]:
        left = ends_at - time.monotonic()
        if left <= 0:
            raise _late(asked)
        with suppress(OSError):
            return socket.create_connection((address, asked.port), timeout=min(left, _CONNECT_S))
    if time.monotonic() >= ends_at:
        raise _late(asked)
    raise _failed(asked, "连不上", "no connection came about")


def _taken(asked: Target, answer: http.client.HTTPResponse, target: IO[bytes], limits: Limits) -> Fetched:
    if answer.status != 200:
        raise _failed(asked, f"对方回应 {answer.status}", f"it answered {answer.status}")
    if answer.headers.get("Content-Encoding", "identity").lower() not in ("", "identity"):
        raise _failed(asked, "对方未经请求压缩了内容", "it packed the content unasked")
    if (answer.length or 0) > limits.size_bytes:
        raise GuijuError(FETCH_TOO_LARGE, host=asked.host, limit_bytes=limits.size_bytes)
    digest, size = hashlib.sha256(), 0
    while piece := answer.read1(_STEP_BYTES):
        size += len(piece)
        if size > limits.size_bytes:
            raise GuijuError(FETCH_TOO_LARGE, host=asked.host, limit_bytes=limits.size_bytes)
        digest.update(piece)
        target.write(piece)
    if answer.length:
        raise http.client.IncompleteRead(b"", answer.length)
    target.flush()
    return Fetched(asked.url, size, digest.hexdigest(), answer.headers.get("Content-Type", "")[:200])


def _shut(sock: socket.socket) -> None:
    with suppress(OSError):
        socket.socket.shutdown(sock, socket.SHUT_RDWR)  # not the method of TLS, which would go on in clear


def _failed(asked: Target, reason_zh: str, reason: str) -> GuijuError:
    return GuijuError(FETCH_FAILED, host=asked.host, reason_zh=reason_zh, reason=reason)


def _late(asked: Target) -> GuijuError:
    return _failed(asked, "超过时限", "it took too long")
