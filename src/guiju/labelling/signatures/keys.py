"""The keys of labels: the public half in every form that is met, the private half in a file of PKCS #8.

An SM2 key file is the one that `openssl genpkey -algorithm SM2` writes, an Ed25519 one that of `openssl genpkey -algorithm ed25519`.
"""

import base64
import binascii
import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from guiju.core.errors import GuijuError, Text, define
from guiju.core.keys import read_key_file
from guiju.labelling.signatures import sm2

Algorithm = Literal["sm2", "ed25519"]
ALGORITHM_IDS: Final[dict[Algorithm, str]] = {"sm2": "1.2.156.10197.1.501", "ed25519": "1.3.101.112"}
"""SM2 with SM3 by TC260-PG-202511A; Ed25519 by RFC 8410, which the guide does not name: ours."""

# These structures have one spelling in DER, so they are compared byte for byte and not parsed.
_SPKI: Final[dict[Algorithm, bytes]] = {
    "sm2": bytes.fromhex("3059301306072a8648ce3d020106082a811ccf5501822d034200"),
    "ed25519": bytes.fromhex("302a300506032b6570032100"),
}
_SPKI_COMPRESSED: Final = bytes.fromhex("3039301306072a8648ce3d020106082a811ccf5501822d032200")
_PKCS8_SM2: Final = bytes.fromhex("308187020100301306072a8648ce3d020106082a811ccf5501822d046d306b0201010420")
_PKCS8_SM2_PUBLIC: Final = bytes.fromhex("a144034200")
_PKCS8_ED25519: Final = bytes.fromhex("302e020100300506032b657004220420")
_KEY_FILE_LIMIT_BYTES: Final = 16 * 1024

LABEL_KEY_DAMAGED = define(
    "LABEL-KEY-DAMAGED",
    status=500,
    kind="server_error",
    zh=Text(
        "{path} 不是可用的标识签名密钥：{reason_zh}。",
        "没有签名，也没有改动该文件。",
        "请从备份恢复，或运行 guiju label-keys rotate 更换；SM2 与 Ed25519 密钥均为未加密的 PKCS #8 PEM。",
    ),
    en=Text(
        "{path} is no key that signs labels: {reason_en}.",
        "Nothing was signed; the file is unchanged.",
        "Restore it from a backup, or make another with guiju label-keys rotate; SM2 and Ed25519 keys are unencrypted PKCS #8 PEM.",
    ),
)


