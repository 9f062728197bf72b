"""The client side of the gateway: one connection pool for each upstream, and what its refusals mean for the user."""

import asyncio
import http
import logging
import os
import re
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from guiju.core.errors import GuijuError
from guiju.core.key_files import KeyUnusable, check_key, read_key_file
from guiju.gateway.bundle import Upstream
from guiju.gateway.connections import Answer, AnswerBroken, Pool
from guiju.gateway.errors import UPSTREAM_BROKEN, UPSTREAM_BUSY, UPSTREAM_FAILED, UPSTREAM_REFUSED, UPSTREAM_UNREACHABLE
from guiju.screening.matching.snapshot import Snapshot
from guiju.screening.personal.finds import mask_all
from guiju.screening.values import Policy

log = logging.getLogger("guiju.gateway")

_DECODE: Final = msgspec.json.Decoder().decode
_REASON_CHARACTERS: Final = 300
_MODELS_S: Final = 10.0
_MEDIA_TYPE: Final = re.compile(r"[a-z0-9.+-]{1,40}/[a-z0-9.+-]{1,60}").fullmatch
_REFUSALS: Final = frozenset([each.value for each in http.HTTPStatus if 400 <= each.value < 500])


class UpstreamClient:
    """Connections to one upstream; kept while its settings stay the same."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self._pool: Pool | None = None
        self._chat = self._models = self._common = b""
        self._path = ""

    async def chat(self, body: bytes) -> Answer:
        """Send a chat request and return the answer once its head is here. Raises UPSTREAM-UNREACHABLE, UPSTREAM-BROKEN.

        A pooled connection that the server has closed meanwhile (it was restarted, it tidies up) is tried once more on
        a new one: not a byte of an answer had come.
        """
        pool = self._pool or self._opened()
        try:
            return await pool.ask(b"%s%d\r\n\r\n%s" % (self._chat, len(body), body))
        except (OSError, TimeoutError) as problem:
            raise self._no_answer(problem) from problem

    async def ask(self, method: str, path: str, body: bytes = b"", content_type: bytes = b"application/json") -> Answer:
        """Send any request below the base URL and return the answer once its head is here.

        Raises UPSTREAM-UNREACHABLE, UPSTREAM-BROKEN.
        """
        pool = self._pool or self._opened()
        head = f"{method} {self._path}{path} HTTP/1.1\r\n".encode() + self._common
        if method != "GET":
            head += b"\r\ncontent-type: %s\r\ncontent-length: %d" % (content_type, len(body))
        try:
            return await pool.ask(b"%s\r\n\r\n%s" % (head, body))
        except (OSError, TimeoutError) as problem:
            raise self._no_answer(problem) from problem

    async def models(self) -> list[dict[str, Any]]:
        """Return the upstream's own list of models. Raises UPSTREAM-UNREACHABLE or UPSTREAM-BROKEN."""
        pool = self._pool or self._opened()
        try:
            async with asyncio.timeout(_MODELS_S):
                answer = await pool.ask(self._models)
                try:
                    found = _DECODE(await answer.read(2**20) or b"")["data"]
                finally:
                    answer.close()
            return [model for model in found if isinstance(model, dict) and isinstance(model.get("id"), str)]
        except (OSError, TimeoutError) as problem:
            raise self._no_answer(problem) from problem
        except (msgspec.DecodeError, KeyError, TypeError, UnicodeDecodeError, RecursionError) as problem:
            raise GuijuError(UPSTREAM_BROKEN, upstream=self.upstream.name, reason="its list of models is no JSON list") from problem

    def close(self) -> None:
        """Close the pool; answers under way keep their connections until they end."""
        if self._pool is not None:
            self._pool.close()

    def _opened(self) -> Pool:
        upstream = self.upstream
        base = upstream.base_url.rstrip("/")
        key = self._key()
        pool = Pool(base, limit=upstream.max_connections, connect_timeout_s=upstream.connect_timeout_ms / 1000)
        lines = [b"host: " + pool.authority, b"user-agent: guiju", b"accept-encoding: identity"]
        if key:
            lines.append(b"authorization: Bearer " + key.encode())
        self._path = urlsplit(base).path
        path = self._path.encode()
        common = self._common = b"\r\n".join(lines)
        self._chat = b"POST %s/chat/completions HTTP/1.1\r\n%s\r\ncontent-type: application/json\r\ncontent-length: " % (path, common)
        self._models = b"GET %s/models HTTP/1.1\r\n%s\r\n\r\n" % (path, common)
        self._pool = pool  # last: without a key there is nothing to ask with, and the next request looks for it again
        return pool

    def _key(self) -> str:
        """Return the key, or nothing where none is named or set. Raises UPSTREAM-UNREACHABLE: without its key it is not asked."""
        upstream = self.upstream
        try:
            if upstream.api_key_file:
                key = read_key_file(upstream.api_key_file)
            else:
                found = os.environ.get(upstream.api_key_env, "") if upstream.api_key_env else ""
                key = check_key(found) if found.strip() else ""
        except KeyUnusable as problem:
            log.error(
                "upstream %s is not asked: its key %s: %s", upstream.name, upstream.api_key_file or f"${upstream.api_key_env}", problem
            )
            raise GuijuError(UPSTREAM_UNREACHABLE, upstream=upstream.name, reason=f"its API key cannot be used: {problem}") from problem
        if upstream.api_key_env and not key:
            log.warning("upstream %s is asked without a key: %s is not set for this service", upstream.name, upstream.api_key_env)
        return key

    def _no_answer(self, problem: Exception) -> GuijuError:
        if isinstance(problem, AnswerBroken):  # it was reached, and took the request perhaps
            return GuijuError(UPSTREAM_BROKEN, upstream=self.upstream.name, reason=str(problem))
        return GuijuError(UPSTREAM_UNREACHABLE, upstream=self.upstream.name, reason=type(problem).__name__)


