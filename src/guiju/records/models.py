"""What is kept: the records, their sealed content, the keys of subjects, and where the recorder stands.

A record is written once; the database itself refuses to change or remove one, and to number one out of turn (migration 0002).
`body` is the record; the columns beside it repeat parts of it so that lists can be searched. On PostgreSQL records and their
content lie in one partition for each month (months.py), told apart by the time in a record's id.
"""

from typing import TYPE_CHECKING, Any

import msgspec
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

_TEXT_LIMIT = 200
if TYPE_CHECKING:
    _BigInteger = models.BigIntegerField[int, int]  # generic for the type checker only
else:
    _BigInteger = models.BigIntegerField


class IndexField(_BigInteger):
    """A 64-bit index; on SQLite spelled so that it is the table's own order and costs no second tree."""

    def db_type(self, connection: BaseDatabaseWrapper) -> str | None:
        return "integer" if connection.vendor == "sqlite" else super().db_type(connection)


class Record(models.Model):
    """One thing that happened. `leaf` is SHA-256 of `body`; leaf number `index` of the Merkle log is made of it."""

    index = IndexField(primary_key=True)
    id = models.CharField(max_length=26, unique=True)
    at = models.DateTimeField(db_index=True)
    kind = models.CharField(max_length=_TEXT_LIMIT)
    service = models.CharField(max_length=_TEXT_LIMIT)
    actor = models.CharField(max_length=_TEXT_LIMIT)
    subject = models.CharField(max_length=_TEXT_LIMIT)
    content_hash = models.CharField(max_length=64)
    body = models.BinaryField()
    leaf = models.BinaryField()

    class Meta:
        indexes = [models.Index(fields=[name, "index"], name=f"records_by_{name}") for name in ("kind", "service", "subject")]
        permissions = [("open_record", "Can open sealed content")]

    def __str__(self) -> str:
        return f"{self.id} {self.kind}"

    @property
    def metadata(self) -> dict[str, Any]:
        """What the record says beside who, when and what."""
        found: dict[str, Any] = self._part("metadata")
        return found

    @property
    def obligations(self) -> list[str]:
        """Ids of the obligations that the record is evidence for."""
        found: list[str] = self._part("obligations")
        return found

    def _part(self, name: str) -> Any:
        return msgspec.json.decode(bytes(self.body))[name]


class Head(models.Model):
    """The number of the next record; one row. The database lets it stand nowhere but behind the newest record."""

    id = models.SmallIntegerField(primary_key=True)
    next_index = models.BigIntegerField()

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="records_one_head")]

    def __str__(self) -> str:
        return str(self.next_index)


def next_index() -> int:
    """Return the number that the next record will have: how many have been written, those that were removed included."""
    return Head.objects.get().next_index


class DayMark(models.Model):
    """Records with numbers below `next_index` were written before `day`, a UTC day by the database's clock.

    The database's own trigger writes one with the first record of a day; days only go forward. So the age of a record is
    known from its number, whatever clock its worker had.
    """

    day = models.DateField(primary_key=True)
    next_index = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.day} {self.next_index}"


class RetentionRule(models.Model):
    """How many days the database keeps records of a kind from being removed; 0 for ever. It lets nobody shorten one."""

    kind = models.CharField(max_length=_TEXT_LIMIT, primary_key=True)
    minimum_days = models.IntegerField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(minimum_days=0) | models.Q(minimum_days__gte=184), name="records_six_months_or_ever")
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.minimum_days}"


class Removal(models.Model):
    """What retention removes from one block of numbers: ordered together with its record, carried out afterwards.

    `id` is that of the record `records.retention.removed`, which names each number. Numbers below `done_until` are done.
    """

    class What(models.TextChoices):
        """What goes."""

        CONTENT = "content"
        RECORD = "record"

    id = models.CharField(max_length=26, primary_key=True)
    what = models.CharField(max_length=10, choices=What.choices)
    first = models.BigIntegerField()
    until = models.BigIntegerField()
    bits = models.BinaryField()  # a bit for each number from `first` on: what the database lets go
    ordered = models.IntegerField()
    removed = models.IntegerField(default=0)
    done_until = models.BigIntegerField()
    ordered_at = models.DateTimeField(db_index=True)
    finished_at = models.DateTimeField(null=True, db_index=True)

    def __str__(self) -> str:
        return f"{self.id} {self.what} {self.first}–{self.until}"


