"""Keyword libraries as they were imported: each version is kept whole, so that a record's version can always be read.

States: `draft` (imported, not in force) → `active` (in force, at most one) → `retired`; a retired one may come back.
"""

from django.db import models
from django.utils.translation import gettext_lazy as _


class LibraryVersion(models.Model):
    """One imported keyword library; `version` is the SHA-256 of its canonical CSV, which is `body`."""

    class State(models.TextChoices):
        DRAFT = "draft", _("待启用")
        ACTIVE = "active", _("使用中")
        RETIRED = "retired", _("已停用")

    version = models.CharField(max_length=64, primary_key=True)
    name = models.CharField(max_length=200)
    body = models.BinaryField()
    entries = models.PositiveIntegerField()
    imported_at = models.DateTimeField(auto_now_add=True)
    imported_by = models.CharField(max_length=150)
    activated_at = models.DateTimeField(null=True)
    state = models.CharField(max_length=8, choices=State, default=State.DRAFT)

    class Meta:
        ordering = ["-imported_at"]
        constraints = [models.UniqueConstraint(fields=["state"], condition=models.Q(state="active"), name="screening_one_active_library")]

    def __str__(self) -> str:
        return f"{self.name} {self.version[:12]}"
