import django.db.models.deletion
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import ProjectState

import guiju.records.models

# Text in the order of bytes: that is the order of time for ids, and the cheapest to compare.
_RECORDS = (
    """CREATE TABLE records_record (
        "index" bigint NOT NULL, id varchar(26) COLLATE "C" NOT NULL PRIMARY KEY, at timestamptz NOT NULL,
        kind varchar(200) NOT NULL, service varchar(200) NOT NULL, actor varchar(200) NOT NULL, subject varchar(200) NOT NULL,
        content_hash varchar(64) NOT NULL, body bytea NOT NULL, leaf bytea NOT NULL
    ) PARTITION BY RANGE (id)""",
    'CREATE INDEX records_by_index ON records_record ("index")',
    # Times rise with the place in the table, nearly: ranges of blocks are enough, and cost next to nothing to keep.
    "CREATE INDEX records_by_at ON records_record USING brin (at) WITH (pages_per_range = 16, autosummarize = on)",
    'CREATE INDEX records_by_kind ON records_record (kind, "index")',
    'CREATE INDEX records_by_service ON records_record (service, "index")',
    'CREATE INDEX records_by_subject ON records_record (subject, "index")',
    "CREATE TABLE records_record_rest PARTITION OF records_record DEFAULT",
)
_CONTENTS = (
    """CREATE TABLE records_recordcontent (
        record_id varchar(26) COLLATE "C" NOT NULL PRIMARY KEY, key_id bigint NOT NULL, sealed bytea NOT NULL
    ) PARTITION BY RANGE (record_id)""",
    # What is encrypted does not compress: it is not tried.
    "ALTER TABLE records_recordcontent ALTER COLUMN sealed SET STORAGE EXTERNAL",
    (
        "ALTER TABLE records_recordcontent ADD CONSTRAINT records_content_key FOREIGN KEY (key_id) "
        "REFERENCES records_subjectkey (id) DEFERRABLE INITIALLY DEFERRED"
    ),
    "CREATE TABLE records_recordcontent_rest PARTITION OF records_recordcontent DEFAULT",
)


class CreatePartitioned(migrations.CreateModel):
    """Make the table as the model says; on PostgreSQL by these statements, which partition it."""

    statements: tuple[str, ...] = ()

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        if schema_editor.connection.vendor != "postgresql":
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        for statement in self.statements:
            schema_editor.execute(statement, params=None)


class CreateRecords(CreatePartitioned):
    statements = _RECORDS


class CreateContents(CreatePartitioned):
    statements = _CONTENTS


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
            name="Head",
            fields=[
                ("id", models.SmallIntegerField(primary_key=True, serialize=False)),
                ("next_index", models.BigIntegerField()),
            ],
            options={"constraints": [models.CheckConstraint(condition=models.Q(("id", 1)), name="records_one_head")]},
        ),
        migrations.CreateModel(
            name="DayMark",
            fields=[
                ("day", models.DateField(primary_key=True, serialize=False)),
                ("next_index", models.BigIntegerField()),
            ],
        ),
        CreateRecords(
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
                "indexes": [
                    models.Index(fields=["kind", "index"], name="records_by_kind"),
                    models.Index(fields=["service", "index"], name="records_by_service"),
                    models.Index(fields=["subject", "index"], name="records_by_subject"),
                ],
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
            options={
                "constraints": [
                    models.UniqueConstraint(condition=models.Q(("destroyed_at", None)), fields=("subject",), name="records_one_key_in_use")
                ],
            },
        ),
        CreateContents(
            name="RecordContent",
            fields=[
                (
                    "record",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        related_name="content",
                        serialize=False,
                        to="records.record",
                        to_field="id",
                    ),
                ),
                ("key", models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to="records.subjectkey")),
                ("sealed", models.BinaryField()),
            ],
        ),
    ]
