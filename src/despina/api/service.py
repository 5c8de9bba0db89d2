"""What the HTTP edge asks of the control plane."""

from typing import Protocol

from despina.core.job import Job, JobKind
from despina.core.ports import Page
from despina.core.principal import Caller
from despina.core.requests import CancelJob, ListJobs, ReadJobLogs, StartRequests


class JobService(Protocol):
    """Starts, shows and cancels jobs. All calls are synchronous and may come from several threads.

    ``get`` and a ``list`` without ``name_contains`` are called in the event loop and must be quick; all else runs in threads.
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

    def cancel(self, kind: JobKind, request: CancelJob, caller: Caller) -> Job:
        """Record the wish to stop the job; the job as it is then. Raises JobNotFound, JobEnded, AccessDenied."""
        ...

    def read_logs(self, kind: JobKind, request: ReadJobLogs) -> tuple[str, bytes, int]:
        """A run's id, a part of its log, and the offset after that part. Raises JobNotFound."""
        ...

    def ready(self) -> None:
        """Raise if jobs cannot be read."""
        ...
