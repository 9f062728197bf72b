"""One guard as the gateway asks it: bounded in time and number, left alone while it fails.

Whatever goes wrong is `NotExamined` with a reason: time, the queue, the breaker, the connection, a status, an answer that says nothing. None of
them is a pass. Redirects are not followed: the address is the operator's.
"""

import asyncio
import logging
import os
import time
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from guiju.core.key_files import KeyUnusable, check_key, read_key_file
from guiju.gateway.bundle import Guard
from guiju.gateway.connections import Pool
from guiju.gateway.guard_breaker import Breaker, State
from guiju.screening.guards import FORMS
from guiju.screening.guards.form import ANSWER_BYTES, Finding, Form, NoFinding, Passage
from guiju.screening.guards.webhook import signature
from guiju.screening.values import Direction

Told = Callable[["GuardClient", bool, str], None]

log = logging.getLogger("guiju.gateway")
_JSON: Final = b"\r\ncontent-type: application/json\r\ncontent-length: "


class NotExamined(Exception):
    """A guard did not examine the text; the text is the reason, in a few words that name no content."""


class GuardClient:
    """Connections to one guard; kept while its settings stay the same. `tell` hears when it becomes unavailable and available again."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self.form: Form = FORMS[guard.kind]
        self.tell: Told | None = None
        self._breaker = Breaker(
            failures=guard.breaker_failures, window_s=guard.breaker_window_ms / 1000, open_s=guard.breaker_open_ms / 1000
        )
        self._pool: Pool | None = None
        self._head = self._key = b""
        self._under_way = 0

    @property
    def state(self) -> State:
        """Whether requests are sent to it."""
        return self._breaker.state

    def looks_at(self, direction: Direction) -> bool:
        """Tell whether it examines this direction."""
        return self.guard.directions in ("both", direction)

    async def examine(self, passage: Passage) -> Finding:
        """Return what the guard says of a passage. Raises NotExamined; never takes longer than its timeout."""
        guard, breaker = self.guard, self._breaker
        if self._under_way >= guard.concurrency + guard.queue:
            raise NotExamined("queue full")
        if not breaker.admits(time.monotonic()):
            raise NotExamined("breaker open")
        self._under_way += 1
        try:
            async with asyncio.timeout(guard.timeout_ms / 1000):
                finding = await self._ask(passage)
        except TimeoutError:
            raise self._failed("timeout") from None
        except OSError as problem:
            raise self._failed(f"connection ({type(problem).__name__})") from None
        except NotExamined as problem:
            raise self._failed(str(problem)) from None
        except NoFinding as problem:
            raise self._failed(f"answer ({problem})") from None
        except Exception as problem:
            log.exception("guard %s could not be asked", guard.name)
            raise self._failed(type(problem).__name__) from None
        except BaseException:
            breaker.gave_up()
            raise
        finally:
            self._under_way -= 1
        if breaker.succeeded():
            self._changed(True, "")
        return finding

    def close(self) -> None:
        """Close the pool; requests under way keep their connections until they end."""
        if self._pool is not None:
            self._pool.close()

    async def _ask(self, passage: Passage) -> Finding:
        pool = self._pool or self._opened()
        body = self.form.ask(passage, self.guard.model)
        signed = b""
        if self.form.signs:
            timestamp = str(int(time.time()))
            signed = f"\r\nx-guiju-timestamp: {timestamp}\r\nx-guiju-signature: {signature(self._key, timestamp, body)}".encode()
        answer = await pool.ask(b"%s%s%s%d\r\n\r\n%s" % (self._head, signed, _JSON, len(body), body))
        try:
            if answer.status != 200:
                raise NotExamined(f"status {answer.status}")
            raw = await answer.read(ANSWER_BYTES)
        finally:
            answer.close()
        if raw is None:
            raise NotExamined(f"answer (larger than {ANSWER_BYTES} bytes)")
        return self.form.read(raw, passage)

    def _failed(self, reason: str) -> NotExamined:
        if self._breaker.failed(time.monotonic()):
            self._changed(False, reason)
        return NotExamined(reason)

    def _changed(self, available: bool, reason: str) -> None:
        if available:
            log.warning("guard %s answers again", self.guard.name)
        else:
            log.error("guard %s is not asked for %d ms: %s", self.guard.name, self.guard.breaker_open_ms, reason)
        if self.tell is not None:
            self.tell(self, available, reason)

    def _opened(self) -> Pool:
        guard = self.guard
        base = guard.base_url.rstrip("/")
        key = self._key = self._read_key()
        pool = Pool(base, limit=guard.concurrency, connect_timeout_s=guard.connect_timeout_ms / 1000)
        path = (urlsplit(base).path + self.form.path) or "/"
        lines = [b"POST %s HTTP/1.1" % path.encode(), b"host: " + pool.authority, b"user-agent: guiju", b"accept-encoding: identity"]
        if key and not self.form.signs:
            lines.append(b"authorization: Bearer " + key)
        self._head = b"\r\n".join(lines)
        self._pool = pool
        return pool

    def _read_key(self) -> bytes:
        guard = self.guard
        try:
            if guard.api_key_file:
                return read_key_file(guard.api_key_file).encode()
            found = os.environ.get(guard.api_key_env, "") if guard.api_key_env else ""
            return check_key(found).encode() if found.strip() or self.form.signs else b""
        except KeyUnusable as problem:
            raise NotExamined(f"its key cannot be used: {problem}") from problem
