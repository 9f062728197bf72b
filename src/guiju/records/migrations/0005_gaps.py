from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("records", "0004_retention")]

    operations = [
        migrations.CreateModel(
            name="Gap",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("key", models.CharField(max_length=200, unique=True)),
                ("cause", models.CharField(max_length=20)),
                ("zh", models.TextField()),
                ("en", models.TextField()),
                ("service", models.CharField(blank=True, max_length=200)),
                ("found_at", models.DateTimeField()),
                ("record", models.CharField(max_length=26)),
                ("closed_at", models.DateTimeField(db_index=True, null=True)),
                ("closed_by", models.CharField(blank=True, max_length=200)),
                ("closed_reason", models.CharField(blank=True, max_length=200)),
            ],
            options={"permissions": [("close_gap", "Can close a gap in the records")]},
        ),
        migrations.CreateModel(
            name="Watch",
            fields=[
                ("id", models.SmallIntegerField(primary_key=True, serialize=False)),
                ("next_index", models.BigIntegerField()),
                ("counted_at", models.DateTimeField()),
            ],
        ),
    ]
