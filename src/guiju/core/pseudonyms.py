"""Pseudonyms: how an end user of a service appears in records. Whoever lacks the site's key cannot lead one back to a person."""

import base64
import hmac


def pseudonym_of(key: bytes, service: str, user: str) -> str:
    """Return the subject under which a service's end user is on record: an HMAC under the site's pseudonym key.

    >>> pseudonym_of(bytes(32), "chat", "user-1") == pseudonym_of(bytes(32), "other", "user-1")
    False
    """
    digest = hmac.digest(key, f"{service}\0{user}".encode(errors="surrogatepass"), "sha256")
    return "u-" + base64.b32encode(digest[:15]).decode().lower()