class Gap(models.Model):
    """Records that should be there and are not: found by the watch, closed by a person with a reason. `key` names it once."""

    key = models.CharField(max_length=_TEXT_LIMIT, unique=True)
    cause = models.CharField(max_length=20)
    zh = models.TextField()
    en = models.TextField()
    service = models.CharField(max_length=_TEXT_LIMIT, blank=True)
    found_at = models.DateTimeField()
    record = models.CharField(max_length=26)
    closed_at = models.DateTimeField(null=True, db_index=True)
    closed_by = models.CharField(max_length=_TEXT_LIMIT, blank=True)
    closed_reason = models.CharField(max_length=_TEXT_LIMIT, blank=True)

    class Meta:
        permissions = [("close_gap", "Can close a gap in the records")]

    def __str__(self) -> str:
        return self.key


class Watch(models.Model):
    """How far the watch for gaps has looked; one row."""

    id = models.SmallIntegerField(primary_key=True)
    next_index = models.BigIntegerField()
    counted_at = models.DateTimeField()

    def __str__(self) -> str:
        return str(self.next_index)


class SubjectKey(models.Model):
    """The data key of one subject, wrapped by the master key. Destroyed, it is empty, and a later key is another row."""

    subject = models.CharField(max_length=_TEXT_LIMIT)
    wrapped = models.BinaryField(null=True)
    master = models.CharField(max_length=16)  # id of the master key that wraps it
    created_at = models.DateTimeField(auto_now_add=True)
    destroyed_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["subject"], name="records_keys_by_subject")]
        constraints = [models.UniqueConstraint(fields=["subject"], condition=models.Q(destroyed_at=None), name="records_one_key_in_use")]

    def __str__(self) -> str:
        return self.subject


class RecordContent(models.Model):
    """What people wrote and models answered, sealed under the subject's key: nonce ‖ AES-256-GCM."""

    # By the record's id, which is what both tables are partitioned by. No foreign key: it would cost a look-up for each row.
    record = models.OneToOneField(Record, models.PROTECT, to_field="id", primary_key=True, related_name="content", db_constraint=False)
    key = models.ForeignKey(SubjectKey, models.PROTECT, db_index=False)
    sealed = models.BinaryField()

    def __str__(self) -> str:
        return str(self.record_id)


class IssuedText(models.Model):
    """A way from the fingerprint of an answer's text to its record, which holds the fingerprint too; see `issued.py`."""

    place = IndexField(primary_key=True)
    """The record's index times 16, and the number of the fingerprint within it: one tree less for a row of every answer."""
    mark = models.BinaryField(max_length=16)

    class Meta:
        indexes = [models.Index(fields=["mark"], name="records_issued_mark")]

    def __str__(self) -> str:
        return f"{bytes(self.mark).hex()} {self.place}"


class MasterKeyRotation(models.Model):
    """A change of the master key: subject keys are wrapped anew, batch by batch, under the one with this id."""

    id = models.CharField(max_length=16, primary_key=True)
    begun_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return str(self.id)


class Hold(models.Model):
    """A legal hold: what it selects is neither erased nor removed while it stands. Conditions that are set hold together."""

    id = models.CharField(max_length=26, primary_key=True)
    subject = models.CharField(max_length=_TEXT_LIMIT, blank=True)
    kind = models.CharField(max_length=_TEXT_LIMIT, blank=True)
    service = models.CharField(max_length=_TEXT_LIMIT, blank=True)
    since = models.DateTimeField(null=True)
    until = models.DateTimeField(null=True)
    reason = models.CharField(max_length=_TEXT_LIMIT)
    reference = models.CharField(max_length=_TEXT_LIMIT)
    set_by = models.CharField(max_length=_TEXT_LIMIT)
    set_at = models.DateTimeField()
    lifted_by = models.CharField(max_length=_TEXT_LIMIT, blank=True)
    lifted_at = models.DateTimeField(null=True, db_index=True)
    lifted_reason = models.CharField(max_length=_TEXT_LIMIT, blank=True)

    class Meta:
        permissions = [("set_hold", "Can set and lift a legal hold")]

    def __str__(self) -> str:
        return f"{self.id} {self.reference}"


