"""Invocations of which the serving program makes nothing: what clients are told, and how long they wait."""

import asyncio
import socket
import threading
from typing import Any

import pytest
from msgspec.structs import replace
from tests.unit.api.fakes import NOW, Client, FakeEndpoints, Response

from despina.api import invocations, replicas
from despina.api.scope import Message
from despina.core.endpoint import Endpoint, Replica, Version
from despina.core.frames import FrameReader, answer_frame, read_request
from despina.core.job import JobKind, RunSpec, RunState, ServeWork

WORK = ServeWork(artifacts="s3://bucket/model", processed="s3://bucket/graph")
VERSION = Version(number=1, kind=JobKind.MODEL_TRAINING, job_id="tr", model="m", work=WORK, instances=1, memory_mib=1,
                  created_at=NOW)


def in_service(*runs: str) -> Endpoint:
    made = tuple(Replica(version=1, place=i, spec=RunSpec(run_id=run, work=WORK), state=RunState.RUNNING, ready_at=NOW)
                 for i, run in enumerate(runs))
    return Endpoint(id="ep", created_at=NOW, resource_name="ep-endpoint", serving=VERSION, replicas=made)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invocations, "WAIT_SECONDS", 0.1)
    monkeypatch.setattr(replicas, "ANSWER_SECONDS", 0.1)
    monkeypatch.setattr(replicas, "_LOOK_SECONDS", 0.05)


class Serving(FakeEndpoints):
    """Replicas that do what a test says: a run's id is what becomes of a request."""

    def __init__(self) -> None:
        super().__init__()
        self.connected: list[str] = []
        self._threads: list[threading.Thread] = []

    def connect(self, run_id: str) -> Any:
        self.connected.append(run_id)
        if run_id.startswith("refused"):
            raise ConnectionRefusedError(run_id)
        ours, theirs = socket.socketpair()
        thread = threading.Thread(target=self._serve, args=(run_id, theirs), daemon=True)
        thread.start()
        self._threads.append(thread)
        return ours

    def _serve(self, run_id: str, connection: socket.socket) -> None:
        reader = FrameReader()
        with connection:
            while data := connection.recv(65_536):
                for frame in reader.feed(data):
                    number, body = read_request(frame)
                    if run_id.startswith("dies"):
                        return
                    if run_id.startswith("babbles"):
                        connection.sendall(b"\xff" * 20)
                    elif not run_id.startswith("silent"):
                        status = 500 if run_id.startswith("fails") else 200
                        connection.sendall(answer_frame(number, status, body or b"nothing"))


@pytest.fixture
def client() -> Client:
    return Client(endpoints=Serving())


def invoke_all(client: Client, bodies: list[bytes]) -> list[Response]:
    """The answers to requests that are sent at the same time; the server ends after them, as servers do."""
    async def one(body: bytes) -> Response:
        async def receive() -> Message:
            return {"type": "http.request", "body": body}
        return await client.send("POST", "/endpoints/ep/invocations", receive)

    async def shutdown() -> Message:
        return {"type": "lifespan.shutdown"}

    async def told(_message: Message) -> None:
        pass

    async def all_of_them() -> list[Response]:
        try:
            return await asyncio.gather(*map(one, bodies))
        finally:
            await client.api({"type": "lifespan"}, shutdown, told)
            await asyncio.sleep(0)

    return asyncio.run(all_of_them())


def invoke(client: Client) -> Response:
    [answer] = invoke_all(client, [b'{"asked": 1}'])
    return answer


def test_an_answer_is_passed_on_as_it_is(client: Client) -> None:
    client.endpoints.add(in_service("answers"))
    answer = invoke(client)
    assert (answer.status, answer.body, answer.headers["x-amzn-invoked-production-variant"]) == (200, b'{"asked": 1}', "version-1")


@pytest.mark.parametrize("runs", [("refused", "answers"), ("dies", "answers"), ("babbles", "answers")])
def test_another_replica_is_asked_when_one_is_gone(client: Client, runs: tuple[str, ...]) -> None:
    client.endpoints.add(in_service(*runs))
    assert invoke(client).status == 200


@pytest.mark.parametrize("runs", [(), ("refused",), ("dies",), ("babbles",)])
def test_no_replica_answers_in_time(client: Client, runs: tuple[str, ...]) -> None:
    client.endpoints.add(in_service(*runs))
    answer = invoke(client)
    text = "None of the replicas of the endpoint 'ep' answered within 0.1 s. Its details and its log say why."
    assert answer.error == (503, "ServiceUnavailable", text)
    assert answer.headers["retry-after"] == "1"


def test_a_model_that_takes_too_long(client: Client) -> None:
    client.endpoints.add(in_service("silent"))
    assert invoke(client).error == (503, "ServiceUnavailable", "The model did not answer within 0.1 s.")


def test_a_failure_of_the_serving_program(client: Client) -> None:
    client.endpoints.add(in_service("fails"))
    answer = invoke(client)
    assert answer.status == 424
    assert {name: answer.json[name] for name in ("code", "OriginalStatusCode", "OriginalMessage")} == {
        "code": "ModelError", "OriginalStatusCode": 500, "OriginalMessage": '{"asked": 1}'}


@pytest.mark.parametrize(("endpoint", "status", "code"), [
    (replace(in_service(), serving=None, upcoming=VERSION), 429, "ModelNotReadyException"),
    (replace(in_service(), serving=None, failure_reason="no file"), 400, "ValidationError"),
    (replace(in_service("answers"), deleting=True), 400, "ValidationError"),
])
def test_an_endpoint_that_is_not_in_service(client: Client, endpoint: Endpoint, status: int, code: str) -> None:
    client.endpoints.add(endpoint)
    assert invoke(client).error[:2] == (status, code)


def test_many_requests_at_a_time_share_a_connection(client: Client) -> None:
    client.endpoints.add(in_service("answers"))
    bodies = [b"%d" % number for number in range(50)]
    assert [answer.body for answer in invoke_all(client, bodies)] == bodies, "each gets its own answer"
