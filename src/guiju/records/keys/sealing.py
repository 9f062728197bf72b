"""Sealing: content under the key of the person it is about, that key under the site's master key. Pure.

Destroying a subject's key makes its content unreadable wherever a copy of the sealed bytes lies, and leaves every proof valid.
Source: Measures Art. 11; PIPL Art. 47.
"""

import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from guiju.core.errors import GuijuError, Text, define

CONTENT_UNREADABLE = define(
    "CONTENT-UNREADABLE",
    status=422,
    kind="invalid_request_error",
    zh=Text("{what} 无法打开：{reason}。", "密文和记录均未改动。", "请核对密钥文件，并运行 guiju verify 检查内容是否被改动。"),
    en=Text(
        "{what} cannot be opened: {reason}.",
        "Ciphertext and record are unchanged.",
        "Check the key files, and run guiju verify to see whether the content was changed.",
    ),
)

SITE_SUBJECT: Final = "site"
"""Under whose key content goes that is about nobody in particular."""
NONCE_BYTES: Final = 12
_PUBLIC_BYTES: Final = 32


def new_subject_key() -> bytes:
    """Return a fresh 32-byte data key."""
    return AESGCM.generate_key(256)


def wrap(key: bytes, master: bytes, subject: str) -> bytes:
    """Return the subject's key under the master key: nonce ‖ AES-256-GCM, bound to the subject."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(master).encrypt(nonce, key, subject.encode())


def unwrap(wrapped: bytes, master: bytes, subject: str) -> bytes:
    """Return the subject's key. Raises CONTENT-UNREADABLE when master key, subject or bytes are not the ones."""
    return _open(AESGCM(master), wrapped, subject.encode(), f"the key of {subject}")


def seal(cipher: AESGCM, record_id: str, content: bytes) -> bytes:
    """Return content under a subject's key: nonce ‖ AES-256-GCM, bound to the record."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, content, record_id.encode())


def unseal(cipher: AESGCM, record_id: str, sealed: bytes) -> bytes:
    """Return what was sealed. Raises CONTENT-UNREADABLE when key, record or bytes are not the ones."""
    return _open(cipher, sealed, record_id.encode(), f"the content of record {record_id}")


def seal_to(recipient: bytes, content: bytes) -> bytes:
    """Return content that only the owner of the X25519 key can read: ephemeral public key ‖ AES-256-GCM."""
    secret = X25519PrivateKey.generate()
    ephemeral = secret.public_key().public_bytes_raw()
    shared = secret.exchange(X25519PublicKey.from_public_bytes(recipient))
    return ephemeral + _once(shared, ephemeral, recipient).encrypt(bytes(NONCE_BYTES), content, None)


def unseal_from(recipient: X25519PrivateKey, sealed: bytes) -> bytes:
    """Return what `seal_to` sealed. Raises CONTENT-UNREADABLE."""
    ephemeral = sealed[:_PUBLIC_BYTES]
    try:
        shared = recipient.exchange(X25519PublicKey.from_public_bytes(ephemeral))
    except ValueError:
        raise GuijuError(CONTENT_UNREADABLE, what="an outbox entry", reason="it is cut short") from None
    cipher = _once(shared, ephemeral, recipient.public_key().public_bytes_raw())
    return _open(cipher, bytes(NONCE_BYTES) + sealed[_PUBLIC_BYTES:], None, "an outbox entry")


def _once(shared: bytes, ephemeral: bytes, recipient: bytes) -> AESGCM:
    """Return the cipher of one message; its key is used once, so the nonce may be zero."""
    return AESGCM(HKDF(algorithm=SHA256(), length=32, salt=ephemeral + recipient, info=b"guiju sealed entry").derive(shared))


def _open(cipher: AESGCM, sealed: bytes, bound: bytes | None, what: str) -> bytes:
    try:
        return cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound)
    except (InvalidTag, ValueError):
        raise GuijuError(CONTENT_UNREADABLE, what=what, reason="key and bytes do not belong together") from None
