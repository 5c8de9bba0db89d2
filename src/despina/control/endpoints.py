"""Create, get, list, update and delete endpoints: what the API calls. What becomes of them is for ``endpoint_reconciler.py``."""

from collections.abc import Callable

from msgspec.structs import replace

from despina.control import recorded
from despina.control.basis import JobRules
from despina.control.hints import Hints
from despina.core import names, plans
from despina.core.endpoint import Endpoint, EndpointStatus, Version
from despina.core.endpoint_lifecycle import woken
from despina.core.errors import (
    BaseJobMissing,
    BaseJobNotCompleted,
    ConflictingArguments,
    InvalidLocation,
    JobNotFound,
    MissingMember,
    UnreadableParameter,
)
from despina.core.job import Job, JobKind, ServeWork, Status
from despina.core.location import INVALID, Location
from despina.core.ports import (
    ArtifactStore,
    Clock,
    Connection,
    EndpointStore,
    JobStore,
    Page,
    RoleBounds,
    RunLogs,
    ServingRuns,
    StoredEndpoint,
)
from despina.core.principal import Caller
from despina.core.requests import CancelJob, CreateEndpoint, ListEndpoints, ReadJobLogs

NO_SUCH_ID = "Invalid ID provided. Please check whether a resource with the given ID exists."
LOG_CHUNK = 256 * 1024
"""Bytes of log a call returns at most."""
PROGRAM_MIB = 256
"""Memory of a serving program, beside what it serves."""
_TEXTS = {
    JobKind.MODEL_TRAINING: ("Provided MLModelTraining job doesn't exist.", "Provided ModelTraining job has not completed."),
    JobKind.MODEL_TRANSFORM: ("Provided ModelTransformJob doesn't exist.", "Provided ModelTransformJob has not completed."),
}


