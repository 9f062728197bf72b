"""Signed notes and checkpoints: a text of a few lines and the Ed25519 signatures under it.

A checkpoint says: the log of this name had this many leaves and this root.
Source: C2SP signed-note, C2SP tlog-checkpoint.
"""

import base64
import binascii
import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from guiju.core.errors import GuijuError, Text, define

NOTE_INVALID = define(
    "NOTE-INVALID",
    status=422,
    kind="invalid_request_error",
    zh=Text("检查点无法采信：{reason}。", "账本和记录未被改动。", "请确认检查点与公钥来自同一提供者，再运行 guiju verify。"),
    en=Text(
        "The checkpoint cannot be relied on: {reason}.",
        "The ledger and the records are unchanged.",
        "Make sure that checkpoint and public key come from the same provider, then run guiju verify.",
    ),
)

_ED25519: Final = b"\x01"
_NAME: Final = re.compile(r"[^\s+]+")
_SIGNATURE: Final = re.compile(r"\u2014 ([^\s+]+) ([A-Za-z0-9+/]+={0,2})")
_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,18}")
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f]")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of a log: `root` is the RFC 6962 root over the first `size` leaves."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """Return the lines that are signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def key_id(name: str, public_key: Ed25519PublicKey) -> bytes:
    """Return the four bytes by which a signature line names its key."""
    return sha256(name.encode() + b"\n" + _ED25519 + public_key.public_bytes_raw()).digest()[:4]


def verifier_text(name: str, public_key: Ed25519PublicKey) -> str:
    """Return the public key in the one-line form that other programs take: `name+id+key`."""
    raw = _ED25519 + public_key.public_bytes_raw()
    return f"{name}+{key_id(name, public_key).hex()}+{base64.b64encode(raw).decode()}"


def parse_verifier(line: str) -> tuple[str, Ed25519PublicKey]:
    """Return name and key of a `name+id+key` line. Raises NOTE-INVALID."""
    name, _, rest = line.partition("+")
    raw = _plain(rest.partition("+")[2])
    if raw is None or len(raw) != 33 or raw[:1] != _ED25519:
        raise GuijuError(NOTE_INVALID, reason="the public key is not an Ed25519 verifier line")
    key = Ed25519PublicKey.from_public_bytes(raw[1:])
    if verifier_text(name, key) != line:
        raise GuijuError(NOTE_INVALID, reason="the public key's id does not fit its name and bytes")
    return name, key


def sign(text: str, name: str, *keys: Ed25519PrivateKey) -> bytes:
    """Return the note signed by each key. Raises ValueError for a text without its last line feed or a name with spaces or plus."""
    if not text.endswith("\n") or _CONTROL.search(text) or not _NAME.fullmatch(name) or not keys:
        raise ValueError("a note is lines of text, each ended by a line feed; a key name has no spaces and no plus")
    lines = [key_id(name, key.public_key()) + key.sign(text.encode()) for key in keys]
    signatures = [f"\u2014 {name} {base64.b64encode(line).decode()}\n" for line in lines]
    return f"{text}\n{''.join(signatures)}".encode()


def verify(note: bytes, name: str, *public_keys: Ed25519PublicKey) -> str:
    """Return the text of a note that at least one of these keys has signed.

    Signatures of unknown keys are passed over; a wrong one of a known key is not. Raises NOTE-INVALID.
    """
    return signed_by(note, name, *public_keys)[0]


def signed_by(note: bytes, name: str, *public_keys: Ed25519PublicKey) -> tuple[str, tuple[Ed25519PublicKey, ...]]:
    """Return the text of a note and which of these keys have signed it, at least one. Raises NOTE-INVALID."""
    try:
        whole = note.decode()
    except UnicodeDecodeError:
        raise GuijuError(NOTE_INVALID, reason="it is not UTF-8") from None
    text, blank, lines = whole.rpartition("\n\n")
    text += "\n"
    if not blank or not lines.endswith("\n") or _CONTROL.search(whole):
        raise GuijuError(NOTE_INVALID, reason="it is not a signed note")
    known = {key_id(name, key): key for key in public_keys}
    seen: list[Ed25519PublicKey] = []
    for line in lines[:-1].split("\n"):
        match = _SIGNATURE.fullmatch(line)
        raw = _plain(match[2]) if match else None
        if match is None or raw is None or len(raw) < 5:
            raise GuijuError(NOTE_INVALID, reason="a signature line is malformed")
        key = known.get(raw[:4])
        if match[1] == name and key is not None:
            try:
                key.verify(raw[4:], text.encode())
            except InvalidSignature:
                raise GuijuError(NOTE_INVALID, reason=f"the signature of {name} does not fit its text") from None
            seen.append(key)
    if not seen:
        raise GuijuError(NOTE_INVALID, reason=f"it has no signature of {name} by the given key")
    return text, tuple(seen)


def parse_checkpoint(text: str) -> Checkpoint:
    """Return the checkpoint in a note's text; further lines are passed over. Raises NOTE-INVALID."""
    lines = text.split("\n")
    if len(lines) < 4 or lines[-1] or not lines[0] or not _SIZE.fullmatch(lines[1]):
        raise GuijuError(NOTE_INVALID, reason="it is not a checkpoint")
    root = _plain(lines[2])
    if root is None or len(root) != 32:
        raise GuijuError(NOTE_INVALID, reason="its root is not 32 bytes")
    return Checkpoint(lines[0], int(lines[1]), root)


def sign_checkpoint(checkpoint: Checkpoint, *keys: Ed25519PrivateKey) -> bytes:
    """Return the checkpoint as a note signed under the log's own name by each key."""
    return sign(checkpoint.text(), checkpoint.origin, *keys)


def verify_checkpoint(note: bytes, origin: str, *public_keys: Ed25519PublicKey) -> Checkpoint:
    """Return the checkpoint in a note, signed by one of these keys for the log `origin`. Raises NOTE-INVALID."""
    checkpoint = parse_checkpoint(verify(note, origin, *public_keys))
    if checkpoint.origin != origin:
        raise GuijuError(NOTE_INVALID, reason=f"it speaks of the log {checkpoint.origin}, not {origin}")
    return checkpoint


def stated_checkpoint(note: bytes) -> Checkpoint:
    """Return what a note says, whoever signed it. Raises NOTE-INVALID."""
    return parse_checkpoint(note.decode("utf-8", "replace").rpartition("\n\n")[0] + "\n")


def _plain(text: str) -> bytes | None:
    """Return what base64 text stands for; None for text that is not the one way of writing it."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if base64.b64encode(raw).decode() == text else None
