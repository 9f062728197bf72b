"""Versions of what screening does: the policy table of a service, and the bank of approved answers. Each is kept whole.

States: `draft` → `reviewed` (by somebody else) → `active` (in force, at most one for a service) → `retired`; a retired one may come back.
"""

from django.db import models
from django.utils.translation import gettext_lazy as _


class Version(models.Model):
    """One version; `version` is the SHA-256 of `body`, so equal content for the same service is the same row."""

    class Subject(models.TextChoices):
        """What it is a version of."""

        POLICY = "policy", _("策略")
        ANSWERS = "answers", _("标准答案库")

    class State(models.TextChoices):
        """Where it stands."""

        DRAFT = "draft", _("草稿")
        REVIEWED = "reviewed", _("已复核")
        ACTIVE = "active", _("使用中")
        RETIRED = "retired", _("已停用")

    id = models.CharField(max_length=26, primary_key=True)
    subject = models.CharField(max_length=8, choices=Subject.choices)
    service = models.CharField(max_length=63, blank=True)  # a bank is everybody's
    version = models.CharField(max_length=64)
    name = models.CharField(max_length=200, blank=True)
    body = models.BinaryField()
    rows = models.PositiveIntegerField()
    state = models.CharField(max_length=8, choices=State.choices, default=State.DRAFT)
    made_by = models.CharField(max_length=200)
    made_at = models.DateTimeField()
    reviewed_by = models.CharField(max_length=200, blank=True)
    reviewed_at = models.DateTimeField(null=True)
    activated_by = models.CharField(max_length=200, blank=True)
    activated_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-made_at"]
        constraints = [
            models.UniqueConstraint(fields=["subject", "service", "version"], name="policies_content_once"),
            models.UniqueConstraint(fields=["subject", "service"], condition=models.Q(state="active"), name="policies_one_active"),
        ]
        permissions = [("review_version", "may review versions that others made")]

    def __str__(self) -> str:
        return f"{self.subject} {self.service} {self.version[:12]}"
