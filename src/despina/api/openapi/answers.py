"""The forms of answers as JSON Schemas (draft 2020-12). What they mean is in ``docs/api.md``.

More members may come: a client ignores those that it does not know.
"""

import re
from typing import Any

from despina.api.openapi.members import Schema
from despina.core.endpoint import EndpointStatus
from despina.core.job import JobKind, RunKind, RunState, Status

TEXT: Schema = {"type": "string"}
WHOLE: Schema = {"type": "integer", "minimum": 0}
NUMBER: Schema = {"type": "number"}
TIME: Schema = {"type": "integer", "description": "Milliseconds since 1970."}
STATUS: Schema = {"type": "string", "enum": [status.value for status in Status]}
ENDPOINT_STATUS: Schema = {"type": "string", "enum": [status.value for status in EndpointStatus]}


def ref(name: str) -> Schema:
    """The form with this name."""
    return {"$ref": f"#/components/schemas/{name}"}


def list_of(items: Schema) -> Schema:
    """A list."""
    return {"type": "array", "items": items}


def named(examples: dict[str, Any]) -> dict[str, Any]:
    """Values as ``examples``, by names in words."""
    return {key(name): {"summary": name[0].upper() + name[1:], "value": value} for name, value in examples.items()}


def key(name: str) -> str:
    """A name in words as a key of ``examples``."""
    return re.sub("[^a-z]+", "-", name.lower())


def an_object(required: dict[str, Schema], optional: dict[str, Schema] | None = None, description: str = "") -> Schema:
    """An object with these members."""
    return {"type": "object"} | ({"description": description} if description else {}) | {
        "required": list(required), "properties": required | (optional or {})}


def _resource(status: Schema) -> Schema:
    return an_object({"name": TEXT, "arn": TEXT, "status": status}, {
        "outputLocation": TEXT, "failureReason": {"type": "string", "maxLength": 1024}, "cloudwatchLogUrl": TEXT},
        "MlResourceDefinition.")


_JOBS: dict[str, Schema] = {
    "Started": an_object({"id": TEXT, "arn": TEXT, "creationTimeInMillis": TIME}),
    "Listed": an_object({"ids": list_of(TEXT)}, {"nextToken": TEXT, "jobs": list_of(ref("Job"))}),
    "Cancelled": an_object({"status": STATUS}),
    "Resource": _resource(STATUS),
    "Model": an_object({"name": TEXT, "arn": TEXT}, description="MlConfigDefinition."),
    "Job": an_object({"id": TEXT, "status": STATUS}, {
        "processingJob": ref("Resource"), "hpoJob": ref("Resource"), "baseProcessingJob": ref("Resource"),
        "mlModels": list_of(ref("Model")), "models": list_of(ref("Model")), "details": ref("JobDetails")}),
    "JobDetails": an_object({"createdAt": TIME, "prefix": TEXT, "notes": list_of(TEXT), "runs": list_of(ref("Run"))}, {
        "startedBy": TEXT, "cancelledBy": TEXT, "failureReason": TEXT, "trials": WHOLE}, "Despina's own, as all of `details`."),
    "Run": an_object({
        "id": TEXT, "kind": {"type": "string", "enum": [kind.value for kind in RunKind]}, "number": WHOLE, "attempt": WHOLE,
        "state": {"type": "string", "enum": [state.value for state in RunState]}}, {
        "name": TEXT, "progress": ref("Progress"), "startedAt": TIME, "finishedAt": TIME, "parameters": {"type": "object"},
        "objective": NUMBER, "estimate": ref("Estimate"), "warnings": list_of(TEXT), "failureReason": TEXT,
        "usage": an_object({"cpuSeconds": NUMBER, "peakMemoryBytes": WHOLE}),
        "result": an_object({}, dict.fromkeys(("nodes", "edges", "rows", "train", "valid", "test", "added", "removed"), WHOLE))}),
    "Progress": an_object({"at": TIME, "step": WHOLE, "of": WHOLE, "unit": TEXT}, {
        "metric": TEXT, "value": NUMBER, "best": NUMBER, "loss": NUMBER, "estimate": ref("Estimate")}),
    "Estimate": an_object({
        "files": WHOLE, "inputBytes": WHOLE, "rows": WHOLE, "nodes": WHOLE, "edges": WHOLE,
        "nodeTypes": list_of(ref("TypeEstimate")), "edgeTypes": list_of(ref("TypeEstimate")), "sampled": {"type": "boolean"},
        "arrayBytes": WHOLE, "peakMemoryBytes": WHOLE, "diskBytes": WHOLE, "processingMinutes": NUMBER,
        "trainingMinutes": {"type": ["number", "null"]}}, {"typesLeftOut": WHOLE}),
    "TypeEstimate": an_object({"name": TEXT, "count": {"type": ["integer", "null"]}, "width": WHOLE}),
    "Logged": an_object({"run": TEXT, "events": list_of(an_object({"message": TEXT})), "nextForwardToken": TEXT}),
}

