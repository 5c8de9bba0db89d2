"""Connections to a PostgreSQL server: opened when they are needed, used again, and replaced when they are lost.

Nothing waits without end: connecting, statements, locks, and a peer that has vanished each have their time.
"""

import select
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import psycopg
from psycopg.adapt import AdaptersMap
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Format, TransactionStatus
from psycopg.types.numeric import Int8BinaryDumper

from despina.core.errors import StoreError
from despina.store.unchanged import Unchanged

MOST = 10
"""Connections of a process, beside the one that listens. A server takes 100 by default."""
_WAIT_SECONDS = 10.0
"""How long a call waits for one of them."""
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0
"""Seconds between two attempts to reach a server that cannot be reached; each pause is twice the one before."""
_SESSION = {
    "statement_timeout": "10s", "lock_timeout": "5s", "idle_in_transaction_session_timeout": "10s",
    # What is acknowledged is on the disk, and locks are seen as READ COMMITTED sees them, whatever the server's defaults.
    "synchronous_commit": "on", "default_transaction_isolation": r"read\ committed",
}
_TRANSPORT = {"connect_timeout": 5, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3,
              "tcp_user_timeout": 15_000, "application_name": "despina"}

_ADAPTERS = AdaptersMap(psycopg.adapters)
# By default the type of a number depends on its size, and a statement would be prepared anew for each.
_ADAPTERS.register_dumper(int, Int8BinaryDumper)

Connection = psycopg.Connection[Any]


class Cursor(psycopg.Cursor[Any]):
    """The only cursor of a connection, with what need not be read again through it."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self.format = Format.BINARY
        self.unchanged = Unchanged[Any]()


class Connections:
    """The connections of this process to the database at ``url``."""

    def __init__(self, url: str) -> None:
        self._parameters = _parsed(url)
        self._secret = str(self._parameters.get("password") or "")
        self.name = _shown(self._parameters)
        self._places = threading.BoundedSemaphore(MOST)
        self._lock = threading.Lock()
        self._idle: list[Cursor] = []
        self._closed = False
        self._pause, self._not_before, self._refused = _SHORTEST_PAUSE, 0.0, ""
        self.backends: set[int] = set()
        """The server's process ids of all that are open."""

    @contextmanager
    def cursor(self) -> Iterator[Cursor]:
        """A connection for the caller alone, in autocommit mode, with its cursor. Errors of PostgreSQL are raised as StoreError."""
        if not self._places.acquire(timeout=_WAIT_SECONDS):
            raise self.error(f"all {MOST} connections were in use for {_WAIT_SECONDS:g} s")
        try:
            cursor = self._take() or Cursor(self.connect())
            try:
                yield cursor
            except psycopg.Error as error:
                raise self.error(error) from error
            finally:
                self._give_back(cursor)
        finally:
            self._places.release()

    def connect(self) -> Connection:
        """A new connection. While the server cannot be reached most calls fail at once: it is tried now and then."""
        with self._lock:
            if time.monotonic() < self._not_before:
                raise self.error(self._refused)
        try:
            connection = psycopg.connect(**self._parameters, autocommit=True, prepare_threshold=0, context=_ADAPTERS)
        except psycopg.Error as error:
            with self._lock:
                self._refused, self._not_before = str(error), time.monotonic() + self._pause
                self._pause = min(2 * self._pause, _LONGEST_PAUSE)
            raise self.error(error) from error
        with self._lock:
            self._pause, self._not_before = _SHORTEST_PAUSE, 0.0
            self.backends.add(connection.info.backend_pid)
        return connection

    def discard(self, connection: Connection) -> None:
        """Close a connection for good."""
        with self._lock:
            self.backends.discard(connection.info.backend_pid)
        connection.close()

    def close(self) -> None:
        """Close them all; those in use when their callers are done."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for cursor in idle:
            self.discard(cursor.connection)

    def error(self, reason: Exception | str) -> StoreError:
        """The error in the domain's words, in one line and without the password."""
        text = " ".join(str(reason).split()).rstrip(".")
        if self._secret:
            text = text.replace(self._secret, "***")
        return StoreError(f"The job store {self.name} cannot be used: {text}.")

    def _take(self) -> Cursor | None:
        """The connection that was used last: the server has its statements and pages at hand."""
        while True:
            with self._lock:
                if self._closed:
                    raise self.error("it is closed")
                if not self._idle:
                    return None
                cursor = self._idle.pop()
            if _is_quiet(cursor.connection):
                return cursor
            self.discard(cursor.connection)

    def _give_back(self, cursor: Cursor) -> None:
        with self._lock:
            if not self._closed and cursor.connection.info.transaction_status is TransactionStatus.IDLE:
                self._idle.append(cursor)
                return
        self.discard(cursor.connection)


def _is_quiet(connection: Connection) -> bool:
    """Whether the server has said nothing since the last answer. If it has, then most likely that it ends."""
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return not poll.poll(0)


def _parsed(url: str) -> dict[str, Any]:
    """What is to be passed to libpq. The user's own parameters come before ours."""
    try:
        # An '@' or '/' of a password that is not encoded would make a part of it the name of a host, which errors show.
        parts = urlsplit(url)
        if parts.netloc.count("@") > 1 or "@" in f"{parts.path}{parts.fragment}":
            raise ValueError
        given = conninfo_to_dict(url)
    except (ValueError, psycopg.Error):
        raise StoreError("The setting database_url is no URL of a PostgreSQL database: it must be of the form "
                         "postgresql://user:password@host:5432/database, with %-escapes for what is special in a password. (It is "
                         "not shown, for it may hold one.)") from None
    session = " ".join(f"-c {name}={value}" for name, value in _SESSION.items())
    return {**_TRANSPORT, **given, "options": f"{session} {given.get('options') or ''}".strip()}


def _shown(parameters: dict[str, Any]) -> str:
    user, host = parameters.get("user"), parameters.get("host") or "localhost"
    place = f"{f'{user}@' if user else ''}{host}{f':{port}' if (port := parameters.get('port')) else ''}"
    return f"postgresql://{place}/{parameters.get('dbname') or ''}"
