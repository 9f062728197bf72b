"""The way from the fingerprint of an answer's text to its record."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("records", "0007_review_permission"),
    ]

    operations = [
        migrations.CreateModel(
            name="IssuedText",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("mark", models.BinaryField(max_length=16)),
                ("index", models.BigIntegerField(db_index=True)),
            ],
            options={"indexes": [models.Index(fields=["mark"], name="records_issued_mark")]},
        ),
    ]
