"""The inputs of the operations as typed structs; each field carries its wire name, its place and its rule.

Names, defaults and ranges: Neptune Data API reference and user guide ("The dataprocessing command", "The modeltraining command");
ranges of volumes, time-outs and lists: the SageMaker API, which Neptune ML hands them to. A field without a default is required.
"""

from typing import Annotated, Literal, NamedTuple, get_args, get_origin, get_type_hints

from despina.core import rules
from despina.core.frozen import Frozen, Recorded
from despina.core.rules import Items, OneOf, Range, Rule

DAY = 86_400
"""Seconds; the documented default of both time-outs."""


class Member(NamedTuple):
    """How a field stands on the wire."""

    wire: str
    where: Literal["path", "query", "body"] = "body"
    rule: Rule | None = None
    in_sdk: bool = True
    """Whether the SDKs' service model has it: some members stand only in the user guide, some are Despina's own."""


class ReadRequest(Frozen, frozen=True, kw_only=True):
    """What every call that is not a start can carry."""

    neptune_iam_role_arn: Annotated[str | None, Member("neptuneIamRoleArn", "query", rules.role_arn)] = None


class GetJob(ReadRequest, frozen=True, kw_only=True):
    """Get one job."""

    id: Annotated[str, Member("id", "path", rules.job_id)]
    details: Annotated[bool, Member("details", "query", in_sdk=False)] = False


class CancelJob(ReadRequest, frozen=True, kw_only=True):
    """Cancel one job."""

    id: Annotated[str, Member("id", "path", rules.job_id)]
    clean: Annotated[bool, Member("clean", "query")] = False


class ListJobs(ReadRequest, frozen=True, kw_only=True):
    """List jobs, newest first. All but ``maxItems`` and the role are Despina's own, and plain clients never send them."""

    max_items: Annotated[int, Member("maxItems", "query", Range(low=1, high=1024))] = 10
    status: Annotated[str | None, Member("status", "query", OneOf(
        words=("InProgress", "Stopping", "Stopped", "Completed", "Failed")), in_sdk=False)] = None
    name_contains: Annotated[str | None, Member("nameContains", "query", in_sdk=False)] = None
    created_after: Annotated[int | None, Member("createdAfter", "query", Range(low=0), in_sdk=False)] = None
    created_before: Annotated[int | None, Member("createdBefore", "query", Range(low=0), in_sdk=False)] = None
    next_token: Annotated[str | None, Member("nextToken", "query", in_sdk=False)] = None
    details: Annotated[bool, Member("details", "query", in_sdk=False)] = False


class ListEndpoints(ListJobs, frozen=True, kw_only=True):
    """List endpoints, newest first."""

    status: Annotated[str | None, Member("status", "query", OneOf(
        words=("Creating", "InService", "Updating", "Deleting", "Failed")), in_sdk=False)] = None


class ReadJobLogs(ReadRequest, frozen=True, kw_only=True):
    """Read the log of one of a job's runs (Despina's own; answers in the form of CloudWatch's GetLogEvents)."""

    id: Annotated[str, Member("id", "path", rules.job_id)]
    run: Annotated[str | None, Member("run", "query", in_sdk=False)] = None
    next_token: Annotated[int, Member("nextToken", "query", Range(low=0), in_sdk=False)] = 0


class StartRequest(Recorded, frozen=True, kw_only=True):
    """What all three start operations share. Networks, keys and roles are recorded; on one machine they have nothing to act on."""

    id: Annotated[str | None, Member("id", rule=rules.job_id)] = None
    sagemaker_iam_role_arn: Annotated[str | None, Member("sagemakerIamRoleArn", rule=rules.role_arn)] = None
    neptune_iam_role_arn: Annotated[str | None, Member("neptuneIamRoleArn", rule=rules.role_arn)] = None
    subnets: Annotated[tuple[str, ...], Member("subnets", rule=Items(count=16))] = ()
    security_group_ids: Annotated[tuple[str, ...], Member("securityGroupIds", rule=Items(count=5))] = ()
    volume_encryption_kms_key: Annotated[str | None, Member("volumeEncryptionKMSKey", rule=rules.kms_key)] = None
    s3_output_encryption_kms_key: Annotated[str | None, Member("s3OutputEncryptionKMSKey", rule=rules.kms_key)] = None
    enable_inter_container_traffic_encryption: Annotated[
        bool, Member("enableInterContainerTrafficEncryption", in_sdk=False)] = True


class StartDataProcessing(StartRequest, frozen=True, kw_only=True, tag="dataprocessing"):
    """StartMLDataProcessingJob."""

    input_data_s3_location: Annotated[str, Member("inputDataS3Location", rule=rules.location)]
    processed_data_s3_location: Annotated[str, Member("processedDataS3Location", rule=rules.location)]
    previous_data_processing_job_id: Annotated[str | None, Member("previousDataProcessingJobId", rule=rules.job_id)] = None
    processing_instance_type: Annotated[str | None, Member("processingInstanceType", rule=rules.instance_type)] = None
    processing_instance_volume_size_in_gb: Annotated[
        int, Member("processingInstanceVolumeSizeInGB", rule=Range(low=0, high=16_384))] = 0
    processing_time_out_in_seconds: Annotated[int, Member("processingTimeOutInSeconds", rule=Range(low=1, high=777_600))] = DAY
    model_type: Annotated[str | None, Member("modelType", rule=rules.model_type)] = None
    config_file_name: Annotated[str, Member("configFileName", rule=rules.file_name)] = "training-data-configuration.json"


