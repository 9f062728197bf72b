"""The check of the whole ledger: checkpoint, tiles, records, sealed content, and what waits. Reads only.

Steps are numbered as in the report:
1. the checkpoint is signed;
2. every tile follows from the entries, and all of them from the signed root;
3. every record's body has its leaf, the columns repeat the body, numbers have no gap;
4. sealed content has the recorded hash, and its key can be unwrapped;
5. what is not in the ledger yet, and what could not be read.
"""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.db.models import Exists, Max, OuterRef, TextField
from django.db.models.functions import Cast

from guiju.core.errors import GuijuError
from guiju.core.keys import load_ring
from guiju.core.layout import DataFolder
from guiju.core.master_keys import load_master_keys
from guiju.records.beside import start_beside
from guiju.records.keeping.removal import Removed, removed_numbers
from guiju.records.keys.sealing import SITE_SUBJECT, unwrap
from guiju.records.log.history import check_grown, check_stamps
from guiju.records.log.merkle import EMPTY_ROOT, leaf_hash, root_of
from guiju.records.log.note import Checkpoint, stated_checkpoint
from guiju.records.log.report import Outcome, Report, Step
from guiju.records.log.signers import ring_from, verify_site_checkpoint
from guiju.records.log.tiles import WIDTH, TileReader, read_checkpoint
from guiju.records.models import OutboxEntry, Record, RecordContent, Removal, SpoolCursor, SubjectKey, next_index
from guiju.records.recorder.intake import DAMAGED_FOLDER
from guiju.records.spool.segment import list_segments, waiting_frames

Progress = Callable[[int, int], None]
NOT_PROVEN: Final = (
    (
        "在本检查点之前没有换过整个账本：请与此前自行保存、或交给他人的检查点比对。",
        "That the whole ledger was not replaced before this checkpoint: compare with checkpoints kept earlier or given to others.",
    ),
    ("记录所述之事是否属实：只证明写入之后没有改动过。", "That what records say is true: only that they have not changed since."),
)
_COLUMNS: Final = ("id", "kind", "service", "actor", "subject", "content_hash")
_ENCODE: Final = msgspec.json.Encoder(order="sorted").encode  # canonical JSON but for floats, which no hash here lets in
_SHOWN: Final = 5
_AT_ONCE: Final = 2_000
_BESIDE_FROM: Final = 20_000


@dataclass(slots=True)
class _Findings:
    """Problems of one step: all counted, the first few kept."""

    count: int = 0
    shown: list[str] = field(default_factory=list)

    def add(self, problem: str) -> None:
        self.count += 1
        if len(self.shown) < _SHOWN:
            self.shown.append(problem)

    def text(self) -> str:
        return "; ".join(self.shown) + (f"; and {self.count - len(self.shown)} more" if self.count > len(self.shown) else "")


def verify_ledger(
    data: DataFolder,
    origin: str,
    public_key: Ed25519PublicKey,
    progress: Progress | None = None,
    *,
    earlier: bytes | None = None,
    stamps: Path | None = None,
) -> Report:
    """Return what holds, step by step; every step is done whatever the others find.

    `stamps` is the file with the roots of the time-stamp authority: a further step checks the time stamps. `earlier` is a
    checkpoint that somebody kept: a further step says whether the ledger has grown from it.

    `progress` is told (done, all) while records are read.
    Source: Measures Art. 9; Cybersecurity Law Art. 23.
    """
    note = read_checkpoint(data.ledger)
    kept = next_index()
    first, signed = _check_signature(data, note, origin, public_key)
    size = signed.size if signed is not None else 0
    steps = [first]
    if note is None:
        outcome: Outcome = "fails" if kept else "open"
        zh, en = ("没有检查点", "There is no checkpoint") if kept else ("账本为空", "The ledger is empty")
        steps = [Step(1, outcome, zh, en, f"{kept} records in the database")]
    told = progress or (lambda done, whole: None)
    whole = max(size, kept)
    removed = removed_numbers()
    beside = start_beside(partial(_check_tiles_and_contents, data, signed, removed), worthwhile=kept > _BESIDE_FROM)
    records = _check_records(data, size, kept, removed, lambda done: told(done, whole))
    tiles, contents = beside()
    steps += [tiles, records, contents]
    steps.append(_check_waiting(data, size, kept))
    if stamps is not None:
        steps.append(check_stamps(len(steps) + 1, data, origin, signed, stamps))
    if earlier is not None:
        steps.append(check_grown(len(steps) + 1, data, origin, signed, earlier))
    told(whole, whole)
    return Report(tuple(steps), NOT_PROVEN)


