"""Endpoints in the database of the jobs."""

from typing import Any

import msgspec

from despina.core.endpoint import Endpoint
from despina.core.errors import StoreError
from despina.core.ports import StoredEndpoint
from despina.store import refusals, statements
from despina.store.database import Database

_DECODER = msgspec.json.Decoder(Endpoint)
_ENCODER = msgspec.json.Encoder()


class SqlEndpointStore:
    """An ``EndpointStore`` in a database. Any method raises StoreError when it cannot be used."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, endpoint: Endpoint, *, invocation: str | None, most: int) -> Endpoint:
        """See ``EndpointStore``."""
        values = {"id": endpoint.id, "resource_name": endpoint.resource_name, "created_at": endpoint.created_at,
                  "invocation": invocation, "body": _ENCODER.encode(endpoint)}
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
        return tuple(map(self._stored, self._database.read(statements.ENDPOINTS, {})))

    def write(self, stored: StoredEndpoint, endpoint: Endpoint) -> bool:
        """See ``EndpointStore``."""
        values = {"key": stored.key, "revision": stored.revision, "body": _ENCODER.encode(endpoint)}
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
        key, revision, endpoint_id, body = row
        try:
            return StoredEndpoint(key=key, revision=revision, endpoint=_DECODER.decode(body))
        except msgspec.MsgspecError as error:
            name = self._database.name
            raise StoreError(f"The record of the endpoint '{endpoint_id}' in {name} cannot be read: {error}.") from error
