"""The members of requests and answers as JSON Schemas (draft 2020-12), for the OpenAPI document."""

from typing import Any

import msgspec

from despina.api.wire import Field, fields
from despina.core import rules
from despina.core.endpoint import EndpointStatus
from despina.core.frozen import Frozen
from despina.core.job import Status
from despina.core.rules import MAX_ID_LENGTH, Items, OneOf, Range

Schema = dict[str, Any]

ROLE = "arn:aws:iam::123456789012:role/NeptuneML"
_MOST = 2**63 - 1
_ID = {"type": "string", "minLength": 1, "maxLength": MAX_ID_LENGTH, "pattern": "^[A-Za-z0-9-]+$"}
_LOCATION = {"type": "string", "minLength": 6, "maxLength": 1024, "pattern": "^(s3|file)://.+"}
_BY_RULE: dict[Any, Schema] = {
    rules.job_id: _ID,
    rules.location: _LOCATION,
    rules.role_arn: {"type": "string", "minLength": 20, "maxLength": 2048, "pattern": "^arn:aws[a-z-]*:iam::[0-9]{12}:role/.+$"},
    rules.instance_type: {"type": "string", "pattern": r"^ml\.[a-z][a-z0-9-]*\.[a-z0-9]+$"},
    rules.kms_key: {"type": "string", "maxLength": 2048},
    rules.file_name: {"type": "string", "pattern": r"^[^/\\]+$"},
    rules.script_name: {"type": "string", "pattern": r"^[^/\\-][^/\\]*$"},
    rules.model_type: {"type": "string", "enum": list(rules.MODEL_TYPES)},
    rules.model_name: {"type": "string", "enum": list(rules.MODEL_NAMES)},
}
"""Rules that are functions; the others describe themselves."""

EXAMPLES: dict[str, Any] = {
    "id": "my-job", "neptuneIamRoleArn": ROLE, "sagemakerIamRoleArn": ROLE, "subnets": ["subnet-0a1b2c3d"],
    "securityGroupIds": ["sg-0a1b2c3d"], "volumeEncryptionKMSKey": "alias/volumes", "s3OutputEncryptionKMSKey": "alias/outputs",
    "enableInterContainerTrafficEncryption": True,
    "inputDataS3Location": "s3://my-bucket/exports/air-routes", "processedDataS3Location": "s3://my-bucket/processed",
    "previousDataProcessingJobId": "my-earlier-job", "processingInstanceType": "ml.r5.xlarge",
    "processingInstanceVolumeSizeInGB": 0, "processingTimeOutInSeconds": 86_400, "modelType": "heterogeneous",
    "configFileName": "training-data-configuration.json",
    "dataProcessingJobId": "my-data-processing-job", "trainModelS3Location": "s3://my-bucket/models",
    "previousModelTrainingJobId": "my-earlier-training", "baseProcessingInstanceType": "ml.r5.xlarge",
    "trainingInstanceType": "ml.p3.2xlarge", "trainingInstanceVolumeSizeInGB": 0, "trainingTimeOutInSeconds": 86_400,
    "maxHPONumberOfTrainingJobs": 2, "maxHPOParallelTrainingJobs": 2, "enableManagedSpotTraining": False, "maxWaitTime": 90_000,
    "modelName": "rgcn", "customModelTrainingParameters": {"sourceS3DirectoryPath": "s3://my-bucket/code"},
    "sourceS3DirectoryPath": "s3://my-bucket/code", "trainingEntryPointScript": "training.py",
    "transformEntryPointScript": "transform.py",
    "modelTransformOutputS3Location": "s3://my-bucket/transformed", "mlModelTrainingJobId": "my-training",
    "trainingJobName": "trab-neptune-ml-261125-1600-001-0a1b2c3d", "baseProcessingInstanceVolumeSizeInGB": 0,
    "customModelTransformParameters": {"sourceS3DirectoryPath": "s3://my-bucket/code"},
    "mlModelTransformJobId": "my-transform", "update": False, "instanceType": "ml.m5.large", "instanceCount": 1,
    "maxItems": 10, "clean": True, "details": True, "status": "Completed", "nameContains": "air", "createdAfter": 1_700_000_000_000,
    "createdBefore": 1_800_000_000_000, "nextToken": "", "run": "trab-neptune-ml-261125-1600-001-0a1b2c3d",
}
"""A value of each member, by its wire name."""


def request_body(request: type[Frozen]) -> Schema:
    """The object that a start request's body is."""
    return _object(fields(request))


def schema(field: Field) -> Schema:
    """A member's type, range, default and example."""
    found = _of_type(field) | _of_rule(field)
    example = EXAMPLES[field.member.wire]
    if isinstance(field.member.rule, OneOf) and example not in field.member.rule.words:
        example = field.member.rule.words[0]  # a status of endpoints
    if field.wanted is int and isinstance(example, str):
        example = 0  # the token of logs is a number
    default = _default(field)
    return found | {"examples": [example]} | ({} if default is None else {"default": default})


