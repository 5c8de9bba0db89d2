"""The ports: what the control plane asks of stores, engines, artefact stores and the clock. Every implementation of a port passes
one contract suite (``tests/contract``)."""

from collections.abc import Iterable, Iterator
from pathlib import PurePath
from typing import Protocol

from despina.core.endpoint import Endpoint
from despina.core.frozen import Frozen
from despina.core.job import Job, JobKind, Observation, Progress, RunSpec, Status
from despina.core.location import Location
from despina.core.principal import AccessKey, Credential, Principal


class Lease(Frozen, frozen=True, kw_only=True):
    """The right to write one job until ``expires_at`` (ms). ``token`` grows with each grant: a stale holder's write is refused."""

    kind: JobKind
    id: str
    token: int
    expires_at: int


class Claim(Frozen, frozen=True, kw_only=True):
    """A leased job, as it was when the lease was granted."""

    lease: Lease
    job: Job


class ListQuery(Frozen, frozen=True, kw_only=True):
    """What a list call asks for. Filters that are None do not filter."""

    kind: JobKind
    limit: int = 10
    statuses: tuple[Status, ...] | None = None
    """Shown statuses (a job that is being stopped counts as ``Stopping``)."""
    name_contains: str | None = None
    """A part of the id; upper and lower case are the same."""
    created_after: int | None = None
    """Exclusive, ms."""
    created_before: int | None = None
    """Exclusive, ms."""
    after: str | None = None
    """``Page.next`` of the page before."""


class Page(Frozen, frozen=True, kw_only=True):
    """One page of ids, newest first; ``next`` is None on the last page."""

    ids: tuple[str, ...]
    next: str | None = None


class JobStore(Protocol):
    """Keeps jobs. A call that has returned is durable; calls from several threads and processes are serialised by the store."""

    def create(self, job: Job, *, invocation: str | None, max_active: int, max_active_of_one: int | None = None) -> Job:
        """Record a new job and make it due at once.

        A start that repeats an ``invocation`` id already seen for this kind returns the job it made the first time.

        Raises:
            IdTaken: another invocation made a job of this kind and id.
            TooManyRequests: ``max_active`` jobs (of all kinds) have not ended yet, or ``max_active_of_one`` that the same principal
                started; counted in the same transaction.
        """
        ...

    def get(self, kind: JobKind, job_id: str) -> Job | None:
        """The job as last written, or None. ``stop_requested``, ``clean`` and ``stopped_by`` include wishes that arrived since."""
        ...

    def list_ids(self, query: ListQuery) -> Page:
        """The ids of the jobs that pass the filters, newest first.

        Raises:
            UnreadableParameter: ``query.after`` is not a position that this store gave out.
        """
        ...

    def count_active(self) -> dict[tuple[JobKind, Status], int]:
        """How many jobs have not ended, by kind and shown status; what there is none of may be missing. Its time does not grow with
        the number of jobs that have ended."""
        ...

    def request_stop(self, kind: JobKind, job_id: str, *, clean: bool, now: int, by: str | None = None) -> Job | None:
        """Record the wish to stop the job, and whose it is; the job as it is then, or None when there is none.

        Completed and failed jobs are left as they are. A new wish (a first stop, a first ``clean``, each ``clean`` of a
        stopped job that was not swept) makes the job due at ``now`` and ends the lease of whoever holds it, whose next write is
        then refused: a completion computed before the wish cannot be written after it. Any other wish changes nothing.
        """
        ...

    def claim(self, *, now: int, until: int, key: tuple[JobKind, str] | None = None) -> Claim | None:
        """Lease the due job that has been due longest, or None. With ``key``: that job, also if it is due only later.

        A job under an unexpired lease, or never due again, is not given.
        """
        ...

    def renew(self, lease: Lease, *, until: int) -> Lease:
        """Prolong a lease. Raises LeaseLost."""
        ...

    def write(self, lease: Lease, job: Job) -> None:
        """Replace the job's record. Wishes (``stop_requested``, ``clean``, ``stopped_by``) are the API's and not written.

        Raises LeaseLost.
        """
        ...

    def release(self, lease: Lease, *, due_at: int | None) -> None:
        """Give the lease back; the job is due again at ``due_at``, or never (None). A lease already lost is not an error."""
        ...

    def next_due(self) -> int | None:
        """The time at which the next job can be claimed: the least due time, or the end of a lease if that is later."""
        ...

    def left_alone(self) -> int:
        """How many jobs are due, now or later, and never given, since a newer version of Despina has written their records.

        They can be read, as far as this version knows their fields, and stopped.
        """
        ...

    def close(self) -> None:
        """Release files and connections. The store is not used afterwards."""
        ...


