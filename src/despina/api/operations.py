"""THE TABLE: the sixteen ML operations of the Neptune Data API, and Despina's own beside them.

``tests/wire/test_operation_table.py`` holds it against the service model of the AWS SDKs. The IAM actions do not follow from the
operations' names (Neptune user guide, "IAM actions for data access"), so they stand here too.
"""

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import Any

from despina.api import rendering
from despina.api.rendering import Document, Listing, Log, View
from despina.api.service import JobService
from despina.core.frozen import Frozen
from despina.core.job import Job, JobKind
from despina.core.principal import Caller
from despina.core.requests import (
    CancelJob,
    CreateEndpoint,
    GetJob,
    ListJobs,
    ReadJobLogs,
    StartDataProcessing,
    StartModelTraining,
    StartModelTransform,
    StartRequests,
)

UseCase = Callable[[JobService, Any, Caller], Any]
"""From the control plane, the request and who calls to a result."""
Renderer = Callable[[Any, Any, View], Document]
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
    """The IAM action that permits it, without its prefix ``neptune-db:``; None for what everyone may do."""
    request: type[Frozen]
    use_case: UseCase | None
    """None, as ``render``, for an operation that is not offered."""
    render: Renderer | None
    _: KW_ONLY
    in_thread: Callable[[Any], bool] = never
    """Whether the use case may take long with this request, and so must not run in the event loop."""
    metered: bool = True
    """Whether the limits on requests count it."""

    @property
    def offered(self) -> bool:
        """Whether this version of Despina can do it."""
        return self.use_case is not None


def _start(jobs: JobService, request: StartRequests, caller: Caller) -> Job:
    return jobs.start(request, caller)


def _list(kind: JobKind, jobs: JobService, request: ListJobs, _caller: Caller) -> Listing:
    page = jobs.list(kind, request)
    return Listing(page, jobs.details(kind, page.ids) if request.details else None)


def _get(kind: JobKind, jobs: JobService, request: GetJob, _caller: Caller) -> Job:
    return jobs.details(kind, (request.id,))[0] if request.details else jobs.get(kind, request.id)


def _cancel(kind: JobKind, jobs: JobService, request: CancelJob, caller: Caller) -> Job:
    return jobs.cancel(kind, request, caller)


def _read_logs(kind: JobKind, jobs: JobService, request: ReadJobLogs, _caller: Caller) -> Log:
    return Log(*jobs.read_logs(kind, request))


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
    Operation("CreateMLEndpoint", "POST", "/ml/endpoints", "CreateMLEndpoint", CreateEndpoint, None, None),
    Operation("ListMLEndpoints", "GET", "/ml/endpoints", "ListMLEndpoints", ListJobs, None, None),
    Operation("GetMLEndpoint", "GET", "/ml/endpoints/{id}", "GetMLEndpointStatus", GetJob, None, None),
    Operation("DeleteMLEndpoint", "DELETE", "/ml/endpoints/{id}", "DeleteMLEndpoint", CancelJob, None, None),
)

LOG_OPERATIONS: tuple[Operation, ...] = (
    Operation("ReadDataProcessingJobLogs", "GET", "/ml/dataprocessing/{id}/logs", "GetMLDataProcessingJobStatus",
              ReadJobLogs, partial(_read_logs, _PROCESSING), rendering.logged, in_thread=always),
    Operation("ReadModelTrainingJobLogs", "GET", "/ml/modeltraining/{id}/logs", "GetMLModelTrainingJobStatus",
              ReadJobLogs, partial(_read_logs, _TRAINING), rendering.logged, in_thread=always),
    Operation("ReadModelTransformJobLogs", "GET", "/ml/modeltransform/{id}/logs", "GetMLModelTransformJobStatus",
              ReadJobLogs, partial(_read_logs, _TRANSFORM), rendering.logged, in_thread=always),
)
"""Despina's own."""
