"""Endpoints in the database of the jobs."""

import logging
from typing import Any

import msgspec

from despina.core.endpoint import Endpoint
from despina.core.errors import StoreError
from despina.core.frozen import RECORD_VERSION
from despina.core.ports import StoredEndpoint
from despina.store import refusals, statements
from despina.store.database import Database

log = logging.getLogger(__name__)

_DECODER = msgspec.json.Decoder(Endpoint)
_ENCODER = msgspec.json.Encoder()


class SqlEndpointStore:
    """An ``EndpointStore`` in a database. Any method raises StoreError when it cannot be used."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, endpoint: Endpoint, *, invocation: str | None, most: int) -> Endpoint:
        """See ``EndpointStore``."""
        values = {"id": endpoint.id, "resource_name": endpoint.resource_name, "created_at": endpoint.created_at,
                  "invocation": invocation, "version": RECORD_VERSION, "body": _ENCODER.encode(endpoint)}
        with self._database.writing(alone=True) as run:
            known = run(statements.ENDPOINT_INVOKED, values)
            if not known:
                if run(statements.ENDPOINT_TAKEN, values):
                    raise refusals.id_taken()
                if run(statements.ENDPOINTS_COUNTED, {})[0][0] >= most:
                    raise refusals.too_many_endpoints(most)
                run(statements.CREATE_ENDPOINT, values)
        return self._stored(known[0]).endpoint if known else endpoint

    def get(self, endpoint_id: str) -> StoredEndpoint | None:
        """See ``EndpointStore``."""
        return self._database.recall(("endpoint", endpoint_id), lambda: self._find(endpoint_id))

    def all(self) -> tuple[StoredEndpoint, ...]:
        """See ``EndpointStore``."""
        found = []
        for row in self._database.read(statements.ENDPOINTS, {}):
            try:
                found.append(self._stored(row))
            except StoreError as error:
                if row[3] <= RECORD_VERSION:
                    raise
                log.warning("%s", error)
        return tuple(found)

    def write(self, stored: StoredEndpoint, endpoint: Endpoint) -> bool:
        """See ``EndpointStore``."""
        if stored.newer:
            raise refusals.left_alone(endpoint.id, self._database.name)
        values = {"key": stored.key, "revision": stored.revision, "version": RECORD_VERSION, "body": _ENCODER.encode(endpoint)}
        return bool(self._database.write(statements.WRITE_ENDPOINT, values))

    def remove(self, stored: StoredEndpoint) -> bool:
        """See ``EndpointStore``."""
        return bool(self._database.write(statements.REMOVE_ENDPOINT, {"key": stored.key, "revision": stored.revision}))

    def close(self) -> None:
        """See ``EndpointStore``."""
        self._database.close()

    def _find(self, endpoint_id: str) -> StoredEndpoint | None:
        rows = self._database.read(statements.ENDPOINT, {"id": endpoint_id})
        return self._stored(rows[0]) if rows else None

    def _stored(self, row: Any) -> StoredEndpoint:
        key, revision, endpoint_id, version, body = row
        try:
            return StoredEndpoint(key=key, revision=revision, endpoint=_DECODER.decode(body), newer=version > RECORD_VERSION)
        except msgspec.MsgspecError as error:
            raise refusals.unreadable(f"endpoint '{endpoint_id}'", self._database.name, version, error) from error
