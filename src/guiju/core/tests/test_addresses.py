"""No stranger's URL leads into a private network: every form of an address, names with several, and URLs that hide one."""

import ipaddress
import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from guiju.core.addresses import Target, networks, parse_url, refused, resolve
from guiju.core.errors import GuijuError

FORBIDDEN = """
0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.100.100.200 100.127.255.255 127.0.0.1 127.255.0.1 168.63.129.16
169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.192 192.0.2.1 192.88.99.1 192.168.1.1 198.18.0.1 198.19.255.255
198.51.100.7 203.0.113.9 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255
:: ::1 ::7f00:1 ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::ffff:0:127.0.0.1 64:ff9b::7f00:1 64:ff9b::808:808
64:ff9b:1::1 100::1 2001::1 2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:db8::1 2002:7f00:1:: 2002:808:808:: 3fff::1 5f00::1
fc00::1 fd00:ec2::254 fe80::1 fe80::1%eth0 2606:4700::1%1 fec0::1 ff02::1
localhost 127.1 0x7f000001 2130706433 1.2.3 1.2.3.4.5 01.2.3.4
""".split()
PUBLIC = "1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 172.15.0.1 172.32.0.1 223.5.5.5 ::ffff:8.8.8.8 2606:4700::1111 2400:3200::1".split()


def answers(*addresses: str) -> Any:
    def look_up(host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        return [(socket.AF_INET6 if ":" in address else socket.AF_INET, 1, 6, "", (address, port)) for address in addresses]

    return look_up


@pytest.mark.parametrize("address", FORBIDDEN)
def test_what_is_not_public_is_refused(address: str) -> None:
    assert refused(address)
    with pytest.raises(GuijuError) as told:
        resolve("a.example", 80, look_up=answers("8.8.8.8", address))
    assert told.value.code.code == "FETCH-ADDRESS"


@pytest.mark.parametrize("address", PUBLIC)
def test_what_is_public_may_be_asked(address: str) -> None:
    assert refused(address) == ""
    assert resolve("a.example", 80, look_up=answers(address, address)) == (address,)


@given(some.one_of(some.ip_addresses(v=4), some.ip_addresses(v=6)))
def test_nothing_private_is_called_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    """`ipaddress` is the other judge: what it calls private, loopback, link-local, multicast or reserved is refused here too."""
    if address.is_private or address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified:
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        assert refused(str(address)) or (mapped and refused(str(mapped)) == "")
    if isinstance(address, ipaddress.IPv4Address):
        assert bool(refused(f"::ffff:{address}")) == bool(refused(str(address)))


def test_the_provider_may_allow_a_network_of_its_own_and_only_that() -> None:
    own = networks(["10.1.0.0/16", "127.0.0.1", "fd00::/8"])
    assert [refused(each, own) for each in ("10.1.2.3", "127.0.0.1", "fd00::1", "::ffff:10.1.2.3")] == [""] * 4
    assert refused("10.2.0.1", own)
    assert refused("127.0.0.2", own)
    for wrong in ("example.com", "10.0.0.1/8", ""):
        with pytest.raises(ValueError, match=r".+"):
            networks([wrong])


def test_a_name_without_an_address_is_told() -> None:
    def fails(*_: Any, **__: Any) -> list[tuple[Any, ...]]:
        raise socket.gaierror(-2, "Name or service not known")

    for look_up in (fails, answers()):
        with pytest.raises(GuijuError) as told:
            resolve("nowhere.example", 443, look_up=look_up)
        assert told.value.code.code == "FETCH-NAME"


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("http://example.com", Target("http", "example.com", 80, "/")),
        ("HTTPS://Example.COM:8443/a?b=c#d", Target("https", "example.com", 8443, "/a?b=c")),
        ("http://[2606:4700::1]:81/x", Target("http", "2606:4700::1", 81, "/x")),
        ("https://例子.测试/图%20.png?名=值", Target("https", "xn--fsqu00a.xn--0zwm56d", 443, "/%E5%9B%BE%20.png?%E5%90%8D=%E5%80%BC")),
    ],
)
def test_urls_are_taken_apart(text: str, target: Target) -> None:
    assert parse_url(text) == target
    assert parse_url(target.url) == target


@pytest.mark.parametrize(
    "text",
    [
        "", "example.com", "//example.com", "ftp://example.com", "file:///etc/passwd", "gopher://x", "data:,x", "javascript:x",
        "http://", "http:///x", "http://a@b/", "http://a:b@c/", "http://@c/", "http://exa mple.com", "http://example.com/a b",
        "http://example.com\r\nX: y", "http://example.com/\x00", "http://example.com\\@127.0.0.1/", "http://[fe80::1%25eth0]/",
        "http://[::1", "http://a:99999/", "http://a:0/", "http://a:x/", "http://-a/", "http://a/" + "b" * 3000, "http://％", "http://a\t.b",
    ],
)  # fmt: skip
def test_urls_that_are_not_used(text: str) -> None:
    with pytest.raises(GuijuError) as told:
        parse_url(text)
    assert told.value.code.code == "FETCH-URL"


@pytest.mark.parametrize("host", ["127.1", "0x7f.0.0.1", "2130706433", "0177.0.0.1", "localhost"])
def test_spellings_of_loopback_that_a_resolver_understands_are_examined_as_what_they_are(host: str) -> None:
    with pytest.raises(GuijuError) as told:
        resolve(parse_url(f"http://{host}/").host, 80)
    assert told.value.code.code in ("FETCH-ADDRESS", "FETCH-NAME")
