"""Connections to one SQLite file: one a thread, opened when the thread first asks, with the schema brought up to date."""

import fcntl
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from despina.core.errors import StoreError
from despina.store import migrations

BUSY_TIMEOUT = 10.0
"""Seconds to wait for another process that is writing."""


class Connections:
    """The connections of this process to the file at ``path``.

    Raises:
        StoreError: the file cannot be opened or written, is no database of Despina's, or of a newer version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()
        self._opened: dict[threading.Thread, sqlite3.Connection] = {}
        self._opening = threading.Lock()
        self._writing = threading.Lock()
        with self.reported(), _queue(path.parent):
            try:
                self._prepare(self.reading())
            except BaseException:
                self.close()
                raise

    def reading(self) -> sqlite3.Connection:
        """The connection of this thread."""
        try:
            connection: sqlite3.Connection = self._local.connection
        except AttributeError:
            with self.reported():
                connection = self._local.connection = self._connect()
            self._keep(connection)
        return connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """The connection of this thread in a transaction that no other writes beside. What was committed is on the disk."""
        connection = self.reading()
        # The threads of a process queue here: in SQLite they would sleep and look again.
        with self._writing, self.reported():
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

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
        """Close the connections of all threads."""
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
