"""What was read from an SQLite file is still right while nobody has committed to it."""

import sqlite3
import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")

MOST = 64
"""Results kept for a thread."""


class Unchanged(threading.local, Generic[T]):
    """Results of queries, by thread, each kept until the thread's connection sees a change.

    Clients that poll ask the same again and again. ``PRAGMA data_version`` says whether another connection has committed since it
    was last asked, whatever its process, and ``total_changes`` counts the connection's own writes.
    """

    def __init__(self) -> None:
        self._version: tuple[int, int] | None = None
        self._results: dict[Hashable, T] = {}

    def get(self, connection: sqlite3.Connection, key: Hashable, read: Callable[[], T]) -> T:
        """The result kept under ``key``, or that of ``read``, which must depend on the file and the key alone. None is not kept."""
        version = (connection.execute("PRAGMA data_version").fetchone()[0], connection.total_changes)
        if version != self._version or len(self._results) >= MOST:
            self._version, self._results = version, {}
        result = self._results.get(key)
        if result is None:
            result = self._results[key] = read()
        return result