class StoredEndpoint(Frozen, frozen=True, kw_only=True):
    """An endpoint's record. ``key`` is never another record's, ``revision`` changes with each write."""

    key: int
    revision: int
    endpoint: Endpoint
    newer: bool = False
    """A newer version of Despina has written it, and only that may change it."""


class EndpointStore(Protocol):
    """Keeps endpoints. A call that has returned is durable.

    There are no leases: whoever changes an endpoint has read it, and his write counts only if nobody else wrote in between.
    """

    def create(self, endpoint: Endpoint, *, invocation: str | None, most: int) -> Endpoint:
        """Record a new endpoint. A call that repeats an ``invocation`` that made one which is still there returns that one.

        Raises:
            IdTaken: there is an endpoint with this id.
            TooManyRequests: there are ``most`` endpoints.
        """
        ...

    def get(self, endpoint_id: str) -> StoredEndpoint | None:
        """The endpoint with this id, or with this resource name."""
        ...

    def all(self) -> tuple[StoredEndpoint, ...]:
        """All of them, newest first, but for those of a newer version that this one cannot read at all."""
        ...

    def write(self, stored: StoredEndpoint, endpoint: Endpoint) -> bool:
        """Put ``endpoint`` in the place of what was read as ``stored``. False, and nothing is written: it has changed since.

        Raises StoreError: ``stored`` is ``newer``.
        """
        ...

    def remove(self, stored: StoredEndpoint) -> bool:
        """Delete the record, under the same condition."""
        ...

    def close(self) -> None:
        """Release files and connections. The store is not used afterwards."""
        ...


class KeyStore(Protocol):
    """Keeps principals and their access keys. What was changed holds for every process from the next request on."""

    def find(self, key_id: str) -> Credential | None:
        """The key, whatever its state, with its principal. While nothing has changed the answer is the same object."""
        ...

    def put_principal(self, principal: Principal) -> None:
        """Add a principal, or replace the one of this name. Raises IdTaken when another principal has the ARN."""
        ...

    def principal_of(self, arn: str) -> Principal | None:
        """The principal with this ARN."""
        ...

    def principals(self) -> tuple[Principal, ...]:
        """All of them, by name."""
        ...

    def delete_principal(self, name: str) -> bool:
        """Delete a principal and its keys; whether there was one."""
        ...

    def add_key(self, key: AccessKey) -> None:
        """Add a key. Raises PrincipalNotFound, IdTaken."""
        ...

    def keys(self) -> tuple[AccessKey, ...]:
        """All of them, by principal and time of creation."""
        ...

    def set_disabled(self, key_id: str, *, disabled: bool) -> bool:
        """Disable a key or enable it again; whether there is one."""
        ...

    def delete_key(self, key_id: str) -> bool:
        """Delete a key; whether there was one."""
        ...

    def close(self) -> None:
        """Release files and connections. The store is not used afterwards."""
        ...


class Engine(Protocol):
    """Runs programs. Run ids are the caller's; every verb may be repeated."""

    def submit(self, spec: RunSpec) -> None:
        """Take a run. A run already known (also one stopped before it was submitted) is not started a second time."""
        ...

    def observe(self, run_id: str) -> Observation:
        """What is known of the run. Never waits."""
        ...

    def stop(self, run_id: str) -> None:
        """End the run and every process it started, SIGTERM first. Returns at once; ``observe`` tells when it is over.

        A run not yet known is marked stopped, so that a submit that arrives later starts nothing.
        """
        ...

    def forget(self, run_id: str) -> None:
        """Delete what is kept of a run that has ended, its log too: it is unknown then. Of an unknown run there is nothing.

        Raises ValueError for a run that has not ended.
        """
        ...

    def close(self) -> None:
        """Let go of the runs without ending them: another engine on the same folder finds them again."""
        ...


