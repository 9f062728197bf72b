"""The way from the fingerprint of an answer's text to its record."""

from django.db import migrations, models

from guiju.records.models import IndexField


class Migration(migrations.Migration):
    dependencies = [
        ("records", "0007_review_permission"),
    ]

    operations = [
        migrations.CreateModel(
            name="IssuedText",
            fields=[
                ("place", IndexField(primary_key=True, serialize=False)),
                ("mark", models.BinaryField(max_length=16)),
            ],
            options={"indexes": [models.Index(fields=["mark"], name="records_issued_mark")]},
        ),
    ]
