"""Signed notes, checkpoints and the keys that may sign them. Source: C2SP signed-note, C2SP tlog-checkpoint."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from guiju.records.offline.ed25519 import verify_ed25519
from guiju.records.offline.report import Broken

_SIGNATURE_LINE = re.compile("\u2014 ([^\\s+]+) ([A-Za-z0-9+/]+={0,2})")
_CONTROL_CHARACTER = re.compile("[\x00-\x09\x0b-\x1f]")
_LOG_SIZE = re.compile("0|[1-9][0-9]{0,18}")


@dataclass(frozen=True)
class StatedCheckpoint:
    """What a checkpoint says: the log of this name had `size` leaves and this root."""

    origin: str
    size: int
    root: bytes


@dataclass(frozen=True)
class LogKey:
    """A public key of the log, and the sizes of the log at which it may sign checkpoints."""

    line: str
    public: bytes
    from_size: int
    from_at: str
    until_size: int | None
    until_at: str
    endorsement: str

    def covers(self, size: int) -> bool:
        """Tell whether a checkpoint over `size` records may carry its signature."""
        return self.from_size <= size and (self.until_size is None or size <= self.until_size)


def plain_base64(text: str) -> bytes:
    """Return what base64 text stands for. Raises Broken for text that is not the one way of writing it."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if base64.b64encode(raw).decode() != text:
        raise Broken("a value is not base64")
    return raw


def key_line(name: str, public: bytes) -> str:
    """Return a public key in the one-line form `name+id+key`."""
    typed = b"\x01" + public
    return f"{name}+{_key_id(name, public).hex()}+{base64.b64encode(typed).decode()}"


def parse_key_line(line: str) -> tuple[str, bytes]:
    """Return name and 32 bytes of a `name+id+key` line. Raises Broken."""
    name, _, rest = line.partition("+")
    typed = plain_base64(rest.partition("+")[2])
    if len(typed) != 33 or typed[:1] != b"\x01" or key_line(name, typed[1:]) != line:
        raise Broken("a public key is not an Ed25519 verifier line")
    return name, typed[1:]


def _key_id(name: str, public: bytes) -> bytes:
    return sha256(name.encode() + b"\n\x01" + public).digest()[:4]


def split_note(note: bytes) -> tuple[str, list[tuple[str, bytes, bytes]]]:
    """Return the text of a note, and its signatures as (name, id of key, signature). Raises Broken."""
    try:
        whole = note.decode()
    except UnicodeDecodeError:
        raise Broken("a signed note is not UTF-8") from None
    text, blank, lines = whole.rpartition("\n\n")
    if not blank or not lines.endswith("\n") or _CONTROL_CHARACTER.search(whole):
        raise Broken("it is not a signed note")
    found = []
    for line in lines[:-1].split("\n"):
        match = _SIGNATURE_LINE.fullmatch(line)
        raw = plain_base64(match[2]) if match else b""
        if match is None or len(raw) < 5:
            raise Broken("a signature line is malformed")
        found.append((match[1], raw[:4], raw[4:]))
    return text + "\n", found


def text_signed_by(note: bytes, name: str, keys: list[bytes]) -> str:
    """Return the text of a note that at least one of these public keys has signed.

    Signatures of unknown keys are passed over; a wrong one of a known key is not. Raises Broken.
    """
    text, signatures = split_note(note)
    known = {_key_id(name, key): key for key in keys}
    seen = False
    for signer, identity, signature in signatures:
        if signer == name and identity in known:
            if not verify_ed25519(known[identity], signature, text.encode()):
                raise Broken(f"the signature of {name} does not fit its text")
            seen = True
    if not seen:
        raise Broken(f"it has no signature of {name} by a key that may sign it")
    return text


def parse_stated(text: str) -> StatedCheckpoint:
    """Return the checkpoint in a note's text. Raises Broken."""
    lines = text.split("\n")
    if len(lines) < 4 or lines[-1] or not lines[0] or not _LOG_SIZE.fullmatch(lines[1]):
        raise Broken("it is not a checkpoint")
    root = plain_base64(lines[2])
    if len(root) != 32:
        raise Broken("the root of a checkpoint is not 32 bytes")
    return StatedCheckpoint(lines[0], int(lines[1]), root)


def read_signed_checkpoint(note: bytes, origin: str, keys: list[LogKey]) -> StatedCheckpoint:
    """Return the checkpoint in a note that a key has signed within its span. Raises Broken."""
    stated = parse_stated(split_note(note)[0])
    text_signed_by(note, origin, [key.public for key in keys if key.covers(stated.size)])
    if stated.origin != origin:
        raise Broken(f"it speaks of the log {stated.origin}, not {origin}")
    return stated


def read_log_keys(document: Any, origin: str) -> list[LogKey]:
    """Return the keys of a log, oldest first, each named by the one before it. Raises Broken."""
    fields = {"public_key", "from_size", "from_at", "until_size", "until_at", "endorsement"}
    if not isinstance(document, dict) or set(document) != {"origin", "keys"} or document["origin"] != origin:
        raise Broken("the list of keys is not that of this log")
    keys: list[LogKey] = []
    for row in document["keys"]:
        if not isinstance(row, dict) or set(row) != fields:
            raise Broken("the list of keys has not its form")
        name, public = parse_key_line(row["public_key"])
        key = LogKey(row["public_key"], public, row["from_size"], row["from_at"], row["until_size"], row["until_at"], row["endorsement"])
        if name != origin:
            raise Broken(f"a key is named {name}")
        if keys:
            said = text_signed_by(key.endorsement.encode(), origin, [keys[-1].public])
            wanted = f"guiju-site-key-1\n{origin}\n{base64.b64encode(public).decode()}\n{key.from_size}\n{key.from_at}\n"
            if said != wanted:
                raise Broken("a key was not named by the one before it")
        keys.append(key)
    if not keys:
        raise Broken("there is no key")
    return keys
