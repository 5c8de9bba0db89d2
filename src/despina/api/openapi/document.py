"""The document: paths, operations and components (OpenAPI Specification 3.1.0)."""

import re
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from despina.api import endpoint_rendering, rendering
from despina.api.openapi import invocations, samples
from despina.api.openapi.answers import ANSWERS, key, named, ref
from despina.api.openapi.errors import ELSEWHERE, EXAMPLES, answered_by, errors_of, form_of
from despina.api.openapi.members import EXAMPLES as VALUES
from despina.api.openapi.members import Schema, request_body, schema
from despina.api.operations import INVOKE_ENDPOINT, JSON, Operation
from despina.api.rendering import Document
from despina.api.wire import Field, fields
from despina.core.job import JobKind

TAGS = {"dataprocessing": "Data processing", "modeltraining": "Model training", "modeltransform": "Model transform",
        "endpoints": "Inference endpoints"}
_FORMS = {rendering.started: "Started", rendering.listed: "Listed", rendering.got: "Job", rendering.cancelled: "Cancelled",
          rendering.logged: "Logged", endpoint_rendering.created: "Started",
          endpoint_rendering.listed: "ListedEndpoints", endpoint_rendering.got: "Endpoint", endpoint_rendering.deleted: "Deleted"}
"""The form of what a renderer makes."""
_OTHER_ANSWERS: dict[str, tuple[str, Any]] = {
    "GetEngineStatus": ("EngineStatus", {
        "status": "healthy", "startTime": "Wed Nov 25 16:00:00 UTC 2026", "dbEngineVersion": version("despina"), "role": "writer",
        "features": {"NeptuneML": "enabled", "IAMAuthentication": "disabled"}, "settings": {"neptune_ml_iam_role": ""}}),
    "GetHealth": ("Health", {"status": "healthy"}),
    "GetReadiness": ("Readiness", {"status": "ready"}),
    "GetOpenApi": ("OpenApi", {"openapi": "3.1.0", "info": {"title": "Despina", "version": version("despina")}, "paths": {}}),
}
"""The form and an example of what the other operations answer."""
_APART = {"mlModelTransformJobId", "trainingJobName"}
"""Members that may not stand beside the others of their requests."""
_METRICS = ("# HELP despina_endpoint_replicas Replicas that answer.\n# TYPE despina_endpoint_replicas gauge\n"
            'despina_endpoint_replicas{endpoint="routes"} 1\n')


def openapi_document(operations: Sequence[Operation]) -> Document:
    """The document."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Despina", "version": version("despina"), "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
                 "description": "The ML operations of the Neptune Data API (neptunedata, 2023-08-01), InvokeEndpoint of the "
                                "SageMaker runtime, and Despina's own."},
        "tags": [{"name": name} for name in (*TAGS.values(), "Server")],
        "security": [{"sigv4": []}, {}],
        "paths": paths,
        "components": {
            "schemas": ANSWERS | invocations.FORMS,
            "examples": EXAMPLES,
            "headers": {
                "RequestId": {"schema": {"type": "string"}, "example": "8a6b0a52-3c1e-4f7e-9f61-00000000002a"},
                "ErrorType": {"schema": {"type": "string"}, "description": "The code."},
                "RetryAfter": {"schema": {"type": "integer"}, "description": "Seconds."}},
            "securitySchemes": {"sigv4": {
                "type": "apiKey", "in": "header", "name": "Authorization", "x-amazon-apigateway-authtype": "awsSigv4",
                "description": "AWS Signature Version 4 of the service neptune-db, of sagemaker for InvokeEndpoint; needed with "
                               "--iam-auth."}}}}


def _operation(operation: Operation) -> Document:
    found: Document = {
        "operationId": operation.name,
        "summary": _summary(operation),
        "tags": [next((tag for part, tag in TAGS.items() if f"/{part}" in operation.path), "Server")],
        "responses": {"200": _success(operation), **_failures(operation)}}
    if operation.action is None:
        found["security"] = [{}]
    else:
        found["x-iam-action"] = f"{operation.service}:{operation.action}"
    members = fields(operation.request)
    parameters = [_parameter(field) for field in members if field.member.where != "body"]
    if parameters:
        found["parameters"] = parameters
    if operation is INVOKE_ENDPOINT:
        found["requestBody"] = {"required": True, "content": _json(ref("Invocation"), named(invocations.QUESTIONS))}
    elif operation.method == "POST":
        found["requestBody"] = {"required": True, "content": _json(request_body(operation.request), named(
            {"the least": _example(members, least=True), "with all that may stand together": _example(members, least=False)}))}
    return found


def _summary(operation: Operation) -> str:
    """The operation's name in words."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=ML)(?=[A-Z])", " ", operation.name)


def _success(operation: Operation) -> Document:
    headers: Document = {"x-amzn-RequestId": {"$ref": "#/components/headers/RequestId"}}
    if operation.content_type != JSON:
        content: Document = {operation.content_type.decode().partition(";")[0]: {"schema": {"type": "string"}, "example": _METRICS}}
    elif operation is INVOKE_ENDPOINT:
        headers["x-amzn-invoked-production-variant"] = {"schema": {"type": "string"}, "example": "version-1"}
        content = _json(ref("Predicted"), named(invocations.PREDICTED))
    elif operation.name in _OTHER_ANSWERS:
        form, example = _OTHER_ANSWERS[operation.name]
        content = _json(ref(form), named({"answer": example}))
    else:
        kind = next((kind for kind in JobKind if f"/{kind}" in operation.path), None)
        form = next(name for renderer, name in _FORMS.items() if operation.render is renderer)
        content = _json(ref(form), named(samples.answers(operation.render, kind)))
    return {"description": "Done.", "headers": headers, "content": content}


def _failures(operation: Operation) -> Document:
    """The errors of an operation by their HTTP statuses, and what its path answers to other methods."""
    answers = {str(status): _failure(status, names) for status, names in answered_by(errors_of(operation))}
    elsewhere = [name for _, names in answered_by(ELSEWHERE) for name in names]
    return answers | {"default": _failure(0, elsewhere)}


def _failure(status: int, names: list[str]) -> Document:
    headers = {"x-amzn-RequestId": "RequestId", "x-amzn-errortype": "ErrorType"} | (
        {"Retry-After": "RetryAfter"} if status in {429, 503} else {})
    return {"description": "An error; `code` is the name of its exception.",
            "headers": {name: {"$ref": f"#/components/headers/{header}"} for name, header in headers.items()},
            "content": _json(ref(form_of(names)), {key(name): {"$ref": f"#/components/examples/{key(name)}"} for name in names})}


def _parameter(field: Field) -> Document:
    member = field.member
    told = schema(field)
    found = {"name": member.wire, "in": member.where, "required": member.where == "path", "schema": told,
             "example": told["examples"][0]}
    return found if member.in_sdk else found | {"description": "Despina's own."}


def _example(members: tuple[Field, ...], *, least: bool) -> Document:
    return {field.member.wire: VALUES[field.member.wire] for field in members
            if field.required or field.member.wire == "id" or not (least or field.member.wire in _APART)}


def _json(content: Schema, examples: Document) -> Document:
    return {"application/json": {"schema": content, "examples": examples}}
