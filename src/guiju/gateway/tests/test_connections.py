"""The client to the upstreams, on real sockets: whole, cut, lying and hostile servers.

Guarded lines: `if self._answer is None` in `data_received` (an answer nobody asked for becomes the next one's), the
`StaleConnection` branch of `connection_lost` and of `Pool.ask`, `self._pool.ended()` in `Connection._end` (places get lost),
`pause_reading` in `on_body`, the `eof` of what was packed, the end of `connection_lost` (half an answer
passes for a whole one).
"""

import asyncio
import contextlib
import datetime
import gzip
import ipaddress
import ssl
from pathlib import Path

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from guiju.gateway import connections
from guiju.gateway.connections import AnswerBroken, Pool
from guiju.gateway.tests.wire import CHUNKED, OK, REQUEST, UNTIL_CLOSE, Upstream, answers, ask, play


def test_one_connection_carries_one_exchange_after_the_other() -> None:
    async def story(pool: Pool, upstream: Upstream) -> None:
        for _ in range(5):
            answer = await pool.ask(REQUEST)
            assert (answer.status, answer.content_type) == (200, "application/json")
            assert await answer.read(10) == b"hello"
        assert upstream.accepted == 1

    play(story, answers(OK))


def test_many_at_once_each_get_their_own_answer() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            name = head.split(b"x-name: ")[1].split(b"\r\n")[0]
            await asyncio.sleep(0)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(name), name))

    async def story(pool: Pool, upstream: Upstream) -> None:
        async def client(number: int) -> None:
            for turn in range(30):
                name = b"%d-%d" % (number, turn)
                answer = await pool.ask(b"GET / HTTP/1.1\r\nhost: x\r\nx-name: " + name + b"\r\n\r\n")
                assert await answer.read(100) == name

        await asyncio.gather(*(client(number) for number in range(30)))
        assert upstream.accepted <= 10

    play(story, echo)


@pytest.mark.parametrize(
    "raw",
    [OK, CHUNKED, UNTIL_CLOSE, b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + OK],
    ids=["length", "chunked", "until close", "interim"],
)
def test_every_framing_gives_the_same_body(raw: bytes) -> None:
    async def story(pool: Pool, upstream: Upstream) -> None:
        for _ in range(2):
            answer = await pool.ask(REQUEST)
            assert answer.status == 200
            assert await answer.read(10) == b"hello"
            assert b"link" not in answer.headers

    play(story, answers(raw, then_closes=raw is UNTIL_CLOSE))


@given(st.sampled_from([OK, CHUNKED]), st.lists(st.integers(1, 90), max_size=6))
def test_an_answer_cut_anywhere_is_the_same(raw: bytes, cuts: list[int]) -> None:
    places = sorted({0, *(cut for cut in cuts if cut < len(raw)), len(raw)})
    pieces = [raw[begin:end] for begin, end in zip(places, places[1:], strict=False)]

    class Transport:
        def is_closing(self) -> bool:
            return False

        def write(self, raw: bytes) -> None:
            for piece in pieces:
                connection.data_received(piece)

    async def main() -> None:
        pool._free = 0
        answer = await connection.ask(REQUEST)
        assert await answer.read(10) == b"hello"
        assert pool._idle.pop() is connection
        pool._sweeper.cancel()  # type: ignore[union-attr]  # an idle connection has set it

    pool = Pool("http://127.0.0.1:1", limit=1, connect_timeout_s=1)
    connection = connections.Connection(pool)
    connection.connection_made(Transport())  # type: ignore[arg-type]  # what a connection uses of one
    asyncio.run(main())


@pytest.mark.parametrize(
    "raw",
    [
        OK[:-2],
        CHUNKED[:-5],
        CHUNKED[:-7],
        OK[:30],
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfffffffffffffffffff\r\nhello",
        b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nhello",
        b"SSH-2.0-OpenSSH\r\n",
        b"<html>\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-encoding: br\r\ncontent-length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 20\r\n\r\n" + gzip.compress(b"hello" * 20)[:20],
        b"",
    ],
)
def test_what_is_no_answer_or_half_of_one_is_an_error_and_frees_its_place(raw: bytes) -> None:
    async def story(pool: Pool, upstream: Upstream) -> None:
        for _ in range(3):
            with pytest.raises(AnswerBroken):
                await ask(pool)
        assert upstream.accepted == 3
        assert pool._free == 1

    play(story, answers(raw, then_closes=True), limit=1)


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_whatever_bytes_come_the_exchange_ends(first: bytes, second: bytes) -> None:
    async def story(pool: Pool, upstream: Upstream) -> None:
        for _ in range(2):
            with contextlib.suppress(OSError):
                await ask(pool)
        assert pool._free == 1

    play(story, answers(b"HTTP/1.1 200 OK\r\n" + first, then_closes=True), answers(second, then_closes=True), limit=1)


def test_a_head_without_end_is_given_up() -> None:
    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(b"x: " + b"a" * 60_000 + b"\r\n")
            await writer.drain()

    async def story(pool: Pool, upstream: Upstream) -> None:
        with pytest.raises(AnswerBroken, match="head"):
            await ask(pool)

    play(story, endless)


def test_a_connection_that_its_server_will_close_is_not_used_again() -> None:
    async def story(pool: Pool, upstream: Upstream) -> None:
        assert await ask(pool) == b"hello"
        assert await ask(pool) == b"hello"
        assert upstream.accepted == 2

    play(story, answers(OK.replace(b"200 OK", b"200 OK\r\nconnection: close")))


