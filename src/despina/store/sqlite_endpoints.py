"""Endpoints in the SQLite file of the jobs."""

import sqlite3
from pathlib import Path
from typing import Any

import msgspec

from despina.core.endpoint import Endpoint
from despina.core.errors import StoreError
from despina.core.ports import StoredEndpoint
from despina.store import refusals
from despina.store.connections import Connections
from despina.store.unchanged import Unchanged

_DECODER = msgspec.json.Decoder(Endpoint)
_ENCODER = msgspec.json.Encoder()

_COLUMNS = "SELECT seq, revision, id, body FROM endpoints"
# An id comes before another endpoint's resource name that is the same.
_GET = f"{_COLUMNS} WHERE id = :id OR resource_name = :id ORDER BY id = :id DESC LIMIT 1"
_ALL = f"{_COLUMNS} ORDER BY created_at DESC, seq DESC"
_INVOKED = f"{_COLUMNS} WHERE invocation = :invocation"
_CREATE = """
INSERT INTO endpoints (id, resource_name, created_at, invocation, revision, body)
VALUES (:id, :resource_name, :created_at, :invocation, 1, :body)
"""
_WRITE = "UPDATE endpoints SET revision = revision + 1, body = :body WHERE seq = :key AND revision = :revision"
_REMOVE = "DELETE FROM endpoints WHERE seq = :key AND revision = :revision"


class SqliteEndpointStore:
    """An ``EndpointStore`` in the SQLite file at ``path``. Any method raises StoreError when the file cannot be used."""

    def __init__(self, path: Path) -> None:
        self._connections = Connections(path)
        self._found = Unchanged[StoredEndpoint]()

    def create(self, endpoint: Endpoint, *, invocation: str | None, most: int) -> Endpoint:
        """See ``EndpointStore``."""
        values = {"id": endpoint.id, "resource_name": endpoint.resource_name, "created_at": endpoint.created_at,
                  "invocation": invocation, "body": _ENCODER.encode(endpoint)}
        with self._connections.writing() as connection:
            known = connection.execute(_INVOKED, values).fetchone()
            if known is None:
                if connection.execute("SELECT 1 FROM endpoints WHERE id = :id", values).fetchone():
                    raise refusals.id_taken()
                if connection.execute("SELECT count(*) FROM endpoints").fetchone()[0] >= most:
                    raise refusals.too_many_endpoints(most)
                connection.execute(_CREATE, values)
        return self._stored(known).endpoint if known else endpoint

    def get(self, endpoint_id: str) -> StoredEndpoint | None:
        """See ``EndpointStore``. While nobody has committed to the file the answer comes from memory."""
        try:
            return self._found.get_known(self._connections.reading(), endpoint_id, lambda: self._find(endpoint_id))
        except sqlite3.Error as error:
            raise self._connections.error(error) from error

    def all(self) -> tuple[StoredEndpoint, ...]:
        """See ``EndpointStore``."""
        return tuple(map(self._stored, self._read(_ALL, {})))

    def write(self, stored: StoredEndpoint, endpoint: Endpoint) -> bool:
        """See ``EndpointStore``."""
        with self._connections.writing() as connection:
            values = {"key": stored.key, "revision": stored.revision, "body": _ENCODER.encode(endpoint)}
            return connection.execute(_WRITE, values).rowcount > 0

    def remove(self, stored: StoredEndpoint) -> bool:
        """See ``EndpointStore``."""
        with self._connections.writing() as connection:
            return connection.execute(_REMOVE, {"key": stored.key, "revision": stored.revision}).rowcount > 0

    def close(self) -> None:
        """See ``EndpointStore``."""
        self._connections.close()

    def _find(self, endpoint_id: str) -> StoredEndpoint | None:
        rows = self._read(_GET, {"id": endpoint_id})
        return self._stored(rows[0]) if rows else None

    def _read(self, statement: str, values: dict[str, Any]) -> list[Any]:
        try:
            return self._connections.reading().execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise self._connections.error(error) from error

    def _stored(self, row: Any) -> StoredEndpoint:
        key, revision, endpoint_id, body = row
        try:
            return StoredEndpoint(key=key, revision=revision, endpoint=_DECODER.decode(body))
        except msgspec.MsgspecError as error:
            path = self._connections.path
            raise StoreError(f"The record of the endpoint '{endpoint_id}' in {path} cannot be read: {error}.") from error
