"""Stores of jobs, endpoints and keys (``despina.core.ports``): in SQLite or PostgreSQL, and a reference in memory.

::

    jobs.py endpoints.py keys.py    the stores over a database, whichever it is
    statements.py                   their SQL
    database.py                     what they ask of a database
    measured.py                     a database whose statements are told of
    sqlite.py migrations.py         SQLite, and its schema
    postgres.py postgres_connections.py postgres_migrations.py postgres_listener.py     PostgreSQL
    unchanged.py                    what need not be read again
    copying.py                      from SQLite to PostgreSQL
    facts.py                        what is the matter with a database
    memory.py memory_endpoints.py memory_keys.py              the reference
    paging.py refusals.py           what all of them share
"""

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from despina.core.errors import NotOffered
from despina.core.ports import EndpointStore, JobStore, KeyStore
from despina.core.telemetry import Telemetry
from despina.store.database import Database, OnEndpoint, OnJob
from despina.store.endpoints import SqlEndpointStore
from despina.store.jobs import SqlJobStore
from despina.store.keys import SqlKeyStore
from despina.store.measured import MeasuredDatabase
from despina.store.memory import MemoryJobStore
from despina.store.memory_endpoints import MemoryEndpointStore
from despina.store.memory_keys import MemoryKeyStore
from despina.store.refusals import PrefixTaken, no_driver
from despina.store.sqlite import SqliteDatabase

if TYPE_CHECKING:
    from despina.store.postgres import PostgresDatabase

__all__ = ["PrefixTaken", "Stores", "copy_into", "is_networked", "open_key_store", "open_store",
           "open_stores"]


class Stores:
    """The stores of one database."""

    def __init__(self, jobs: JobStore, endpoints: EndpointStore, keys: KeyStore, *, database: Database | None = None) -> None:
        self.jobs, self.endpoints, self.keys = jobs, endpoints, keys
        self._database = database

    def listen(self, on_job: OnJob, on_endpoint: OnEndpoint) -> None:
        """Have these called, from another thread, with each job and endpoint that another process has created or wished to change.

        Only PostgreSQL tells, and what is told may be lost: whoever listens must look now and then, too.
        """
        if self._database is not None:
            self._database.listen(on_job, on_endpoint)

    def close(self) -> None:
        """Release files and connections."""
        for store in (self.jobs, self.endpoints, self.keys):
            store.close()


def open_stores(url: str | Path, telemetry: Telemetry | None = None) -> Stores:
    """Open the stores at ``url``, which share their connections.

    Args:
        url: ``:memory:``; the path of an SQLite file, which is made when it is missing; or ``postgresql://…``, a database that is
            there, in which the tables are made when they are missing.
        telemetry: Is told of each statement; not of what memory answers.

    Raises:
        NotOffered: a URL of another database, or the driver is not installed.
        StoreError: the database cannot be reached or written, is not Despina's, or of a newer version.
    """
    if url == ":memory:":
        return Stores(MemoryJobStore(), MemoryEndpointStore(), MemoryKeyStore())
    database = _open(url) if telemetry is None else MeasuredDatabase(_open(url), telemetry)
    return Stores(SqlJobStore(database), SqlEndpointStore(database), SqlKeyStore(database), database=database)


def open_store(url: str | Path) -> JobStore:
    """Open the jobs at ``url`` alone (see ``open_stores``)."""
    return open_stores(url).jobs


def open_key_store(url: str | Path) -> KeyStore:
    """Open the principals and access keys that are kept beside the jobs at ``url`` (see ``open_stores``)."""
    return open_stores(url).keys


def copy_into(url: str | Path, source: Path) -> dict[str, int]:
    """Copy all that an SQLite file holds into an empty PostgreSQL database; how many rows of each table.

    Leases are not copied. The file stays as it is: whatever uses it should have ended, since what it writes later is not moved.

    Raises:
        NotOffered: ``url`` is none of PostgreSQL.
        StoreError: the database is not empty, or one of the two cannot be used. Nothing was copied.
    """
    if not is_networked(url):
        raise NotOffered("An SQLite file can only be copied into PostgreSQL: database_url must be postgresql://user:password@host/database.")
    with closing(_postgres(str(url))) as target:
        from despina.store.copying import copy

        with closing(SqliteDatabase(source)) as database:
            return copy(database, target)


def is_networked(url: str | Path) -> bool:
    """Whether reading from the database at ``url`` means waiting for another machine."""
    return str(url).startswith(("postgresql://", "postgres://"))


def _open(url: str | Path) -> Database:
    if is_networked(url):
        return _postgres(str(url))
    return SqliteDatabase(sqlite_path(url))


def sqlite_path(url: str | Path) -> Path:
    """The file that a URL which is none of PostgreSQL names. Raises NotOffered for that of another database."""
    scheme, separator, _ = str(url).partition("://")
    if separator and isinstance(url, str):
        # Only the scheme is named: the rest may hold a password.
        raise NotOffered(f"The setting database_url asks for '{scheme}://', which is not offered: it must be the path of an SQLite "
                         "file, postgresql://user:password@host/database, or ':memory:'.")
    return Path(url)


def _postgres(url: str) -> "PostgresDatabase":
    try:
        from despina.store.postgres import PostgresDatabase
    except ImportError:
        raise no_driver() from None
    return PostgresDatabase(url)
