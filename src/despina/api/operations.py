"""THE TABLE: the sixteen ML operations of the Neptune Data API, and Despina's own beside them.

``tests/wire/test_operation_table.py`` holds it against the service model of the AWS SDKs. The IAM actions do not follow from the
operations' names (Neptune user guide, "IAM actions for data access"), so they stand here too.
"""

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import Any

from despina.api import endpoint_rendering, rendering
from despina.api.endpoint_rendering import EndpointListing
from despina.api.rendering import Document, Listing, Log, View
from despina.api.service import ControlPlane
from despina.core.endpoint import Endpoint
from despina.core.frozen import Frozen
from despina.core.job import Job, JobKind
from despina.core.principal import Caller
from despina.core.requests import (
    CancelJob,
    CreateEndpoint,
    GetJob,
    InvokeEndpoint,
    ListEndpoints,
    ListJobs,
    ReadJobLogs,
    StartDataProcessing,
    StartModelTraining,
    StartModelTransform,
    StartRequests,
)

JSON = b"application/json"
UseCase = Callable[[ControlPlane, Any, Caller], Any]
"""From the control plane, the request and who calls to a result."""
Renderer = Callable[[Any, Any, View], Document | str]
"""From the result and its request to the answer."""


def never(_request: Frozen) -> bool:
    """For a use case that is quick with any request."""
    return False


def always(_request: Frozen) -> bool:
    """For a use case that may take long with any request."""
    return True


def _asks_for_details(request: GetJob) -> bool:
    """Whether a get call looks into the folders of the runs."""
    return request.details


def _reads_many(request: ListJobs) -> bool:
    """Whether a list call reads more than one stretch of an index."""
    return request.details or request.name_contains is not None


@dataclass(frozen=True, slots=True)
class Operation:
    """A row of the table. The first seven fields are positional, so that the rows read as a table."""

    name: str
    method: str
    path: str
    """``{id}`` stands for the id of a job or endpoint."""
    action: str | None
    """The IAM action that permits it, without the prefix of its service; None for what everyone may do."""
    request: type[Frozen]
    use_case: UseCase | None
    """None, as ``render``, for the one that is not answered by the control plane: InvokeEndpoint."""
    render: Renderer | None
    _: KW_ONLY
    in_thread: Callable[[Any], bool] = never
    """Whether the use case may take long with this request, and so must not run in the event loop."""
    reads: bool = True
    """Whether the use case asks the stores: if these are on a network it then runs in a thread, and equal requests share its
    result."""
    metered: bool = True
    """Whether the limits on requests count it."""
    service: str = "neptune-db"
    """The AWS service that it is part of: signatures and policies are about it."""
    content_type: bytes = JSON
    """Of the answer."""


def _start(plane: ControlPlane, request: StartRequests, caller: Caller) -> Job:
    return plane.jobs.start(request, caller)


def _list(kind: JobKind, plane: ControlPlane, request: ListJobs, _caller: Caller) -> Listing:
    page = plane.jobs.list(kind, request)
    return Listing(page, plane.jobs.details(kind, page.ids) if request.details else None)


def _get(kind: JobKind, plane: ControlPlane, request: GetJob, _caller: Caller) -> Job:
    return plane.jobs.details(kind, (request.id,))[0] if request.details else plane.jobs.get(kind, request.id)


def _cancel(kind: JobKind, plane: ControlPlane, request: CancelJob, caller: Caller) -> Job:
    return plane.jobs.cancel(kind, request, caller)


def _read_logs(kind: JobKind, plane: ControlPlane, request: ReadJobLogs, _caller: Caller) -> Log:
    return Log(*plane.jobs.read_logs(kind, request))


def _create_endpoint(plane: ControlPlane, request: CreateEndpoint, caller: Caller) -> Endpoint:
    return plane.endpoints.create(request, caller)


def _list_endpoints(plane: ControlPlane, request: ListEndpoints, _caller: Caller) -> EndpointListing:
    return EndpointListing(*plane.endpoints.list(request))


def _get_endpoint(plane: ControlPlane, request: GetJob, _caller: Caller) -> Endpoint:
    return plane.endpoints.get(request.id)


def _delete_endpoint(plane: ControlPlane, request: CancelJob, caller: Caller) -> Endpoint:
    return plane.endpoints.delete(request, caller)


def _read_endpoint_logs(plane: ControlPlane, request: ReadJobLogs, _caller: Caller) -> Log:
    return Log(*plane.endpoints.read_logs(request))


_PROCESSING, _TRAINING, _TRANSFORM = JobKind.DATA_PROCESSING, JobKind.MODEL_TRAINING, JobKind.MODEL_TRANSFORM

