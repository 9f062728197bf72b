"""The first tables."""

from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="RefusedSignIn",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("target", models.CharField(max_length=64)),
                ("refused_at", models.DateTimeField()),
            ],
            options={
                "indexes": [models.Index(fields=["target", "refused_at"], name="web_refused_target")],
            },
        ),
    ]