def _check_signature(data: DataFolder, note: bytes | None, origin: str, trusted: Ed25519PublicKey) -> tuple[Step, Checkpoint | None]:
    # 1. The checkpoint is signed by a key within its span, and that key follows from the one that is trusted. What it states
    #    is used below even when it is not, to find out more.
    zh, en = "检查点的签名有效", "The checkpoint's signature is valid"
    if note is None:
        return Step(1, "open", zh, en), None
    try:
        signed = verify_site_checkpoint(note, origin, ring_from(load_ring(data.keys), origin, trusted))
    except GuijuError as problem:
        reason = str(problem.facts["reason"])
        try:
            return Step(1, "fails", zh, en, reason), stated_checkpoint(note)
        except GuijuError:
            return Step(1, "fails", zh, en, reason), None
    return Step(1, "holds", zh, en, f"{signed.origin} · {signed.size} · {signed.root.hex()}"), signed


def _check_tiles_and_contents(data: DataFolder, signed: Checkpoint | None, removed: Removed) -> tuple[Step, Step]:
    """Do steps 2 and 4, which together cost what step 3 does: the two halves of the work for two cores."""
    return _check_tiles(data, signed), _check_contents(data, removed)


def _check_tiles(data: DataFolder, signed: Checkpoint | None) -> Step:
    # 2. Leaf hashes are made of the entries, each level of the one below, and the last one is the signed root.
    size = signed.size if signed is not None else 0
    found = _Findings()
    reader = TileReader(data.ledger, size)
    level, row = 0, []
    for number in range((size + WIDTH - 1) // WIDTH):
        try:
            row += [leaf_hash(entry) for entry in reader.entries(number)]
        except (GuijuError, OSError) as problem:
            found.add(str(problem))
            row += [b""] * min(WIDTH, size - number * WIDTH)
    while row:
        for number in range((len(row) + WIDTH - 1) // WIDTH):
            try:
                if reader.hashes(level, number) != row[number * WIDTH : (number + 1) * WIDTH]:
                    found.add(f"tile/{level} number {number} does not follow from what lies below it")
            except (GuijuError, OSError) as problem:
                found.add(str(problem))
        row = [root_of(row[at : at + WIDTH]) for at in range(0, len(row) - WIDTH + 1, WIDTH)]
        level += 1
    try:
        root = reader.root() if size else EMPTY_ROOT
        if signed is not None and root != signed.root:
            found.add(f"the tiles lead to the root {root.hex()}, signed is {signed.root.hex()}")
    except (GuijuError, OSError) as problem:
        found.add(str(problem))
    zh, en = f"账本的 {size} 个叶子逐层算到已签名的树根", f"The {size} leaves of the ledger lead, level by level, to the signed root"
    return Step(2, "fails" if found.count else "holds", zh, en, found.text())


def _check_records(data: DataFolder, size: int, kept: int, removed: Removed, told: Callable[[int], None]) -> Step:
    # 3. Body → leaf → entry of the ledger; columns repeat the body; numbers are 0, 1, 2, …, but for what a removal names.
    found = _Findings()
    entries = _entries(data, size)
    expected = present = 0
    gone: Counter[str] = Counter()
    # The time as text: making a datetime of it would cost as much as the rest of the row.
    timed = Record.objects.annotate(at_text=Cast("at", TextField()))
    rows = timed.order_by("index").values_list("index", "at_text", "leaf", "body", *_COLUMNS)
    for index, at, leaf, body, *columns in rows.iterator(chunk_size=_AT_ONCE):
        if index >= max(size, kept):
            break  # written since this check began
        if index < expected:
            found.add(f"record {index} ({columns[0]}): its number is none")
            continue
        if index != expected:
            _explain_missing(expected, index, removed, gone, found)
            for _ in range(expected, min(index, size)):
                next(entries)
        expected = index + 1
        present += 1
        problem = _record_problem(at, bytes(leaf), bytes(body), columns)
        if index < size and next(entries, b"") != bytes(leaf):
            problem = problem or "its leaf is not the ledger's"
        if problem:
            found.add(f"record {index} ({columns[0]}): {problem}")
        if not index % _AT_ONCE:
            told(index)
    _explain_missing(expected, max(size, kept), removed, gone, found)
    zh, en = f"{present} 条记录未改动、未调换，无一缺失", f"{present} records are unchanged, none missing, none exchanged"
    if gone:
        zh += f"；另有 {gone.total()} 条按保存期限清除"
        en += f"; {gone.total()} more were removed by retention"
    return Step(3, "fails" if found.count else "holds", zh, en, found.text() or _per_record(gone))


def _explain_missing(first: int, until: int, removed: Removed, gone: Counter[str], found: _Findings) -> None:
    """Count the numbers that a removal names, add the others as missing."""
    missing = -1
    for number in range(first, until):
        record = removed.find(Removal.What.RECORD, number)
        if record:
            gone[record] += 1
        if record and missing >= 0:
            found.add(f"records {missing} to {number - 1} are missing")
            missing = -1
        elif not record and missing < 0:
            missing = number
    if missing >= 0:
        found.add(f"records {missing} to {until - 1} are missing")


def _per_record(gone: Counter[str]) -> str:
    shown = sorted(gone.items(), reverse=True)[:_SHOWN]
    more = len(gone) - len(shown)
    parts = [f"{count} removed by retention, per record {record}" for record, count in shown]
    return "; ".join(parts) + (f"; and {more} removals more" if more else "")


def _entries(data: DataFolder, size: int) -> Iterator[bytes]:
    """Yield the ledger's leaves; an empty one where the ledger cannot be read, which step 2 has reported."""
    reader = TileReader(data.ledger, size)
    for number in range((size + WIDTH - 1) // WIDTH):
        try:
            yield from reader.entries(number)
        except (GuijuError, OSError):
            yield from [b""] * min(WIDTH, size - number * WIDTH)


def _record_problem(at: str, leaf: bytes, body: bytes, columns: list[str]) -> str:
    if sha256(body).digest() != leaf:
        return "its body was changed"
    try:
        said: dict[str, Any] = msgspec.json.decode(body)
        if _ENCODE(said) != body:
            return "its body is not canonical"
        if [said[name] for name in _COLUMNS] != columns:
            return "its columns do not repeat its body"
        said_at: str = said["at"]
        if at.removesuffix("+00") != f"{said_at[:10]} {said_at[11:26]}" and _moment(at) != said_at:
            return "its time column does not repeat its body"
    except (msgspec.DecodeError, KeyError, TypeError, ValueError) as problem:
        return f"its body is no record ({problem})"
    return ""


def _moment(text: str) -> str:
    """Return a time of the database as records write it; databases leave out zeros, and PostgreSQL names the zone."""
    at = datetime.fromisoformat(text)
    return at.replace(tzinfo=at.tzinfo or UTC).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _check_contents(data: DataFolder, removed: Removed) -> Step:
    # 4. Content as it was sealed; keys as they were wrapped. Content that was erased is counted, not missed.
    found = _Findings()
    rows = RecordContent.objects.order_by("record_id").values_list(
        "record__index", "sealed", "record__content_hash", "key__subject", "record__subject"
    )
    count = 0
    for index, sealed, content_hash, key_subject, subject in rows.iterator(chunk_size=_AT_ONCE):
        count += 1
        if sha256(bytes(sealed)).hexdigest() != content_hash:
            found.add(f"the content of record {index} was changed")
        elif key_subject != (subject or "site"):
            found.add(f"the content of record {index} hangs on another subject's key")
    # Looked for, not counted: a recorder may write meanwhile.
    if RecordContent.objects.filter(~Exists(Record.objects.filter(id=OuterRef("record_id")))).exists():
        found.add("there is content of no record")
    erased, gone = _count_gone(removed, found)
    try:
        masters = load_master_keys(data.keys)
    except GuijuError as problem:
        found.add(str(problem))
    else:
        for key in SubjectKey.objects.filter(destroyed_at=None).iterator(chunk_size=_AT_ONCE):
            try:
                unwrap(bytes(key.wrapped or b""), masters.get(key.master), key.subject)
            except GuijuError as problem:
                found.add(str(problem))
    zh, en = (
        f"{count} 份封存内容与记录的哈希一致，{erased} 份已删除",
        f"{count} sealed contents have the recorded hash; {erased} were erased",
    )
    if gone:
        zh += f"，{gone.total()} 份按保存期限清除"
        en += f"; {gone.total()} were removed by retention"
    return Step(4, "fails" if found.count else "holds", zh, en, found.text() or _per_record(gone))


def _count_gone(removed: Removed, found: _Findings) -> tuple[int, Counter[str]]:
    """Count content that is gone: erased with its subject's key, or removed by retention. Any other is missing."""
    destroyed = SubjectKey.objects.exclude(destroyed_at=None).values_list("subject").annotate(Max("destroyed_at")).order_by()
    erased_at = dict(destroyed)
    erased, gone = 0, Counter[str]()
    rows = Record.objects.exclude(content_hash="").filter(content=None).order_by("index").values_list("index", "subject", "at")
    for index, subject, at in rows.iterator(chunk_size=_AT_ONCE):
        key_gone_at = erased_at.get(subject or SITE_SUBJECT)
        if key_gone_at is not None and at <= key_gone_at:
            erased += 1
        elif record := removed.find(Removal.What.CONTENT, index):
            gone[record] += 1
        else:
            found.add(f"the content of record {index} is missing")
    return erased, gone


def _check_waiting(data: DataFolder, size: int, kept: int) -> Step:
    # 5. What the ledger does not hold yet is not proven; what could not be read is lost.
    entries, waiting_bytes = _waiting_in_spool(data)
    outbox = OutboxEntry.objects.count()
    damaged = sorted(path.name for path in (data.spool / DAMAGED_FOLDER).glob("*"))
    beyond = max(kept - size, 0)
    zh = f"检查点之后 {beyond} 条，暂存区待入账 {entries} 条（{waiting_bytes} 字节），发件箱 {outbox} 条，损坏的暂存段 {len(damaged)} 个"
    en = (
        f"{beyond} records after the checkpoint, {entries} entries ({waiting_bytes} bytes) wait in the spool, "
        f"{outbox} in the outbox, {len(damaged)} damaged segments"
    )
    outcome: Outcome = "fails" if damaged else "open" if beyond or entries or outbox else "holds"
    return Step(5, outcome, zh, en, ", ".join(damaged))


def _waiting_in_spool(data: DataFolder) -> tuple[int, int]:
    """Return how many entries of the spool are not on record yet, and their bytes; the room written ahead of a segment is none of them."""
    entries = size_bytes = 0
    cursors = dict(SpoolCursor.objects.values_list("segment", "counter"))
    for path in list_segments(data.spool):
        with contextlib.suppress(OSError):  # drained and removed meanwhile
            more, their_bytes = waiting_frames(path, cursors.get(path.name, -1))
            entries += more
            size_bytes += their_bytes
    return entries, size_bytes