class Connection(Protocol):
    """A two-way stream of bytes: a socket, which may be given to an event loop."""

    def fileno(self) -> int:
        """Its descriptor."""
        ...

    def close(self) -> None:
        """End it."""
        ...


class ServingRuns(Protocol):
    """Leads to runs that answer requests (``core.frames``)."""

    def connect(self, run_id: str) -> Connection:
        """A connection to the run. Never waits. Raises OSError when it does not listen, or not any more."""
        ...


class RunLogs(Protocol):
    """Reads what a run wrote to its log, and what it told of its progress."""

    def read(self, run_id: str, *, offset: int, limit: int) -> tuple[bytes, int]:
        """At most ``limit`` bytes of whole lines from ``offset`` on, and the offset after them."""
        ...

    def course(self, run_id: str, *, limit: int) -> tuple[Progress, ...]:
        """The progress that the run told in the first ``limit`` bytes of its output, oldest first; none if none is kept."""
        ...


class KeptRuns(Protocol):
    """Tells of which runs an engine still keeps something."""

    def ended_before(self, moment: int) -> Iterator[str]:
        """The ids of runs that ended before this time (ms since 1970), or of which there is nothing but an old folder."""
        ...


class ProgramEngine(Engine, RunLogs, KeptRuns, Protocol):
    """An engine whose logs can be read, and whose old runs can be found."""


class WholeEngine(ProgramEngine, ServingRuns, Protocol):
    """All that the control plane asks of what runs programs."""


class Entry(Frozen, frozen=True, kw_only=True):
    """A file in an artefact store. ``path`` is relative to the location listed."""

    path: str
    size: int


class ArtifactStore(Protocol):
    """Files and buckets behind four verbs, and two questions. All raise ArtifactError with a sentence that names the location."""

    def get(self, location: Location) -> PurePath:
        """A local folder or file with the content at ``location``; it is only to be read, by this process and its children."""
        ...

    def put(self, folder: PurePath, location: Location) -> None:
        """Put all files below ``folder`` at ``location``. Each file appears whole or not at all.

        The store may take the files over as they are: afterwards they may be deleted, but not changed.
        """
        ...

    def list(self, location: Location) -> Iterator[Entry]:
        """The files below ``location`` in the order of their paths; none if it does not exist."""
        ...

    def delete(self, location: Location) -> int:
        """Delete every file below ``location`` and nothing else, links as links; how many there were."""
        ...

    def content(self, location: Location, *, limit: int) -> bytes:
        """The content of the file at ``location``. Raises ArtifactError also if it has more than ``limit`` bytes."""
        ...

    def check_writable(self, location: Location) -> None:
        """Find out, without writing, whether ``put`` could write at ``location``: raises ArtifactError if it could not."""
        ...

    def latest_ms(self, location: Location) -> int:
        """How long (ms) after its death a process's last write may take to appear there: a server goes on with what it was sent."""
        ...


class RoleBounds(Protocol):
    """What roles may do with files."""

    def demand(self, role: str | None, action: str, location: Location, paths: Iterable[str] = ("",)) -> None:
        """Let a role pass that may do this to the files at these paths below the location; None is no role, and passes.

        Args:
            role: The role's ARN.
            action: ``s3:GetObject``, ``s3:PutObject`` or ``s3:DeleteObject``; the first needs ``s3:ListBucket`` too.
            location: A prefix.
            paths: Relative to it; ``""`` stands for whatever lies below.

        Raises:
            AccessDenied: the role's policies do not allow it; the text names role, action and place.
        """
        ...


class Clock(Protocol):
    """The time of day."""

    def now(self) -> int:
        """Milliseconds since 1970."""
        ...
