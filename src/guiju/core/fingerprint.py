"""The fingerprint of a text: how records name what they do not hold in clear."""

import hashlib
from functools import lru_cache


def fingerprint(key: bytes, service: str, text: str) -> str:
    """Return 32 hex digits that are equal for equal texts of a service, and say nothing to who has not the 32-byte key.

    Source: RFC 7693 (BLAKE2b, keyed).
    """
    hashed = _begun(key, service).copy()
    hashed.update(text.encode(errors="surrogatepass"))
    return hashed.hexdigest()


def fingerprint_bytes(key: bytes, service: str, text: bytes) -> str:
    """Return the fingerprint of a text that is bytes already."""
    hashed = _begun(key, service).copy()
    hashed.update(text)
    return hashed.hexdigest()


@lru_cache(256)
def _begun(key: bytes, service: str) -> "hashlib.blake2b":
    """Return the hash of what comes before the text; half the time of an HMAC."""
    return hashlib.blake2b(service.encode() + b"\0", digest_size=16, key=key, person=b"guiju text")
