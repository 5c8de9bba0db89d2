"""Tells this process of the wishes that others write to a PostgreSQL database (LISTEN and NOTIFY)."""

import logging
import threading

import psycopg

from despina.core.errors import StoreError
from despina.core.job import JobKind
from despina.store.database import OnEndpoint, OnJob
from despina.store.postgres_connections import Connections

log = logging.getLogger("despina.store")

_KINDS = {kind.value for kind in JobKind}
_LOOK_SECONDS = 0.5
"""How soon it is seen that the listener is closed."""
_PAUSE_SECONDS = 1.0


class PostgresListener:
    """Calls ``on_job`` and ``on_endpoint``, in a thread of its own, for each that another process has created or wished to change.

    What is told while the connection is lost is lost, too: whoever is called finds it by looking, later.
    """

    def __init__(self, connections: Connections, *, on_job: OnJob, on_endpoint: OnEndpoint) -> None:
        self._connections, self._on_job, self._on_endpoint = connections, on_job, on_endpoint
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name="despina-listener", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End listening."""
        self._closing.set()
        self._thread.join(timeout=10)

    def _work(self) -> None:
        while not self._closing.is_set():
            try:
                self._listen()
            except (psycopg.Error, StoreError) as error:
                log.warning("The wishes of other processes are seen later, until the database is back: %s",
                            self._connections.error(error) if isinstance(error, psycopg.Error) else error)
                self._closing.wait(_PAUSE_SECONDS)

    def _listen(self) -> None:
        connection = self._connections.connect()
        try:
            connection.execute("LISTEN despina_jobs")
            connection.execute("LISTEN despina_endpoints")
            while not self._closing.is_set():
                for told in connection.notifies(timeout=_LOOK_SECONDS):
                    if told.pid not in self._connections.backends:  # this process knows what it has written itself
                        self._tell(told.channel, told.payload)
        finally:
            self._connections.discard(connection)

    def _tell(self, channel: str, payload: str) -> None:
        if channel == "despina_endpoints":
            self._on_endpoint(payload)
        else:
            kind, _, job_id = payload.partition("/")
            if kind in _KINDS:  # a newer version may know more
                self._on_job((JobKind(kind), job_id))
