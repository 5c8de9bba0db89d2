"""The schema of the SQLite store: the statements that lead from each version to the next. A migration once released stays as it is.

``body`` is the job as JSON; the columns beside it are what is searched, and what others than the holder of the lease write:
``status`` is the status as shown (``Stopping`` once a stop is wished), ``stop_requested``, ``clean`` and ``stopped_by`` are the
wish. A lease is held while ``lease_expires_at`` is not null, by whoever knows ``lease_token``. Of endpoints everything is in
``body``, and ``revision`` counts its writes. ``version`` is the ``RECORD_VERSION`` of who wrote ``body``. While processes are
replaced by newer ones, older ones work on a newer schema: a migration only adds, and with defaults.
"""

import sqlite3
from pathlib import Path

from despina.core.errors import StoreError

APPLICATION_ID = 0x44_45_53_50
"""Marks the file as Despina's (``PRAGMA application_id``): "DESP"."""

_JOBS = """
CREATE TABLE jobs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    prefix TEXT NOT NULL UNIQUE,
    invocation TEXT,
    status TEXT NOT NULL,
    stop_requested INTEGER NOT NULL,
    clean INTEGER NOT NULL,
    swept INTEGER NOT NULL,
    due_at INTEGER,
    lease_token INTEGER NOT NULL DEFAULT 0,
    lease_expires_at INTEGER,
    body BLOB NOT NULL,
    UNIQUE (kind, id)
)
"""

_ACCESS_KEYS = """
CREATE TABLE access_keys (
    id TEXT NOT NULL PRIMARY KEY,
    principal TEXT NOT NULL REFERENCES principals ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    disabled INTEGER NOT NULL,
    body BLOB NOT NULL
)
"""

_ENDPOINTS = """
CREATE TABLE endpoints (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    resource_name TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    invocation TEXT,
    revision INTEGER NOT NULL,
    body BLOB NOT NULL
)
"""

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        _JOBS,
        "CREATE UNIQUE INDEX jobs_by_invocation ON jobs (kind, invocation) WHERE invocation IS NOT NULL",
        # These two hold all that a list call reads, in its order: its cost does not grow with the number of jobs.
        "CREATE INDEX jobs_by_age ON jobs (kind, created_at DESC, seq DESC, id)",
        "CREATE INDEX jobs_by_status ON jobs (kind, status, created_at DESC, seq DESC, id)",
        "CREATE INDEX jobs_active ON jobs (status) WHERE status IN ('InProgress', 'Stopping')",
        "CREATE INDEX jobs_due ON jobs (due_at, seq) WHERE due_at IS NOT NULL",
        f"PRAGMA application_id = {APPLICATION_ID}",
    ),
    (
        "CREATE TABLE principals (name TEXT NOT NULL PRIMARY KEY, arn TEXT NOT NULL UNIQUE, body BLOB NOT NULL)",
        _ACCESS_KEYS,
        "CREATE INDEX access_keys_by_principal ON access_keys (principal, created_at)",
    ),
    (
        "ALTER TABLE jobs ADD COLUMN started_by TEXT",
        "ALTER TABLE jobs ADD COLUMN stopped_by TEXT",
    ),
    (
        _ENDPOINTS,
        "CREATE UNIQUE INDEX endpoints_by_name ON endpoints (resource_name)",
        "CREATE UNIQUE INDEX endpoints_by_invocation ON endpoints (invocation) WHERE invocation IS NOT NULL",
    ),
    (
        # Processes of the version before, which go on beside the first of this one, write rows without it.
        "ALTER TABLE jobs ADD COLUMN version INTEGER NOT NULL DEFAULT 1",
        "ALTER TABLE endpoints ADD COLUMN version INTEGER NOT NULL DEFAULT 1",
    ),
)
"""Entry ``n`` leads from version ``n`` to ``n + 1``; ``PRAGMA user_version`` says which one a file has."""


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the file's schema up to date, within the transaction that the caller has begun.

    Raises:
        StoreError: the file belongs to another program, or to a newer version of Despina.
    """
    for statements in MIGRATIONS[schema_version(connection, path):]:
        for statement in statements:
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")


def schema_version(connection: sqlite3.Connection, path: Path) -> int:
    """The version of the file's schema; 0: it has none yet. Raises StoreError as ``migrate`` does."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (owner,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if owner != APPLICATION_ID and (tables or version):
        raise StoreError(f"{path} is a database of another program: Despina needs a file of its own.")
    if version > len(MIGRATIONS):
        raise StoreError(f"The job store {path} was written by a newer version of Despina (its schema has version {version}, "
                         f"this one knows {len(MIGRATIONS)}): use that version or another file.")
    return int(version)
