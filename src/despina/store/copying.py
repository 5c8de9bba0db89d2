"""Copies all that a SQLite file holds into an empty PostgreSQL database, in one transaction."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg
from psycopg import sql

from despina.core.errors import StoreError
from despina.store.postgres import PostgresDatabase
from despina.store.postgres_migrations import LOCK
from despina.store.sqlite import SqliteDatabase

_COLUMNS: dict[str, tuple[str, ...]] = {
    "principals": ("name", "arn", "body"),
    "access_keys": ("id", "principal", "created_at", "disabled", "body"),
    "endpoints": ("seq", "id", "resource_name", "created_at", "invocation", "revision", "version", "body"),
    "jobs": ("seq", "kind", "id", "created_at", "prefix", "invocation", "started_by", "stopped_by", "status", "stop_requested",
             "clean", "swept", "due_at", "lease_token", "version", "body"),
}
"""By table, in an order in which they can be written. Leases are left out: whoever held one is gone."""
_BOOLEANS = {"disabled", "stop_requested", "clean", "swept"}
_NUMBERED = ("endpoints", "jobs")


def copy(source: SqliteDatabase, target: PostgresDatabase) -> dict[str, int]:
    """Copy everything; how many rows of each table.

    Nobody writes to the source meanwhile. Either all of it is in the target afterwards, or nothing.

    Raises:
        StoreError: the target is not empty, one of the two cannot be used, or not all rows have arrived.
    """
    # A transaction of the source that writes nothing keeps its other writers waiting.
    with source.writing() as read, target.connections.cursor() as cursor, cursor.connection.transaction():
        connection = cursor.connection
        for setting in ("statement_timeout", "idle_in_transaction_session_timeout"):
            connection.execute(sql.SQL("SET LOCAL {} = 0").format(sql.Identifier(setting)))
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
        for table in _COLUMNS:
            if _count(connection, table):
                raise StoreError(f"The database {target.name} has rows in its table '{table}': it must be an empty one.")
        copied = {}
        for table, columns in _COLUMNS.items():
            ((expected,),) = read(f"SELECT count(*) FROM {table}", {})  # noqa: S608 - of our own tables
            _copy_table(source, connection, table, columns)
            copied[table] = _count(connection, table)
            if copied[table] != expected:
                raise StoreError(f"Of {expected} rows of the table '{table}' {copied[table]} have arrived: nothing was copied.")
        for table in _NUMBERED:
            connection.execute(sql.SQL("SELECT setval(pg_get_serial_sequence({}, 'seq'), max(seq)) FROM {}").format(
                sql.Literal(table), sql.Identifier(table)))
    return copied


def _copy_table(source: SqliteDatabase, connection: psycopg.Connection[Any], table: str, columns: tuple[str, ...]) -> None:
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    with connection.cursor().copy(sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), names)) as target:
        for row in _rows(source, table, columns):
            target.write_row(row)


def _rows(source: SqliteDatabase, table: str, columns: tuple[str, ...]) -> Iterator[list[Any]]:
    """The rows of a table as PostgreSQL has them, read as they are written: there may be millions."""
    booleans = [i for i, name in enumerate(columns) if name in _BOOLEANS]
    with closing(source.connection().execute(f"SELECT {', '.join(columns)} FROM {table}")) as cursor:  # noqa: S608
        for row in cursor:
            values = list(row)
            for i in booleans:
                values[i] = bool(values[i])
            yield values


def _count(connection: psycopg.Connection[Any], table: str) -> int:
    (count,) = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))).fetchone() or (0,)
    return int(count)
