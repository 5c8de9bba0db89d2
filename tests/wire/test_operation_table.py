"""The table of operations against the service model of the AWS SDKs, and both directions of a call through botocore's own
serializer and parser."""

from typing import Any
from urllib.parse import urlsplit

import botocore.session
import pytest
from botocore.awsrequest import prepare_request_dict
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from msgspec.structs import replace
from tests.unit.api.fakes import NOW, Client, Response, processing_job, training_job

from despina.api.errors import MEANINGS, NotReady, UnknownPath
from despina.api.operations import OPERATIONS, Operation
from despina.api.wire import fields
from despina.core.frozen import Frozen
from despina.core.job import JobKind, Model, Status, Step, StepName
from despina.core.requests import (
    CancelJob,
    CustomTraining,
    GetJob,
    ListJobs,
    StartDataProcessing,
    StartModelTraining,
)
from despina.core.rules import Range

RUNTIME = botocore.session.get_session().get_service_model("sagemaker-runtime")
SERVICE = botocore.session.get_session().get_service_model("neptunedata")
MODELLED = [name for name in SERVICE.operation_names if SERVICE.operation_model(name).http["requestUri"].startswith("/ml/")]
TYPES = {str: "string", int: "integer", bool: "boolean", tuple[str, ...]: "list"}
PLACES = {"uri": "path", "querystring": "query", None: "body"}
ROLE = "arn:aws:iam::123456789012:role/NeptuneML"

rows = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)


def members_in_table(request: type[Frozen]) -> dict[str, tuple[str, str, bool]]:
    """Place, type and requiredness of each member that the SDKs have."""
    return {field.member.wire: (field.member.where, TYPES.get(field.wanted, "structure"), field.required)
            for field in fields(request) if field.member.in_sdk}


def members_in_model(shape: Any) -> dict[str, tuple[str, str, bool]]:
    return {member.serialization.get("name", name): (PLACES[member.serialization.get("location")], member.type_name,
                                                     name in shape.required_members)
            for name, member in shape.members.items()}


def test_the_table_has_all_sixteen_operations() -> None:
    assert len(MODELLED) == 16
    assert sorted(operation.name for operation in OPERATIONS) == sorted(MODELLED)


@rows
def test_method_and_path(operation: Operation) -> None:
    http = SERVICE.operation_model(operation.name).http
    assert (operation.method, operation.path) == (http["method"], http["requestUri"])
    assert http["responseCode"] == 200


@rows
def test_members(operation: Operation) -> None:
    shape = SERVICE.operation_model(operation.name).input_shape
    assert members_in_table(operation.request) == members_in_model(shape)
    for field in fields(operation.request):
        if field.wanted not in TYPES:
            assert members_in_table(field.wanted) == members_in_model(shape.members[field.member.wire])
        if not field.member.in_sdk:
            assert field.member.wire not in shape.members


@rows
def test_max_items_has_the_models_range(operation: Operation) -> None:
    shape = SERVICE.operation_model(operation.name).input_shape.members.get("maxItems")
    ours = next((field.member.rule for field in fields(operation.request) if field.member.wire == "maxItems"), None)
    assert ours == (Range(low=shape.metadata["min"], high=shape.metadata["max"]) if shape is not None else None)


@rows
def test_actions_are_those_of_the_iam_reference(operation: Operation) -> None:
    """Neptune user guide, "IAM actions for data access": the operation's name, but ``…Status`` for the Get operations."""
    assert operation.action == (f"{operation.name}Status" if operation.name.startswith("Get") else operation.name)


def test_errors_have_the_models_statuses() -> None:
    # Where endpoints are invoked the errors are those of the SageMaker runtime.
    statuses = {shape.name: shape.metadata["error"]["httpStatusCode"]
                for service in (RUNTIME, SERVICE) for shape in service.error_shapes
                if "error" in shape.metadata}
    # The model has no word for an unknown path, nor for a server that is not ready.
    ours = {meaning for kind, meaning in MEANINGS.items() if kind not in {UnknownPath, NotReady}}
    assert {meaning.code: meaning.status for meaning in ours} == {meaning.code: statuses[meaning.code] for meaning in ours}


@rows
def test_errors_that_the_model_declares_for_every_operation_are_used(operation: Operation) -> None:
    declared = {shape.name for shape in SERVICE.operation_model(operation.name).error_shapes}
    assert declared <= {meaning.code for meaning in MEANINGS.values()}


def call(client: Client, name: str, parameters: dict[str, Any]) -> Response:
    """A call as botocore writes it."""
    model = SERVICE.operation_model(name)
    request = create_serializer("rest-json").serialize_to_request(parameters, model)
    prepare_request_dict(request, endpoint_url="http://localhost:8182")
    url = urlsplit(request["url"])
    target = f"{url.path}?{url.query}" if url.query else url.path
    return client.call(request["method"], target, bytes(request["body"]), list(request["headers"].items()))


def parsed(name: str, answer: Response) -> dict[str, Any]:
    """An answer as botocore reads it."""
    model = SERVICE.operation_model(name)
    document: dict[str, Any] = create_parser("rest-json").parse(
        {"status_code": answer.status, "headers": answer.headers, "body": answer.body}, model.output_shape)
    return document


