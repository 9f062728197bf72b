"""Profiles, scope determinations, attestations, and the board of each day."""

from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Determination",
            fields=[
                ("id", models.CharField(max_length=26, primary_key=True, serialize=False)),
                ("service", models.CharField(max_length=63)),
                ("profile", models.CharField(max_length=26)),
                ("catalogue", models.CharField(max_length=16)),
                ("note", models.TextField()),
                ("made_by", models.CharField(max_length=200)),
                ("made_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField()),
            ],
            options={
                "ordering": ["-id"],
            },
        ),
        migrations.CreateModel(
            name="Attestation",
            fields=[
                ("id", models.CharField(max_length=26, primary_key=True, serialize=False)),
                ("service", models.CharField(max_length=63)),
                ("obligation", models.CharField(max_length=16)),
                ("statement", models.TextField()),
                ("document_name", models.CharField(max_length=200)),
                ("document", models.BinaryField()),
                ("document_sha256", models.CharField(max_length=64)),
                ("record", models.CharField(max_length=26)),
                ("made_by", models.CharField(max_length=200)),
                ("made_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField()),
                ("withdrawn_by", models.CharField(blank=True, max_length=200)),
                ("withdrawn_at", models.DateTimeField(null=True)),
            ],
            options={
                "ordering": ["-id"],
                "indexes": [models.Index(fields=["service", "obligation", "id"], name="obligations_attested")],
            },
        ),
        migrations.CreateModel(
            name="BoardDay",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("day", models.DateField()),
                ("service", models.CharField(max_length=63)),
                ("counts", models.TextField()),
            ],
            options={
                "ordering": ["day", "service"],
                "constraints": [models.UniqueConstraint(fields=("day", "service"), name="obligations_once_a_day")],
            },
        ),
        migrations.CreateModel(
            name="Profile",
            fields=[
                ("id", models.CharField(max_length=26, primary_key=True, serialize=False)),
                ("service", models.CharField(max_length=63)),
                ("answers", models.TextField()),
                ("made_by", models.CharField(max_length=200)),
                ("made_at", models.DateTimeField()),
            ],
            options={
                "ordering": ["-id"],
                "permissions": [("sign_determination", "may sign a scope determination")],
                "indexes": [models.Index(fields=["service", "id"], name="obligations_by_service")],
            },
        ),
    ]
