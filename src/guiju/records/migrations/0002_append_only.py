"""The database itself refuses to change or remove a record, and to number one out of turn; it dates them by its own clock.

SQLite and PostgreSQL keep the same promises. On PostgreSQL numbers are checked by the statement and the head moves with it; on
SQLite they are checked by the row, and the writer moves the head once for a batch.
Content may go: erasure, retention.
"""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

_SQLITE = (
    # Whoever replaces a row (INSERT OR REPLACE) meets no delete trigger in SQLite: an id or a number that is taken is refused before.
    """CREATE TRIGGER records_record_insert BEFORE INSERT ON records_record
        WHEN NEW."index" IS NOT coalesce((SELECT max("index") + 1 FROM records_record), 0)
            OR EXISTS (SELECT 1 FROM records_record WHERE id = NEW.id) BEGIN
        SELECT RAISE(ABORT, 'records are append-only: a record has the next number, no other, and an id of its own');
    END""",
    """CREATE TRIGGER records_record_update BEFORE UPDATE ON records_record BEGIN
        SELECT RAISE(ABORT, 'records are append-only: UPDATE of records_record');
    END""",
    """CREATE TRIGGER records_record_delete BEFORE DELETE ON records_record BEGIN
        SELECT RAISE(ABORT, 'records are append-only: DELETE of records_record');
    END""",
    """CREATE TRIGGER records_recordcontent_insert BEFORE INSERT ON records_recordcontent BEGIN
        SELECT RAISE(ABORT, 'records are append-only: the content is on record')
            WHERE EXISTS (SELECT 1 FROM records_recordcontent WHERE record_id = NEW.record_id);
    END""",
    """CREATE TRIGGER records_recordcontent_update BEFORE UPDATE ON records_recordcontent BEGIN
        SELECT RAISE(ABORT, 'records are append-only: UPDATE of records_recordcontent');
    END""",
    # The head is moved once for a batch: for each row it would cost as much as the row's own index.
    """CREATE TRIGGER records_head_update BEFORE UPDATE ON records_head
        WHEN NEW.next_index IS NOT (SELECT max("index") + 1 FROM records_record) OR NEW.id IS NOT OLD.id BEGIN
        SELECT RAISE(ABORT, 'records are append-only: the head stands behind the newest record');
    END""",
    """CREATE TRIGGER records_head_day AFTER UPDATE ON records_head
        WHEN NOT EXISTS (SELECT 1 FROM records_daymark WHERE day >= date('now')) BEGIN
        INSERT INTO records_daymark (day, next_index) VALUES (date('now'), OLD.next_index);
    END""",
    """CREATE TRIGGER records_head_delete BEFORE DELETE ON records_head BEGIN
        SELECT RAISE(ABORT, 'records are append-only: DELETE of records_head');
    END""",
    """CREATE TRIGGER records_daymark_insert BEFORE INSERT ON records_daymark
        WHEN NEW.day IS NOT date('now') OR NEW.next_index > (SELECT next_index FROM records_head)
            OR EXISTS (SELECT 1 FROM records_daymark WHERE day >= NEW.day) BEGIN
        SELECT RAISE(ABORT, 'records are append-only: a day is marked once, on that day');
    END""",
    """CREATE TRIGGER records_daymark_update BEFORE UPDATE ON records_daymark BEGIN
        SELECT RAISE(ABORT, 'records are append-only: UPDATE of records_daymark');
    END""",
    """CREATE TRIGGER records_daymark_delete BEFORE DELETE ON records_daymark BEGIN
        SELECT RAISE(ABORT, 'records are append-only: DELETE of records_daymark');
    END""",
)
_POSTGRESQL = (
    """CREATE FUNCTION records_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        RAISE EXCEPTION 'records are append-only: % of %', TG_OP, TG_TABLE_NAME;
    END $$""",
    # The head's row stays locked until the batch is committed: a second writer waits there and then finds other numbers taken.
    """CREATE FUNCTION records_number() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE lowest bigint; highest bigint; written bigint; told_apart bigint;
    BEGIN
        SELECT min("index"), max("index"), count(*), count(DISTINCT "index") INTO lowest, highest, written, told_apart FROM arrived;
        IF written = 0 THEN RETURN NULL; END IF;
        UPDATE records_head SET next_index = highest + 1 WHERE next_index = lowest;
        IF NOT FOUND OR told_apart <> written OR highest - lowest + 1 <> written THEN
            RAISE EXCEPTION 'records are append-only: records have the next numbers, and no others' USING ERRCODE = 'unique_violation';
        END IF;
        INSERT INTO records_daymark (day, next_index) SELECT (now() AT TIME ZONE 'UTC')::date, lowest
            WHERE NOT EXISTS (SELECT 1 FROM records_daymark WHERE day >= (now() AT TIME ZONE 'UTC')::date);
        RETURN NULL;
    END $$""",
    """CREATE FUNCTION records_head_rises() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.next_index <= OLD.next_index THEN RAISE EXCEPTION 'records are append-only: numbers only go up'; END IF;
        RETURN NEW;
    END $$""",
    """CREATE FUNCTION records_mark_day() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.day <> (now() AT TIME ZONE 'UTC')::date OR NEW.next_index > (SELECT next_index FROM records_head)
            OR EXISTS (SELECT 1 FROM records_daymark WHERE day >= NEW.day OR next_index > NEW.next_index) THEN
            RAISE EXCEPTION 'records are append-only: a day is marked once, on that day';
        END IF;
        RETURN NEW;
    END $$""",
    # A partition is written through its table only: there the numbers are given.
    """CREATE FUNCTION records_guard_partition(part text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
        EXECUTE format('CREATE TRIGGER %I BEFORE INSERT OR TRUNCATE ON %I EXECUTE FUNCTION records_refuse()', part || '_direct', part);
    END $$""",
    # False when the month is there already, or when records of it lie in the rest already: they stay there.
    """CREATE FUNCTION records_make_month(month text, first_id text, next_id text) RETURNS boolean LANGUAGE plpgsql AS $$
    BEGIN
        IF to_regclass('records_record_' || month) IS NOT NULL
            OR EXISTS (SELECT 1 FROM records_record_rest WHERE id >= first_id AND id < next_id)
            OR EXISTS (SELECT 1 FROM records_recordcontent_rest WHERE record_id >= first_id AND record_id < next_id) THEN
            RETURN false;
        END IF;
        EXECUTE format('CREATE TABLE %I PARTITION OF records_record FOR VALUES FROM (%L) TO (%L)', 'records_record_' || month, first_id, next_id);
        EXECUTE format('CREATE TABLE %I PARTITION OF records_recordcontent FOR VALUES FROM (%L) TO (%L)', 'records_recordcontent_' || month, first_id, next_id);
        PERFORM records_guard_partition('records_record_' || month), records_guard_partition('records_recordcontent_' || month);
        RETURN true;
    END $$""",
    "CREATE TRIGGER records_record_change BEFORE UPDATE OR DELETE ON records_record FOR EACH ROW EXECUTE FUNCTION records_refuse()",
    (
        "CREATE TRIGGER records_record_number AFTER INSERT ON records_record REFERENCING NEW TABLE AS arrived "
        "FOR EACH STATEMENT EXECUTE FUNCTION records_number()"
    ),
    "CREATE TRIGGER records_record_truncate BEFORE TRUNCATE ON records_record EXECUTE FUNCTION records_refuse()",
    "CREATE TRIGGER records_recordcontent_change BEFORE UPDATE ON records_recordcontent FOR EACH ROW EXECUTE FUNCTION records_refuse()",
    "CREATE TRIGGER records_recordcontent_truncate BEFORE TRUNCATE ON records_recordcontent EXECUTE FUNCTION records_refuse()",
    "CREATE TRIGGER records_head_update BEFORE UPDATE ON records_head FOR EACH ROW EXECUTE FUNCTION records_head_rises()",
    "CREATE TRIGGER records_head_delete BEFORE DELETE OR TRUNCATE ON records_head EXECUTE FUNCTION records_refuse()",
    "CREATE TRIGGER records_daymark_insert BEFORE INSERT ON records_daymark FOR EACH ROW EXECUTE FUNCTION records_mark_day()",
    "CREATE TRIGGER records_daymark_change BEFORE UPDATE OR DELETE OR TRUNCATE ON records_daymark EXECUTE FUNCTION records_refuse()",
    "SELECT records_guard_partition('records_record_rest'), records_guard_partition('records_recordcontent_rest')",
)


def guard(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """Make the triggers; on PostgreSQL the partitions of this month and the next ones too."""
    from guiju.records.recorder.months import make_months

    editor.execute("INSERT INTO records_head (id, next_index) VALUES (1, 0)")
    for statement in _POSTGRESQL if editor.connection.vendor == "postgresql" else _SQLITE:
        editor.execute(statement, params=None)  # their per cent signs are no placeholders
    make_months()


class Migration(migrations.Migration):
    dependencies = [("records", "0001_initial")]
    operations = [migrations.RunPython(guard)]
