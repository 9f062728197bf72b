import django.db.models.deletion
from django.db import migrations, models

import guiju.records.models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Lease",
            fields=[
                ("name", models.CharField(max_length=32, primary_key=True, serialize=False)),
                ("holder", models.CharField(max_length=200)),
                ("until", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="OpenAnswer",
            fields=[
                ("answer", models.CharField(max_length=26, primary_key=True, serialize=False)),
                ("writer", models.CharField(db_index=True, max_length=26)),
            ],
        ),
        migrations.CreateModel(
            name="OutboxEntry",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("sealed", models.BinaryField()),
            ],
        ),
        migrations.CreateModel(
            name="Record",
            fields=[
                ("index", guiju.records.models.IndexField(primary_key=True, serialize=False)),
                ("id", models.CharField(max_length=26, unique=True)),
                ("at", models.DateTimeField(db_index=True)),
                ("kind", models.CharField(max_length=200)),
                ("service", models.CharField(max_length=200)),
                ("actor", models.CharField(max_length=200)),
                ("subject", models.CharField(max_length=200)),
                ("content_hash", models.CharField(max_length=64)),
                ("body", models.BinaryField()),
                ("leaf", models.BinaryField()),
            ],
            options={
                "permissions": [("open_record", "Can open sealed content")],
            },
        ),
        migrations.CreateModel(
            name="SpoolCursor",
            fields=[
                ("segment", models.CharField(max_length=200, primary_key=True, serialize=False)),
                ("counter", models.BigIntegerField()),
            ],
        ),
        migrations.CreateModel(
            name="SubjectKey",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("subject", models.CharField(max_length=200)),
                ("wrapped", models.BinaryField(null=True)),
                ("master", models.CharField(max_length=16)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("destroyed_at", models.DateTimeField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name="RecordContent",
            fields=[
                (
                    "record",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        related_name="content",
                        serialize=False,
                        to="records.record",
                    ),
                ),
                ("sealed", models.BinaryField()),
            ],
        ),
        migrations.AddIndex(
            model_name="record",
            index=models.Index(fields=["kind", "index"], name="records_by_kind"),
        ),
        migrations.AddIndex(
            model_name="record",
            index=models.Index(fields=["service", "index"], name="records_by_service"),
        ),
        migrations.AddIndex(
            model_name="record",
            index=models.Index(fields=["subject", "index"], name="records_by_subject"),
        ),
        migrations.AddConstraint(
            model_name="subjectkey",
            constraint=models.UniqueConstraint(
                condition=models.Q(("destroyed_at", None)), fields=("subject",), name="records_one_key_in_use"
            ),
        ),
        migrations.AddField(
            model_name="recordcontent",
            name="key",
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to="records.subjectkey"),
        ),
    ]
