"""A PostgreSQL database, shared by the processes of any number of machines."""

import re
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any, TypeVar

import psycopg

from despina.store.database import OnEndpoint, OnJob, Rows, Run
from despina.store.postgres_connections import Connections, Cursor
from despina.store.postgres_listener import PostgresListener
from despina.store.postgres_migrations import LOCK, migrate

T = TypeVar("T")

_SNAPSHOT = "SELECT pg_current_snapshot()"
_BEGIN = b"BEGIN"
_BEGIN_ALONE = b"BEGIN; SELECT pg_advisory_xact_lock(%d)" % LOCK


class PostgresDatabase:
    """A ``Database`` at a ``postgresql://`` URL.

    A call that a lost connection or a restart of the server interrupts raises StoreError: whether what it wrote was recorded is
    then not known. The next call has a new connection.

    Raises:
        StoreError: the server cannot be reached, or the database is another program's or of a newer version.
    """

    def __init__(self, url: str) -> None:
        self.connections = Connections(url)
        self._listeners: list[PostgresListener] = []
        try:
            with self.connections.cursor() as cursor:
                migrate(cursor.connection, self.name)
        except BaseException:
            self.close()
            raise

    @property
    def name(self) -> str:
        """See ``Database``."""
        return self.connections.name

    def read(self, statement: str, values: Mapping[str, Any]) -> Rows:
        """See ``Database``."""
        # No text of PostgreSQL holds a zero byte: nothing is equal to one that does, or contains it.
        if any(isinstance(value, str) and "\0" in value for value in values.values()):
            return []
        with self.connections.cursor() as cursor:
            return _run(cursor, statement, values)

    def write(self, statement: str, values: Mapping[str, Any]) -> Rows:
        """See ``Database``. The transaction is the statement: it costs one round trip."""
        with self.connections.cursor() as cursor:
            return _run(cursor, statement, values)

    @contextmanager
    def writing(self, *, alone: bool = False) -> Iterator[Run]:
        """See ``Database``. Each statement sees what was committed before it began (READ COMMITTED)."""
        with self.connections.cursor() as cursor:
            # Two statements in one go are understood only without binary answers.
            cursor.connection.execute(_BEGIN_ALONE if alone else _BEGIN, prepare=False)
            try:
                yield lambda statement, values: _run(cursor, statement, values)
                cursor.execute(b"COMMIT", prepare=False)
            except BaseException:
                with suppress(psycopg.Error):
                    cursor.execute(b"ROLLBACK", prepare=False)
                raise

    def recall(self, key: Hashable, read: Callable[[], T]) -> T:
        """See ``Database``. While nobody commits to the server's databases the answer comes from memory.

        A snapshot names the transactions whose ends it has not seen: any commit changes it (PostgreSQL's manual, "Transaction
        ID and Snapshot Information Functions").
        """
        with self.connections.cursor() as cursor:
            [version] = _run(cursor, _SNAPSHOT, {})
        # The connection is free for others meanwhile, and for the reading itself.
        found: T = cursor.unchanged.get(version, key, read)
        return found

    def listen(self, on_job: OnJob, on_endpoint: OnEndpoint) -> None:
        """See ``Database``."""
        self._listeners.append(PostgresListener(self.connections, on_job=on_job, on_endpoint=on_endpoint))

    def close(self) -> None:
        """See ``Database``."""
        for listener in self._listeners:
            listener.close()
        self.connections.close()


def _run(cursor: Cursor, statement: str, values: Mapping[str, Any]) -> Rows:
    cursor.execute(_translated(statement), values)
    return cursor.fetchall() if cursor.rownumber is not None else []


@cache
def _translated(statement: str) -> bytes:
    """A statement of ``statements.py`` as psycopg takes it."""
    words = re.sub(r"/\*postgresql: (.*?) \*/", r"\1", statement).replace("%", "%%")
    return re.sub(r":(\w+)", r"%(\1)s", words).encode()
