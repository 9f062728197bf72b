"""A pack as a file: a zip whose comment is a signed note over every byte before it. Read with limits, trusted in nothing."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from guiju.records.offline.report import Broken
from guiju.records.offline.signed import plain_base64, split_note

PACK_FORM = "guiju-pack-1"
MANIFEST = "manifest.json"
KEYS = "keys.json"
CHECKPOINT = "checkpoint"
TREE = "tree.jsonl"
RECORDS = "records.jsonl"
ANCHORS = "anchors.jsonl"
CONTENTS = "contents.jsonl"
TSA_ROOTS = "tsa.pem"
ALWAYS = frozenset({"README.txt", MANIFEST, KEYS, CHECKPOINT, TREE, RECORDS, ANCHORS})
SOMETIMES = frozenset({CONTENTS, TSA_ROOTS, "verify.py"})

_SMALL_BYTES = 64 * 2**20
_PIECE_BYTES = 2**20
_COMMENT_BYTES = 2**16
_UNREADABLE = (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, RuntimeError, ValueError, OverflowError)


def read_seal(path: Path) -> tuple[bytes, str]:
    """Return the note that seals a pack and the origin it names, having hashed every byte before it. Raises Broken."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - _COMMENT_BYTES))
        tail = file.read()
        at = tail.rfind(PACK_FORM.encode() + b"\n")
        if at < 0:
            raise Broken("it is no pack, or its end is missing")
        note = tail[at:]
        lines = split_note(note)[0].split("\n")
        if len(lines) != 4 or lines[0] != PACK_FORM or lines[3]:
            raise Broken("the seal has not its form")
        file.seek(0)
        digest, left = sha256(), size - len(note)
        while left:
            piece = file.read(min(left, _PIECE_BYTES))
            if not piece:
                raise Broken("it became shorter while it was read")
            digest.update(piece)
            left -= len(piece)
    if digest.digest() != plain_base64(lines[2]):
        raise Broken("its bytes are not those that were sealed")
    return note, lines[1]


class PackReader:
    """The members of a pack; what is read is hashed on the way."""

    def __init__(self, path: Path, note: bytes) -> None:
        try:
            self._zip = zipfile.ZipFile(path)
        except _UNREADABLE as problem:
            raise Broken(f"it is no zip file: {problem}") from None
        self.names = self._zip.namelist()
        self.found: dict[str, tuple[int, str]] = {}
        """Name → bytes and SHA-256, of the members that were read to their end."""
        if self._zip.comment != note or len(set(self.names)) != len(self.names):
            raise Broken("its list of members has not its form")

    def close(self) -> None:
        """Close the file."""
        self._zip.close()

    def pieces(self, name: str, limit: int | None = None) -> Iterator[bytes]:
        """Yield a member piece by piece. Raises Broken when it cannot be read or is larger than `limit`."""
        digest, size = sha256(), 0
        try:
            with self._zip.open(name) as member:
                while True:
                    piece = member.read(_PIECE_BYTES)
                    if not piece:
                        break
                    digest.update(piece)
                    size += len(piece)
                    if limit is not None and size > limit:
                        raise Broken(f"{name} is larger than it may be")
                    yield piece
        except KeyError:
            raise Broken(f"{name} is missing") from None
        except _UNREADABLE as problem:
            raise Broken(f"{name} cannot be read: {problem}") from None
        self.found[name] = size, digest.hexdigest()

    def whole(self, name: str) -> bytes:
        """Return a small member. Raises Broken."""
        return b"".join(self.pieces(name, _SMALL_BYTES))

    def document(self, name: str) -> Any:
        """Return a small member that is JSON. Raises Broken."""
        return strict_json(self.whole(name), name)

    def lines(self, name: str, limit: int | None = None) -> Iterator[bytes]:
        """Yield the lines of a member in blocks of whole lines, each with its line feed. Raises Broken."""
        rest = b""
        for piece in self.pieces(name, limit):
            whole, feed, after = piece.rpartition(b"\n")
            if feed:
                yield rest + whole + feed
                rest = after
            else:
                rest += after
        if rest:
            raise Broken(f"{name} ends within a line")


def strict_json(raw: bytes, name: str) -> Any:
    """Return what JSON says; a name that stands twice is refused, for readers take different ones. Raises Broken."""
    try:
        return json.loads(raw.decode(), object_pairs_hook=_once_each)
    except (ValueError, RecursionError) as problem:
        raise Broken(f"{name} is no JSON: {problem}") from None


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found
