"""Supplies without the explicit label: who asked, on which agreement, who decided. ASKED → GRANTED → ENDED, or ASKED → REFUSED."""

from django.db import models

_TEXT_LIMIT = 200


class Supply(models.Model):
    """One recipient's case. `subject` is the pseudonym of the recipient in the service; `expires_at` is set when it is granted."""

    class State(models.TextChoices):
        """Where it stands; whether it has expired is computed."""

        ASKED = "asked"
        GRANTED = "granted"
        REFUSED = "refused"
        ENDED = "ended"

    id = models.CharField(max_length=26, primary_key=True)
    service = models.CharField(max_length=63)
    subject = models.CharField(max_length=_TEXT_LIMIT)
    identity = models.CharField(max_length=_TEXT_LIMIT)
    agreement_version = models.CharField(max_length=_TEXT_LIMIT)
    agreement_sha256 = models.CharField(max_length=64)
    agreement = models.BinaryField()
    accepted_on = models.DateField()
    purpose = models.TextField()
    days = models.PositiveIntegerField()
    state = models.CharField(max_length=8, choices=State.choices, default=State.ASKED)
    asked_by = models.CharField(max_length=_TEXT_LIMIT)
    asked_at = models.DateTimeField()
    decided_by = models.CharField(max_length=_TEXT_LIMIT, blank=True)
    decided_at = models.DateTimeField(null=True)
    decided_reason = models.CharField(max_length=_TEXT_LIMIT, blank=True)
    expires_at = models.DateTimeField(null=True)
    ended_by = models.CharField(max_length=_TEXT_LIMIT, blank=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["state", "service"], name="supply_by_state")]
        permissions = [("decide_supply", "may decide on a supply that somebody else asked for")]

    def __str__(self) -> str:
        return f"{self.id} {self.service} {self.state}"
