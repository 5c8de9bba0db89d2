"""Start, get, list and cancel jobs: what the API calls. Wishes are written here; facts only in ``reconciler.py``."""

import uuid

from msgspec.structs import replace

from despina.control import recorded
from despina.control.hints import Hints
from despina.core import plans
from despina.core.errors import (
    BaseJobMissing,
    BaseJobNotCompleted,
    InvalidLocation,
    JobEnded,
    JobNotFound,
    MissingMember,
    NotOffered,
)
from despina.core.frozen import Frozen
from despina.core.job import Job, JobKind, RunState, Status, StepName
from despina.core.lifecycle import Seen, observed
from despina.core.location import INVALID, Location
from despina.core.ports import ArtifactStore, Clock, Engine, JobStore, ListQuery, Page, RoleBounds, RunLogs
from despina.core.principal import Caller
from despina.core.requests import CancelJob, ListJobs, ReadJobLogs, StartDataProcessing, StartModelTraining
from despina.core.roles import ParameterGroup

NO_SUCH_ID = "Invalid ID provided. Please check whether a resource with the given ID exists."
ENDED = "Failed to stop the job because it has already completed or failed."
LOG_CHUNK = 256 * 1024
"""Bytes of log a call returns at most."""

_BASE_TEXTS = {
    JobKind.DATA_PROCESSING: ("Provided MLDataProcessing job doesn't exist.", "Provided MLDataProcessing job is not completed."),
    JobKind.MODEL_TRAINING: ("Provided MLModelTraining job doesn't exist.", "Provided ModelTraining job has not completed."),
}


class JobRules(Frozen, frozen=True, kw_only=True):
    """What a cluster lets its jobs do."""

    max_active_jobs: int = 100
    max_active_jobs_per_principal: int = 100
    custom_models: bool = False
    """Whether training jobs may run code that a client names."""
    file_locations: bool = True
    """Whether clients may name files of this machine."""
    parameter_group: ParameterGroup = ParameterGroup()


