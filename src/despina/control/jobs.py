"""Start, get, list and cancel jobs: what the API calls. Wishes are written here; facts only in ``reconciler.py``."""

import uuid

from msgspec.structs import replace

from despina.control import recorded
from despina.control.basis import Bases, JobRules, memory_mib
from despina.control.hints import Hints
from despina.control.reports import Reports
from despina.core import plans
from despina.core.errors import (
    JobEnded,
    JobNotFound,
)
from despina.core.job import Job, JobKind, RunState, Status
from despina.core.lifecycle import Seen, observed
from despina.core.location import Location
from despina.core.ports import ArtifactStore, Clock, Engine, JobStore, ListQuery, Page, RoleBounds, RunLogs
from despina.core.principal import Caller
from despina.core.report import JobReport
from despina.core.requests import (
    CancelJob,
    ListJobs,
    ReadJobLogs,
    StartRequests,
)
from despina.core.telemetry import SILENCE, Telemetry

NO_SUCH_ID = "Invalid ID provided. Please check whether a resource with the given ID exists."
ENDED = "Failed to stop the job because it has already completed or failed."
MAX_PAGE = 1024
"""Jobs looked through at a time."""
LOG_CHUNK = 256 * 1024
"""Bytes of log a call returns at most."""
MOST_WATCHED = 100
"""Trainings of which ``active`` tells how far they are."""


class Jobs:
    """The jobs of a cluster. ``hints`` tells the reconciler which of them to look at, so that it need not poll."""

    def __init__(self, *, store: JobStore, engine: Engine, logs: RunLogs, artifacts: ArtifactStore, clock: Clock,
                 hints: Hints[tuple[JobKind, str]], rules: JobRules, bounds: RoleBounds,
                 telemetry: Telemetry = SILENCE) -> None:
        self._telemetry = telemetry
        self._store = store
        self._engine = engine
        self._logs = logs
        self._artifacts = artifacts
        self._clock = clock
        self._hints = hints
        self._rules = rules
        self._bounds = bounds
        self._reports = Reports(store=store, logs=logs, artifacts=artifacts)
        self._bases = Bases(store=store, artifacts=artifacts, rules=rules, bounds=bounds)

    def start(self, request: StartRequests, caller: Caller) -> Job:
        """Record a new job; it is durable when this returns, and the reconciler does the rest.

        A start that repeats the ``invocation`` of an earlier one of the same principal returns that one's job.

        Raises:
            IdTaken, TooManyRequests: see ``JobStore.create``.
            RoleNotInParameterGroup: a role that the cluster may not use.
            MissingMember: there is no role where there must be one; a custom model whose scripts are not given.
            AccessDenied: the role may not read or write where the job would.
            BaseJobMissing, BaseJobNotCompleted: a job that this one builds on.
            InvalidLocation: there is nothing at the input location, nothing can be written at the output location, or one of
                them is none that the server offers.
            ArtifactsUnavailable: a server that has them does not answer.
            ConflictingArguments: a transform job with a training job and a trial, or with scripts for a model that has none.
            NotOffered: a custom model, where they are switched off.
        """
        role = self._rules.parameter_group.role_of(request)
        basis = self._bases.of(request, role)
        job = plans.new_job(request, job_id=request.id or str(uuid.uuid4()), now=self._clock.now(), source=basis.source,
                            memory_mib=memory_mib(basis.size), previous=basis.previous, earlier=basis.earlier, model=basis.model)
        self._bases.check_output(job.prefix, role)
        job = self._store.create(
            replace(job, notes=recorded.notes(request), started_by=caller.arn, traceparent=self._telemetry.traceparent()),
            # What one principal's client calls its calls is no business of another's.
            invocation=f"{caller.arn} {caller.invocation}" if caller.arn and caller.invocation else caller.invocation,
            max_active=self._rules.max_active_jobs,
            max_active_of_one=self._rules.max_active_jobs_per_principal if caller.arn else None)
        self._hints.wake((job.kind, job.id))
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

    def active(self) -> tuple[dict[tuple[JobKind, Status], int], tuple[Job, ...]]:
        """How many jobs have not ended, by kind and shown status; and the newest trainings that are in progress, at most
        ``MOST_WATCHED``, with the progress of those of their trials that are known to run."""
        page = self._store.list_ids(ListQuery(kind=JobKind.MODEL_TRAINING, statuses=(Status.IN_PROGRESS,), limit=MOST_WATCHED))
        jobs = (self._store.get(JobKind.MODEL_TRAINING, job_id) for job_id in page.ids)
        return self._store.count_active(), tuple(self._fresh(job, (RunState.RUNNING,)) for job in jobs if job is not None)

    def report(self, kind: JobKind, job_id: str) -> JobReport:
        """All that is shown of a job: the course of its runs, and what it wrote about itself. Raises JobNotFound."""
        return self._reports.of(self._fresh(self.get(kind, job_id)))

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
        self._hints.wake((kind, request.id))
        return job

    def read_logs(self, kind: JobKind, request: ReadJobLogs) -> tuple[str, bytes, int]:
        """A run's id, the next part of its log, and where the part after it begins.

        Without ``request.run`` it is the log of the run that started last. Raises JobNotFound for no such job or run, or
        if its log is not kept any more.
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
        if not data and not run.state.is_live and self._engine.observe(run.id).state is None:
            raise JobNotFound(f"The log of the run '{run.id}' is not kept any more: the setting run_retention_days says how long.")
        return run.id, data, after

    def ready(self) -> None:
        """Raise if the store cannot be read."""
        self._store.next_due()

    def _fresh(self, job: Job, states: tuple[RunState, ...] = (RunState.PENDING, RunState.RUNNING)) -> Job:
        """The job with what the engine knows of its runs in these states."""
        if job.status.is_terminal:
            return job
        runs = {run.id: self._engine.observe(run.id) for run in job.runs if run.state in states}
        return observed(job, Seen(now=self._clock.now(), runs=runs))
