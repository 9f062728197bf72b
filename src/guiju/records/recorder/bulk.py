"""Many rows at once, past the ORM, which costs several times what they do: COPY on PostgreSQL, one prepared statement on SQLite."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import chain
from typing import Any, Final

from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ROWS_A_STATEMENT: Final = 128
_VALUES_A_STATEMENT: Final = 16_000  # SQLite takes 32,766 at most
_CACHE_KIB: Final = 65_536


def give_room(sender: object, connection: BaseDatabaseWrapper, **_: object) -> None:
    """Let a new connection keep the indexes that it writes to in memory; for `connection_created`, in the recorder."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")


def insert_rows(model: type[Model], columns: tuple[str, ...], rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert rows with these columns in order. Raises IntegrityError when one is there already; the transaction is lost then.

    Values are those of the database: instants as `instants` gives them.
    """
    if not rows:
        return
    table = _table(model)
    if connection.vendor == "postgresql":
        text = f"COPY {table} ({_listed(columns)}) FROM STDIN (FORMAT BINARY)"
        # Django does not translate the errors of a COPY by itself.
        with connection.cursor() as cursor, connection.wrap_database_errors, cursor.copy(text) as copy:
            copy.set_types(_column_types(model, columns))
            for row in rows:
                copy.write_row(row)
        return
    # Many rows a statement, past Django's cursor, which looks through the text for its placeholders each time: while SQLite
    # works on a long statement, another thread reads the next batch.
    with connection.wrap_database_errors:
        for at in range(0, len(rows), _ROWS_A_STATEMENT):
            some = rows[at : at + _ROWS_A_STATEMENT]
            connection.connection.execute(_insert_text(table, columns, len(some)), tuple(chain.from_iterable(some)))


def instants(all_us: Iterable[int]) -> list[Any]:
    """Return moments, microseconds since 1970 UTC, as values of a time column."""
    if connection.vendor == "postgresql":
        return [_EPOCH + timedelta(microseconds=at_us) for at_us in all_us]
    return [_sqlite_text(at_us) for at_us in all_us]


def find_texts(model: type[Model], column: str, texts: Sequence[str]) -> set[str]:
    """Return which of these texts the column of the model's table holds."""
    table = _table(model)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(f'SELECT "{column}" FROM {table} WHERE "{column}" = ANY(%s)', [list(texts)])  # noqa: S608  # names are ours
            return {row[0] for row in cursor.fetchall()}
        found: set[str] = set()
        for at in range(0, len(texts), _VALUES_A_STATEMENT):
            some = texts[at : at + _VALUES_A_STATEMENT]
            marks = ", ".join(["%s"] * len(some))
            cursor.execute(f'SELECT "{column}" FROM {table} WHERE "{column}" IN ({marks})', list(some))  # noqa: S608  # names are ours
            found.update(row[0] for row in cursor.fetchall())
        return found


@lru_cache(maxsize=64)
def _insert_text(table: str, columns: tuple[str, ...], rows: int) -> str:
    row = f"({', '.join('?' * len(columns))})"
    return f"INSERT INTO {table} ({_listed(columns)}) VALUES {', '.join([row] * rows)}"  # noqa: S608  # names are ours


def _table(model: type[Model]) -> str:
    return model._meta.db_table  # noqa: SLF001  # a documented name of Django


def _listed(columns: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in columns)


@lru_cache(maxsize=8)
def _column_types(model: type[Model], columns: tuple[str, ...]) -> list[str]:
    """Return PostgreSQL's names of the columns' types, without their limits."""
    types = {field.column: field.db_type(connection) or "" for field in model._meta.concrete_fields}  # noqa: SLF001  # a documented name of Django
    return [types[name].partition("(")[0] for name in columns]


def _sqlite_text(at_us: int) -> str:
    """Return a moment as Django keeps it on SQLite: UTC without a zone, microseconds only where there are some."""
    second, us = divmod(at_us, 1_000_000)
    return f"{_second_text(second)}.{us:06d}" if us else _second_text(second)


@lru_cache(maxsize=64)
def _second_text(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%d %H:%M:%S")
