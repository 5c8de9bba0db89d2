"""The served OpenAPI document is valid, has everything, its examples fit, and the server answers and refuses as it says."""

import json
from typing import Any
from urllib.parse import quote

import jsonschema_rs
import pytest
import schemathesis
from tests.serving import Server
from tests.wire.described import TABLE, Described, described
from tests.wire.endpoints import created

from despina.api.errors import MEANINGS
from despina.api.operations import INVOKE_ENDPOINT, OPERATIONS
from despina.core.errors import LeaseLost, PrincipalNotFound, WorkFailed
from despina.core.requests import members

DOCUMENT = described().document
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
    assert {"/status", "/healthz", "/readyz", "/metrics", "/openapi.json"} < set(served["paths"])
    assert "console" not in json.dumps(served)
    ids = [operation["operationId"] for methods in served["paths"].values() for operation in methods.values()]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("operation", TABLE, ids=lambda operation: operation.name)
def test_every_operation_and_member_is_there_with_an_example_that_fits(operation: Any) -> None:
    told = ALL[operation.name]
    assert told["x-iam-action"] == f"{operation.service}:{operation.action}"
    schemas = {parameter["name"]: parameter["schema"] for parameter in told.get("parameters", [])}
    if operation.method == "POST":
        content = told["requestBody"]["content"]["application/json"]
        for example in content["examples"].values():
            described().validator(content["schema"]).validate(example["value"])
        schemas |= content["schema"].get("properties", {})
    assert set(schemas) == {member.wire for member in members(operation.request).values()}
    for name, schema in schemas.items():
        if operation is not INVOKE_ENDPOINT:  # any text is the name of an endpoint, if there is one
            assert schema["examples"], name
        assert all(jsonschema_rs.is_valid(schema, example) for example in schema["examples"]), name
        assert "default" not in schema or jsonschema_rs.is_valid(schema, schema["default"]), name


def test_every_answer_has_an_example_that_fits(served: dict[str, Any]) -> None:
    known, used = Described(served), set()
    for methods in served["paths"].values():
        for operation in methods.values():
            assert {"200", "500", "default"} <= operation["responses"].keys()
            for status, answer in operation["responses"].items():
                [content] = answer["content"].values()
                if status == "200":
                    assert content["schema"].get("$ref") or content["example"], operation["operationId"]
                    for example in content.get("examples", {}).values():
                        known.validator(content["schema"]).validate(example["value"])
                else:
                    used |= {example["$ref"].rpartition("/")[2] for example in content["examples"].values()}
                    assert used <= served["components"]["examples"].keys()
                    for name in used:
                        known.validator(content["schema"] if name in content["examples"] else {}).validate(
                            served["components"]["examples"][name]["value"])
    assert used == served["components"]["examples"].keys(), "none stands there for nothing"
    codes = {example["value"]["code"] for example in served["components"]["examples"].values()}
    assert codes == {meaning.code for kind, meaning in MEANINGS.items() if kind not in {PrincipalNotFound, LeaseLost, WorkFailed}}


def test_answers_are_as_it_says(trained: Server, served: dict[str, Any]) -> None:
    """Those of jobs and endpoints that have really run; requests that nobody would send are in ``test_fuzz.py``."""
    known = Described(served)
    created(trained, "ep")
    starts = {
        "/ml/dataprocessing": {"inputDataS3Location": "s3://nowhere/in", "processedDataS3Location": "s3://test/out"},
        "/ml/modeltraining": {"id": "second", "dataProcessingJobId": "dp", "trainModelS3Location": "s3://test/models"},
        "/ml/modeltransform": {"dataProcessingJobId": "dp", "mlModelTrainingJobId": "tr",
                               "modelTransformOutputS3Location": "s3://test/transformed"},
        "/ml/endpoints": {"id": "second", "mlModelTrainingJobId": "tr"}}
    calls: list[tuple[str, str, Any]] = [("POST", path, body) for path, body in starts.items()]
    calls += [("GET", f"/ml/{kind}{one}", None) for kind in ("dataprocessing/dp", "modeltraining/tr", "endpoints/ep")
              for one in ("", "?details=true", "/logs")]
    calls += [("GET", f"{path}{query}", None) for path in starts for query in ("", "?maxItems=1&details=true", "?maxItems=0")]
    calls += [("POST", path, {}) for path in starts]
    calls += [("POST", "/endpoints/ep/invocations", {"data": {"nodes": [{"nodeId": "item-1"}]}}),
              ("POST", "/endpoints/ep/invocations", {}), ("DELETE", "/ml/modeltraining/second", None),
              ("DELETE", "/ml/modeltraining/tr", None), ("DELETE", "/ml/endpoints/second", None)]
    calls += [("GET", path, None) for path in ("/status", "/healthz", "/readyz", "/openapi.json")]
    statuses = set()
    for method, target, body in calls:
        status, _, answer = trained.request(method, target, None if body is None else json.dumps(body).encode())
        known.check(method, target.partition("?")[0], status, answer)
        statuses.add(status)
    assert {200, 400, 424} <= statuses


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
            examples = ALL[operation.name]["requestBody"]["content"]["application/json"]["examples"]
            body = examples["the-least"]["value"] | {name: value}
            answer = server.request("POST", operation.path, json.dumps(body).encode())
        else:
            answer = server.request("GET", f"{operation.path}?{name}={quote(str(value))}")
        # Whatever else is refused, such as an input with nothing there, is looked at later.
        assert (answer[2].get("code") != "ConstraintViolationException") is fits, (value, answer)
