"""A file that an upstream names by its URL: fetched here, from no address that is not public, into a file of ours.

A name is resolved once, every address is examined, and the connection goes to one that was: what the name answers later does not matter.
Each redirect is a new URL and examined as one. Nothing is sent but the path: no key, no cookie, no referrer. Two kinds of hosts are trusted
by name, because the operator named them: the upstream itself (the same scheme, host and port) and those of `media.fetch_hosts`.
"""

import asyncio
import contextlib
import logging
import os
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urljoin

from guiju.core.addresses import FETCH_ADDRESS, FETCH_NAME, FETCH_URL, Target, examine, parse_url
from guiju.core.errors import GuijuError, Text, define
from guiju.gateway.connections import Answer, Connection, Pool

REDIRECTS_AT_MOST: Final = 3
CONNECT_S: Final = 5.0
_REDIRECTS: Final = (301, 302, 303, 307, 308)

MEDIA_FETCH = define(
    "MEDIA-FETCH",
    status=502,
    kind="server_error",
    zh=Text(
        "模型给出的文件地址无法取回：{reason_zh}。", "没有文件被送出；编号 {record} 留有记录。", "请重新生成；运营者请核对模型服务返回的地址与 media.fetch_hosts。"
    ),
    en=Text(
        "The file that the model named could not be fetched: {reason}.",
        "No file was delivered; record {record} keeps the case.",
        "Have it made again; operators, look at the address that the model server gave, and at media.fetch_hosts.",
    ),
)  # fmt: skip
MEDIA_TOO_LARGE = define(
    "MEDIA-TOO-LARGE",
    status=502,
    kind="server_error",
    zh=Text(
        "模型返回的文件超过上限 {limit} 字节。",
        "没有文件被送出；编号 {record} 留有记录。",
        "请生成较小的文件；运营者可调整 media.file_bytes。",
    ),
    en=Text(
        "The file that the model returned is larger than {limit} bytes.",
        "No file was delivered; record {record} keeps the case.",
        "Have a smaller one made; an operator can change media.file_bytes.",
    ),
)

_REFUSED: Final = (FETCH_URL, FETCH_ADDRESS, FETCH_NAME)
log = logging.getLogger("guiju.gateway")

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Host and port → addresses; asked once for each connection."""


async def resolve(host: str, port: int) -> Sequence[str]:
    """Return the addresses of a host, as the system knows them."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


class Fetcher:
    """Fetches within the rules of one settings table. `trusted` are hosts as `name`, `name:port` or a whole origin."""

    def __init__(self, trusted: Iterable[str], *, limit_bytes: int, timeout_ms: int, resolve: Resolve = resolve) -> None:
        self._trusted = frozenset(each.lower() for each in trusted)
        self._limit_bytes = limit_bytes
        self._timeout_s = timeout_ms / 1000
        self._resolve = resolve
        self._context: ssl.SSLContext | None = None

    async def fetch(self, url: str, file: Path, upstream: str) -> int:
        """Write what is at this URL to a new file and return its size; `upstream` is the base URL of who named it.

        Raises GuijuError MEDIA-FETCH, MEDIA-TOO-LARGE. Of a file that was begun nothing stays.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._followed(url, file, _origin(parse_url(upstream)))
        except GuijuError as error:
            if error.code not in _REFUSED:
                raise
            log.warning("a file of an upstream was not fetched: %s", error)  # the log names the host, the client does not hear of it
            raise _failed("不允许访问该地址", f"its address may not be asked ({error.code.code})") from None
        except TimeoutError:
            raise _failed(
                f"{int(self._timeout_s * 1000)} 毫秒内没有取完", f"it was not there within {int(self._timeout_s * 1000)} ms"
            ) from None
        except OSError as problem:
            raise _failed(f"连接中断（{type(problem).__name__}）", f"the connection broke ({type(problem).__name__})") from None

    async def _followed(self, url: str, file: Path, upstream: str) -> int:
        secure = False
        for _ in range(REDIRECTS_AT_MOST + 1):
            target = parse_url(url)
            trusted = self._is_trusted(target, upstream)
            if target.scheme != "https" and (secure or not trusted):
                raise _failed("不是 https 地址", "it is no https address")
            secure = secure or target.scheme == "https"
            pool = await self._pool(target, trusted=trusted)
            try:
                answer = await pool.ask(_request(target))
                try:
                    if answer.status in _REDIRECTS and (where := answer.headers.get(b"location")):
                        url = urljoin(target.url, where.decode("latin-1"))
                        continue
                    if answer.status != 200:
                        raise _failed(f"对方回答 {answer.status}", f"it answered {answer.status}")
                    return await save(answer, file, self._limit_bytes)
                finally:
                    answer.close()
            finally:
                pool.close()
        raise _failed("重定向过多", "it redirects too often")

    async def _pool(self, target: Target, *, trusted: bool) -> "_CheckedPool":
        try:
            addresses = await self._resolve(target.host, target.port)
        except (OSError, UnicodeError):
            addresses = ()
        if not addresses:
            raise GuijuError(FETCH_NAME, host=target.host)
        if not trusted:
            examine(target.host, addresses)
        if target.scheme == "https" and self._context is None:
            self._context = await asyncio.to_thread(ssl.create_default_context)  # reads the system's certificates
        return _CheckedPool(target, addresses[0], self._context)

    def _is_trusted(self, target: Target, upstream: str) -> bool:
        origin = _origin(target)
        return origin == upstream or not self._trusted.isdisjoint((target.host.lower(), f"{target.host.lower()}:{target.port}"))


class _CheckedPool(Pool):
    """One connection, to an address that was examined; the name is for `Host` and the certificate alone."""

    def __init__(self, target: Target, address: str, context: ssl.SSLContext | None) -> None:
        super().__init__(f"{target.scheme}://{target.authority}", limit=1, connect_timeout_s=CONNECT_S)
        self._target = target
        self._address = address
        self._tls_context = context if target.scheme == "https" else None

    async def _connected(self) -> Connection:
        tls = self._tls_context
        async with asyncio.timeout(CONNECT_S):
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: Connection(self), self._address, self._target.port, ssl=tls, server_hostname=self._target.host if tls else None
            )
        return connection


async def save(answer: Answer, file: Path, limit_bytes: int, wait: Callable[[], None] = lambda: None) -> int:
    """Write a body to a new file as it comes and return its size; `wait` is called before each piece is waited for.

    Raises MEDIA-TOO-LARGE, and OSError where the body breaks off; nothing stays of the file then.
    """
    declared = answer.headers.get(b"content-length", b"")
    if declared.isdigit() and int(declared) > limit_bytes:
        raise GuijuError(MEDIA_TOO_LARGE, limit=limit_bytes)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    size = 0
    try:
        while True:
            wait()
            piece = await answer.readany()
            if not piece:
                return size
            size += len(piece)
            if size > limit_bytes:
                raise GuijuError(MEDIA_TOO_LARGE, limit=limit_bytes)
            await asyncio.to_thread(_write_all, descriptor, piece)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(file)
        raise
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, piece: bytes) -> None:
    rest = memoryview(piece)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _request(target: Target) -> bytes:
    return f"GET {target.path} HTTP/1.1\r\nhost: {target.authority}\r\nuser-agent: guiju\r\naccept: */*\r\naccept-encoding: identity\r\nconnection: close\r\n\r\n".encode()


def _origin(target: Target) -> str:
    return f"{target.scheme}://{target.host.lower()}:{target.port}"


def _failed(reason_zh: str, reason: str) -> GuijuError:
    return GuijuError(MEDIA_FETCH, reason_zh=reason_zh, reason=reason)
