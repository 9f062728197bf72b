"""The first tables."""

from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="LibraryVersion",
            fields=[
                ("version", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=200)),
                ("body", models.BinaryField()),
                ("entries", models.PositiveIntegerField()),
                ("imported_at", models.DateTimeField(auto_now_add=True)),
                ("imported_by", models.CharField(max_length=150)),
                ("activated_at", models.DateTimeField(null=True)),
                (
                    "state",
                    models.CharField(
                        choices=[("draft", "待启用"), ("active", "使用中"), ("retired", "已停用")], default="draft", max_length=8
                    ),
                ),
            ],
            options={
                "ordering": ["-imported_at"],
                "constraints": [
                    models.UniqueConstraint(condition=models.Q(("state", "active")), fields=("state",), name="screening_one_active_library")
                ],
            },
        ),
    ]
