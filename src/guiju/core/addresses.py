"""Addresses that a stranger's URL may lead to: none but public ones, or those that the provider allowed by name.

Whoever fetches resolves the name once (`resolve`), connects to the address that was examined here, and asks again at each
redirect: a name that answers differently the second time then leads nowhere else. One forbidden address among several refuses the
name, because nothing says which of them would be taken. The tables are our own: `ipaddress` knows other ones in each Python.
Source: IANA special-purpose address registries (RFC 6890); RFC 6598; RFC 6052; RFC 3056.
"""

import ipaddress
import re
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from guiju.core.errors import GuijuError, Text, define

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
LookUp = Callable[..., Sequence[tuple[Any, ...]]]
"""`socket.getaddrinfo`, or what stands in for it."""
URL_LIMIT_CHARACTERS: Final = 2048

FETCH_URL = define(
    "FETCH-URL",
    status=400,
    kind="invalid_request_error",
    zh=Text("网址不能使用：{reason_zh}。", "没有向任何地址发出请求。", "请给出完整的 http 或 https 网址，不含用户名和密码。"),
    en=Text("This URL cannot be used: {reason}.", "Nothing was sent to any address.", "Give a whole http or https URL without user name and password."),
)  # fmt: skip
FETCH_ADDRESS = define(
    "FETCH-ADDRESS",
    status=400,
    kind="invalid_request_error",
    zh=Text(
        "“{host}”指向不允许访问的地址 {address}：{reason}。",
        "没有连接该地址。",
        "请给出公开网址；若是自己的内网存储，请由运营者把它列为允许。",
    ),
    en=Text(
        "'{host}' leads to an address that may not be asked, {address}: {reason}.",
        "It was not connected to.",
        "Give a public URL; an operator may allow a store of their own in a private network.",
    ),
)
FETCH_NAME = define(
    "FETCH-NAME",
    status=502,
    kind="server_error",
    retry=True,
    zh=Text("找不到主机“{host}”的地址。", "没有发出请求。", "请核对网址，或稍后重试。"),
    en=Text("No address was found for the host '{host}'.", "Nothing was sent.", "Look at the URL, or try again later."),
)

