"""What people say of a service: its profile, the scope determination signed on it, and attestations. Nothing here is a state of a duty.

A profile is never changed: a new one takes its place. A determination holds until it expires or the profile in force is another. An attestation: given →
withdrawn, or expired by its day.
"""

from django.db import models

_NAME_LIMIT = 200


class Profile(models.Model):
    """The answers about one service, as one person gave them; the newest is in force. `answers` is canonical JSON."""

    id = models.CharField(max_length=26, primary_key=True)
    service = models.CharField(max_length=63)
    answers = models.TextField()
    made_by = models.CharField(max_length=_NAME_LIMIT)
    made_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["service", "id"], name="obligations_by_service")]
        permissions = [("sign_determination", "may sign a scope determination")]

    def __str__(self) -> str:
        return f"{self.service} {self.id}"


class Determination(models.Model):
    """A scope determination (DOC-01): a signed note. `profile` is the id of the profile it is about, `catalogue` the version of the law as data."""

    id = models.CharField(max_length=26, primary_key=True)
    service = models.CharField(max_length=63)
    profile = models.CharField(max_length=26)
    catalogue = models.CharField(max_length=16)
    note = models.TextField()
    made_by = models.CharField(max_length=_NAME_LIMIT)
    made_at = models.DateTimeField()
    expires_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.service} {self.id}"


class Attestation(models.Model):
    """What one person says of a duty that only a person can judge, with the document it rests on and the day until which it holds."""

    id = models.CharField(max_length=26, primary_key=True)
    service = models.CharField(max_length=63)
    obligation = models.CharField(max_length=16)
    statement = models.TextField()
    document_name = models.CharField(max_length=_NAME_LIMIT)
    document = models.BinaryField()
    document_sha256 = models.CharField(max_length=64)
    record = models.CharField(max_length=26)
    made_by = models.CharField(max_length=_NAME_LIMIT)
    made_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    withdrawn_by = models.CharField(max_length=_NAME_LIMIT, blank=True)
    withdrawn_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["service", "obligation", "id"], name="obligations_attested")]

    def __str__(self) -> str:
        return f"{self.obligation} {self.service} {self.id}"


class BoardDay(models.Model):
    """How many duties of a service were in which state when the board of a day was computed; for the chart. `counts` is canonical JSON."""

    day = models.DateField()
    service = models.CharField(max_length=63)
    counts = models.TextField()

    class Meta:
        ordering = ["day", "service"]
        constraints = [models.UniqueConstraint(fields=["day", "service"], name="obligations_once_a_day")]

    def __str__(self) -> str:
        return f"{self.day} {self.service}"
