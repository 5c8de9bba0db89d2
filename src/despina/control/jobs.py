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
from despina.core.job import Job, JobKind, RunState, Status, StepName
from despina.core.lifecycle import Seen, observed
from despina.core.location import INVALID, Location
from despina.core.ports import ArtifactStore, Clock, Engine, JobStore, ListQuery, Page, RunLogs
from despina.core.requests import ListJobs, ReadJobLogs, StartDataProcessing, StartModelTraining

NO_SUCH_ID = "Invalid ID provided. Please check whether a resource with the given ID exists."
ENDED = "Failed to stop the job because it has already completed or failed."
LOG_CHUNK = 256 * 1024
"""Bytes of log a call returns at most."""

_BASE_TEXTS = {
    JobKind.DATA_PROCESSING: ("Provided MLDataProcessing job doesn't exist.", "Provided MLDataProcessing job is not completed."),
    JobKind.MODEL_TRAINING: ("Provided MLModelTraining job doesn't exist.", "Provided ModelTraining job has not completed."),
}


class Jobs:
    """The jobs of a cluster. ``hints`` tells the reconciler which of them to look at, so that it need not poll."""

    def __init__(self, *, store: JobStore, engine: Engine, logs: RunLogs, artifacts: ArtifactStore, clock: Clock,
                 max_active_jobs: int, hints: Hints, custom_models: bool) -> None:
        self._store = store
        self._engine = engine
        self._logs = logs
        self._artifacts = artifacts
        self._clock = clock
        self._max_active_jobs = max_active_jobs
        self._hints = hints
        self._custom_models = custom_models

    def start(self, request: StartDataProcessing | StartModelTraining, *, invocation: str | None) -> Job:
        """Record a new job; it is durable when this returns, and the reconciler does the rest.

        A start that repeats the ``invocation`` of an earlier one returns that one's job.

        Raises:
            IdTaken, TooManyRequests: see ``JobStore.create``.
            BaseJobMissing, BaseJobNotCompleted: a job that this one builds on.
            InvalidLocation: there is nothing at the input location.
            NotOffered: a custom model, where they are switched off.
            MissingMember: a custom model whose scripts are not given.
        """
        previous, earlier = None, None
        if isinstance(request, StartDataProcessing):
            if request.previous_data_processing_job_id is not None:
                previous = _output(self._base(JobKind.DATA_PROCESSING, request.previous_data_processing_job_id))
            source, size = request.input_data_s3_location.rstrip("/"), self._size(request.input_data_s3_location)
        else:
            self._check_custom(request)
            source, size = _output(self._base(JobKind.DATA_PROCESSING, request.data_processing_job_id)), 0
            if request.previous_model_training_job_id is not None:
                earlier = plans.earlier_training(self._base(JobKind.MODEL_TRAINING, request.previous_model_training_job_id))
        now = self._clock.now()
        job = plans.new_job(request, job_id=request.id or str(uuid.uuid4()), now=now, source=source, memory_mib=memory_mib(size),
                            previous=previous, earlier=earlier)
        job = self._store.create(replace(job, notes=recorded.notes(request)), invocation=invocation,
                                 max_active=self._max_active_jobs)
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

    def cancel(self, kind: JobKind, job_id: str, *, clean: bool) -> Job:
        """Record the wish to stop the job, with ``clean`` also to delete its artefacts; the job as it is then.

        Raises:
            JobNotFound: there is none.
            JobEnded: it has completed or failed; nothing is changed.
        """
        job = self._store.request_stop(kind, job_id, clean=clean, now=self._clock.now())
        if job is None:
            raise JobNotFound(NO_SUCH_ID)
        if job.status in {Status.COMPLETED, Status.FAILED}:
            raise JobEnded(ENDED)
        self._hints.wake(kind, job_id)
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

    def _check_custom(self, request: StartModelTraining) -> None:
        given = request.custom_model_training_parameters
        if given is None and request.model_name != "custom":
            return
        if not self._custom_models:
            raise NotOffered("Custom models are switched off on this server, since they run the code that a client names: the "
                             "setting cluster.custom_models is false.")
        if given is None:
            raise MissingMember("The model 'custom' needs 'customModelTrainingParameters' with 'sourceS3DirectoryPath'.")
        self._size(given.source_s3_directory_path)

    def _size(self, url: str) -> int:
        """Bytes at the input location, which must hold something."""
        entries = [entry.size for entry in self._artifacts.list(Location.parse(url))]
        if not entries:
            raise InvalidLocation(f"{INVALID} (there is nothing at '{url}')")
        return sum(entries)

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