def _of_type(field: Field) -> Schema:
    if field.wanted is bool:
        return {"type": "boolean"}
    if field.wanted is int:
        return {"type": "integer"}
    if field.wanted is str:
        return {"type": "string"}
    if isinstance(field.wanted, type) and issubclass(field.wanted, Frozen):
        return _object(fields(field.wanted))
    return {"type": "array", "items": {"type": "string"}}


def _of_rule(field: Field) -> Schema:
    rule = field.member.rule
    match rule:
        case None:
            return {}
        case Range():
            return {"format": "int64", "minimum": rule.low, "maximum": _MOST if rule.high is None else rule.high}
        case OneOf():
            return {"enum": list(rule.words)}
        case Items():
            return {"maxItems": rule.count, "items": {"type": "string", "pattern": "^[-0-9a-zA-Z]{1,32}$"}}
    return _BY_RULE[rule]


def _default(field: Field) -> Any:
    """What an absent member stands for; None where that is nothing."""
    return None if field.default in (None, msgspec.NODEFAULT, ()) else field.default


def _object(members: tuple[Field, ...]) -> Schema:
    required = [field.member.wire for field in members if field.required]
    return {"type": "object", "properties": {field.member.wire: schema(field) for field in members}} | (
        {"required": required} if required else {})


_STATUS: Schema = {"type": "string", "enum": [status.value for status in Status]}
_ENDPOINT_STATUS: Schema = {"type": "string", "enum": [status.value for status in EndpointStatus]}
_TEXT: Schema = {"type": "string"}
_TIME: Schema = {"type": "integer", "description": "Milliseconds since 1970."}
_RESOURCE: Schema = {
    "type": "object", "description": "MlResourceDefinition.", "required": ["name", "arn", "status"], "properties": {
        "name": _TEXT, "arn": _TEXT, "status": _STATUS, "outputLocation": _TEXT,
        "failureReason": {"type": "string", "maxLength": 1024}, "cloudwatchLogUrl": _TEXT}}
_MODEL: Schema = {"type": "object", "description": "MlConfigDefinition.", "required": ["name", "arn"],
                  "properties": {"name": _TEXT, "arn": _TEXT}}

ANSWERS: dict[str, Schema] = {
    "Started": {"type": "object", "required": ["id", "arn", "creationTimeInMillis"],
                "properties": {"id": _TEXT, "arn": _TEXT, "creationTimeInMillis": _TIME}},
    "Listed": {"type": "object", "required": ["ids"], "properties": {
        "ids": {"type": "array", "items": _TEXT}, "nextToken": _TEXT,
        "jobs": {"type": "array", "items": {"$ref": "#/components/schemas/Job"}}}},
    "Job": {"type": "object", "required": ["id", "status"], "properties": {
        "id": _TEXT, "status": _STATUS, "processingJob": _RESOURCE, "hpoJob": _RESOURCE, "baseProcessingJob": _RESOURCE,
        "mlModels": {"type": "array", "items": _MODEL}, "models": {"type": "array", "items": _MODEL},
        "details": {"type": "object", "description": "Despina's own; docs/api.md has its members."}}},
    "Endpoint": {"type": "object", "required": ["id", "status", "endpoint", "endpointConfig"], "properties": {
        "id": _TEXT, "status": _ENDPOINT_STATUS, "endpoint": {**_RESOURCE, "properties": {
            **_RESOURCE["properties"], "status": _ENDPOINT_STATUS}}, "endpointConfig": _MODEL,
        "details": {"type": "object", "description": "Despina's own; docs/api.md has its members."}}},
    "ListedEndpoints": {"type": "object", "required": ["ids"], "properties": {
        "ids": {"type": "array", "items": _TEXT}, "nextToken": _TEXT,
        "endpoints": {"type": "array", "items": {"$ref": "#/components/schemas/Endpoint"}}}},
    "Deleted": {"type": "object", "required": ["status"], "properties": {"status": _ENDPOINT_STATUS}},
    "Cancelled": {"type": "object", "required": ["status"], "properties": {"status": _STATUS}},
    "Logged": {"type": "object", "required": ["run", "events", "nextForwardToken"], "properties": {
        "run": _TEXT, "nextForwardToken": _TEXT,
        "events": {"type": "array", "items": {"type": "object", "required": ["message"], "properties": {"message": _TEXT}}}}},
    "Object": {"type": "object"},
    "Error": {"type": "object", "required": ["requestId", "code", "detailedMessage", "message"], "properties": {
        "requestId": _TEXT, "code": _TEXT, "detailedMessage": {"type": "string", "minLength": 1},
        "message": {"type": "string", "minLength": 1}}},
}
"""The answers, by the name of their shape."""
