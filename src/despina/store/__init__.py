"""Stores of jobs, endpoints and keys (``despina.core.ports``): SQLite, and a reference in memory."""

from pathlib import Path

from despina.core.errors import NotOffered
from despina.core.ports import EndpointStore, JobStore, KeyStore
from despina.store.memory import MemoryJobStore
from despina.store.memory_endpoints import MemoryEndpointStore
from despina.store.memory_keys import MemoryKeyStore
from despina.store.refusals import PrefixTaken
from despina.store.sqlite import SqliteJobStore
from despina.store.sqlite_endpoints import SqliteEndpointStore
from despina.store.sqlite_keys import SqliteKeyStore

__all__ = ["PrefixTaken", "open_endpoint_store", "open_key_store", "open_store"]


def open_endpoint_store(url: str | Path) -> EndpointStore:
    """Open the endpoints that are kept beside the jobs at ``url`` (see ``open_store``)."""
    return MemoryEndpointStore() if url == ":memory:" else SqliteEndpointStore(_path(url))


def open_key_store(url: str | Path) -> KeyStore:
    """Open the principals and access keys that are kept beside the jobs at ``url`` (see ``open_store``)."""
    return MemoryKeyStore() if url == ":memory:" else SqliteKeyStore(_path(url))


def open_store(url: str | Path) -> JobStore:
    """Open the job store at ``url``: ``:memory:``, or the path of an SQLite file, which is made when it is missing.

    Raises:
        NotOffered: a URL of another database.
        StoreError: the file is no database of Despina's, of a newer version, or cannot be written.
    """
    return MemoryJobStore() if url == ":memory:" else SqliteJobStore(_path(url))


def _path(url: str | Path) -> Path:
    scheme, separator, _ = str(url).partition("://")
    if separator and isinstance(url, str):
        # Only the scheme is named: the rest may hold a password.
        raise NotOffered(f"The setting database_url asks for '{scheme}://', which is not offered yet by this version of Despina: "
                         "it must be the path of an SQLite file, or ':memory:'.")
    return Path(url)
