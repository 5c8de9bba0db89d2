"""The OpenAPI document: the table of operations and the request types in the form that tools read (OpenAPI Specification 3.1.0)."""

import re
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import msgspec

from despina.api import endpoint_rendering, rendering
from despina.api.operations import JSON, Operation
from despina.api.rendering import Document, View
from despina.api.schemas import ANSWERS, EXAMPLES, Schema, request_body, schema
from despina.api.service import ControlPlane
from despina.api.status import NoMembers
from despina.api.wire import Field, fields
from despina.core.principal import Caller

TAGS = {"dataprocessing": "Data processing", "modeltraining": "Model training", "modeltransform": "Model transform",
        "endpoints": "Inference endpoints"}
_SHAPES = {rendering.started: "Started", rendering.listed: "Listed", rendering.got: "Job", rendering.cancelled: "Cancelled",
           rendering.logged: "Logged", endpoint_rendering.created: "Started",
           endpoint_rendering.listed: "ListedEndpoints", endpoint_rendering.got: "Endpoint", endpoint_rendering.deleted: "Deleted"}
"""The shape of what a renderer makes; all others are just objects."""


def openapi_operation(operations: Sequence[Operation]) -> Operation:
    """The operation that tells the document of these operations, which everybody may read."""
    raw = msgspec.Raw(msgspec.json.encode(openapi_document(operations)))

    def tell(_plane: ControlPlane, _request: NoMembers, _caller: Caller) -> msgspec.Raw:
        return raw

    def shown(document: Any, _request: Any, _view: View) -> Document:
        told: Document = document
        return told

    return Operation("GetOpenApi", "GET", "/openapi.json", None, NoMembers, tell, shown, metered=False, reads=False)


def openapi_document(operations: Sequence[Operation]) -> Document:
    """The document."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Despina", "version": version("despina"), "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
                 "description": "The ML operations of the Neptune Data API (neptunedata, 2023-08-01), and Despina's own."},
        "tags": [{"name": name} for name in (*TAGS.values(), "Server")],
        "security": [{"sigv4": []}, {}],
        "paths": paths,
        "components": {
            "schemas": ANSWERS,
            "headers": {"RequestId": {"schema": {"type": "string"}}, "ErrorType": {"schema": {"type": "string"}}},
            "responses": {"Error": {
                "description": "An error; `code` is the name of its exception.",
                "headers": {"x-amzn-RequestId": {"$ref": "#/components/headers/RequestId"},
                            "x-amzn-errortype": {"$ref": "#/components/headers/ErrorType"}},
                "content": _json({"$ref": "#/components/schemas/Error"})}},
            "securitySchemes": {"sigv4": {
                "type": "apiKey", "in": "header", "name": "Authorization", "x-amazon-apigateway-authtype": "awsSigv4",
                "description": "AWS Signature Version 4 of the service neptune-db, of sagemaker for InvokeEndpoint; needed with "
                               "--iam-auth."}}}}


def _operation(operation: Operation) -> Document:
    found: Document = {
        "operationId": operation.name,
        "summary": _summary(operation),
        "tags": [next((tag for part, tag in TAGS.items() if f"/{part}" in operation.path), "Server")],
        "responses": {"200": _success(operation), "default": {"$ref": "#/components/responses/Error"}}}
    if operation.action is None:
        found["security"] = [{}]
    else:
        found["x-iam-action"] = f"{operation.service}:{operation.action}"
    members = fields(operation.request)
    parameters = [_parameter(field) for field in members if field.member.where != "body"]
    if parameters:
        found["parameters"] = parameters
    if operation.method == "POST":
        found["requestBody"] = {"required": True, "content": {"application/json": {
            "schema": request_body(operation.request), "example": _example(members)}}}
    return found


def _summary(operation: Operation) -> str:
    """The operation's name in words."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=ML)(?=[A-Z])", " ", operation.name)


def _success(operation: Operation) -> Document:
    shape = next((name for renderer, name in _SHAPES.items() if operation.render is renderer), "Object")
    content = _json({"$ref": f"#/components/schemas/{shape}"}) if operation.content_type == JSON else {
        operation.content_type.decode().partition(";")[0]: {"schema": {"type": "string"}}}
    return {"description": "Done.", "headers": {"x-amzn-RequestId": {"$ref": "#/components/headers/RequestId"}}, "content": content}


def _parameter(field: Field) -> Document:
    member = field.member
    found = {"name": member.wire, "in": member.where, "required": member.where == "path", "schema": schema(field)}
    return found if member.in_sdk else found | {"description": "Despina's own."}


def _example(members: tuple[Field, ...]) -> Document:
    return {field.member.wire: EXAMPLES[field.member.wire] for field in members if field.required or field.member.wire == "id"}


def _json(content: Schema) -> Document:
    return {"application/json": {"schema": content}}
