"""Bodies that an upstream packs although nobody asked: unpacked within limits, or refused.

Guarded lines in `connections.py`: the `unconsumed_tail` and `unused_data` of `Answer._unpacked`, and the `room` that it leaves.
"""

import asyncio
import gzip
import zlib

import pytest

from guiju.gateway import connections
from guiju.gateway.connections import AnswerBroken, Pool
from guiju.gateway.tests.wire import REQUEST, Upstream, answers, ask, play

ZIPPED = gzip.compress(b"hello")


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_body_packed_without_being_asked_is_unpacked(encoding: str) -> None:
    body = "今天天气晴好。".encode() * 1_000
    packed = gzip.compress(body) if encoding == "gzip" else zlib.compress(body)

    async def story(pool: Pool, upstream: Upstream) -> None:
        assert await ask(pool) == body

    play(
        story, answers(b"HTTP/1.1 200 OK\r\ncontent-encoding: %s\r\ncontent-length: %d\r\n\r\n" % (encoding.encode(), len(packed)) + packed)
    )


def test_a_body_that_unpacks_without_measure_is_refused() -> None:
    packed = gzip.compress(bytes(connections.UNPACKED_BYTES * 4))

    async def story(pool: Pool, upstream: Upstream) -> None:
        with pytest.raises(AnswerBroken, match="grows"):
            await ask(pool)

    play(story, answers(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(packed) + packed))


def _chunks(*pieces: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n"
    return head + b"".join([b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces]) + b"0\r\n\r\n"


@pytest.mark.parametrize(
    "pieces",
    [(ZIPPED + b"x",), (ZIPPED, b"x"), (ZIPPED, b"\0" * 512), (ZIPPED, ZIPPED), (ZIPPED, *[b"x" * 2**16] * 64)],
    ids=["a byte", "a chunk", "zeros", "another member", "much"],
)
def test_what_follows_the_end_of_a_packed_body_is_refused(pieces: tuple[bytes, ...]) -> None:
    """It would pass by every limit: nobody takes it, and all of it is copied for each piece that comes."""

    async def story(pool: Pool, upstream: Upstream) -> None:
        with pytest.raises(AnswerBroken, match="follows the end"):
            await ask(pool)
        await upstream.left.wait()

    play(story, answers(_chunks(*pieces)))


def test_many_pieces_of_one_read_grow_no_further_than_one_may(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing pauses between them. Each of these grows by less than the limit, and all of them by much more."""
    monkeypatch.setattr(connections, "UNPACKED_BYTES", 2**20)
    packed = gzip.compress(bytes(8 * 2**20))
    raw = _chunks(*[packed[at : at + 500] for at in range(0, len(packed), 500)])

    class Transport:
        aborted = False

        def write(self, _: bytes) -> None:
            connection.data_received(raw)

        def pause_reading(self) -> None: ...

        def abort(self) -> None:
            self.aborted = True

    async def main() -> None:
        pool._free = 0
        answer = await connection.ask(REQUEST)
        assert answer._size <= 2**20
        with pytest.raises(AnswerBroken, match="grows"):
            await answer.read(2**30)
        assert transport.aborted

    pool = Pool("http://127.0.0.1:1", limit=1, connect_timeout_s=1)
    connection = connections.Connection(pool)
    transport = Transport()
    connection.connection_made(transport)  # type: ignore[arg-type]  # what a connection uses of one
    asyncio.run(main())