_ENDPOINTS: dict[str, Schema] = {
    "ListedEndpoints": an_object({"ids": list_of(TEXT)}, {"nextToken": TEXT, "endpoints": list_of(ref("Endpoint"))}),
    "Deleted": an_object({"status": ENDPOINT_STATUS}),
    "Endpoint": an_object({
        "id": TEXT, "status": ENDPOINT_STATUS, "endpoint": _resource(ENDPOINT_STATUS), "endpointConfig": ref("Model")},
        {"details": ref("EndpointDetails")}),
    "EndpointDetails": an_object({
        "createdAt": TIME, "asleep": {"type": "boolean"}, "replicas": list_of(ref("Replica")), "endedRuns": list_of(TEXT)},
        {"startedBy": TEXT, "failureReason": TEXT, "serving": ref("Version"), "upcoming": ref("Version")}),
    "Version": an_object({
        "version": WHOLE, "model": TEXT, "jobKind": {"type": "string", "enum": [kind.value for kind in JobKind]}, "jobId": TEXT,
        "artifacts": TEXT, "instances": WHOLE, "createdAt": TIME, "notes": list_of(TEXT)}),
    "Replica": an_object({
        "run": TEXT, "version": WHOLE, "failures": WHOLE,
        "state": {"type": "string", "enum": ["ready", "asleep", *(state.value for state in RunState)]}},
        {"startedAt": TIME, "readyAt": TIME, "notBefore": TIME, "failureReason": TEXT, "runBefore": TEXT}),
}

_SERVER: dict[str, Schema] = {
    "EngineStatus": an_object({
        "status": TEXT, "startTime": TEXT, "dbEngineVersion": TEXT, "role": TEXT,
        "features": {"type": "object", "additionalProperties": {"type": "string", "enum": ["enabled", "disabled"]}},
        "settings": {"type": "object", "additionalProperties": TEXT}}, description="GetEngineStatusOutput."),
    "Health": an_object({"status": {"const": "healthy"}}),
    "Readiness": an_object({"status": {"const": "ready"}}),
    "OpenApi": an_object({"openapi": TEXT, "info": {"type": "object"}, "paths": {"type": "object"}},
                         {name: {"type": ["object", "array"]} for name in ("tags", "security", "components")},
                         "OpenAPI Specification 3.1.0."),
}

_ERROR = {"requestId": TEXT, "code": TEXT, "detailedMessage": {"type": "string", "minLength": 1},
          "message": {"type": "string", "minLength": 1, "description": "The same: what boto3 and the AWS CLI print."}}
_ERRORS: dict[str, Schema] = {
    "Error": an_object(_ERROR),
    "ModelError": an_object(_ERROR | {"OriginalStatusCode": WHOLE, "OriginalMessage": TEXT}),
}

ANSWERS: dict[str, Schema] = _JOBS | _ENDPOINTS | _SERVER | _ERRORS
"""By their names."""
