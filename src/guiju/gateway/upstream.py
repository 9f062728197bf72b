"""The client side of the gateway: one connection pool for each upstream, and what its refusals mean for the user."""

import asyncio
import os
from pathlib import Path
from typing import Any, Final

import aiohttp
import msgspec
from yarl import URL

from guiju.core.errors import GuijuError
from guiju.gateway.bundle import Upstream
from guiju.gateway.errors import UPSTREAM_BROKEN, UPSTREAM_BUSY, UPSTREAM_FAILED, UPSTREAM_REFUSED, UPSTREAM_UNREACHABLE

_DECODE: Final = msgspec.json.Decoder().decode
_REASON_CHARACTERS: Final = 300


class UpstreamClient:
    """Connections to one upstream; kept while its settings stay the same."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self._session: aiohttp.ClientSession | None = None
        base = upstream.base_url.rstrip("/")
        self._chat = URL(f"{base}/chat/completions", encoded=True)
        self._models = URL(f"{base}/models", encoded=True)

    async def chat(self, body: bytes) -> aiohttp.ClientResponse:
        """Send a chat request and return the answer once its head is here. Raises UPSTREAM-UNREACHABLE.

        A pooled connection that the server has closed meanwhile (it was restarted, it tidies up) is tried once more on
        a new one: not a byte of an answer had come.
        """
        try:
            try:
                return await self._opened().post(self._chat, data=body, allow_redirects=False)
            except aiohttp.ServerDisconnectedError:
                return await self._opened().post(self._chat, data=body, allow_redirects=False)
        except (aiohttp.ClientError, OSError, TimeoutError) as problem:
            raise GuijuError(UPSTREAM_UNREACHABLE, upstream=self.upstream.name, reason=type(problem).__name__) from problem

    async def models(self) -> list[dict[str, Any]]:
        """Return the upstream's own list of models. Raises UPSTREAM-UNREACHABLE or UPSTREAM-BROKEN."""
        try:
            async with self._opened().get(self._models, timeout=aiohttp.ClientTimeout(total=10), allow_redirects=False) as response:
                found = _DECODE(await read_whole(response, 2**20) or b"")["data"]
                return [model for model in found if isinstance(model, dict) and isinstance(model.get("id"), str)]
        except (aiohttp.ClientError, OSError, TimeoutError) as problem:
            raise GuijuError(UPSTREAM_UNREACHABLE, upstream=self.upstream.name, reason=type(problem).__name__) from problem
        except (msgspec.DecodeError, KeyError, TypeError, UnicodeDecodeError) as problem:
            raise GuijuError(UPSTREAM_BROKEN, upstream=self.upstream.name, reason="its list of models is no JSON list") from problem

    async def close(self) -> None:
        """Close the pool; answers under way keep their connections until they end."""
        if self._session is not None:
            await self._session.close()

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            headers = {"content-type": "application/json", "accept-encoding": "identity", "user-agent": "guiju"}
            key = self._key()
            if key:
                headers["authorization"] = f"Bearer {key}"
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self.upstream.max_connections, keepalive_timeout=30),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=self.upstream.connect_timeout_ms / 1000),
                headers=headers,
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("accept", "user-agent"),
                auto_decompress=True,
                read_bufsize=2**18,
            )
        return self._session

    def _key(self) -> str:
        if self.upstream.api_key_env:
            return os.environ.get(self.upstream.api_key_env, "")
        if self.upstream.api_key_file:
            return Path(self.upstream.api_key_file).read_text().strip()
        return ""


async def read_whole(response: aiohttp.ClientResponse, limit_bytes: int) -> bytes | None:
    """Return the whole body, or None when it is larger than the limit."""
    length = response.content_length
    if length is not None and length <= limit_bytes and "content-encoding" not in response.headers:
        return await response.read()
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > limit_bytes:
            return None
    return bytes(body)


async def refusal(upstream: Upstream, response: aiohttp.ClientResponse) -> GuijuError:
    """Return the error that an upstream's refusal is for the user: its mistake, ours, or nobody's."""
    status = response.status
    facts: dict[str, Any] = {"upstream": upstream.name, "status": status, "upstream_status": status}
    if status == 429:
        return GuijuError(UPSTREAM_BUSY, **facts, retry_after=response.headers.get("retry-after", "1"))
    if status in (401, 403) or status >= 500 or status < 400:
        return GuijuError(UPSTREAM_FAILED, **facts)
    try:
        async with asyncio.timeout(5):
            raw = await read_whole(response, 2**16) or b""
        error = _DECODE(raw).get("error")
        reason = error.get("message") if isinstance(error, dict) else error
    except (msgspec.DecodeError, UnicodeDecodeError, AttributeError, RecursionError, OSError, aiohttp.ClientError, TimeoutError):
        reason = None
    return GuijuError(UPSTREAM_REFUSED, **facts, reason=str(reason or "no reason given")[:_REASON_CHARACTERS])
