"""Keyword libraries as they were imported: each version is kept whole, so that a record's version can always be read.

States: `draft` (imported, not in force) → `reviewed` (by somebody other than who imported it; needed where `library_people` is 2)
→ `active` (in force, at most one) → `retired`; a retired one may come back, with a reason.
"""

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from guiju.core.ids import new_id


class LibraryVersion(models.Model):
    """One imported keyword library; `version` is the SHA-256 of its canonical CSV, which is `body`."""

    class State(models.TextChoices):
        DRAFT = "draft", _("待启用")
        REVIEWED = "reviewed", _("已审核")
        ACTIVE = "active", _("使用中")
        RETIRED = "retired", _("已停用")

    version = models.CharField(max_length=64, primary_key=True)
    name = models.CharField(max_length=200)
    body = models.BinaryField()
    entries = models.PositiveIntegerField()
    imported_at = models.DateTimeField(auto_now_add=True)
    imported_by = models.CharField(max_length=150)
    reviewed_at = models.DateTimeField(null=True)
    reviewed_by = models.CharField(max_length=150, blank=True)
    activated_at = models.DateTimeField(null=True)
    state = models.CharField(max_length=8, choices=State, default=State.DRAFT)

    class Meta:
        ordering = ["-imported_at"]
        constraints = [models.UniqueConstraint(fields=["state"], condition=models.Q(state="active"), name="screening_one_active_library")]
        permissions = [("review_libraryversion", "Can review a keyword library that somebody else imported")]

    def __str__(self) -> str:
        return f"{self.name} {self.version[:12]}"


class LibraryStep(models.Model):
    """Something done with a library: who, when, why. Each has a record too, `record`; this is what the history page is made of."""

    class What(models.TextChoices):
        """What was done."""

        IMPORTED = "imported", _("导入")
        REVIEWED = "reviewed", _("审核")
        ACTIVATED = "activated", _("启用")
        ROLLED_BACK = "rolled_back", _("回退")

    library = models.ForeignKey(LibraryVersion, models.PROTECT, related_name="steps")
    what = models.CharField(max_length=12, choices=What)
    at = models.DateTimeField(default=timezone.now, db_index=True)
    actor = models.CharField(max_length=150)
    reason = models.CharField(max_length=200, blank=True)
    before = models.CharField(max_length=64, blank=True)  # the version that was in force
    record = models.CharField(max_length=26, blank=True)  # empty for steps older than this table

    class Meta:
        ordering = ["-at", "-id"]

    def __str__(self) -> str:
        return f"{self.what} {self.library_id[:12]}"


class LibraryTrial(models.Model):
    """A dry run: a version beside the one in force, over what was said. Kept are counts; `ids` are the records to read, and are
    forgotten at the end.
    """

    class State(models.TextChoices):
        QUEUED = "queued", _("等待运行")
        RUNNING = "running", _("运行中")
        DONE = "done", _("已完成")
        FAILED = "failed", _("未完成")

    id = models.CharField(max_length=26, primary_key=True, default=new_id)
    library = models.ForeignKey(LibraryVersion, models.PROTECT, related_name="trials")
    before = models.CharField(max_length=64)  # the version in force, which it is compared with
    days = models.PositiveSmallIntegerField()
    since = models.DateTimeField()
    until = models.DateTimeField()
    found = models.PositiveIntegerField()
    one_in = models.PositiveIntegerField(default=1)
    ids = models.JSONField(default=list)
    total = models.PositiveIntegerField()
    done = models.PositiveIntegerField(default=0)
    state = models.CharField(max_length=8, choices=State, default=State.QUEUED)
    reason = models.CharField(max_length=200)
    asked_by = models.CharField(max_length=150)
    asked_at = models.DateTimeField(default=timezone.now, db_index=True)
    touched_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True)
    counts = models.JSONField(default=dict)
    record = models.CharField(max_length=26)

    class Meta:
        ordering = ["-asked_at", "-id"]

    def __str__(self) -> str:
        return f"{self.id} {self.library_id[:12]}"
