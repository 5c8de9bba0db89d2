"""The served OpenAPI document is valid, has everything, and says of ranges and defaults what the server does."""

import json
from typing import Any
from urllib.parse import quote

import jsonschema_rs
import pytest
import schemathesis
from tests.serving import Server

from despina.api.openapi import openapi_document
from despina.api.operations import LOG_OPERATIONS, OPERATIONS
from despina.core.requests import members

TABLE = (*OPERATIONS, *LOG_OPERATIONS)
DOCUMENT = openapi_document(TABLE)
ALL = {operation["operationId"]: operation for methods in DOCUMENT["paths"].values() for operation in methods.values()}


@pytest.fixture(scope="module")
def served(server: Server) -> dict[str, Any]:
    status, headers, document = server.request("GET", "/openapi.json")
    assert (status, headers["content-type"]) == (200, "application/json")
    assert isinstance(document, dict)
    return document


def test_it_is_valid_and_what_the_table_gives(served: dict[str, Any]) -> None:
    schemathesis.openapi.from_dict(served).validate()
    assert {path: served["paths"][path] for path in DOCUMENT["paths"]} == DOCUMENT["paths"]
    assert {"/status", "/healthz", "/readyz"} < set(served["paths"])
    ids = [operation["operationId"] for methods in served["paths"].values() for operation in methods.values()]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("operation", TABLE, ids=lambda operation: operation.name)
def test_every_operation_and_member_is_there_with_an_example_that_fits(operation: Any) -> None:
    told = ALL[operation.name]
    assert told["x-iam-action"] == f"{operation.service}:{operation.action}"
    schemas = {parameter["name"]: parameter["schema"] for parameter in told.get("parameters", [])}
    if operation.method == "POST":
        content = told["requestBody"]["content"]["application/json"]
        assert jsonschema_rs.is_valid(content["schema"], content["example"])
        schemas |= content["schema"]["properties"]
    assert set(schemas) == {member.wire for member in members(operation.request).values()}
    for name, schema in schemas.items():
        assert all(jsonschema_rs.is_valid(schema, example) for example in schema["examples"]), name
        assert "default" not in schema or jsonschema_rs.is_valid(schema, schema["default"]), name


NUMBERS = [(operation, name, schema) for operation in OPERATIONS
           for name, schema in (ALL[operation.name]["requestBody"]["content"]["application/json"]["schema"]["properties"].items()
                                if operation.method == "POST" else
                                ((one["name"], one["schema"]) for one in ALL[operation.name].get("parameters", [])))
           if schema["type"] == "integer"]


@pytest.mark.parametrize(("operation", "name", "schema"), NUMBERS,
                         ids=lambda value: getattr(value, "name", value if isinstance(value, str) else ""))
def test_numbers_have_the_ranges_that_are_told(server: Server, operation: Any, name: str, schema: dict[str, Any]) -> None:
    for value, fits in ((schema["minimum"], True), (schema["minimum"] - 1, False), (schema["maximum"], True),
                        (schema["maximum"] + 1, False)):
        if operation.method == "POST":
            body = ALL[operation.name]["requestBody"]["content"]["application/json"]["example"] | {name: value}
            answer = server.request("POST", operation.path, json.dumps(body).encode())
        else:
            answer = server.request("GET", f"{operation.path}?{name}={quote(str(value))}")
        # Whatever else is refused, such as an input with nothing there, is looked at later.
        assert (answer[2].get("code") != "ConstraintViolationException") is fits, (value, answer)
