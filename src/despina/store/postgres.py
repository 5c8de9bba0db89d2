"""A PostgreSQL database, shared by the processes of any number of machines."""

import re
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any, TypeVar

import psycopg

from despina.store.database import OnEndpoint, OnJob, Rows, Run
from despina.store.postgres_connections import Connection, Connections
from despina.store.postgres_listener import PostgresListener
from despina.store.postgres_migrations import LOCK, migrate

T = TypeVar("T")

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
            with self.connections.connection() as connection:
                migrate(connection, self.name)
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
        with self.connections.connection() as connection:
            return _run(connection, statement, values)

    def write(self, statement: str, values: Mapping[str, Any]) -> Rows:
        """See ``Database``. The transaction is the statement: it costs one round trip."""
        with self.connections.connection() as connection:
            return _run(connection, statement, values)

    @contextmanager
    def writing(self, *, alone: bool = False) -> Iterator[Run]:
        """See ``Database``. Each statement sees what was committed before it began (READ COMMITTED)."""
        with self.connections.connection() as connection:
            connection.execute(_BEGIN_ALONE if alone else _BEGIN, prepare=False)
            try:
                yield lambda statement, values: _run(connection, statement, values)
                connection.execute(b"COMMIT", prepare=False)
            except BaseException:
                with suppress(psycopg.Error):
                    connection.execute(b"ROLLBACK", prepare=False)
                raise

    def recall(self, key: Hashable, read: Callable[[], T]) -> T:  # noqa: ARG002 - what others have written is not known
        """See ``Database``."""
        return read()

    def listen(self, on_job: OnJob, on_endpoint: OnEndpoint) -> None:
        """See ``Database``."""
        self._listeners.append(PostgresListener(self.connections, on_job=on_job, on_endpoint=on_endpoint))

    def close(self) -> None:
        """See ``Database``."""
        for listener in self._listeners:
            listener.close()
        self.connections.close()


def _run(connection: Connection, statement: str, values: Mapping[str, Any]) -> Rows:
    cursor = connection.execute(_translated(statement), values, binary=True)
    return cursor.fetchall() if cursor.description else []


@cache
def _translated(statement: str) -> bytes:
    """A statement of ``statements.py`` as psycopg takes it."""
    words = re.sub(r"/\*postgresql: (.*?) \*/", r"\1", statement).replace("%", "%%")
    return re.sub(r":(\w+)", r"%(\1)s", words).encode()
