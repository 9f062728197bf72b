"""Packs: a selection of records with all that is needed to check them, in one sealed file.

A pack is a zip whose comment is a signed note over every byte before it. Its members can be read as they are; those that
prove are checked by `offline/packcheck.py`, here before the pack is handed out, and by anybody afterwards. Hashes of the tree
are shared: a range of any length needs a few dozen of them. Sealed content is represented by its hash, unless it is opened.
"""

import base64
import logging
import os
import zipfile
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import IO, Any, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet

from guiju.core.clock import utc_text
from guiju.core.errors import GuijuError, Text, define
from guiju.core.keys import load_ring, load_site_key
from guiju.core.layout import DataFolder
from guiju.core.site_keys import Ring
from guiju.records import flow
from guiju.records.access.content import plain
from guiju.records.access.opening_many import Opening, begin_opening, finish_opening, list_contents
from guiju.records.log.anchor import list_anchors, read_anchor
from guiju.records.log.merkle import PROOF_INVALID, consistency_path
from guiju.records.log.note import Checkpoint, sign, stated_checkpoint, verifier_text
from guiju.records.log.signers import verify_site_checkpoint
from guiju.records.log.tiles import WIDTH, TileReader, read_checkpoint
from guiju.records.models import Record
from guiju.records.offline.packcheck import check_pack
from guiju.records.offline.packfile import ANCHORS, CHECKPOINT, CONTENTS, KEYS, MANIFEST, PACK_FORM, RECORDS, TREE, TSA_ROOTS
from guiju.records.offline.report import Broken
from guiju.records.offline.single import single_file
from guiju.records.offline.timestamp import read_pem
from guiju.records.offline.tree import missing_nodes
from guiju.records.packs.pack_texts import README

PACK_EMPTY = define(
    "PACK-EMPTY",
    status=404,
    kind="not_found_error",
    zh=Text("没有符合条件、且已有检查点涵盖的记录。", "没有写出记录包。", "请核对条件；刚发生的事一秒内入账。"),
    en=Text(
        "No record that a checkpoint covers is of this selection.",
        "No pack was written.",
        "Check the selection; what has just happened is covered within a second.",
    ),
)

MADE: Final = "records.pack.made"
_ROWS_AT_ONCE: Final = 2_000
_IDS_AT_ONCE: Final = 500
_STAMPS_AT_MOST: Final = 50
_ALWAYS: Final = (1980, 1, 1, 0, 0, 0)  # the zip has no time of its own; the manifest has
_ENCODE: Final = msgspec.json.Encoder().encode

log = logging.getLogger("guiju.records")

