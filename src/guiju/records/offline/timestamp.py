"""RFC 3161 time stamps checked: what was stamped, when, and that a certificate under a given root has signed it.

Not looked at: revocation, name constraints and policies; the root is trusted because the reader gives it.
Source: RFC 3161 §2.4.2; RFC 5652 §5; RFC 5816.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from datetime import datetime, timezone

from guiju.records.offline.der import (
    BOOLEAN,
    HASH_OF,
    INTEGER,
    OBJECT,
    OCTETS,
    SEQUENCE,
    SET,
    Part,
    der_one,
    der_parts,
    oid_text,
    verify_with_key,
)
from guiju.records.offline.report import Broken

_SIGNED_DATA = "1.2.840.113549.1.7.2"
_TST_INFO = "1.2.840.113549.1.9.16.1.4"
_CONTENT_TYPE = "1.2.840.113549.1.9.3"
_MESSAGE_DIGEST = "1.2.840.113549.1.9.4"
_SIGNING_CERTIFICATE = {"1.2.840.113549.1.9.16.2.12": "sha1", "1.2.840.113549.1.9.16.2.47": "sha256"}
_TIME_STAMPING = "1.3.6.1.5.5.7.3.8"
_EXTENDED_KEY_USAGE = "2.5.29.37"
_BASIC_CONSTRAINTS = "2.5.29.19"
_PEM = re.compile(b"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\\s]+?)-----END CERTIFICATE-----")
_CHAIN_AT_MOST = 6


@dataclass(frozen=True)
class X509:
    """What is needed of a certificate."""

    raw: bytes
    signed_part: bytes
    algorithm: str
    signature: bytes
    serial: bytes
    issuer: bytes
    subject: bytes
    begins: datetime
    ends: datetime
    key_info: bytes
    extensions: dict[str, tuple[bool, bytes]]


def read_pem(raw: bytes) -> list[bytes]:
    """Return the certificates in a PEM file. Raises Broken when there is none."""
    found = [base64.b64decode(b"".join(match[1].split())) for match in _PEM.finditer(raw)]
    if not found:
        raise Broken("there is no certificate in it")
    return found


def check_time_stamp(response: bytes, data: bytes, roots: list[bytes]) -> datetime:
    """Return when an authority under one of the roots has seen `data`. Raises Broken.

    `response` is the whole answer of the authority (TimeStampResp), `roots` are certificates in DER.
    """
    try:
        return _check_time_stamp(response, data, [read_certificate(root) for root in roots])
    except (IndexError, ValueError, KeyError, OverflowError) as problem:
        raise Broken(f"a time stamp has not its form ({problem})") from None


def _check_time_stamp(response: bytes, data: bytes, roots: list[X509]) -> datetime:
    status, token = der_parts(der_one(response, SEQUENCE).content)
    if int.from_bytes(der_parts(status.content)[0].content, "big") != 0:
        raise Broken("the authority did not grant the time stamp")
    kind, wrapped = der_parts(token.content)
    if token.tag != SEQUENCE or wrapped.tag != 0xA0 or oid_text(kind) != _SIGNED_DATA:
        raise Broken("a time stamp is no signed data")
    parts = der_parts(der_one(wrapped.content, SEQUENCE).content)
    encapsulated, signers = der_parts(parts[2].content), der_parts(parts[-1].content)
    tags = [part.tag for part in (*parts[:3], parts[-1], encapsulated[1], signers[0])]
    if tags != [INTEGER, SET, SEQUENCE, SET, 0xA0, SEQUENCE] or len(signers) != 1 or oid_text(encapsulated[0]) != _TST_INFO:
        raise Broken("a time stamp has not its form")
    info = der_one(encapsulated[1].content, OCTETS).content
    carried = [read_certificate(part.raw) for part in parts[3:-1] if part.tag == 0xA0 for part in der_parts(part.content)]
    at = _check_info(info, data)
    _check_signer(signers[0], info, [*carried, *roots], roots, at)
    return at


def _check_info(info: bytes, data: bytes) -> datetime:
    parts = der_parts(der_one(info, SEQUENCE).content)
    imprint = der_parts(parts[2].content)
    hash_name = HASH_OF.get(oid_text(der_parts(imprint[0].content)[0]), "")
    if [part.tag for part in parts[:5]] != [INTEGER, OBJECT, SEQUENCE, INTEGER, 0x18] or not hash_name:
        raise Broken("a time stamp has not its form")
    if hashlib.new(hash_name, data).digest() != imprint[1].content:
        raise Broken("the time stamp is of something else")
    return _time(parts[4])


def _check_signer(signer: Part, info: bytes, known: list[X509], roots: list[X509], at: datetime) -> None:
    version, identity, digest, *rest = der_parts(signer.content)
    if [part.tag for part in (version, identity, digest, *rest[:3])] != [INTEGER, SEQUENCE, SEQUENCE, 0xA0, SEQUENCE, OCTETS]:
        raise Broken("a time stamp signs no attributes")
    issuer, serial = der_parts(identity.content)
    certificate = next((each for each in known if (each.issuer, each.serial) == (issuer.raw, serial.content)), None)
    if certificate is None:
        raise Broken("the certificate that signed the time stamp is not with it")
    attributes: dict[str, Part] = {}
    for attribute in der_parts(rest[0].content):
        name, values = der_parts(attribute.content)
        attributes[oid_text(name)] = der_one(values.content, der_parts(values.content)[0].tag)
    hash_name = HASH_OF.get(oid_text(der_parts(digest.content)[0]), "")
    if not hash_name or attributes[_MESSAGE_DIGEST].content != hashlib.new(hash_name, info).digest():
        raise Broken("the time stamp does not hold what was signed")
    if oid_text(attributes[_CONTENT_TYPE]) != _TST_INFO:
        raise Broken("a time stamp signs another type of content")
    _check_named(attributes, certificate)
    algorithm = oid_text(der_parts(rest[1].content)[0])
    signed = bytes([SET]) + rest[0].raw[1:]
    if not verify_with_key(certificate.key_info, algorithm, hash_name, rest[2].content, signed):
        raise Broken("the signature of the time stamp does not fit it")
    usage = certificate.extensions.get(_EXTENDED_KEY_USAGE, (False, b""))
    if not usage[0] or [oid_text(part) for part in der_parts(der_one(usage[1], SEQUENCE).content)] != [_TIME_STAMPING]:
        raise Broken("the certificate is not one for time stamps alone")
    _check_chain(certificate, known, roots, at)


def _check_named(attributes: dict[str, Part], certificate: X509) -> None:
    """The signature names its certificate by its hash, so that another one of the same name cannot take its place."""
    for name, default in _SIGNING_CERTIFICATE.items():
        if name in attributes:
            first = der_parts(der_parts(der_parts(attributes[name].content)[0].content)[0].content)
            chosen = HASH_OF.get(oid_text(der_parts(first[0].content)[0]), "") if first[0].tag == SEQUENCE else default
            value = first[1] if first[0].tag == SEQUENCE else first[0]
            if chosen and hashlib.new(chosen, certificate.raw).digest() == value.content:
                return
    raise Broken("the time stamp names another certificate than the one that signed it")


def _check_chain(certificate: X509, known: list[X509], roots: list[X509], at: datetime) -> None:
    here = certificate
    for _ in range(_CHAIN_AT_MOST):
        if not here.begins <= at <= here.ends:
            raise Broken("a certificate was not valid when the time stamp was made")
        if any(here.raw == root.raw for root in roots):
            return
        above = next((each for each in known if each.subject == here.issuer and _is_issued_by(here, each)), None)
        if above is None or above.raw == here.raw:
            break
        here = above
    raise Broken("the certificate of the time stamp does not lead to the given root")


def _is_issued_by(certificate: X509, above: X509) -> bool:
    limits = above.extensions.get(_BASIC_CONSTRAINTS, (False, b""))[1]
    first = der_parts(der_one(limits, SEQUENCE).content)[:1] if limits else []
    if not first or first[0].tag != BOOLEAN or first[0].content != b"\xff":
        return False
    return verify_with_key(above.key_info, certificate.algorithm, "", certificate.signature, certificate.signed_part)


def read_certificate(raw: bytes) -> X509:
    """Return what a certificate in DER says. Raises Broken, or what `check_time_stamp` turns into it."""
    body, algorithm, bits = der_parts(der_one(raw, SEQUENCE).content)
    parts = der_parts(body.content)
    if parts[0].tag == 0xA0:
        parts = parts[1:]
    serial, _, issuer, validity, subject, key_info, *more = parts
    begins, ends = (_time(part) for part in der_parts(validity.content))
    extensions: dict[str, tuple[bool, bytes]] = {}
    for part in more:
        if part.tag == 0xA3:
            for extension in der_parts(der_one(part.content, SEQUENCE).content):
                fields = der_parts(extension.content)
                extensions[oid_text(fields[0])] = (fields[1].tag == BOOLEAN and fields[1].content == b"\xff", fields[-1].content)
    return X509(
        raw,
        body.raw,
        oid_text(der_parts(algorithm.content)[0]),
        bits.content[1:],
        serial.content,
        issuer.raw,
        subject.raw,
        begins,
        ends,
        key_info.raw,
        extensions,
    )


def _time(part: Part) -> datetime:
    text = part.content.decode("ascii")
    if part.tag == 0x17:  # two digits of the year, up to 2049
        text = ("19" if text[:2] >= "50" else "20") + text
    match = re.fullmatch(r"(\d{14})(?:\.(\d{1,6})\d*)?Z", text)
    if match is None:
        raise Broken("a time is not written as it must be")
    moment = datetime.strptime(match[1], "%Y%m%d%H%M%S").replace(tzinfo=timezone.utc)
    return moment.replace(microsecond=int((match[2] or "0").ljust(6, "0")))
