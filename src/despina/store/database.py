"""What the SQL stores ask of a database. ``sqlite.py`` and ``postgres.py`` are the two there are."""

from collections.abc import Callable, Hashable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

from despina.core.job import JobKind

T = TypeVar("T")

Rows = list[Any]
"""Tuples."""
Run = Callable[[str, Mapping[str, Any]], Rows]
"""Runs a statement of ``statements.py`` with the values of its ``:names``; the rows that it selects or returns."""
OnJob = Callable[[tuple[JobKind, str]], None]
OnEndpoint = Callable[[str], None]


class Database(Protocol):
    """A database with the schema of Despina. It may be used from several threads; every method raises StoreError."""

    @property
    def name(self) -> str:
        """What errors call it; without a password."""
        ...

    def read(self, statement: str, values: Mapping[str, Any]) -> Rows:
        """Run a statement that changes nothing."""
        ...

    def write(self, statement: str, values: Mapping[str, Any]) -> Rows:
        """Run a statement in a transaction of its own; it is durable when this returns."""
        ...

    def writing(self, *, alone: bool = False) -> AbstractContextManager[Run]:
        """A transaction: durable when the block has ended, undone when it raises.

        ``alone``: no other that asks for the same runs beside it, in any process, and what those before it wrote is seen. It is for
        what depends on rows that are not there: two could both find an id free. (SQLite has one writer in any case.)
        """
        ...

    def recall(self, key: Hashable, read: Callable[[], T]) -> T:
        """What ``read`` gives, which depends on the database and the key alone; from memory if it is known that nothing changed."""
        ...

    def listen(self, on_job: OnJob, on_endpoint: OnEndpoint) -> None:
        """Call these from another thread, until ``close``, with what other processes create or wish, as far as it is told."""
        ...

    def close(self) -> None:
        """Close all connections."""
        ...