def media_type(response: Answer) -> str:
    """Return what an upstream says that its answer is, as far as it looks like a media type."""
    told = response.content_type
    return told if _MEDIA_TYPE(told) else "something without a media type"


def not_json(response: Answer, problem: Exception) -> str:
    """Return why an answer is no JSON where its own media type tells it better than the parser's `problem`; else nothing."""
    malformed = isinstance(problem, (msgspec.DecodeError, UnicodeDecodeError)) and not isinstance(problem, msgspec.ValidationError)
    return f"it sent {media_type(response)} where JSON was asked for" if malformed and "json" not in response.content_type else ""


def harmless(error: GuijuError, snapshot: Snapshot, policy: Policy) -> GuijuError:
    """Return the error with the upstream's own words taken out where they would not be let through as an answer."""
    words = str(error.facts.get("reason", ""))
    clean = not words or snapshot.examine(words, "output", policy).action == "deliver"
    error.facts["reason"] = mask_all(words) if clean else "(withheld)"
    return error


async def refusal(upstream: Upstream, response: Answer) -> GuijuError:
    """Return the error that an upstream's refusal is for the user: its mistake, ours, or nobody's."""
    status = response.status
    facts: dict[str, Any] = {"upstream": upstream.name, "status": status, "upstream_status": status}
    if status == 429:
        return GuijuError(UPSTREAM_BUSY, **facts, retry_after=response.headers.get(b"retry-after", b"1").decode("latin-1"))
    if status in (401, 403) or status >= 500 or status < 400:
        return GuijuError(UPSTREAM_FAILED, **facts)
    try:
        async with asyncio.timeout(5):
            raw = await response.read(2**16) or b""
        error = _DECODE(raw).get("error")
        reason = error.get("message") if isinstance(error, dict) else error
    except (msgspec.DecodeError, UnicodeDecodeError, AttributeError, RecursionError, OSError, TimeoutError):
        reason = None
    return GuijuError(UPSTREAM_REFUSED, **facts, reason=str(reason or "no reason given")[:_REASON_CHARACTERS])


def status_for_client(error: GuijuError) -> int:
    """Return the status of an error's answer: of an upstream's refusal its own, where it is one that HTTP knows; else that of the error.

    Servers invent statuses (498, 499, 419, 444); SDKs know what 400 means, and what to do.
    """
    status: int = error.facts.get("upstream_status", 0) if error.code is UPSTREAM_REFUSED else 0
    return status if status in _REFUSALS else error.code.status
