"""What is kept of public verifications: how many there were on a day, by what was given and what came of it. No file, no text, no address."""

from django.db import models


class Verification(models.Model):
    """A count. `way` is file, url or text; `result` the verdict, or what is said of a text."""

    day = models.DateField()
    way = models.CharField(max_length=10)
    result = models.CharField(max_length=20)
    count = models.BigIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["day", "way", "result"], name="labelling_one_count")]

    def __str__(self) -> str:
        return f"{self.day} {self.way} {self.result} {self.count}"