_FORBIDDEN: Final[tuple[tuple[Network, str], ...]] = tuple(
    (ipaddress.ip_network(network), reason)
    for network, reason in (
        ("0.0.0.0/8", "this host"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared by carriers; clouds answer there too"),
        ("127.0.0.0/8", "loopback"),
        ("168.63.129.16/32", "metadata of a cloud"),
        ("169.254.0.0/16", "link-local; metadata of clouds"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "special purpose"),
        ("192.0.2.0/24", "documentation"),
        ("192.31.196.0/24", "special purpose"),
        ("192.52.193.0/24", "special purpose"),
        ("192.88.99.0/24", "relays of 6to4"),
        ("192.168.0.0/16", "private"),
        ("192.175.48.0/24", "special purpose"),
        ("198.18.0.0/15", "benchmarks"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved or broadcast"),
        ("2001::/23", "special purpose; Teredo"),
        ("2001:db8::/32", "documentation"),
        ("2002::/16", "6to4: another address is hidden in it"),
        ("2620:4f:8000::/48", "special purpose"),
        ("3fff::/20", "documentation"),
    )
)
_GLOBAL_IPV6: Final = ipaddress.ip_network("2000::/3")
_HOST: Final = re.compile(r"[0-9A-Za-z_](?:[0-9A-Za-z_.-]*[0-9A-Za-z_])?\.?")


@dataclass(frozen=True, slots=True)
class Target:
    """A URL taken apart: what to connect to, and what to ask there. `host` is ASCII, without brackets."""

    scheme: str
    host: str
    port: int
    path: str
    """Path and query, as they go into the request line."""

    @property
    def authority(self) -> str:
        """The value of `Host`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.scheme == "https" else 80) else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The whole URL again."""
        return f"{self.scheme}://{self.authority}{self.path}"


def parse_url(text: str) -> Target:
    """Take apart a URL that may be fetched. Raises GuijuError FETCH-URL: another scheme, credentials, no host, control characters."""
    if len(text) > URL_LIMIT_CHARACTERS:
        raise GuijuError(FETCH_URL, reason_zh="过长", reason="it is too long")
    if any(ord(character) <= 32 or ord(character) == 127 for character in text) or "\\" in text:
        raise GuijuError(FETCH_URL, reason_zh="含有空格、控制字符或反斜杠", reason="it has spaces, control characters or backslashes")
    try:
        parts = urlsplit(text)
        scheme, port, host = parts.scheme, parts.port, parts.hostname or ""
        if not host.isascii():
            host = host.encode("idna").decode()
    except ValueError:  # UnicodeError is one
        raise GuijuError(FETCH_URL, reason_zh="写法有误", reason="it is malformed") from None
    if scheme not in ("http", "https"):
        raise GuijuError(FETCH_URL, reason_zh="只接受 http 和 https", reason="only http and https are taken")
    if "@" in parts.netloc:
        raise GuijuError(FETCH_URL, reason_zh="含有用户名或密码", reason="it carries credentials")
    if not (_HOST.fullmatch(host) or _is_ipv6(host)) or len(host) > 253 or port == 0:
        raise GuijuError(FETCH_URL, reason_zh="没有可用的主机名", reason="it has no usable host")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(scheme, host, port or (443 if scheme == "https" else 80), _ascii(path))


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Return what a provider allows besides public addresses: addresses or networks. Raises ValueError for anything else."""
    return tuple(ipaddress.ip_network(text) for text in texts)


def refused(address: str, allowed: Sequence[Network] = ()) -> str:
    """Return why this address may not be asked, "" when it may.

    An IPv4 address inside an IPv6 one (`::ffff:a.b.c.d`) is judged as what it is; other forms that hide one are refused, as is an
    address with a scope, and what is no address at all.
    """
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return "not an address"
    if isinstance(found, ipaddress.IPv6Address):
        if found.scope_id is not None:
            return "bound to one link"
        found = found.ipv4_mapped or found
    if any(found in network for network in allowed if network.version == found.version):
        return ""
    if found.version == 6 and found not in _GLOBAL_IPV6:
        return "not a global address"
    return next((reason for network, reason in _FORBIDDEN if network.version == found.version and found in network), "")


def resolve(host: str, port: int, *, allowed: Sequence[Network] = (), look_up: LookUp = socket.getaddrinfo) -> tuple[str, ...]:
    """Return the addresses of a host, every one examined; connect to one of these and to nothing else.

    Raises GuijuError FETCH-NAME when there is none, FETCH-ADDRESS when one of them may not be asked.
    """
    try:
        found = look_up(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise GuijuError(FETCH_NAME, host=host) from None
    addresses = tuple(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not addresses:
        raise GuijuError(FETCH_NAME, host=host)
    examine(host, addresses, allowed)
    return addresses


def examine(host: str, addresses: Iterable[str], allowed: Sequence[Network] = ()) -> None:
    """Raise GuijuError FETCH-ADDRESS when one of a host's addresses may not be asked; for callers with a resolver of their own."""
    for address in addresses:
        if reason := refused(address, allowed):
            raise GuijuError(FETCH_ADDRESS, host=host, address=address, reason=reason)


def _is_ipv6(host: str) -> bool:
    try:
        return ipaddress.IPv6Address(host).scope_id is None
    except ValueError:
        return False


def _ascii(path: str) -> str:
    """Return a path whose other characters are percent-encoded in UTF-8; what is encoded already stays."""
    return "".join(
        character if character.isascii() else "".join(f"%{byte:02X}" for byte in character.encode(errors="replace")) for character in path
    )