class CustomTraining(Recorded, frozen=True, kw_only=True):
    """``customModelTrainingParameters``: the user's own training code."""

    source_s3_directory_path: Annotated[str, Member("sourceS3DirectoryPath", rule=rules.location)]
    training_entry_point_script: Annotated[str, Member("trainingEntryPointScript", rule=rules.script_name)] = "training.py"
    transform_entry_point_script: Annotated[str, Member("transformEntryPointScript", rule=rules.script_name)] = "transform.py"


class StartModelTraining(StartRequest, frozen=True, kw_only=True, tag="modeltraining"):
    """StartMLModelTrainingJob."""

    data_processing_job_id: Annotated[str, Member("dataProcessingJobId", rule=rules.job_id)]
    train_model_s3_location: Annotated[str, Member("trainModelS3Location", rule=rules.location)]
    previous_model_training_job_id: Annotated[str | None, Member("previousModelTrainingJobId", rule=rules.job_id)] = None
    base_processing_instance_type: Annotated[str | None, Member("baseProcessingInstanceType", rule=rules.instance_type)] = None
    training_instance_type: Annotated[str | None, Member("trainingInstanceType", rule=rules.instance_type)] = None
    training_instance_volume_size_in_gb: Annotated[
        int, Member("trainingInstanceVolumeSizeInGB", rule=Range(low=0, high=16_384))] = 0
    training_time_out_in_seconds: Annotated[int, Member("trainingTimeOutInSeconds", rule=Range(low=1, high=2_419_200))] = DAY
    max_hpo_number_of_training_jobs: Annotated[int, Member("maxHPONumberOfTrainingJobs", rule=Range(low=1))] = 2
    max_hpo_parallel_training_jobs: Annotated[int, Member("maxHPOParallelTrainingJobs", rule=Range(low=1))] = 2
    enable_managed_spot_training: Annotated[bool, Member("enableManagedSpotTraining")] = False
    max_wait_time: Annotated[int | None, Member("maxWaitTime", rule=Range(low=1), in_sdk=False)] = None
    model_name: Annotated[str | None, Member("modelName", rule=rules.model_name, in_sdk=False)] = None
    custom_model_training_parameters: Annotated[CustomTraining | None, Member("customModelTrainingParameters")] = None


class CustomTransform(Recorded, frozen=True, kw_only=True):
    """``customModelTransformParameters``: the user's own transform code."""

    source_s3_directory_path: Annotated[str, Member("sourceS3DirectoryPath", rule=rules.location)]
    transform_entry_point_script: Annotated[str, Member("transformEntryPointScript", rule=rules.script_name)] = "transform.py"


class StartModelTransform(StartRequest, frozen=True, kw_only=True, tag="modeltransform"):
    """StartMLModelTransformJob."""

    model_transform_output_s3_location: Annotated[str, Member("modelTransformOutputS3Location", rule=rules.location)]
    data_processing_job_id: Annotated[str | None, Member("dataProcessingJobId", rule=rules.job_id)] = None
    ml_model_training_job_id: Annotated[str | None, Member("mlModelTrainingJobId", rule=rules.job_id)] = None
    training_job_name: Annotated[str | None, Member("trainingJobName")] = None
    base_processing_instance_type: Annotated[str | None, Member("baseProcessingInstanceType", rule=rules.instance_type)] = None
    base_processing_instance_volume_size_in_gb: Annotated[
        int, Member("baseProcessingInstanceVolumeSizeInGB", rule=Range(low=0, high=16_384))] = 0
    custom_model_transform_parameters: Annotated[CustomTransform | None, Member("customModelTransformParameters")] = None


StartRequests = StartDataProcessing | StartModelTraining | StartModelTransform
"""The requests that start a job."""


class CreateEndpoint(Frozen, frozen=True, kw_only=True):
    """CreateMLEndpoint."""

    id: Annotated[str | None, Member("id", rule=rules.job_id)] = None
    ml_model_training_job_id: Annotated[str | None, Member("mlModelTrainingJobId", rule=rules.job_id)] = None
    ml_model_transform_job_id: Annotated[str | None, Member("mlModelTransformJobId", rule=rules.job_id)] = None
    update: Annotated[bool, Member("update")] = False
    neptune_iam_role_arn: Annotated[str | None, Member("neptuneIamRoleArn", rule=rules.role_arn)] = None
    model_name: Annotated[str | None, Member("modelName", rule=rules.model_name)] = None
    instance_type: Annotated[str | None, Member("instanceType", rule=rules.instance_type)] = None
    instance_count: Annotated[int, Member("instanceCount", rule=Range(low=1))] = 1
    volume_encryption_kms_key: Annotated[str | None, Member("volumeEncryptionKMSKey", rule=rules.kms_key)] = None


class InvokeEndpoint(Frozen, frozen=True, kw_only=True):
    """InvokeEndpoint of the SageMaker runtime: its body is for the serving program."""

    id: Annotated[str, Member("id", "path")]


def members(request: type[Frozen]) -> dict[str, Member]:
    """The wire description of each field of a request type, by field name."""
    described = {}
    for name, hint in get_type_hints(request, include_extras=True).items():
        if get_origin(hint) is Annotated:
            described[name] = next(extra for extra in get_args(hint) if isinstance(extra, Member))
    return described
