"""Endpoints in the memory of this process: the reference that the other store is held against."""

from itertools import count
from threading import Lock

from msgspec.structs import replace

from despina.core.endpoint import Endpoint
from despina.core.ports import StoredEndpoint
from despina.store import refusals


class MemoryEndpointStore:
    """An ``EndpointStore`` whose every method is one critical section."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._keys = count(1)
        self._records: dict[int, StoredEndpoint] = {}
        self._invoked: dict[str, int] = {}

    def create(self, endpoint: Endpoint, *, invocation: str | None, most: int) -> Endpoint:
        """See ``EndpointStore``."""
        with self._lock:
            known = self._records.get(self._invoked.get(invocation or "", 0))
            if known is not None:
                return known.endpoint
            if any(stored.endpoint.id == endpoint.id for stored in self._records.values()):
                raise refusals.id_taken()
            if len(self._records) >= most:
                raise refusals.too_many_endpoints(most)
            key = next(self._keys)
            self._records[key] = StoredEndpoint(key=key, revision=1, endpoint=endpoint)
            if invocation is not None:
                self._invoked[invocation] = key
            return endpoint

    def get(self, endpoint_id: str) -> StoredEndpoint | None:
        """See ``EndpointStore``."""
        with self._lock:
            by_id = (stored for stored in self._records.values() if stored.endpoint.id == endpoint_id)
            by_name = (stored for stored in self._records.values() if stored.endpoint.resource_name == endpoint_id)
            return next(by_id, None) or next(by_name, None)

    def all(self) -> tuple[StoredEndpoint, ...]:
        """See ``EndpointStore``."""
        with self._lock:
            return tuple(sorted(self._records.values(), key=lambda stored: (-stored.endpoint.created_at, -stored.key)))

    def write(self, stored: StoredEndpoint, endpoint: Endpoint) -> bool:
        """See ``EndpointStore``."""
        with self._lock:
            if not self._is_current(stored):
                return False
            self._records[stored.key] = replace(stored, revision=stored.revision + 1, endpoint=endpoint)
            return True

    def remove(self, stored: StoredEndpoint) -> bool:
        """See ``EndpointStore``."""
        with self._lock:
            return self._is_current(stored) and self._records.pop(stored.key, None) is not None

    def close(self) -> None:
        """See ``EndpointStore``."""

    def _is_current(self, stored: StoredEndpoint) -> bool:
        known = self._records.get(stored.key)
        return known is not None and known.revision == stored.revision
