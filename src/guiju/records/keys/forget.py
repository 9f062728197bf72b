"""What a database keeps of bytes that were overwritten or deleted, and how much of it can be made to go.

SQLite: with `secure_delete` freed bytes become zeros, and emptying the write-ahead log removes the old pages from it.
PostgreSQL: the old version of a row stays until a vacuum, its bytes until the page is used again, and copies stay in the
write-ahead log and its archives. Backups keep what they hold. What lies there is a key wrapped under the master key of its
time: rotate the master key and destroy the former one, and those copies open no more.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import DatabaseError, connection

log = logging.getLogger("guiju.records")


@contextmanager
def forgetting() -> Iterator[None]:
    """While this lasts, SQLite overwrites with zeros what this connection frees. Enter it outside of transactions."""
    if connection.vendor != "sqlite":
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA secure_delete")
        before = int(cursor.fetchone()[0])  # some builds have it on from the start
        cursor.execute("PRAGMA secure_delete=ON")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"PRAGMA secure_delete={('OFF', 'ON', 'FAST')[before]}")


def forget_old_bytes() -> bool:
    """Let old copies of freed bytes go as far as this database can; False when something was in the way, which passes.

    Nothing depends on it: what it could not remove now goes when the log is used again (SQLite) or by autovacuum (PostgreSQL).
    """
    try:
        if connection.in_atomic_block:
            return False  # neither works inside a transaction
        with connection.cursor() as cursor:
            if connection.vendor == "sqlite":
                cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                return bool(cursor.fetchone()[0] == 0)
            cursor.execute("VACUUM records_subjectkey")
            return True
    except DatabaseError as problem:
        log.info("old bytes could not be removed now (%s)", problem)
        return False
