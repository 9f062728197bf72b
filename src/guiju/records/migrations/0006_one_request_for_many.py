from django.db import migrations, models

_DEEDS = [
    ("open_record", "Open Record"),
    ("open_records", "Open Records"),
    ("open_subject", "Open Subject"),
    ("erase_subject", "Erase Subject"),
]


class Migration(migrations.Migration):
    dependencies = [("records", "0005_gaps")]

    operations = [
        migrations.AlterField(model_name="request", name="deed", field=models.CharField(choices=_DEEDS, max_length=20)),
        migrations.AddField(model_name="request", name="selection", field=models.TextField(blank=True, default=""), preserve_default=False),
        migrations.AddField(model_name="request", name="records", field=models.JSONField(default=list)),
    ]
