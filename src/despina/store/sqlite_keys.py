"""Principals and access keys in the SQLite file of the jobs."""

import sqlite3
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from despina.core.errors import StoreError
from despina.core.principal import AccessKey, Credential, Principal
from despina.store import refusals
from despina.store.connections import Connections
from despina.store.unchanged import Unchanged

_FIND = """
SELECT access_keys.body, access_keys.disabled, principals.body
FROM access_keys JOIN principals ON principals.name = access_keys.principal WHERE access_keys.id = ?
"""
_PUT_PRINCIPAL = """
INSERT INTO principals (name, arn, body) VALUES (:name, :arn, :body)
ON CONFLICT (name) DO UPDATE SET arn = :arn, body = :body
"""
_ADD_KEY = """
INSERT INTO access_keys (id, principal, created_at, disabled, body) VALUES (:id, :principal, :created_at, :disabled, :body)
"""


class SqliteKeyStore:
    """A ``KeyStore`` in the SQLite file at ``path``. Any method raises StoreError when the file cannot be used."""

    def __init__(self, path: Path) -> None:
        self._connections = Connections(path)
        self._found = Unchanged[Credential]()

    def find(self, key_id: str) -> Credential | None:
        """See ``KeyStore``."""
        try:
            return self._found.get_known(self._connections.reading(), key_id, lambda: self._find(key_id))
        except sqlite3.Error as error:
            raise self._connections.error(error) from error

    def put_principal(self, principal: Principal) -> None:
        """See ``KeyStore``."""
        values = {"name": principal.name, "arn": principal.arn, "body": msgspec.json.encode(principal)}
        with self._connections.writing() as connection:
            others = connection.execute("SELECT name FROM principals WHERE arn = :arn AND name <> :name", values).fetchone()
            if others:
                raise refusals.arn_taken(principal, others[0])
            connection.execute(_PUT_PRINCIPAL, values)

    def principal_of(self, arn: str) -> Principal | None:
        """See ``KeyStore``."""
        rows = self._read("SELECT body FROM principals WHERE arn = ?", arn)
        return self._decoded(rows[0][0], Principal) if rows else None

    def principals(self) -> tuple[Principal, ...]:
        """See ``KeyStore``."""
        rows = self._read("SELECT body FROM principals ORDER BY name")
        return tuple(self._decoded(body, Principal) for (body,) in rows)

    def delete_principal(self, name: str) -> bool:
        """See ``KeyStore``."""
        return self._change("DELETE FROM principals WHERE name = ?", name)

    def add_key(self, key: AccessKey) -> None:
        """See ``KeyStore``."""
        with self._connections.writing() as connection:
            if not connection.execute("SELECT 1 FROM principals WHERE name = ?", (key.principal,)).fetchone():
                raise refusals.no_principal(key.principal)
            if connection.execute("SELECT 1 FROM access_keys WHERE id = ?", (key.id,)).fetchone():
                raise refusals.key_taken(key)
            connection.execute(_ADD_KEY, {"id": key.id, "principal": key.principal, "created_at": key.created_at,
                                          "disabled": key.disabled, "body": msgspec.json.encode(key)})

    def keys(self) -> tuple[AccessKey, ...]:
        """See ``KeyStore``."""
        rows = self._read("SELECT body, disabled FROM access_keys ORDER BY principal, created_at, id")
        return tuple(self._key(body, disabled) for body, disabled in rows)

    def set_disabled(self, key_id: str, *, disabled: bool) -> bool:
        """See ``KeyStore``."""
        return self._change("UPDATE access_keys SET disabled = ? WHERE id = ?", disabled, key_id)

    def delete_key(self, key_id: str) -> bool:
        """See ``KeyStore``."""
        return self._change("DELETE FROM access_keys WHERE id = ?", key_id)

    def close(self) -> None:
        """See ``KeyStore``."""
        self._connections.close()

    def _find(self, key_id: str) -> Credential | None:
        row = self._connections.reading().execute(_FIND, (key_id,)).fetchone()
        return Credential(key=self._key(row[0], row[1]), principal=self._decoded(row[2], Principal)) if row else None

    def _key(self, body: bytes, disabled: int) -> AccessKey:
        key: AccessKey = replace(self._decoded(body, AccessKey), disabled=bool(disabled))
        return key

    def _decoded(self, body: bytes, kind: Any) -> Any:
        try:
            return msgspec.json.decode(body, type=kind)
        except msgspec.MsgspecError as error:
            raise StoreError(f"A record of a {kind.__name__} in {self._connections.path} cannot be read: {error}.") from error

    def _change(self, statement: str, *values: Any) -> bool:
        with self._connections.writing() as connection:
            return connection.execute(statement, values).rowcount > 0

    def _read(self, statement: str, *values: object) -> list[Any]:
        try:
            return self._connections.reading().execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise self._connections.error(error) from error
