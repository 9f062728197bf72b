"""The database itself refuses to change or remove a record, or to change sealed content. Content may go: erasure, retention."""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

_REFUSED = (("records_record", "UPDATE"), ("records_record", "DELETE"), ("records_recordcontent", "UPDATE"))


def _name(table: str, verb: str) -> str:
    return f"{table}_no_{verb.lower()}"


def refuse(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """Make the triggers."""
    if editor.connection.vendor == "postgresql":
        editor.execute(
            "CREATE FUNCTION records_refuse() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'records are append-only: % of %', TG_OP, TG_TABLE_NAME; END $$",
            params=None,  # its per cent signs are no placeholders
        )
        for table, verb in _REFUSED:
            editor.execute(f"CREATE TRIGGER {_name(table, verb)} BEFORE {verb} ON {table} FOR EACH ROW EXECUTE FUNCTION records_refuse()")
        editor.execute("CREATE TRIGGER records_record_no_truncate BEFORE TRUNCATE ON records_record EXECUTE FUNCTION records_refuse()")
        return
    for table, verb in _REFUSED:
        refusal = f"SELECT RAISE(ABORT, 'records are append-only: {verb} of {table}')"
        editor.execute(f"CREATE TRIGGER {_name(table, verb)} BEFORE {verb} ON {table} BEGIN {refusal}; END")


def allow(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """Remove the triggers."""
    if editor.connection.vendor == "postgresql":
        editor.execute("DROP FUNCTION records_refuse() CASCADE")
        return
    for table, verb in _REFUSED:
        editor.execute(f"DROP TRIGGER {_name(table, verb)}")


class Migration(migrations.Migration):
    dependencies = [("records", "0001_initial")]
    operations = [migrations.RunPython(refuse, allow)]
