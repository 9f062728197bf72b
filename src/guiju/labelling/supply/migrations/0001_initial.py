"""Supplies without the explicit label."""

from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Supply",
            fields=[
                ("id", models.CharField(max_length=26, primary_key=True, serialize=False)),
                ("service", models.CharField(max_length=63)),
                ("subject", models.CharField(max_length=200)),
                ("identity", models.CharField(max_length=200)),
                ("agreement_version", models.CharField(max_length=200)),
                ("agreement_sha256", models.CharField(max_length=64)),
                ("agreement", models.BinaryField()),
                ("accepted_on", models.DateField()),
                ("purpose", models.TextField()),
                ("days", models.PositiveIntegerField()),
                (
                    "state",
                    models.CharField(
                        choices=[("asked", "Asked"), ("granted", "Granted"), ("refused", "Refused"), ("ended", "Ended")],
                        default="asked",
                        max_length=8,
                    ),
                ),
                ("asked_by", models.CharField(max_length=200)),
                ("asked_at", models.DateTimeField()),
                ("decided_by", models.CharField(blank=True, max_length=200)),
                ("decided_at", models.DateTimeField(null=True)),
                ("decided_reason", models.CharField(blank=True, max_length=200)),
                ("expires_at", models.DateTimeField(null=True)),
                ("ended_by", models.CharField(blank=True, max_length=200)),
                ("ended_at", models.DateTimeField(null=True)),
            ],
            options={
                "ordering": ["-id"],
                "permissions": [("decide_supply", "may decide on a supply that somebody else asked for")],
                "indexes": [models.Index(fields=["state", "service"], name="supply_by_state")],
            },
        ),
    ]
