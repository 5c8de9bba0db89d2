"""Principals and access keys in the memory of this process: the reference that the other store is held against."""

from threading import Lock

from msgspec.structs import replace

from despina.core.principal import AccessKey, Credential, Principal
from despina.store import refusals


class MemoryKeyStore:
    """A ``KeyStore`` whose every method is one critical section."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._principals: dict[str, Principal] = {}
        self._keys: dict[str, AccessKey] = {}
        self._found: dict[str, Credential] = {}

    def find(self, key_id: str) -> Credential | None:
        """See ``KeyStore``."""
        with self._lock:
            key = self._keys.get(key_id)
            if key is None:
                return None
            if key_id not in self._found:
                self._found[key_id] = Credential(key=key, principal=self._principals[key.principal])
            return self._found[key_id]

    def put_principal(self, principal: Principal) -> None:
        """See ``KeyStore``."""
        with self._lock:
            for other in self._principals.values():
                if other.arn == principal.arn and other.name != principal.name:
                    raise refusals.arn_taken(principal, other.name)
            self._principals[principal.name] = principal
            self._found.clear()

    def principal_of(self, arn: str) -> Principal | None:
        """See ``KeyStore``."""
        with self._lock:
            return next((principal for principal in self._principals.values() if principal.arn == arn), None)

    def principals(self) -> tuple[Principal, ...]:
        """See ``KeyStore``."""
        with self._lock:
            return tuple(self._principals[name] for name in sorted(self._principals))

    def delete_principal(self, name: str) -> bool:
        """See ``KeyStore``."""
        with self._lock:
            self._keys = {key_id: key for key_id, key in self._keys.items() if key.principal != name}
            self._found.clear()
            return self._principals.pop(name, None) is not None

    def add_key(self, key: AccessKey) -> None:
        """See ``KeyStore``."""
        with self._lock:
            if key.principal not in self._principals:
                raise refusals.no_principal(key.principal)
            if key.id in self._keys:
                raise refusals.key_taken(key)
            self._keys[key.id] = key

    def keys(self) -> tuple[AccessKey, ...]:
        """See ``KeyStore``."""
        with self._lock:
            return tuple(sorted(self._keys.values(), key=lambda key: (key.principal, key.created_at, key.id)))

    def set_disabled(self, key_id: str, *, disabled: bool) -> bool:
        """See ``KeyStore``."""
        with self._lock:
            if key_id not in self._keys:
                return False
            self._keys[key_id] = replace(self._keys[key_id], disabled=disabled)
            self._found.clear()
            return True

    def delete_key(self, key_id: str) -> bool:
        """See ``KeyStore``."""
        with self._lock:
            self._found.clear()
            return self._keys.pop(key_id, None) is not None

    def close(self) -> None:
        """See ``KeyStore``."""
