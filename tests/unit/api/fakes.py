"""A control plane in memory, and a client that calls the ASGI application as a server would."""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from despina.api.asgi import Api
from despina.api.scope import Message
from despina.api.service import ControlPlane
from despina.api.settings import ApiSettings
from despina.core import plans
from despina.core.endpoint import Endpoint
from despina.core.errors import IdTaken, JobEnded, JobNotFound, StoreError
from despina.core.job import Job, JobKind, Status
from despina.core.names import Cluster
from despina.core.ports import Connection, Page
from despina.core.principal import Caller
from despina.core.report import JobReport
from despina.core.requests import (
    CancelJob,
    CreateEndpoint,
    ListEndpoints,
    ListJobs,
    ReadJobLogs,
    StartDataProcessing,
    StartModelTraining,
    StartRequests,
)

NOW = 1_700_000_000_000
GENERATED = "11111111-2222-4333-8444-555555555555"
PATIENCE_SECONDS = 20
"""No request of a test takes as long; one that hangs fails."""


@dataclass
class FakeJobs:
    """Jobs in memory; keeps what it was asked."""

    jobs: dict[tuple[JobKind, str], Job] = field(default_factory=dict)
    requests: list[Any] = field(default_factory=list)
    invocations: list[str | None] = field(default_factory=list)
    next_token: str | None = None
    log: tuple[str, bytes, int] = ("run-1", b"", 0)
    broken: Exception | None = None
    before_start: Callable[[], None] = lambda: None

    def add(self, job: Job) -> Job:
        self.jobs[job.kind, job.id] = job
        return job

    def start(self, request: StartRequests, caller: Caller) -> Job:
        self._record(request)
        self.before_start()
        self.invocations.append(caller.invocation)
        job = new_job(request)
        if (job.kind, job.id) in self.jobs:
            raise IdTaken("Another resource with same ID already exists. Please use a new ID.")
        return self.add(job)

    def get(self, kind: JobKind, job_id: str) -> Job:
        if self.broken:
            raise self.broken
        if (kind, job_id) not in self.jobs:
            raise JobNotFound("Invalid ID provided. Please check whether a resource with the given ID exists.")
        return self.jobs[kind, job_id]

    def list(self, kind: JobKind, request: ListJobs) -> Page:
        self._record(request)
        ids = [job_id for job_kind, job_id in reversed(self.jobs) if job_kind is kind]
        return Page(ids=tuple(ids[:request.max_items]), next=self.next_token)

    def details(self, kind: JobKind, job_ids: tuple[str, ...]) -> tuple[Job, ...]:
        return tuple(self.get(kind, job_id) for job_id in job_ids)

    def active(self) -> tuple[dict[tuple[JobKind, Status], int], tuple[Job, ...]]:
        if self.broken:
            raise self.broken
        active = [job for job in self.jobs.values() if not job.status.is_terminal]
        return dict(Counter((job.kind, job.shown_status) for job in active)), tuple(
            job for job in active if job.kind is JobKind.MODEL_TRAINING)

    def report(self, kind: JobKind, job_id: str) -> JobReport:
        return JobReport(job=self.get(kind, job_id), courses={})

    def cancel(self, kind: JobKind, request: CancelJob, caller: Caller) -> Job:
        job = self.get(kind, request.id)
        if job.status in {Status.COMPLETED, Status.FAILED}:
            raise JobEnded("Failed to stop the job because it has already completed or failed.")
        return self.add(replace(job, stop_requested=True, clean=job.clean or request.clean, stopped_by=caller.arn))

    def read_logs(self, kind: JobKind, request: ReadJobLogs) -> tuple[str, bytes, int]:
        self._record(request)
        self.get(kind, request.id)
        return self.log

    def ready(self) -> None:
        if self.broken:
            raise self.broken

    def _record(self, request: Any) -> None:
        if self.broken:
            raise self.broken
        self.requests.append(request)


