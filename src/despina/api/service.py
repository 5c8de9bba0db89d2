"""What the HTTP edge asks of the control plane."""

from typing import NamedTuple, Protocol

from despina.core.endpoint import Endpoint
from despina.core.job import Job, JobKind, Status
from despina.core.ports import Connection, Page
from despina.core.principal import Caller
from despina.core.report import JobReport
from despina.core.requests import CancelJob, CreateEndpoint, ListEndpoints, ListJobs, ReadJobLogs, StartRequests


class JobService(Protocol):
    """Starts, shows and cancels jobs. All calls are synchronous and may come from several threads.

    ``get`` and a ``list`` without ``name_contains`` are called in the event loop and must be quick, unless the stores are on a
    network; all else runs in threads.
    """

    def start(self, request: StartRequests, caller: Caller) -> Job:
        """Record a new job; a repeated ``caller.invocation`` gives the job of the first one. Raises what ``JobStore.create``
        raises, and BaseJobMissing, BaseJobNotCompleted, InvalidLocation, NotOffered, AccessDenied."""
        ...

    def get(self, kind: JobKind, job_id: str) -> Job:
        """The job as recorded. Raises JobNotFound."""
        ...

    def list(self, kind: JobKind, request: ListJobs) -> Page:
        """One page of ids, newest first."""
        ...

    def details(self, kind: JobKind, job_ids: tuple[str, ...]) -> tuple[Job, ...]:
        """The jobs with the progress of their runs as it is at this moment. Raises JobNotFound."""
        ...

    def active(self) -> tuple[dict[tuple[JobKind, Status], int], tuple[Job, ...]]:
        """How many jobs of each kind have not ended, by status; and the newest trainings of these, with what their trials that
        run tell of their progress at this moment."""
        ...

    def report(self, kind: JobKind, job_id: str) -> JobReport:
        """All that is shown of a job. Reads files: not for the event loop. Raises JobNotFound."""
        ...

    def cancel(self, kind: JobKind, request: CancelJob, caller: Caller) -> Job:
        """Record the wish to stop the job; the job as it is then. Raises JobNotFound, JobEnded, AccessDenied."""
        ...

    def read_logs(self, kind: JobKind, request: ReadJobLogs) -> tuple[str, bytes, int]:
        """A run's id, a part of its log, and the offset after that part. Raises JobNotFound."""
        ...

    def ready(self) -> None:
        """Raise if jobs cannot be read."""
        ...


class EndpointService(Protocol):
    """Creates, shows and deletes endpoints, and leads to what answers for them. Calls may come from several threads.

    ``get``, ``find``, ``all``, ``list`` and ``connect`` are called in the event loop and must be quick, unless the stores are on a
    network (but ``connect``); the others run in threads.
    """

    def create(self, request: CreateEndpoint, caller: Caller) -> Endpoint:
        """Record a new endpoint, or what one is to serve from now on; a repeated ``caller.invocation`` does nothing anew. Raises
        what ``EndpointStore.create`` raises, and MissingMember, ConflictingArguments, BaseJobMissing, BaseJobNotCompleted,
        InvalidLocation, AccessDenied, JobNotFound."""
        ...

    def get(self, endpoint_id: str) -> Endpoint:
        """The endpoint as recorded. Raises JobNotFound."""
        ...

    def find(self, name: str) -> Endpoint | None:
        """The endpoint with this resource name, or this id."""
        ...

    def all(self) -> tuple[Endpoint, ...]:
        """All endpoints, newest first."""
        ...

    def list(self, request: ListEndpoints) -> tuple[Page, tuple[Endpoint, ...]]:
        """One page of ids, newest first, and the endpoints."""
        ...

    def delete(self, request: CancelJob, caller: Caller) -> Endpoint:
        """Record the wish to delete the endpoint; the endpoint as it is then. Raises JobNotFound."""
        ...

    def wake(self, endpoint_id: str) -> None:
        """Have replicas started that ended because nobody asked them."""
        ...

    def connect(self, run_id: str) -> Connection:
        """A connection to a replica. Raises OSError when it does not listen."""
        ...

    def read_logs(self, request: ReadJobLogs) -> tuple[str, bytes, int]:
        """A run's id, a part of its log, and the offset after that part. Raises JobNotFound."""
        ...


class ControlPlane(NamedTuple):
    """Everything that the edge asks."""

    jobs: JobService
    endpoints: EndpointService