class PublicKey(msgspec.Struct, frozen=True, kw_only=True):
    """The public half of a key: 64 bytes x‖y of SM2, 32 of Ed25519."""

    algorithm: Algorithm
    raw: bytes

    @property
    def spki(self) -> bytes:
        """The DER SubjectPublicKeyInfo."""
        return _SPKI[self.algorithm] + (b"\x04" if self.algorithm == "sm2" else b"") + self.raw

    @property
    def id(self) -> str:
        """The first 16 hex digits of the SHA-256 of the SubjectPublicKeyInfo."""
        return hashlib.sha256(self.spki).hexdigest()[:16]

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Tell whether the signature of the message is this key's; never raises."""
        if self.algorithm == "sm2":
            return sm2.verify(self.raw, message, signature)
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key that signs labels. Its private half is 32 bytes and shows in no `repr`."""

    public: PublicKey
    private: bytes = field(repr=False)

    def sign(self, message: bytes) -> bytes:
        """Return the signature: DER of SM2 (about 2 ms), 64 bytes of Ed25519. Raises LABEL-SM-LIBRARY, LABEL-SIGNING."""
        if self.public.algorithm == "sm2":
            return sm2.sign(self.private, self.public.raw, message)
        return Ed25519PrivateKey.from_private_bytes(self.private).sign(message)

    def pem(self) -> bytes:
        """Return the key file."""
        if self.public.algorithm == "sm2":
            der = _PKCS8_SM2 + self.private + _PKCS8_SM2_PUBLIC + b"\x04" + self.public.raw
        else:
            der = _PKCS8_ED25519 + self.private
        return _pem("PRIVATE KEY", der)


def new_key(algorithm: Algorithm) -> SigningKey:
    """Return a new key. Raises LABEL-SM-LIBRARY."""
    if algorithm == "sm2":
        private, public = sm2.new_pair()
    else:
        made = Ed25519PrivateKey.generate()
        private, public = made.private_bytes_raw(), made.public_key().public_bytes_raw()
    return SigningKey(PublicKey(algorithm=algorithm, raw=public), private)


def load_key(path: Path) -> SigningKey:
    """Return the key in a file of mode 0600. Raises the KEY-FILE- errors, and LABEL-KEY-DAMAGED."""
    raw = read_key_file(path, wanted=0)
    der = _from_pem(raw, "PRIVATE KEY") if len(raw) <= _KEY_FILE_LIMIT_BYTES else None
    if der is None:
        raise _damaged(path, "不是未加密的 PKCS #8 PEM", "it is no unencrypted PKCS #8 PEM")
    if der.startswith(_PKCS8_ED25519) and len(der) == len(_PKCS8_ED25519) + 32:
        private = der[-32:]
        public = Ed25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()
        return SigningKey(PublicKey(algorithm="ed25519", raw=public), private)
    private = der[len(_PKCS8_SM2) : len(_PKCS8_SM2) + 32]
    if der != _PKCS8_SM2 + private + _PKCS8_SM2_PUBLIC + b"\x04" + der[-64:] or not sm2.is_point(der[-64:]):
        raise _damaged(
            path, "既不是带公钥的 SM2 密钥，也不是 Ed25519 密钥", "it is neither an SM2 key with its public half nor an Ed25519 key"
        )
    return SigningKey(PublicKey(algorithm="sm2", raw=der[-64:]), private)


def _damaged(path: Path, zh: str, en: str) -> GuijuError:
    return GuijuError(LABEL_KEY_DAMAGED, path=path, reason_zh=zh, reason_en=en)


def read_public_key(text: str) -> PublicKey | None:
    """Return the key in a text: PEM, or hex of one of the forms of `public_keys`; None when it is neither, or not certain which."""
    if "-----BEGIN" in text:
        der = _from_pem(text.encode(), "PUBLIC KEY")
        found = [] if der is None else public_keys("sm2", der.hex()) + public_keys("ed25519", der.hex())
    else:
        digits = "".join(text.split())
        found = public_keys("sm2", digits) or public_keys("ed25519", digits)
    return found[0] if len(found) == 1 else None


def public_keys(algorithm: Algorithm, digits: str) -> list[PublicKey]:
    """Return the keys that these hex digits may be, none when they are no key; never raises.

    SM2: SubjectPublicKeyInfo, 04‖x‖y, x‖y, compressed, and x alone with or without 00 before it, which leaves two.
    """
    if len(digits) > 512:
        return []
    try:
        raw = bytes.fromhex(digits)
    except ValueError:
        return []
    if algorithm == "ed25519":
        raw = raw.removeprefix(_SPKI["ed25519"])
        return [PublicKey(algorithm=algorithm, raw=raw)] if len(raw) == 32 else []
    for prefix in (_SPKI["sm2"], _SPKI_COMPRESSED):
        if raw.startswith(prefix):
            raw = raw.removeprefix(prefix)
            break
    return [PublicKey(algorithm=algorithm, raw=point) for point in _points(raw) if sm2.is_point(point)]


def _points(raw: bytes) -> tuple[bytes, ...]:
    if len(raw) == 65 and raw[0] == 4:
        return (raw[1:],)
    if len(raw) == 64:
        return (raw,)
    if len(raw) == 32:
        raw = b"\0" + raw
    if len(raw) != 33 or raw[0] not in (0, 2, 3):
        return ()
    both = sm2.points_over(int.from_bytes(raw[1:], "big"))
    return () if both is None else both if raw[0] == 0 else (both[raw[0] - 2],)


def public_pem(key: PublicKey) -> str:
    """Return the public half as PEM, which openssl reads."""
    return _pem("PUBLIC KEY", key.spki).decode()


def _pem(name: str, der: bytes) -> bytes:
    body = base64.b64encode(der).decode()
    lines = [body[at : at + 64] for at in range(0, len(body), 64)]
    return "\n".join([f"-----BEGIN {name}-----", *lines, f"-----END {name}-----", ""]).encode()


def _from_pem(raw: bytes, name: str) -> bytes | None:
    begin, end = f"-----BEGIN {name}-----".encode(), f"-----END {name}-----".encode()
    body, found, rest = raw.partition(begin)[2].partition(end)
    if not found or begin in rest:
        return None
    try:
        return base64.b64decode(b"".join(body.split()), validate=True)
    except binascii.Error:
        return None
