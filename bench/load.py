"""The clients: many connections that ask again as soon as they are answered, and what they saw. Loopback only.

Everything happens in the callbacks of a protocol: on a machine with two cores the clients share one with the model server,
and what they use is missing there.
"""

import asyncio
import gc
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from bench.corpus import PROMPT

KEY: Final = "sk-bench"
_PATIENCE_S: Final = 30.0
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_REQUEST_ID: Final = re.compile(rb"\r\nx-request-id: *(\w+)", re.IGNORECASE)
_TEXT: Final = re.compile(rb'"content":"[^"]')


def chat(model: str, *, stream: bool, key: str = KEY) -> bytes:
    """Return the bytes of a chat request with the prompt of 200 characters."""
    body = msgspec.json.encode({"model": model, "messages": [{"role": "user", "content": PROMPT}], **({"stream": True} if stream else {})})
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


@dataclass(slots=True)
class Seen:
    """What the clients saw between the two marks, and the ids of all answers from the first to the last."""

    seconds: float = 0.0
    answers: int = 0
    in_flight: int = 0
    """The most requests that were open at one time."""
    latencies_ms: list[float] = field(default_factory=list)
    first_ms: list[float] = field(default_factory=list)
    """From the request to the first text of a stream."""
    errors: Counter[str] = field(default_factory=Counter)
    ids: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Answers per second."""
        return self.answers / self.seconds


class Client(asyncio.Protocol):
    """One connection. `ask` sends a request; `on_end` is called when its answer is whole, with "" or what was wrong."""

    __slots__ = ("_begun", "_head", "_left", "_pieces", "_tail", "_transport", "asked_at", "first_at", "keep", "on_end", "open")

    def __init__(self, on_end: Callable[["Client", str], None], *, keep: bool) -> None:
        self.on_end = on_end
        self.keep = keep
        self.open = False
        self.asked_at = self.first_at = 0.0
        self._begun = False
        self._head = b""
        self._left = -1  # -1: chunked
        self._tail = b""
        self._pieces: list[bytes] = []
        self._transport: asyncio.Transport

    @property
    def id(self) -> str:
        """The request id that the answer carries."""
        found = _REQUEST_ID.search(self._head)
        return found[1].decode() if found else ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = transport  # type: ignore[assignment]  # uvloop's own class

    def connection_lost(self, problem: Exception | None) -> None:
        """An answer that has not ended never will."""
        if self.open:
            self.open = False
            self.on_end(self, "connection lost")

    def ask(self, request: bytes) -> None:
        """Send a request."""
        self.open = True
        self._begun = False
        self._head = self._tail = b""
        self._pieces = []
        self.first_at = 0.0
        self.asked_at = time.perf_counter()
        self._transport.write(request)

    def close(self) -> None:
        """Let go of the connection."""
        self.open = False
        self._transport.abort()

    def body(self) -> bytes:
        """Return the body, when it was kept."""
        joined = b"".join(self._pieces)
        if self._left >= 0:
            return joined
        out, at = [], 0
        while size := int(joined[at : (line := joined.index(b"\r\n", at))], 16):
            out.append(joined[line + 2 : line + 2 + size])
            at = line + 4 + size
        return b"".join(out)

    def data_received(self, data: bytes) -> None:
        """Read just enough to know when the answer is whole."""
        if not self._begun:
            self._head += data
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return
            data, self._head, self._begun = self._head[end + 4 :], self._head[: end + 2], True
            length = _LENGTH.search(self._head)
            self._left = int(length[1]) if length else -1
        if not self.first_at and _TEXT.search(data):
            self.first_at = time.perf_counter()
        if self.keep:
            self._pieces.append(data)
        if self._left >= 0:
            self._left -= len(data)
            if self._left <= 0:
                self._left = 0
                self._end("")
        else:
            self._tail = (self._tail + data)[-32:] if len(data) < 32 else data[-32:]
            if self._tail.endswith(b"0\r\n\r\n"):
                self._end("" if b"data: [DONE]\n\n" in self._tail else "no [DONE]")

    def _end(self, problem: str) -> None:
        self.open = False
        status = self._head[9:12].decode()
        self.on_end(self, problem if status == "200" else f"status {status}")


async def drive(
    port: int,
    request: bytes,
    connections: int,
    *,
    warm_s: float,
    measure_s: float,
    spread_s: float = 0.0,
    pause_s: float = 0.0,
    mark: Callable[[], None] | None = None,
) -> Seen:
    """Keep `connections` requests under way for `warm_s`, then for `measure_s`, and return what was seen in the latter.

    `spread_s` is over how long the connections begin, `pause_s` how long each rests after an answer. `mark` is called at the beginning and at the end of the measurement.
    Requests that are under way at the end are awaited, but not counted.
    """
    loop = asyncio.get_running_loop()
    seen = Seen()
    ended = loop.create_future()
    state = {"counts": False, "stops": False, "in_flight": 0}

    def ask(client: Client) -> None:
        if state["stops"]:
            return
        state["in_flight"] += 1
        seen.in_flight = max(seen.in_flight, state["in_flight"])
        client.ask(request)

    def on_end(client: Client, problem: str) -> None:
        now = time.perf_counter()
        state["in_flight"] -= 1
        if problem:
            seen.errors[problem] += 1
        else:
            seen.ids.append(client.id)
        if not problem and state["counts"]:
            seen.answers += 1
            seen.latencies_ms.append((now - client.asked_at) * 1000)
            if client.first_at:
                seen.first_ms.append((client.first_at - client.asked_at) * 1000)
        if problem or state["stops"]:
            client.close()
            if not state["in_flight"] and state["stops"] and not ended.done():
                ended.set_result(None)
        elif pause_s:
            loop.call_later(pause_s, ask, client)
        else:
            ask(client)

    clients = [(await loop.create_connection(lambda: Client(on_end, keep=False), "127.0.0.1", port))[1] for _ in range(connections)]
    gc.collect()
    gc.disable()
    try:
        for number, client in enumerate(clients):
            loop.call_later(spread_s * number / connections, ask, client)
        await asyncio.sleep(warm_s + spread_s)
        if mark is not None:
            mark()
        state["counts"], begun = True, time.perf_counter()
        await asyncio.sleep(measure_s)
        seen.seconds = time.perf_counter() - begun
        if mark is not None:
            mark()
        state["counts"], state["stops"] = False, True
        if state["in_flight"]:
            try:
                await asyncio.wait_for(ended, _PATIENCE_S)
            except TimeoutError:
                seen.errors["no end"] += state["in_flight"]
    finally:
        gc.enable()
        for client in clients:
            client.close()
    return seen


async def ask_each(port: int, requests: Sequence[bytes], at_once: int, spread_s: float = 0.0) -> Seen:
    """Send each request once, at most `at_once` at a time, and return what was seen with every body, in their order.

    An answer that never became whole has what came of it as its body, and counts as an error.
    """
    loop = asyncio.get_running_loop()
    seen = Seen(bodies=[b""] * len(requests))
    places = asyncio.Semaphore(at_once)
    state = {"in_flight": 0}

    async def one(place: int, request: bytes) -> None:
        await asyncio.sleep(spread_s * place / len(requests))
        async with places:
            answered: asyncio.Future[str] = loop.create_future()

            def on_end(client: Client, problem: str) -> None:
                if not answered.done():
                    answered.set_result(problem)

            _, client = await loop.create_connection(lambda: Client(on_end, keep=True), "127.0.0.1", port)
            state["in_flight"] += 1
            seen.in_flight = max(seen.in_flight, state["in_flight"])
            client.ask(request)
            try:
                problem = await asyncio.wait_for(answered, _PATIENCE_S)
            except TimeoutError:
                problem = "no end"
            state["in_flight"] -= 1
            if problem:
                seen.errors[problem] += 1
            else:
                seen.answers += 1
                seen.latencies_ms.append((time.perf_counter() - client.asked_at) * 1000)
                seen.bodies[place] = client.body()
                seen.ids.append(client.id)
            client.close()

    begun = time.perf_counter()
    await asyncio.gather(*(one(place, request) for place, request in enumerate(requests)))
    seen.seconds = time.perf_counter() - begun
    return seen
