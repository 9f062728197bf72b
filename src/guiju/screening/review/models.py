"""What is kept of reviews: items, decisions, what each decision says of each rule, proposals for the owner of the library.

An item is `waiting` → `taken` (by one person, until its lease ends) → `decided`; with a second review it waits once more in between. It
is `gone` when its content is: erased with its person, past its days, or never kept. What people wrote stays in the sealed content of the
records; here stand the places, and a reviewer's note, which goes with the content.
"""

from django.db import models
from django.utils.translation import gettext_lazy as _

_TEXT_LIMIT = 200
NOTE_CHARACTERS = 500
PHRASE_CHARACTERS = 60


class Item(models.Model):
    """One exchange that a person is to look at, named by the record that closed it. Whether it is overdue is computed."""

    class Origin(models.TextChoices):
        """Why it is here."""

        HIT = "hit", _("把握不足的命中")
        SAMPLE = "sample", _("抽样")

    class State(models.TextChoices):
        """Where it stands."""

        WAITING = "waiting", _("待复核")
        TAKEN = "taken", _("复核中")
        DECIDED = "decided", _("已复核")
        GONE = "gone", _("内容已不在")

    record = models.CharField(max_length=26, primary_key=True)
    begun = models.CharField(max_length=26, blank=True)  # the record that a streamed answer began with: it holds the request
    kind = models.CharField(max_length=_TEXT_LIMIT)
    service = models.CharField(max_length=_TEXT_LIMIT)
    subject = models.CharField(max_length=_TEXT_LIMIT, blank=True)  # a pseudonym: the note is sealed under that person's key
    at = models.DateTimeField()
    origin = models.CharField(max_length=8, choices=Origin.choices)
    hits = models.JSONField(default=list)  # as the record lists them, each with its direction
    library = models.CharField(max_length=64, blank=True)
    bundle = models.CharField(max_length=64, blank=True)
    needs = models.PositiveSmallIntegerField(default=1)  # how many people decide
    state = models.CharField(max_length=8, choices=State.choices, default=State.WAITING)
    taken_by = models.CharField(max_length=_TEXT_LIMIT, blank=True)
    lease_until = models.DateTimeField(null=True)
    opened_at = models.DateTimeField(null=True)  # within this lease
    queued_at = models.DateTimeField()
    due_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)
    because = models.CharField(max_length=8, blank=True)  # of one that is gone: none, erased, removed, missing

    class Meta:
        indexes = [models.Index(fields=["state", "due_at"], name="review_by_state"), models.Index(fields=["at"], name="review_by_time")]
        permissions = [("review_item", "Can review what screening did")]

    def __str__(self) -> str:
        return f"{self.record} {self.state}"


class Decision(models.Model):
    """What one person decided about one item; `record` is the record of it."""

    item = models.ForeignKey(Item, models.CASCADE, related_name="decisions")
    reviewer = models.CharField(max_length=_TEXT_LIMIT)
    at = models.DateTimeField()
    note = models.CharField(max_length=NOTE_CHARACTERS, blank=True)  # personal information masked
    record = models.CharField(max_length=26)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["item", "reviewer"], name="review_once_each")]

    def __str__(self) -> str:
        return f"{self.item_id} {self.reviewer}"


class Finding(models.Model):
    """What a decision says of one rule in one direction; without a rule, of what no rule found."""

    class Verdict(models.TextChoices):
        """The judgement."""

        RIGHT = "right", _("正确")
        FALSE = "false", _("误报")
        MISSED = "missed", _("漏报")
        UNSURE = "unsure", _("无法判断")

    decision = models.ForeignKey(Decision, models.CASCADE, related_name="findings")
    direction = models.CharField(max_length=6, blank=True)
    rule = models.CharField(max_length=_TEXT_LIMIT, blank=True, db_index=True)
    risk = models.CharField(max_length=8, blank=True)
    confidence = models.CharField(max_length=6, blank=True)
    verdict = models.CharField(max_length=6, choices=Verdict.choices)
    path = models.CharField(max_length=_TEXT_LIMIT, blank=True)
    start = models.IntegerField(null=True)
    end = models.IntegerField(null=True)

    def __str__(self) -> str:
        return f"{self.rule or '–'} {self.verdict}"


class Proposal(models.Model):
    """A longer word that should excuse a term, proposed from a false hit. Nothing enters a library by it."""

    class State(models.TextChoices):
        """What became of it."""

        DRAFT = "draft", _("待词库负责人处理")
        ADOPTED = "adopted", _("已采纳")
        DISMISSED = "dismissed", _("不采纳")

    item = models.ForeignKey(Item, models.CASCADE, related_name="proposals")
    rule = models.CharField(max_length=_TEXT_LIMIT)
    phrase = models.CharField(max_length=PHRASE_CHARACTERS)
    proposed_by = models.CharField(max_length=_TEXT_LIMIT)
    at = models.DateTimeField()
    state = models.CharField(max_length=9, choices=State.choices, default=State.DRAFT, db_index=True)
    settled_by = models.CharField(max_length=_TEXT_LIMIT, blank=True)
    settled_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["rule", "phrase"], name="review_one_proposal")]
        permissions = [("settle_proposal", "Can settle a proposed exception")]

    def __str__(self) -> str:
        return f"{self.rule} {self.phrase}"


class Reach(models.Model):
    """How far the records have been looked through for marks; one row."""

    id = models.SmallIntegerField(primary_key=True)
    after = models.BigIntegerField()

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="review_one_reach")]

    def __str__(self) -> str:
        return str(self.after)
