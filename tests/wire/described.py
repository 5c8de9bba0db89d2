"""Answers held against the OpenAPI document: what it does not tell of must not be in them."""

import re
from functools import cache
from typing import Any

import jsonschema_rs
import msgspec

from despina.api.openapi.document import openapi_document
from despina.api.operations import INVOKE_ENDPOINT, LOG_OPERATIONS, OPERATIONS

TABLE = (*OPERATIONS, *LOG_OPERATIONS, INVOKE_ENDPOINT)


class Described:
    """What a document says of answers."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self._components = {"schemas": _closed(document["components"]["schemas"])}
        self._paths = [(re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path)) + "/?"), methods)
                       for path, methods in document["paths"].items()]
        self._validators: dict[str, Any] = {}

    def validator(self, schema: dict[str, Any]) -> Any:
        """Of a schema of the document."""
        name = repr(schema)
        if name not in self._validators:
            self._validators[name] = jsonschema_rs.validator_for({**_closed(schema), "components": self._components})
        return self._validators[name]

    def codes(self, answer: dict[str, Any]) -> set[str]:
        """The codes of an answer's examples."""
        known = self.document["components"]["examples"]
        return {known[example["$ref"].rpartition("/")[2]]["value"]["code"]
                for example in answer["content"]["application/json"]["examples"].values()}

    def check(self, method: str, path: str, status: int, answer: Any) -> None:
        """Fail if the document does not tell of such an answer to this method at this path."""
        [methods] = [methods for pattern, methods in self._paths if pattern.fullmatch(path)]
        responses = methods[method.lower()]["responses"]
        told = responses.get(str(status)) or responses["default"]
        self.validator(told["content"]["application/json"]["schema"]).validate(answer)
        assert status == 200 or answer["code"] in self.codes(told), f"{method} {path}: there is no example of {status} {answer}"


@cache
def described() -> Described:
    """What the table's document says."""
    return Described(msgspec.json.decode(msgspec.json.encode(openapi_document(TABLE))))


def _closed(schema: Any) -> Any:
    """The schema, refusing members of objects that it does not know."""
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _closed(item) for name, item in schema.items()}
    return closed | ({"additionalProperties": False} if schema.get("type") == "object" and "properties" in schema else {})