@pytest.mark.parametrize(("name", "parameters", "request_"), [
    ("StartMLDataProcessingJob", {
        "id": "dp-1", "inputDataS3Location": "s3://bucket/in", "processedDataS3Location": "s3://bucket/out",
        "subnets": ["subnet-1"], "processingInstanceVolumeSizeInGB": 5, "neptuneIamRoleArn": ROLE, "configFileName": "é.json"},
     StartDataProcessing(
        id="dp-1", input_data_s3_location="s3://bucket/in", processed_data_s3_location="s3://bucket/out", subnets=("subnet-1",),
        processing_instance_volume_size_in_gb=5, neptune_iam_role_arn=ROLE, config_file_name="é.json")),
    ("StartMLModelTrainingJob", {
        "dataProcessingJobId": "dp-1", "trainModelS3Location": "s3://bucket/models", "maxHPONumberOfTrainingJobs": 3,
        "enableManagedSpotTraining": True, "customModelTrainingParameters": {"sourceS3DirectoryPath": "s3://bucket/code"}},
     StartModelTraining(
        data_processing_job_id="dp-1", train_model_s3_location="s3://bucket/models", max_hpo_number_of_training_jobs=3,
        enable_managed_spot_training=True,
        custom_model_training_parameters=CustomTraining(source_s3_directory_path="s3://bucket/code"))),
    ("ListMLModelTrainingJobs", {"maxItems": 3, "neptuneIamRoleArn": ROLE}, ListJobs(max_items=3, neptune_iam_role_arn=ROLE)),
])
def test_what_botocore_writes_is_read(name: str, parameters: dict[str, Any], request_: Frozen) -> None:
    client = Client()
    assert call(client, name, parameters).status == 200
    assert client.jobs.requests == [request_]


@pytest.mark.parametrize("job_id", ["tr 1/é~*", "a%2Fb", "?", "#"])
def test_ids_as_botocore_writes_them_are_one_segment(job_id: str) -> None:
    answer = call(Client(), "GetMLModelTrainingJob", {"id": job_id})
    assert answer.error == (400, "InvalidParameterException", "Invalid ID provided. Must contain only letters, digits, or hyphens.")


def test_an_empty_id_looks_like_a_list() -> None:
    assert call(Client(), "GetMLModelTrainingJob", {"id": ""}).json == {"ids": []}


def test_what_is_answered_is_read_by_botocore() -> None:
    """Nothing of a plain answer is lost in the parser: all members are modelled, with the modelled types."""
    client = Client()
    training = training_job()
    tuning = Step(name=StepName.TUNING, resource_name="tuning-1", status=Status.FAILED, failure_reason="a reason")
    client.jobs.add(replace(training, status=Status.FAILED, steps=(*training.steps, tuning), models=(Model(name="m", trial="t"),)))
    client.jobs.add(processing_job())
    calls: list[tuple[str, dict[str, Any]]] = [
        ("StartMLDataProcessingJob", {"inputDataS3Location": "s3://bucket/in", "processedDataS3Location": "s3://bucket/out"}),
        ("StartMLModelTrainingJob", {"dataProcessingJobId": "dp-1", "trainModelS3Location": "s3://bucket/models"}),
        ("ListMLDataProcessingJobs", {}), ("ListMLModelTrainingJobs", {}),
        ("GetMLDataProcessingJob", {"id": "dp-1"}), ("GetMLModelTrainingJob", {"id": "tr-1"}),
        ("CancelMLDataProcessingJob", {"id": "dp-1", "clean": True}), ("GetEngineStatus", {}),
    ]
    for name, parameters in calls:
        answer = call(client, name, parameters)
        assert answer.status == 200
        document = parsed(name, answer)
        assert document.pop("ResponseMetadata")["RequestId"] == answer.headers["x-amzn-requestid"]
        assert document == answer.json
    assert client.jobs.get(JobKind.DATA_PROCESSING, "dp-1").clean


def test_errors_are_read_by_botocore() -> None:
    document = parsed("GetMLModelTrainingJob", call(Client(), "GetMLModelTrainingJob", {"id": "tr-1"}))
    text = "Invalid ID provided. Please check whether a resource with the given ID exists."
    assert document["Error"] == {"Code": "MLResourceNotFoundException", "Message": text}


def test_the_creation_time_is_a_number() -> None:
    answer = call(Client(), "StartMLDataProcessingJob",
                  {"inputDataS3Location": "s3://bucket/in", "processedDataS3Location": "s3://bucket/out"})
    assert parsed("StartMLDataProcessingJob", answer)["creationTimeInMillis"] == NOW


def test_read_requests_are_shared_by_all_kinds() -> None:
    requests = {"List": ListJobs, "Get": GetJob, "Cancel": CancelJob, "Delete": CancelJob}
    for operation in OPERATIONS:
        for verb, request in requests.items():
            if operation.name.startswith(verb):
                assert issubclass(operation.request, request)
