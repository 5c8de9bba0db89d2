"""An inference endpoint is data, too: the model that it serves, the one that is to take its place, and the runs that answer.

All times are whole milliseconds since 1970-01-01T00:00:00Z. Everything is frozen; ``msgspec.structs.replace`` makes changed copies.
"""

from enum import StrEnum

from despina.core.frozen import Recorded
from despina.core.job import JobKind, RunSpec, RunState, ServeWork


class EndpointStatus(StrEnum):
    """The status of an endpoint, exactly as on the wire."""

    CREATING = "Creating"
    IN_SERVICE = "InService"
    UPDATING = "Updating"
    DELETING = "Deleting"
    FAILED = "Failed"


class Version(Recorded, frozen=True, kw_only=True):
    """What is served: one model, by so many replicas. Each update makes a new one."""

    number: int
    """From 1."""
    kind: JobKind
    """Of the job whose artefacts are served."""
    job_id: str
    model: str
    """The model's AWS-shaped name."""
    work: ServeWork
    instances: int
    """Replicas."""
    memory_mib: int
    """That a replica is expected to need."""
    created_at: int
    notes: tuple[str, ...] = ()
    """What the user should know of the request that the API has no member for."""
    invocation: str | None = None
    """The id of the call that asked for it: a repeated call is not another update."""


class Replica(Recorded, frozen=True, kw_only=True):
    """One run that answers requests, in its place among those of its version."""

    version: int
    place: int
    """From 0."""
    spec: RunSpec
    state: RunState = RunState.PENDING
    """``SUCCEEDED``: it was not asked for so long that it ended. The place stays empty until the endpoint is woken."""
    started_at: int | None = None
    ready_at: int | None = None
    """Since when it answers."""
    not_before: int | None = None
    """It is not to be started earlier."""
    failures: int = 0
    """Runs in this place that ended before it, one soon after the other."""
    failure_reason: str | None = None
    """Why it is being ended."""
    before: str | None = None
    """Why the run before it in this place has ended."""

    @property
    def answers(self) -> bool:
        """Whether it can be asked."""
        return self.state is RunState.RUNNING and self.ready_at is not None


class Endpoint(Recorded, frozen=True, kw_only=True):
    """An endpoint: what was asked for, and the facts so far."""

    id: str
    created_at: int
    resource_name: str
    """The AWS-shaped name, by which it can be invoked."""
    started_by: str | None = None
    """The ARN of the principal who created it; None where requests are not signed."""
    serving: Version | None = None
    """In service."""
    upcoming: Version | None = None
    """To take its place as soon as all its replicas answer."""
    replicas: tuple[Replica, ...] = ()
    versions: int = 1
    """Versions ever asked for."""
    begun: int = 0
    """Replicas ever begun; the next one's run is named by it."""
    ended: tuple[str, ...] = ()
    """The runs that ended last, whose logs are kept."""
    deleting: bool = False
    failure_reason: str | None = None
    """Why the version that was asked for last did not come into service; None: it did, or may still."""

    @property
    def status(self) -> EndpointStatus:
        """As the API shows it."""
        if self.deleting:
            return EndpointStatus.DELETING
        if self.upcoming is not None:
            return EndpointStatus.UPDATING if self.serving else EndpointStatus.CREATING
        return EndpointStatus.IN_SERVICE if self.serving else EndpointStatus.FAILED

    @property
    def newest(self) -> Version | None:
        """The version that was asked for last, unless it has failed."""
        return self.upcoming or self.serving

    @property
    def answering(self) -> tuple[Replica, ...]:
        """The replicas that can be asked: of the version in service."""
        number = self.serving.number if self.serving else None
        return tuple(replica for replica in self.replicas if replica.version == number and replica.answers)

    @property
    def is_asleep(self) -> bool:
        """Whether it is in service, and all its replicas have ended because nobody asked them."""
        own = [replica for replica in self.replicas if self.serving and replica.version == self.serving.number]
        return bool(own) and all(replica.state is RunState.SUCCEEDED for replica in own)


def run_of(endpoint: Endpoint, number: int) -> str:
    """The id of the run of an endpoint's replica, by the number of replicas begun before."""
    # The time of creation keeps the runs apart from those of an earlier endpoint of this id.
    return f"endpoint-{endpoint.id}-{endpoint.created_at:x}-{number}"


def is_endpoint_run(run_id: str) -> bool:
    """Whether a run is an endpoint's, not a job's."""
    return run_id.startswith("endpoint-")


def endpoint_of_run(run_id: str) -> str:
    """The id of the endpoint that such a run belongs to."""
    return run_id.removeprefix("endpoint-").rsplit("-", 2)[0]
