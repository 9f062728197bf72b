"""What the shell keeps: refused sign-ins, so that guessing is slowed down."""

from django.db import models


class RefusedSignIn(models.Model):
    """One refused sign-in; `target` is a hash, so a name or password typed into the wrong box is not kept."""

    target = models.CharField(max_length=64)
    refused_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["target", "refused_at"], name="web_refused_target")]

    def __str__(self) -> str:
        return f"{self.target[:12]} {self.refused_at:%Y-%m-%d %H:%M:%S}"
