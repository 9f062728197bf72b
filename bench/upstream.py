"""A model server that costs as little as one can: answers made once, told by the model name, sent from memory.

    python -m bench.upstream --fd N

The model name says what it answers, so that it survives any gateway:

    bench                               a whole answer, or a stream of 100 pieces at once
    bench,pieces=50,gap_ms=20,first_ms=50   50 pieces, one each 20 ms, the first after 50 ms
    bench,case=K                        case K of `bench.leak`
"""

import argparse
import asyncio
import functools
import re
import socket
import sys
from typing import Any, Final

import msgspec
import uvloop

from bench import leak
from bench.corpus import ANSWER, PIECE_CHARACTERS
from guiju.core.process import die_with_parent

_ENCODE: Final = msgspec.json.Encoder().encode
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_LIST: Final = _ENCODE({"object": "list", "data": [{"id": "bench", "object": "model", "created": 0, "owned_by": "bench"}]})
_MODELS: Final = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(_LIST), _LIST)
_DONE: Final = b"data: [DONE]\n\n"


class Request(msgspec.Struct):
    """What the script needs of a request."""

    model: str
    stream: bool = False


class Script(msgspec.Struct):
    """What is sent, and when: the bytes of a whole answer, or the writes of a stream."""

    head: bytes
    writes: tuple[bytes, ...]
    tail: bytes
    first_s: float
    gap_s: float


@functools.cache
def script(model: str, stream: bool) -> Script:
    """Return the answer that a model name asks for."""
    asked = dict(part.split("=") for part in model.split(",")[1:])
    case = leak.CASES[int(asked["case"])] if "case" in asked else None
    first_s, gap_s = float(asked.get("first_ms", 0)) / 1000, float(asked.get("gap_ms", 0)) / 1000
    if not stream:
        choices = leak.whole(case) if case else [_message(ANSWER)]
        body = _ENCODE({**_head(model, "chat.completion"), "choices": choices, "usage": _usage(100)})
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
        return Script(head + body, (), b"", first_s, 0)
    pieces = int(asked.get("pieces", 100))
    deltas = (
        leak.deltas(case) if case else [(0, {"content": ANSWER[at % 400 : at % 400 + 4]}) for at in range(0, pieces * PIECE_CHARACTERS, 4)]
    )
    indexes = sorted({index for index, _ in deltas})
    events: list[tuple[int, dict[str, Any], str | None]] = [(index, {"role": "assistant", "content": ""}, None) for index in indexes]
    events += [(index, delta, None) for index, delta in deltas]
    events += [(index, {}, "stop") for index in indexes]
    shell = _head(model, "chat.completion.chunk")
    writes = [
        _chunk(b"data: " + _ENCODE({**shell, "choices": [{"index": i, "delta": delta, "finish_reason": reason}]}) + b"\n\n")
        for i, delta, reason in events
    ]
    # The role travels with the first piece: the head alone tells nobody anything.
    writes[: len(indexes) + 1] = [b"".join(writes[: len(indexes) + 1])]
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    return Script(head, tuple(writes), _chunk(_DONE) + b"0\r\n\r\n", first_s, gap_s)


def _head(model: str, kind: str) -> dict[str, Any]:
    return {"id": "chatcmpl-bench", "object": kind, "created": 1_700_000_000, "model": model, "system_fingerprint": "fp_bench"}


def _message(content: str) -> dict[str, Any]:
    return {"index": 0, "message": {"role": "assistant", "content": content}, "logprobs": None, "finish_reason": "stop"}


def _usage(tokens: int) -> dict[str, int]:
    return {"prompt_tokens": 150, "completion_tokens": tokens, "total_tokens": 150 + tokens}


def _chunk(content: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(content), content)


class Connection(asyncio.Protocol):
    """One connection; a request is answered before the next is read."""

    def __init__(self) -> None:
        self._received = b""
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = transport  # type: ignore[assignment]  # uvloop's own class

    def connection_lost(self, problem: Exception | None) -> None:
        """Stop sending."""
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Answer once a request is whole."""
        received = self._received = self._received + data if self._received else data
        end = received.find(b"\r\n\r\n")
        if end < 0:
            return
        if received.startswith(b"GET "):
            self._received = b""
            self._transport.write(_MODELS)
            return
        length = _LENGTH.search(received, 0, end + 2)
        if length is None or len(received) < end + 4 + int(length[1]):
            return
        self._received = b""
        request = msgspec.json.decode(received[end + 4 :], type=Request)
        answer = script(request.model, request.stream)
        if answer.first_s:
            self._timer = asyncio.get_running_loop().call_later(answer.first_s, self._begin, answer)
        else:
            self._begin(answer)

    def _begin(self, answer: Script) -> None:
        if not answer.writes:
            self._transport.write(answer.head)
        elif answer.gap_s:
            self._transport.write(answer.head)
            self._piece(answer, 0, asyncio.get_running_loop().time())
        else:
            self._transport.write(b"".join((answer.head, *answer.writes, answer.tail)))

    def _piece(self, answer: Script, number: int, due_at: float) -> None:
        if number == len(answer.writes):
            self._transport.write(answer.tail)
            return
        self._transport.write(answer.writes[number])
        due_at += answer.gap_s
        self._timer = asyncio.get_running_loop().call_at(due_at, self._piece, answer, number + 1, due_at)


async def _serve(listener: socket.socket) -> None:
    server = await asyncio.get_running_loop().create_server(Connection, sock=listener, backlog=4096)
    await server.serve_forever()


def main() -> int:
    """Serve until the parent ends."""
    parser = argparse.ArgumentParser(prog="bench.upstream")
    parser.add_argument("--fd", type=int, required=True)
    die_with_parent()
    uvloop.run(_serve(socket.socket(fileno=parser.parse_args().fd)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
