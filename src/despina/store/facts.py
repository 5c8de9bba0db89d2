"""What is the matter with a database, found out without changing anything that stays: not even its schema is brought up to date."""

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from despina.core.errors import StoreError
from despina.core.frozen import Frozen
from despina.store import is_networked, migrations, sqlite_path
from despina.store.refusals import no_driver

if TYPE_CHECKING:
    from despina.store.postgres_connections import Connections, Cursor

TABLES = ("jobs", "endpoints", "principals", "access_keys")
RIGHTS = ("SELECT", "INSERT", "UPDATE", "DELETE")
OLDEST_POSTGRESQL = 130_000
"""``server_version_num`` of PostgreSQL 13."""
NOTIFY_SECONDS = 3.0
_FREE = b"""
    SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
           - (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')::int
"""


class StoreFacts(Frozen, frozen=True, kw_only=True):
    """A database that can be reached, and in which a row was written and read, in a transaction that was undone."""

    name: str
    """Without a password."""
    product: str
    schema: int
    """Its version; 0: there are no tables yet, and the first process will make them."""
    newest: int
    """The version that this Despina knows."""
    is_old: bool = False
    """Whether the product is too old."""
    ahead_ms: float = 0.0
    """How far its clock is ahead of ours."""
    lacks: tuple[str, ...] = ()
    """Rights that its user has not."""
    notifies: bool = True
    """Whether what one connection tells reaches another."""
    free_connections: int | None = None


def facts_of(url: str | Path) -> StoreFacts:
    """The facts.

    Args:
        url: As of ``open_stores``.

    Raises:
        StoreError: it cannot be reached, read or written, or is another program's.
        NotOffered: the driver is not installed.
    """
    return _of_postgres(str(url)) if is_networked(url) else _of_sqlite(sqlite_path(url))


def _of_sqlite(path: Path) -> StoreFacts:
    newest, product = len(migrations.MIGRATIONS), f"SQLite {sqlite3.sqlite_version}"
    if not path.exists():
        return StoreFacts(name=str(path), product=product, schema=0, newest=newest)
    try:
        with closing(sqlite3.connect(path, timeout=5, isolation_level=None)) as connection:
            version = migrations.schema_version(connection, path)
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("CREATE TABLE despina_doctor (word TEXT)")
            connection.execute("INSERT INTO despina_doctor VALUES ('well')")
            connection.execute("SELECT word FROM despina_doctor").fetchone()
            connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        raise StoreError(f"The job store {path} cannot be used: {error}.") from None
    return StoreFacts(name=str(path), product=product, schema=version, newest=newest)


def _of_postgres(url: str) -> StoreFacts:
    try:
        from despina.store.postgres_connections import Connections
        from despina.store.postgres_migrations import MIGRATIONS, schema_version
    except ImportError:
        raise no_driver() from None

    with closing(Connections(url)) as connections, connections.cursor() as cursor:
        number, text = _row(cursor, b"SELECT current_setting('server_version_num')::int, current_setting('server_version')")
        began = time.time()
        (clock,) = _row(cursor, b"SELECT extract(epoch FROM clock_timestamp())::float8")
        ahead = clock - (began + time.time()) / 2
        schema = schema_version(cursor.connection, connections.name)
        lacks = _lacking(cursor, schema)
        if not lacks:
            _write(cursor)
        (free,) = _row(cursor, _FREE)
        return StoreFacts(
            name=connections.name, product=f"PostgreSQL {str(text).split()[0]}", schema=schema, newest=len(MIGRATIONS),
            is_old=number < OLDEST_POSTGRESQL, ahead_ms=ahead * 1000, lacks=lacks, notifies=_notifies(connections, cursor),
            free_connections=free)


def _lacking(cursor: "Cursor", schema: int) -> tuple[str, ...]:
    (may_create,) = _row(cursor, b"SELECT coalesce(has_schema_privilege(current_schema(), 'CREATE'), false)")
    lacks = [] if may_create else ["CREATE in the schema"]
    if schema:
        for table in TABLES:
            for right in RIGHTS:
                cursor.execute(b"SELECT has_table_privilege(%s, %s)", (table, right))
                if not (cursor.fetchone() or (False,))[0]:
                    lacks.append(f"{right} on {table}")
    return tuple(lacks)


def _write(cursor: "Cursor") -> None:
    """Write and read a row of a table that is there for this transaction alone."""
    cursor.execute(b"BEGIN")
    try:
        cursor.execute(b"CREATE TABLE despina_doctor (word text)")
        cursor.execute(b"INSERT INTO despina_doctor VALUES ('well')")
        _row(cursor, b"SELECT word FROM despina_doctor")
    finally:
        cursor.execute(b"ROLLBACK")


def _notifies(connections: "Connections", cursor: "Cursor") -> bool:
    """Whether a notification arrives. Through a pooler that gives connections for one transaction it does not."""
    channel = f"despina_doctor_{os.getpid()}"
    with closing(connections.connect()) as listening:
        listening.execute(f"LISTEN {channel}".encode())
        cursor.execute(f"NOTIFY {channel}".encode())
        return any(True for _ in listening.notifies(timeout=NOTIFY_SECONDS, stop_after=1))


def _row(cursor: "Cursor", statement: bytes) -> tuple[Any, ...]:
    cursor.execute(statement)
    return tuple(cursor.fetchone() or ())