class Request(models.Model):
    """A person asks to open or to erase; where the policy says so another person approves before it is done.

    ASKED → APPROVED → OPEN (a subject's contents, until `until`) or DONE; or REFUSED. Whether one has expired is computed.
    """

    class Deed(models.TextChoices):
        """What is asked for."""

        OPEN_RECORD = "open_record"
        OPEN_RECORDS = "open_records"
        OPEN_SUBJECT = "open_subject"
        ERASE_SUBJECT = "erase_subject"
        OPEN_REVIEW = "open_review"  # what is in the queue of reviews, for a time: nothing is used up

    class State(models.TextChoices):
        """Where it stands."""

        ASKED = "asked"
        APPROVED = "approved"
        REFUSED = "refused"
        OPEN = "open"
        DONE = "done"

    id = models.CharField(max_length=26, primary_key=True)
    deed = models.CharField(max_length=20, choices=Deed.choices)
    subject = models.CharField(max_length=_TEXT_LIMIT, blank=True)
    record = models.CharField(max_length=26, blank=True)
    selection = models.TextField(blank=True)  # of many records: how they were chosen
    records = models.JSONField(default=list)  # and the id of each
    reason = models.CharField(max_length=_TEXT_LIMIT)
    state = models.CharField(max_length=10, choices=State.choices)
    until = models.DateTimeField()
    asked_by = models.CharField(max_length=_TEXT_LIMIT)
    asked_at = models.DateTimeField()
    decided_by = models.CharField(max_length=_TEXT_LIMIT, blank=True)
    decided_at = models.DateTimeField(null=True)
    decided_reason = models.CharField(max_length=_TEXT_LIMIT, blank=True)
    done_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["state", "until"], name="records_requests_waiting"),
            models.Index(fields=["subject", "deed"], name="records_requests_by_subject"),
            models.Index(fields=["record"], name="records_requests_by_record"),
        ]
        permissions = [
            ("approve_opening", "Can approve that another person opens sealed content"),
            ("erase_subject", "Can erase a subject"),
            ("approve_erasure", "Can approve that another person erases a subject"),
        ]

    def __str__(self) -> str:
        return f"{self.id} {self.deed}"


class Erasure(models.Model):
    """A subject was erased: the signed certificate, and whether the sealed bytes have been removed too."""

    id = models.CharField(max_length=26, primary_key=True)
    subject = models.CharField(max_length=_TEXT_LIMIT, db_index=True)
    at = models.DateTimeField()
    certificate = models.TextField()
    finished_at = models.DateTimeField(null=True, db_index=True)

    def __str__(self) -> str:
        return f"{self.id} {self.subject}"


class OutboxEntry(models.Model):
    """An entry of the paper side, written in the transaction of what it tells, sealed to the recorder."""

    sealed = models.BinaryField()

    def __str__(self) -> str:
        return str(self.pk)


class SpoolCursor(models.Model):
    """How far a spool segment has become records: every frame up to `counter`.

    Kept when the segment is gone, so that a recorder that still holds it open cannot write its entries again.
    """

    segment = models.CharField(max_length=_TEXT_LIMIT, primary_key=True)
    counter = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.segment} {self.counter}"


class OpenAnswer(models.Model):
    """A streamed answer whose beginning is on record and whose end is not yet; `writer` is the worker's spool writer."""

    answer = models.CharField(max_length=26, primary_key=True)
    writer = models.CharField(max_length=26, db_index=True)

    def __str__(self) -> str:
        return self.answer


class Lease(models.Model):
    """Who may write records now. Taken and renewed by an update whose condition decides; one row."""

    name = models.CharField(max_length=32, primary_key=True)
    holder = models.CharField(max_length=_TEXT_LIMIT)
    until = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name} {self.holder}"
