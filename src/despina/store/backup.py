"""A consistent copy of an SQLite file that is being written to, by SQLite's online back-up (https://www.sqlite.org/backup.html)."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from despina.core.errors import StoreError


def back_up(path: Path, copy: Path) -> None:
    """Copy the database at ``path`` to ``copy``, as it is at one moment: everything committed before is in it, nothing half.

    The copy appears whole and durable, or not at all. Nobody who reads or writes the database waits for it.

    Raises:
        StoreError: there is no database, or the copy cannot be written.
    """
    unfinished = copy.with_name(f"{copy.name}.unfinished")
    try:
        with (closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as source,
              closing(sqlite3.connect(unfinished)) as target):
            source.backup(target)
        with unfinished.open("rb") as file:
            os.fsync(file.fileno())
        unfinished.replace(copy)
    except (sqlite3.Error, OSError) as error:
        raise StoreError(f"The database {path} cannot be copied to {copy}: {error}.") from error
