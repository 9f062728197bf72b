"""SM2 signatures with SM3: checked here in plain arithmetic, made by the library of the extra `sm2`.

Checking touches nothing secret, so it needs no library and works in every install. A signature is made by compiled code alone,
and looked at here before it is returned.
Source: GB/T 32918.2 (algorithm), GB/T 32918.5 (curve), GB/T 35276 (user id where none is agreed).
"""

from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from guiju.core.errors import GuijuError, Text, define

USER_ID: Final = b"1234567812345678"
P: Final = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF
A: Final = P - 3
B: Final = 0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93
N: Final = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
G: Final = (
    0x32C4AE2C1F1981195F9904466A39C9948FE30BBFF2660BE1715A4589334C74C7,
    0xBC3736A2F4F6779C59BDCEE36B692153D0A9877CC62A474002DF32E52139F0A0,
)
_COORDINATE_BYTES: Final = 32
_SIGNATURE_LIMIT_BYTES: Final = 72

LABEL_SM_LIBRARY = define(
    "LABEL-SM-LIBRARY",
    status=500,
    kind="server_error",
    zh=Text("没有安装 SM2 签名所需的软件包 gmssl-pyx。", "没有签名，文件未改动。", "请运行 pip install 'guiju[sm2]'，或改用 ed25519。"),
    en=Text(
        "The package gmssl-pyx, which makes SM2 signatures, is not installed.",
        "Nothing was signed; no file was changed.",
        "Run pip install 'guiju[sm2]', or use ed25519.",
    ),
)
LABEL_SIGNING = define(
    "LABEL-SIGNING",
    status=500,
    kind="server_error",
    zh=Text("用密钥 {key} 做出的签名通不过核验。", "签名已弃去，没有写入任何文件。", "请检查该密钥文件的公钥与私钥是否成对，或更换密钥。"),
    en=Text(
        "The signature made with key {key} does not verify.",
        "It was discarded, and written nowhere.",
        "See whether the halves of that key file belong together, or replace the key.",
    ),
)


def sm3(*parts: bytes) -> bytes:
    """Return the SM3 digest of these bytes, 32 bytes (GB/T 32905)."""
    digest = hashes.Hash(hashes.SM3())
    for part in parts:
        digest.update(part)
    return digest.finalize()


def is_point(public: bytes) -> bool:
    """Tell whether these 64 bytes, x‖y, are a point of the curve."""
    if len(public) != 2 * _COORDINATE_BYTES:
        return False
    x, y = _coordinates(public)
    return x < P and y < P and (y * y - (x * x * x + A * x + B)) % P == 0


def points_over(x: int) -> tuple[bytes, bytes] | None:
    """Return the two points with this x as x‖y, the one with an even y first; None where the curve has none."""
    square = (x * x * x + A * x + B) % P
    y = pow(square, (P + 1) // 4, P)  # P is 3 modulo 4
    if x >= P or y * y % P != square:
        return None
    even, odd = (y, P - y) if y % 2 == 0 else (P - y, y)
    return (x.to_bytes(32, "big") + even.to_bytes(32, "big"), x.to_bytes(32, "big") + odd.to_bytes(32, "big"))


def new_pair() -> tuple[bytes, bytes]:
    """Return a new private key (32 bytes) and its public half x‖y. Raises LABEL-SM-LIBRARY."""
    try:
        import gmssl_pyx
    except ImportError as error:
        raise GuijuError(LABEL_SM_LIBRARY) from error
    public, private = gmssl_pyx.sm2_key_generate()
    return private, public


def sign(private: bytes, public: bytes, message: bytes) -> bytes:
    """Return the signature of the message in DER. Raises LABEL-SM-LIBRARY; LABEL-SIGNING when what was made does not verify."""
    try:
        import gmssl_pyx
    except ImportError as error:
        raise GuijuError(LABEL_SM_LIBRARY) from error
    try:
        made: bytes = gmssl_pyx.sm2_sign(private, public, message, signer_id=USER_ID)
    except gmssl_pyx.GmsslInnerError as error:
        raise GuijuError(LABEL_SIGNING, key=public[:8].hex()) from error
    if not verify(public, message, made):
        raise GuijuError(LABEL_SIGNING, key=public[:8].hex())
    return made


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Tell whether this DER signature of the message is that of the key x‖y; anything else than one is False, never an exception."""
    if not is_point(public) or len(signature) > _SIGNATURE_LIMIT_BYTES:
        return False
    try:
        r, s = decode_dss_signature(signature)
    except ValueError:
        return False
    t = (r + s) % N
    if not (0 < r < N and 0 < s < N and t):
        return False
    curve = b"".join(number.to_bytes(32, "big") for number in (A, B, *G))
    z = sm3((8 * len(USER_ID)).to_bytes(2, "big"), USER_ID, curve, public)
    e = int.from_bytes(sm3(z, message), "big")
    x = _sum_x(s, t, _coordinates(public))
    return x is not None and (e + x) % N == r


def _coordinates(public: bytes) -> tuple[int, int]:
    return int.from_bytes(public[:32], "big"), int.from_bytes(public[32:], "big")


# ── the curve ───────────────────────────────────────────────────────────────────────────────────────────────────────

_Point = tuple[int, int, int]
"""Jacobian coordinates; z is 0 at infinity."""


def _sum_x(s: int, t: int, public: tuple[int, int]) -> int | None:
    """Return the x of s·G + t·public, both numbers walked through together; None at infinity."""
    first, second = (*G, 1), (*public, 1)
    steps: tuple[_Point, ...] = ((0, 1, 0), first, second, _add(first, second))
    point: _Point = (0, 1, 0)
    for place in range(255, -1, -1):
        point = _double(point)
        which = (s >> place & 1) + 2 * (t >> place & 1)
        if which:
            point = _add(point, steps[which])
    x, _, z = point
    return x * pow(z, -2, P) % P if z else None


def _double(point: _Point) -> _Point:
    x, y, z = point
    if not z:
        return point
    square, zz = y * y % P, z * z % P
    s, m = 4 * x * square % P, 3 * (x - zz) * (x + zz) % P
    doubled = (m * m - 2 * s) % P
    return doubled, (m * (s - doubled) - 8 * square * square) % P, 2 * y * z % P


def _add(one: _Point, other: _Point) -> _Point:
    if not one[2]:
        return other
    if not other[2]:
        return one
    (x1, y1, z1), (x2, y2, z2) = one, other
    zz1, zz2 = z1 * z1 % P, z2 * z2 % P
    u1, u2, s1, s2 = x1 * zz2 % P, x2 * zz1 % P, y1 * zz2 * z2 % P, y2 * zz1 * z1 % P
    if u1 == u2:
        return _double(one) if s1 == s2 else (0, 1, 0)
    h, r = u2 - u1, s2 - s1
    hh = h * h % P
    hhh, v = h * hh % P, u1 * hh % P
    x = (r * r - hhh - 2 * v) % P
    return x, (r * (v - x) - s1 * hhh) % P, z1 * z2 * h % P
