"""The members of requests as JSON Schemas (draft 2020-12)."""

from typing import Any

import msgspec

from despina.api.wire import Field, fields
from despina.core import rules
from despina.core.frozen import Frozen
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
