"""DER read and public-key signatures checked with nothing but integers: as much as time stamps need.

RSA with PKCS#1 v1.5 padding and ECDSA on P-256 and P-384, over SHA-256, SHA-384 and SHA-512; everything else is refused.
Source: ITU-T X.690; RFC 8017 §8.2.2; FIPS 186-5 §6.4; SEC 2.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from guiju.records.offline.report import Broken

SEQUENCE, SET, INTEGER, OCTETS, BITS, OBJECT, BOOLEAN = 0x30, 0x31, 0x02, 0x04, 0x03, 0x06, 0x01
_CURVES: dict[str, tuple[int, int, int, int, int]] = {
    # OID → p, b, Gx, Gy, n; a is p − 3
    "1.2.840.10045.3.1.7": (
        2**256 - 2**224 + 2**192 + 2**96 - 1,
        0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B,
        0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
        0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
        0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    ),
    "1.3.132.0.34": (
        2**384 - 2**128 - 2**96 + 2**32 - 1,
        0xB3312FA7E23EE7E4988E056BE3F82D19181D9C6EFE8141120314088F5013875AC656398D8A2ED19D2A85C8EDD3EC2AEF,
        0xAA87CA22BE8B05378EB1C71EF320AD746E1D3B628BA79B9859F741E082542A385502F25DBF55296C3A545E3872760AB7,
        0x3617DE4A96262C6F5D9E98BF9292DC29F8F41DBD289A147CE9DA3113B5F0B8C00A60B1CE1D7E819D7A431D7C90EA0E5F,
        0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
    ),
}
_HASH_PREFIX = {
    # the DigestInfo that PKCS#1 puts before a hash
    "sha256": bytes.fromhex("3031300d060960864801650304020105000420"),
    "sha384": bytes.fromhex("3041300d060960864801650304020205000430"),
    "sha512": bytes.fromhex("3051300d060960864801650304020305000440"),
}
HASH_OF = {"2.16.840.1.101.3.4.2.1": "sha256", "2.16.840.1.101.3.4.2.2": "sha384", "2.16.840.1.101.3.4.2.3": "sha512"}
_SIGNATURE_HASH = {
    "1.2.840.113549.1.1.11": "sha256",
    "1.2.840.113549.1.1.12": "sha384",
    "1.2.840.113549.1.1.13": "sha512",
    "1.2.840.10045.4.3.2": "sha256",
    "1.2.840.10045.4.3.3": "sha384",
    "1.2.840.10045.4.3.4": "sha512",
}


class Part(NamedTuple):
    """One DER value: its tag, its content, and its bytes with tag and length."""

    tag: int
    content: bytes
    raw: bytes


def der_parts(content: bytes) -> list[Part]:
    """Return the values that lie one behind the other. Raises Broken for anything but DER."""
    found, at = [], 0
    while at < len(content):
        begin, tag = at, content[at]
        if tag & 0x1F == 0x1F or at + 2 > len(content):
            raise Broken("a time stamp is not DER")
        length, at = content[at + 1], at + 2
        if length & 0x80:
            count = length & 0x7F
            length = int.from_bytes(content[at : at + count], "big")
            if not 1 <= count <= 4 or length < 0x80 or length >> 8 * (count - 1) == 0:
                raise Broken("a time stamp is not DER")
            at += count
        if at + length > len(content):
            raise Broken("a time stamp is cut short")
        found.append(Part(tag, content[at : at + length], content[begin : at + length]))
        at += length
    return found


def der_one(content: bytes, tag: int) -> Part:
    """Return the one value of this tag that `content` is. Raises Broken."""
    parts = der_parts(content)
    if len(parts) != 1 or parts[0].tag != tag:
        raise Broken("a time stamp has not its form")
    return parts[0]


def oid_text(part: Part) -> str:
    """Return an object identifier with dots. Raises Broken when the value is none."""
    if part.tag != OBJECT or not part.content or part.content[-1] & 0x80:
        raise Broken("a time stamp has not its form")
    numbers, value = [], 0
    for byte in part.content:
        value = value << 7 | byte & 0x7F
        if not byte & 0x80:
            numbers.append(value)
            value = 0
    first = min(numbers[0] // 40, 2)
    return ".".join(str(number) for number in (first, numbers[0] - 40 * first, *numbers[1:]))


def verify_with_key(key_info: bytes, algorithm: str, hash_name: str, signature: bytes, message: bytes) -> bool:
    """Tell whether a SubjectPublicKeyInfo verifies a signature; `hash_name` counts where the algorithm names none.

    By `cryptography` where it is installed. Raises Broken for kinds of keys and hashes that are not known here.
    """
    hash_name = _SIGNATURE_HASH.get(algorithm, hash_name)
    if hash_name not in _HASH_PREFIX:
        raise Broken(f"a signature uses {hash_name or algorithm}, which this check does not know")
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
        from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512
        from cryptography.hazmat.primitives.serialization import load_der_public_key
    except ImportError:
        return verify_with_key_plainly(key_info, hash_name, signature, message)
    chosen = {"sha256": SHA256(), "sha384": SHA384(), "sha512": SHA512()}[hash_name]
    try:
        key = load_der_public_key(key_info)
        if isinstance(key, rsa.RSAPublicKey) and key.key_size >= 2048:
            key.verify(signature, message, padding.PKCS1v15(), chosen)
        elif isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, (ec.SECP256R1, ec.SECP384R1)):
            key.verify(signature, message, ec.ECDSA(chosen))
        else:
            raise Broken("a certificate holds a kind of key that this check does not know")
    except InvalidSignature:
        return False
    except ValueError as problem:
        raise Broken(f"a key cannot be read ({problem})") from None
    return True


def verify_with_key_plainly(key_info: bytes, hash_name: str, signature: bytes, message: bytes) -> bool:
    """Do the same with nothing but integers; some hundredths of a second on a curve."""
    algorithm_parts, bits = (part for part in der_parts(der_one(key_info, SEQUENCE).content))
    identifier = der_parts(algorithm_parts.content)
    digest = hashlib.new(hash_name, message).digest()
    if oid_text(identifier[0]) == "1.2.840.113549.1.1.1":
        modulus, exponent = (int.from_bytes(part.content, "big") for part in der_parts(der_one(bits.content[1:], SEQUENCE).content))
        return _rsa_holds(modulus, exponent, signature, _HASH_PREFIX[hash_name] + digest)
    if oid_text(identifier[0]) == "1.2.840.10045.2.1" and oid_text(identifier[1]) in _CURVES:
        r, s = (int.from_bytes(part.content, "big") for part in der_parts(der_one(signature, SEQUENCE).content))
        return _ecdsa_holds(_CURVES[oid_text(identifier[1])], bits.content[1:], r, s, digest)
    raise Broken("a certificate holds a kind of key that this check does not know")


def _rsa_holds(modulus: int, exponent: int, signature: bytes, info: bytes) -> bool:
    size = (modulus.bit_length() + 7) // 8
    value = int.from_bytes(signature, "big")
    if len(signature) != size or value >= modulus or size < len(info) + 11 or modulus.bit_length() < 2048:
        return False
    padded = b"\x00\x01" + b"\xff" * (size - len(info) - 3) + b"\x00" + info
    return pow(value, exponent, modulus).to_bytes(size, "big") == padded


def _ecdsa_holds(curve: tuple[int, int, int, int, int], point: bytes, r: int, s: int, digest: bytes) -> bool:
    p, b, gx, gy, n = curve
    size = (p.bit_length() + 7) // 8
    if len(point) != 2 * size + 1 or point[0] != 4 or not (0 < r < n and 0 < s < n):
        return False
    x, y = int.from_bytes(point[1 : size + 1], "big"), int.from_bytes(point[size + 1 :], "big")
    if x >= p or y >= p or (y * y - x * x * x + 3 * x - b) % p:
        return False
    number = int.from_bytes(digest, "big") >> max(0, 8 * len(digest) - n.bit_length())
    inverse = pow(s, -1, n)
    found = _curve_add(p, _curve_times(p, number * inverse % n, (gx, gy)), _curve_times(p, r * inverse % n, (x, y)))
    return found is not None and found[0] % n == r


def _curve_add(p: int, one: tuple[int, int] | None, two: tuple[int, int] | None) -> tuple[int, int] | None:
    if one is None or two is None:
        return one or two
    if one[0] == two[0]:
        if (one[1] + two[1]) % p == 0:
            return None
        slope = (3 * one[0] * one[0] - 3) * pow(2 * one[1], -1, p) % p
    else:
        slope = (two[1] - one[1]) * pow(two[0] - one[0], -1, p) % p
    x = (slope * slope - one[0] - two[0]) % p
    return x, (slope * (one[0] - x) - one[1]) % p


def _curve_times(p: int, scalar: int, point: tuple[int, int]) -> tuple[int, int] | None:
    result: tuple[int, int] | None = None
    step: tuple[int, int] | None = point
    while scalar:
        if scalar & 1:
            result = _curve_add(p, result, step)
        step = _curve_add(p, step, step)
        scalar >>= 1
    return result
