"""Recording: spools and outbox are drained into records, then the ledger is brought up to them.

What a kill leaves behind, step by step:
1. entries read, transaction not committed: the cursors stand where they stood; they are read again;
2. committed, tiles not written: the ledger catches up from the database;
3. tiles written, checkpoint not: the same tiles are written again;
4. segment drained, file not removed: the cursor says so; it is removed then.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

import msgspec
from django.db import DatabaseError, IntegrityError, InterfaceError, connection, transaction
from django.db.backends.signals import connection_created

from guiju.core.clock import now_us
from guiju.core.errors import GuijuError, Text, define
from guiju.core.ids import new_id
from guiju.core.keys import load_pseudonym_key, load_recorder_key
from guiju.core.layout import DataFolder
from guiju.core.master_keys import load_master_keys
from guiju.records import lease
from guiju.records.entry import Entry
from guiju.records.heart import RecorderHeart
from guiju.records.keys.sealing import unseal_from
from guiju.records.models import OpenAnswer, OutboxEntry, Record, SpoolCursor
from guiju.records.recorder.bulk import give_room
from guiju.records.recorder.incoming import Incoming, incoming, is_id, read_entry, told_more
from guiju.records.recorder.ingest import Written, write_entries, write_incoming
from guiju.records.recorder.intake import BATCH_ENTRIES, Arrived, Moved, SpoolIntake
from guiju.records.recorder.issued import note_issued, worded
from guiju.records.recorder.ledger import Ledger
from guiju.records.recorder.months import make_months
from guiju.records.spool.backlog import measure_backlog, read_progress, write_progress
from guiju.records.spool.segment import list_segments
from guiju.screening.classifier.afterwards import AFTERWARDS, MARK, Afterwards
from guiju.screening.classifier.model import Classifier

RECORDS_DELAYED = define(
    "RECORDS-DELAYED",
    status=503,
    kind="server_error",
    retry=True,
    zh=Text(
        "暂时无法写入记录：{reason}。",
        "一条未失：{size_bytes} 字节已持久保存在暂存区 {folder}，等待入账；网关照常回答。",
        "请恢复数据库或磁盘；恢复后自动续写，无需重启。积压见控制台首页和网关的 /readyz；暂存区满后新请求将得到 503。",
    ),
    en=Text(
        "Records cannot be written now: {reason}.",
        "Nothing is lost: {size_bytes} bytes wait durably in the spool {folder}, and the gateway goes on answering.",
        "Bring the database or the disk back; recording then goes on by itself. The console's home page and /readyz of the gateway "
        "tell the backlog; once the spool is full, new requests get 503.",
    ),
)

OPENED: Final = "gateway.answer.opened"
INTERRUPTED: Final = "gateway.answer.interrupted"
_POLL_S: Final = 0.1
_OUTBOX_LOOK_S: Final = 5.0
_RETRY_S: Final = 0.5
_DRAIN_S: Final = 60.0
_TELL_S: Final = 1.0

log = logging.getLogger("guiju.records")


class LeaseLost(Exception):
    """Another recorder writes now; this one gives up its batch and begins again from the database."""


class Recorder:
    """One recorder; `step` does one round. Several may run: one writes, the others stand by."""

    def __init__(self, data: DataFolder, origin: str) -> None:
        self._data = data
        self._recorder_key = load_recorder_key(data.keys)
        self._masters = load_master_keys(data.keys)
        self._pseudonyms = load_pseudonym_key(data.keys)
        self._intake = SpoolIntake(data.spool, self._recorder_key)
        self._ledger = Ledger(data.ledger, origin, data.keys)
        self._holder = lease.new_holder()
        connection_created.connect(give_room)
        self._outbox_looked_at = 0.0
        self._open_writers: set[str] | None = None
        self._ledger_told = ""
        self._heart = RecorderHeart()
        self._afterwards: Afterwards | None = None
        self._progress = msgspec.structs.replace(read_progress(data.run), reason="", since_us=0)
        self._told_at = 0.0
        self._standing_by = False

    def start(self) -> None:
        """Catch up with what an earlier process left behind."""
        self._intake.sweep()
        self._follow(None)
        make_months()

    def step(self) -> int:
        """Turn what has come into records; return how many were written. Raises DatabaseError when it cannot."""
        begun_us = now_us()
        arrived, moved = self._intake.take()
        outbox = self._take_outbox()
        if not (arrived or moved or outbox):
            closed = self._close_answers()
            if not closed:
                self._tell(drained_at_us=self._progress.drained_at_us if self._intake.held_up else begun_us)
            return closed
        arrived += [Arrived(self._opened(bytes(row.sealed)), "") for row in outbox]
        arrived = [self._assessed(each) for each in arrived]
        try:
            with transaction.atomic():
                self._hold()
                written = write_incoming([each.incoming for each in arrived], self._masters)
                note_issued([each.incoming.entry for each in arrived], written.first, self._pseudonyms)
                opened = self._note_answers(arrived)
                _move_cursors(moved)
                _delete_outbox(outbox)
        except BaseException:
            self.forget()
            raise
        if self._open_writers is not None:
            self._open_writers |= opened
        self._follow(written)
        offsets = self._intake.places()
        self._tell(places=self._progress.places | {each.segment: (offsets.get(each.segment, 0), each.at_us) for each in moved})
        return len(arrived)

    def beat(self) -> int:
        """Leave the recorder's own heartbeat on record. Raises as `step` does."""
        with transaction.atomic():
            self._hold()
            written = write_entries([self._heart.beat()], self._masters)
        self._follow(written)
        return 1

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set, then drain what is there and leave."""
        started = False
        leave_at = 0.0
        while True:
            if stop.is_set() and not leave_at:
                leave_at = time.monotonic() + _DRAIN_S
                self._outbox_looked_at = 0.0  # look once more whatever the signal says
            started = started or self._quietly(self.start) is not None
            wrote = self._quietly(self.step) if started else None
            if wrote == 0 and self._heart.due() and not self._standing_by:
                self._quietly(self.beat)
            if leave_at and (not wrote or time.monotonic() > leave_at):
                break
            if not wrote:
                stop.wait(_RETRY_S if wrote is None else _POLL_S)
        self._quietly(lambda: lease.release(self._holder))
        self.forget()

    def forget(self) -> None:
        """Forget what was read; the next step begins from the database."""
        self._intake.forget()
        self._open_writers = None

    def _quietly(self, work: Callable[[], int | None]) -> int | None:
        """Do a piece of work; None when the database, the disk or another recorder is in the way, which passes.

        What is in the way is said once, and once more when it has passed.
        """
        try:
            done = work() or 0
        except LeaseLost:
            if not self._standing_by:
                log.info("another recorder is at work; standing by")
            self._standing_by = True
        except IntegrityError as problem:
            log.info("another recorder was faster (%s); reading again", problem)
        except (DatabaseError, InterfaceError, OSError) as problem:
            self._delayed(" ".join(str(problem).split())[:300] or type(problem).__name__)
            connection.close()
        else:
            if self._progress.reason:
                log.info("records are written again, %d s after they could not be", (now_us() - self._progress.since_us) // 1_000_000)
                self._tell(now=True, reason="", since_us=0)
            return done
        self.forget()
        return None

    def _delayed(self, reason: str) -> None:
        if not self._progress.reason:
            self._tell(now=True, reason=reason, since_us=now_us())
            size_bytes = measure_backlog(self._data.spool, self._data.run, now_us()).size_bytes
            log.error("%s", GuijuError(RECORDS_DELAYED, reason=reason, size_bytes=size_bytes, folder=self._data.spool))
        self._tell()

    def _tell(self, *, now: bool = False, **changed: object) -> None:
        """Write down how far the recorder has come, at most once a second; who stands by leaves that to the other."""
        self._progress = msgspec.structs.replace(self._progress, at_us=now_us(), **changed)
        if (now or time.monotonic() - self._told_at > _TELL_S) and not self._standing_by:
            self._told_at = time.monotonic()
            there = {path.name for path in list_segments(self._data.spool)}
            places = {name: place for name, place in self._progress.places.items() if name in there}
            self._progress = msgspec.structs.replace(self._progress, places=places)
            write_progress(self._data.run, self._progress)

    def _hold(self) -> None:
        if not lease.take(self._holder):
            raise LeaseLost
        self._standing_by = False

    def _take_outbox(self) -> list[OutboxEntry]:
        now = time.monotonic()
        if not self._intake.outbox_signalled() and now - self._outbox_looked_at < _OUTBOX_LOOK_S:
            return []
        found = list(OutboxEntry.objects.order_by("pk")[:BATCH_ENTRIES])
        # A full batch means that more may wait behind it.
        self._outbox_looked_at = 0.0 if len(found) == BATCH_ENTRIES else now
        return found

    def _opened(self, sealed: bytes) -> Incoming:
        try:
            return read_entry(unseal_from(self._recorder_key, sealed))
        except GuijuError:
            return read_entry(sealed)  # not an entry: it is kept aside as it is

    def _assessed(self, arrived: Arrived) -> Arrived:
        """Return what came with the fingerprints of its wording, and with what the classifier says of it where the gateway asked for that."""
        before = arrived.incoming.entry
        entry = worded(before, self._pseudonyms)
        if entry.metadata.get(MARK) != AFTERWARDS:
            return arrived if entry is before else Arrived(told_more(entry), arrived.writer)
        if self._afterwards is None:
            self._afterwards = Afterwards(Classifier.load())
        told = self._afterwards.assess(entry.id, entry.metadata, entry.content)
        return Arrived(incoming(msgspec.structs.replace(entry, metadata=told)), arrived.writer)

    def _note_answers(self, arrived: list[Arrived]) -> set[str]:
        """Keep account of streamed answers that have begun and not ended; return the writers of new ones."""
        opened: dict[str, str] = {}
        ended: list[str] = []
        for each in arrived:
            entry = each.incoming.entry
            if entry.kind == OPENED:
                opened[entry.id] = each.writer
            else:
                answer = entry.metadata.get("answer")
                if isinstance(answer, str) and is_id(answer) and opened.pop(answer, None) is None:
                    ended.append(answer)
        if ended:
            OpenAnswer.objects.filter(answer__in=ended).delete()
        OpenAnswer.objects.bulk_create(
            [OpenAnswer(answer=answer, writer=writer) for answer, writer in opened.items()], ignore_conflicts=True
        )
        return set(opened.values())

    def _close_answers(self) -> int:
        """Record as interrupted what dead workers had begun to send; return how many records that made."""
        if self._open_writers is None:
            self._open_writers = set(OpenAnswer.objects.values_list("writer", flat=True).distinct())
        for writer in [writer for writer in self._open_writers if self._intake.is_finished(writer)]:
            with transaction.atomic():
                self._hold()
                rows = OpenAnswer.objects.filter(writer=writer)
                answers = sorted(rows.values_list("answer", flat=True))[:BATCH_ENTRIES]
                entries = [_interrupted(record) for record in Record.objects.filter(id__in=answers).order_by("index")]
                written = write_entries(entries, self._masters) if entries else None
                rows.filter(answer__in=answers).delete()
            if len(answers) < BATCH_ENTRIES:
                self._open_writers.discard(writer)
            self._intake.sweep()
            if written is not None:
                log.info("recorded %d answers that worker %s had begun and did not end", len(entries), writer)
                self._follow(written)
                return len(entries)
        return 0

    def _follow(self, written: Written | None) -> None:
        """Bring the ledger up to the database. What is in its way is said once; records are written all the same."""
        try:
            self._ledger.catch_up(written)
            told = ""
        except GuijuError as problem:
            told = str(problem)
        except OSError as problem:
            told = f"the ledger folder cannot be written: {problem}"
        if told and told != self._ledger_told:
            log.error("%s", told)
        self._ledger_told = told


def _move_cursors(moved: list[Moved]) -> None:
    for each in moved:
        if each.before is None:
            SpoolCursor.objects.create(segment=each.segment, counter=each.after)
        elif not SpoolCursor.objects.filter(segment=each.segment, counter=each.before).update(counter=each.after):
            raise LeaseLost


def _delete_outbox(rows: list[OutboxEntry]) -> None:
    if rows and OutboxEntry.objects.filter(pk__in=[row.pk for row in rows]).delete()[0] != len(rows):
        raise LeaseLost


def _interrupted(opened: Record) -> Entry:
    metadata: dict[str, object] = {"answer": opened.id, "reason": "WORKER-ENDED"}
    return Entry(new_id(), now_us(), INTERRUPTED, opened.service, "recorder", opened.subject, (), metadata)