class Jobs:
    """The jobs of a cluster. ``hints`` tells the reconciler which of them to look at, so that it need not poll."""

    def __init__(self, *, store: JobStore, engine: Engine, logs: RunLogs, artifacts: ArtifactStore, clock: Clock,
                 hints: Hints, rules: JobRules, bounds: RoleBounds) -> None:
        self._store = store
        self._engine = engine
        self._logs = logs
        self._artifacts = artifacts
        self._clock = clock
        self._hints = hints
        self._rules = rules
        self._bounds = bounds

    def start(self, request: StartDataProcessing | StartModelTraining, caller: Caller) -> Job:
        """Record a new job; it is durable when this returns, and the reconciler does the rest.

        A start that repeats the ``invocation`` of an earlier one of the same principal returns that one's job.

        Raises:
            IdTaken, TooManyRequests: see ``JobStore.create``.
            RoleNotInParameterGroup: a role that the cluster may not use.
            MissingMember: there is no role where there must be one; a custom model whose scripts are not given.
            AccessDenied: the role may not read or write where the job would.
            BaseJobMissing, BaseJobNotCompleted: a job that this one builds on.
            InvalidLocation: there is nothing at the input location, or it is one that the server does not offer.
            NotOffered: a custom model, where they are switched off.
        """
        role = self._rules.parameter_group.role_of(request)
        previous, earlier = None, None
        if isinstance(request, StartDataProcessing):
            if request.previous_data_processing_job_id is not None:
                previous = self._read_by(role, _output(self._base(
                    JobKind.DATA_PROCESSING, request.previous_data_processing_job_id)))
            source, size = request.input_data_s3_location.rstrip("/"), self._size(request.input_data_s3_location, role)
        else:
            self._check_custom(request, role)
            source, size = self._read_by(role, _output(self._base(JobKind.DATA_PROCESSING, request.data_processing_job_id))), 0
            if request.previous_model_training_job_id is not None:
                earlier = plans.earlier_training(self._base(JobKind.MODEL_TRAINING, request.previous_model_training_job_id))
                self._read_by(role, earlier.best.model)
                self._read_by(role, earlier.best.processed)
        now = self._clock.now()
        job = plans.new_job(request, job_id=request.id or str(uuid.uuid4()), now=now, source=source, memory_mib=memory_mib(size),
                            previous=previous, earlier=earlier)
        self._bounds.demand(role, "s3:PutObject", self._offered(job.prefix))
        job = self._store.create(
            replace(job, notes=recorded.notes(request), started_by=caller.arn),
            # What one principal's client calls its calls is no business of another's.
            invocation=f"{caller.arn} {caller.invocation}" if caller.arn and caller.invocation else caller.invocation,
            max_active=self._rules.max_active_jobs,
            max_active_of_one=self._rules.max_active_jobs_per_principal if caller.arn else None)
        self._hints.wake(job.kind, job.id)
        return job

    def get(self, kind: JobKind, job_id: str) -> Job:
        """The job as it is recorded. Raises JobNotFound."""
        job = self._store.get(kind, job_id)
        if job is None:
            raise JobNotFound(NO_SUCH_ID)
        return job

    def list(self, kind: JobKind, request: ListJobs) -> Page:
        """One page of ids, newest first."""
        return self._store.list_ids(ListQuery(
            kind=kind, limit=request.max_items, statuses=(Status(request.status),) if request.status else None,
            name_contains=request.name_contains, created_after=request.created_after, created_before=request.created_before,
            after=request.next_token))

    def details(self, kind: JobKind, job_ids: tuple[str, ...]) -> tuple[Job, ...]:
        """The jobs with the progress of their live runs as the engine knows it at this moment. Raises JobNotFound."""
        return tuple(self._fresh(self.get(kind, job_id)) for job_id in job_ids)

    def cancel(self, kind: JobKind, request: CancelJob, caller: Caller) -> Job:
        """Record the wish to stop the job, with ``clean`` also to delete its artefacts; the job as it is then.

        Raises:
            RoleNotInParameterGroup, MissingMember: as for ``start``.
            JobNotFound: there is none.
            AccessDenied: with ``clean``, the role may not delete what the job wrote.
            JobEnded: it has completed or failed; nothing is changed.
        """
        role = self._rules.parameter_group.role_of(request)
        if request.clean:
            self._bounds.demand(role, "s3:DeleteObject", Location.parse(self.get(kind, request.id).prefix))
        job = self._store.request_stop(kind, request.id, clean=request.clean, now=self._clock.now(), by=caller.arn)
        if job is None:
            raise JobNotFound(NO_SUCH_ID)
        if job.status in {Status.COMPLETED, Status.FAILED}:
            raise JobEnded(ENDED)
        self._hints.wake(kind, request.id)
        return job

    def read_logs(self, kind: JobKind, request: ReadJobLogs) -> tuple[str, bytes, int]:
        """A run's id, the next part of its log, and where the part after it begins.

        Without ``request.run`` it is the log of the run that started last. Raises JobNotFound for no such job or run.
        """
        job = self.get(kind, request.id)
        if request.run is None:
            run = max(job.runs, key=lambda run: run.started_at or 0)
        else:
            found = next((run for run in job.runs if request.run in {run.id, run.name}), None)
            if found is None:
                raise JobNotFound(f"The job '{job.id}' has no run '{request.run}'. Its runs: {', '.join(r.id for r in job.runs)}.")
            run = found
        data, after = self._logs.read(run.id, offset=request.next_token, limit=LOG_CHUNK)
        return run.id, data, after

    def ready(self) -> None:
        """Raise if the store cannot be read."""
        self._store.next_due()

    def _base(self, kind: JobKind, job_id: str) -> Job:
        """A job that another one builds on."""
        missing, unfinished = _BASE_TEXTS[kind]
        base = self._store.get(kind, job_id)
        if base is None:
            raise BaseJobMissing(missing)
        if base.status is not Status.COMPLETED:
            raise BaseJobNotCompleted(unfinished)
        return base

    def _check_custom(self, request: StartModelTraining, role: str | None) -> None:
        given = request.custom_model_training_parameters
        if given is None and request.model_name != "custom":
            return
        if not self._rules.custom_models:
            raise NotOffered("Custom models are switched off on this server, since they run the code that a client names: the "
                             "setting cluster.custom_models is false.")
        if given is None:
            raise MissingMember("The model 'custom' needs 'customModelTrainingParameters' with 'sourceS3DirectoryPath'.")
        self._size(given.source_s3_directory_path, role)

    def _size(self, url: str, role: str | None) -> int:
        """Bytes at the input location, which must hold something that the role may read."""
        location = self._offered(url)
        entries = list(self._artifacts.list(location))
        self._bounds.demand(role, "s3:GetObject", location, [entry.path for entry in entries])
        if not entries:
            raise InvalidLocation(f"{INVALID} (there is nothing at '{url}')")
        return sum(entry.size for entry in entries)

    def _read_by(self, role: str | None, url: str) -> str:
        """The location of what another job wrote, which the role may read."""
        self._bounds.demand(role, "s3:GetObject", Location.parse(url))
        return url

    def _offered(self, url: str) -> Location:
        """A location that a client may name."""
        location = Location.parse(url)
        if location.scheme == "file" and not self._rules.file_locations:
            raise InvalidLocation(f"{INVALID} ('{url}' is a file of the server's machine, which requests that are signed may not "
                                  "name: it must be an s3:// location)")
        return location

    def _fresh(self, job: Job) -> Job:
        if job.status.is_terminal:
            return job
        runs = {run.id: self._engine.observe(run.id) for run in job.runs if run.state in {RunState.PENDING, RunState.RUNNING}}
        return observed(job, Seen(now=self._clock.now(), runs=runs))


def _output(job: Job) -> str:
    return plans.step(job, StepName.PROCESSING).output_location or ""


def memory_mib(size: int) -> int:
    """The memory expected for reading an export of ``size`` bytes: ten times as much, AWS's own rule, and 256 MiB at least.

    Source: Neptune user guide, "Selecting instances for Neptune ML".
    """
    return max(256, 10 * size // 2**20)