@dataclass
class FakeEndpoints:
    """Endpoints in memory, which nobody can ask."""

    endpoints: dict[str, Endpoint] = field(default_factory=dict)

    def add(self, endpoint: Endpoint) -> Endpoint:
        self.endpoints[endpoint.id] = endpoint
        return endpoint

    def create(self, request: CreateEndpoint, caller: Caller) -> Endpoint:
        return self.add(Endpoint(id=request.id or GENERATED, created_at=NOW, resource_name="the-name", started_by=caller.arn))

    def get(self, endpoint_id: str) -> Endpoint:
        if endpoint_id not in self.endpoints:
            raise JobNotFound("Invalid ID provided. Please check whether a resource with the given ID exists.")
        return self.endpoints[endpoint_id]

    def find(self, name: str) -> Endpoint | None:
        return self.endpoints.get(name)

    def all(self) -> tuple[Endpoint, ...]:
        return tuple(self.endpoints.values())

    def list(self, request: ListEndpoints) -> tuple[Page, tuple[Endpoint, ...]]:
        found = self.all()[:request.max_items]
        return Page(ids=tuple(endpoint.id for endpoint in found)), found

    def delete(self, request: CancelJob, caller: Caller) -> Endpoint:
        return self.add(replace(self.get(request.id), deleting=True))

    def wake(self, endpoint_id: str) -> None:
        self.get(endpoint_id)

    def connect(self, run_id: str) -> Connection:
        raise ConnectionRefusedError(run_id)

    def read_logs(self, request: ReadJobLogs) -> tuple[str, bytes, int]:
        self.get(request.id)
        return "run-1", b"", 0


def new_job(request: StartRequests) -> Job:
    return plans.new_job(request, job_id=request.id or GENERATED, now=NOW, source="s3://bucket/source", memory_mib=256)


def processing_job(job_id: str = "dp-1") -> Job:
    return new_job(StartDataProcessing(id=job_id, input_data_s3_location="s3://bucket/in",
                                       processed_data_s3_location="s3://bucket/processed"))


def training_job(job_id: str = "tr-1") -> Job:
    return new_job(StartModelTraining(id=job_id, data_processing_job_id="dp-1", train_model_s3_location="s3://bucket/models"))


@dataclass(frozen=True)
class Response:
    """What the application sent."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> tuple[int, str, str]:
        """Status, code and message of a well-formed error answer."""
        document = self.json
        assert document.keys() == {"requestId", "code", "detailedMessage", "message"}
        assert document["message"] == document["detailedMessage"]
        assert self.headers["x-amzn-errortype"] == document["code"]
        assert self.headers["x-amzn-requestid"] == document["requestId"]
        return self.status, document["code"], document["message"]


class Client:
    """Calls an application over ``jobs`` with these settings."""

    def __init__(self, jobs: FakeJobs | None = None, *, endpoints: FakeEndpoints | None = None,
                 clock: Callable[[], float] = lambda: 0.0, **settings: Any) -> None:
        self.jobs = jobs or FakeJobs()
        self.endpoints = endpoints or FakeEndpoints()
        self.api = Api(ControlPlane(self.jobs, self.endpoints), settings=ApiSettings(**settings), cluster=Cluster(), clock=clock)

    def call(self, method: str, target: str, body: Any = b"", headers: Iterable[tuple[str, str]] = ()) -> Response:
        """One request. A body that is not bytes is sent as JSON."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return asyncio.run(self.send(method, target, whole(content), headers))

    def get(self, target: str) -> Response:
        return self.call("GET", target)

    async def send(self, method: str, target: str | bytes, receive: Callable[[], Awaitable[Message]],
                   headers: Iterable[tuple[str, str]] = (), *, host: str = "127.0.0.1",
                   host_header: str = "localhost:8182") -> Response:
        raw = target if isinstance(target, bytes) else target.encode()
        path, _, query = raw.partition(b"?")
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        scope = {
            "type": "http", "method": method, "scheme": "http", "raw_path": path, "path": path.decode("latin-1"),
            "query_string": query, "client": (host, 50_000),
            "headers": [(b"host", host_header.encode()), *((name.encode(), value.encode("latin-1")) for name, value in headers)],
        }
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self.api(scope, receive, send)
        start, end = sent
        answer = {name.decode(): value.decode() for name, value in start["headers"]}
        assert answer["content-type"] == "application/json"
        assert answer["content-length"] == str(len(end["body"]))
        return Response(start["status"], answer, end["body"])


def whole(body: bytes) -> Callable[[], Awaitable[Message]]:
    """The body in one message, and no more after it."""
    return pieces([body])


def pieces(parts: list[bytes], *, then_hang: bool = False) -> Callable[[], Awaitable[Message]]:
    """The body in several messages; with ``then_hang`` the last of them never comes."""
    left = list(parts)

    async def receive() -> Message:
        if not left:
            await asyncio.Event().wait()
        part = left.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(left) or then_hang}

    return receive


STORE_BROKEN = StoreError("the disk is gone")
