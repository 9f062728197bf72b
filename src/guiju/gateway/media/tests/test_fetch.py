"""Nothing is asked of an address that is not public: whatever a URL looks like, however often a name answers differently."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from guiju.core.errors import GuijuError
from guiju.gateway.media.fetch import Fetcher, Resolve, save
from guiju.gateway.media.tests.models import BEHAVIOURS, PNG
from guiju.gateway.tests.rig import ScriptedUpstream

UPSTREAM = "https://model.example/v1"
PUBLIC = "93.184.216.34"


def fetch(url: str, file: Path, resolve: Resolve, *trusted: str, upstream: str = UPSTREAM) -> int:
    return asyncio.run(Fetcher(trusted, limit_bytes=2**20, timeout_ms=1_500, resolve=resolve).fetch(url, file, upstream))


def refusal(url: str, file: Path, resolve: Resolve, *trusted: str, upstream: str = UPSTREAM) -> str:
    with pytest.raises(GuijuError) as caught:
        fetch(url, file, resolve, *trusted, upstream=upstream)
    assert not file.exists()
    assert caught.value.code.code in ("MEDIA-FETCH", "MEDIA-TOO-LARGE")
    return str(caught.value)


def always(*addresses: str) -> Resolve:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return addresses

    return resolve


async def nobody(host: str, port: int) -> Sequence[str]:
    raise AssertionError(f"{host} was looked up")


PRIVATE = [
    "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254", "100.64.0.1", "100.127.255.255",
    "168.63.129.16", "192.0.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.88.99.1",
    "::", "::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:a00:1", "::127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2001::1", "fc00::1",
    "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1", "2001:db8::1", "100::1", "fe80::1%lo",
]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_that_is_not_public_is_not_asked(tmp_path: Path, address: str) -> None:
    assert "may not be asked" in refusal("https://files.example/a.png", tmp_path / "a", always(address))
    assert "may not be asked" in refusal("https://files.example/a.png", tmp_path / "a", always(PUBLIC, address))


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd", "ftp://files.example/a", "gopher://files.example/", "//files.example/a", "a.png", "", "https://", "https:///a",
        "https://user:secret@files.example/a", "https://user@127.0.0.1/a", "https://files.example/a\r\nx: y", "https://files.example\\@127.0.0.1/",
        "https://files.example:0/", "https://files.example:99999/", "https://[fe80::1%25lo]/", "javascript:alert(1)", "https://files.example/" + "a" * 3_000,
    ],
)  # fmt: skip
def test_what_is_no_usable_url_is_not_even_looked_up(tmp_path: Path, url: str) -> None:
    refusal(url, tmp_path / "a", nobody)


@pytest.mark.parametrize("url", ["https://2130706433/", "https://0x7f000001/", "https://0177.0.0.1/", "https://127.1/", "https://localhost/", "https://[::1]/", "https://127.0.0.1/"])  # fmt: skip
def test_spellings_of_this_machine_lead_nowhere(tmp_path: Path, url: str) -> None:
    from guiju.gateway.media.fetch import resolve

    refusal(url, tmp_path / "a", resolve)


def test_http_is_for_hosts_that_the_operator_named(tmp_path: Path) -> None:
    assert "no https" in refusal("http://files.example/a.png", tmp_path / "a", nobody)


@pytest.fixture(scope="module")
def server() -> ScriptedUpstream:
    return ScriptedUpstream(dict(BEHAVIOURS))


def test_a_named_host_and_the_upstream_itself_are_trusted(tmp_path: Path, server: ScriptedUpstream) -> None:
    here = always("127.0.0.1")
    for number, (host, trusted, upstream) in enumerate(
        (
            ("store.internal", f"store.internal:{server.port}", UPSTREAM),
            ("Store.Internal", "store.internal", UPSTREAM),
            ("127.0.0.1", "", f"http://127.0.0.1:{server.port}/v1"),
        )
    ):
        file = tmp_path / str(number)
        assert fetch(f"http://{host}:{server.port}/v1/picture.png", file, here, trusted, upstream=upstream) == len(PNG)
        assert file.read_bytes() == PNG
    head = server.calls[-1].head.lower()
    assert "authorization" not in head
    assert "cookie" not in head
    refusal(f"http://store.internal:{server.port}/v1/picture.png", tmp_path / "b", here, f"store.internal:{server.port + 1}")
    refusal(f"http://127.0.0.1:{server.port}/v1/picture.png", tmp_path / "b", here, upstream=f"http://127.0.0.1:{server.port + 1}/v1")


def test_a_redirect_is_examined_again(tmp_path: Path, server: ScriptedUpstream) -> None:
    told = refusal(f"http://store.internal:{server.port}/v1/moved.png", tmp_path / "a", always("127.0.0.1"), "store.internal")
    assert "no https" in told


def test_redirects_end(tmp_path: Path) -> None:
    async def again(call: object) -> None:
        await call.reply(302, b"", "text/plain", "Location: /v1/again")  # type: ignore[attr-defined]

    server = ScriptedUpstream({"/again": again})
    try:
        assert "too often" in refusal(
            f"http://store.internal:{server.port}/v1/again", tmp_path / "a", always("127.0.0.1"), "store.internal"
        )
        assert len(server.calls) == 4
    finally:
        server.close()


def test_a_name_is_looked_up_once_and_the_examined_address_is_used(tmp_path: Path, server: ScriptedUpstream) -> None:
    """The second answer of the name would be this machine: it must not be asked for."""
    asked = []

    async def changing(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return ("192.0.2.55",) if len(asked) == 1 else ("127.0.0.1",)

    before = len(server.calls)
    refusal(f"https://files.example:{server.port}/v1/picture.png", tmp_path / "a", changing)
    assert asked == ["files.example"]
    assert len(server.calls) == before


def test_the_connection_goes_to_the_address_that_was_examined(tmp_path: Path, server: ScriptedUpstream) -> None:
    """`store.internal` has no address but the injected one: reaching the server shows that nobody resolved it a second time."""
    assert fetch(f"http://store.internal:{server.port}/v1/picture.png", tmp_path / "a", always("127.0.0.1"), "store.internal") == len(PNG)


@pytest.mark.parametrize(
    ("path", "told"), [("huge.png", "larger"), ("endless.png", "larger"), ("hanging.png", "1500 ms"), ("nothing.png", "")]
)
def test_bodies_that_do_not_end_well(tmp_path: Path, server: ScriptedUpstream, path: str, told: str) -> None:
    if path == "nothing.png":
        server.behaviours["/nothing.png"] = lambda call: call.reply(404, b"{}")
    assert told in refusal(f"http://store.internal:{server.port}/v1/{path}", tmp_path / "a", always("127.0.0.1"), "store.internal")


def test_a_name_without_address(tmp_path: Path) -> None:
    refusal("https://files.example/", tmp_path / "a", always())


def test_an_existing_file_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"kept")

    class Empty:
        headers: dict[bytes, bytes] = {}

    with pytest.raises(FileExistsError):
        asyncio.run(save(Empty(), tmp_path / "a", 10))  # type: ignore[arg-type]
    assert (tmp_path / "a").read_bytes() == b"kept"
