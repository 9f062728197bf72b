"""API keys: which service a caller reaches. Only the hash of a key is kept.

States: in force (`revoked_at` is empty) → revoked. A revoked key stays listed, so that its use is told apart from an
unknown one.
"""

from django.db import models

from guiju.core.ids import new_id


class ApiKey(models.Model):
    """One key of one service; `prefix` is the part of the key that may be shown again, `sha256` its hash in hex."""

    id = models.CharField(max_length=26, primary_key=True, default=new_id, editable=False)
    service = models.CharField(max_length=63)
    label = models.CharField(max_length=100)
    prefix = models.CharField(max_length=16)
    sha256 = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.prefix}… {self.label}"
