"""The one lawful way out: a record goes when its removal is on record, its kind's minimum is over, no hold selects it, and its content is gone.

The minimum is counted from the day on which the database itself saw the record's number passed (`records_daymark`). Content goes when
its key is destroyed, or when its removal is on record and no hold selects it.
"""

from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

_ORDERED = """EXISTS (SELECT 1 FROM records_removal m JOIN records_record o ON o.id = m.id AND o.kind = 'records.retention.removed'
            WHERE m.what = '{what}' AND m.finished_at IS NULL AND {index} >= m.first AND {index} < m.until AND {named})"""
# Whether the bit of a number is set. SQLite reads a byte only as two hexadecimal digits.
_BYTE = "hex(substr(m.bits, ({index} - m.first) / 8 + 1, 1))"
_DIGIT = "(instr('0123456789ABCDEF', substr(" + _BYTE + ", {place}, 1)) - 1)"
_BIT = f"(({_DIGIT.replace('{place}', '1')} * 16 + {_DIGIT.replace('{place}', '2')}) >> (({{index}} - m.first) % 8)) & 1"


def _ordered(what: str, index: str, vendor: str) -> str:
    named = _BIT.format(index=index) if vendor == "sqlite" else f"get_bit(m.bits, {index} - m.first) = 1"
    return _ORDERED.format(what=what, index=index, named=named)


_HELD = """EXISTS (SELECT 1 FROM records_hold h WHERE h.lifted_at IS NULL
            AND (h.subject = '' OR h.subject = {r}.subject) AND (h.kind = '' OR h.kind = {r}.kind) AND (h.service = '' OR h.service = {r}.service)
            AND (h.since IS NULL OR {r}.at >= h.since) AND (h.until IS NULL OR {r}.at < h.until))"""
