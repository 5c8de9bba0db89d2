"""One SQLite file: a connection a thread, opened when the thread first asks, with the schema brought up to date."""

import fcntl
import os
import sqlite3
import threading
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from despina.core.errors import StoreError
from despina.store import migrations
from despina.store.database import OnEndpoint, OnJob, Rows, Run
from despina.store.unchanged import Unchanged

T = TypeVar("T")

BUSY_TIMEOUT = 10.0
"""Seconds to wait for another process that is writing."""


class SqliteDatabase:
    """A ``Database`` in the file at ``path``.

    Raises:
        StoreError: the file cannot be opened or written, is no database of Despina's, or of a newer version.
    """

    def __init__(self, path: Path) -> None:
        if sqlite3.sqlite_version_info < (3, 35):
            raise StoreError(f"This Python comes with SQLite {sqlite3.sqlite_version}: Despina needs 3.35 or newer (of 2021).")
        self.path = path
        self._local = threading.local()
        self._opened: dict[threading.Thread, sqlite3.Connection] = {}
        self._opening = threading.Lock()
        self._writing = threading.Lock()
        with self.reported(), _queue(path.parent):
            try:
                self._prepare(self.connection())
            except BaseException:
                self.close()
                raise

    @property
    def name(self) -> str:
        """See ``Database``."""
        return str(self.path)

    def read(self, statement: str, values: Mapping[str, Any]) -> Rows:
        """See ``Database``."""
        try:
            return self.connection().execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise self.error(error) from error

    def write(self, statement: str, values: Mapping[str, Any]) -> Rows:
        """See ``Database``."""
        with self.writing() as run:
            return run(statement, values)

    @contextmanager
    def writing(self, *, alone: bool = False) -> Iterator[Run]:  # noqa: ARG002 - one writes at a time in any case
        """See ``Database``. What was committed is on the disk."""
        connection = self.connection()
        # The threads of a process queue here: in SQLite they would sleep and look again.
        with self._writing, self.reported():
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield lambda statement, values: connection.execute(statement, values).fetchall()
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    def recall(self, key: Hashable, read: Callable[[], T]) -> T:
        """See ``Database``. While nobody commits to the file the answer comes from memory."""
        connection = self.connection()
        try:
            # Commits of other connections, whatever their process, and the connection's own writes.
            version = (connection.execute("PRAGMA data_version").fetchone()[0], connection.total_changes)
        except sqlite3.Error as error:
            raise self.error(error) from error
        found: T = self._local.unchanged.get(version, key, read)
        return found

    def listen(self, on_job: OnJob, on_endpoint: OnEndpoint) -> None:
        """See ``Database``. SQLite tells nothing."""

    def connection(self) -> sqlite3.Connection:
        """The connection of this thread."""
        try:
            connection: sqlite3.Connection = self._local.connection
        except AttributeError:
            with self.reported():
                connection = self._local.connection = self._connect()
            self._local.unchanged = Unchanged[Any]()
            self._keep(connection)
        return connection

    @contextmanager
    def reported(self) -> Iterator[None]:
        """Turn the errors of SQLite and of the system into StoreError."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise self.error(error) from error

    def error(self, error: Exception) -> StoreError:
        """The error in the domain's words."""
        return StoreError(f"The job store {self.path} cannot be used: {error}.")

    def close(self) -> None:
        """See ``Database``."""
        with self._opening:
            for connection in self._opened.values():
                connection.close()
            self._opened.clear()

    def _connect(self) -> sqlite3.Connection:
        # Used by one thread at a time, but closed by another.
        connection = sqlite3.connect(self.path, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
        except BaseException:
            connection.close()
            raise
        return connection

    def _keep(self, connection: sqlite3.Connection) -> None:
        """Remember the connection to close it in the end, and close those of threads that have ended."""
        with self._opening:
            for thread in [thread for thread in self._opened if not thread.is_alive()]:
                self._opened.pop(thread).close()
            self._opened[threading.current_thread()] = connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise StoreError(f"The job store {self.path} cannot be used: its file system does not support write-ahead logging.")
        connection.execute("BEGIN EXCLUSIVE")
        try:
            migrations.migrate(connection, self.path)
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")


@contextmanager
def _queue(folder: Path) -> Iterator[None]:
    """Wait while another process prepares a file in this folder: SQLite does not wait when it turns to write-ahead logging."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
