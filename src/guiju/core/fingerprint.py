"""The fingerprint of a text: how records name what they do not hold in clear."""

import hashlib


def fingerprint(key: bytes, service: str, text: str) -> str:
    """Return 32 hex digits that are equal for equal texts of a service, and say nothing to who has not the 32-byte key.

    Source: RFC 7693 (BLAKE2b, keyed).
    """
    return fingerprint_bytes(key, service, text.encode(errors="surrogatepass"))


def fingerprint_bytes(key: bytes, service: str, text: bytes) -> str:
    """Return the fingerprint of a text that is bytes already."""
    raw = service.encode() + b"\0" + text
    return hashlib.blake2b(raw, digest_size=16, key=key, person=b"guiju text").hexdigest()  # half the time of an HMAC