Progress = Callable[[int], None]


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Which records: what is set must hold together. Times are UTC as records write them; numbers include both ends."""

    ids: tuple[str, ...] | None = None
    kind: str | None = None
    """This kind, or kinds that begin with it and a dot."""
    service: str | None = None
    subject: str | None = None
    since: str | None = None
    until: str | None = None
    first: int | None = None
    last: int | None = None

    @property
    def is_range(self) -> bool:
        """Whether it is a range of numbers and nothing else."""
        return all(value is None for value in (self.ids, self.kind, self.service, self.subject, self.since, self.until))


class Earlier(msgspec.Struct, frozen=True, kw_only=True):
    """A checkpoint from which the log has grown; with its time stamp, or without."""

    checkpoint: bytes
    token: bytes = b""


@dataclass(frozen=True, slots=True)
class Packed:
    """What a pack holds; `left_sealed` came after the request and was not opened, as the approval does not name it."""

    records: int
    opened: int
    sha256: str
    left_sealed: int = 0


def pack_time(at: datetime) -> str:
    """Return a time as selections and records write it."""
    return utc_text(round(at.timestamp() * 1_000_000))


def write_pack(
    out: Path,
    selection: Selection,
    *,
    actor: str,
    open_reason: str = "",
    earlier: Iterable[Earlier] = (),
    with_verifier: bool = True,
    progress: Progress = lambda _: None,
) -> Packed:
    """Write a pack, check it, leave `records.pack.made`, then give it its name; a file of that name is replaced.

    With `open_reason` every content that is there is opened for it; their records, and the approval where one is needed, are
    committed together with that of the pack, when the draft is whole. `progress` is told how many records were written.
    Raises APPROVAL-NEEDED, APPROVAL-GONE, ERASED-MEANWHILE, PACK-EMPTY, NOTE-INVALID, TILE-MISSING, and PROOF-INVALID when records, tiles and checkpoint do not fit together.
    """
    folder: DataFolder = settings.DATA_FOLDER
    origin, ring = settings.SITE.ledger.origin, load_ring(folder.keys)
    note = read_checkpoint(folder.ledger)
    if note is None:
        raise GuijuError(PACK_EMPTY)
    stated = verify_site_checkpoint(note, origin, ring)
    temporary = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        made = _Pack(temporary, stated, TileReader(folder.ledger, stated.size))
        made.add("README.txt", README.encode())
        made.add(CHECKPOINT, note)
        made.add(KEYS, _laid_out(_keys_document(ring, origin)))
        if with_verifier:
            made.add("verify.py", single_file().encode())
        made.add_records(selection, progress)
        opening = None
        if open_reason:
            opening = begin_opening(made.with_content(), selection=_chosen(selection), actor=actor, reason=open_reason)
            made.add_contents(opening)
        roots = flow.stamp_roots()
        stamps = _stamps(folder.ledger, made.indices, roots) if roots is not None else []
        made.add_proofs([*earlier, *stamps])
        if stamps and roots is not None:
            made.add(TSA_ROOTS, roots.read_bytes())
        digest = made.seal(selection, origin, actor, load_site_key(folder.keys))
        report = check_pack(temporary, trusted=load_site_key(folder.keys).public_key().public_bytes_raw())
        for step in report.steps:
            if step.outcome == "fails":
                raise GuijuError(PROOF_INVALID, reason=f"{step.en}: {step.detail}")
        facts: dict[str, object] = {
            "selection": {name: _told(value) for name, value in msgspec.to_builtins(selection).items() if value is not None},
            "records": len(made.indices),
            "opened": len(made.opened),
            "size": stated.size,
            "sha256": digest,
        }
        with transaction.atomic(durable=True):
            if opening is not None:
                finish_opening(opening, made.opened, pack=digest)
            flow.append(kind=MADE, actor=actor, metadata=facts)
        os.replace(temporary, out)
    finally:
        temporary.unlink(missing_ok=True)
    return Packed(len(made.indices), len(made.opened), digest, opening.left_sealed if opening is not None else 0)


class _Pack:
    """A pack that is being written: its members go in one after the other, each hashed on the way."""

    def __init__(self, path: Path, stated: Checkpoint, tiles: TileReader) -> None:
        self._path, self._stated, self._tiles = path, stated, tiles
        self._zip = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=3)
        path.chmod(0o600)
        self._members: list[dict[str, Any]] = []
        self.indices: list[int] = []
        self.without_text = 0
        self.not_found: tuple[str, ...] = ()
        self.opened: list[str] = []
        self._with_content: dict[str, int] = {}

    def add(self, name: str, content: bytes) -> None:
        """Add a small member."""
        self._add_lines(name, [content])

    def _add_lines(self, name: str, pieces: Iterable[bytes]) -> None:
        digest, size = sha256(), 0
        with self._member(name) as member:
            for piece in pieces:
                member.write(piece)
                digest.update(piece)
                size += len(piece)
        self._members.append({"name": name, "bytes": size, "sha256": digest.hexdigest()})

    def _member(self, name: str) -> IO[bytes]:
        info = zipfile.ZipInfo(name, _ALWAYS)
        info.compress_type = zipfile.ZIP_DEFLATED
        info.external_attr = 0o600 << 16
        return self._zip.open(info, "w", force_zip64=True)

    def add_records(self, selection: Selection, progress: Progress) -> None:
        """Add the records that are selected and covered by the checkpoint."""
        found: set[str] = set()
        self._add_lines(RECORDS, self._record_lines(selection, found, progress))
        if not self.indices:
            raise GuijuError(PACK_EMPTY)
        self.not_found = tuple(sorted(set(selection.ids or ()) - found))

    def _record_lines(self, selection: Selection, found: set[str], progress: Progress) -> Iterator[bytes]:
        first = selection.first or 0
        last = self._stated.size - 1 if selection.last is None else min(selection.last, self._stated.size - 1)
        for index, identity, content_hash, body in _rows(selection, first, last):
            if selection.is_range:
                yield from self._gap(first, index)
                first = index + 1
            if not body and not selection.is_range:
                continue  # its text was removed: nothing says any more that it is of this selection
            if body:
                self.indices.append(index)
                found.add(identity)
                if content_hash:
                    self._with_content[identity] = index
                yield b'{"index":%d,"record":%b}\n' % (index, body)
            else:
                yield self._leaf_line(index)
            if not len(self.indices) % _ROWS_AT_ONCE:
                progress(len(self.indices))
        if selection.is_range:
            yield from self._gap(first, last + 1)

    def _gap(self, start: int, end: int) -> Iterator[bytes]:
        """Yield the places of records whose rows are gone: retention removes them, the ledger keeps their leaves."""
        for index in range(start, end):
            yield self._leaf_line(index)

    def _leaf_line(self, index: int) -> bytes:
        self.indices.append(index)
        self.without_text += 1
        return b'{"index":%d,"leaf":"%b"}\n' % (index, self._tiles.entries(index // WIDTH)[index % WIDTH].hex().encode())

    def with_content(self) -> list[str]:
        """Return the ids of the records in it that came with content, in order."""
        return list(self._with_content)

    def add_contents(self, opening: Opening) -> None:
        """Add what is opened, as people read it."""

        def lines() -> Iterator[bytes]:
            for identity, content in list_contents(opening):
                self.opened.append(identity)
                yield _ENCODE({"index": self._with_content[identity], "record": identity, "content": plain(content)}) + b"\n"

        self._add_lines(CONTENTS, lines())

    def add_proofs(self, earlier: Iterable[Earlier]) -> None:
        """Add the hashes of the tree that the records need, and the proofs that the log has grown from earlier checkpoints."""
        size = self._stated.size

        def nodes() -> Iterator[bytes]:
            for level, index in missing_nodes(self.indices, size):
                node = self._tiles.subtree(index << level, min((index + 1) << level, size))
                yield b'{"level":%d,"index":%d,"hash":"%b"}\n' % (level, index, node.hex().encode())

        self._add_lines(TREE, nodes())
        lines = []
        for each in earlier:
            old = stated_checkpoint(each.checkpoint).size
            if old <= size:
                path = [_base64(step) for step in consistency_path(old, size, self._tiles.subtree)]
                row = {"size": old, "checkpoint": each.checkpoint.decode(), "growth": path, "token": _base64(each.token)}
                lines.append(_ENCODE(row) + b"\n")
        self._add_lines(ANCHORS, lines)

    def seal(self, selection: Selection, origin: str, actor: str, key: Ed25519PrivateKey) -> str:
        """Add the manifest, close the file, and sign every byte of it; return the SHA-256 of the whole pack."""
        manifest = {
            "pack": PACK_FORM,
            "origin": origin,
            "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "made_by": actor,
            "selection": msgspec.to_builtins(selection),
            "not_found": self.not_found,
            "records": len(self.indices),
            "without_text": self.without_text,
            "opened": len(self.opened),
            "checkpoint": {"size": self._stated.size, "root": self._stated.root.hex()},
            "members": self._members,
        }
        with self._member(MANIFEST) as member:
            member.write(_laid_out(manifest))
        # The length of the seal stands in the bytes that it seals, so a seal of the same length stands there first.
        room = len(_seal(bytes(32), origin, key))
        self._zip.comment = bytes(room)
        self._zip.close()
        with self._path.open("r+b") as file:
            digest, left = sha256(), self._path.stat().st_size - room
            while left:
                piece = file.read(min(left, 2**20))
                digest.update(piece)
                left -= len(piece)
            seal = _seal(digest.digest(), origin, key)
            file.seek(-room, os.SEEK_END)
            file.write(seal)
            file.flush()
            os.fsync(file.fileno())
        digest.update(seal)
        return digest.hexdigest()


def _stamps(ledger: Path, indices: Sequence[int], root_file: Path) -> list[Earlier]:
    """Return the time stamps that say most about these records: for each the earliest above it, at most some dozens in all."""
    sizes = {int(path.stem): path for path in list_anchors(ledger)}
    ordered = sorted(sizes)
    wanted = sorted({at for index in indices if (at := bisect_right(ordered, index)) < len(ordered)})
    if len(wanted) > _STAMPS_AT_MOST:  # fewer of them, evenly; the last covers every record
        wanted = [wanted[number * (len(wanted) - 1) // (_STAMPS_AT_MOST - 1)] for number in range(_STAMPS_AT_MOST)]
    found = []
    for at in wanted:
        try:
            anchor = read_anchor(sizes[ordered[at]])
            anchor.stamped_at(read_pem(root_file.read_bytes()))
            found.append(Earlier(checkpoint=anchor.checkpoint.encode(), token=anchor.token))
        except (GuijuError, Broken, OSError) as problem:
            log.warning("a time stamp is left out of the pack: %s", problem)
    return found


def _rows(selection: Selection, first: int, last: int) -> Iterator[tuple[int, str, str, bytes]]:
    """Yield number, id, hash of content and body of what is selected, in order."""
    rows: QuerySet[Record] = Record.objects.filter(index__gte=first, index__lte=last)
    if selection.kind is not None:
        rows = rows.filter(Q(kind=selection.kind) | Q(kind__startswith=f"{selection.kind}."))
    if selection.service is not None:
        rows = rows.filter(service=selection.service)
    if selection.subject is not None:
        rows = rows.filter(subject=selection.subject)
    if selection.since is not None:
        rows = rows.filter(at__gte=datetime.fromisoformat(selection.since))
    if selection.until is not None:
        rows = rows.filter(at__lt=datetime.fromisoformat(selection.until))
    if selection.ids is not None:
        parts = [selection.ids[at : at + _IDS_AT_ONCE] for at in range(0, len(selection.ids), _IDS_AT_ONCE)]
        numbers = sorted(index for part in parts for index in rows.filter(id__in=part).values_list("index", flat=True))
        queries = [rows.filter(index__in=numbers[at : at + _IDS_AT_ONCE]) for at in range(0, len(numbers), _IDS_AT_ONCE)]
    else:
        queries = [rows]
    for query in queries:
        for index, identity, content_hash, body in (
            query.order_by("index").values_list("index", "id", "content_hash", "body").iterator(chunk_size=_ROWS_AT_ONCE)
        ):
            yield index, identity, content_hash, bytes(body)


def _keys_document(ring: Ring, origin: str) -> dict[str, Any]:
    return {
        "origin": origin,
        "keys": [
            {
                "public_key": verifier_text(origin, key.public_key()),
                "from_size": key.from_size,
                "from_at": key.from_at,
                "until_size": key.until_size,
                "until_at": key.until_at,
                "endorsement": key.endorsement,
            }
            for key in ring
            if key.state != "planned"
        ],
    }


def _seal(digest: bytes, origin: str, key: Ed25519PrivateKey) -> bytes:
    return sign(f"{PACK_FORM}\n{origin}\n{_base64(digest)}\n", origin, key)


def _chosen(selection: Selection) -> str:
    """Return a selection as text; the same for the same records in another order."""
    ids = tuple(sorted(set(selection.ids))) if selection.ids is not None else None
    return _ENCODE(msgspec.structs.replace(selection, ids=ids)).decode()


def _told(value: Any) -> Any:
    """Return a part of the selection as the record tells it: of many ids their number."""
    return {"count": len(value)} if isinstance(value, (list, tuple)) else value


def _laid_out(value: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n"


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