class Endpoints:
    """The endpoints of a cluster. ``hints`` tells the reconciler which of them to look at."""

    def __init__(self, *, store: EndpointStore, jobs: JobStore, serving: ServingRuns, logs: RunLogs, artifacts: ArtifactStore,
                 clock: Clock, hints: Hints[str], rules: JobRules, bounds: RoleBounds) -> None:
        self._store, self._jobs, self._serving, self._logs = store, jobs, serving, logs
        self._artifacts, self._clock, self._hints, self._rules, self._bounds = artifacts, clock, hints, rules, bounds

    def create(self, request: CreateEndpoint, caller: Caller) -> Endpoint:
        """Record a new endpoint, or with ``update`` what an endpoint is to serve from now on.

        Raises:
            IdTaken, TooManyRequests: see ``EndpointStore.create``.
            RoleNotInParameterGroup: a role that the cluster may not use.
            MissingMember: there is no job, or with ``update`` no id; or no role where there must be one.
            ConflictingArguments: two jobs.
            BaseJobMissing, BaseJobNotCompleted: the job.
            InvalidLocation: the job's artefacts are gone.
            AccessDenied: the role may not read them.
            JobNotFound: there is no endpoint to be updated.
        """
        role = self._rules.parameter_group.role_of(request)
        if request.update and request.id is None:
            raise MissingMember("The required member 'id' is missing or empty: 'update' is of an endpoint that is there.")
        invocation = f"{caller.arn} {caller.invocation}" if caller.arn and caller.invocation else caller.invocation
        version = self._version(request, role, invocation)
        if request.update:
            return self._update(request.id or "", version)
        now = version.created_at
        endpoint_id = request.id or names.endpoint_id(now, version.job_id)
        name = names.endpoint(endpoint_id, now, f"{endpoint_id} {now}")
        created = self._store.create(
            Endpoint(id=endpoint_id, created_at=now, resource_name=name, started_by=caller.arn, upcoming=version),
            invocation=invocation, most=self._rules.max_endpoints)
        self._hints.wake(created.id)
        return created

    def get(self, endpoint_id: str) -> Endpoint:
        """The endpoint as it is recorded. Raises JobNotFound."""
        return self._stored(endpoint_id).endpoint

    def find(self, name: str) -> Endpoint | None:
        """The endpoint with this resource name, or this id; quick."""
        stored = self._store.get(name)
        return stored.endpoint if stored else None

    def all(self) -> tuple[Endpoint, ...]:
        """All endpoints, newest first."""
        return tuple(stored.endpoint for stored in self._store.all())

    def list(self, request: ListEndpoints) -> tuple[Page, tuple[Endpoint, ...]]:
        """One page of ids, newest first, and the endpoints. Raises UnreadableParameter for a token that no list call gave."""
        found = self.all()
        if request.next_token is not None:
            places = [i for i, endpoint in enumerate(found) if endpoint.id == request.next_token]
            if not places:
                raise UnreadableParameter(f"The value '{request.next_token[:100]}' of 'nextToken' is not a token that an earlier "
                                          "list call gave, or the endpoint that it named is gone.")
            found = found[places[0] + 1:]
        wanted = [endpoint for endpoint in found if _passes(endpoint, request)]
        page = tuple(wanted[:request.max_items])
        more = len(wanted) > len(page)
        return Page(ids=tuple(endpoint.id for endpoint in page), next=page[-1].id if more else None), page

    def delete(self, request: CancelJob, caller: Caller) -> Endpoint:  # noqa: ARG002 - the audit log has the caller
        """Record the wish to delete the endpoint, from whatever state; the endpoint as it is then.

        An endpoint writes nothing that ``clean`` could delete; the artefacts that it serves are the job's.

        Raises:
            RoleNotInParameterGroup, MissingMember: as for ``create``.
            JobNotFound: there is none.
        """
        self._rules.parameter_group.role_of(request)
        deleted = self._change(request.id, lambda endpoint: replace(endpoint, deleting=True))
        self._hints.wake(request.id)
        return deleted

    def wake(self, endpoint_id: str) -> None:
        """Have replicas started that ended because nobody asked them. An endpoint that is gone is no error."""
        stored = self._store.get(endpoint_id)
        if stored is not None and (changed := woken(stored.endpoint)) != stored.endpoint:
            self._store.write(stored, changed)  # if it fails somebody else has changed it, and the caller will ask again
        self._hints.wake(endpoint_id)

    def connect(self, run_id: str) -> Connection:
        """A connection to a replica. Raises OSError when it does not listen."""
        return self._serving.connect(run_id)

    def read_logs(self, request: ReadJobLogs) -> tuple[str, bytes, int]:
        """A run's id, the next part of its log, and where the part after it begins.

        Without ``request.run`` it is the log of the newest run. Raises JobNotFound for no such endpoint or run.
        """
        endpoint = self.get(request.id)
        runs = [*endpoint.ended, *(replica.spec.run_id for replica in endpoint.replicas)]
        run = request.run or (runs[-1] if runs else "")
        if run not in runs:
            raise JobNotFound(f"The endpoint '{endpoint.id}' has no run '{run}'. Its runs: {', '.join(runs) or 'none'}.")
        data, after = self._logs.read(run, offset=request.next_token, limit=LOG_CHUNK)
        return run, data, after

    def _version(self, request: CreateEndpoint, role: str | None, invocation: str | None) -> Version:
        job = self._job(request)
        location = plans.output_location(job)
        size = sum(entry.size for entry in self._artifacts.list(Location.parse(location)))
        if not size:
            raise InvalidLocation(f"{INVALID} (there are no artefacts of the job '{job.id}' at '{location}' any more)")
        for url in (location, job.input):
            self._bounds.demand(role, "s3:GetObject", Location.parse(url))
        custom = plans.custom_code(job) if self._rules.custom_models else None
        work = ServeWork(artifacts=location, processed=job.input, idle_seconds=self._rules.endpoint_idle_seconds, custom=custom)
        return Version(number=1, kind=job.kind, job_id=job.id, model=job.models[0].name, work=work,
                       instances=request.instance_count, memory_mib=PROGRAM_MIB + 2 * size // 2**20, created_at=self._clock.now(),
                       notes=recorded.notes(request), invocation=invocation)

    def _job(self, request: CreateEndpoint) -> Job:
        given = {"mlModelTrainingJobId": request.ml_model_training_job_id,
                 "mlModelTransformJobId": request.ml_model_transform_job_id}
        named = [name for name, value in given.items() if value]
        if not named:
            raise MissingMember("The required member 'mlModelTrainingJobId' is missing or empty: an endpoint needs it, or "
                                "'mlModelTransformJobId'.")
        if len(named) > 1:
            raise ConflictingArguments("'mlModelTrainingJobId' and 'mlModelTransformJobId' may not stand together: an endpoint "
                                       "serves the model of one job.")
        kind = JobKind.MODEL_TRAINING if request.ml_model_training_job_id else JobKind.MODEL_TRANSFORM
        missing, unfinished = _TEXTS[kind]
        job = self._jobs.get(kind, given[named[0]] or "")
        if job is None:
            raise BaseJobMissing(missing)
        if job.status is not Status.COMPLETED:
            raise BaseJobNotCompleted(unfinished)
        return job

    def _update(self, endpoint_id: str, version: Version) -> Endpoint:
        def updated(endpoint: Endpoint) -> Endpoint:
            if endpoint.deleting:
                raise JobNotFound(NO_SUCH_ID)
            newest = endpoint.newest
            if newest is not None and newest.invocation is not None and newest.invocation == version.invocation:
                return endpoint
            return replace(endpoint, upcoming=replace(version, number=endpoint.versions + 1), versions=endpoint.versions + 1,
                           failure_reason=None)

        changed = self._change(endpoint_id, updated)
        self._hints.wake(endpoint_id)
        return changed

    def _change(self, endpoint_id: str, change: Callable[[Endpoint], Endpoint]) -> Endpoint:
        """Write a change of what is recorded, whoever else writes."""
        while True:
            stored = self._stored(endpoint_id)
            changed = change(stored.endpoint)
            if changed == stored.endpoint or self._store.write(stored, changed):
                return changed

    def _stored(self, endpoint_id: str) -> StoredEndpoint:
        stored = self._store.get(endpoint_id)
        # Management calls know an endpoint by its id alone, as in the real service.
        if stored is None or stored.endpoint.id != endpoint_id:
            raise JobNotFound(NO_SUCH_ID)
        return stored


def _passes(endpoint: Endpoint, request: ListEndpoints) -> bool:
    """Whether the filters let an endpoint through."""
    return ((request.status is None or endpoint.status is EndpointStatus(request.status))
            and (request.name_contains or "").lower() in endpoint.id.lower()
            and (request.created_after is None or endpoint.created_at > request.created_after)
            and (request.created_before is None or endpoint.created_at < request.created_before))
