"""Principals and access keys in the database of the jobs."""

from typing import Any

import msgspec
from msgspec.structs import replace

from despina.core.errors import StoreError
from despina.core.principal import AccessKey, Credential, Principal
from despina.store import refusals, statements
from despina.store.database import Database

_KNOWN = 4096
"""Credentials that are kept as they were decoded."""


class SqlKeyStore:
    """A ``KeyStore`` in a database. Any method raises StoreError when it cannot be used."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[str, tuple[Any, Credential]] = {}
        """By key: what was read, and what it means."""

    def find(self, key_id: str) -> Credential | None:
        """See ``KeyStore``."""
        return self._database.recall(("key", key_id), lambda: self._find(key_id))

    def put_principal(self, principal: Principal) -> None:
        """See ``KeyStore``."""
        values = {"name": principal.name, "arn": principal.arn, "body": msgspec.json.encode(principal)}
        with self._database.writing(alone=True) as run:
            others = run(statements.ARN_OF_ANOTHER, values)
            if others:
                raise refusals.arn_taken(principal, others[0][0])
            run(statements.PUT_PRINCIPAL, values)

    def principal_of(self, arn: str) -> Principal | None:
        """See ``KeyStore``."""
        rows = self._database.read(statements.PRINCIPAL_OF, {"arn": arn})
        return self._decoded(rows[0][0], Principal) if rows else None

    def principals(self) -> tuple[Principal, ...]:
        """See ``KeyStore``."""
        return tuple(self._decoded(body, Principal) for (body,) in self._database.read(statements.PRINCIPALS, {}))

    def delete_principal(self, name: str) -> bool:
        """See ``KeyStore``."""
        with self._database.writing(alone=True) as run:
            return bool(run(statements.DELETE_PRINCIPAL, {"name": name}))

    def add_key(self, key: AccessKey) -> None:
        """See ``KeyStore``."""
        with self._database.writing(alone=True) as run:
            if not run(statements.PRINCIPAL, {"name": key.principal}):
                raise refusals.no_principal(key.principal)
            if run(statements.KEY_TAKEN, {"id": key.id}):
                raise refusals.key_taken(key)
            run(statements.ADD_KEY, {"id": key.id, "principal": key.principal, "created_at": key.created_at,
                                     "disabled": key.disabled, "body": msgspec.json.encode(key)})

    def keys(self) -> tuple[AccessKey, ...]:
        """See ``KeyStore``."""
        return tuple(self._key(body, disabled) for body, disabled in self._database.read(statements.KEYS, {}))

    def set_disabled(self, key_id: str, *, disabled: bool) -> bool:
        """See ``KeyStore``."""
        return bool(self._database.write(statements.SET_DISABLED, {"id": key_id, "disabled": disabled}))

    def delete_key(self, key_id: str) -> bool:
        """See ``KeyStore``."""
        return bool(self._database.write(statements.DELETE_KEY, {"id": key_id}))

    def close(self) -> None:
        """See ``KeyStore``."""
        self._database.close()

    def _find(self, key_id: str) -> Credential | None:
        rows = self._database.read(statements.FIND_KEY, {"id": key_id})
        if not rows:
            return None
        known = self._known.get(key_id)
        if known is None or known[0] != rows[0]:
            body, disabled, principal = rows[0]
            known = rows[0], Credential(key=self._key(body, disabled), principal=self._decoded(principal, Principal))
            if len(self._known) >= _KNOWN:
                self._known.clear()
            self._known[key_id] = known
        return known[1]

    def _key(self, body: bytes, disabled: int) -> AccessKey:
        key: AccessKey = replace(self._decoded(body, AccessKey), disabled=bool(disabled))
        return key

    def _decoded(self, body: bytes, kind: Any) -> Any:
        try:
            return msgspec.json.decode(body, type=kind)
        except msgspec.MsgspecError as error:
            raise StoreError(f"A record of a {kind.__name__} in {self._database.name} cannot be read: {error}.") from error