def test_a_pooled_connection_that_was_closed_is_tried_on_a_new_one_once() -> None:
    async def closes_at_the_second_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await reader.readuntil(b"\r\n\r\n")  # and closes: not a byte of an answer has come

    async def story(pool: Pool, upstream: Upstream) -> None:
        assert await ask(pool) == b"hello"
        assert await ask(pool) == b"hello"
        assert upstream.accepted == 2
        assert pool._free == 1

    play(story, closes_at_the_second_request, answers(OK), limit=1)


def test_a_request_is_not_sent_again_once_a_byte_of_its_answer_has_come() -> None:
    async def story(pool: Pool, upstream: Upstream) -> None:
        assert await ask(pool) == b"hello"
        with pytest.raises(AnswerBroken):
            await ask(pool)
        assert upstream.accepted == 1

    play(story, answers(OK, b"HTTP/1.1 2", then_closes=True), answers(OK))


def test_a_new_connection_that_is_closed_at_once_is_not_tried_for_ever() -> None:
    async def closes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")

    async def story(pool: Pool, upstream: Upstream) -> None:
        with pytest.raises(AnswerBroken):
            await ask(pool)
        assert upstream.accepted == 1

    play(story, closes)


@pytest.mark.parametrize("surplus", [OK.replace(b"hello", b"other"), b"x", b"\r\n\r\n"])
def test_what_nobody_asked_for_is_never_taken_for_the_next_answer(surplus: bytes) -> None:
    async def story(pool: Pool, upstream: Upstream) -> None:
        for _ in range(3):
            # The surplus may come while the next request is on its way: that is refused then, not delivered.
            with contextlib.suppress(AnswerBroken):
                assert await ask(pool) == b"hello"
            assert len(pool._idle) <= 1  # twice in the pool, a connection would carry two exchanges at once
        assert pool._free == 10

    play(story, answers(OK + surplus))


def test_an_answer_that_comes_before_its_request_is_not_taken() -> None:
    async def later(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await writer.drain()
        await asyncio.sleep(0.05)  # the connection lies idle in the pool now
        writer.write(OK.replace(b"hello", b"other"))
        await reader.read()

    async def story(pool: Pool, upstream: Upstream) -> None:
        assert await ask(pool) == b"hello"
        await upstream.left.wait()  # our side has ended it
        assert await ask(pool) == b"hello"
        assert upstream.accepted == 2

    play(story, later, answers(OK))


def test_an_answer_given_up_ends_its_connection_and_frees_its_place() -> None:
    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n")
        await reader.read()  # until the client leaves

    async def story(pool: Pool, upstream: Upstream) -> None:
        answer = await pool.ask(REQUEST)
        assert await answer.readany() == b"x"
        waiting = asyncio.create_task(ask(pool))
        await asyncio.sleep(0.02)
        assert not waiting.done()  # the only place is taken
        answer.close()
        answer.close()
        await upstream.left.wait()
        assert await waiting == b"hello"
        assert pool._free == 1

    play(story, endless, answers(OK), limit=1)


def test_who_stops_waiting_takes_nothing_with_him() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        await reader.read()

    async def story(pool: Pool, upstream: Upstream) -> None:
        first = asyncio.create_task(ask(pool))
        second = asyncio.create_task(ask(pool))
        await asyncio.sleep(0.02)
        second.cancel()  # waits for a place
        first.cancel()  # waits for the head
        await asyncio.gather(first, second, return_exceptions=True)
        assert await ask(pool) == b"hello"
        assert pool._free == 1

    play(story, silent, answers(OK), limit=1)


def test_closing_an_answer_that_is_complete_leaves_the_connection_to_the_next() -> None:
    async def story(pool: Pool, upstream: Upstream) -> None:
        first = await pool.ask(REQUEST)
        assert await first.read(10) == b"hello"
        second = await pool.ask(REQUEST)
        first.close()
        assert await second.read(10) == b"hello"
        assert upstream.accepted == 1

    play(story, answers(OK))


def test_an_upstream_that_sends_faster_than_it_is_taken_has_to_wait() -> None:
    sent = 0

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (64 * 2**20))
        for _ in range(64):
            writer.write(bytes(2**20))
            await writer.drain()
            sent += 1

    async def story(pool: Pool, upstream: Upstream) -> None:
        answer = await pool.ask(REQUEST)
        before = -1
        while before != sent:
            before = sent
            await asyncio.sleep(0.1)
        assert sent < 32  # the rest waits in the sockets
        body = await answer.read(10**9)
        assert body is not None
        assert len(body) == 64 * 2**20

    play(story, flood)


def test_a_body_larger_than_the_limit_is_given_up() -> None:
    async def story(pool: Pool, upstream: Upstream) -> None:
        assert await ask(pool, 4) is None

    play(story, answers(OK))


def test_nobody_listens() -> None:
    async def main() -> None:
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        pool = Pool(f"http://127.0.0.1:{port}", limit=1, connect_timeout_s=1)
        for _ in range(2):
            with pytest.raises(ConnectionRefusedError):
                await pool.ask(REQUEST)

    uvloop.run(main())


def test_idle_connections_are_closed_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "IDLE_S", 0.05)

    async def story(pool: Pool, upstream: Upstream) -> None:
        assert await ask(pool) == b"hello"
        await upstream.left.wait()

    play(story, answers(OK))


def test_tls_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path / "server.pem"
    pem.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)

    async def refused(pool: Pool, upstream: Upstream) -> None:
        with pytest.raises(ssl.SSLError):
            await ask(pool)

    async def trusted(pool: Pool, upstream: Upstream) -> None:
        assert await ask(pool) == b"hello"
        assert await ask(pool) == b"hello"
        assert upstream.accepted == 1

    play(refused, answers(OK), context=context)
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    play(trusted, answers(OK), context=context)
