"""Ed25519 signatures checked: by `cryptography` where it is installed, else by the arithmetic below.

Both ways refuse a public key that is not the one way of writing a point. Source: RFC 8032 §5.1.
"""

from __future__ import annotations

from hashlib import sha512

FIELD = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, FIELD - 2, FIELD) % FIELD
_ROOT_OF_MINUS_ONE = pow(2, (FIELD - 1) // 4, FIELD)
_BASE_Y = 4 * pow(5, FIELD - 2, FIELD) % FIELD

EdwardsPoint = tuple[int, int, int, int]
"""X, Y, Z and X·Y/Z."""


def verify_ed25519(public: bytes, signature: bytes, message: bytes) -> bool:
    """Tell whether `signature` is that of `message` under the 32 bytes of a public key."""
    if len(public) != 32 or len(signature) != 64 or _decode_point(public) is None:
        return False
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ImportError:
        return verify_ed25519_plainly(public, signature, message)
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def verify_ed25519_plainly(public: bytes, signature: bytes, message: bytes) -> bool:
    """Do the same with nothing but integers; a few milliseconds. Nothing secret is handled, so time may depend on it."""
    if len(public) != 32 or len(signature) != 64:
        return False
    point, scalar = _decode_point(public), int.from_bytes(signature[32:], "little")
    if point is None or scalar >= ORDER:
        return False
    challenge = int.from_bytes(sha512(signature[:32] + public + message).digest(), "little") % ORDER
    x, y, z, t = point
    base = _decode_point(_BASE_Y.to_bytes(32, "little"))
    if base is None:
        return False
    found = _add_points(_multiply(scalar, base), _multiply(challenge, (-x % FIELD, y, z, -t % FIELD)))
    return _encode_point(found) == signature[:32]


def _decode_point(raw: bytes) -> EdwardsPoint | None:
    y, sign = int.from_bytes(raw, "little") & (1 << 255) - 1, raw[31] >> 7
    if y >= FIELD:
        return None
    numerator, denominator = (y * y - 1) % FIELD, (_D * y * y + 1) % FIELD
    x = numerator * pow(denominator, 3, FIELD) * pow(numerator * pow(denominator, 7, FIELD), (FIELD - 5) // 8, FIELD) % FIELD
    if denominator * x * x % FIELD == -numerator % FIELD:
        x = x * _ROOT_OF_MINUS_ONE % FIELD
    if denominator * x * x % FIELD != numerator or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = FIELD - x
    return x, y, 1, x * y % FIELD


def _encode_point(point: EdwardsPoint) -> bytes:
    inverse = pow(point[2], FIELD - 2, FIELD)
    x, y = point[0] * inverse % FIELD, point[1] * inverse % FIELD
    return (y | (x & 1) << 255).to_bytes(32, "little")


def _add_points(one: EdwardsPoint, two: EdwardsPoint) -> EdwardsPoint:
    a = (one[1] - one[0]) * (two[1] - two[0]) % FIELD
    b = (one[1] + one[0]) * (two[1] + two[0]) % FIELD
    c = 2 * _D * one[3] * two[3] % FIELD
    d = 2 * one[2] * two[2] % FIELD
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % FIELD, g * h % FIELD, f * g % FIELD, e * h % FIELD


def _multiply(scalar: int, point: EdwardsPoint) -> EdwardsPoint:
    result: EdwardsPoint = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            result = _add_points(result, point)
        point = _add_points(point, point)
        scalar >>= 1
    return result
