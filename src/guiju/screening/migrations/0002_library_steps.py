"""Who reviewed a library, and the history of what was done with each."""

import django.db.models.deletion
import django.utils.timezone
from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def write_history(apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    """Make the steps of what was imported and put in force before there was a history."""
    versions, steps = apps.get_model("screening", "LibraryVersion"), apps.get_model("screening", "LibraryStep")
    for kept in versions.objects.defer("body"):
        steps.objects.create(library=kept, what="imported", at=kept.imported_at, actor=kept.imported_by)
        if kept.activated_at is not None:
            steps.objects.create(library=kept, what="activated", at=kept.activated_at, actor="guiju")


class Migration(migrations.Migration):
    dependencies = [("screening", "0001_initial")]

    operations = [
        migrations.AlterModelOptions(
            name="libraryversion",
            options={
                "ordering": ["-imported_at"],
                "permissions": [("review_libraryversion", "Can review a keyword library that somebody else imported")],
            },
        ),
        migrations.AddField("libraryversion", "reviewed_at", models.DateTimeField(null=True)),
        migrations.AddField(
            "libraryversion", "reviewed_by", models.CharField(blank=True, default="", max_length=150), preserve_default=False
        ),
        migrations.AlterField(
            "libraryversion",
            "state",
            models.CharField(
                choices=[("draft", "待启用"), ("reviewed", "已审核"), ("active", "使用中"), ("retired", "已停用")],
                default="draft",
                max_length=8,
            ),
        ),
        migrations.CreateModel(
            name="LibraryStep",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "what",
                    models.CharField(
                        choices=[("imported", "导入"), ("reviewed", "审核"), ("activated", "启用"), ("rolled_back", "回退")], max_length=12
                    ),
                ),
                ("at", models.DateTimeField(db_index=True, default=django.utils.timezone.now)),
                ("actor", models.CharField(max_length=150)),
                ("reason", models.CharField(blank=True, max_length=200)),
                ("before", models.CharField(blank=True, max_length=64)),
                ("record", models.CharField(blank=True, max_length=26)),
                (
                    "library",
                    models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="steps", to="screening.libraryversion"),
                ),
            ],
            options={"ordering": ["-at", "-id"]},
        ),
        migrations.RunPython(write_history, migrations.RunPython.noop),
    ]