_SQLITE = (
    "DROP TRIGGER records_record_delete",
    f"""CREATE TRIGGER records_record_delete BEFORE DELETE ON records_record WHEN NOT (
        {_ordered("record", 'OLD."index"', "sqlite")}
        AND OLD."index" < coalesce((SELECT max(d.next_index) FROM records_daymark d, records_retentionrule k
            WHERE k.kind = OLD.kind AND k.minimum_days > 0 AND d.day <= date('now', '-' || k.minimum_days || ' days')), 0)
        AND NOT {_HELD.format(r="OLD")}
        AND NOT EXISTS (SELECT 1 FROM records_recordcontent c WHERE c.record_id = OLD.id)) BEGIN
        SELECT RAISE(ABORT, 'records are append-only: DELETE of a record that retention does not let go');
    END""",
    f"""CREATE TRIGGER records_recordcontent_delete BEFORE DELETE ON records_recordcontent WHEN NOT (
        EXISTS (SELECT 1 FROM records_subjectkey k WHERE k.id = OLD.key_id AND k.destroyed_at IS NOT NULL)
        OR EXISTS (SELECT 1 FROM records_record r WHERE r.id = OLD.record_id
            AND {_ordered("content", 'r."index"', "sqlite")} AND NOT {_HELD.format(r="r")})) BEGIN
        SELECT RAISE(ABORT, 'records are append-only: DELETE of content that neither erasure nor retention lets go');
    END""",
    """CREATE TRIGGER records_retentionrule_update BEFORE UPDATE ON records_retentionrule
        WHEN NEW.kind IS NOT OLD.kind OR OLD.minimum_days = 0 OR (NEW.minimum_days > 0 AND NEW.minimum_days < OLD.minimum_days) BEGIN
        SELECT RAISE(ABORT, 'records are append-only: no minimum is shortened');
    END""",
    """CREATE TRIGGER records_retentionrule_delete BEFORE DELETE ON records_retentionrule BEGIN
        SELECT RAISE(ABORT, 'records are append-only: DELETE of records_retentionrule');
    END""",
    """CREATE TRIGGER records_removal_update BEFORE UPDATE ON records_removal
        WHEN OLD.finished_at IS NOT NULL OR NEW.id IS NOT OLD.id OR NEW.what IS NOT OLD.what OR NEW.first IS NOT OLD.first
            OR NEW.until IS NOT OLD.until OR NEW.bits IS NOT OLD.bits OR NEW.done_until < OLD.done_until BEGIN
        SELECT RAISE(ABORT, 'records are append-only: a removal only goes on');
    END""",
    """CREATE TRIGGER records_removal_delete BEFORE DELETE ON records_removal BEGIN
        SELECT RAISE(ABORT, 'records are append-only: DELETE of records_removal');
    END""",
)
_POSTGRESQL = (
    f"""CREATE FUNCTION records_may_go(r records_record) RETURNS boolean LANGUAGE sql STABLE AS $$
        SELECT {_ordered("record", '(r)."index"', "postgresql")}
        AND (r)."index" < coalesce((SELECT max(d.next_index) FROM records_daymark d, records_retentionrule k
            WHERE k.kind = (r).kind AND k.minimum_days > 0 AND d.day <= (now() AT TIME ZONE 'UTC')::date - k.minimum_days), 0)
        AND NOT {_HELD.format(r="(r)")}
        AND NOT EXISTS (SELECT 1 FROM records_recordcontent c WHERE c.record_id = (r).id)
    $$""",
    f"""CREATE FUNCTION records_content_may_go(content text, sealed_by bigint) RETURNS boolean LANGUAGE sql STABLE AS $$
        SELECT EXISTS (SELECT 1 FROM records_subjectkey k WHERE k.id = sealed_by AND k.destroyed_at IS NOT NULL)
        OR EXISTS (SELECT 1 FROM records_record r WHERE r.id = content
            AND {_ordered("content", 'r."index"', "postgresql")} AND NOT {_HELD.format(r="r")})
    $$""",
    """CREATE FUNCTION records_delete() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NOT records_may_go(OLD) THEN RAISE EXCEPTION 'records are append-only: DELETE of a record that retention does not let go'; END IF;
        RETURN OLD;
    END $$""",
    """CREATE FUNCTION records_content_delete() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NOT records_content_may_go(OLD.record_id, OLD.key_id) THEN
            RAISE EXCEPTION 'records are append-only: DELETE of content that neither erasure nor retention lets go';
        END IF;
        RETURN OLD;
    END $$""",
    """CREATE FUNCTION records_rule_stays() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.kind <> OLD.kind OR OLD.minimum_days = 0 OR (NEW.minimum_days > 0 AND NEW.minimum_days < OLD.minimum_days) THEN
            RAISE EXCEPTION 'records are append-only: no minimum is shortened';
        END IF;
        RETURN NEW;
    END $$""",
    """CREATE FUNCTION records_removal_goes_on() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF OLD.finished_at IS NOT NULL OR (NEW.id, NEW.what, NEW.first, NEW.until, NEW.bits)
            IS DISTINCT FROM (OLD.id, OLD.what, OLD.first, OLD.until, OLD.bits)
            OR NEW.done_until < OLD.done_until THEN
            RAISE EXCEPTION 'records are append-only: a removal only goes on';
        END IF;
        RETURN NEW;
    END $$""",
    # A whole month goes at once: what may go goes with its partitions, the few rows that stay move into the rest. Returns how many
    # rows went; -1 when more than `most` would stay, -2 when content of records that go is still there. All or nothing.
    """CREATE FUNCTION records_drop_month(month text, most bigint) RETURNS bigint LANGUAGE plpgsql AS $$
    DECLARE part text := 'records_record_' || month; contents text := 'records_recordcontent_' || month; going bigint; staying bigint; left_over boolean;
    BEGIN
        LOCK TABLE records_record, records_recordcontent IN ACCESS EXCLUSIVE MODE;
        EXECUTE format('SELECT count(*) FILTER (WHERE records_may_go(r)), count(*) FROM %I r', part) INTO going, staying;
        staying := staying - going;
        IF staying > most THEN RETURN -1; END IF;
        EXECUTE format('SELECT EXISTS (SELECT 1 FROM %I c WHERE NOT EXISTS (SELECT 1 FROM %I r WHERE r.id = c.record_id AND NOT records_may_go(r)))',
            contents, part) INTO left_over;
        IF left_over THEN RETURN -2; END IF;
        EXECUTE format('UPDATE records_removal m SET removed = m.removed + (SELECT count(*) FROM %I r WHERE r."index" >= m.first AND r."index" < m.until '
            'AND records_may_go(r)) WHERE m.what = ''record'' AND m.finished_at IS NULL', part);
        EXECUTE format('CREATE TEMPORARY TABLE records_staying ON COMMIT DROP AS SELECT * FROM %I r WHERE NOT records_may_go(r)', part);
        EXECUTE format('ALTER TABLE records_record DETACH PARTITION %I', part);
        EXECUTE format('ALTER TABLE records_recordcontent DETACH PARTITION %I', contents);
        ALTER TABLE records_record_rest DISABLE TRIGGER USER;
        ALTER TABLE records_recordcontent_rest DISABLE TRIGGER USER;
        INSERT INTO records_record_rest SELECT * FROM records_staying;
        EXECUTE format('INSERT INTO records_recordcontent_rest SELECT * FROM %I', contents);
        ALTER TABLE records_record_rest ENABLE TRIGGER USER;
        ALTER TABLE records_recordcontent_rest ENABLE TRIGGER USER;
        EXECUTE format('DROP TABLE %I, %I', part, contents);
        DROP TABLE records_staying;
        RETURN going;
    END $$""",
    "DROP TRIGGER records_record_change ON records_record",
    "CREATE TRIGGER records_record_update BEFORE UPDATE ON records_record FOR EACH ROW EXECUTE FUNCTION records_refuse()",
    "CREATE TRIGGER records_record_delete BEFORE DELETE ON records_record FOR EACH ROW EXECUTE FUNCTION records_delete()",
    "CREATE TRIGGER records_recordcontent_delete BEFORE DELETE ON records_recordcontent FOR EACH ROW EXECUTE FUNCTION records_content_delete()",
    "CREATE TRIGGER records_retentionrule_update BEFORE UPDATE ON records_retentionrule FOR EACH ROW EXECUTE FUNCTION records_rule_stays()",
    "CREATE TRIGGER records_retentionrule_delete BEFORE DELETE OR TRUNCATE ON records_retentionrule EXECUTE FUNCTION records_refuse()",
    "CREATE TRIGGER records_removal_update BEFORE UPDATE ON records_removal FOR EACH ROW EXECUTE FUNCTION records_removal_goes_on()",
    "CREATE TRIGGER records_removal_delete BEFORE DELETE OR TRUNCATE ON records_removal EXECUTE FUNCTION records_refuse()",
)


def guard(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """Make the triggers."""
    for statement in _POSTGRESQL if editor.connection.vendor == "postgresql" else _SQLITE:
        editor.execute(statement, params=None)


class Migration(migrations.Migration):
    dependencies = [("records", "0003_sealing")]

    operations = [
        migrations.CreateModel(
            name="RetentionRule",
            fields=[
                ("kind", models.CharField(max_length=200, primary_key=True, serialize=False)),
                ("minimum_days", models.IntegerField()),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("minimum_days", 0), ("minimum_days__gte", 184), _connector="OR"),
                        name="records_six_months_or_ever",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Removal",
            fields=[
                ("id", models.CharField(max_length=26, primary_key=True, serialize=False)),
                ("what", models.CharField(choices=[("content", "Content"), ("record", "Record")], max_length=10)),
                ("first", models.BigIntegerField()),
                ("until", models.BigIntegerField()),
                ("bits", models.BinaryField()),
                ("ordered", models.IntegerField()),
                ("removed", models.IntegerField(default=0)),
                ("done_until", models.BigIntegerField()),
                ("ordered_at", models.DateTimeField(db_index=True)),
                ("finished_at", models.DateTimeField(db_index=True, null=True)),
            ],
        ),
        migrations.RunPython(guard),
    ]