OPERATIONS: tuple[Operation, ...] = (
    Operation("StartMLDataProcessingJob", "POST", "/ml/dataprocessing", "StartMLDataProcessingJob",
              StartDataProcessing, _start, rendering.started, in_thread=always),
    Operation("ListMLDataProcessingJobs", "GET", "/ml/dataprocessing", "ListMLDataProcessingJobs",
              ListJobs, partial(_list, _PROCESSING), rendering.listed, in_thread=_reads_many),
    Operation("GetMLDataProcessingJob", "GET", "/ml/dataprocessing/{id}", "GetMLDataProcessingJobStatus",
              GetJob, partial(_get, _PROCESSING), rendering.got, in_thread=_asks_for_details),
    Operation("CancelMLDataProcessingJob", "DELETE", "/ml/dataprocessing/{id}", "CancelMLDataProcessingJob",
              CancelJob, partial(_cancel, _PROCESSING), rendering.cancelled, in_thread=always),
    Operation("StartMLModelTrainingJob", "POST", "/ml/modeltraining", "StartMLModelTrainingJob",
              StartModelTraining, _start, rendering.started, in_thread=always),
    Operation("ListMLModelTrainingJobs", "GET", "/ml/modeltraining", "ListMLModelTrainingJobs",
              ListJobs, partial(_list, _TRAINING), rendering.listed, in_thread=_reads_many),
    Operation("GetMLModelTrainingJob", "GET", "/ml/modeltraining/{id}", "GetMLModelTrainingJobStatus",
              GetJob, partial(_get, _TRAINING), rendering.got, in_thread=_asks_for_details),
    Operation("CancelMLModelTrainingJob", "DELETE", "/ml/modeltraining/{id}", "CancelMLModelTrainingJob",
              CancelJob, partial(_cancel, _TRAINING), rendering.cancelled, in_thread=always),
    Operation("StartMLModelTransformJob", "POST", "/ml/modeltransform", "StartMLModelTransformJob",
              StartModelTransform, _start, rendering.started, in_thread=always),
    Operation("ListMLModelTransformJobs", "GET", "/ml/modeltransform", "ListMLModelTransformJobs",
              ListJobs, partial(_list, _TRANSFORM), rendering.listed, in_thread=_reads_many),
    Operation("GetMLModelTransformJob", "GET", "/ml/modeltransform/{id}", "GetMLModelTransformJobStatus",
              GetJob, partial(_get, _TRANSFORM), rendering.got, in_thread=_asks_for_details),
    Operation("CancelMLModelTransformJob", "DELETE", "/ml/modeltransform/{id}", "CancelMLModelTransformJob",
              CancelJob, partial(_cancel, _TRANSFORM), rendering.cancelled, in_thread=always),
    Operation("CreateMLEndpoint", "POST", "/ml/endpoints", "CreateMLEndpoint",
              CreateEndpoint, _create_endpoint, endpoint_rendering.created, in_thread=always),
    Operation("ListMLEndpoints", "GET", "/ml/endpoints", "ListMLEndpoints",
              ListEndpoints, _list_endpoints, endpoint_rendering.listed),
    Operation("GetMLEndpoint", "GET", "/ml/endpoints/{id}", "GetMLEndpointStatus",
              GetJob, _get_endpoint, endpoint_rendering.got),
    Operation("DeleteMLEndpoint", "DELETE", "/ml/endpoints/{id}", "DeleteMLEndpoint",
              CancelJob, _delete_endpoint, endpoint_rendering.deleted, in_thread=always),
)

LOG_OPERATIONS: tuple[Operation, ...] = (
    Operation("ReadDataProcessingJobLogs", "GET", "/ml/dataprocessing/{id}/logs", "GetMLDataProcessingJobStatus",
              ReadJobLogs, partial(_read_logs, _PROCESSING), rendering.logged, in_thread=always),
    Operation("ReadModelTrainingJobLogs", "GET", "/ml/modeltraining/{id}/logs", "GetMLModelTrainingJobStatus",
              ReadJobLogs, partial(_read_logs, _TRAINING), rendering.logged, in_thread=always),
    Operation("ReadModelTransformJobLogs", "GET", "/ml/modeltransform/{id}/logs", "GetMLModelTransformJobStatus",
              ReadJobLogs, partial(_read_logs, _TRANSFORM), rendering.logged, in_thread=always),
    Operation("ReadEndpointLogs", "GET", "/ml/endpoints/{id}/logs", "GetMLEndpointStatus",
              ReadJobLogs, _read_endpoint_logs, rendering.logged, in_thread=always),
)
"""Despina's own."""

INVOKE_ENDPOINT = Operation("InvokeEndpoint", "POST", "/endpoints/{id}/invocations", "InvokeEndpoint", InvokeEndpoint, None, None,
                            service="sagemaker")
"""Of the SageMaker runtime."""
