"""Job stores (``despina.core.ports.JobStore``): SQLite, and a reference in memory."""

from pathlib import Path

from despina.core.errors import NotOffered
from despina.core.ports import JobStore
from despina.store.memory import MemoryJobStore
from despina.store.refusals import PrefixTaken
from despina.store.sqlite import SqliteJobStore

__all__ = ["PrefixTaken", "open_store"]


def open_store(url: str | Path) -> JobStore:
    """Open the job store at ``url``: ``:memory:``, or the path of an SQLite file, which is made when it is missing.

    Raises:
        NotOffered: a URL of another database.
        StoreError: the file is no database of Despina's, of a newer version, or cannot be written.
    """
    if url == ":memory:":
        return MemoryJobStore()
    scheme, separator, _ = str(url).partition("://")
    if separator and isinstance(url, str):
        # Only the scheme is named: the rest may hold a password.
        raise NotOffered(f"The setting database_url asks for '{scheme}://', which is not offered yet by this version of Despina: "
                         "it must be the path of an SQLite file, or ':memory:'.")
    return SqliteJobStore(Path(url))
